package local

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/shared/openapi/openapitest"
)

// block holds a block of code of a page.
type block struct {
	line int
	info string // the text after the three backquotes
	text string
}

// blocks returns the blocks of code of a page, in order.
func blocks(t *testing.T, page string) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../..", page))
	if err != nil {
		t.Fatal(err)
	}
	var found []block
	open := false
	for i, line := range strings.SplitAfter(string(text), "\n") {
		switch info, fence := strings.CutPrefix(line, "```"); {
		case fence && !open:
			found = append(found, block{line: i + 1, info: strings.TrimSpace(info)})
			open = true
		case fence:
			open = false
		case open:
			found[len(found)-1].text += line
		}
	}
	if open {
		t.Errorf("%s: the block of line %d has no end", page, found[len(found)-1].line)
	}
	return found
}

// notPlayed tells why blocks of a kind are not pasted into a shell here.
var notPlayed = map[string]string{
	"console":      "a transcript of another place: an AWS account, a container, a program that goes on",
	"sh keys.json": "works on a file of the reader, with jq",
	"go":           "another language", "js": "another language", "ts": "another language", "python": "another language", "sql": "another language",
	"json": "data", "yaml": "data", "text": "no commands", "mermaid": "a picture",
}

// varies lists what differs from run to run, and what replaces it in comparisons.
var varies = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`http://127\.0\.0\.1:\d+`), "<issuer>"},
	{regexp.MustCompile(`rotor_[A-Za-z0-9_…-]+`), "<token>"},
	{regexp.MustCompile(`eyJ[A-Za-z0-9_.…-]+`), "<jwt>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)`), "<time>"},
	{regexp.MustCompile(`"(family|familyId|kid|jti|userKey|n)":"[A-Za-z0-9_…-]+"`), `"$1":"<id>"`},
	{regexp.MustCompile(`(?m)(^|\["|[ \t])[A-Za-z0-9_-]{43}("\]|[ \t]|$)`), "$1<id>$2"},
	{regexp.MustCompile(`\b[0-9A-Z]{26}\b`), "<ulid>"},
	{regexp.MustCompile(`\b(2592000|25919\d\d)\b`), "<30 d>"},
	{regexp.MustCompile(`\b(1296000|12959\d\d)\b`), "<15 d>"},
	{regexp.MustCompile(`\b1 min \d\d s after|\breuse_interval of \d\d seconds`), "<75 s>"},
	{regexp.MustCompile(`\b2 min( \d\d? s)? after`), "<2 min>"},
	{regexp.MustCompile(`(?m)^  store  .*$`), "<store>"},
	{regexp.MustCompile(`"(iat|exp|ageMs)":\d+`), `"$1":<number>`},
	{regexp.MustCompile(`curl/[\d.]+`), "<curl>"},
	{regexp.MustCompile(`\s+`), ""}, // comes last, as answers are shown with added line breaks
}

// plain returns s without what varies, and without its spaces.
func plain(s string) string {
	for _, v := range varies {
		s = v.what.ReplaceAllString(s, v.as)
	}
	return s
}

// isShown reports whether got is what a page shows, in which … stands for anything.
func isShown(page, got string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(plain(page)), "…", ".*")
	return regexp.MustCompile(`\A` + pattern + `\z`).MatchString(plain(got))
}

