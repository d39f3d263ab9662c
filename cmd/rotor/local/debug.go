package local

import (
	"net/http"
	"net/http/pprof"
	"strings"

	"github.com/rotor-auth/rotor/shared/problem"
)

// withDebug returns a handler that serves profiles of this program, for go tool pprof and for people, and passes other
// requests to next. It serves them under the base path as well. Profiles name functions and count bytes, but hold no
// contents of memory. [guard] keeps pages of other origins out.
//
//	GET /debug/pprof/                       the list of profiles
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
			// Index also serves the profiles of runtime/pprof, which it finds by their path.
			r = r.Clone(r.Context())
			r.URL.Path = path
			pprof.Index(w, r)
		}
	})
}
