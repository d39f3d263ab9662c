package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/rotor-auth/rotor/lab/load"
	"github.com/rotor-auth/rotor/lab/process"
)

// aPeer is a provider that anybody can start, and that is measured by turns with Rotor.
const aPeer = "node-oidc-provider 9.13.3"

// providerLibraries has the library, which `make bench` installs at its pinned version.
const providerLibraries = ".tools/moving"

//go:embed provider.mjs
var providerScript []byte

// PeerRace is what a service does with one token that many present at the same moment.
type PeerRace struct {
	Name       string        `json:"name"`
	Store      string        `json:"store"`
	Racers     int           `json:"racers"`
	Sessions   int           `json:"sessions"` // raced one after another, each once
	Statuses   map[int]int64 `json:"statuses"`
	Successors int           `json:"successors"` // how many different ones in a race, at most
	Alive      int           `json:"alive"`      // sessions whose newest token is accepted afterwards
	Latencies  Latencies     `json:"latencies"`  // of the successes
}

// peerRacers is how many requests present one token.
const peerRacers = 50

// peers measures Rotor by turns with the peer: on all CPUs, and then each service on
// one of its own.
func (b *bench) peers(ctx context.Context) error {
	if b.report.PeersLeftOut = cannotRunPeer(); b.report.PeersLeftOut != "" {
		return nil
	}
	if err := b.besidePeer(ctx, false); err != nil {
		return err
	}
	if runtime.GOOS != "linux" || runtime.NumCPU() < 2 {
		return nil // nothing to keep apart
	}
	return b.besidePeer(ctx, true)
}

// cannotRunPeer returns why the peer does not run here, or "".
func cannotRunPeer() string {
	if _, err := exec.LookPath("node"); err != nil {
		return "there is no Node (on Debian: apt-get install nodejs npm)"
	}
	if _, err := os.Stat(filepath.Join(providerLibraries, "complete")); err != nil {
		return "node-oidc-provider is not installed (make .tools/moving/complete)"
	}
	return ""
}

func (b *bench) besidePeer(ctx context.Context, pinned bool) (err error) {
	var subjects []*subject
	defer func() {
		for _, s := range subjects {
			err = errors.Join(err, s.stop())
		}
	}()
	// The services take CPU 0 by turns, and the load with the store the last one.
	on := func(start func() error) error { return start() }
	if pinned {
		on = func(start func() error) error { return process.OnCPU(0, start) }
		free, err := process.KeepTo(runtime.NumCPU() - 1)
		if err != nil {
			return err
		}
		defer free()
	}
	for _, s := range []*subject{
		{name: ourselves, Load: Load{Store: inProcess}}, {name: ourselves, Load: Load{Store: apart}}, {name: aPeer, Load: Load{Store: inProcess}},
	} {
		s.Algorithm = "ES256"
		if s.Store == apart {
			if s.own, err = b.startStore(ctx, embeddedStore); err != nil {
				return err
			}
		}
		subjects = append(subjects, s)
		if err := on(func() error { return s.start(ctx, b) }); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	for _, n := range []int{1, workers} {
		c, err := b.contest(ctx, n, subjects)
		if err != nil {
			return err
		}
		c.Pinned = pinned
		b.report.Peers = append(b.report.Peers, c)
		if err := b.save(); err != nil {
			return err
		}
	}
	if pinned {
		return nil
	}
	for _, s := range subjects {
		race, err := b.peerRace(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		b.report.PeerRaces = append(b.report.PeerRaces, race)
	}
	return b.save()
}

// peerRace lets many requests present one token, once in each of several sessions, and
// then asks whether the session lives. Rotor has its default policy, and the peer knows
// no other.
func (b *bench) peerRace(ctx context.Context, s *subject) (PeerRace, error) {
	r := PeerRace{Name: s.name, Store: s.Store, Racers: peerRacers, Sessions: b.size.peerRaces}
	g, err := load.Open(ctx, load.Options{URL: s.service.URL, Client: crowd, Policy: usualPolicy, Sessions: r.Sessions})
	if err != nil {
		return r, err
	}
	defer g.Close()
	var all []*load.Result
	for range r.Sessions {
		one, err := g.Race(ctx, r.Racers)
		if err != nil {
			return r, err
		}
		r.Successors = max(r.Successors, one.Successors)
		all = append(all, one)
	}
	after, err := g.Run(ctx, load.Run{Workers: 1, Requests: r.Sessions}) // each session once, since they take turns
	if err != nil {
		return r, err
	}
	r.Alive = int(after.ByStatus[200])
	merged := load.Merge(all...)
	r.Statuses, r.Latencies = merged.ByStatus, latenciesOf(merged)
	return r, nil
}

// startProvider starts the peer.
func startProvider(ctx context.Context) (*service, error) {
	// Node looks for libraries in the folders above a module.
	dir, err := os.MkdirTemp(providerLibraries, "bench-")
	if err != nil {
		return nil, err
	}
	script, err := filepath.Abs(filepath.Join(dir, "provider.mjs"))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(script, providerScript, 0o700); err != nil { //nolint:gosec // it is a program
		return nil, err
	}
	p, url, err := startServer(ctx, script, "PATH="+os.Getenv("PATH"), "HOME="+dir, "NODE_ENV=production", "NODE_NO_WARNINGS=1")
	// It has been read once it serves, or has failed.
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		return nil, fmt.Errorf("start %s: %w", aPeer, err)
	}
	return &service{Rotor: &process.Rotor{Process: p, URL: url}}, nil
}
