//go:build browser

package browser

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/chromedp/chromedp"
)

// axe returns the source of axe-core, which make tools fetches.
var axe = sync.OnceValues(func() (string, error) {
	source, err := os.ReadFile("../../.tools/browser/node_modules/axe-core/axe.min.js")
	if err != nil {
		return "", fmt.Errorf("make tools fetches axe-core: %w", err)
	}
	return string(source), nil
})

// barrier is a rule of axe-core that a page breaks.
type barrier struct {
	ID    string   `json:"id"`
	Help  string   `json:"help"`
	Nodes []string `json:"nodes"`
}

// barriers returns what axe-core finds wrong on the page that the tab shows.
func (p *tab) barriers() []barrier {
	p.t.Helper()
	source, err := axe()
	if err != nil {
		p.t.Fatal(err)
	}
	// Through the DevTools protocol, which the page's CSP does not bind.
	p.eval(source + "\n0")
	return read(p, chromedp.Evaluate[[]barrier](`axe.run(document).then(found => found.violations.map(v => ({
		id: v.id, help: v.help, nodes: v.nodes.map(n => n.html + " " + n.failureSummary),
	})))`, chromedp.EvalAwaitPromise))
}

// accessible checks that axe-core finds nothing wrong, in light and in dark.
func (p *tab) accessible() {
	p.t.Helper()
	for _, scheme := range []string{"dark", "light"} {
		p.colours(scheme)
		for _, b := range p.barriers() {
			p.t.Errorf("%s, %s: %s: %s\n\t%s", p.address(), scheme, b.ID, b.Help, strings.Join(b.Nodes, "\n\t"))
		}
	}
}
