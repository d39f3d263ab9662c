package timeline

import (
	"fmt"
	"math"
	"time"
)

// Picture is a drawn [Story]: every place in it, in pixels. What would fall on the same place
// is one mark.
type Picture struct {
	Width, Height float64
	Axis          *Axis
	Left, Right   float64 // where the axis begins and ends
	Life          float64 // where the family has ended, or Right
	Now           float64
	Bands         []Band
	Tokens        []Tokens
	Uses          []Uses
	Ended         *Moment // nil for a living family
	Lines         []Line  // the ends that are to come
	Pauses        []Pause
	Labels        []Label
	Ticks         []Tick

	story *Story
	at    []float64 // the places of the moments
	base  float64   // the height of the axis
}

// Band is the reuse interval after a rotation, or those of many that touch each other.
type Band struct{ From, To float64 }

// Tokens are the marks of tokens that were made at From, or one after the other until To.
type Tokens struct {
	From, To    float64
	First, Last uint32    // the tokens
	Places      []float64 // of the tokens between, as far as they can be told apart
	Presented   bool      // the token that was asked about is among them
}

// Uses are uses that cannot be told apart. There may be several kinds among them: a mark for each
// would make the picture as large as the story.
type Uses struct {
	From, To  float64
	Kind      Kind // Used, Late, Observed or Refused: the gravest of them
	Elsewhere bool // one of them came from another address or user agent
	Count     int
	Of        []UsesOf // each sort of them, the first one first
	Words     string   // of the first
}

// UsesOf counts the uses of one sort in a mark.
type UsesOf struct {
	Kind      Kind
	Elsewhere bool
	Count     int
}

// Line is an end that is to come.
type Line struct {
	At   float64
	Name string
}

// Pause is a time in which nothing happened.
type Pause struct {
	From, To float64
	Text     string // how long it is; "" if there is no room for it
	Break    bool   // the axis is far more compressed here than elsewhere
}

const (
	margin      = 18.0
	tokenRadius = 10.0
	useRadius   = 4.5
	maxApart    = 12   // so many tokens are kept apart, however fast they were made
	laneHeight  = 28.0 // between the axis and the uses above it
)

// Draw returns the pictures of a story, each so many pixels wide.
func Draw(s *Story, widths ...float64) []*Picture {
	axis := s.axis()
	pictures := make([]*Picture, len(widths))
	for i, width := range widths {
		p := &Picture{Width: width, Left: margin, Right: width - margin, story: s}
		p.layAxis(axis)
		p.layBands()
		p.layTokens()
		p.layUses()
		for _, e := range s.Ends {
			p.Lines = append(p.Lines, Line{p.Axis.Place(e.At), e.Name})
		}
		p.layPauses()
		p.layLabels()
		p.layTicks()
		pictures[i] = p
	}
	return pictures
}

// axis returns the axis of the story. What is few is important: tokens, unless there are many,
// and what is to come.
func (s *Story) axis() *Axis {
	tokens := 0
	for i := range s.Moments {
		if s.Moments[i].isToken() {
			tokens++
		}
	}
	times, important := make([]int64, 0, 2*len(s.Moments)+20), []int64{s.Now.UnixNano()}
	for i := range s.Moments {
		m := &s.Moments[i]
		times = append(times, m.At.UnixNano())
		if m.hasInterval() && s.Interval > 0 {
			times = append(times, m.At.Add(s.Interval).UnixNano())
		}
		switch {
		case m.Kind == Ended, m.isToken() && tokens <= maxApart, s.asked(m), m.Kind == Refused && i == len(s.Moments)-1:
			important = append(important, m.At.UnixNano())
		}
	}
	for _, e := range s.Ends {
		important = append(important, e.At.UnixNano())
	}
	return newAxis(times, important)
}

func (p *Picture) layAxis(a *Axis) {
	s := p.story
	p.Axis = a.between(p.Left, p.Right)
	p.at = make([]float64, len(s.Moments))
	for i := range s.Moments {
		p.at[i] = p.Axis.Place(s.Moments[i].At)
	}
	p.Now, p.Life = p.Axis.Place(s.Now), p.Right
	if p.Ended = p.end(); p.Ended != nil {
		p.Life = p.Axis.Place(p.Ended.At)
	}
}

func (p *Picture) end() *Moment {
	for i := range p.story.Moments {
		if m := &p.story.Moments[i]; m.Kind == Ended {
			return m
		}
	}
	return nil
}

// hasInterval reports whether a reuse interval begins at the moment. There is none after the
// exchange of a code, which works once.
func (m *Moment) hasInterval() bool {
	return m.isToken() && m.Kind != Issued && (m.Kind != Exchanged || isForeign(m.Origin))
}

// layBands lays the reuse interval after each rotation, until the family ended.
func (p *Picture) layBands() {
	if p.story.Interval <= 0 {
		return
	}
	for i := range p.story.Moments {
		m := &p.story.Moments[i]
		if !m.hasInterval() {
			continue
		}
		b := Band{p.at[i], p.Axis.Place(m.At.Add(p.story.Interval))}
		if p.Ended != nil {
			b.From, b.To = min(b.From, p.Life), min(b.To, p.Life)
		}
		if last := len(p.Bands) - 1; last >= 0 && b.From-p.Bands[last].To < 1 {
			p.Bands[last].To = max(p.Bands[last].To, b.To)
			continue
		}
		p.Bands = append(p.Bands, b)
	}
}

