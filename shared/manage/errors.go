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

// fieldErrors are all that is wrong with an input of the management API.
type fieldErrors []*family.FieldError

func (e fieldErrors) Error() string {
	var texts []string
	for _, f := range e {
		texts = append(texts, f.Error())
	}
	return strings.Join(texts, "; ")
}

// badRequest and conflict are errors of the management API without a field.
type (
	badRequest  string
	conflict    string
	unsupported string
)

// unprocessable is an input that is well formed, and yet not what it must be.
type unprocessable family.FieldError

func (e *unprocessable) Error() string { return (*family.FieldError)(e).Error() }

func (e badRequest) Error() string  { return string(e) }
func (e conflict) Error() string    { return string(e) }
func (e unsupported) Error() string { return string(e) }

// Fail answers with err, as a problem document: the one place where errors become
// answers. What is not known here is a failure of storage or keys: it is logged, and the
// caller is told to come again.
func (a *API) Fail(w http.ResponseWriter, r *http.Request, err error) {
	var (
		fields fieldErrors
		bad    badRequest
		clash  conflict
		media  unsupported
		unfit  *unprocessable
		told   *web.AddressError
	)
	var p problem.Document
	if errors.As(err, &told) {
		err = fieldErrors{{Field: web.ClientIPHeader, Value: strconv.Quote(session.Cut(told.Value, 64)), Want: "one IPv4 or IPv6 address"}}
	}
	switch {
	case errors.As(err, &fields):
		p.Status, p.Detail = http.StatusBadRequest, err.Error()
		for _, f := range fields {
			p.Errors = append(p.Errors, problem.Field{Field: f.Field, Detail: f.Error()})
		}
	case errors.As(err, &unfit):
		p.Status, p.Detail = http.StatusUnprocessableEntity, unfit.Error()
		p.Errors = []problem.Field{{Field: unfit.Field, Detail: unfit.Error()}}
	case errors.As(err, &bad):
		p.Status, p.Detail = http.StatusBadRequest, bad.Error()
	case errors.As(err, &clash):
		p.Status, p.Detail = http.StatusConflict, clash.Error()
	case errors.As(err, &media):
		p.Status, p.Detail = http.StatusUnsupportedMediaType, media.Error()
	case errors.Is(err, web.ErrTooLarge):
		p.Status, p.Detail = http.StatusRequestEntityTooLarge, web.ErrTooLarge.Error()
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
		p.Status, p.Detail = http.StatusServiceUnavailable, "storage or keys are not to be had; please try again"
	}
	problem.Write(w, p.Status, p.Detail, p.Errors...)
}
