package timeline

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var began = time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)

// stories draws the life of a family: uses with pauses from nothing to months between them.
func stories(t *rapid.T) *Story {
	s := &Story{Interval: time.Duration(rapid.SampledFrom([]int{0, 1, 10, 60, 600, 7200}).Draw(t, "interval")) * time.Second}
	at, newest := began, uint32(1)
	pause := func() time.Duration {
		unit := rapid.SampledFrom([]time.Duration{time.Nanosecond, time.Millisecond, time.Second, time.Minute, time.Hour, 24 * time.Hour}).Draw(t, "unit")
		return time.Duration(rapid.IntRange(0, 60).Draw(t, "pause")) * unit
	}
	from := rapid.SampledFrom([]string{"", "192.0.2.1 app", `<script>"'&`})
	s.Moments = append(s.Moments, Moment{At: at, Kind: Issued, Newest: 1})
	if rapid.Bool().Draw(t, "code") {
		s.Moments[0].Origin, s.Moments[0].Newest = "code", 0
		for range rapid.IntRange(0, 3).Draw(t, "wrong proofs") {
			at = at.Add(pause())
			s.Moments = append(s.Moments, Moment{At: at, Kind: Refused, Origin: "code", Cause: "wrong_verifier"})
		}
		at = at.Add(pause())
		s.Moments = append(s.Moments, Moment{At: at, Kind: Exchanged, Origin: "code", Newest: 1, From: from.Draw(t, "from")})
	}
	for range rapid.IntRange(0, 40).Draw(t, "moments") {
		at = at.Add(pause())
		m := Moment{At: at, Kind: rapid.SampledFrom([]Kind{Rotated, Rotated, Used, Reused, Skipped, Late, Observed, Ahead}).Draw(t, "kind"), Token: newest, From: from.Draw(t, "from")}
		if m.isToken() {
			newest += uint32(rapid.SampledFrom([]int{1, 1, 1, 2, 40}).Draw(t, "step"))
		}
		m.Newest, m.Elsewhere = newest, rapid.Bool().Draw(t, "elsewhere")
		s.Moments = append(s.Moments, m)
	}
	if rapid.Bool().Draw(t, "dead") {
		at = at.Add(pause())
		s.Moments = append(s.Moments, Moment{At: at, Kind: Ended, Cause: rapid.SampledFrom([]string{"reuse_detected", "revoked_by_client", "<b>", strings.Repeat("cause ", 20)}).Draw(t, "cause"), Token: 1, Newest: newest})
		for range rapid.IntRange(0, 3).Draw(t, "refused") {
			at = at.Add(pause())
			s.Moments = append(s.Moments, Moment{At: at, Kind: Refused, Token: newest, Newest: newest, Cause: "reuse_detected"})
		}
	} else {
		s.Ends = []End{{at.Add(15 * 24 * time.Hour), "idle end"}, {at.Add(30 * 24 * time.Hour), "absolute end"}}
	}
	s.Now = at.Add(pause())
	if rapid.IntRange(0, 9).Draw(t, "skew") == 0 {
		s.Now = began // a clock that is behind the service's
	}
	if n := rapid.IntRange(-1, int(newest)).Draw(t, "presented"); n >= 0 {
		s.Presented = new(uint32(n))
	}
	return s
}

