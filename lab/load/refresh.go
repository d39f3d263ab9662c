package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

// What can be wrong with a response of status 200, or with none.
const (
	NoAnswer         = "no answer"       // followed by the reason
	CutShort         = "cut short"       // followed by the reason
	NotJSON          = "not a JSON body" // that has a refresh_token of text
	NoToken          = "no refresh_token"
	SameToken        = "the refresh_token presented" // it was held, or does not rotate
	AnotherSuccessor = "another successor than the other racers'"
)

// tokenAnswer is the part of a response that is read.
type tokenAnswer struct {
	RefreshToken string `json:"refresh_token"`
}

// caller makes one refresh after another, and reuses its buffers.
type caller struct {
	*Generator
	body   []byte
	answer bytes.Buffer
}

// outcome is the outcome of a refresh.
type outcome struct {
	status int    // of a complete response; otherwise 0
	wrong  string // what is wrong, if it should have been a success
	token  string // the successor, of a success
	took   time.Duration
}

func (o *outcome) succeeded() bool { return o.token != "" }

// refresh presents a token, once.
func (c *caller) refresh(ctx context.Context, token string) outcome {
	c.body = append(append(c.body[:0], c.prefix...), token...) // a token needs no escaping
	r := c.template.WithContext(ctx)
	r.ContentLength = int64(len(c.body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(c.body)), nil }
	r.Body, _ = r.GetBody()
	began := time.Now()
	response, err := c.http.Do(r)
	if err != nil {
		return outcome{wrong: NoAnswer + ": " + innermost(err)}
	}
	defer response.Body.Close()
	c.answer.Reset()
	if _, err := c.answer.ReadFrom(response.Body); err != nil {
		return outcome{wrong: CutShort + ": " + innermost(err)}
	}
	o := outcome{status: response.StatusCode, took: time.Since(began)}
	if o.status != http.StatusOK {
		return o
	}
	var a tokenAnswer
	switch err := json.Unmarshal(c.answer.Bytes(), &a); {
	case err != nil:
		o.wrong = NotJSON
	case a.RefreshToken == "":
		o.wrong = NoToken
	case a.RefreshToken == token:
		o.wrong = SameToken
	default:
		o.token = a.RefreshToken
	}
	return o
}

// innermost returns the text of the innermost wrapped error, without its ports,
// which would make each text different.
func innermost(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
