package timeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Label is a text above the axis, with a line down to what it is about.
type Label struct {
	At    float64 // what it is about
	X, Y  float64 // the middle of the text
	Foot  float64 // where its line ends
	Text  string
	Class string
}

// Tick is a time below the axis.
type Tick struct {
	At, X float64 // the place of the time, and of its text's middle
	Date  string  // if it is not that of the tick before
	Clock string
}

const (
	levelHeight = 19.0
	maxLevels   = 5
	// maxUseLabels limits the marks of uses that have a label each though they are harmless.
	maxUseLabels = 6
	// maxWanted limits the labels for which a place is looked for.
	maxWanted = 400
)

// wanted is a label that has no place yet.
type wanted struct {
	Label
	rank int // the lower, the more it is needed
}

// width estimates how wide the label is.
func (l *Label) width() float64 {
	if l.Class == "dead" || l.Class == "asked" { // are bold
		return 1.3 * textWidth(l.Text)
	}
	return textWidth(l.Text)
}

// cut makes the text so short that it is no wider than that.
func (l *Label) cut(width float64) {
	if wide := l.width(); wide > width {
		r := []rune(l.Text)
		l.Text = string(r[:int(float64(len(r))*width/wide)-1]) + "…"
	}
}

// layLabels gives each label a level on which it covers no other and no line. One that finds
// none is left out, the less important first: the table has all. It decides the height of the
// picture.
func (p *Picture) layLabels() {
	want := p.wantedLabels()
	slices.SortStableFunc(want, func(a, b wanted) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.At, b.At)) })
	want = want[:min(len(want), maxWanted)]
	levels := 1
	type placed struct {
		from, to float64
		level    int // 0 is next to the axis
		at       float64
	}
	var all []placed
	for _, w := range want {
		half := w.width() / 2
		fits := func(x float64, level int) bool {
			for _, o := range all {
				covers := o.level == level && x-half < o.to+6 && o.from-6 < x+half
				onLine := o.level > level && x-half-4 < o.at && o.at < x+half+4 // its line would pass through this text
				through := o.level < level && o.from-4 < w.At && w.At < o.to+4  // this line would pass through its text
				if covers || onLine || through {
					return false
				}
			}
			return true
		}
	search:
		for level := range maxLevels {
			if level == 0 && w.Class == "dead" && len(want) > 1 {
				continue // what comes after the end has its label below
			}
			for _, shift := range [...]float64{0, 8 - half, half - 8} { // in the middle, or beside its line
				x := max(half+2, min(w.At+shift, p.Width-half-2))
				if fits(x, level) {
					all = append(all, placed{x - half, x + half, level, w.At})
					w.X, w.Y = x, float64(level)
					p.Labels = append(p.Labels, w.Label)
					levels = max(levels, level+1)
					break search
				}
			}
		}
	}
	p.base = float64(levels)*levelHeight + laneHeight + 16
	p.Height = p.base + 70
	for i := range p.Labels {
		l := &p.Labels[i]
		l.Y = (float64(levels)-l.Y)*levelHeight - 3
		l.Foot += p.base
	}
	slices.SortFunc(p.Labels, func(a, b Label) int { return cmp.Compare(a.At, b.At) })
}

