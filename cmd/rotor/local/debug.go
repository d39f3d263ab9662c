package local

import (
	"net/http"
	"net/http/pprof"
	"strings"

	"github.com/rotor-auth/rotor/shared/problem"
)

// withDebug serves what the Go runtime knows of this program, for go tool pprof
// and for people, under the base path as well, and leaves the rest to next. Profiles name functions and count
// bytes; what is in memory is in none. Pages of other origins do not get here: see
// [guard].
//
//	GET /debug/pprof/                       what there is
//	GET /debug/pprof/profile?seconds=10     where CPU time goes, for as long as is asked
//	GET /debug/pprof/heap?gc=1&debug=1      what is in use after a collection
//	GET /debug/pprof/goroutine?debug=1      what runs and waits, and where
func withDebug(c *config, next http.Handler) http.Handler {
	const root = "/debug/pprof/"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := c.pathOf(r)
		if !strings.HasPrefix(path, root) {
			next.ServeHTTP(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			problem.Write(w, http.StatusMethodNotAllowed, "the method is not allowed here; see the Allow header")
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		switch strings.TrimPrefix(path, root) {
		case "cmdline":
			pprof.Cmdline(w, r)
		case "profile":
			pprof.Profile(w, r)
		case "symbol":
			pprof.Symbol(w, r)
		case "trace":
			pprof.Trace(w, r)
		default:
			// The profiles of runtime/pprof too, by name. Index knows them by their path alone.
			r = r.Clone(r.Context())
			r.URL.Path = path
			pprof.Index(w, r)
		}
	})
}
