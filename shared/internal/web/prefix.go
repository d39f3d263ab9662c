package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// Prefix is the path of an issuer's URL, "" if it has none. All public URLs begin with
// it. Behind an API mapping or a stage of API Gateway, so do the paths of requests.
type Prefix struct {
	decoded string
	Escaped string // percent-encoded, as in a URL
}

// PrefixOf returns an issuer's path. An issuer that is no URL is rejected when the
// configuration is loaded.
func PrefixOf(issuer string) Prefix {
	u, err := url.Parse(issuer)
	if err != nil {
		return Prefix{}
	}
	return Prefix{strings.TrimSuffix(u.Path, "/"), strings.TrimSuffix(u.EscapedPath(), "/")}
}

// strip returns the request with the prefix removed from its path. A path without the
// prefix is left alone, since a proxy may have removed it. So is a path that has a route
// only as it is, such as /oauth/token under the prefix /oauth.
func (p Prefix) strip(mux *http.ServeMux, r *http.Request) *http.Request {
	path, ok := cutPath(r.URL.Path, p.decoded)
	if !ok {
		return r
	}
	rawPath, ok := cutPath(r.URL.RawPath, p.Escaped)
	if !ok && r.URL.RawPath != "" {
		return r
	}
	u := *r.URL
	u.Path, u.RawPath = path, rawPath
	without := r.WithContext(context.WithValue(r.Context(), strippedKey{}, p.Escaped))
	without.URL = &u
	if !hasRoute(mux, without) && hasRoute(mux, r) {
		return r
	}
	return without
}

// cutPath removes a prefix of whole segments from a path. ok reports whether the path had it.
func cutPath(path, prefix string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, prefix)
	return rest, ok && prefix != "" && strings.HasPrefix(rest, "/")
}

// hasRoute reports whether an endpoint is registered for the request's path.
func hasRoute(mux *http.ServeMux, r *http.Request) bool {
	_, pattern := mux.Handler(r)
	return pattern != "/"
}

type strippedKey struct{}

// StrippedPrefix returns the prefix that was removed from the request's path, "" if none
// was. Paths in an answer begin with it.
func StrippedPrefix(r *http.Request) string {
	prefix, _ := r.Context().Value(strippedKey{}).(string)
	return prefix
}
