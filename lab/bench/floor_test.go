package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/lab/load"
)

// TestFloor checks that a floor does what a refresh needs and nothing else: it asks the store what
// Rotor asks it, and answers in as many bytes, each time with another token.
func TestFloor(t *testing.T) {
	b := newBench(t)
	for _, alg := range []string{"ES256", "RS256"} {
		rotor, err := b.subject(t.Context(), alg, apart)
		if err != nil {
			t.Fatal(err)
		}
		floor := &subject{name: theFloor, own: rotor.own, borrowed: true, Load: Load{Algorithm: alg, Store: apart}}
		if err := floor.start(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(floor.stop(), rotor.stop()); err != nil {
				t.Error(err)
			}
		})
		const n = 3 * sessions
		before, err := floor.own.counts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := failed(floor.load.Run(t.Context(), load.Run{Workers: workers, Requests: n})); err != nil {
			t.Error(err)
		}
		after, err := floor.own.counts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if asked := after.since(before).Operations; !maps.Equal(asked, map[string]int64{"UpdateItem": n}) {
			t.Errorf("%d answers of the floor ask for %v", n, asked)
		}
		ours, our := refreshOnce(t, rotor)
		its, it := refreshOnce(t, floor)
		if len(ours) != len(its) || len(ours) < 500 {
			t.Errorf("%s: Rotor answers in %d bytes, and the floor in %d", alg, len(ours), len(its))
		}
		for _, h := range []http.Header{our, it} {
			h.Del("Date")
		}
		if names, want := slices.Sorted(maps.Keys(it)), slices.Sorted(maps.Keys(our)); !slices.Equal(names, want) {
			t.Errorf("%s: the floor's header has %v, and Rotor's %v", alg, names, want)
		}
	}
}

// refreshOnce refreshes a family of a subject for the third time, as its load does, and returns the whole answer.
func refreshOnce(t *testing.T, s *subject) ([]byte, http.Header) {
	t.Helper()
	var first issued
	err := s.service.manage(t.Context(), http.StatusCreated, http.MethodPost, "/v1/families", `{"user_id":"01234567890123456789012345-10","client_id":"load"}`, &first)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(s.service.URL+tokenPath, "application/x-www-form-urlencoded",
		strings.NewReader("grant_type=refresh_token&client_id=load&refresh_token="+first.RefreshToken))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	return body, resp.Header
}

// TestFloorLearnsAll checks that a request which a floor would not repeat whole is an error.
func TestFloorLearnsAll(t *testing.T) {
	const good = `{"TableName":"t","Key":{"pk":{"S":"u#1"},"sk":{"S":"f#2"}},"ExpressionAttributeValues":{":n":{"N":"1"},":id":{"B":"AAEC"}}`
	in, key, err := updateOf([]byte(good + "}"))
	if err != nil || key != "u#1f#2" || len(in.ExpressionAttributeValues) != 2 || *in.TableName != "t" {
		t.Errorf("%+v, %q, %v", in, key, err)
	}
	for _, more := range []string{`,"ReturnConsumedCapacity":"TOTAL"}`, `,"Expected":{}}`, ``} {
		if _, _, err := updateOf([]byte(good + more)); err == nil {
			t.Errorf("%s is left out", more)
		}
	}
	if _, _, err := updateOf([]byte(strings.Replace(good, `"N"`, `"L"`, 1) + "}")); err == nil {
		t.Error("a list is left out")
	}
}

// TestFloors checks that a contest has a sample of each turn of each side, and another build's too.
func TestFloors(t *testing.T) {
	b := newBench(t)
	b.other = b.rotor
	if err := b.floor(t.Context(), "ES256", apart); err != nil {
		t.Fatal(err)
	}
	if len(b.report.Floors) != 2 || b.report.Floors[0].Workers != workers || b.report.Floors[1].Workers != 1 {
		t.Fatalf("measured %+v", b.report.Floors)
	}
	for _, c := range b.report.Floors {
		for _, name := range []string{theFloor, ourselves, another} {
			s := c.side(name)
			if s == nil || len(s.Samples) != tiny.turns || s.Latencies.Requests != int64(tiny.turns*tiny.perTurn) || s.Samples[0].CPU <= 0 || s.Samples[0].StoreCPU <= 0 {
				t.Errorf("%s: %+v", name, s)
			}
		}
	}
	if m := b.report.multiple("ES256"); m.median <= 0 || m.low > m.median || m.median > m.high {
		t.Errorf("the multiple is %+v", m)
	}
}

