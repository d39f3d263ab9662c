package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"

	"github.com/rotor-auth/rotor/clients/manage"
)

// failure is what an error page shows.
type failure struct {
	Text   string
	Action string              // the permission that is missing
	Fields []manage.FieldError // what the service finds wrong
	Unsure string              // what may have been done
	Look   link                // the page that shows whether it was
}

var errorPage = newPage[failure]("error")

// inputError is returned for a form that cannot be sent to the service.
type inputError struct{ text string }

func (e *inputError) Error() string { return e.text }

// fail answers with the page of an error of a handler. unsure says what may have been done, and is
// "" for a page that changes nothing.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error, unsure string) {
	var (
		refused     *manage.Error
		unreachable *manage.UnreachableError
		input       *inputError
	)
	lost := func(status int, title, text string) {
		write(c, w, r, status, errorPage, title, doubtful(r, text, unsure))
	}
	switch {
	case errors.As(err, &input):
		write(c, w, r, http.StatusBadRequest, errorPage, "Not understood", failure{Text: input.text})
	case errors.As(err, &refused) && refused.Denied():
		write(c, w, r, http.StatusForbidden, errorPage, "You may not do this", failure{
			Text:   "The service, or the gateway before it, refused the call: the credentials that the console signs with lack a permission.",
			Action: refused.Action(),
		})
	case errors.As(err, &refused) && refused.Status < 500:
		write(c, w, r, refused.Status, errorPage, refused.Title, failure{Text: refused.Detail, Fields: refused.Fields})
	case errors.As(err, &refused) && unsure == "":
		lost(http.StatusBadGateway, "The service has a problem", "It answered: "+refused.Error()+". Nothing was shown or changed; try again in a moment.")
	case errors.As(err, &refused):
		lost(http.StatusBadGateway, "The service has a problem", "It answered: "+refused.Error()+".")
	case errors.Is(err, context.DeadlineExceeded):
		lost(http.StatusGatewayTimeout, "The service is too slow", "It did not answer in time.")
	case errors.Is(err, context.Canceled):
		// The browser has gone away.
	case errors.As(err, &unreachable):
		lost(http.StatusBadGateway, "The service does not answer", unreachable.Error()+". Is the address right, and is the service running?")
	default:
		lost(http.StatusBadGateway, "The call failed", err.Error())
	}
}

// failBadly answers a request whose handler has panicked, and logs where. What it panicked with may
// have a token in it, and is logged only if the runtime made it.
func (c *Console) failBadly(w http.ResponseWriter, r *http.Request, value any, unsure string) {
	what := fmt.Sprintf("%T", value)
	if err, ok := value.(runtime.Error); ok {
		what = err.Error()
	}
	c.Log.ErrorContext(r.Context(), "a page of the console has panicked",
		slog.String("page", r.Pattern), slog.String("panic", what), slog.Any("stack", stack()))
	write(c, w, r, http.StatusInternalServerError, errorPage, "The page could not be made",
		doubtful(r, "This is a bug, or the service has answered with what it never does. The log of the console says where.", unsure))
}

// doubtful returns what the page of a failure shows after which nobody knows what was done. unsure
// is that of [Console.fail].
func doubtful(r *http.Request, text, unsure string) failure {
	f := failure{Text: text, Unsure: unsure}
	if unsure != "" {
		f.Look = lookAfter(r)
	}
	return f
}

// stack returns the functions and lines that led to a panic, without their arguments.
func stack() []string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var lines []string
	for {
		frame, more := frames.Next()
		lines = append(lines, fmt.Sprintf("%s:%d", frame.Function, frame.Line))
		if !more {
			return lines
		}
	}
}

// lookAfter returns the page that shows whether a change was done.
func lookAfter(r *http.Request) link {
	if id := r.PathValue("client"); id != "" {
		return link{"/console/clients/" + url.PathEscape(id), "See the client"}
	}
	if id := r.URL.Query().Get("user_id"); id != "" {
		return link{"/console/users?" + url.Values{"user_id": {id}}.Encode(), "See the user’s sessions"}
	}
	return link{"/", "See what happened"}
}