// TestPicture checks the geometry of any picture: what is later is further to the right, everything
// is on the axis, a band is as long as the interval, and every moment is in one mark.
func TestPicture(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stories(t)
		width := rapid.SampledFrom([]float64{300, 380, 1000, 1600}).Draw(t, "width")
		p := Draw(s, width)[0]
		const off = 1e-6
		last := p.Left
		tokens, uses := 0, 0
		for i := range s.Moments {
			m := &s.Moments[i]
			at := p.Axis.Place(m.At)
			if at < last-off || at > p.Right+off {
				t.Errorf("moment %d is at %v, after %v, on an axis from %v to %v", i, at, last, p.Left, p.Right)
			}
			last = at
			switch {
			case m.isToken():
				tokens++
				if n := holding(p.Tokens, func(m Tokens) bool { return m.From <= at+off && at-off <= m.To }); n != 1 {
					t.Errorf("token %d at %v is in %d marks: %v", m.Newest, at, n, p.Tokens)
				}
				if m.Kind == Issued || m.Kind == Exchanged || s.Interval == 0 {
					continue
				}
				end := p.Axis.Place(m.At.Add(s.Interval))
				if p.Ended != nil && p.Ended.At.Before(m.At.Add(s.Interval)) {
					end = p.Axis.Place(p.Ended.At)
				}
				if n := holding(p.Bands, func(b Band) bool { return b.From <= at+off && end-off <= b.To }); n != 1 {
					t.Errorf("the interval of token %d, from %v to %v, is in %d bands: %v", m.Newest, at, end, n, p.Bands)
				}
			case m.Kind != Ended:
				uses++
			}
		}
		for _, b := range p.Bands {
			// Nothing else has a band: it begins with a rotation, and ends with the interval of one.
			starts := slices.ContainsFunc(s.Moments, func(m Moment) bool { return m.hasInterval() && near(p.Axis.Place(m.At), b.From) })
			ends := near(b.To, p.Life) || slices.ContainsFunc(s.Moments, func(m Moment) bool { return m.hasInterval() && near(p.Axis.Place(m.At.Add(s.Interval)), b.To) })
			if !starts || !ends || b.To < b.From || b.To > p.Life+off {
				t.Errorf("the band %v is of no rotation", b)
			}
		}
		for i := range p.Tokens {
			if i > 0 && p.Tokens[i].From-p.Tokens[i-1].To < 2*tokenRadius {
				t.Errorf("the marks %v and %v touch", p.Tokens[i-1], p.Tokens[i])
			}
		}
		counted := 0
		for i, u := range p.Uses {
			if i > 0 && u.From-p.Uses[i-1].From < useRadius {
				t.Errorf("the marks %+v and %+v cover each other", p.Uses[i-1], u)
			}
			sum := 0
			for _, of := range u.Of {
				sum += of.Count
				if of.Kind > u.Kind || of.Elsewhere && !u.Elsewhere {
					t.Errorf("the mark %+v hides %+v", u, of)
				}
			}
			if sum != u.Count {
				t.Errorf("the mark %+v does not add up", u)
			}
			counted += u.Count
		}
		if counted != uses {
			t.Errorf("%d uses are shown of %d", counted, uses)
		}
		checkTexts(t, p)
		checkSVG(t, p)
		checkTable(t, s)
	})
}

func holding[T any](all []T, holds func(T) bool) (n int) {
	for _, one := range all {
		if holds(one) {
			n++
		}
	}
	return n
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 }

// checkTexts checks that texts are inside the picture and cover no others.
func checkTexts(t *rapid.T, p *Picture) {
	for i, l := range p.Labels {
		half := l.width() / 2
		if l.X-half < 0 || l.X+half > p.Width || l.Y < 8 || l.Y > p.Height {
			t.Errorf("the label %+v is outside of %v × %v", l, p.Width, p.Height)
		}
		for _, o := range p.Labels[:i] {
			if l.Y == o.Y && math.Abs(l.X-o.X) < half+o.width()/2 {
				t.Errorf("the labels %+v and %+v cover each other", l, o)
			}
		}
	}
	for i, pause := range p.Pauses {
		half := textWidth(pause.Text) / 2
		if i > 0 && pause.Text != "" && p.Pauses[i-1].Text != "" && (pause.From+pause.To)/2-half < (p.Pauses[i-1].From+p.Pauses[i-1].To)/2+textWidth(p.Pauses[i-1].Text)/2 {
			t.Errorf("the pauses %+v and %+v cover each other", p.Pauses[i-1], pause)
		}
	}
	for i, tick := range p.Ticks {
		if i > 0 && tick.X-p.Ticks[i-1].X < 60 {
			t.Errorf("the times %+v and %+v cover each other", p.Ticks[i-1], tick)
		}
	}
	if len(p.Ticks) == 0 || p.Ticks[0].Date == "" {
		t.Errorf("the axis has no date: %+v", p.Ticks)
	}
	if p.Ended != nil && !slices.ContainsFunc(p.Labels, func(l Label) bool { return l.Class == "dead" }) {
		t.Errorf("the picture does not say how it ended: %+v", p.Labels)
	}
}

