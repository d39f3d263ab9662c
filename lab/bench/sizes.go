package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/lab/inside"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store/embedded"
	"github.com/rotor-auth/rotor/shared/store/schema"
)

// rotations is how often the family is rotated. More rotations add no attribute, and
// only a digit to its counter now and then.
const rotations = 10

// sizes measures the size of a family and of a refresh's log lines.
func (b *bench) sizes(ctx context.Context) (err error) {
	if b.report.Sizes.Family, err = usualFamily(ctx); err != nil {
		return err
	}
	line, err := inside.AuditLine(ctx)
	if err != nil {
		return err
	}
	b.report.Sizes.LogLine = len(line)
	access, err := inside.AccessLine()
	if err != nil {
		return err
	}
	b.report.Sizes.AccessLogLine = len(access)
	out, err := goTest(ctx, "-count=1", "-v", "-run", "^TestItemSize$", "./shared/server")
	if err != nil {
		return err
	}
	b.report.Sizes.LongestFamily, err = parseLongest(out)
	return err
}

// longestLine matches what TestItemSize logs.
var longestLine = regexp.MustCompile(`(?m)\bup to (\d+) of 4096 bytes$`)

func parseLongest(out []byte) (int, error) {
	match := longestLine.FindSubmatch(out)
	if match == nil {
		return 0, errors.New("TestItemSize does not say how long the longest family is")
	}
	return strconv.Atoi(string(match[1]))
}

// usualFamily returns the size of a typical family's item.
func usualFamily(ctx context.Context) (int, error) {
	rt := embedded.New()
	const name = "usual"
	now := time.Now()
	r, err := inside.New(ctx, inside.Options{
		Database: embedded.Config(rt), Table: name, Algorithm: signing.ES256, Now: func() time.Time { return now },
	})
	if err != nil {
		return 0, err
	}
	if err := r.Register(ctx, usualPolicy); err != nil {
		return 0, err
	}
	first, err := r.Issue(ctx)
	if err != nil {
		return 0, err
	}
	token := first.RefreshToken
	for range rotations {
		now = now.Add(time.Hour) // after an access token's lifetime, which is beyond the reuse interval
		if _, token, err = r.Rotate(ctx, token); err != nil {
			return 0, err
		}
	}
	families, err := items(ctx, rt, "http://dynamodb.invalid", name, schema.FamilyPrefix)
	if err != nil || len(families) != 1 {
		return 0, errors.Join(fmt.Errorf("there are %d families", len(families)), err)
	}
	return families[0], nil
}

// goTest runs go test in the working directory.
func goTest(ctx context.Context, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, "go", append([]string{"test"}, args...)...).CombinedOutput() //nolint:gosec // the arguments are ours
	if err != nil {
		return nil, fmt.Errorf("go test %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return out, nil
}
