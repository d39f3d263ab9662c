//go:build prove

package prove

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	generator "github.com/rotor-auth/rotor/lab/load"
	"github.com/rotor-auth/rotor/lab/process"
)

const (
	soakFor      = 10 * time.Minute // unless SOAK sets another
	soakWorkers  = 8
	soakSessions = 64
	soakRacers   = 50

	// The work beside the load spends a reuse interval for each family. A family has its next
	// turn long after that: with so many families, and twenty turns a second, after nine
	// seconds or more.
	soakInterval = 4 // in seconds
	soakFamilies = 64

	// Measurements are made between windows. The first tenth of the windows is for warming up;
	// the second is compared with the last. In ten minutes, a tenth is one minute.
	soakWindows = 120
	soakTenth   = soakWindows / 10
)

// These limits say how much may grow between the compared tenths.
const (
	// Heap in use after a collection is what something holds on to. It varies by about 30 KiB,
	// with the buffers of connections and with maps that grow by doubling. Ten minutes are a
	// million requests or more: a leak of one byte in each is four times this.
	soakHeap = 256 << 10
	// No request is in progress when goroutines are counted. Some connections that the races
	// opened may have been closed because they were idle for too long.
	soakGoroutines = 8
	// Resident memory includes what the runtime keeps for itself, such as the table of places
	// that have allocated, and what has not been returned to the kernel yet. Both settle late:
	// runs of 30 s showed 4 MiB, and runs of ten minutes half of one.
	soakRSS = 8 << 20
)

// TestSoak checks that under the highest load, for ten minutes or as long as SOAK says,
// nothing fails, no memory grows, and no request becomes slower or costs more. Latencies
// double while other programs use the machine, so those of the quietest windows are compared.
func TestSoak(t *testing.T) {
	length := soakFor
	if text := os.Getenv("SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil || length < 10*time.Second {
			t.Fatalf("SOAK is %q, but must be a duration of 10s or more", text)
		}
	}
	s := newSoak(t)
	var samples []soakSample
	var warm string
	for len(samples) < soakWindows {
		samples = append(samples, s.window(length/soakWindows))
		n := len(samples)
		if t.Failed() {
			said := s.rotor.Output()
			t.Fatalf("… in window %d of %d; the program's last words:\n%s", n, soakWindows, said[max(0, len(said)-2000):])
		}
		if n%soakTenth == 0 {
			t.Logf("%3d %%: %s", n*100/soakWindows, soakMerge(samples[n-soakTenth:]))
		}
		if n == 2*soakTenth {
			warm = s.profile("warm")
		}
	}
	end := s.profile("end")

	begun, ended := samples[soakTenth:2*soakTenth], samples[soakWindows-soakTenth:]
	first, last, all := soakMerge(begun), soakMerge(ended), soakMerge(samples)
	t.Logf("the tenth after the warm-up, and the last:\n%s", soakTable(first, last))
	t.Logf("in all %s; CPU time for each, with what was beside it: %s of the program, %s of the load", all.load, all.perRefresh(), all.own/time.Duration(all.load.Requests))
	t.Logf("beside it were %d uses inside the interval, %d introspections, %d forged tokens, %d races of %d", s.inside, s.introspections, s.forged, s.races, soakRacers)

	if grown := last.heap - first.heap; grown > soakHeap {
		t.Errorf("the heap has grown by %d bytes; see: go tool pprof -sample_index=inuse_space -top -diff_base %s %s", grown, warm, end)
	}
	if grown := last.goroutines - first.goroutines; grown > soakGoroutines {
		t.Errorf("there are %d goroutines more", grown)
	}
	if grown := last.rss - first.rss; grown > soakRSS {
		t.Errorf("the resident memory has grown by %d bytes", grown)
	}
	if before, after := soakQuietest(begun), soakQuietest(ended); after > 2*before {
		t.Errorf("the median latency of the quietest window has grown from %s to %s", before, after)
	}
	if before, after := first.perRefresh(), last.perRefresh(); after > 2*before {
		t.Errorf("the CPU time of a refresh, with what is beside it, has grown from %s to %s", before, after)
	}
	if s.inside == 0 || s.introspections == 0 || s.forged == 0 || s.races == 0 {
		t.Error("a part of the load was never there")
	}
	if err := s.rotor.Stop(); err != nil {
		t.Error(err)
	}
}

