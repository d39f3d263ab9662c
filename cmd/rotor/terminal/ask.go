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
const maxInput = 16 << 10

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
	// A terminal that passes on whole lines cuts them after 1 to 4 KB, and an access token
	// may be longer. So each key is read.
	fd := int(o.inFile.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return "", fmt.Errorf("read from the terminal: %w", err)
	}
	o.Errorf("%s", prompt)
	text, err := wait(ctx, o.readKeys)
	if restored := term.Restore(fd, before); err == nil && restored != nil {
		err = fmt.Errorf("give the terminal back: %w", restored)
	}
	o.Errorf("\n")
	return strings.TrimSpace(text), err
}

// The keys that are no text.
const (
	keyInterrupt = 0x03 // Ctrl-C
	keyEnd       = 0x04 // Ctrl-D
	keyBack      = 0x08
	keyClear     = 0x15 // Ctrl-U
	keyDelete    = 0x7f
)

// readKeys returns what is typed until the end of the line.
func (o *IO) readKeys() (string, error) {
	var line []byte
	for {
		key, err := o.in.ReadByte()
		if err != nil {
			return "", err
		}
		switch key {
		case '\r', '\n', keyEnd:
			return string(line), nil
		case keyInterrupt:
			return "", ErrInterrupted
		case keyClear:
			line = line[:0]
		case keyBack, keyDelete:
			line = line[:max(len(line)-1, 0)]
		default:
			line = append(line, key)
		}
		if len(line) > maxInput {
			return "", fmt.Errorf("more than %d bytes", maxInput)
		}
	}
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
		if errors.Is(r.err, ErrInterrupted) {
			return "", ErrInterrupted
		}
		if r.err != nil {
			return "", fmt.Errorf("read from the terminal: %w", r.err)
		}
		return r.text, nil
	}
}
