//go:build prove

package prove

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/lab/process"
)

const (
	instances = 5 // of the function, at the same time
	killsEach = kills / instances

	// Nobody moves the function's clock. Instead each instance has many families: the reuse
	// interval of the first has passed when the last is refreshed.
	lambdaFamilies = 20 // families of each instance
	lambdaClient   = "kill"
	lambdaInterval = 10 // seconds; far longer than a program takes to start, so that no retry is too late
)

// TestKillLambda kills the token function's program fifty times during an invocation, under a
// Runtime API of the test's own. A client that retries with the token that it holds must get
// its successor.
func TestKillLambda(t *testing.T) {
	began := time.Now()
	l := newLoad(t) // the local program, for logins and to read records
	defer l.end()
	// The Makefile builds it with the same flags, except for the path and the processor.
	function, err := process.Build(t.TempDir(), "./functions/token", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w -buildid=")
	if err != nil {
		t.Fatal(err)
	}
	event, err := process.SampleEvent("token-refresh")
	if err != nil {
		t.Fatal(err)
	}
	must(t, l.http, http.MethodPut, *l.url.Load()+"/v1/clients/"+lambdaClient, map[string]any{
		"type": "public", "policy": map[string]int{"reuse_interval": lambdaInterval},
	})
	var apps []*follower
	var killed, late atomic.Int64
	for n := range instances {
		i := &instance{load: l, function: function, event: event, took: map[bool]time.Duration{}}
		var own []*follower
		for m := range lambdaFamilies {
			f, err := l.login(lambdaClient, fmt.Sprintf("user-%d-%d", n, m))
			if err != nil {
				t.Fatal(err)
			}
			f.refresh = i.refresh
			own = append(own, f)
		}
		apps = append(apps, own...)
		l.all.Go(func() {
			defer i.end()
			i.follow(own)
			killed.Add(int64(i.killed))
			late.Add(int64(i.late))
		})
	}
	l.all.Wait()
	for _, f := range apps {
		f.refresh = l.refreshAs(lambdaClient)
	}
	l.lasts(apps, func(f *follower) error { return f.next(either) })
	t.Logf("%d kills in mid-invocation, and %d that came after the answer, in %s: %d refreshes were answered; %d of those that were cut had been written",
		killed.Load(), late.Load(), time.Since(began).Round(time.Second), l.seen.answered.Load(), l.seen.written.Load())
	if l.seen.written.Load() == 0 {
		t.Error("no kill fell between a write and its answer: the test has not met what it is for")
	}
}

// instance is an execution environment of the function, in which one program runs after the
// other.
type instance struct {
	*load
	function string
	event    process.Event // a refresh as API Gateway sends it
	doomed   bool          // the next invocation is to be cut

	run    *process.Function      // nil if no program runs
	warm   bool                   // whether it has answered before
	took   map[bool]time.Duration // how long the last answer took, by warm
	killed int                    // programs killed during an invocation
	late   int                    // programs that answered before they were killed
}

// follow refreshes one family after the other, each once its last rotation is a reuse interval
// ago, until enough programs were killed.
func (i *instance) follow(own []*follower) {
	begun := make([]time.Time, len(own)) // the reuse interval after the last rotation, at the latest
	for n := 0; i.going.Err() == nil && i.killed < killsEach; n = (n + 1) % len(own) {
		select {
		case <-time.After(time.Until(begun[n].Add(lambdaInterval * time.Second))):
		case <-i.going.Done():
			return
		}
		i.doomed = rand.IntN(3) == 0
		i.check(own[n].next(rotates))
		begun[n] = time.Now()
	}
}

var errCut = errors.New("the program was killed before it answered")

// refresh invokes the function. A doomed program is killed at some moment after it got the
// invocation, if it has not answered by then.
func (i *instance) refresh(token string) (answer, error) {
	doomed := i.doomed
	i.doomed = false // the next one is not doomed
	if i.run == nil {
		if err := i.begin(); err != nil {
			i.check(err)
			return answer{}, err
		}
	}
	payload, err := i.event.WithBody(refreshForm(lambdaClient, token).Encode())
	if err != nil {
		return answer{}, err
	}
	select {
	case i.run.Events <- payload:
	case <-i.run.Ended():
		return answer{}, i.ended()
	}
	given := time.Now()
	var kill <-chan time.Time
	if doomed {
		kill = time.After(rand.N(max(i.took[i.warm]*5/4, time.Millisecond)))
	}
	select {
	case a := <-i.run.Answers:
		i.took[i.warm] = time.Since(given)
		i.warm = true
		return i.read(a)
	case <-i.run.Ended():
		return answer{}, i.ended()
	case <-kill:
	}
	answers := i.run.Answers
	i.end()
	select {
	case a := <-answers:
		i.late++
		return i.read(a)
	default:
		i.killed++
		return answer{}, errCut
	}
}

// ended fails the test if a program ended that was not killed.
func (i *instance) ended() error {
	err := fmt.Errorf("the function's program has ended by itself: %.2000s", i.run.Output())
	i.check(err)
	return err
}

// begin starts a program.
func (i *instance) begin() error {
	r, err := process.StartFunction(i.ctx, i.function, "token", 512,
		"AWS_ENDPOINT_URL_DYNAMODB="+i.ground.dynamo,
		"ROTOR_TABLE="+i.ground.table, "ROTOR_KEYS_FILE="+i.ground.keys, "ROTOR_ISSUER=https://auth.example.com", "ROTOR_ORIGINS=https://app.example.com")
	if err != nil {
		return err
	}
	i.run, i.warm = r, false
	return nil
}

// end kills the program if one runs.
func (i *instance) end() {
	if i.run == nil {
		return
	}
	i.check(i.run.Kill())
	i.run = nil
}

// read returns what the function answered to the gateway.
func (i *instance) read(given process.Answer) (answer, error) {
	var result struct {
		Status int    `json:"statusCode"`
		Body   string `json:"body"`
	}
	a := answer{}
	if err := errors.Join(json.Unmarshal(given.Body, &result), json.Unmarshal([]byte(result.Body), &a.body)); err != nil || !strings.HasSuffix(given.Path, "/response") {
		err = fmt.Errorf("the function answers %s, not to the gateway: %w", given.Path, err)
		i.check(err)
		return answer{}, err
	}
	a.status = result.Status
	return a, nil
}