// soak holds the program and the load on it.
type soak struct {
	t     *testing.T
	dir   string // of the program and its profiles; it remains if the test fails
	rotor *process.Rotor
	load  *generator.Generator // makes refreshes, all of which rotate
	crowd *generator.Generator // makes races

	// The app is used beside the load: a confidential client, the families of its users, and
	// the tokens that it got last.
	http            *http.Client
	app             url.Values // its credentials
	families        []string   // the refresh token of each, in the order of their turns
	refresh, access string

	steps, inside, introspections, forged, races int
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	dir, err := os.MkdirTemp("", "rotor-soak-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			_ = os.RemoveAll(dir) // otherwise it remains in the system's temporary folder
		}
	})
	program, err := process.Build(dir, "./cmd/rotor")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"ALG=ES256"} // RS256 would spend the time on signing
	if dynamo := os.Getenv("ROTOR_TEST_DYNAMODB"); dynamo != "" {
		env = append(env, "AWS_ENDPOINT_URL_DYNAMODB="+dynamo, "TABLE=soak-"+rand.Text())
	}
	s := &soak{t: t, dir: dir, http: newHTTP(t)}
	if s.rotor, err = process.StartRotor(t.Context(), program, env...); err != nil {
		t.Fatal(err)
	}
	if s.load, err = generator.Open(t.Context(), generator.Options{URL: s.rotor.URL, Sessions: soakSessions}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.load.Close)
	policy := map[string]any{"reuse_interval": soakInterval}
	text, err := json.Marshal(policy)
	if err != nil {
		t.Fatal(err)
	}
	if s.crowd, err = generator.Open(t.Context(), generator.Options{URL: s.rotor.URL, Client: "crowd", Policy: string(text), Sessions: soakFamilies}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.crowd.Close)

	const app = "soak"
	must(t, s.http, http.MethodPut, s.rotor.URL+"/v1/clients/"+app, map[string]any{"type": "confidential", "policy": policy})
	secret := must(t, s.http, http.MethodPost, s.rotor.URL+"/v1/clients/"+app+"/secrets", map[string]string{})
	s.app = url.Values{"client_id": {app}, "client_secret": {secret.text("client_secret")}}
	for n := range soakFamilies {
		family := must(t, s.http, http.MethodPost, s.rotor.URL+"/v1/families", map[string]string{"user_id": fmt.Sprintf("soak-%d", n), "client_id": app})
		s.refresh, s.access = family.text("refresh_token"), family.text("access_token")
		s.families = append(s.families, s.refresh)
	}
	// Records grow with the first rotation, which must not count as the load's.
	result, err := s.crowd.Spread(t.Context(), soakFamilies)
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		t.Fatal(err)
	}
	for range soakFamilies {
		if err := s.use(); err != nil {
			t.Fatal(err)
		}
	}
	<-time.After(soakInterval * time.Second)
	return s
}

// soakSample holds what was measured in one window or in several.
type soakSample struct {
	load       *generator.Result
	rss, heap  int64 // in bytes
	goroutines int64
	cpu, own   time.Duration // CPU time of the program, and of this process, which makes the load
}

// window puts load on the program for that long and returns what was measured.
func (s *soak) window(length time.Duration) soakSample {
	s.t.Helper()
	cpu, own := s.cpu(), ownCPU(s.t)
	ctx, enough := context.WithCancel(s.t.Context())
	var beside sync.WaitGroup
	beside.Go(func() { s.beside(ctx) })
	result, err := s.load.Run(s.t.Context(), generator.Run{Workers: soakWorkers, For: length})
	enough()
	beside.Wait()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := result.Err(); err != nil {
		s.t.Error(err)
	}
	sample := soakSample{load: result, cpu: s.cpu() - cpu, own: ownCPU(s.t) - own}
	sample.goroutines = s.runtime("goroutine?debug=1", "goroutine profile: total ")
	sample.heap = s.runtime("heap?gc=1&debug=1", "# HeapAlloc = ")
	if sample.rss, err = s.rotor.RSS(); err != nil {
		s.t.Fatal(err)
	}
	return sample
}

func (s *soak) cpu() time.Duration {
	s.t.Helper()
	cpu, err := s.rotor.CPU()
	if err != nil {
		s.t.Fatal(err)
	}
	return cpu
}

