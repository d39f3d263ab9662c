// Package process runs the repository's programs as separate processes, for tests
// and benchmarks that kill or measure them.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// stopTimeout is how long a program may take to end after SIGTERM. It is longer
	// than cmd/rotor waits for requests in progress.
	stopTimeout = 35 * time.Second
	// drainTimeout is how long the children of an ended program may hold its output
	// open.
	drainTimeout = 2 * time.Second
)

// Process is a program that was started. It is safe for concurrent use.
type Process struct {
	cmd    *exec.Cmd
	output output

	asked atomic.Bool   // whether it was asked to end
	ended chan struct{} // closed once it has
	err   error         // what Wait returned; read it only once ended is closed
}

// Build builds a package of this module, such as ./cmd/rotor, into dir, and returns
// the program's path. The working directory must be inside the module. flags are
// flags of go build.
func Build(dir, pkg string, flags ...string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	program, err := filepath.Abs(filepath.Join(dir, path.Base(pkg)))
	if err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	args := append([]string{"build", "-o", program}, flags...)
	build := command(context.Background(), "go", append(args, pkg)...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return program, nil
}

// moduleRoot returns the nearest folder with a go.mod, from the working directory
// upwards.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		_, err := os.Stat(filepath.Join(dir, "go.mod"))
		if err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if !errors.Is(err, os.ErrNotExist) || parent == dir {
			return "", fmt.Errorf("find the module's root: %w", err)
		}
		dir = parent
	}
}

// Start starts the program at path, with env as its whole environment. The program
// is killed when ctx is done.
func Start(ctx context.Context, path string, env ...string) (*Process, error) {
	return launch(ctx, env, path)
}

func launch(ctx context.Context, env []string, path string, args ...string) (*Process, error) {
	p := &Process{cmd: command(ctx, path, args...), ended: make(chan struct{})}
	p.cmd.Env = append([]string{}, env...) // nil would be the caller's
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	p.cmd.WaitDelay = drainTimeout
	p.cmd.Cancel = func() error {
		p.asked.Store(true)
		return p.cmd.Process.Kill()
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(path), err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

func command(ctx context.Context, path string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, path, args...) //nolint:gosec // running the program that the caller names is what this package is for
}

// Ended returns a channel that is closed once the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Kill ends the program without asking it, as a crash of the machine would, and
// waits until it has ended. It fails if the program had ended before, unless by
// Kill, Stop or its context.
func (p *Process) Kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.ended
	return nil
}

// Stop asks the program to end, by SIGTERM, and waits until it has. It fails if the
// program ends with another status than 0, takes so long that it must be killed, or
// had ended before, unless by Kill, Stop or its context.
func (p *Process) Stop() error { return p.stop(stopTimeout) }

func (p *Process) stop(timeout time.Duration) error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.ended:
	case <-time.After(timeout):
		err := fmt.Errorf("stop %s: it has not ended %s after SIGTERM", p.name(), timeout)
		return errors.Join(err, p.Kill())
	}
	if code := p.cmd.ProcessState.ExitCode(); code > 0 { // -1: by the signal
		return fmt.Errorf("stop %s: %w", p.name(), p.err)
	}
	return nil
}

// signal asks the program to end. It fails if the program has ended without being
// asked.
func (p *Process) signal(s os.Signal) error {
	select {
	case <-p.ended:
		if !p.asked.Load() {
			return fmt.Errorf("%s has ended by itself: %s", p.name(), p.cmd.ProcessState)
		}
		return nil
	default:
	}
	p.asked.Store(true)
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.name(), err)
	}
	return nil
}

func (p *Process) name() string { return filepath.Base(p.cmd.Path) }

// PID returns the program's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output returns what the program has written to stdout and stderr so far: the first
// 64 KiB, and at least the last 64 KiB of the rest.
func (p *Process) Output() string { return p.output.String() }

// kept is how many bytes are kept of the beginning of an output, and of its end.
const kept = 64 << 10

// output keeps the beginning and the end of what is written to it.
type output struct {
	mu             sync.Mutex
	head           []byte
	previous, tail []byte // the end: tail is filled while previous is kept
	left           int64  // how many bytes were dropped between head and previous
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(p)
	if room := min(kept-len(o.head), n); room > 0 {
		o.head = append(o.head, p[:room]...)
		p = p[room:]
	}
	for len(p) > 0 {
		if len(o.tail) == kept {
			o.left += int64(len(o.previous))
			o.previous, o.tail = o.tail, o.previous[:0]
		}
		room := min(kept-len(o.tail), len(p))
		o.tail = append(o.tail, p[:room]...)
		p = p[room:]
	}
	return n, nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var b strings.Builder
	b.Write(o.head)
	if o.left > 0 {
		fmt.Fprintf(&b, "\n[%d bytes are left out here]\n", o.left)
	}
	b.Write(o.previous)
	b.Write(o.tail)
	return b.String()
}
