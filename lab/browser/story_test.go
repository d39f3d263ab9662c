//go:build browser

package browser

import (
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestStory plays the playground's whole story: a login, five tabs at once, a lost response,
// and two minutes later a thief.
func TestStory(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := newTab(t, s.url)
	p.open("/")
	p.sees("h1", "nobody is logged out")
	p.look("playground")
	p.accessible()
	p.follow("button[value='login']")
	p.verdict("valid")
	p.told("Alice logged in.")
	p.look("playground-login")
	p.accessible()

	p.follow("button[value='tabs']")
	p.told("Five answers, and one token in all of them.")
	p.verdict("valid")
	p.pictured("token 2")

	p.follow("button[value='wait-2m']")
	p.follow("button[value='lose']")
	p.told("the response was lost")
	p.follow("button[value='refresh']")
	p.told("It got a newer token, and saved it.")
	p.verdict("valid")

	p.follow("button[value='wait-2m']")
	p.told("The clock moved on by 2 minutes.")
	p.follow("button[value='thief']")
	p.told("The thief got nothing")
	p.verdict("dead")
	p.sees("#verdict", "reuse_detected")
	p.pictured("token 1 came back")
	p.sees(".summary", "token 1 was presented again")
	p.look("playground-thief")
	p.accessible()
	p.follow("button[value='refresh']")
	p.told("Alice has to log in again")

	// The steps are numbered in the order in which they were done.
	story := strings.Join(p.texts(".story li"), "\n")
	last := -1
	for _, did := range []string{
		"Alice logged in", "Five tabs refreshed", "the response was lost", "The app tried again", "The thief replayed", "The app refreshed",
	} {
		at := strings.LastIndex(story, did)
		if at <= last {
			t.Errorf("%q is missing, or not in its place:\n%s", did, story)
		}
		last = at
	}
	p.follow("a[href*='/console/explain?family=']")
	p.sees("#verdict", "dead")
	p.open("/")
	p.follow("button[value='again']")
	p.sees("form.login", "Log in")
	if secrets.MatchString(strings.Join(append(p.urls(), p.history()...), " ")) {
		t.Error("an address has a token")
	}
}

// told waits until the last step says the text.
func (p *tab) told(text string) { p.t.Helper(); p.sees(".last", text) }

// verdict waits until the verdict on the app's token is the word.
func (p *tab) verdict(word string) { p.t.Helper(); p.sees("#verdict .verdict", word) }

// pictured checks that one picture of the family is shown, and that its description for those who
// do not see it has the text.
func (p *tab) pictured(text string) {
	p.t.Helper()
	p.waits("[...document.querySelectorAll('main svg[role=img]')].filter(e => e.checkVisibility()).length == 1")
	if found := p.count("main svg[role=img]"); found == 0 {
		p.t.Error("there is no picture")
	}
	for _, text := range read(p, chromedp.Evaluate[[]string](`[...document.querySelectorAll("main svg[role=img]")].filter(e => e.checkVisibility()).flatMap(svg =>
		[...svg.querySelectorAll("text")].filter(text => {
			const box = text.getBBox(), frame = svg.viewBox.baseVal;
			return box.x < frame.x || box.y < frame.y || box.x + box.width > frame.x + frame.width || box.y + box.height > frame.y + frame.height;
		}).map(text => text.textContent))`)) {
		p.t.Errorf("a text of the picture leaves its frame: %s", text)
	}
	all := strings.Join(p.texts("main svg[role=img]"), "\n")
	if !strings.Contains(strings.ToLower(all), text) {
		p.t.Errorf("the picture does not say %q:\n%s", text, all)
	}
}

// TestPicture takes the README's picture into the file that ROTOR_PICTURE names, or else throws
// it away.
func TestPicture(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := newTab(t, s.url)
	p.colours("light")
	p.open("/")
	for _, button := range []string{"login", "tabs", "wait-2m", "lose", "refresh", "wait-2m", "thief"} {
		p.follow("button[value='" + button + "']")
	}
	p.verdict("dead")
	p.size(960, 700)
	// From the top to the end of the family's picture.
	p.size(960, int64(read(p, chromedp.Evaluate[float64]("Math.ceil(document.querySelector('.legend').closest('section').getBoundingClientRect().bottom + scrollY + 16)"))))
	p.eval("scrollTo(0, 0)")
	picture := read(p, chromedp.CaptureScreenshot())
	if len(picture) < 10<<10 || len(picture) > 200<<10 {
		t.Errorf("the picture has %d KiB", len(picture)>>10)
	}
	if file := os.Getenv("ROTOR_PICTURE"); file != "" {
		if err := os.WriteFile(file, picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
