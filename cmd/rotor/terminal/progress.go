package terminal

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	progressDelay = time.Second // what is faster shows none
	progressPause = 200 * time.Millisecond
	barWidth      = 30
)

// Progress shows on Err, if that is a terminal, how far something is that takes longer than
// a second.
type Progress struct {
	io    *IO
	what  string
	total int
	stop  chan struct{}
	ended sync.WaitGroup

	mu    sync.Mutex
	done  int
	drawn bool
}

// Progress begins to show progress, such as "families ended", of a total, or 0 if that is
// not known. Stop must be called.
func (o *IO) Progress(what string, total int) *Progress {
	p := &Progress{io: o, what: what, total: total, stop: make(chan struct{})}
	if o.errTerm {
		o.progress = p
		p.ended.Go(p.show)
	}
	return p
}

// Add counts n more as done.
func (p *Progress) Add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
}

// Stop takes the progress off the terminal.
func (p *Progress) Stop() {
	close(p.stop)
	p.ended.Wait()
	p.hide()
	p.io.progress = nil
}

// hide takes the progress off the terminal until it is drawn again.
func (p *Progress) hide() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		p.io.Errorf("\r\x1b[K")
		p.drawn = false
	}
}

// draw draws the progress.
func (p *Progress) draw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.io.Errorf("\r\x1b[K%s", p.line())
	p.drawn = true
}

// show draws the progress again and again, until it is stopped.
func (p *Progress) show() {
	next := time.NewTimer(progressDelay)
	defer next.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-next.C:
			p.draw()
			next.Reset(progressPause)
		}
	}
}

// line returns the bar, or the count alone if the total is not known.
func (p *Progress) line() string {
	if p.total <= 0 {
		return fmt.Sprintf("%d %s", p.done, p.what)
	}
	done := min(p.done, p.total)
	full := barWidth * done / p.total
	return fmt.Sprintf("[%s%s] %d of %d %s", strings.Repeat("#", full), strings.Repeat("-", barWidth-full), done, p.total, p.what)
}
