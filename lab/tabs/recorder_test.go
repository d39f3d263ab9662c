//go:build tabs

package tabs

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The paths that a browser asks for by itself.
const (
	registration = "/oauth/dbsc/registration"
	renewal      = "/oauth/dbsc/renewal"
	token        = "/oauth/token"
)

// asked is one request to the service, and its answer.
type asked struct {
	path    string
	came    int // the place of its coming among all comings and answers
	left    int // that of its answer; 0 if there is none yet
	cookies []string
	header  http.Header
	status  int // 0 for no answer
	set     []*http.Cookie
	answer  http.Header
}

// recorder stands between browsers and a service. It notes each request, and may answer in place of the service.
type recorder struct {
	service http.Handler
	broken  func(bool) // breaks the service's store, or mends it

	mu    sync.Mutex
	fault func(path string) fault // nil for none
	steps int
	all   []*asked
}

// fault is what happens to a request.
type fault string

const (
	none        fault = ""
	unavailable fault = "503"    // in place of the service
	outage      fault = "outage" // the service has no store
	cut         fault = "cut"    // in place of an answer
	lost        fault = "lost"   // the service does its work, and the answer is cut
	silent      fault = "silent" // nothing comes until the browser gives up
)

// ServeHTTP implements [http.Handler].
func (g *recorder) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/oauth/") || r.Method != http.MethodPost {
		g.service.ServeHTTP(rw, r)
		return
	}
	a := &asked{path: r.URL.Path, header: r.Header.Clone()}
	for _, c := range r.Cookies() {
		a.cookies = append(a.cookies, c.Name)
	}
	g.mu.Lock()
	g.steps++
	a.came = g.steps
	g.all = append(g.all, a)
	what := none
	if g.fault != nil {
		what = g.fault(a.path)
	}
	g.mu.Unlock()
	answer := httptest.NewRecorder()
	switch what {
	case none, lost:
		g.service.ServeHTTP(answer, r)
	case outage:
		g.broken(true)
		g.service.ServeHTTP(answer, r)
		g.broken(false)
	case unavailable:
		answer.WriteHeader(http.StatusServiceUnavailable)
	case silent:
		<-r.Context().Done()
	}
	gone := what == cut || what == lost || what == silent || r.Context().Err() != nil
	g.mu.Lock()
	if !gone {
		a.status, a.set, a.answer = answer.Code, answer.Result().Cookies(), answer.Header()
	}
	g.steps++
	a.left = g.steps
	g.mu.Unlock()
	if gone {
		panic(http.ErrAbortHandler)
	}
	for name, values := range answer.Header() {
		rw.Header()[name] = values
	}
	rw.WriteHeader(answer.Code)
	_, _ = rw.Write(answer.Body.Bytes())
}

// harm sets what happens to requests from now on.
func (g *recorder) harm(fault func(path string) fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fault = fault
}

// of returns the requests to a path that came after a step, in order.
func (g *recorder) of(path string, after int) []asked {
	g.mu.Lock()
	defer g.mu.Unlock()
	var found []asked
	for _, a := range g.all {
		if a.path == path && a.came > after {
			found = append(found, *a)
		}
	}
	return found
}

// now returns the last step.
func (g *recorder) now() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.steps
}

// until waits for a request after a step that is answered so, and returns it.
func (g *recorder) until(t testing.TB, path string, after int, good func(asked) bool) asked {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); wait(t.Context(), 10*time.Millisecond) {
		all := g.of(path, after)
		if i := slices.IndexFunc(all, func(a asked) bool { return a.left > 0 && good(a) }); i >= 0 {
			return all[i]
		}
	}
	t.Fatalf("no request to %s was answered so; those after step %d are\n%s", path, after, g.story(after))
	return asked{}
}

// story tells what came after a step, without secrets.
func (g *recorder) story(after int) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var lines []string
	for _, a := range g.all {
		if a.came > after {
			lines = append(lines, a.String())
		}
	}
	return strings.Join(lines, "\n")
}

// String tells of a request what is no secret.
func (a asked) String() string {
	var set []string
	for _, c := range a.set {
		if c.MaxAge < 0 {
			set = append(set, "no "+c.Name)
		} else {
			set = append(set, c.Name)
		}
	}
	return fmt.Sprintf("%d–%d: %s with the cookies %v, a proof: %v, skipped: %v; answered %d with the cookies %v, a challenge: %v, a registration: %v",
		a.came, a.left, a.path, a.cookies, a.header.Get("Secure-Session-Response") != "", a.skipped(), a.status, set,
		a.answer.Get("Secure-Session-Challenge") != "", a.answer.Get("Secure-Session-Registration") != "")
}

// skipped returns why the browser could not renew its sessions before the request.
func (a asked) skipped() string {
	reason, _, _ := strings.Cut(a.header.Get("Secure-Session-Skipped"), ";")
	return reason
}

// parameter finds the quoted texts of a header that are no paths.
var parameter = regexp.MustCompile(`"([^"/]{20,})"`)

// secrets returns what no log may have, and no script may see: cookies, proofs, identifiers and challenges.
func (g *recorder) secrets() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := map[string]bool{}
	for _, a := range g.all {
		for _, c := range a.set {
			all[c.Value] = true
		}
		all[a.header.Get("Secure-Session-Response")] = true
		all[strings.Trim(a.header.Get("Sec-Secure-Session-Id"), `"`)] = true
		for _, name := range []string{"Secure-Session-Challenge", "Secure-Session-Registration"} {
			for _, m := range parameter.FindAllStringSubmatch(a.answer.Get(name), -1) {
				all[m[1]] = true
			}
		}
	}
	delete(all, "")
	return slices.Sorted(maps.Keys(all))
}
