// Package demo serves a login page and two apps, in a local run: so that people see in a
// browser how an authorization code goes from a login to an app, and what the app does with
// the tokens. One app is a script in a page, the other is a server.
//
// The login and the apps know of each other no more than a real login and real apps do. They
// reach the service by its public endpoints, and the login also by /v1.
package demo

import (
	"context"
	"embed"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/loopback"
)

// The clients of the two apps, and where a browser is sent back to.
const (
	ScriptClient   = "demo-spa"
	ServerClient   = "demo-web"
	ScriptPath     = "/demo/spa/"
	ServerPath     = "/demo/app/"
	ServerCallback = "/demo/app/callback"
	LoginPath      = "/demo/login"
)

// Config is what a demo needs.
type Config struct {
	API    *manage.Client    // is how the login calls the service
	Server http.RoundTripper // is how the server app calls the service
	Issuer string            // is the service's address, under which the demo is served
	Host   string            // is the host listened on, and is accepted in the Host header besides loopback's names
	Secret string            // of ServerClient; "" if it is not known, as the server app's page then says
	Now    func() time.Time  // is the service's clock
}

// Demo serves the login and the apps.
type Demo struct {
	Config
	origin, base string // of the issuer
	oauth        oauth2.Config
	sessions     sessions
	mux          *http.ServeMux
}

// New returns a Demo. It serves all paths that [Owns] reports.
func New(c Config) (*Demo, error) {
	issuer, err := url.Parse(c.Issuer)
	if err != nil {
		return nil, err
	}
	d := &Demo{Config: c, origin: issuer.Scheme + "://" + issuer.Host, base: issuer.Path, mux: http.NewServeMux()}
	d.oauth = oauth2.Config{
		ClientID: ServerClient, ClientSecret: c.Secret, RedirectURL: c.Issuer + ServerCallback, Scopes: []string{"openid", "profile"},
		Endpoint: oauth2.Endpoint{AuthURL: c.Issuer + "/authorize", TokenURL: c.Issuer + "/oauth/token", AuthStyle: oauth2.AuthStyleInHeader},
	}
	d.routes()
	return d, nil
}

// Owns reports whether a path belongs to the demo.
func Owns(path string) bool { return path == "/demo" || strings.HasPrefix(path, "/demo/") }

func (d *Demo) routes() {
	d.page("GET /demo", d.home)
	d.page("GET /demo/{$}", d.home)
	d.page("GET /demo/assets/{file}", d.asset)
	d.page("GET "+LoginPath, d.showLogin)
	d.page("POST "+LoginPath, d.login)
	d.page("GET "+ScriptPath+"{$}", d.script)
	d.page("GET "+ServerPath+"{$}", d.server)
	d.page("GET /demo/app/login", d.startLogin)
	d.page("GET "+ServerCallback, d.callback)
	d.page("POST /demo/app/refresh", d.refresh)
	d.page("POST /demo/app/logout", d.logout)
}

// isEntrance reports whether browsers are led to the path by pages of other origins: apps lead
// to the login, and a login leads back to the apps.
func isEntrance(path string) bool {
	return path == LoginPath || path == ScriptPath || path == ServerCallback
}

// pageTimeout limits the work for one page. A call of /v1 is repeated if the service is busy.
const pageTimeout = 30 * time.Second

// page registers a handler. Its error becomes an error page.
func (d *Demo) page(pattern string, serve func(http.ResponseWriter, *http.Request) error) {
	d.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
		defer cancel()
		if err := serve(w, r.WithContext(ctx)); err != nil {
			d.fail(w, err)
		}
	})
}

const (
	// policy is the Content-Security-Policy of pages without a script.
	policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

	maxForm  = 4 << 10 // bytes of a posted form, which has two short fields
	maxQuery = 8 << 10 // bytes of a query string, as at /authorize
)

// ServeHTTP answers a request of this machine's user. It refuses a Host that does not name this
// machine, and requests of pages of another origin, unless they lead a tab to an entrance.
func (d *Demo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	loopback.Secure(w.Header(), policy)
	if rest, ok := strings.CutPrefix(r.URL.Path, d.base); ok && d.base != "" {
		r = r.Clone(r.Context())
		r.URL.Path, r.URL.RawPath = rest, ""
	}
	switch {
	case !loopback.IsOwnHost(r.Host, d.Host):
		d.fail(w, &refusal{http.StatusMisdirectedRequest, "Wrong address", "The demo is reached as 127.0.0.1, [::1] or localhost."})
	case loopback.FromElsewhere(r) && !(isEntrance(r.URL.Path) && loopback.IsVisit(r)):
		d.fail(w, &refusal{http.StatusForbidden, "Refused", "This request comes from a web page of another origin. Type or paste the demo's address into the address bar."})
	case len(r.URL.RawQuery) > maxQuery:
		d.fail(w, &refusal{http.StatusRequestURITooLong, "Too long", "The query string is longer than 8 KiB."})
	case r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost:
		w.Header().Set("Allow", "GET, HEAD, POST")
		d.fail(w, &refusal{http.StatusMethodNotAllowed, "Refused", "The demo takes GET and POST alone."})
	case r.Method != http.MethodPost && "http://"+r.Host != d.origin:
		// Cookies and what a script stores belong to one name of this machine: the issuer's.
		http.Redirect(w, r, d.origin+r.URL.RequestURI(), http.StatusFound) //nolint:gosec // the origin is this program's, whatever follows it
	case r.Method == http.MethodPost && !d.readForm(w, r):
	default:
		if _, pattern := d.mux.Handler(r); pattern == "" {
			d.fail(w, &refusal{http.StatusNotFound, "Not found", "The demo has no such page."})
			return
		}
		d.mux.ServeHTTP(w, r)
	}
}

// readForm reports whether it could read a posted form. If not, it has answered.
func (d *Demo) readForm(w http.ResponseWriter, r *http.Request) bool {
	if !loopback.IsForm(r) {
		d.fail(w, &refusal{http.StatusUnsupportedMediaType, "Refused", "The demo takes forms alone."})
		return false
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		d.fail(w, &refusal{http.StatusRequestEntityTooLarge, "Too long", "What was sent is no form, or is longer than 4 KiB."})
		return false
	}
	return true
}

// toServer sends the browser to the page of the server app.
func (d *Demo) toServer(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, d.base+ServerPath, http.StatusSeeOther)
	return nil
}

//go:embed assets
var assets embed.FS

// asset serves a file that the pages load.
func (d *Demo) asset(w http.ResponseWriter, r *http.Request) error {
	name := "assets/" + r.PathValue("file")
	if _, err := fs.Stat(assets, name); err != nil {
		return &refusal{http.StatusNotFound, "Not found", "The demo has no such file."}
	}
	http.ServeFileFS(w, r, assets, name)
	return nil
}
