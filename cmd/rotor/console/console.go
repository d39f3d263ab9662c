// Package console serves the console, which shows people in a browser why a token died,
// and the families, clients and events of a service. All that it knows it asks of the
// management API. Its pages are templates of Go, and work without scripts.
package console

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/console/timeline"
	"github.com/rotor-auth/rotor/cmd/rotor/loopback"
)

// Config is what a console needs. All but API and Now may be left out.
type Config struct {
	API  *manage.Client   // calls the service
	Now  func() time.Time // is the service's clock
	Host string           // is the host listened on, and is accepted in the Host header besides loopback's names
	Base string           // is the path before /console, such as /auth; "" for none. A Key has its own

	// Trail returns what this process has seen of a family: a local run knows every use, of
	// which a service stores only those that matter. The console may keep and change the slice.
	Trail func(family string) []timeline.Moment
	// Log is told of bugs; nil for none.
	Log *slog.Logger
	// Key keeps other users of this machine out; nil for a service that asks for no rights anyway.
	Key *Key
	// Playground is at / in a local run.
	Playground *Playground
}

// Console serves the pages of the console.
type Console struct {
	Config
	mux   *http.ServeMux
	plays plays
	notes notes
}

// New returns a Console. It serves / and all paths that [Owns] reports.
func New(c Config) *Console {
	if c.Key != nil {
		c.Base = c.Key.base
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	console := &Console{Config: c, mux: http.NewServeMux()}
	console.routes()
	return console
}

// Owns reports whether a path belongs to the console, / apart.
func Owns(path string) bool { return path == "/console" || strings.HasPrefix(path, "/console/") }

// navigation lists the pages that every page links to.
var navigation = []link{
	{"/console/explain", "Explain a token"},
	{"/console/users", "Users"},
	{"/console/clients", "Clients"},
	{"/console/events", "Events"},
}

// link is a page in the navigation.
type link struct{ Path, Name string }

func (c *Console) routes() {
	c.mux.HandleFunc("GET /console/assets/{file}", c.asset)
	c.page("GET /{$}", c.home)
	c.page("GET /console/{$}", c.begin)
	c.page("GET /console", c.begin)
	c.page("GET /console/explain", c.askExplain)
	c.page("POST /console/explain", c.explain)
	if c.Playground != nil {
		c.change("POST /console/play", "The step may have been done all the same.", c.playStep)
	}
	c.page("GET /console/users", c.user)
	c.page("POST /console/users", c.findUser)
	c.page("GET /console/users/end", c.askEnd)
	c.change("POST /console/users/end", "Sessions may have ended all the same, all of them or a part.", c.end)
	c.page("GET /console/clients", c.clients)
	c.page("GET /console/clients/{client}", c.client)
	c.page("GET /console/clients/{client}/policy", c.askPolicy)
	c.change("POST /console/clients/{client}/policy", "The policy may have been saved all the same.", c.setPolicy)
	c.change("POST /console/clients/{client}/secrets", "A secret may have been made all the same. Nobody can see it any more: remove it, and make another.", c.addSecret)
	c.change("POST /console/clients/{client}/secrets/{secret}/remove", "The secret may have been removed all the same.", c.removeSecret)
	c.page("GET /console/events", c.events)
	c.page("POST /console/events", c.findEvents)
}

// ServeHTTP answers a request, unless it is refused by the guard.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	loopback.Secure(w.Header(), policy)
	switch {
	case r.URL.Path == "/favicon.ico": // browsers ask for it where a page, such as the locked one, names no icon
		w.WriteHeader(http.StatusNoContent)
		return
	case c.Key != nil && !c.Key.isUnder(r.URL.Path): // before all that answers with a page, since pages name the path
		lock(w)
		return
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, c.Base); ok && c.Base != "" && (rest == "" || rest[0] == '/') {
		r = r.Clone(r.Context())
		r.URL.Path = "/" + strings.TrimPrefix(rest, "/")
		r.URL.RawPath = strings.TrimPrefix(r.URL.RawPath, c.Base)
	}
	c.guarded(w, r)
}

// pageTimeout limits the work for one page. A call of the API is repeated if the service is busy.
const pageTimeout = 30 * time.Second

// page registers a handler that changes nothing. Its error becomes an error page.
func (c *Console) page(pattern string, serve func(http.ResponseWriter, *http.Request) error) {
	c.change(pattern, "", serve)
}

// change registers a handler that changes something. unsure says what may have been done if the
// service has not said that it refuses.
func (c *Console) change(pattern, unsure string, serve func(http.ResponseWriter, *http.Request) error) {
	c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
		defer cancel()
		defer func() {
			if value := recover(); value != nil {
				c.failBadly(w, r, value, unsure)
			}
		}()
		if err := serve(w, r.WithContext(ctx)); err != nil {
			c.fail(w, r, err, unsure)
		}
	})
}

// redirect sends the browser to another page after a form was posted, so that reloading it
// posts nothing.
func (c *Console) redirect(w http.ResponseWriter, r *http.Request, path string) error {
	http.Redirect(w, r, c.Base+path, http.StatusSeeOther)
	return nil
}

// home shows the playground, if there is one.
func (c *Console) home(w http.ResponseWriter, r *http.Request) error {
	if c.Playground != nil {
		return c.showPlay(w, r)
	}
	return c.begin(w, r)
}

func (c *Console) begin(w http.ResponseWriter, r *http.Request) error {
	return c.redirect(w, r, "/console/explain")
}

//go:embed assets
var assets embed.FS

// assetsVersion is in the addresses of the assets, so that browsers may keep them and see a new
// one at once.
var assetsVersion = func() string {
	h := sha256.New()
	err := fs.WalkDir(assets, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := assets.ReadFile(path)
		h.Write(text)
		return err
	})
	if err != nil {
		panic(err) // they are in the program
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}()

// asset serves a file that the pages load. They have no secrets.
func (c *Console) asset(w http.ResponseWriter, r *http.Request) {
	name := "assets/" + r.PathValue("file")
	if info, err := fs.Stat(assets, name); err != nil || info.IsDir() {
		write(c, w, r, http.StatusNotFound, errorPage, "Not found", failure{Text: "The console has no such file."})
		return
	}
	if r.URL.Query().Get("v") == assetsVersion {
		w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	http.ServeFileFS(w, r, assets, name)
}

// navigation returns the pages to link to.
func (c *Console) navigation() []link {
	if c.Playground == nil {
		return navigation
	}
	return append([]link{{"/", "Playground"}, {"/demo/", "Demo apps"}}, navigation...)
}
