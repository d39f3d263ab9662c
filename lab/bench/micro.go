package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"

	"golang.org/x/perf/benchfmt"
)

// micro runs the micro-benchmarks of a refresh and of its signature.
func (b *bench) micro(ctx context.Context) error {
	out, err := goTest(ctx, "-run", "^$", "-bench", "^Benchmark(Refresh|BoundRefresh|SignAccess)$", "-benchmem", "-benchtime", b.size.benchtime, "./shared/server", "./shared/signing")
	if err != nil {
		return err
	}
	if b.report.Micro, err = parseMicro(bytes.NewReader(out)); err != nil {
		return err
	}
	for _, alg := range []string{"ES256", "RS256"} {
		for _, name := range []string{"Refresh/" + alg, "SignAccess/" + alg} {
			if b.report.micro(name) == nil {
				return fmt.Errorf("there is no result of %s", name)
			}
		}
	}
	return nil
}

// procs matches GOMAXPROCS at the end of a benchmark's name.
var procs = regexp.MustCompile(`-\d+$`)

// parseMicro parses the results of benchmarks that counted allocations.
func parseMicro(out io.Reader) ([]Micro, error) {
	var all []Micro
	reader := benchfmt.NewReader(out, "go test")
	for reader.Scan() {
		switch r := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			return nil, r
		case *benchfmt.Result:
			m := Micro{Name: procs.ReplaceAllString(r.Name.String(), "")}
			seconds, ok1 := r.Value("sec/op")
			bytes, ok2 := r.Value("B/op")
			allocations, ok3 := r.Value("allocs/op")
			if !ok1 || !ok2 || !ok3 {
				return nil, fmt.Errorf("%s does not say its time, bytes and allocations", r.Name)
			}
			m.Nanoseconds, m.Bytes, m.Allocations = seconds*1e9, bytes, allocations
			all = append(all, m)
		}
	}
	return all, reader.Err()
}