// layTokens makes one mark of tokens whose marks would touch.
func (p *Picture) layTokens() {
	for i := range p.story.Moments {
		m := &p.story.Moments[i]
		if !m.isToken() {
			continue
		}
		at := p.at[i]
		asked := p.story.asked(m)
		if last := len(p.Tokens) - 1; last >= 0 && at-p.Tokens[last].To < 2*tokenRadius+2 {
			t := &p.Tokens[last]
			if at-t.Places[len(t.Places)-1] >= 3 {
				t.Places = append(t.Places, at)
			}
			t.To, t.Last, t.Presented = at, m.Newest, t.Presented || asked
			continue
		}
		p.Tokens = append(p.Tokens, Tokens{From: at, To: at, First: m.Newest, Last: m.Newest, Places: []float64{at}, Presented: asked})
	}
}

// layUses makes one mark of uses of a sort that would touch. One of another sort has its own mark if
// it begins far enough from the last one for both to be seen. A mark of several sorts takes up all that
// would touch it.
func (p *Picture) layUses() {
	for i := range p.story.Moments {
		m := &p.story.Moments[i]
		if m.isToken() || m.Kind == Ended {
			continue
		}
		at, kind := p.at[i], m.Kind
		if kind == Reused {
			kind = Used // both are harmless, and look the same
		}
		if last := len(p.Uses) - 1; last >= 0 && p.Uses[last].takes(kind, m.Elsewhere, at) {
			p.Uses[last].add(kind, m.Elsewhere, at)
			continue
		}
		p.Uses = append(p.Uses, Uses{From: at, To: at, Kind: kind, Elsewhere: m.Elsewhere, Count: 1, Of: []UsesOf{{kind, m.Elsewhere, 1}}, Words: m.Words()})
	}
}

// takes reports whether a use belongs to the mark.
func (u *Uses) takes(kind Kind, elsewhere bool, at float64) bool {
	if len(u.Of) > 1 || u.Of[0].Kind == kind && u.Of[0].Elsewhere == elsewhere {
		return at-u.To < 2*useRadius
	}
	return at-u.From < useRadius
}

func (u *Uses) add(kind Kind, elsewhere bool, at float64) {
	u.To = at
	u.Count++
	u.Kind, u.Elsewhere = max(u.Kind, kind), u.Elsewhere || elsewhere
	for i := range u.Of {
		if of := &u.Of[i]; of.Kind == kind && of.Elsewhere == elsewhere {
			of.Count++
			return
		}
	}
	u.Of = append(u.Of, UsesOf{kind, elsewhere, 1})
}

// layPauses labels the pauses that are wide enough with how long they are, and marks those in which
// the axis is compressed.
func (p *Picture) layPauses() {
	moments := p.story.Moments
	if len(moments) == 0 {
		return
	}
	last := moments[len(moments)-1].At
	var later []time.Time // what comes after the moments
	for _, at := range append([]time.Time{p.story.Now}, endsAt(p.story.Ends)...) {
		if at.After(last) {
			later = append(later, at)
			last = at
		}
	}
	at := func(i int) (time.Time, float64) {
		if i < len(moments) {
			return moments[i].At, p.at[i]
		}
		t := later[i-len(moments)]
		return t, p.Axis.Place(t)
	}
	finest := math.Inf(1) // the seconds of a pixel, where they are fewest
	for pass := range 2 {
		for i := 1; i < len(moments)+len(later); i++ {
			began, from := at(i - 1)
			ended, to := at(i)
			wide, long := to-from, ended.Sub(began)
			if wide < 4 || long <= 0 {
				continue
			}
			rate := long.Seconds() / wide
			if pass == 0 {
				finest = min(finest, rate)
				continue
			}
			pause := Pause{From: from, To: to, Text: Span(long)}
			if i < len(moments) && moments[i].isToken() && (moments[i-1].Newest != 0 || moments[i-1].Kind == Issued) && moments[i].Newest > moments[i-1].Newest+1 {
				pause.Text = fmt.Sprintf("%s more tokens", count(int(moments[i].Newest-moments[i-1].Newest-1)))
			}
			pause.Break = long > shortest && rate > 20*finest && wide > 3*tokenRadius
			if textWidth(pause.Text)+8 > wide {
				pause.Text = ""
			}
			if pause.Break || pause.Text != "" {
				p.Pauses = append(p.Pauses, pause)
			}
		}
	}
}

func endsAt(ends []End) (all []time.Time) {
	for _, e := range ends {
		all = append(all, e.At)
	}
	return all
}

// shortest is the longest pause that is never marked as compressed.
const shortest = 10 * time.Second

// textWidth estimates how wide a text of the picture is.
func textWidth(s string) float64 { return 6.7 * float64(len([]rune(s))) }

// count returns a number with its thousands apart.
func count(n int) string {
	s := fmt.Sprint(n)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}
