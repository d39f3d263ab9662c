//go:build logins

package login

import (
	"os"
	"regexp"
	"testing"
)

// TestVersions checks that docs/sdks.md has the versions that are run.
func TestVersions(t *testing.T) {
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	npm, pip, modules := read("package.json"), read("constraints.txt"), read("../../go.mod")
	page := read("../../docs/sdks.md")
	for _, pin := range []struct{ sdk, file, pattern string }{
		{"oauth4webapi", npm, `"oauth4webapi": "(\S+)"`},
		{"openid-client", npm, `"openid-client": "(\S+)"`},
		{"authlib", pip, `(?m)^authlib==(\S+)$`},
		{"golang.org/x/oauth2", modules, `golang\.org/x/oauth2 (\S+)`},
		{"oidc-client-ts", npm, `"oidc-client-ts": "(\S+)"`},
		{"dpop", npm, `"dpop": "(\S+)"`},
		{"@supabase/auth-js", npm, `"@supabase/auth-js": "(\S+)"`},
		{"@auth0/auth0-spa-js", npm, `"@auth0/auth0-spa-js": "(\S+)"`},
	} {
		row := regexp.MustCompile(`(?m)^\| \[` + regexp.QuoteMeta(pin.sdk) + `\]\(\S+\) \| (\S+) \|`).FindStringSubmatch(page)
		run := regexp.MustCompile(pin.pattern).FindStringSubmatch(pin.file)
		if row == nil || run == nil || row[1] != run[1] {
			t.Errorf("docs/sdks.md has %q of %s, and %q is run", row, pin.sdk, run)
		}
	}
}
