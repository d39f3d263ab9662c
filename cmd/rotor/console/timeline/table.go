package timeline

import (
	"fmt"
	"time"
)

// Row is a line of the table that has the moments of a picture.
type Row struct {
	At    time.Time
	Until time.Time // of many moments in one line; zero otherwise
	Words string
	From  string
	Class string
}

const (
	// maxRun is how many moments of a kind in a row have a line each.
	maxRun = 6
	// maxRows limits the lines of a table.
	maxRows = 200
)

// Table returns the moments in words, in order. Many of a kind in a row are one line. If there
// are too many lines the table says so in the middle, and has the first and the last.
func (s *Story) Table() []Row {
	var rows []Row
	for i := 0; i < len(s.Moments); {
		end := i + 1
		for end < len(s.Moments) && s.Moments[end].Kind == s.Moments[i].Kind {
			end++
		}
		run := s.Moments[i:end]
		if len(run) <= maxRun {
			for j := range run {
				rows = append(rows, rowOf(&run[j]))
			}
		} else {
			rows = append(rows, rowOf(&run[0]), rowOfMany(run[1:len(run)-1]), rowOf(&run[len(run)-1]))
		}
		i = end
	}
	if len(rows) <= maxRows {
		return rows
	}
	const half = maxRows / 2
	cut := rows[half : len(rows)-half]
	left := Row{At: cut[0].At, Until: cut[len(cut)-1].At, Words: fmt.Sprintf("… %s lines are left out here.", count(len(cut)))}
	return append(append(rows[:half:half], left), rows[len(rows)-half:]...)
}

// rowOfMany returns the line of moments of one kind.
func rowOfMany(run []Moment) Row {
	last := &run[len(run)-1]
	r := Row{At: run[0].At, Until: last.At, Words: fmt.Sprintf("%s times more, the same: up to token %d.", count(len(run)), last.Newest)}
	if last.Newest == 0 {
		r.Words = fmt.Sprintf("%s times more, the same.", count(len(run)))
	}
	elsewhere := 0
	for i := range run {
		if run[i].Elsewhere {
			elsewhere++
		}
	}
	if elsewhere > 0 {
		r.Class, r.Words = "warn", r.Words+fmt.Sprintf(" Before %s of them, the use came from elsewhere.", count(elsewhere))
	}
	return r
}

func rowOf(m *Moment) Row {
	r := Row{At: m.At, Words: m.Words(), From: cut(m.From)}
	switch {
	case m.Kind == Ended, m.Kind == Refused:
		r.Class = "dead"
	case m.Kind == Late, m.Kind == Observed, m.Elsewhere:
		r.Class = "warn"
	}
	if m.Elsewhere {
		r.Words += " The use before came from elsewhere."
	}
	return r
}
