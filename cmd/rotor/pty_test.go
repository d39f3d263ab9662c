package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/local"
)

// serve starts the local program in this process, and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	env := map[string]string{"ADDR": "127.0.0.1:0", "ALG": "ES256"}
	ctx, stop := context.WithCancel(context.Background())
	welcome, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- local.Run(ctx, func(name string) string { return env[name] }, welcomed(welcome), io.Discard)
	}()
	t.Cleanup(func() {
		stop()
		http.DefaultClient.CloseIdleConnections()
		if err := <-done; err != nil {
			t.Errorf("the local program: %v", err)
		}
	})
	select {
	case err := <-done:
		t.Fatalf("the local program: %v", err)
		return ""
	case text := <-welcome:
		line, _, _ := strings.Cut(text, "\n")
		return line[strings.Index(line, "http://"):]
	}
}

type welcomed chan<- string

func (w welcomed) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}

// screen is the program on a terminal.
type screen struct {
	t   *testing.T
	cmd *exec.Cmd
	pty *os.File

	mu     sync.Mutex
	shown  bytes.Buffer
	closed chan struct{}
}

// onTerminal starts the program on a terminal of 100 columns.
func onTerminal(t *testing.T, args []string, env ...string) *screen {
	t.Helper()
	cmd, _ := process(t, args, append(env, "TERM=xterm")...)
	cmd.Stderr = nil // the terminal
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, cmd: cmd, pty: f, closed: make(chan struct{})}
	go func() {
		defer close(s.closed)
		p := make([]byte, 4096)
		for {
			n, err := f.Read(p)
			s.mu.Lock()
			s.shown.Write(p[:n])
			s.mu.Unlock()
			if err != nil {
				return // the program has ended
			}
		}
	}()
	t.Cleanup(func() { _ = f.Close() })
	return s
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.String()
}

// answer waits for a prompt, and types.
func (s *screen) answer(prompt, typed string) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(s.text(), prompt); {
		select {
		case <-s.closed:
			s.t.Fatalf("the program ended before it asked %q:\n%s", prompt, s.text())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%q was not asked:\n%s", prompt, s.text())
		}
	}
	if _, err := io.WriteString(s.pty, typed); err != nil {
		s.t.Fatal(err)
	}
}

// end waits for the program, and returns its exit code and all that was on the terminal.
func (s *screen) end() (int, string) {
	s.t.Helper()
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	<-s.closed
	if state, err := term.GetState(int(s.pty.Fd())); err != nil || !reflect.DeepEqual(state, fresh(s.t)) {
		s.t.Errorf("the terminal was not left as it was: %v", err)
	}
	return s.cmd.ProcessState.ExitCode(), strings.ReplaceAll(s.text(), "\r\n", "\n")
}

