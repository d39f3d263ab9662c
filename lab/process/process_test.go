package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// as names the variable that makes the test binary one of the programs below. quick makes it
// end at once: under the race detector a program sleeps for a second when it ends.
const (
	as    = "ROTOR_PROCESS_TEST_AS"
	quick = "GORACE=atexit_sleep_ms=0"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(as); name != "" {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		os.Exit(programs[name](signals))
	}
	os.Exit(m.Run())
}

// programs are the programs that tests run, by name. Each returns its exit status.
var programs = map[string]func(<-chan os.Signal) int{
	"obedient": func(signals <-chan os.Signal) int {
		fmt.Println("on stdout")
		fmt.Fprintln(os.Stderr, "on stderr")
		<-signals
		fmt.Println("stopped")
		return 0
	},
	"failing": func(signals <-chan os.Signal) int {
		fmt.Println("up")
		<-signals
		return 3
	},
	"stubborn": func(<-chan os.Signal) int {
		fmt.Println("up")
		select {}
	},
	"crashing": func(<-chan os.Signal) int {
		fmt.Println("no such table; demo-web: rotor_secret_0123456789-_aA")
		return 7
	},
	"environment": func(<-chan os.Signal) int {
		fmt.Println(strings.Join(os.Environ(), "\n"))
		return 0
	},
	"talkative": func(signals <-chan os.Signal) int {
		for i := range 100_000 {
			fmt.Printf("line %d\n", i)
		}
		<-signals
		return 0
	},
	"busy": func(signals <-chan os.Signal) int {
		memory := bytes.Repeat([]byte{1}, 64<<20)
		for cpuTime() < 100*time.Millisecond {
		}
		fmt.Println("worked")
		<-signals
		runtime.KeepAlive(memory)
		return 0
	},
	"rotor": func(signals <-chan os.Signal) int {
		var asked atomic.Int32
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/.well-known/jwks.json" || asked.Add(1) < 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})}
		listener, err := net.Listen("tcp", os.Getenv("ADDR"))
		if err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Fprintln(os.Stderr, `{"msg":"starting"}`)
		fmt.Printf("Rotor is ready at http://%s\n\n  and more\n", listener.Addr())
		go func() {
			<-signals
			_ = server.Close()
		}()
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Println(err)
			return 1
		}
		return 0
	},
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// start starts a program and waits until it has printed a text.
func start(t *testing.T, program, says string) *Process {
	t.Helper()
	p, err := Start(t.Context(), os.Args[0], quick, as+"="+program)
	if err != nil {
		t.Fatal(err)
	}
	await(t, p, says)
	return p
}

// await waits until the program has printed a text.
func await(t *testing.T, p *Process, text string) {
	t.Helper()
	ticker, deadline := time.NewTicker(time.Millisecond), time.After(20*time.Second)
	defer ticker.Stop()
	for !strings.Contains(p.Output(), text) {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%q is not in the output:\n%s", text, p.Output())
		}
	}
}

func alive(p *Process) bool { return syscall.Kill(p.PID(), 0) == nil }

func TestStop(t *testing.T) {
	p := start(t, "obedient", "on stderr")
	if !alive(p) {
		t.Fatal("it does not run")
	}
	for range 2 { // the second call finds nothing to do
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Kill(); err != nil {
		t.Errorf("kill what was stopped: %v", err)
	}
	if alive(p) {
		t.Error("it still runs")
	}
	if got := p.Output(); !strings.Contains(got, "on stdout\n") || !strings.HasSuffix(got, "stopped\n") {
		t.Errorf("the output is %q", got)
	}
	select {
	case <-p.Ended():
	default:
		t.Error("Ended is not closed")
	}
}

func TestStopTellsTheStatus(t *testing.T) {
	err := start(t, "failing", "up").Stop()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("got %v, want exit status 3", err)
	}
}