// checkSVG checks that the element is well formed, has a name and a description, and no markup that
// a text brought along.
func checkSVG(t *rapid.T, p *Picture) {
	svg := p.SVG("x", "wide")
	if len(svg) > 32<<10 {
		t.Errorf("it has %d bytes", len(svg))
	}
	known := "svg title desc rect path circle text g"
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v:\n%s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok {
			if !slices.Contains(strings.Fields(known), e.Name.Local) {
				t.Errorf("it has an element %s", e.Name.Local)
			}
			for _, a := range e.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "style" || strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
					t.Errorf("it has an attribute %s=%q", a.Name.Local, a.Value)
				}
			}
		}
	}
	for _, want := range []string{`<title id="x-title">`, `<desc id="x-desc">`, `role="img"`, `aria-labelledby="x-title x-desc"`} {
		if !strings.Contains(svg, want) {
			t.Errorf("it has no %s", want)
		}
	}
}

// checkTable checks that the table begins and ends as the story, in its order.
func checkTable(t *rapid.T, s *Story) {
	rows := s.Table()
	if len(rows) == 0 || !rows[0].At.Equal(s.Moments[0].At) || !rows[len(rows)-1].At.Equal(s.Moments[len(s.Moments)-1].At) {
		t.Fatalf("the table is %v", rows)
	}
	for i := 1; i < len(rows); i++ {
		if rows[i].At.Before(rows[i-1].At) || rows[i].Words == "" {
			t.Errorf("after %v comes %v", rows[i-1], rows[i])
		}
	}
}

// TestManyRotations checks that a picture of many rotations is small, and shows its two ends.
func TestManyRotations(t *testing.T) {
	s := &Story{Interval: time.Minute, Moments: []Moment{{At: began, Kind: Issued, Newest: 1}}}
	for i := range 10_000 {
		at := began.Add(time.Duration(i+1) * 90 * time.Minute)
		s.Moments = append(s.Moments,
			Moment{At: at, Kind: Rotated, Token: uint32(i + 1), Newest: uint32(i + 2)},
			Moment{At: at.Add(3 * time.Millisecond), Kind: Reused, Token: uint32(i + 1), Newest: uint32(i + 2), Age: 3 * time.Millisecond})
	}
	end := s.Moments[len(s.Moments)-1].At.Add(time.Hour)
	s.Moments = append(s.Moments, Moment{At: end, Kind: Ended, Cause: "reuse_detected", Token: 7, Newest: 10_001})
	s.Now = end.Add(time.Minute)
	p := Draw(s, 1000)[0]
	svg := p.SVG("x", "wide")
	for _, want := range []string{"Tokens 1 to 10001", "revoked: token 7 came back", "used again × 10,000"} {
		if !strings.Contains(svg, want) {
			t.Errorf("there is no %q:\n%s", want, svg)
		}
	}
	if len(svg) > 16<<10 || len(p.Bands) > 1000 {
		t.Errorf("%d bytes, %d bands", len(svg), len(p.Bands))
	}
	if p.Life-p.Tokens[len(p.Tokens)-1].To < 20 || p.Now-p.Life < 20 {
		t.Errorf("the end is not to be seen: %v to %v, %v, %v", p.Tokens, p.Life, p.Now, p.Right)
	}
	if rows := s.Table(); len(rows) > maxRows+1 || !strings.Contains(rows[len(rows)/2].Words, "lines are left out") {
		t.Errorf("the table has %d rows", len(rows))
	}
}

