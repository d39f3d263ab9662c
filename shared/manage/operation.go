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

// changesNothing is the name of an operation that the trail has no line of.
const changesNothing = ""

// operation returns the name under which the trail has a call by that method, or
// changesNothing. A call of the management API that nobody has named, and that is
// not by GET, has its method and path for a name: none stays out of the trail.
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

// onRecord returns h with a line in the audit trail for each call, whatever comes
// of it. What the path and the query say that the call is about is in the line;
// the rest h adds to what [operationOf] returns.
func (a *API) onRecord(name string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e := web.CallerOf(r).Event(audit.Operation, a.Now())
		e.Name = name
		e.Status = http.StatusInternalServerError // of a panic
		q := r.URL.Query()                        // what is malformed in it is refused by h
		about(&e, q.Get("user_id"), cmp.Or(r.PathValue("client_id"), q.Get("client_id")))
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

// operationOf returns the event of the operation under way, for its handler to say
// what it is about.
func operationOf(ctx context.Context) *audit.Event {
	if e, ok := ctx.Value(operationKey{}).(*audit.Event); ok {
		return e
	}
	return &audit.Event{} // of no operation: nobody reads it
}

// about says which user and client an operation is of, as far as they can be any.
func about(e *audit.Event, userID, clientID string) {
	if userID != "" && len(userID) <= maxUserID && !strings.ContainsFunc(userID, unicode.IsControl) {
		e.UserID = userID
	}
	if session.IsClientID(clientID) {
		e.ClientID = clientID
	}
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader is http.ResponseWriter's.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}
