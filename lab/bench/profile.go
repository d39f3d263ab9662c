package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/rotor-auth/rotor/lab/load"
)

// part is a part of a refresh's CPU time: that of the stacks with a function whose
// name matches.
type part struct {
	what  string
	named *regexp.Regexp
}

// parts are the parts of a refresh. A stack belongs to the first part that it
// matches, so a callee comes before its callers. Stacks that match none belong to
// the runtime.
var parts = []part{
	{"garbage collection", regexp.MustCompile(`^runtime\.(gcBgMarkWorker|gcAssistAlloc|bgsweep|bgscavenge)`)},
	{"the signature of the access token", regexp.MustCompile(`^crypto/(ecdsa|rsa)\.`)},
	{"the JWT around it", regexp.MustCompile(`/shared/signing\.`)},
	{"log lines", regexp.MustCompile(`^log/slog\.`)},
	{"to the store: HTTP", regexp.MustCompile(`^net/http\.\(\*(persistConn|Client)\)|/shared/store\.\(?\*?inMemory`)},
	{"to the store: SigV4", regexp.MustCompile(`/aws/signer/v4\.\(?\*?Signer`)},
	{"to the store: JSON", regexp.MustCompile(`/protocol/awsjson\.`)},
	{"to the store: the SDK's other layers", regexp.MustCompile(`/service/dynamodb\.\(\*Client\)`)},
	{"the record", regexp.MustCompile(`/shared/store\.`)},
	{"the handlers, MACs among them", regexp.MustCompile(`/shared/(oauth|session|manage|internal/web)\.`)},
	{"the local program's own handlers", regexp.MustCompile(`/cmd/rotor/local\.`)},
	{"from the client: HTTP", regexp.MustCompile(`^net/http\.`)},
}

const (
	scheduling  = "scheduling, and the rest of the runtime"
	profileTime = 10 // seconds
)

// profile measures where the CPU time goes at eight refreshes at a time, with a CPU
// profile of the service under load.
func (b *bench) profile(ctx context.Context, s *service, g *load.Generator, l *Load) error {
	seconds := profileTime
	if b.report.Short {
		seconds = 1
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	loaded := make(chan error, 1)
	go func() {
		result, err := g.Run(ctx, load.Run{Workers: workers, Requests: 1 << 30})
		if errors.Is(err, context.Canceled) {
			err = nil // the load ends when the profile is complete
		}
		loaded <- failed(result, err)
	}()
	p, err := s.profile(ctx, seconds)
	stop()
	if err := errors.Join(err, <-loaded); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	b.report.Profile, err = sharesOf(p)
	for i := range b.report.Profile {
		b.report.Profile[i].CPU = b.report.Profile[i].Share * l.CPU
	}
	return err
}

// profile returns a CPU profile of the local program over the given seconds.
func (s *service) profile(ctx context.Context, seconds int) (*profile.Profile, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", s.URL, seconds), nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the service answers with %s", response.Status)
	}
	return profile.Parse(response.Body)
}

// sharesOf divides a CPU profile of Go's runtime into parts, which together are all
// of it.
func sharesOf(p *profile.Profile) ([]Share, error) {
	const cpu = 1 // the index of a sample's CPU time; index 0 is the number of samples
	if len(p.SampleType) <= cpu || p.SampleType[cpu].Type != "cpu" {
		return nil, errors.New("it is no CPU profile")
	}
	shares := make([]Share, len(parts)+1)
	for i := range parts {
		shares[i].What = parts[i].what
	}
	shares[len(parts)].What = scheduling
	all := 0.0
	for _, sample := range p.Sample {
		i, kernel, allocation := classify(sample)
		took := float64(sample.Value[cpu])
		all += took
		shares[i].Share += took
		if kernel {
			shares[i].Kernel += took
		}
		if allocation {
			shares[i].Allocation += took
		}
	}
	if all == 0 {
		return nil, errors.New("the profile has no samples")
	}
	for i := range shares {
		shares[i].Share /= all
		shares[i].Kernel /= all
		shares[i].Allocation /= all
	}
	return shares, nil
}

// classify returns which part a sample belongs to, and whether it is a system call
// or an allocation.
func classify(sample *profile.Sample) (of int, kernel, allocation bool) {
	of = len(parts)
	for _, location := range sample.Location {
		for _, line := range location.Line {
			name := line.Function.Name
			kernel = kernel || strings.HasPrefix(name, "internal/runtime/syscall") || name == "runtime.futex" || name == "runtime.usleep"
			allocation = allocation || name == "runtime.mallocgc"
			for i := range parts[:of] {
				if parts[i].named.MatchString(name) {
					of = i
					break
				}
			}
		}
	}
	return of, kernel, allocation
}
