package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// Prefix is the path of an issuer, "" where it has none. Everything is published
// under it, and behind an API mapping or a stage of API Gateway it stays in the path
// of a request.
type Prefix struct {
	decoded string
	Written string // as in a URL
}

// PrefixOf returns an issuer's path. That the issuer is a URL is checked where it is
// configured.
func PrefixOf(issuer string) Prefix {
	u, err := url.Parse(issuer)
	if err != nil {
		return Prefix{}
	}
	return Prefix{strings.TrimSuffix(u.Path, "/"), strings.TrimSuffix(u.EscapedPath(), "/")}
}

// off returns the request without the prefix. A path without it stays as it is: what
// is in front may have taken it off. So does one that only looks as if it had it, as
// /oauth/token does where the prefix is /oauth.
func (p Prefix) off(mux *http.ServeMux, r *http.Request) *http.Request {
	path, ok := cutPath(r.URL.Path, p.decoded)
	if !ok {
		return r
	}
	rawPath, ok := cutPath(r.URL.RawPath, p.Written)
	if !ok && r.URL.RawPath != "" {
		return r
	}
	u := *r.URL
	u.Path, u.RawPath = path, rawPath
	without := r.WithContext(context.WithValue(r.Context(), prefixKey{}, p.Written))
	without.URL = &u
	if !routed(mux, without) && routed(mux, r) {
		return r
	}
	return without
}

// cutPath takes a prefix of whole segments off a path; ok says that it had one.
func cutPath(path, prefix string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, prefix)
	return rest, ok && prefix != "" && strings.HasPrefix(rest, "/")
}

// routed reports whether there is something at the request's path.
func routed(mux *http.ServeMux, r *http.Request) bool {
	_, pattern := mux.Handler(r)
	return pattern != "/"
}

type prefixKey struct{}

// TakenOff returns the issuer's path where a request had it, for the paths in an answer.
func TakenOff(r *http.Request) string {
	taken, _ := r.Context().Value(prefixKey{}).(string)
	return taken
}
