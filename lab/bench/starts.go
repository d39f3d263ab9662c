package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// weigh measures the sizes of the zips that are deployed.
func (b *bench) weigh(context.Context) (err error) {
	b.report.Zips, err = zips("dist/arm64")
	return err
}

// coldStarts runs the tests under Lambda's emulator, which measure how the functions
// start.
func (b *bench) coldStarts(ctx context.Context) error {
	if b.report.StartsLeftOut = cannotEmulate(); b.report.StartsLeftOut != "" {
		return nil
	}
	script := exec.CommandContext(ctx, "lab/rie/run.sh", "-run", "^TestColdStart$")
	script.Cancel = func() error { return script.Process.Signal(syscall.SIGTERM) } // which makes it end what it started
	script.WaitDelay = 30 * time.Second
	out, err := script.CombinedOutput()
	if err != nil {
		return fmt.Errorf("lab/rie/run.sh: %w\n%s", err, out)
	}
	if b.report.Starts, err = parseStarts(string(out)); err != nil {
		return err
	}
	if len(b.report.Starts) != len(b.report.Zips) {
		return fmt.Errorf("%d functions are started, and there are %d", len(b.report.Starts), len(b.report.Zips))
	}
	return nil
}

// cannotEmulate returns why the emulator does not run here, or "".
func cannotEmulate() string {
	if runtime.GOOS != "linux" {
		return "Lambda's programs run on Linux only"
	}
	for _, need := range [][2]string{
		{"java", "Java, which DynamoDB Local needs (on Debian: apt-get install default-jre-headless)"},
		{"mvn", "Maven, which fetches DynamoDB Local (on Debian: apt-get install maven)"},
	} {
		if _, err := exec.LookPath(need[0]); err != nil {
			return "there is no " + need[1]
		}
	}
	if emulators, _ := filepath.Glob(".tools/aws-lambda-rie-*"); len(emulators) > 0 {
		return ""
	}
	if exec.Command("python3", "-m", "pip", "--version").Run() != nil { //nolint:noctx // it ends at once
		return "there is no Python with pip, which fetches Lambda's emulator (on Debian: apt-get install python3-pip)"
	}
	return ""
}

func zips(dir string) ([]Zip, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.zip"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, errors.New("in " + dir + " are no zips: make build makes them, in the module's root")
	}
	var all []Zip
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		all = append(all, Zip{strings.TrimSuffix(filepath.Base(path), ".zip"), megabytes(info.Size())})
	}
	return all, nil
}

// startLine matches a row of the table that TestColdStart prints: function, request,
// zips, ready, first answer, memory, and first and second answer under the emulator.
var startLine = regexp.MustCompile(`(?m)^ *([a-z]+)  +(\S.*?)  +[\d.]+ MB  +[\d.]+ MB  +([\d.]+) ms  +([\d.]+) ms  +(\d+) MB  +([\d.]+) ms  +([\d.]+) ms *$`)

func parseStarts(out string) ([]Start, error) {
	var all []Start
	for _, m := range startLine.FindAllStringSubmatch(out, -1) {
		s := Start{Function: m[1], Asked: m[2]}
		for i, into := range []*float64{&s.Ready, &s.Answered, &s.Memory, &s.Emulated, &s.Second} {
			var err error
			if *into, err = strconv.ParseFloat(m[3+i], 64); err != nil {
				return nil, fmt.Errorf("cold start of %s: %w", s.Function, err)
			}
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, errors.New("TestColdStart printed no cold starts")
	}
	return all, nil
}