// TestTurnIsNeverEmpty checks that a turn whose time is over before a refresh began, as on a machine that is very busy,
// is a sample all the same: without one, what a refresh takes would be no number, which JSON cannot hold.
func TestTurnIsNeverEmpty(t *testing.T) {
	b := newBench(t)
	s, err := b.subject(t.Context(), "ES256", inProcess)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	result, sample, err := s.sample(t.Context(), load.Run{Workers: 2, For: 1})
	if err != nil || result.Count < 1 || !(sample.Rate > 0) || !(sample.CPU > 0) {
		t.Errorf("%v, %+v, %v", result, sample, err)
	}
}

func TestRatio(t *testing.T) {
	side := func(cpus ...float64) *Side {
		s := &Side{}
		for _, cpu := range cpus {
			s.Samples = append(s.Samples, Sample{CPU: cpu})
		}
		return s
	}
	for _, tt := range []struct {
		a, b *Side
		want Ratio
	}{
		{side(2, 6, 30, 4, 50), side(1, 2, 3, 4, 5), Ratio{3, 2, 10}}, // 2, 3, 10, 1, 10
		{side(2, 6), side(1, 2), Ratio{2.5, 2, 3}},
		{side(2, 6, 9), side(0, 2), Ratio{3, 3, 3}}, // a turn that was not measured
		{side(), side(1), Ratio{}},
	} {
		if got := ratio(tt.a, tt.b, Sample.cpu); got != tt.want {
			t.Errorf("%+v to %+v is %+v, not %+v", tt.a, tt.b, got, tt.want)
		}
	}
}

// TestFailureLosesNothing checks that what was measured before a failure stands in the file, with what failed, and
// that a run which is killed leaves what it had.
func TestFailureLosesNothing(t *testing.T) {
	b := newBench(t)
	b.path = filepath.Join(t.TempDir(), "dist", benchFile)
	var seen *Report
	err := b.measure(t.Context(), []measurement{
		{"first", "what comes first", func(context.Context) error { b.report.Sizes.Family = 434; return nil }, []string{"sizes"}},
		{"second", "what comes second", func(context.Context) (err error) {
			b.report.Zips = []Zip{{"token", 4.13}}
			if seen, err = read[Report](b.path); err != nil { // as if it were killed now
				return err
			}
			return errors.New("no such thing")
		}, nil},
		{"third", "what comes third", func(context.Context) error { t.Error("it goes on"); return nil }, nil},
	})
	const want = "measure what comes second: no such thing"
	if err == nil || err.Error() != want {
		t.Errorf("the run ends with %v", err)
	}
	r, err := read[Report](b.path)
	if err != nil || r == nil || r.Unfinished != want || r.Sizes.Family != 434 || len(r.Zips) != 1 || len(r.Aims) == 0 {
		t.Errorf("left %+v, %v", r, err)
	}
	if seen == nil || seen.Unfinished == "" || seen.Sizes.Family != 434 {
		t.Errorf("a run that was killed leaves %+v", seen)
	}
	if text := machineTable(r).Text(); !strings.Contains(text, "not complete: "+want) {
		t.Errorf("the page says nothing of it:\n%s", text)
	}
}

// TestLoadIsKeptAsItGoes checks that a load that fails in its second round leaves the first one's samples.
func TestLoadIsKeptAsItGoes(t *testing.T) {
	b := newBench(t)
	b.path = filepath.Join(t.TempDir(), benchFile)
	s, err := b.subject(t.Context(), "ES256", apart)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.round(t.Context(), s), b.keep(s)); err != nil {
		t.Fatal(err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if err := b.measureAll(t.Context(), []*subject{s}); err == nil {
		t.Error("a service that has ended is measured")
	}
	r, err := read[Report](b.path)
	if err != nil || r == nil || r.load("ES256", apart) == nil || len(r.load("ES256", apart).Samples) != tiny.samples || r.Loads[0].Together.Rate <= 0 {
		t.Errorf("left %+v, %v", r, err)
	}
}

func TestChosen(t *testing.T) {
	all := (&bench{}).parts()
	some, err := chosen(all, "sizes,floor")
	var names []string
	for _, p := range some {
		names = append(names, p.name)
	}
	if want := []string{"machine", "floor", "sizes"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("chose %v, %v", names, err)
	}
	for _, wrong := range []string{"florr", "floor,"} {
		if _, err := chosen(all, wrong); err == nil {
			t.Errorf("%q is chosen", wrong)
		}
	}
}