func TestStopKillsInTheEnd(t *testing.T) {
	p := start(t, "stubborn", "up")
	if err := p.stop(time.Millisecond); err == nil || !strings.Contains(err.Error(), "1ms after SIGTERM") {
		t.Errorf("got %v", err)
	}
	if alive(p) {
		t.Error("it still runs")
	}
}

func TestKill(t *testing.T) {
	p := start(t, "obedient", "on stderr")
	for range 2 {
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Stop(); err != nil {
		t.Errorf("stop what was killed: %v", err)
	}
	if alive(p) || strings.Contains(p.Output(), "stopped") {
		t.Errorf("it was not killed:\n%s", p.Output())
	}
}

func TestContextKills(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := Start(ctx, os.Args[0], quick, as+"=stubborn")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-p.Ended()
	if err := errors.Join(p.Stop(), p.Kill()); err != nil {
		t.Error(err)
	}
}

// TestEndByItself checks that a crash is not taken for an end that was asked for.
func TestEndByItself(t *testing.T) {
	p := start(t, "crashing", "no such table")
	<-p.Ended()
	for _, err := range []error{p.Kill(), p.Stop()} {
		if err == nil || !strings.Contains(err.Error(), "exit status 7") {
			t.Errorf("got %v, want exit status 7", err)
		}
	}
}

func TestEnvironmentIsWhatIsGiven(t *testing.T) {
	t.Setenv("TABLE", "of-the-caller")
	p := start(t, "environment", as)
	<-p.Ended()
	if got := p.Output(); got != quick+"\n"+as+"=environment\n" {
		t.Errorf("the environment is %q", got)
	}
	p, err := Start(t.Context(), os.Args[0], quick, as+"=crashing", as+"=environment")
	if err != nil {
		t.Fatal(err)
	}
	<-p.Ended()
	if got := p.Output(); got != quick+"\n"+as+"=environment\n" { // the last value of a variable counts
		t.Errorf("the environment is %q", got)
	}
}

func TestStartFails(t *testing.T) {
	if p, err := Start(t.Context(), filepath.Join(t.TempDir(), "nothing")); !errors.Is(err, os.ErrNotExist) || p != nil {
		t.Errorf("got %v, %v", p, err)
	}
}

func TestOutputIsBounded(t *testing.T) {
	p := start(t, "talkative", "line 99999\n")
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	got := p.Output()
	if len(got) > 3*kept+100 || len(got) < 2*kept {
		t.Errorf("%d bytes are kept", len(got))
	}
	if !strings.HasPrefix(got, "line 0\nline 1\n") || !strings.HasSuffix(got, "\nline 99998\nline 99999\n") || !strings.Contains(got, " bytes are left out here]\n") {
		t.Errorf("it begins with %.20q and ends with %.20q", got, got[len(got)-20:])
	}
}

// TestOutputKeepsBothEnds checks that only the middle of the output is dropped, whatever the
// sizes of the writes.
func TestOutputKeepsBothEnds(t *testing.T) {
	for _, size := range []int{1000, 10_000, kept - 1, kept, kept + 1, 2*kept + 1, 5 * kept} {
		var o output
		var all []byte
		for len(all) < 6*kept {
			part := bytes.Repeat([]byte{byte('a' + len(all)%26)}, size)
			all = append(all, part...)
			if n, err := o.Write(part); n != size || err != nil {
				t.Fatalf("wrote %d of %d: %v", n, size, err)
			}
			got := o.String()
			head, rest := all[:min(kept, len(all))], all[min(kept, len(all)):]
			marker := ""
			if o.left > 0 {
				marker = fmt.Sprintf("\n[%d bytes are left out here]\n", o.left)
			}
			if want := string(head) + marker + string(rest[o.left:]); got != want {
				t.Fatalf("writes of %d: after %d bytes it is not the beginning and the end", size, len(all))
			}
			if end := int64(len(rest)) - o.left; end < int64(min(kept, len(rest))) || end > 2*kept {
				t.Fatalf("writes of %d: %d bytes of the end are kept of %d", size, end, len(rest))
			}
		}
	}
}

func TestMeasures(t *testing.T) {
	p := start(t, "busy", "worked")
	cpu, err := p.CPU()
	rss, err2 := p.RSS()
	if runtime.GOOS != "linux" {
		if !errors.Is(err, errNotLinux) || !errors.Is(err2, errNotLinux) {
			t.Errorf("got %v and %v", err, err2)
		}
	} else {
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if cpu < 80*time.Millisecond || cpu > time.Minute {
			t.Errorf("CPU %s", cpu)
		}
		if rss < 64<<20 || rss > 1<<30 {
			t.Errorf("%d bytes are resident", rss)
		}
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if after, err := p.CPU(); err != nil || after < cpu-time.Millisecond || after < 80*time.Millisecond {
		t.Errorf("CPU %s once it has ended, %s before: %v", after, cpu, err)
	}
	if _, err := p.RSS(); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("RSS once it has ended: %v", err)
	}
}

func TestBuild(t *testing.T) {
	dir := t.TempDir()
	program, err := Build(dir, "./lab/pack", "-trimpath")
	if err != nil {
		t.Fatal(err)
	}
	if program != filepath.Join(dir, "pack") {
		t.Errorf("built %s", program)
	}
	p, err := Start(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Ended() // it ends because it lacks arguments
	if !strings.Contains(p.Output(), "usage") {
		t.Errorf("it says %q", p.Output())
	}
	if _, err := Build(dir, "./infra/nothing"); err == nil || !strings.Contains(err.Error(), "infra/nothing") {
		t.Errorf("got %v", err)
	}
	t.Chdir(dir)
	if _, err := Build(dir, "./lab/pack"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("outside of the module: %v", err)
	}
}

func TestStartRotor(t *testing.T) {
	r, err := StartRotor(t.Context(), os.Args[0], quick, as+"=rotor")
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Get(r.URL + "/.well-known/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK { // the first two answers had another status
		t.Errorf("it answers %s", response.Status)
	}
	if err := r.Stop(); err != nil {
		t.Errorf("%v\n%s", err, r.Output())
	}
}

func TestStartRotorFails(t *testing.T) {
	r, err := StartRotor(t.Context(), os.Args[0], quick, as+"=crashing")
	if err == nil || r != nil || !strings.Contains(err.Error(), "exit status 7") || !strings.Contains(err.Error(), "no such table; demo-web: [redacted]\n") {
		t.Errorf("got %v, %v", r, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := StartRotor(ctx, os.Args[0], quick, as+"=stubborn"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestSampleEvent checks that a sample event which gets a body keeps everything else, and is
// unchanged for the next use.
func TestSampleEvent(t *testing.T) {
	e, err := SampleEvent("token-refresh")
	if err != nil {
		t.Fatal(err)
	}
	of := e["body"]
	var got Event
	if text, err := e.WithBody("grant_type=other"); err != nil {
		t.Fatal(err)
	} else if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got["body"] != "grant_type=other" || got["rawPath"] != "/oauth/token" || len(got) != len(e) || e["body"] != of {
		t.Errorf("made %v of %v", got, e)
	}
	if _, err := SampleEvent("nothing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestFunctionThatEnds checks that a function which ends by itself is reported with the
// reason, and gives no answer.
func TestFunctionThatEnds(t *testing.T) {
	path, err := Build(t.TempDir(), "./functions/token", "-tags", "lambda.norpc")
	if err != nil {
		t.Fatal(err)
	}
	f, err := StartFunction(t.Context(), path, "token", 512) // lacks the configuration that it needs
	if err != nil {
		t.Fatal(err)
	}
	if a, err := f.Invoke(t.Context(), []byte("{}")); err == nil || !strings.Contains(err.Error(), "token has ended: ") || !strings.Contains(err.Error(), "ROTOR_TABLE is not set") {
		t.Errorf("answered %+v, %v", a, err)
	}
	if err := f.Kill(); err == nil {
		t.Error("a function that had ended was killed")
	}
}
