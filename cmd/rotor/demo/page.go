package demo

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"strings"

	"github.com/rotor-auth/rotor/clients/manage"
)

//go:embed templates
var templates embed.FS

// page is a template that shows a T.
type page[T any] struct{ template *template.Template }

// newPage parses templates/name.html, which defines "main", into the layout. It panics if the
// template is wrong.
func newPage[T any](name string) page[T] {
	return page[T]{template.Must(template.ParseFS(templates, "templates/layout.html", "templates/"+name+".html"))}
}

// shown is what the layout shows. Body is that of the page.
type shown[T any] struct {
	Title  string
	Base   string // is before each path that the page links to
	Script string // the page's script, if it has one
	Body   T
}

// write answers with a page.
func write[T any](d *Demo, w http.ResponseWriter, status int, p page[T], title, script string, body T) {
	var b bytes.Buffer
	if err := p.template.Execute(&b, shown[T]{Title: title, Base: d.base, Script: script, Body: body}); err != nil {
		panic(err) // a template that does not fit its type, which the page's test shows
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // fails only if the browser has gone away
}

var homePage = newPage[struct{}]("home")

func (d *Demo) home(w http.ResponseWriter, _ *http.Request) error {
	write(d, w, http.StatusOK, homePage, "The whole circle", "", struct{}{})
	return nil
}

var scriptPage = newPage[struct{}]("spa")

// script shows the page whose script is an app.
func (d *Demo) script(w http.ResponseWriter, _ *http.Request) error {
	const name = "/demo/assets/spa.js"
	w.Header().Set("Content-Security-Policy", policy+"; connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'; script-src "+d.Issuer+name)
	write(d, w, http.StatusOK, scriptPage, "Demo: an app in the page", d.base+name, struct{}{})
	return nil
}

// refusal is an error that its page explains.
type refusal struct {
	status      int
	title, text string
}

func (e *refusal) Error() string { return e.text }

// failure is what an error page shows.
type failure struct {
	Text   string
	Fields []manage.FieldError // what the service finds wrong
}

var errorPage = newPage[failure]("error")

// fail answers with the page of an error.
func (d *Demo) fail(w http.ResponseWriter, err error) {
	var (
		own     *refusal
		refused *manage.Error
	)
	switch {
	case errors.As(err, &own):
		write(d, w, own.status, errorPage, own.title, "", failure{Text: own.text})
	case errors.As(err, &refused) && refused.Status < 500:
		cause := "."
		if len(refused.Fields) == 0 { // which the page lists
			cause = ": " + refused.Detail + "."
		}
		write(d, w, http.StatusBadRequest, errorPage, "The app’s request is wrong", "", failure{
			Text: "The service refused it" + cause + " Nobody is sent back to an app that asks like this.", Fields: refused.Fields,
		})
	default:
		write(d, w, http.StatusBadGateway, errorPage, "The service has a problem", "", failure{Text: "It gave no usable answer. Try again in a moment."})
	}
}

// printable returns a text of somebody else with every character but those of plain ASCII
// replaced, and cut to a length that fits a page.
func printable(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '\ufffd'
		}
		return r
	}, s)
}
