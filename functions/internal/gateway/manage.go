package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/akrylysov/algnhsa"
	"github.com/aws/aws-lambda-go/events"

	"github.com/rotor-auth/rotor/shared/api"
)

// ManageConfig is what the program that serves the management API is told by its
// environment.
type ManageConfig struct {
	Config
	APIID string // ROTOR_API_ID: the id of the API in whose name IAM authorizes callers

	// LocalCaller is ROTOR_LOCAL_CALLER: who calls where there is no gateway to say
	// it, for runs on a developer's machine. Such a run has its keys in a file: with
	// keys in Secrets Manager it is refused.
	LocalCaller string
}

// LoadManageConfig reads that configuration, as [LoadConfig] does.
func LoadManageConfig(getenv func(string) string) (ManageConfig, error) {
	base, err := LoadConfig(getenv)
	e := environment{getenv: getenv}
	c := ManageConfig{Config: base, APIID: e.apiID("ROTOR_API_ID"), LocalCaller: getenv("ROTOR_LOCAL_CALLER")}
	if c.LocalCaller != "" && c.KeysFile == "" {
		e.wrong("ROTOR_LOCAL_CALLER", c.LocalCaller, "left out unless the keys are in a file: it lets everybody call")
	}
	return c, errors.Join(append([]error{err}, e.errs...)...)
}

// Manage is the main of the function that serves the management API. It is as
// [Main], but lets nobody call whom IAM has not authorized.
func Manage() { Run(LoadManageConfig, wireManage) }

func wireManage(ctx context.Context, c ManageConfig, log *slog.Logger) (any, error) {
	a, err := warmed(ctx, c.Config, log, (*api.API).Warm)
	if err != nil {
		return nil, err
	}
	return NewHandler(Authorized(a.Manage(), c, log), log), nil
}

// Authorized returns h for requests that API Gateway has sent in the name of our
// API, with an IAM principal that it has authorized: h finds the principal's ARN
// where [api.WithCaller] puts it. Any other request is answered 403, and logged,
// before anything is read: that of a route without authorizer or with another one,
// of another API, or of a function URL.
func Authorized(h http.Handler, c ManageConfig, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, _ := algnhsa.APIGatewayV2RequestFromContext(r.Context())
		caller, why := callerOf(&event.RequestContext, c)
		if why == "" {
			h.ServeHTTP(w, r.WithContext(api.WithCaller(r.Context(), caller)))
			return
		}
		id := event.RequestContext.APIID
		if !isAPIID(id) {
			id = ""
		}
		log.WarnContext(r.Context(), "caller refused", slog.String("reason", why), slog.String("api_id", id),
			slog.String("http_request_id", event.RequestContext.RequestID))
		forbidden(w)
	})
}

// callerOf returns the principal that IAM has authorized, or why there is none.
func callerOf(request *events.APIGatewayV2HTTPRequestContext, c ManageConfig) (arn, why string) {
	authorizer := request.Authorizer
	switch {
	case authorizer == nil && c.LocalCaller != "":
		return c.LocalCaller, ""
	case authorizer == nil || authorizer.IAM == nil || !strings.HasPrefix(authorizer.IAM.UserARN, "arn:"):
		return "", "no_identity"
	case request.APIID != c.APIID:
		return "", "another_api"
	}
	return authorizer.IAM.UserARN, ""
}

// forbidden answers with a problem document of RFC 9457, as the API does.
func forbidden(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/problem+json")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusForbidden)
	const problem = `{"type":"about:blank","title":"Forbidden","status":403,"detail":"this call was not authorized by IAM at the gateway of this API"}`
	_, _ = w.Write([]byte(problem + "\n")) // into memory
}