// TestSizeIsBounded checks that neither the picture nor its table grows with the story, whatever
// happens in it and in which order.
func TestSizeIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cycle := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Moment {
			return Moment{
				Kind: Kind(rapid.IntRange(int(Issued), int(Ended)).Draw(t, "kind")), Elsewhere: rapid.Bool().Draw(t, "elsewhere"),
				Cause: strings.Repeat("<", rapid.SampledFrom([]int{0, 10_000}).Draw(t, "cause")), From: strings.Repeat("&", rapid.SampledFrom([]int{0, 10_000}).Draw(t, "from")),
			}
		}), 1, 6).Draw(t, "cycle")
		pause := time.Duration(rapid.SampledFrom([]int64{0, 1, 1_000_000, 1_000_000_000, 3_600_000_000_000}).Draw(t, "pause"))
		s := &Story{Interval: time.Duration(rapid.IntRange(0, 2).Draw(t, "interval")) * time.Minute, Moments: []Moment{{At: began, Kind: Issued, Newest: 1}}}
		for i := range rapid.SampledFrom([]int{500, 2_000}).Draw(t, "moments") {
			m := cycle[i%len(cycle)]
			m.At, m.Token, m.Newest = began.Add(time.Duration(i+1)*pause), uint32(i+1), uint32(i+2)
			s.Moments = append(s.Moments, m)
		}
		s.Now = s.Moments[len(s.Moments)-1].At
		for _, p := range Draw(s, 1000, 330) {
			if svg := p.SVG("x", "wide"); len(svg) > 1<<20 || len(p.Uses) > int(p.Width/useRadius) {
				t.Errorf("the picture has %d bytes, and %d marks of uses", len(svg), len(p.Uses))
			}
		}
		size, rows := 0, s.Table()
		for _, r := range rows {
			size += len(r.Words) + len(r.From)
		}
		if len(rows) > maxRows+1 || size > 1<<20 {
			t.Errorf("the table has %d rows, and %d bytes", len(rows), size)
		}
	})
}

// TestAlternatingUses checks that uses from two places in turn are few marks, which say how many of
// each there were.
func TestAlternatingUses(t *testing.T) {
	s := &Story{Interval: time.Minute, Moments: []Moment{{At: began, Kind: Issued, Newest: 1}}}
	for i := range 10_000 {
		s.Moments = append(s.Moments, Moment{At: began.Add(time.Duration(i+1) * 3 * time.Millisecond), Kind: Used, Token: 1, Newest: 1, Elsewhere: i%2 == 1})
	}
	s.Now = s.Moments[10_000].At.Add(time.Second)
	p := Draw(s, 1000)[0]
	svg := p.SVG("x", "wide")
	if len(svg) > 8<<10 || !strings.Contains(svg, "At almost the same time: used again × 5,000, used again × 5,000 from elsewhere.") {
		t.Errorf("%d bytes:\n%s", len(svg), svg)
	}
	if rows := s.Table(); len(rows) != 4 || rows[2].Class != "warn" || !strings.HasSuffix(rows[2].Words, "Before 4,999 of them, the use came from elsewhere.") {
		t.Errorf("the table is %v", rows)
	}
}