// wantedLabels returns all labels. Foot is yet the distance from the axis.
func (p *Picture) wantedLabels() []wanted {
	var want []wanted
	add := func(rank int, at, foot float64, class, text string) {
		if text != "" {
			l := Label{At: at, Foot: foot, Text: text, Class: class}
			l.cut(p.Width - 4)
			want = append(want, wanted{l, rank})
		}
	}
	const onAxis, onLane = -tokenRadius - 3, -laneHeight - useRadius - 2
	if p.Ended != nil {
		add(0, p.Life, onAxis, "dead", p.Ended.short())
	}
	for _, t := range p.Tokens {
		if !t.Presented {
			continue
		}
		if n := *p.story.Presented; t.First <= n && n <= t.Last {
			add(1, p.Axis.Place(p.made(n)), onAxis, "asked", p.name(n)+": you asked about it")
		}
	}
	for i, m := range p.story.Moments {
		if m.Kind == Issued {
			add(2, p.Axis.Place(m.At), onAxis, "", m.short())
		}
		if m.Kind == Exchanged || m.Kind == Skipped || m.Kind == Ahead {
			add(4, p.Axis.Place(m.At), onAxis, "", p.story.Moments[i].short())
		}
	}
	for _, l := range p.Lines {
		add(3, l.At, 14, "end", l.Name)
	}
	if p.Ended == nil || p.Right-p.Life > 30 {
		add(3, p.Now, 14, "now", "now")
	}
	for _, u := range p.Uses {
		text := u.text()
		harmless := u.Kind == Used && !u.Elsewhere
		if harmless && len(p.Uses) > maxUseLabels {
			continue // the same again and again
		}
		rank, class := 5, ""
		if u.Elsewhere {
			rank = 4
		}
		if u.Kind >= Late {
			rank, class = 4, "warn"
		}
		add(rank, (u.From+u.To)/2, onLane, class, text)
	}
	return want
}

// name returns how people call the family's token with that number.
func (p *Picture) name(n uint32) string {
	if n == 0 {
		return p.story.zero()
	}
	return fmt.Sprintf("token %d", n)
}

// made returns when a token was made, as far as that is known.
func (p *Picture) made(token uint32) time.Time {
	for i := range p.story.Moments {
		if m := &p.story.Moments[i]; m.isToken() && m.Newest == token {
			return m.At
		}
	}
	return p.story.Now
}

// text returns in a few words what the uses are, the gravest first.
func (u *Uses) text() string {
	all := slices.Clone(u.Of)
	slices.SortStableFunc(all, func(a, b UsesOf) int { return cmp.Compare(b.Kind, a.Kind) })
	var parts []string
	for _, of := range all {
		parts = append(parts, of.text())
	}
	return strings.Join(parts, ", ")
}

func (of *UsesOf) text() string {
	times := ""
	if of.Count > 1 {
		times = fmt.Sprintf(" × %s", count(of.Count))
	}
	where := ""
	if of.Elsewhere {
		where = " from elsewhere"
	}
	switch of.Kind {
	case Refused:
		return "refused" + times
	case Late:
		return "late, with the key" + times + where
	case Observed:
		return "reuse observed" + times
	default:
		return "used again" + times + where
	}
}

// layTicks puts times below the axis, where they do not cover each other: the beginning, the
// end, now, and then as many others as there is room for.
func (p *Picture) layTicks() {
	type candidate struct {
		at   time.Time
		rank int
	}
	var all []candidate
	for i, m := range p.story.Moments {
		switch {
		case m.Kind == Issued, m.Kind == Ended:
			all = append(all, candidate{m.At, 0})
		case i == len(p.story.Moments)-1, p.story.asked(&m):
			all = append(all, candidate{m.At, 2})
		case len(p.story.Moments) < 200 || i%(len(p.story.Moments)/100) == 0:
			all = append(all, candidate{m.At, 3})
		}
	}
	for _, e := range p.story.Ends {
		all = append(all, candidate{e.At, 1})
	}
	all = append(all, candidate{p.story.Now, 1})
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.rank, b.rank) })
	const half = 36.0 // of 2026-11-28
	times := map[float64]time.Time{}
	for _, c := range all {
		at := p.Axis.Place(c.at)
		x := max(half, min(at, p.Width-half))
		if !slices.ContainsFunc(p.Ticks, func(t Tick) bool { return t.X-x < 2*half+8 && x-t.X < 2*half+8 }) {
			p.Ticks = append(p.Ticks, Tick{At: at, X: x})
			times[at] = c.at.UTC()
		}
	}
	slices.SortFunc(p.Ticks, func(a, b Tick) int { return cmp.Compare(a.At, b.At) })
	date := ""
	for i := range p.Ticks {
		t := &p.Ticks[i]
		t.Clock = times[t.At].Format(time.TimeOnly)
		if d := times[t.At].Format(time.DateOnly); d != date {
			t.Date, date = d, d
		}
	}
}
