//go:build linux && rie

package rie_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

const root = "../.."

// programs holds the path of each function's program, which came out of the zip that Lambda
// gets.
var programs map[string]string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Getenv("ROTOR_TEST_RIE") == "" || os.Getenv("ROTOR_TEST_DYNAMODB") == "" {
		fmt.Fprintln(os.Stderr, "ROTOR_TEST_RIE and ROTOR_TEST_DYNAMODB must be the path of the emulator and the URL of a DynamoDB: run lab/rie/run.sh, which sets them")
		return 1
	}
	dir, err := os.MkdirTemp("", "rotor-rie-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		programs, err = unpack(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// zipOf returns the path where make build puts a function's zip.
func zipOf(function, arch string) string {
	return filepath.Join(root, "dist", arch, function+".zip")
}

// unpack unpacks the zip of every function into a folder of its own.
func unpack(dir string) (map[string]string, error) {
	mains, err := filepath.Glob(filepath.Join(root, "functions", "*", "main.go"))
	if err != nil {
		return nil, err
	}
	if len(mains) == 0 {
		return nil, errors.New("no functions found")
	}
	programs := map[string]string{}
	for _, path := range mains {
		function := filepath.Base(filepath.Dir(path))
		task := filepath.Join(dir, function)
		if err := os.Mkdir(task, 0o755); err != nil {
			return nil, err
		}
		programs[function] = filepath.Join(task, "bootstrap")
		if err := unzip(zipOf(function, runtime.GOARCH), programs[function]); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", function, err)
		}
	}
	return programs, nil
}

// unzip writes the program in the zip at src to dst, with the mode that it has in the zip.
func unzip(src, dst string) error {
	archive, err := zip.OpenReader(src)
	if err != nil {
		return err
	}
	defer func() { _ = archive.Close() }() // it was only read
	if len(archive.File) != 1 || archive.File[0].Name != "bootstrap" {
		return errors.New("it has more in it than bootstrap, or no bootstrap")
	}
	entry, err := archive.File[0].Open()
	if err != nil {
		return err
	}
	defer entry.Close()
	program, err := os.OpenFile(dst, os.O_CREATE|os.O_WRONLY|os.O_EXCL, archive.File[0].Mode())
	if err != nil {
		return err
	}
	_, err = io.Copy(program, entry)
	return errors.Join(err, program.Close())
}

// ports holds the ports that freeAddress has not returned yet, in random order. They are below
// those that systems use for outgoing connections.
var ports = rand.Perm(10000)

// freeAddress returns an address on which nobody listens, and never the same one twice. An
// emulator that was just started does not listen yet, so its address would look free.
func freeAddress(t *testing.T) string {
	t.Helper()
	for len(ports) > 0 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+ports[0])
		ports = ports[1:]
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close() // no connection was accepted
			return address
		}
	}
	t.Fatal("no free port is left")
	return ""
}

// output is a file with everything that a function's program and its emulator have printed.
type output struct {
	t        *testing.T
	function string
	file     *os.File
}

// newOutput returns an empty output.
func newOutput(t *testing.T, function string) output {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() }) // it has been read by then
	return output{t, function, file}
}

// logged returns what has been printed so far.
func (o output) logged() string {
	text, err := os.ReadFile(o.file.Name())
	if err != nil {
		o.t.Fatal(err)
	}
	return string(text)
}

// instance is one execution environment of a function: the emulator and, from the first
// invocation on, the function's program, which the emulator starts.
type instance struct {
	output
	address    string // the emulator's address for invocations
	runtimeAPI string // the address at which the program asks for them
	cmd        *exec.Cmd
	exited     chan struct{} // is closed when the emulator has ended
}

// start starts the emulator for a function, and does not wait until it listens. The program
// gets no other environment than env, as in Lambda.
func start(t *testing.T, function string, env []string) *instance {
	t.Helper()
	program, ok := programs[function]
	if !ok {
		t.Fatalf("there is no function %s", function)
	}
	i := &instance{
		output: newOutput(t, function), address: freeAddress(t), runtimeAPI: freeAddress(t), exited: make(chan struct{}),
	}
	i.cmd = exec.Command(os.Getenv("ROTOR_TEST_RIE"), "--runtime-interface-emulator-address", i.address, "--runtime-api-address", i.runtimeAPI, program)
	i.cmd.Dir, i.cmd.Env, i.cmd.Stdout, i.cmd.Stderr = filepath.Dir(program), env, i.file, i.file
	i.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // ends the emulator if the test is killed
	if err := i.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = i.cmd.Wait() // it was killed; otherwise an invocation reports the failure
		close(i.exited)
	}()
	t.Cleanup(i.stop)
	return i
}

// stop ends the emulator, which ends the program. It may be called more than once.
func (i *instance) stop() {
	_ = i.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-i.exited:
	case <-time.After(5 * time.Second):
		i.t.Errorf("the emulator of %s does not end", i.function)
		_ = i.cmd.Process.Kill()
		<-i.exited
	}
}

// failure is the error of an invocation: the function's own, or that of a program that ended
// or did not answer in time.
type failure struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType"`
}

func (f *failure) Error() string { return f.Type + ": " + f.Message }

// invoke invokes the function and returns its answer.
func (i *instance) invoke(ctx context.Context, payload []byte) ([]byte, error) {
	if err := i.listens(ctx); err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+i.address+"/2015-03-31/functions/function/invocations", bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if failed := new(failure); json.Unmarshal(answer, failed) == nil && failed.Message != "" {
		return nil, failed
	}
	if resp.StatusCode != http.StatusOK || !json.Valid(answer) {
		return nil, fmt.Errorf("the emulator answers %s: %s", resp.Status, answer)
	}
	return answer, nil
}

// listens waits until the emulator accepts connections at both of its addresses. The first
// invocation starts the program, which ends if the Runtime API does not listen by then.
func (i *instance) listens(ctx context.Context) error {
	for _, address := range []string{i.address, i.runtimeAPI} {
		if err := i.listensAt(ctx, address); err != nil {
			return err
		}
	}
	return nil
}

func (i *instance) listensAt(ctx context.Context, address string) error {
	for {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-time.After(time.Millisecond):
		case <-i.exited:
			return fmt.Errorf("the emulator has ended: %s", i.logged())
		case <-ctx.Done():
			return fmt.Errorf("the emulator does not listen: %w", err)
		}
	}
}