func ownCPU(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// beside makes other requests than the load's, twenty times a second until ctx is done, and at
// least once.
func (s *soak) beside(ctx context.Context) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if err := s.step(); err != nil {
			s.t.Error(err)
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// step makes the next of these requests.
func (s *soak) step() error {
	s.steps++
	switch s.steps % 10 {
	case 0, 5:
		s.races++
		result, err := s.crowd.Race(s.t.Context(), soakRacers)
		if err == nil {
			err = result.Err()
		}
		if err == nil && result.Successors != 1 {
			err = fmt.Errorf("%d successors of one token", result.Successors)
		}
		return err
	case 1, 4, 7:
		return s.use()
	case 2, 6, 8:
		return s.introspect()
	default:
		s.forged++
		a, err := s.post("/oauth/token", "grant_type", "refresh_token", "refresh_token", forgedToken(s.refresh))
		if err == nil && !a.refused() {
			err = fmt.Errorf("a forged token: %v", a)
		}
		return err
	}
}

// use refreshes the family whose turn it is, presents the same token again, and then its
// successor. All three answers must have the same token.
func (s *soak) use() error {
	first, successor := s.families[0], ""
	for i, presented := range []*string{&first, &first, &successor} {
		a, err := s.post("/oauth/token", "grant_type", "refresh_token", "refresh_token", *presented)
		if err != nil {
			return err
		}
		got := a.text("refresh_token")
		if a.status != http.StatusOK || got == "" || got == first || i > 0 && got != successor {
			return fmt.Errorf("use %d of a family: %v, or not the right successor", i+1, a)
		}
		successor = got
		s.refresh, s.access = successor, a.text("access_token")
		if i > 0 {
			s.inside++
		}
	}
	s.families = append(s.families[1:], successor)
	return nil
}

// introspect introspects both tokens, and one that is not valid.
func (s *soak) introspect() error {
	for token, active := range map[string]bool{s.refresh: true, s.access: true, forgedToken(s.refresh): false} {
		s.introspections++
		a, err := s.post("/oauth/introspect", "token", token)
		if err != nil {
			return err
		}
		if a.status != http.StatusOK || a.body["active"] != active {
			return fmt.Errorf("introspection: %v, active: %v, want %t", a, a.body["active"], active)
		}
	}
	return nil
}

// post sends a form of these pairs and the app's credentials, and returns the answer.
func (s *soak) post(path string, pairs ...string) (answer, error) {
	form := url.Values{}
	for name, values := range s.app {
		form[name] = values
	}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return send(s.t.Context(), s.http, http.MethodPost, s.rotor.URL+path, form)
}

// forgedToken returns the token with another counter, for which its tag is wrong.
func forgedToken(token string) string {
	b := []byte(token)
	const counter = len("rotor_") + 34*8/6 + 1 // index of a character that only has bits of the counter
	if b[counter] == 'A' {
		b[counter] = 'B'
	} else {
		b[counter] = 'A'
	}
	return string(b)
}

// runtime returns the number that follows a label in a profile of the program.
func (s *soak) runtime(profile, label string) int64 {
	s.t.Helper()
	text := s.fetch(profile)
	at := bytes.LastIndex(text, []byte(label))
	if at < 0 {
		s.t.Fatalf("%s has no %s", profile, label)
	}
	var n int64
	if _, err := fmt.Sscan(string(text[at+len(label):]), &n); err != nil {
		s.t.Fatalf("%s: %s: %v", profile, label, err)
	}
	return n
}

func (s *soak) fetch(profile string) []byte {
	s.t.Helper()
	resp, err := s.http.Get(s.rotor.URL + "/debug/pprof/" + profile)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s, %v", profile, resp.Status, err)
	}
	return text
}

// profile saves a profile of the heap in use and returns the file's path.
func (s *soak) profile(name string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name+".heap")
	if err := os.WriteFile(path, s.fetch("heap?gc=1"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// soakMerge returns several windows as one: the sum of their load, and the medians of what is
// held.
func soakMerge(samples []soakSample) soakSample {
	var all soakSample
	var loads []*generator.Result
	var rss, heap, goroutines []int64
	for _, s := range samples {
		loads = append(loads, s.load)
		rss, heap, goroutines = append(rss, s.rss), append(heap, s.heap), append(goroutines, s.goroutines)
		all.cpu += s.cpu
		all.own += s.own
	}
	median := func(values []int64) int64 {
		slices.Sort(values)
		return values[len(values)/2]
	}
	all.load, all.rss, all.heap, all.goroutines = generator.Merge(loads...), median(rss), median(heap), median(goroutines)
	return all
}

// soakQuietest returns the least of the windows' median latencies.
func soakQuietest(samples []soakSample) time.Duration {
	least := samples[0].load.P50()
	for _, s := range samples[1:] {
		least = min(least, s.load.P50())
	}
	return least
}

// perRefresh returns the program's CPU time for each refresh, including the requests beside
// it.
func (s soakSample) perRefresh() time.Duration {
	return s.cpu / time.Duration(max(1, s.load.Requests))
}

func (s soakSample) String() string {
	return fmt.Sprintf("%s; heap %d KiB, RSS %d KiB, %d goroutines", s.load, s.heap>>10, s.rss>>10, s.goroutines)
}

func soakTable(samples ...soakSample) string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, cell func(soakSample) any) {
		for _, s := range samples {
			name += fmt.Sprintf("\t%v", cell(s))
		}
		_, _ = fmt.Fprintln(table, name+"\t") // it writes to memory
	}
	row("refreshes/s", func(s soakSample) any { return int(s.load.Rate()) })
	row("p50", func(s soakSample) any { return s.load.P50() })
	row("p90", func(s soakSample) any { return s.load.P90() })
	row("p99", func(s soakSample) any { return s.load.P99() })
	row("p99.9", func(s soakSample) any { return s.load.P999() })
	row("max", func(s soakSample) any { return s.load.Max() })
	row("CPU of a refresh", func(s soakSample) any { return s.perRefresh() })
	row("heap, KiB", func(s soakSample) any { return s.heap >> 10 })
	row("RSS, KiB", func(s soakSample) any { return s.rss >> 10 })
	row("goroutines", func(s soakSample) any { return s.goroutines })
	_ = table.Flush() // it writes to memory
	return b.String()
}