// TestTheft checks the picture of the README's story in full.
func TestTheft(t *testing.T) {
	at := func(d time.Duration) time.Time { return began.Add(d) }
	s := &Story{Interval: time.Minute, Now: at(time.Hour + 5*time.Minute), Presented: new(uint32(2)), Moments: []Moment{
		{At: at(time.Hour + 2*time.Minute), Kind: Ended, Cause: "reuse_detected", Token: 1, Newest: 2},
		{At: at(time.Hour + 3*time.Millisecond), Kind: Reused, Token: 1, Newest: 2, Age: 3 * time.Millisecond},
		{At: at(time.Hour), Kind: Rotated, Token: 1, Newest: 2},
		{At: at(time.Hour + 4*time.Millisecond), Kind: Reused, Token: 1, Newest: 2, Age: 4 * time.Millisecond, Elsewhere: true},
		{At: at(0), Kind: Issued, Newest: 1},
		{At: at(time.Hour + 3*time.Minute), Kind: Refused, Token: 2, Newest: 2, Cause: "reuse_detected"},
	}}
	s.Sort()
	var words []string
	for _, row := range s.Table() {
		words = append(words, row.Words)
	}
	want := []string{
		"The login: the family begins with token 1.",
		"Token 1 was exchanged for token 2.",
		"Token 1 was used again, 3 ms after it was superseded. That is inside the reuse interval: token 2 was sent.",
		"Token 1 was used again, 4 ms after it was superseded. That is inside the reuse interval: token 2 was sent. The use before came from elsewhere.",
		"Token 1 came back outside the reuse interval. The family was revoked, with its newest token 2.",
		"Token 2 was refused: a superseded token came back.",
	}
	if !slices.Equal(words, want) {
		t.Errorf("the table is\n%s\nnot\n%s", strings.Join(words, "\n"), strings.Join(want, "\n"))
	}
	p := Draw(s, 1000)[0]
	var labels []string
	for _, l := range p.Labels {
		labels = append(labels, l.Text)
	}
	if want := []string{"login", "token 2: you asked about it", "revoked: token 1 came back", "refused", "now"}; !slices.Equal(labels, want) {
		t.Errorf("the labels are %q, not %q", labels, want)
	}
	if len(p.Tokens) != 2 || p.Tokens[0].Presented || !p.Tokens[1].Presented || len(p.Bands) != 1 || p.Bands[0].To >= p.Life {
		t.Errorf("tokens %v, bands %v, the end %v", p.Tokens, p.Bands, p.Life)
	}
	var pauses []string
	for _, pause := range p.Pauses {
		pauses = append(pauses, fmt.Sprintf("%s %t", pause.Text, pause.Break))
	}
	if want := []string{"1 h true", "1 min 59 s false", "1 min false", "2 min false"}; !slices.Equal(pauses, want) {
		t.Errorf("the pauses are %q, not %q", pauses, want)
	}
}

// TestCode checks the picture and the table of a family that began with a code, which somebody
// presented without its proof, and again after its exchange.
func TestCode(t *testing.T) {
	at := func(d time.Duration) time.Time { return began.Add(d) }
	s := &Story{Interval: time.Minute, Now: at(time.Hour), Moments: []Moment{
		{At: at(0), Kind: Issued, Origin: "code"},
		{At: at(4 * time.Second), Kind: Refused, Origin: "code", Cause: "wrong_verifier"},
		{At: at(20 * time.Second), Kind: Exchanged, Origin: "code", Newest: 1},
		{At: at(23 * time.Second), Kind: Refused, Origin: "code", Newest: 1, Cause: "code_used"},
		{At: at(10 * time.Minute), Kind: Rotated, Token: 1, Newest: 2},
		{At: at(30 * time.Minute), Kind: Ended, Origin: "code", Cause: "reuse_detected", Newest: 2},
		{At: at(31 * time.Minute), Kind: Refused, Token: 2, Newest: 2, Cause: "reuse_detected"},
	}}
	var words []string
	for _, row := range s.Table() {
		words = append(words, row.Words)
	}
	want := []string{
		"The login: the family begins with an authorization code, its number 0.",
		"The authorization code was refused: it came with another code_verifier than its code_challenge asks for.",
		"The authorization code was exchanged for token 1.",
		"The authorization code was refused: it had been exchanged before.",
		"Token 1 was exchanged for token 2.",
		"The authorization code was presented again after its exchange. The family was revoked, with its newest token 2.",
		"Token 2 was refused: a superseded token came back.",
	}
	if !slices.Equal(words, want) {
		t.Errorf("the table is\n%s\nnot\n%s", strings.Join(words, "\n"), strings.Join(want, "\n"))
	}
	p := Draw(s, 1000)[0]
	svg := p.SVG("x", "wide")
	for _, want := range []string{
		">login: a code<", ">exchanged<", ">revoked: the code came back<", "<title>The code</title>", ">0</text>",
		"<title>Token 1</title>", "Tokens made: 2. Other uses shown: 3.",
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("there is no %q:\n%s", want, svg)
		}
	}
	for presented, want := range []string{"the code: you asked about it", "token 1: you asked about it"} {
		s.Presented = new(uint32(presented))
		p := Draw(s, 1000)[0]
		if len(p.Tokens) != 3 || !p.Tokens[presented].Presented || p.Tokens[1-presented].Presented || !strings.Contains(p.SVG("x", "wide"), want) {
			t.Errorf("there is no %q: the tokens are %v", want, p.Tokens)
		}
	}
	// A code works once, so no interval follows its exchange.
	if len(p.Bands) != 1 || !near(p.Bands[0].From, p.Axis.Place(at(10*time.Minute))) {
		t.Errorf("the bands are %v", p.Bands)
	}
}

