package manage

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/problem"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// fieldErrors lists everything that is wrong with a request, by field. It is answered 400.
type fieldErrors []*family.FieldError

func (e fieldErrors) Error() string {
	var texts []string
	for _, f := range e {
		texts = append(texts, f.Error())
	}
	return strings.Join(texts, "; ")
}

// Errors that concern no single field, answered 400, 409 and 415.
type (
	badRequest  string
	conflict    string
	unsupported string
)

// unprocessable is the error of a well-formed field that cannot be acted on, answered 422.
type unprocessable family.FieldError

func (e *unprocessable) Error() string { return (*family.FieldError)(e).Error() }

func (e badRequest) Error() string  { return string(e) }
func (e conflict) Error() string    { return string(e) }
func (e unsupported) Error() string { return string(e) }

// Fail writes the answer for err, a problem document. No other function turns errors into
// answers. An error that is not listed here is a failure of storage or keys: it is logged and
// answered 503, so that the caller tries again.
func (a *API) Fail(w http.ResponseWriter, r *http.Request, err error) {
	var (
		fields   fieldErrors
		bad      badRequest
		clash    conflict
		media    unsupported
		unusable *unprocessable
		header   *web.HeaderError
		large    *web.TooLargeError
	)
	var p problem.Document
	if errors.As(err, &header) {
		err = fieldErrors{{Field: header.Header, Value: strconv.Quote(session.Cut(header.Value, 64)), Want: header.Want}}
	}
	switch {
	case errors.As(err, &fields):
		p.Status, p.Detail = http.StatusBadRequest, err.Error()
		for _, f := range fields {
			p.Errors = append(p.Errors, problem.Field{Field: f.Field, Detail: f.Error()})
		}
	case errors.As(err, &unusable):
		p.Status, p.Detail = http.StatusUnprocessableEntity, unusable.Error()
		p.Errors = []problem.Field{{Field: unusable.Field, Detail: unusable.Error()}}
	case errors.As(err, &bad):
		p.Status, p.Detail = http.StatusBadRequest, bad.Error()
	case errors.As(err, &clash):
		p.Status, p.Detail = http.StatusConflict, clash.Error()
	case errors.As(err, &media):
		p.Status, p.Detail = http.StatusUnsupportedMediaType, media.Error()
	case errors.As(err, &large):
		p.Status, p.Detail = http.StatusRequestEntityTooLarge, large.Error()
	case errors.Is(err, web.ErrUnreadable):
		p.Status, p.Detail = http.StatusBadRequest, web.ErrUnreadable.Error()
	case errors.Is(err, web.ErrNoRoute):
		p.Status, p.Detail = http.StatusNotFound, web.ErrNoRoute.Error()
	case errors.Is(err, store.ErrNotFound):
		p.Status, p.Detail = http.StatusNotFound, "there is no such record"
	case errors.Is(err, web.ErrMethod):
		p.Status, p.Detail = http.StatusMethodNotAllowed, web.ErrMethod.Error()
	case errors.Is(err, web.ErrInternal):
		p.Status, p.Detail = http.StatusInternalServerError, web.ErrInternal.Error()
	default:
		web.Unavailable(w, r, a.Log, err)
		p.Status, p.Detail = http.StatusServiceUnavailable, "storage or signing keys are temporarily unavailable; please try again"
	}
	problem.Write(w, p.Status, p.Detail, p.Errors...)
}
