package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/term"
)

// maxInput limits the bytes of what is read as one answer or one secret.
const maxInput = 64 << 10

// ErrInterrupted is returned by a question that was interrupted.
var ErrInterrupted = errors.New("interrupted")

// ReadSecret returns what is typed after a prompt, which the terminal does not show, or all
// of the input if that is no terminal, without the white space around it.
func (o *IO) ReadSecret(ctx context.Context, prompt string) (string, error) {
	if o.inFile == nil {
		text, err := io.ReadAll(io.LimitReader(o.in, maxInput+1))
		if err != nil {
			return "", fmt.Errorf("read the standard input: %w", err)
		}
		if len(text) > maxInput {
			return "", fmt.Errorf("the standard input is longer than %d bytes", maxInput)
		}
		return strings.TrimSpace(string(text)), nil
	}
	fd := int(o.inFile.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read from the terminal: %w", err)
	}
	o.Errorf("%s", prompt)
	text, err := wait(ctx, func() (string, error) {
		text, err := term.ReadPassword(fd)
		return string(text), err
	})
	o.Errorf("\n")
	if errors.Is(err, ErrInterrupted) {
		_ = term.Restore(fd, before) // the reader that turned the echo off is still waiting
	}
	return strings.TrimSpace(text), err
}

// Ask returns the line that is typed after a question, without the white space around it.
func (o *IO) Ask(ctx context.Context, question string) (string, error) {
	o.Errorf("%s", question)
	text, err := wait(ctx, func() (string, error) {
		text, err := o.in.ReadString('\n')
		if errors.Is(err, io.EOF) { // an answer, if an empty one
			err = nil
		}
		return text, err
	})
	if err != nil {
		o.Errorf("\n")
	}
	return strings.TrimSpace(text), err
}

// Confirm asks, and reports whether the answer is yes.
func (o *IO) Confirm(ctx context.Context, question string) (bool, error) {
	answer, err := o.Ask(ctx, question+" [y/N] ")
	answer = strings.ToLower(answer)
	return answer == "y" || answer == "yes", err
}

// wait returns what read returns, or ErrInterrupted once ctx is done. Then read goes on,
// and the program ends.
func wait(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", ErrInterrupted
	case r := <-done:
		if r.err != nil {
			return "", fmt.Errorf("read from the terminal: %w", r.err)
		}
		return r.text, nil
	}
}