// fresh returns the settings of a terminal that nobody has used.
func fresh(t *testing.T) *term.State {
	t.Helper()
	f, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = f.Close(), tty.Close() }()
	state, err := term.GetState(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// TestTerminal plays what a person sees: a token that is not shown, a question, a table, and texts of others.
func TestTerminal(t *testing.T) {
	url := serve(t)
	service, err := manage.New(url, manage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	login := func(user, device string) *manage.Tokens {
		t.Helper()
		tokens, err := service.StartFamily(t.Context(), &manage.Login{UserID: user, ClientID: "demo-spa", Device: device})
		if err != nil {
			t.Fatal(err)
		}
		return tokens
	}
	const evil = "evil\u202e\u2066 \u009b31m \u200b\u00adend"
	tokens := login("alice", evil)
	login("alice", "名前のデバイス")
	login("alice", strings.Repeat("long ", 30))

	t.Run("a token is not shown", func(t *testing.T) {
		s := onTerminal(t, []string{"explain"}, "ROTOR_URL="+url)
		s.answer("Token (it is not shown): ", tokens.RefreshToken+"\n")
		code, screen := s.end()
		if code != 0 || strings.Contains(screen, tokens.RefreshToken[:20]) || !strings.Contains(screen, "\x1b[32mvalid\x1b[0m") || !strings.Contains(screen, "TIME (UTC)") {
			t.Errorf("ended with %d:\n%q", code, screen)
		}
		for line := range strings.Lines(screen) {
			if len([]rune(regexp.MustCompile(`\x1b\[\d+m`).ReplaceAllString(line, ""))) > 101 {
				t.Errorf("a line is too long: %q", line)
			}
		}
	})
	t.Run("a token is longer than a line of a terminal", func(t *testing.T) {
		s := onTerminal(t, []string{"explain"}, "ROTOR_URL="+url)
		s.answer("Token (it is not shown): ", "typed wrong\x15x\x7f"+tokens.AccessToken+strings.Repeat("A", 9000)+"\r")
		if code, screen := s.end(); code != 3 || strings.Contains(screen, "AAAA") {
			t.Errorf("ended with %d:\n%q", code, screen)
		}
		s = onTerminal(t, []string{"explain"}, "ROTOR_URL="+url)
		s.answer("Token (it is not shown): ", "typed wrong\x15x\x7f"+tokens.AccessToken+"\r")
		if code, screen := s.end(); code != 0 || !strings.Contains(screen, "This is an access token") {
			t.Errorf("ended with %d:\n%q", code, screen)
		}
	})
	t.Run("an interrupt gives the echo back", func(t *testing.T) {
		s := onTerminal(t, []string{"explain"}, "ROTOR_URL="+url)
		s.answer("Token (it is not shown): ", "\x03")
		if code, screen := s.end(); code != 1 || !strings.Contains(screen, "interrupted") {
			t.Errorf("ended with %d:\n%q", code, screen)
		}
	})
	t.Run("a table", func(t *testing.T) {
		code, screen := onTerminal(t, []string{"families", "alice"}, "ROTOR_URL="+url).end()
		lines := strings.Split(strings.TrimSpace(screen), "\n")
		if code != 0 || len(lines) != 4 || !strings.HasPrefix(lines[0], "\x1b[1mFAMILY ") {
			t.Fatalf("ended with %d:\n%q", code, screen)
		}
		at := strings.Index(strings.TrimPrefix(lines[0], "\x1b[1m"), "STATUS")
		for _, line := range lines[1:] {
			if !strings.HasPrefix(line[at:], "active  ") {
				t.Errorf("not under STATUS, at %d: %q", at, line)
			}
		}
		inert(t, screen)
		if !strings.Contains(screen, "…") {
			t.Errorf("the long name is not cut: %q", screen)
		}
	})
	t.Run("no color", func(t *testing.T) {
		if code, screen := onTerminal(t, []string{"families", "alice"}, "ROTOR_URL="+url, "NO_COLOR=1").end(); code != 0 || strings.Contains(screen, "\x1b") {
			t.Errorf("ended with %d:\n%q", code, screen)
		}
	})
	t.Run("JSON is inert, too", func(t *testing.T) {
		code, screen := onTerminal(t, []string{"families", "alice", "--json"}, "ROTOR_URL="+url).end()
		if code != 0 || !strings.Contains(screen, `\u202e`) {
			t.Errorf("ended with %d:\n%q", code, screen)
		}
		inert(t, screen)
	})
	t.Run("a question", func(t *testing.T) {
		for _, typed := range []string{"\n", "n\n", "\x04"} {
			s := onTerminal(t, []string{"revoke", "--user", "alice"}, "ROTOR_URL="+url)
			s.answer(`This ends 3 living families of user "alice". End them? [y/N] `, typed)
			if code, screen := s.end(); code != 1 || !strings.Contains(screen, "nothing was done") {
				t.Errorf("after %q it ended with %d:\n%q", typed, code, screen)
			}
		}
		s := onTerminal(t, []string{"revoke", tokens.Family}, "ROTOR_URL="+url)
		s.answer("End it? [y/N] ", "y\n")
		code, screen := s.end()
		if code != 0 || !strings.Contains(screen, "1 family ended") {
			t.Errorf("ended with %d:\n%q", code, screen)
		}
		inert(t, screen)
		s = onTerminal(t, []string{"erase", "alice"}, "ROTOR_URL="+url)
		s.answer("Type the id to go on: ", "alcie\n")
		if code, screen := s.end(); code != 1 || !strings.Contains(screen, "nothing was erased") {
			t.Errorf("ended with %d:\n%q", code, screen)
		}
		s = onTerminal(t, []string{"erase", "alice"}, "ROTOR_URL="+url)
		s.answer("Type the id to go on: ", "alice\n")
		if code, screen := s.end(); code != 0 || !strings.Contains(screen, "3 families and 1 stored event erased") {
			t.Errorf("ended with %d:\n%q", code, screen)
		}
	})
	t.Run("a client file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "clients.yaml")
		if err := os.WriteFile(path, []byte("clients: {shop: {type: public}}"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := onTerminal(t, []string{"clients", "apply", path}, "ROTOR_URL="+url)
		s.answer("Apply this to 1 client? [y/N] ", "yes\n")
		if code, screen := s.end(); code != 0 || !strings.Contains(screen, "\x1b[32m+ shop: new\x1b[0m") || !strings.Contains(screen, "1 client changed") {
			t.Errorf("ended with %d:\n%q", code, screen)
		}
		if code, screen := onTerminal(t, []string{"clients", "apply", path}, "ROTOR_URL="+url).end(); code != 0 || !strings.Contains(screen, "no change") {
			t.Errorf("the second time it ended with %d:\n%q", code, screen)
		}
	})
	t.Run("JSON asks nothing", func(t *testing.T) {
		if code, screen := onTerminal(t, []string{"revoke", "--user", "alice", "--json"}, "ROTOR_URL="+url).end(); code != 2 || !strings.Contains(screen, "with --json nothing is asked: say --yes, or --dry-run") {
			t.Errorf("ended with %d:\n%q", code, screen)
		}
	})
	t.Run("following", func(t *testing.T) {
		s := onTerminal(t, []string{"events", "--follow"}, "ROTOR_URL="+url)
		s.answer("sdu", "\x03")
		if code, screen := s.end(); code != 0 || !strings.Contains(screen, "TIME (UTC)") {
			t.Errorf("ended with %d:\n%q", code, screen)
		}
	})
}

// inert checks that nothing on the terminal acts on it but colors, or hides.
func inert(t *testing.T, screen string) {
	t.Helper()
	screen = regexp.MustCompile(`\x1b\[(0|1|3[123])m`).ReplaceAllString(screen, "")
	for _, bad := range []string{"\x1b", "\u202e", "\u2066", "\u009b", "\u200b", "\u00ad"} {
		if strings.Contains(screen, bad) {
			t.Errorf("%+q is on the terminal: %q", bad, screen)
		}
	}
}

// TestCredentials checks that an https address is called with a signature of the chosen credentials, also for an address
// by flag, and that a secret stays out of what is written.
func TestCredentials(t *testing.T) {
	var mu sync.Mutex
	var got []string
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"message":"Forbidden"}`)
	}))
	defer srv.Close()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"ca.pem":      string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})),
		"config":      "[profile support]\nregion = eu-north-1\n",
		"credentials": "[support]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = secret-of-the-profile\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{
		"SSL_CERT_FILE=" + filepath.Join(dir, "ca.pem"), "AWS_CONFIG_FILE=" + filepath.Join(dir, "config"),
		"AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(dir, "credentials"), "AWS_EC2_METADATA_DISABLED=true",
		"HOME=" + dir, "NO_PROXY=*",
	}
	keys := []string{"AWS_ACCESS_KEY_ID=AKIDENVIRONMENT", "AWS_SECRET_ACCESS_KEY=secret-of-the-environment"}
	for _, test := range []struct {
		args []string
		env  []string
		want string // in the signature, or else in the error
		code int
	}{
		{[]string{"families", "alice", "--url", srv.URL}, append(keys, "AWS_REGION=eu-west-3"), "Credential=AKIDENVIRONMENT/", 1},
		{[]string{"families", "alice", "--region", "us-west-2"}, append(keys, "ROTOR_URL="+srv.URL), "/us-west-2/execute-api/", 1},
		{[]string{"families", "alice", "--profile", "support"}, []string{"ROTOR_URL=" + srv.URL}, "Credential=AKIDPROFILE/", 1},
		{[]string{"families", "alice", "--profile", "support"}, []string{"ROTOR_URL=" + srv.URL}, "/eu-north-1/execute-api/", 1},
		{[]string{"families", "alice", "--profile", "nobody"}, []string{"ROTOR_URL=" + srv.URL}, "nobody", 1},
		{[]string{"families", "alice"}, append(keys, "ROTOR_URL="+srv.URL), "no AWS region is known", 2},
		{[]string{"families", "alice", "--region", "us-west-2"}, []string{"ROTOR_URL=" + srv.URL}, "no AWS credentials", 1},
	} {
		cmd, stderr := process(t, test.args, append(test.env, env...)...)
		err := cmd.Run()
		mu.Lock()
		signed := strings.Join(got, "")
		got = nil
		mu.Unlock()
		text := signed + stderr.String()
		if cmd.ProcessState.ExitCode() != test.code || !strings.Contains(text, test.want) {
			t.Errorf("%v ended with %v: %s", test.args, err, text)
		}
		if signed != "" && !strings.Contains(stderr.String(), "the caller may not execute-api:Invoke on …/GET/v1/families") {
			t.Errorf("the error does not name the permission: %s", stderr)
		}
		if strings.Contains(text, "secret-of-the") {
			t.Errorf("a secret is written: %s", text)
		}
	}
}
