package console

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"time"

	"github.com/rotor-auth/rotor/cmd/rotor/console/timeline"
	"github.com/rotor-auth/rotor/shared/version"
)

//go:embed templates
var templates embed.FS

// page is a template that shows a T.
type page[T any] struct{ template *template.Template }

// newPage parses templates/name.html, which defines "main", into the layout. It panics if the
// template is wrong.
func newPage[T any](name string) page[T] {
	t := template.New("layout.html").Funcs(template.FuncMap{
		"instant": instant, "clock": clock, "span": timeline.Span, "lasts": lasts, "query": template.URLQueryEscaper,
		"either": either, "words": words, "cause": cause, "stamp": stamp, "rfc": rfc, "interval": interval, "age": age, "sessions": sessions,
		"eventName": eventName, "isLowerBound": isLowerBound, "isOpen": isOpen, "originName": originName, "isForeign": isForeign, "waitsForForeign": waitsForForeign, "waitsFor": waitsFor, "began": began, "capital": capital, "fault": fault,
	})
	return page[T]{template.Must(t.ParseFS(templates, "templates/layout.html", "templates/parts.html", "templates/"+name+".html"))}
}

// shown is what the layout shows. Body is that of the page.
type shown[T any] struct {
	Title      string
	Base       string // is before each path that the page links to
	Path       string // of this page
	Address    string // of the service
	Version    string
	Assets     string // the version of the assets
	Navigation []link
	Now        time.Time
	Body       T
}

// write answers with a page.
func write[T any](c *Console, w http.ResponseWriter, r *http.Request, status int, p page[T], title string, body T) {
	var b bytes.Buffer
	err := p.template.Execute(&b, shown[T]{
		Title: title, Base: c.Base, Path: r.URL.Path, Address: c.API.Address(), Version: version.Number, Assets: assetsVersion,
		Navigation: c.navigation(), Now: c.Now(), Body: body,
	})
	if err != nil {
		panic(err) // a template that does not fit its type, which the page's test shows
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(inert(b.Bytes())) // fails only if the browser has gone away
}
