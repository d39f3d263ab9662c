package command

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzClientFile checks that any file is either refused with places, or has clients that a second reading finds unchanged.
func FuzzClientFile(f *testing.F) {
	for _, text := range []string{
		"clients:\n  shop: {type: public, scope: openid}\n",
		"clients: {b: {type: confidential, preset: auth0, policy: {reuse_interval: 30}, audience: [a, b, a], not_before: 2026-01-02T03:04:05Z}}",
		`{"clients": {"a": {"type": "public", "policy": {"reuse_detection": "observe", "observe_until": "2026-01-02T03:04:05Z"}}}}`,
		"clients: &x {a: *x}", "clients:\n  <<: {a: {type: public}}\n", "a: b\n---\nc: d\n", "clients: {? [a] : {type: public}}", "[", "\x00",
		"clients: {a: {type: public, policy: {reuse_interval: 1e99}}}", "clients: {a: {type: public, scope: !!binary aGk=}}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := readClientFile("-", strings.NewReader(text))
		var refused usageError
		if err != nil {
			if !errors.As(err, &refused) || !strings.HasPrefix(err.Error(), "-") {
				t.Errorf("refused without a place: %v", err)
			}
			return
		}
		for _, c := range file.entries {
			if c.Type != "public" && c.Type != "confidential" {
				t.Errorf("the type is %q", c.Type)
			}
			c.settings()
			now := c.registration(nil)
			if diff := cmp.Diff(differences(now, c.registration(now)), []fieldChange(nil)); diff != "" {
				t.Errorf("a second time it changes something:\n%s", diff)
			}
		}
	})
}
