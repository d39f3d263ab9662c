package load

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// pause is how long a worker waits after a failure, so that it does not flood a
// Rotor that is down.
const pause = 10 * time.Millisecond

// Run says how long, and with how many workers, [Generator.Run] makes load. It ends
// when Requests or For is reached, whichever is first. One of them may be left out.
type Run struct {
	Workers  int           // requests in progress at a time; with 1, one after another
	Requests int           // how many in all
	For      time.Duration // after which no request begins
}

// Run makes workers refresh. Each takes the session that has been free for longest,
// presents its token, keeps the successor, and takes the next session. A token that
// gets no successor is kept and presented again. When ctx is done, Run stops and
// returns the result so far with the error.
func (g *Generator) Run(ctx context.Context, run Run) (*Result, error) {
	if run.Workers < 1 || run.Workers > g.sessions {
		return nil, errors.New("run a load: there must be a worker, and a session for each")
	}
	if run.Requests <= 0 && run.For <= 0 {
		return nil, errors.New("run a load: it must end somewhere")
	}
	begun := time.Now()
	var tickets atomic.Int64
	more := func() bool {
		return ctx.Err() == nil && (run.For <= 0 || time.Since(begun) < run.For) &&
			(run.Requests <= 0 || tickets.Add(1) <= int64(run.Requests))
	}
	results := make([]*Result, run.Workers)
	var workers sync.WaitGroup
	for i := range results {
		results[i] = newResult()
		workers.Go(func() { g.work(ctx, more, results[i]) })
	}
	workers.Wait()
	all := Merge(results...)
	all.Elapsed = time.Since(begun)
	return all, ctx.Err()
}

func (g *Generator) work(ctx context.Context, more func() bool, result *Result) {
	c := &caller{Generator: g}
	for more() {
		var s *session
		select {
		case s = <-g.free:
		case <-ctx.Done():
			return
		}
		o := c.refresh(ctx, s.token)
		if o.succeeded() {
			s.token = o.token
		}
		g.giveBack(s)
		if !o.succeeded() && ctx.Err() != nil {
			return // stopped by ctx
		}
		result.add(o)
		if !o.succeeded() {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
		}
	}
}

// Race presents one token of one session many times at the same moment. All must get
// the same successor; one that differs from that of most is a failure. The session
// continues with it. Race needs a client with a reuse interval, and a session that
// has not rotated within it.
func (g *Generator) Race(ctx context.Context, racers int) (*Result, error) {
	taken, err := g.take(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer g.giveBack(taken...)
	s := taken[0]
	tokens := make([]string, racers)
	for i := range tokens {
		tokens[i] = s.token
	}
	outcomes, elapsed := g.atOnce(ctx, tokens)
	most, successors := "", map[string]int{}
	for i := range outcomes {
		if o := &outcomes[i]; o.succeeded() {
			successors[o.token]++
			if successors[o.token] > successors[most] {
				most = o.token
			}
		}
	}
	result := newResult()
	for _, o := range outcomes {
		if o.succeeded() && o.token != most {
			o.token, o.wrong = "", AnotherSuccessor
		}
		result.add(o)
	}
	if most != "" {
		s.token = most
	}
	result.Successors, result.Elapsed = len(successors), elapsed
	return result, ctx.Err()
}

// Spread presents the tokens of many sessions at the same moment, each once. If
// there is a reuse interval, none of them may have rotated within it.
func (g *Generator) Spread(ctx context.Context, sessions int) (*Result, error) {
	taken, err := g.take(ctx, sessions)
	if err != nil {
		return nil, err
	}
	defer g.giveBack(taken...)
	tokens := make([]string, len(taken))
	for i, s := range taken {
		tokens[i] = s.token
	}
	outcomes, elapsed := g.atOnce(ctx, tokens)
	result, successors := newResult(), map[string]bool{}
	for i, o := range outcomes {
		if o.succeeded() {
			successors[o.token] = true
			taken[i].token = o.token
		}
		result.add(o)
	}
	result.Successors, result.Elapsed = len(successors), elapsed
	return result, ctx.Err()
}

// atOnce presents all tokens at the same moment.
func (g *Generator) atOnce(ctx context.Context, tokens []string) ([]outcome, time.Duration) {
	outcomes := make([]outcome, len(tokens))
	start := make(chan struct{})
	var ready, done sync.WaitGroup
	for i, token := range tokens {
		ready.Add(1)
		done.Go(func() {
			c := &caller{Generator: g}
			ready.Done()
			<-start
			outcomes[i] = c.refresh(ctx, token)
		})
	}
	ready.Wait()
	began := time.Now()
	close(start)
	done.Wait()
	return outcomes, time.Since(began)
}
