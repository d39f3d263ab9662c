// Package terminal is how the commands of rotor read and write. On a terminal they write
// aligned tables, colors and progress, and ask. In a pipe they write plain lines for
// programs. Texts that others chose, such as the names of devices, are written inert.
package terminal

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// IO is what a command reads and writes. Make it by [System], or for a test by [New].
type IO struct {
	Out io.Writer // what was asked for
	Err io.Writer // errors, questions and progress

	in       *bufio.Reader
	inFile   *os.File // if the input is a terminal
	outTerm  bool
	errTerm  bool
	outColor bool
	errColor bool
	width    int // of the terminal of Out
	failed   error
	progress *Progress // that is shown, or nil
}

// New returns an IO without a terminal.
func New(in io.Reader, out, errs io.Writer) *IO {
	return &IO{Out: out, Err: errs, in: bufio.NewReader(in)}
}

// System returns the IO of this process. There are no colors if NO_COLOR is set to
// anything, nor on a terminal that is called dumb.
func System(getenv func(string) string) *IO {
	o := New(os.Stdin, os.Stdout, os.Stderr)
	if isTerminal(os.Stdin) {
		o.inFile = os.Stdin
	}
	o.outTerm, o.errTerm = isTerminal(os.Stdout), isTerminal(os.Stderr)
	color := getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	o.outColor, o.errColor = o.outTerm && color, o.errTerm && color
	if o.outTerm {
		o.width, _, _ = term.GetSize(int(os.Stdout.Fd())) // 0 if it is not known
	}
	return o
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// IsTerminal reports whether what is written to Out is read on a terminal.
func (o *IO) IsTerminal() bool { return o.outTerm }

// CanAsk reports whether somebody can be asked: the input and Err are a terminal.
func (o *IO) CanAsk() bool { return o.inFile != nil && o.errTerm }

// Printf writes to Out. Each text in args must be inert, or come from this program. What
// fails is kept for [IO.Failed].
func (o *IO) Printf(format string, args ...any) {
	if o.progress != nil && o.outTerm {
		o.progress.hide() // both are the same terminal
	}
	if _, err := fmt.Fprintf(o.Out, format, args...); err != nil && o.failed == nil {
		o.failed = fmt.Errorf("write to the standard output: %w", err)
	}
}

// Errorf writes to Err, as Printf does to Out. Nobody can be told if that fails.
func (o *IO) Errorf(format string, args ...any) { _, _ = fmt.Fprintf(o.Err, format, args...) }

// Failed returns the error of the first write to Out that failed, so that a full disk is
// not taken for success.
func (o *IO) Failed() error { return o.failed }

// Color is how a text stands out on a terminal.
type Color string

// The colors, as parameters of the escape sequence SGR.
const (
	Bold   Color = "1"
	Red    Color = "31"
	Green  Color = "32"
	Yellow Color = "33"
)

// Paint returns the text in a color, if Out shows colors.
func (o *IO) Paint(c Color, text string) string { return paint(o.outColor, c, text) }

// PaintErr returns the text in a color, if Err shows colors.
func (o *IO) PaintErr(c Color, text string) string { return paint(o.errColor, c, text) }

func paint(on bool, c Color, text string) string {
	if !on || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// Input returns the input, for a command that reads all of it.
func (o *IO) Input() io.Reader { return o.in }