// TestMovedIn checks the picture and the table of a family that began with a token of another
// provider, which came back inside the interval and later.
func TestMovedIn(t *testing.T) {
	at := func(d time.Duration) time.Time { return began.Add(d) }
	for _, origin := range []string{"imported", "adopted"} {
		s := &Story{Interval: time.Minute, Now: at(time.Hour), Moments: []Moment{
			{At: at(0), Kind: Issued, Origin: origin},
			{At: at(time.Minute), Kind: Exchanged, Origin: origin, Newest: 1},
			{At: at(90 * time.Second), Kind: Reused, Origin: origin, Newest: 1, Age: 30 * time.Second},
			{At: at(10 * time.Minute), Kind: Rotated, Token: 1, Newest: 2},
			{At: at(20 * time.Minute), Kind: Observed, Origin: origin, Newest: 2},
			{At: at(30 * time.Minute), Kind: Ended, Origin: origin, Cause: "reuse_detected", Newest: 2},
		}}
		begins := map[string]string{
			"imported": "The import: the family begins with a refresh token of another provider, its number 0.",
			"adopted":  "The family begins with a refresh token of another provider, its number 0, which was exchanged there.",
		}
		var words []string
		for _, row := range s.Table() {
			words = append(words, row.Words)
		}
		want := []string{
			begins[origin],
			"The " + origin + " token was first used here: it was exchanged for token 1.",
			"The " + origin + " token was used again, 30 s after it was superseded. That is inside the reuse interval: token 1 was sent.",
			"Token 1 was exchanged for token 2.",
			"The " + origin + " token came back outside the reuse interval. The policy only observes that.",
			"The " + origin + " token was presented again after its exchange. The family was revoked, with its newest token 2.",
		}
		if !slices.Equal(words, want) {
			t.Errorf("the table is\n%s\nnot\n%s", strings.Join(words, "\n"), strings.Join(want, "\n"))
		}
		p := Draw(s, 1000)[0]
		svg := p.SVG("x", "wide")
		for _, want := range []string{">" + origin + "<", ">exchanged<", ">revoked: the old token came back<", "<title>The old token</title>", ">0</text>", "<title>Token 1</title>"} {
			if !strings.Contains(svg, want) {
				t.Errorf("there is no %q:\n%s", want, svg)
			}
		}
		if len(p.Bands) != 2 || !near(p.Bands[0].From, p.Axis.Place(at(time.Minute))) {
			t.Errorf("the bands are %v", p.Bands)
		}
		s.Presented = new(uint32(0))
		if svg := Draw(s, 1000)[0].SVG("x", "wide"); !strings.Contains(svg, "the old token: you asked about it") {
			t.Errorf("nobody asked:\n%s", svg)
		}
		// After more rotations the record knows of the import and of the newest token alone.
		s.Moments = []Moment{s.Moments[0], {At: at(10 * time.Minute), Kind: Rotated, Newest: 7}}
		if svg := Draw(s, 1000)[0].SVG("x", "wide"); !strings.Contains(svg, "6 more tokens") {
			t.Errorf("it does not say how many tokens there were:\n%s", svg)
		}
	}
}

