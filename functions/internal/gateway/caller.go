package gateway

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/akrylysov/algnhsa"
	"github.com/aws/aws-lambda-go/events"

	"github.com/rotor-auth/rotor/shared/problem"
	"github.com/rotor-auth/rotor/shared/session"
)

// Callers says who may call the management API.
type Callers struct {
	APIID string // the HTTP API at whose gateway IAM authorizes callers
	Local string // the caller to assume if there is no gateway; "" for none
}

// Authorized returns a handler that passes to h the requests of our HTTP API for
// which IAM has authorized a principal. h finds the principal's ARN where
// [session.WithPrincipal] puts it, and the call of the gateway's route: see [urlOfRoute].
// The handler logs any other request and answers 403
// before it reads anything: a request of a route without an authorizer or with
// another one, of another API, or of a function URL.
func Authorized(h http.Handler, c Callers, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, _ := algnhsa.APIGatewayV2RequestFromContext(r.Context())
		caller, why := callerOf(&event.RequestContext, c)
		if why == "" {
			r = r.WithContext(session.WithPrincipal(r.Context(), caller))
			if r.URL = urlOfRoute(&event); r.URL == nil {
				problem.Write(w, http.StatusBadRequest, "the path is not that of the gateway's route")
				return
			}
			h.ServeHTTP(w, r)
			return
		}
		id := event.RequestContext.APIID
		if !IsAPIID(id) {
			id = ""
		}
		log.WarnContext(r.Context(), "caller refused", slog.String("reason", why), slog.String("api_id", id),
			slog.String("http_request_id", event.RequestContext.RequestID))
		problem.Write(w, http.StatusForbidden, "this call was not authorized by IAM at the gateway of this API")
	})
}

// urlOfRoute returns the request's URL so that h serves the call that IAM has allowed,
// which is the one in the route key. The path in the event cannot tell: it is decoded, and
// a slash in an id looks like one between segments. For a route with a greedy variable,
// or of no method, the URL has the event's path. For a path that is not the route's, it
// returns nil.
func urlOfRoute(event *events.APIGatewayV2HTTPRequest) *url.URL {
	u := &url.URL{Path: event.RawPath, RawQuery: event.RawQueryString}
	method, template, ok := strings.Cut(event.RouteKey, " ")
	if !ok || method == "ANY" || strings.Contains(template, "+}") {
		return u
	}
	if method != event.RequestContext.HTTP.Method {
		return nil
	}
	// The variables are decoded as the path is. Should they not be, they are decoded here.
	for _, decode := range []func(string) (string, error){func(s string) (string, error) { return s, nil }, url.PathUnescape} {
		var path, escaped string
		for segment := range strings.SplitSeq(strings.TrimPrefix(template, "/"), "/") {
			if name, ok := strings.CutPrefix(segment, "{"); ok {
				var err error
				if segment, err = decode(event.PathParameters[strings.TrimSuffix(name, "}")]); err != nil || segment == "" {
					return nil
				}
			}
			path += "/" + segment
			escaped += "/" + url.PathEscape(segment)
		}
		if prefix, ok := strings.CutSuffix(event.RawPath, path); ok { // the path of an API mapping, if any
			u.RawPath = (&url.URL{Path: prefix}).EscapedPath() + escaped
			return u
		}
	}
	return nil
}

// IsAPIID reports whether s can be the id of an API in API Gateway.
func IsAPIID(s string) bool {
	const characters = "abcdefghijklmnopqrstuvwxyz0123456789"
	return s != "" && len(s) <= 32 && strings.Trim(s, characters) == ""
}

// callerOf returns the principal that IAM has authorized, or why there is none.
func callerOf(request *events.APIGatewayV2HTTPRequestContext, c Callers) (arn, why string) {
	authorizer := request.Authorizer
	switch {
	case authorizer == nil && c.Local != "":
		return c.Local, ""
	case authorizer == nil || authorizer.IAM == nil || !strings.HasPrefix(authorizer.IAM.UserARN, "arn:"):
		return "", "no_identity"
	case request.APIID != c.APIID:
		return "", "another_api"
	}
	return authorizer.IAM.UserARN, ""
}
