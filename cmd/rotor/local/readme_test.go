package local

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// readme returns the blocks of code of the README, in order: what stands behind the
// three backquotes, and what is in the block.
func readme(t *testing.T) [][2]string {
	t.Helper()
	text, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks [][2]string
	for _, m := range regexp.MustCompile("(?ms)^```(\\w*)\\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, [2]string{m[1], m[2]})
	}
	return blocks
}

// varies is what differs from run to run, and how it is spelled when two are compared.
var varies = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`http://127\.0\.0\.1:\d+`), "<issuer>"},
	{regexp.MustCompile(`rotor_[A-Za-z0-9_…-]+`), "<token>"},
	{regexp.MustCompile(`eyJ[A-Za-z0-9_.…-]+`), "<jwt>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)`), "<time>"},
	{regexp.MustCompile(`"(family|familyId|kid|jti|userKey|n)":"[A-Za-z0-9_…-]+"`), `"$1":"<id>"`},
	{regexp.MustCompile(`(?m)(^|\[")[A-Za-z0-9_-]{43}("\]|$)`), "$1<id>$2"},
	{regexp.MustCompile(`\b[0-9A-Z]{26}\b`), "<ulid>"},
	{regexp.MustCompile(`\b(2592000|25919\d\d)\b`), "<30 d>"},
	{regexp.MustCompile(`\b(1296000|12959\d\d)\b`), "<15 d>"},
	{regexp.MustCompile(`\b1 min \d\d s after|\breuse_interval of \d\d seconds`), "<75 s>"},
	{regexp.MustCompile(`(?m)^  store  .*$`), "<store>"},
	{regexp.MustCompile(`"(iat|exp|ageMs)":\d+`), `"$1":<number>`},
	{regexp.MustCompile(`curl/[\d.]+`), "<curl>"},
	{regexp.MustCompile(`\s+`), ""}, // at last: answers are shown with line breaks added
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

// The README's commands, pasted in order, print what it says they do. Needs bash, curl and
// sed, like the reader.
func TestReadme(t *testing.T) {
	p := start(t, map[string]string{"ALG": "RS256"})
	blocks := readme(t)
	if welcome := strings.TrimPrefix(blocks[0][1], "$ make run\n"); !isShown(welcome, p.stdout) {
		t.Errorf("the program begins with\n%s\nand not with\n%s", p.stdout, welcome)
	}
	const mark = "==== block ===="
	var script strings.Builder
	var said, asked []string
	for i, b := range blocks {
		if b[0] != "sh" {
			continue
		}
		want := ""
		if i+1 < len(blocks) && blocks[i+1][0] == "" {
			want = blocks[i+1][1]
		}
		said, asked = append(said, want), append(asked, b[1])
		script.WriteString("printf '\\n" + mark + "\\n'\n" + strings.ReplaceAll(b[1], "R=http://127.0.0.1:3000", "R="+p.url))
	}
	bash := exec.CommandContext(t.Context(), "bash", "-c", script.String())
	bash.Env = append(bash.Environ(), "NO_PROXY=*", "no_proxy=*") // the machine's proxy knows no loopback of ours
	var stderr strings.Builder
	bash.Stderr = &stderr
	stdout, err := bash.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%v: %s\n%s", err, &stderr, stdout)
	}
	got := strings.Split(string(stdout), "\n"+mark+"\n")[1:]
	if len(got) != len(said) || len(got) < 20 {
		t.Fatalf("%d blocks of commands printed %d answers", len(said), len(got))
	}
	for i, want := range said {
		if !isShown(want, got[i]) {
			t.Errorf("the commands\n%s\nprinted\n%s\nand not\n%s", asked[i], got[i], want)
		}
	}
	// And the log says why Alice's family has ended, as is shown there.
	for _, b := range blocks {
		if !strings.HasPrefix(b[1], `{"level":"WARN"`) {
			continue
		}
		line := regexp.MustCompile(`(?m)^.*"type":"ferrt".*"userId":"alice".*$`).FindString(p.stderr.String())
		line = regexp.MustCompile(`"(time|eventId|familyId)":"[^"]*",`).ReplaceAllString(line, "")
		if !isShown(b[1], line) {
			t.Errorf("the log says %s and not\n%s", line, b[1])
		}
		return
	}
	t.Error("the README has no line of the log")
}
