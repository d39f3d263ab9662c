package console

import (
	"context"
	"errors"
	"net/http"

	"github.com/rotor-auth/rotor/clients/manage"
)

// failure is what an error page shows.
type failure struct {
	Text   string
	Action string              // the permission that is missing
	Fields []manage.FieldError // what the service finds wrong
}

var errorPage = newPage[failure]("error")

// inputError is returned for a form that cannot be sent to the service.
type inputError struct{ text string }

func (e *inputError) Error() string { return e.text }

// fail answers with the page of an error of a handler.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	var (
		refused     *manage.Error
		unreachable *manage.UnreachableError
		input       *inputError
	)
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
	case errors.As(err, &refused):
		write(c, w, r, http.StatusBadGateway, errorPage, "The service has a problem", failure{
			Text: "It answered: " + refused.Error() + ". Nothing was shown or changed; try again in a moment.",
		})
	case errors.As(err, &unreachable):
		write(c, w, r, http.StatusBadGateway, errorPage, "The service does not answer", failure{
			Text: unreachable.Error() + ". Is the address right, and is the service running?",
		})
	case errors.Is(err, context.DeadlineExceeded):
		write(c, w, r, http.StatusGatewayTimeout, errorPage, "The service is too slow", failure{Text: "It did not answer in 30 seconds."})
	case errors.Is(err, context.Canceled):
		// The browser has gone away.
	default:
		write(c, w, r, http.StatusBadGateway, errorPage, "The call failed", failure{Text: err.Error()})
	}
}