// TestReadme pastes the commands of each page, in order, into a shell beside a program that has
// just been started, and compares what they print with what the page shows. It needs bash, curl
// and sed, like the reader. The OpenAPI document must have each request and its answer.
func TestReadme(t *testing.T) {
	docs, err := filepath.Glob("../../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages := []string{"README.md"}
	for _, path := range docs {
		pages = append(pages, "docs/"+filepath.Base(path))
	}
	// These are the fewest blocks that each page plays, so that a page with other fences
	// cannot pass unnoticed.
	due := map[string]int{
		"README.md": 3, "docs/api.md": 8, "docs/management.md": 12, "docs/support.md": 2, "docs/configuration.md": 1, "docs/command.md": 9,
		"docs/imports.md": 2, "docs/moving.md": 2, "docs/supabase.md": 3,
	}
	for _, page := range pages {
		t.Run(page, func(t *testing.T) {
			if played := play(t, page, blocks(t, page)); played < due[page] {
				t.Errorf("%d blocks were played, not %d", played, due[page])
			}
		})
		delete(due, page)
	}
	if len(due) > 0 {
		t.Errorf("there are no pages %v", due)
	}
	seen := openapitest.Load().Seen()
	for _, o := range openapitest.Load().Operations() {
		succeeded := func(part string) bool {
			answer, ok := strings.CutPrefix(part, o.Method+" "+o.Path+": the answer ")
			return ok && (answer[0] == '2' || answer[0] == '3')
		}
		// Browsers make these requests, and sign them: no page could show a command.
		byBrowser := strings.HasPrefix(o.Path, "/oauth/dbsc/")
		if !byBrowser && !slices.ContainsFunc(seen, succeeded) {
			t.Errorf("no page shows %s %s", o.Method, o.Path)
		}
	}
}

// TestPrintedClients puts each client that a page shows as JSON.
func TestPrintedClients(t *testing.T) {
	pages, err := filepath.Glob("../../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	proxy := checked(t, start(t, nil))
	put := 0
	for _, path := range pages {
		page := "docs/" + filepath.Base(path)
		for _, b := range blocks(t, page) {
			var client struct{ Type string }
			if b.info != "json" || json.Unmarshal([]byte(b.text), &client) != nil || client.Type == "" {
				continue
			}
			put++
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, proxy.URL+"/v1/clients/"+strconv.Itoa(put), strings.NewReader(b.text))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			answer, err := proxy.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusCreated {
				t.Errorf("%s, line %d: the client is answered %d", page, b.line, answer.StatusCode)
			}
		}
	}
	if put < 2 {
		t.Errorf("the pages show %d clients", put)
	}
}

// checked returns a proxy of the program that checks what it passes on by the OpenAPI document, except for the calls that
// only the program has.
func checked(t *testing.T, p *program) *httptest.Server {
	target, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	transport := &openapitest.Transport{Base: p.client.Transport, Report: func(err error) { t.Errorf("the OpenAPI document does not say it: %v", err) }}
	proxy := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		r.Body, _ = r.GetBody()
		if strings.HasPrefix(r.URL.Path, "/local/") {
			own := *proxy
			own.Transport = p.client.Transport
			own.ServeHTTP(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

// programs returns a folder with the program rotor, built of this tree.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/rotor", "github.com/rotor-auth/rotor/cmd/rotor").CombinedOutput()
	if err != nil {
		t.Fatalf("build rotor: %v\n%s", err, out)
	}
	return dir
}

// play plays a page, and returns how many blocks it has pasted.
func play(t *testing.T, page string, all []block) (played int) {
	const mark = "==== block ===="
	const address = "R=http://127.0.0.1:3000"
	var script strings.Builder
	var shown []string // what the page shows for each block that is played
	var asked, logged []block
	welcome := ""
	for i, b := range all {
		why, known := notPlayed[b.info]
		switch {
		case b.info == "sh":
			if len(asked) == 0 && !strings.Contains(b.text, address) {
				t.Errorf("line %d: the first commands do not set %s", b.line, address)
			}
			want := ""
			if i+1 < len(all) && all[i+1].info == "" {
				want = all[i+1].text
			}
			shown, asked = append(shown, want), append(asked, b)
			script.WriteString("printf '\\n" + mark + "\\n'\n" + b.text)
		case b.info == "":
			if i == 0 || all[i-1].info != "sh" {
				t.Errorf("line %d: a block without a language is what the commands before it print, and there are none", b.line)
			}
		case b.info == "text log":
			logged = append(logged, b)
		case b.info == "console" && strings.HasPrefix(b.text, "$ make run\n"):
			welcome = strings.TrimPrefix(b.text, "$ make run\n")
		case known:
			t.Logf("line %d is not played: %s (%s)", b.line, b.info, why)
		default:
			t.Errorf("line %d: a block is played as sh, or says by its language why not, and %q does not", b.line, b.info)
		}
	}
	if page == "README.md" && (welcome == "" || len(logged) == 0) {
		t.Error("the page does not show what make run prints, or no line of its log")
	}
	if len(asked) == 0 {
		return 0
	}
	p := start(t, map[string]string{"ALG": "RS256"})
	if welcome != "" && !isShown(welcome, p.stdout) {
		t.Errorf("the program begins with\n%s\nand not with\n%s", p.stdout, welcome)
	}
	proxy := checked(t, p)
	bash := exec.CommandContext(t.Context(), "bash", "-uc", strings.ReplaceAll(script.String(), address, "R="+proxy.URL))
	bash.Env = append(bash.Environ(), "NO_PROXY=*", "no_proxy=*") // the machine's proxy cannot reach our loopback
	if strings.Contains(script.String(), "\nrotor ") {
		bash.Env = append(bash.Env, "PATH="+programs(t)+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	var stderr strings.Builder
	bash.Stderr = &stderr
	stdout, err := bash.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%v: %s\n%s", err, &stderr, stdout)
	}
	got := strings.Split(string(stdout), "\n"+mark+"\n")[1:]
	if len(got) != len(shown) {
		t.Fatalf("%d blocks of commands printed %d answers", len(shown), len(got))
	}
	for i, want := range shown {
		if !isShown(want, got[i]) {
			t.Errorf("line %d: the commands\n%s\nprinted\n%s\nand not\n%s", asked[i].line, asked[i].text, got[i], want)
		}
	}
	// The log must contain the lines that the page shows of it.
	lines := p.stderr.String()
	for _, b := range logged {
		found := false
		for line := range strings.SplitSeq(lines, "\n") {
			found = found || isShown(b.text, line)
		}
		if !found {
			t.Errorf("line %d: the log has no line\n%s\nbut\n%s", b.line, b.text, lines)
		}
	}
	return len(asked)
}
