package timeline

import (
	"fmt"
	"html"
	"strings"
)

// SVG returns the picture as an element of HTML. Its look is that of the page's style sheet.
// Its id must be the only one of its name on the page.
func (p *Picture) SVG(id, class string) string {
	var b strings.Builder
	put := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	text := html.EscapeString
	y := p.base
	put(`<svg class="timeline %s" viewBox="0 0 %.0f %.0f" role="img" aria-labelledby="%s-title %s-desc">`, text(class), p.Width, p.Height, text(id), text(id))
	put(`<title id="%s-title">%s</title><desc id="%s-desc">%s</desc>`, text(id), "Timeline of the family", text(id), text(p.Describe()))

	for _, band := range p.Bands {
		put(`<rect class="band" x="%.1f" y="%.1f" width="%.1f" height="26"/>`, band.From, y-13, max(band.To-band.From, 0.5))
	}
	for _, l := range p.Labels {
		put(`<path class="leader %s" d="M%.1f %.1fL%.1f %.1f"/>`, l.Class, l.At, l.Y+4, l.At, l.Foot)
	}
	// The life, what is to come or came after it, and the breaks.
	lived := min(p.Life, max(p.Now, p.lastMoment()))
	put(`<path class="life" d="M%.1f %.1fH%.1f"/>`, p.Left, y, lived)
	if lived < p.Right {
		put(`<path class="after" d="M%.1f %.1fH%.1f"/>`, lived, y, p.Right)
	}
	for _, pause := range p.Pauses {
		middle := (pause.From + pause.To) / 2
		if pause.Break {
			put(`<path class="gap" d="M%.1f %.1fh8"/><path class="break" d="M%.1f %.1fl6 -14M%.1f %.1fl6 -14"/>`, middle-4, y, middle-7, y+7, middle+1, y+7)
		}
		if pause.Text == "" {
			continue
		}
		put(`<text class="pause" x="%.1f" y="%.1f">%s</text>`, middle, y+27, text(pause.Text))
	}
	for _, l := range p.Lines {
		put(`<path class="end" d="M%.1f %.1fv28"/>`, l.At, y-14)
	}
	if p.Ended == nil || p.Right-p.Life > 30 {
		put(`<path class="now" d="M%.1f %.1fv28"/>`, p.Now, y-14)
	}
	for _, t := range p.Tokens {
		p.putTokens(put, &t)
	}
	for _, u := range p.Uses {
		class := [...]string{Used: "used", Late: "late", Observed: "observed", Refused: "refused"}[min(u.Kind, Refused)]
		if u.Elsewhere {
			class += " elsewhere"
		}
		put(`<g class="use %s"><title>%s</title><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%.1f"/></g>`,
			class, text(usesTitle(&u)), u.From-useRadius, y-laneHeight-useRadius, u.To-u.From+2*useRadius, 2*useRadius, useRadius)
	}
	if p.Ended != nil {
		put(`<g class="death"><title>%s</title><circle cx="%.1f" cy="%.1f" r="%.1f"/><path d="M%.1f %.1fl9 9m0 -9l-9 9"/></g>`,
			text(p.Ended.Words()), p.Life, y, tokenRadius, p.Life-4.5, y-4.5)
	}
	for _, l := range p.Labels {
		put(`<text class="label %s" x="%.1f" y="%.1f">%s</text>`, l.Class, l.X, l.Y, text(l.Text))
	}
	for _, t := range p.Ticks {
		put(`<path class="tick" d="M%.1f %.1fv6"/><text class="time" x="%.1f" y="%.1f">%s</text>`, t.At, y+34, t.X, y+51, t.Clock)
		if t.Date != "" {
			put(`<text class="time" x="%.1f" y="%.1f">%s</text>`, t.X, y+65, t.Date)
		}
	}
	b.WriteString(`</svg>`)
	return b.String()
}

// putTokens writes the mark of tokens: a circle with a number, or a lozenge with two.
func (p *Picture) putTokens(put func(string, ...any), t *Tokens) {
	class := "token"
	if t.Last == 0 {
		class += " code"
	}
	if t.Presented {
		class += " asked"
	}
	title, number := capital(p.name(t.First)), fmt.Sprint(t.First)
	switch {
	case t.Last == t.First:
	case t.First == 0:
		title, number = capital(p.story.zero())+", and then the tokens up to "+fmt.Sprint(t.Last), fmt.Sprintf("0 – %d", t.Last)
	default:
		title, number = fmt.Sprintf("Tokens %d to %d", t.First, t.Last), fmt.Sprintf("%d – %d", t.First, t.Last)
	}
	from, wide := t.From-tokenRadius, t.To-t.From+2*tokenRadius
	if more := textWidth(number) + 8 - wide; t.Last == t.First && more > 0 {
		from, wide = from-more/2, wide+more
	}
	put(`<g class="%s"><title>%s</title><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%.1f"/>`, class, title, from, p.base-tokenRadius, wide, 2*tokenRadius, tokenRadius)
	if len(t.Places) > 2 {
		put(`<path d="`)
		for _, at := range t.Places[1:] {
			put(`M%.1f %.1fv4`, at, p.base+tokenRadius-5)
		}
		put(`"/>`)
	}
	if textWidth(number) > wide+2 {
		number = fmt.Sprint(t.Last)
	}
	if textWidth(number) <= wide+4 {
		put(`<text x="%.1f" y="%.1f">%s</text>`, (t.From+t.To)/2, p.base+4, number)
	}
	put(`</g>`)
}

func usesTitle(u *Uses) string {
	switch {
	case u.Count == 1:
		return u.Words
	case len(u.Of) > 1:
		return "At almost the same time: " + u.text() + "."
	}
	return fmt.Sprintf("%s And %s more times.", u.Words, count(u.Count-1))
}

// lastMoment returns the place of the last moment, which may be after now: clocks differ.
func (p *Picture) lastMoment() float64 {
	if n := len(p.story.Moments); n > 0 {
		return p.Axis.Place(p.story.Moments[n-1].At)
	}
	return p.Left
}

// Describe returns what the picture shows in a few sentences.
func (p *Picture) Describe() string {
	var parts []string
	tokens, uses := uint32(0), 0
	for _, t := range p.Tokens {
		tokens = max(tokens, t.Last)
	}
	for _, u := range p.Uses {
		uses += u.Count
	}
	parts = append(parts, fmt.Sprintf("Tokens made: %s. Other uses shown: %s.", count(int(tokens)), count(uses)))
	if p.story.Interval > 0 {
		parts = append(parts, fmt.Sprintf("A band of %s follows each rotation: the reuse interval.", Span(p.story.Interval)))
	}
	if p.Ended != nil {
		parts = append(parts, p.Ended.Words())
	}
	for _, e := range p.story.Ends {
		parts = append(parts, fmt.Sprintf("The %s is in %s.", e.Name, Span(e.At.Sub(p.story.Now))))
	}
	return strings.Join(append(parts, "The table below has the same moments."), " ")
}
