package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMicro(t *testing.T) {
	const out = `goos: linux
goarch: amd64
pkg: github.com/rotor-auth/rotor/shared/server
cpu: AMD EPYC
BenchmarkRefresh/ES256-2         	    8166	    141234 ns/op	   59943 B/op	     629 allocs/op
PASS
ok  	github.com/rotor-auth/rotor/shared/server	2.5s
pkg: github.com/rotor-auth/rotor/shared/signing
BenchmarkSignAccess/RS256   	    1500	      30.5 ns/op	    9227 B/op	     106 allocs/op
PASS
`
	got, err := parseMicro(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i].Nanoseconds = float64(int64(got[i].Nanoseconds*10+.5)) / 10 // it was converted from seconds
	}
	want := []Micro{{"Refresh/ES256", 141234, 59943, 629}, {"SignAccess/RS256", 30.5, 9227, 106}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, out := range []string{"BenchmarkRefresh/ES256-2 10 5 ns/op\n", "BenchmarkRefresh/ES256-2 10 x ns/op\n"} {
		if got, err := parseMicro(strings.NewReader(out)); err == nil {
			t.Errorf("%q is %+v", out, got)
		}
	}
}

func TestParseStarts(t *testing.T) {
	const out = `=== RUN   TestColdStart
    coldstart_test.go:115: cold starts, medians of 10:

          function                    asked for  arm64 zip  amd64 zip    ready  first answer  memory  first answer, emulator     second
              keys    make the next keys (RSA)    3.87 MB    4.10 MB   5.3 ms      117.8 ms   14 MB                161.3 ms   110.8 ms
             token                      refresh    4.13 MB    4.33 MB   5.8 ms       21.4 ms   15 MB                 31.3 ms     8.1 ms

        ready: from the start of the program until it asks for an invocation; first answer: until it has given one;
--- PASS: TestColdStart (20.00s)
`
	got, err := parseStarts(out)
	want := []Start{{"keys", "make the next keys (RSA)", 5.3, 117.8, 14, 161.3, 110.8}, {"token", "refresh", 5.8, 21.4, 15, 31.3, 8.1}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := parseStarts("ok  	github.com/rotor-auth/rotor/lab/rie	0.1s [no tests to run]\n"); err == nil {
		t.Error("no cold starts, and no error")
	}
}

func TestParseLongest(t *testing.T) {
	if got, err := parseLongest([]byte("=== RUN   TestItemSize\n    size_test.go:62: up to 4090 of 4096 bytes\n--- PASS")); err != nil || got != 4090 {
		t.Errorf("%d: %v", got, err)
	}
	if _, err := parseLongest([]byte("testing: warning: no tests to run\n")); err == nil {
		t.Error("no size, and no error")
	}
}

// TestUsual checks that the usual family exists, and is within what the service allows.
func TestUsual(t *testing.T) {
	family, err := usualFamily(t.Context())
	if err != nil || family < 200 || family > 1024 {
		t.Errorf("a family of %d bytes: %v", family, err)
	}
}
