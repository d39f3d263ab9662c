//go:build tabs

package tabs

import (
	"testing"
	"time"
)

// TestBackForwardCache checks that a page to which the user goes back has the session, although other tabs have refreshed
// meanwhile. Chromium drops it from its cache at the first message of another tab.
func TestBackForwardCache(t *testing.T) {
	t.Parallel()
	v := newVictim(t, "strict")
	other := v.profile.newTab()
	other.visit(v.query("/pages/tab.html", "client", "spa", "transport", "cookie", "tab", "other"))
	other.uses("alice")
	eval[any](v.tab, "void (window.mark = 'kept')")
	v.tab.visit(v.url(appHost) + "/attack")
	for range 2 {
		v.later()
		other.expire()
		other.uses("alice")
	}
	eval[any](v.tab, "void history.back()")
	var mark string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline) && mark == ""; wait(t.Context(), 50*time.Millisecond) {
		mark, _ = ask[string](v.tab, "globalThis.use ? globalThis.mark ?? 'loaded again' : ''")
	}
	reasons := eval[string](v.tab, "JSON.stringify(performance.getEntriesByType('navigation')[0].notRestoredReasons)")
	t.Logf("%s: %s", mark, reasons)
	v.tab.uses("alice")
	other.uses("alice")
	v.alive(v.login.family)
}
