package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/version"
)

// asMain is the variable that makes the test binary the program itself, for tests of
// signals and exit codes.
const asMain = "ROTOR_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process returns the program as a separate process, which ends within a minute.
func process(t *testing.T, args []string, env ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	return processFor(t, time.Minute, args, env...)
}

// processFor returns the program as a separate process, which ends within that time.
func processFor(t *testing.T, limit time.Duration, args []string, env ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(env, asMain+"=1")
	stderr := &bytes.Buffer{}
	cmd.Stderr = stderr
	return cmd, stderr
}

func TestSignalsStopTheProcess(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			cmd, stderr := process(t, []string{"run"}, "ADDR=localhost:0", "ALG=ES256")
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(stdout).ReadString('\n')
			if err != nil || !regexp.MustCompile(`\ARotor is ready at http://(127\.0\.0\.1|\[::1\]):\d+\n\z`).MatchString(line) {
				t.Errorf("got %q, %v", line, err)
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("ended with %v\n%s", err, stderr)
			}
		})
	}
}

// TestSecondSignalEndsTheProcess checks that the first signal lets requests in progress
// finish, and that the second ends the program at once.
func TestSecondSignalEndsTheProcess(t *testing.T) {
	cmd, stderr := process(t, []string{"run"}, "ADDR=127.0.0.1:0", "ALG=ES256")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimPrefix(strings.TrimSpace(line), "Rotor is ready at http://")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "POST /local/clock HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+
		"Content-Length: 16\r\nExpect: 100-continue\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("got %q, %v", line, err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for { // waits until the program has noticed that
		conn, err := net.Dial("tcp", addr)
		if errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
		if err == nil {
			_ = conn.Close()
		}
	}
	// The program stops listening for the signal shortly before the signal's default action is
	// restored. A signal in between is lost, so it is sent until the program ends.
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for ending := true; ending; {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended already
		select {
		case err = <-ended:
			ending = false
		case <-again.C:
		}
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if err == nil || !ok || !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("ended with %v\n%s", err, stderr)
	}
}

func TestProcessSaysWhatIsWrong(t *testing.T) {
	cmd, stderr := process(t, []string{"run"}, "ADDR=0.0.0.0:3000", "ALG=HS256")
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended with %v, want exit code 1", err)
	}
	if got := stderr.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "ADDR") || !strings.Contains(got, "ALG") {
		t.Errorf("stderr is %q, want a line for ADDR and one for ALG", got)
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"version"}, 0, "rotor " + version.Number, ""},
		{[]string{"help"}, 0, "rotor run", ""},
		{[]string{"--help"}, 0, "rotor run", ""},
		{nil, 2, "", "rotor run"},
		{[]string{"fly"}, 2, "", `rotor: there is no command "fly"`},
		{[]string{"run", "fast"}, 2, "", `rotor: run takes no arguments`},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var stdout bytes.Buffer
			cmd, stderr := process(t, tt.args)
			cmd.Stdout = &stdout
			if err := cmd.Run(); cmd.ProcessState.ExitCode() != tt.code {
				t.Errorf("ended with %v, want exit code %d", err, tt.code)
			}
			for name, got := range map[string]struct{ text, want string }{"stdout": {stdout.String(), tt.stdout}, "stderr": {stderr.String(), tt.stderr}} {
				if !strings.Contains(got.text, got.want) || got.want == "" && got.text != "" {
					t.Errorf("%s is %q, want %q", name, got.text, got.want)
				}
			}
		})
	}
}
