package gateway

import (
	"log/slog"
	"net/http"
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
// [session.WithPrincipal] puts it. The handler logs any other request and answers 403
// before it reads anything: a request of a route without an authorizer or with
// another one, of another API, or of a function URL.
func Authorized(h http.Handler, c Callers, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, _ := algnhsa.APIGatewayV2RequestFromContext(r.Context())
		caller, why := callerOf(&event.RequestContext, c)
		if why == "" {
			h.ServeHTTP(w, r.WithContext(session.WithPrincipal(r.Context(), caller)))
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
