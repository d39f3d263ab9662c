//go:build linux && rie

package rie_test

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// tracedStarts is how often token is started in each way.
var tracedStarts = flag.Int("traced-starts", 20, "how often TestColdStartTraced starts token in each way")

// tracing is what Lambda tells a program of tracing: variables, and a header of each invocation. The zero value is
// nothing.
type tracing struct {
	header string
	env    []string
}

// TestColdStartTraced prints what tracing costs a cold start of token, by the program's own part: starts with what Lambda
// tells a program where tracing is active are played in turn with starts where it tells nothing. The latter are played
// twice, which shows how much the measurement varies by itself. It checks that the program only reads the trace's id,
// for its log lines, and sends nothing to the daemon of X-Ray.
func TestColdStartTraced(t *testing.T) {
	w := newWorld(t)
	w.register()
	daemon, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = daemon.Close() }() // it was only read
	host, port, err := net.SplitHostPort(daemon.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	const id = "1-6968baa5-0f1e2d3c4b5a69788796a5b4"
	active := tracing{
		header: "Root=" + id + ";Parent=0f1e2d3c4b5a6978;Sampled=1;Lineage=1:0f1e2d3c:0",
		env: []string{
			"AWS_XRAY_CONTEXT_MISSING=LOG_ERROR", "AWS_XRAY_DAEMON_ADDRESS=" + daemon.LocalAddr().String(),
			"_AWS_XRAY_DAEMON_ADDRESS=" + host, "_AWS_XRAY_DAEMON_PORT=" + port,
		},
	}
	ways := []struct {
		name string
		tracing
	}{{"without", tracing{}}, {"with", active}, {"without, again", tracing{}}}
	measured := make([][]coldStart, len(ways))
	for n := range *tracedStarts {
		for k := range ways {
			way := (n + k) % len(ways) // each comes first, second and last as often
			w.login("manage-issue-family")
			_, e := w.sample("token-refresh")
			c := w.startAlone("token", e, ways[way].tracing)
			if found := strings.Contains(c.logged, `"xray_trace_id":"`+id+`"`); found != (ways[way].header != "") {
				t.Fatalf("%s: the trace's id is in the log: %t\n%s", ways[way].name, found, c.logged)
			}
			measured[way] = append(measured[way], c)
		}
	}

	ready := func(c coldStart) time.Duration { return c.ready }
	answered := func(c coldStart) time.Duration { return c.answered }
	cpu := func(c coldStart) time.Duration { return c.cpu }
	var table strings.Builder
	out := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(out, "\tready\tratio\tfirst answer\tratio\tCPU\tratio\t")
	for way, all := range measured {
		_, _ = fmt.Fprintf(out, "%s\t", ways[way].name)
		for _, of := range []func(coldStart) time.Duration{ready, answered, cpu} {
			_, _ = fmt.Fprintf(out, "%s\t%.3f\t", milliseconds(all, of), float64(median(all, of))/float64(median(measured[0], of)))
		}
		_, _ = fmt.Fprintln(out)
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("cold starts of token, medians of %d, with and without what Lambda says of an active trace:\n\n%s", *tracedStarts, &table)

	// What was sent over loopback has arrived by now.
	if err := daemon.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	sent := make([]byte, 1<<16)
	if n, _, err := daemon.ReadFrom(sent); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the program has sent %q to the daemon of X-Ray: %v", sent[:n], err)
	}
}
