package manage

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
)

// changesNothing is the name of an operation that is not recorded in the audit log.
const changesNothing = ""

// operation returns the name under which the audit log records a call with that method, or
// changesNothing. A call without a name that is not a GET is named by its method and path, so
// that no change can stay unrecorded.
func (e endpoint) operation(method string) string {
	if !strings.HasPrefix(e.path, "/v1/") || method == http.MethodGet {
		return changesNothing
	}
	if name, ok := e.operations[method]; ok {
		return name
	}
	return method + " " + e.path
}

type operationKey struct{}

// audited returns h with an audit event for each call, successful or not. The event has the
// user, client, family and secret in the path and the query. The handler adds others to the
// event that [operationOf] returns.
func (a *API) audited(name string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e := web.CallerOf(r).Event(audit.Operation, a.Now())
		e.Name = name
		e.Status = http.StatusInternalServerError // unless h answers, thus after a panic
		q := r.URL.Query()                        // h refuses a malformed query
		setUserAndClient(&e, q.Get("user_id"), cmp.Or(r.PathValue("client_id"), q.Get("client_id")))
		e.DryRun, _ = strconv.ParseBool(q.Get("dry_run"))
		if id, err := family.ParseID(r.PathValue("family")); err == nil {
			e.Family = id
		}
		if id, err := ulid.ParseStrict(r.PathValue("secret_id")); err == nil {
			e.SecretID = id.String()
		}
		answer := &statusWriter{ResponseWriter: w}
		defer func() {
			if answer.status != 0 {
				e.Status = answer.status
			}
			if e.Status >= 400 && e.Status < 500 {
				e.Changes = nil
			}
			a.Trail.Record(r.Context(), &e)
		}()
		h(answer, r.WithContext(context.WithValue(r.Context(), operationKey{}, &e)))
	}
}

// operationOf returns the audit event of the operation in progress, which its handler completes.
func operationOf(ctx context.Context) *audit.Event {
	if e, ok := ctx.Value(operationKey{}).(*audit.Event); ok {
		return e
	}
	return &audit.Event{} // there is no operation: it is discarded
}

// setUserAndClient sets the event's user and client. An id that cannot be valid is left out.
func setUserAndClient(e *audit.Event, userID, clientID string) {
	if userID != "" && len(userID) <= maxUserID && !strings.ContainsFunc(userID, unicode.IsControl) {
		e.UserID = userID
	}
	if session.IsClientID(clientID) {
		e.ClientID = clientID
	}
}

// statusWriter records the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader records the status and writes it.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}