// TestPendingCode checks the picture of a family whose code waits, and of one whose code waited too long.
func TestPendingCode(t *testing.T) {
	s := &Story{Interval: time.Minute, Now: began.Add(time.Second), Moments: []Moment{{At: began, Kind: Issued, Origin: "code"}}}
	if svg := Draw(s, 330)[0].SVG("x", "narrow"); !strings.Contains(svg, "Tokens made: 0.") || !strings.Contains(svg, "login: a code") || strings.Contains(svg, "asked") {
		t.Errorf("pending:\n%s", svg)
	}
	s.Now = began.Add(time.Hour)
	for range 20 {
		s.Moments = append(s.Moments, Moment{At: began.Add(time.Second), Kind: Refused, Origin: "code", Cause: "wrong_redirect_uri"})
	}
	s.Moments = append(s.Moments, Moment{At: began.Add(time.Minute), Kind: Ended, Cause: "code_expired"})
	if svg := Draw(s, 330)[0].SVG("x", "narrow"); !strings.Contains(svg, "its code was not exchanged in time") || !strings.Contains(svg, "Tokens made: 0.") {
		t.Errorf("expired:\n%s", svg)
	}
	rows := s.Table()
	if len(rows) != 5 || rows[2].Words != "18 times more, the same." || rows[4].Words != "The family ended: its code was not exchanged in time." {
		t.Errorf("the table is %v", rows)
	}
}

// TestUnknownRotations checks that the picture says how many tokens the record does not know of.
func TestUnknownRotations(t *testing.T) {
	s := &Story{Interval: time.Minute, Now: began.Add(48 * time.Hour), Moments: []Moment{
		{At: began, Kind: Issued, Newest: 1}, {At: began.Add(47 * time.Hour), Kind: Rotated, Newest: 1300},
	}}
	if svg := Draw(s, 1000)[0].SVG("x", "wide"); !strings.Contains(svg, "1,298 more tokens") {
		t.Errorf("it does not say so:\n%s", svg)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", 999 * time.Microsecond: "0 ms", 42 * time.Millisecond: "42 ms", time.Second: "1 s", 1500 * time.Millisecond: "1.5 s", 9999 * time.Millisecond: "9.9 s",
		time.Minute: "1 min", 75 * time.Second: "1 min 15 s", time.Hour + 5*time.Second: "1 h", 26 * time.Hour: "1 d 2 h", 30 * 24 * time.Hour: "30 d", -time.Minute: "-1 min",
	} {
		if got := Span(d); got != want {
			t.Errorf("%d ns: %q, not %q", d, got, want)
		}
	}
}

// BenchmarkDraw measures both pictures of a family with 10,000 rotations.
func BenchmarkDraw(b *testing.B) {
	s := &Story{Interval: time.Minute, Now: began.Add(10_001 * time.Hour), Moments: []Moment{{At: began, Kind: Issued, Newest: 1}}}
	for i := range 10_000 {
		s.Moments = append(s.Moments, Moment{At: began.Add(time.Duration(i+1) * time.Hour), Kind: Rotated, Token: uint32(i + 1), Newest: uint32(i + 2)})
	}
	for b.Loop() {
		for _, p := range Draw(s, 1000, 380) {
			p.SVG("a", "wide")
		}
	}
}
