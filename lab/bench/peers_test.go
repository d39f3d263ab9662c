package main

import (
	"maps"
	"runtime"
	"testing"
)

// TestPeers checks that the peer is measured by turns with Rotor, under the same load: each of its refreshes rotates
// with a JWT that ES256 signs, or the load would fail. Where it cannot run, the report says why.
func TestPeers(t *testing.T) {
	t.Chdir("../..") // where the libraries are
	b := newBench(t)
	b.size.peerRaces = 3
	if err := b.peers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if why := cannotRunPeer(); why != "" {
		if b.report.PeersLeftOut != why || len(b.report.Peers) > 0 {
			t.Errorf("without the peer (%s) the report has %+v", why, b.report)
		}
		return
	}
	contests := 2
	if runtime.GOOS == "linux" && runtime.NumCPU() > 1 {
		contests = 4
	}
	if len(b.report.Peers) != contests {
		t.Fatalf("measured %+v", b.report.Peers)
	}
	for i, c := range b.report.Peers {
		if c.Pinned != (i >= 2) || len(c.Sides) != 3 || c.side(aPeer) == nil {
			t.Errorf("measured %+v", c)
		}
		for _, s := range c.Sides {
			if len(s.Samples) != tiny.turns || s.Latencies.Requests != int64(tiny.turns*tiny.perTurn) || s.Samples[0].CPU <= 0 || (s.Samples[0].StoreCPU > 0) != (s.Store == apart) {
				t.Errorf("%s, %s: %+v", s.Name, s.Store, s)
			}
		}
	}
	if len(b.report.PeerRaces) != 3 {
		t.Fatalf("raced %+v", b.report.PeerRaces)
	}
	for _, r := range b.report.PeerRaces {
		want, alive := map[int]int64{200: 150}, 3
		if r.Name == aPeer { // one racer gets a successor, and the others' reuse ends the session
			want, alive = map[int]int64{200: 3, 400: 147}, 0
		}
		if !maps.Equal(r.Statuses, want) || r.Successors != 1 || r.Alive != alive || r.Sessions != 3 {
			t.Errorf("%s: %+v", r.Name, r)
		}
	}
}
