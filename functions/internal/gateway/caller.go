package gateway

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/akrylysov/algnhsa"
	"github.com/aws/aws-lambda-go/events"

	"github.com/rotor-auth/rotor/shared/api"
	"github.com/rotor-auth/rotor/shared/problem"
)

// Callers are those who may call the management API.
type Callers struct {
	APIID string // the API in whose name IAM authorizes them
	Local string // who calls where there is no gateway to say it; "" for nobody
}

// Authorized returns h for requests that API Gateway has sent in the name of our
// API, with an IAM principal that it has authorized: h finds the principal's ARN
// where [api.WithCaller] puts it. Any other request is answered 403, and logged,
// before anything is read: that of a route without authorizer or with another one,
// of another API, or of a function URL.
func Authorized(h http.Handler, c Callers, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, _ := algnhsa.APIGatewayV2RequestFromContext(r.Context())
		caller, why := callerOf(&event.RequestContext, c)
		if why == "" {
			h.ServeHTTP(w, r.WithContext(api.WithCaller(r.Context(), caller)))
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

// IsAPIID reports whether s can be the id of an API of API Gateway.
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
