package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/lab/page"
	"github.com/rotor-auth/rotor/lab/price"
	"github.com/rotor-auth/rotor/shared/family"
)

// TestAssumptionsAreRotors checks that what the simulation assumes about Rotor is what Rotor's
// code does.
func TestAssumptionsAreRotors(t *testing.T) {
	for _, c := range []struct {
		file, pattern string
		want          int
	}{
		{"shared/store/table.go", `MaxAttempts = (\d+)`, attempts},
		{"shared/store/table.go", `rand\.N\((\d+) \* time\.Millisecond << `, backoff / 2}, // shifted by 1 for the first
		{"shared/store/registry.go", `freshFor += (\d+) \* time\.Second`, cachedFor},
		{"shared/store/registry.go", `warmClients += (\d+)`, registered * 5}, // at least as many as there are
		{"shared/keyring/secret.go", `maxAge = (\d+) \* time\.Minute`, secretFor / 60},
		{"shared/problem/retry.go", `const longestWait = (\d+)`, retryAfter},
		{"clients/tokensource/refresh.go", `const shortest = (\d+) \* time\.Millisecond`, shortestPause},
		{"clients/tokensource/refresh.go", `min\((\d+)\*time\.Second, s\.interval/4\)`, longestPause / 1000},
		{"infra/props.go", `c\.number\("ThrottleRate", &p\.ThrottleRate, (\d+), `, throttleRate},
		{"infra/props.go", `c\.number\("ThrottleBurst", &p\.ThrottleBurst, (\d+), `, throttleBurst},
		{"infra/props.go", `const newTableWrites = (\d+)`, newTableWrite},
		{"functions/internal/boot/tune.go", `vCPU = (\d+)`, price.FullCPU},
		{"infra/props.go", `c\.number\("SweepMinutes", &p\.SweepMinutes, (\d+), `, sweepMinutes},
		{"infra/functions.go", `name: "sweep",[^\n]* timeout: (\d+),`, sweepTimeout},
	} {
		text, err := os.ReadFile(filepath.Join("../..", c.file))
		if err != nil {
			t.Fatal(err)
		}
		if match := regexp.MustCompile(c.pattern).FindSubmatch(text); match == nil || string(match[1]) != fmt.Sprint(c.want) {
			t.Errorf("%s has %q for %s, not %d", c.file, match, c.pattern, c.want)
		}
	}
	p := family.DefaultPolicy()
	if p.ReuseInterval != reuse || p.AccessTokenLifetime != refreshes {
		t.Errorf("the default policy has a reuse interval of %d s and access tokens of %d s", p.ReuseInterval, p.AccessTokenLifetime)
	}
	// The stack must permit the settings that the page recommends.
	text, err := os.ReadFile("../../infra/props.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, rate := range rates {
		s := raisedSettings(kept(t), rate)[4]
		for key, value := range map[string]float64{"ThrottleRate": s.stageRate, "ThrottleBurst": s.stageBurst} {
			var most float64
			match := regexp.MustCompile(`c\.number\("` + key + `", &p\.` + key + `, \d+, \d+, (\d+)\)`).FindSubmatch(text)
			if match == nil {
				t.Fatalf("%s is not in props.go", key)
			}
			if _, err := fmt.Sscan(string(match[1]), &most); err != nil || value > most {
				t.Errorf("%s may be %v at most, and %v is asked for: %v", key, most, value, err)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	in := kept(t)
	for i := range limits {
		l := &limits[i]
		at := l.breaksAt(in)
		if at > 1e7 {
			if l.asked(in, 1e6) > l.most {
				t.Errorf("%s never breaks, and asks for %v", l.what, l.asked(in, 1e6))
			}
			continue
		}
		if l.asked(in, at-2) > l.most || l.asked(in, at+2) <= l.most {
			t.Errorf("%s does not break at %v: asks for %v before, and for %v after, of %v", l.what, at, l.asked(in, at-2), l.asked(in, at+2), l.most)
		}
	}
	last := 0.0
	for _, i := range inOrder(in) {
		if at := limits[i].breaksAt(in); at < last {
			t.Errorf("%s breaks before what stands before it", limits[i].what)
		} else {
			last = at
		}
	}
	if first := limits[inOrder(in)[0]]; first.most != throttleRate {
		t.Errorf("%s breaks first", first.what)
	}
}

func TestMonthly(t *testing.T) {
	in := kept(t)
	total := func(alg string, rate float64) (sum float64) {
		for _, item := range in.monthly(alg, rate) {
			sum += item.USD
		}
		return sum
	}
	// A million requests cost $2.4 to 2.6, and a month has 2.628 million seconds.
	if got := total("RS256", 100); got < 600 || got > 700 {
		t.Errorf("100 a second cost $%v a month", got)
	}
	if total("ES256", 10_000) >= total("RS256", 10_000) {
		t.Error("ES256 costs as much as RS256")
	}
}

func TestReadInputs(t *testing.T) {
	in := kept(t)
	if in.short || in.writes != 1 || in.cpu["ES256"] >= in.cpu["RS256"] || in.coldTime() <= lambdaStarts {
		t.Errorf("read %+v", in)
	}
	path := filepath.Join(t.TempDir(), "bench.json")
	for text, want := range map[string]string{"{}": "write units of a refresh", "{": "read " + path} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readInputs(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestTables(t *testing.T) {
	in := kept(t)
	f := &findings{in: in}
	for _, s := range []settings{defaultSettings(in), raisedSettings(in, 3000)[1]} {
		r := run{rate: 3000, load: short(3000, 5), settings: s}
		r.outcome = simulate(r.settings, r.load, seed)
		f.runs = append(f.runs, r)
	}
	for name, want := range map[string]string{
		"inputs": "write units, read units |1, 0 |measured |",
		"quotas": "Throttle rate (L-8A5B8E43) |",
		"limits": "requests/s that the stage takes |1,000 |100: 1 in 10 |**10,000: 10 × too many** |**100,000: 100 × too many** |",
		"order":  "|1,000 |requests/s that the stage takes |1,000 |429",
		"turns":  "`throttleRate` |1,000 |1,000 |15,000 |150,000 |",
		"cost":   "DynamoDB write units |164 |16,425 |164,250 |",
		"runs":   "3,000 |short |+ throttle |",
		"reuse":  "3,000 |short |as deployed |",
	} {
		got := f.table(name)
		if text := strings.ReplaceAll(got.Markdown(), "| ", "|"); !strings.Contains(text, want) {
			t.Errorf("%s does not have %s:\n%s", name, want, text)
		}
		for _, row := range got.Rows {
			if len(row) != len(got.Columns) {
				t.Errorf("%s: %v has not a cell for each of %v", name, row, got.Columns)
			}
		}
	}
	if text := f.table("reuse").Markdown(); strings.Contains(text, "+ throttle") {
		t.Errorf("a run without failures is among those with:\n%s", text)
	}
}

// TestDocumentation checks that the page in docs has a place for each table and no others.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/scale.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := page.Fill(text, marker, (&findings{in: kept(t)}).table); err != nil {
		t.Error(err)
	}
	for _, s := range sections {
		if n := strings.Count(string(text), "<!-- "+marker+": "+s.name+" -->\n"); n != 1 {
			t.Errorf("%d places for %s", n, s.name)
		}
	}
}

func TestArguments(t *testing.T) {
	var out, errs bytes.Buffer
	if err := start([]string{"-h"}, &out, &errs); err != nil || !strings.Contains(errs.String(), "-markdown") {
		t.Errorf("%v: %s", err, &errs)
	}
	for _, args := range [][]string{{"-nothing"}, {"argument"}, {"-bench", filepath.Join(t.TempDir(), "none.json")}} {
		if err := start(args, &out, &errs); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
