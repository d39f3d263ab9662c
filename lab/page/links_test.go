package page

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// root is the folder of the repository.
const root = "../.."

// pages returns the paths, from root, of the pages that people read.
func pages(t *testing.T) []string {
	t.Helper()
	found := []string{"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "events/README.md"}
	for _, pattern := range []string{"docs/*.md", "examples/*.md", "examples/*/*.md"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("there is no %s: %v", pattern, err)
		}
		for _, path := range paths {
			page, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, filepath.ToSlash(page))
		}
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	fenced     = regexp.MustCompile("(?ms)^```.*?^```[ \t]*$")
	inlineCode = regexp.MustCompile("`[^`\n]+`")
	inlineLink = regexp.MustCompile(`\[[^\[\]]*\]\(([^()\s]*)\)`)
	definition = regexp.MustCompile(`(?m)^\[[^\]]+\]:[ \t]+(\S+)`)
	heading    = regexp.MustCompile(`(?m)^#{1,6} +(.*)$`)
)

// links returns what the links of a page point to.
func links(text string) []string {
	text = inlineCode.ReplaceAllString(fenced.ReplaceAllString(text, ""), "code")
	var found []string
	for _, link := range slices.Concat(inlineLink.FindAllStringSubmatch(text, -1), definition.FindAllStringSubmatch(text, -1)) {
		found = append(found, link[1])
	}
	return found
}

// anchors returns the anchors that GitHub gives the headings of a page.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, h := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		title := regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(h[1], "$1")
		id := strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r), unicode.IsNumber(r), r == '-', r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, title)
		for name, n := id, 1; ; n++ {
			if !found[name] {
				found[name] = true
				break
			}
			name = fmt.Sprintf("%s-%d", id, n)
		}
	}
	return found
}

// broken returns what is wrong with a link of the page at a path from root, or "".
func broken(page, link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return err.Error()
	}
	if u.Scheme != "" {
		if u.Scheme != "https" || !strings.Contains(u.Host, ".") || u.User != nil {
			return "an external link is https, and names a host"
		}
		return ""
	}
	if link == "" || strings.HasPrefix(link, "/") {
		return "a link within the repository is relative"
	}
	target := page
	if u.Path != "" {
		target = filepath.Join(filepath.Dir(page), u.Path)
	}
	if !filepath.IsLocal(target) {
		return "it leaves the repository"
	}
	if _, err := os.Stat(filepath.Join(root, target)); err != nil {
		return "there is no such file"
	}
	if u.Fragment == "" {
		return ""
	}
	text, err := os.ReadFile(filepath.Join(root, target))
	switch {
	case filepath.Ext(target) != ".md":
		return "only pages have anchors that are checked"
	case err != nil:
		return err.Error()
	case !anchors(string(text))[u.Fragment]:
		return "there is no such heading"
	}
	return ""
}

// TestLinks checks every link of every page. Only the form of external addresses is checked.
func TestLinks(t *testing.T) {
	checked, withAnchor := 0, 0
	for _, page := range pages(t) {
		for _, link := range links(read(t, page)) {
			checked++
			if strings.Contains(link, "#") {
				withAnchor++
			}
			if why := broken(page, link); why != "" {
				t.Errorf("%s: %s: %s", page, link, why)
			}
		}
	}
	if checked < 150 || withAnchor < 70 {
		t.Errorf("only %d links were found, %d of them with an anchor", checked, withAnchor)
	}
}

// TestLinksCanBreak checks that the test above can fail, and which anchors GitHub makes.
func TestLinksCanBreak(t *testing.T) {
	for _, link := range []string{
		"docs/nothing.md", "docs/design.md#nothing", "#nothing", "/README.md", "../README.md", "http://example.com", "https://localhost",
		"", "Makefile#run", "docs/../../x",
	} {
		if broken("README.md", link) == "" {
			t.Errorf("%q is not found to be broken", link)
		}
	}
	for _, link := range []string{"LICENSE", "docs", "docs/design.md#the-write", "#license", "https://example.com/a#b"} {
		if why := broken("README.md", link); why != "" {
			t.Errorf("%q: %s", link, why)
		}
	}
	text := "# The *one*, `make run`\n[a](b.md#c) `[x](y)` [two\nlines](d.md)\n```\n# no\n[no](no)\n```\n## Twice\n## Twice\n## With [a link](e.md): Ä_1\n[f]: g.md\n"
	if got, want := links(text), []string{"b.md#c", "d.md", "e.md", "g.md"}; !slices.Equal(got, want) {
		t.Errorf("links %q, not %q", got, want)
	}
	got := anchors(text)
	for _, want := range []string{"the-one-make-run", "twice", "twice-1", "with-a-link-ä_1"} {
		if !got[want] {
			t.Errorf("no anchor %q", want)
		}
	}
	if len(got) != 4 {
		t.Errorf("anchors %v", got)
	}
}

// TestPagesAreShort checks that the README has at most 250 lines and each page of docs 400,
// except those that programs write, and that the README lists each page.
func TestPagesAreShort(t *testing.T) {
	written := []string{"docs/mutants.md", "docs/benchmarks.md", "docs/scale.md"}
	listed := map[string]bool{}
	for _, link := range links(read(t, "README.md")) {
		listed[link] = true
	}
	docs := 0
	for _, page := range pages(t) {
		most := 400
		switch {
		case page == "README.md":
			most = 250
		case !strings.HasPrefix(page, "docs/"):
			continue
		default:
			docs++
			if !listed[page] {
				t.Errorf("the README does not list %s", page)
			}
		}
		if n := strings.Count(read(t, page), "\n"); n > most && !slices.Contains(written, page) {
			t.Errorf("%s has %d lines, and may have %d", page, n, most)
		}
	}
	if docs < 12 {
		t.Errorf("only %d pages were found", docs)
	}
}

// TestTreeIsComplete checks that each folder of the tree has a row in the README, and each row
// a folder.
func TestTreeIsComplete(t *testing.T) {
	_, table, _ := strings.Cut(read(t, "README.md"), "\n| folder | what |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := map[string]bool{}
	for line := range strings.SplitSeq(table, "\n") {
		folders, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		for _, name := range regexp.MustCompile("`([^`]+)/`").FindAllStringSubmatch(folders, -1) {
			rows[name[1]] = true
			if info, err := os.Stat(filepath.Join(root, name[1])); err != nil || !info.IsDir() {
				t.Errorf("the README has a row of %s/, which is no folder", name[1])
			}
		}
	}
	folders := 0
	for _, parent := range []string{"shared", "lab", "clients", "cmd", "functions/internal"} {
		entries, err := os.ReadDir(filepath.Join(root, parent))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := parent + "/" + e.Name()
			if !e.IsDir() {
				continue
			}
			folders++
			if !rows[name] {
				t.Errorf("the README has no row of %s/", name)
			}
		}
	}
	if folders < 20 {
		t.Errorf("only %d folders were found", folders)
	}
}
