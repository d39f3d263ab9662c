package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/shared/signing"
)

// unreached is how many bytes longer the longest address, of 39 characters, is than that of
// the test.
const unreached = 39 - len("127.0.0.1")

// keySize is how many bytes a key takes in a record: jkt with 32 bytes, and bound_at with a time, which a device's
// key alone has.
const keySize = len("jkt") + 32 + len("bound_at") + 8

// TestItemSize checks the size of records: the largest that a login may cause has at most 4 KB
// in every state of an active family, and a usual one 1 KB. Each KB costs a refresh one write
// unit.
func TestItemSize(t *testing.T) {
	w := newWorld(t)
	size := func() int {
		sizes, err := w.store.Sizes(t.Context(), "f#")
		if err != nil {
			t.Fatal(err)
		}
		return slices.Max(sizes) + unreached
	}
	w.usual()
	if n := size() + keySize; n > 1024 {
		t.Errorf("a usual item has up to %d bytes", n)
	}
	t.Logf("a usual item has up to %d bytes", size())
	unbound := size()
	w.usualBound()
	bound := size() + len("bound_at") + 8
	if size() <= unbound || bound > 1024 {
		t.Errorf("a usual item that is bound has up to %d bytes, and one that is not %d", bound, unbound)
	}
	t.Logf("a usual item that is bound has up to %d bytes", bound)
	if a := w.exchangeUsual(w.usualCode()); a.status != http.StatusOK {
		t.Fatal(a)
	}
	if n := size() + keySize; n > 1024 {
		t.Errorf("a usual item that began with a code has up to %d bytes", n)
	}
	t.Logf("a usual item that began with a code has up to %d bytes", size())
	w.longest()
	longest := size()
	if longest > 4096 || longest < 4096-6 {
		t.Errorf("the item has up to %d bytes", longest)
	}
	t.Logf("up to %d of 4096 bytes", longest)
}

// TestEventSize checks that an event takes one write unit, however much it says about its
// request.
func TestEventSize(t *testing.T) {
	w := newWorld(t)
	r := w.longest()
	w.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", r.client, "token", r.token), "User-Agent", r.userAgent)
	sizes, err := w.store.Sizes(t.Context(), "e#")
	if err != nil || len(sizes) != 3 { // the token that was ahead, the observed reuse, the revocation
		t.Fatal(sizes, err)
	}
	if longest := slices.Max(sizes) + unreached; longest > 1024 {
		t.Errorf("an event has up to %d bytes", longest)
	}
}

// TestUsualInputs checks that inputs which are usual elsewhere work.
func TestUsualInputs(t *testing.T) {
	w := newWorld(t)
	const (
		// A patient's app of SMART on FHIR (HL7) asks for these 167 bytes.
		smart  = "launch/patient patient/Patient.rs patient/Observation.rs patient/Condition.rs patient/MedicationRequest.rs patient/AllergyIntolerance.rs openid fhirUser offline_access"
		claims = `{"tenant":"acme-international","roles":["accounts","approver"],"email":"firstname@example.com"}`
		device = "Samsung Galaxy S24 Ultra (SM-S928B)"
	)
	if len(smart) != 167 || len(claims) != 95 || len(device) != 35 {
		t.Fatal(len(smart), len(claims), len(device))
	}
	a := w.issue(fmt.Sprintf(`{"user_id":"u","client_id":"app","scope":%q,"claims":%s,"device":%q,"acr":"http://eidas.europa.eu/LoA/substantial","amr":["pwd","otp","mfa","user","geo"]}`, smart, claims, device))
	for _, a := range []answer{a, w.refresh(a.text("refresh_token"), "scope", smart), w.refresh(a.text("refresh_token"))} {
		_, said := decodeJWT(t, a.text("access_token"))
		if a.text("scope") != smart || said["scope"] != smart || said["tenant"] != "acme-international" || said["acr"] != "http://eidas.europa.eu/LoA/substantial" {
			t.Errorf("%v: %v", a, said)
		}
	}
	if f := w.family(a.text("family")); f.text("device") != device {
		t.Errorf("the family is %v", f)
	}
}

// TestDescriptionsAreCut checks that descriptive texts are cut at a character, and are never a
// reason to refuse a login or a refresh.
func TestDescriptionsAreCut(t *testing.T) {
	w := newWorld(t)
	const limit = 256
	for _, tt := range []struct{ name, text, want string }{
		{"at the limit", strings.Repeat("x", limit), strings.Repeat("x", limit)},
		{"past it", strings.Repeat("x", limit+1), strings.Repeat("x", limit)},
		{"within a character of two bytes", "x" + strings.Repeat("é", 200), "x" + strings.Repeat("é", 127)},
		{"within a character of four bytes", "abc" + strings.Repeat("😀", 100), "abc" + strings.Repeat("😀", 63)},
		{"before a character", strings.Repeat("é", 129), strings.Repeat("é", 128)},
		{"long", strings.Repeat("y", 4000), strings.Repeat("y", limit)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := w.issue(fmt.Sprintf(`{"user_id":"u","client_id":"app","device":%q}`, tt.text))
			if a := w.send(http.MethodPost, "/oauth/token", formType, refreshForm(a.text("refresh_token")), "User-Agent", tt.text); a.status != http.StatusOK {
				t.Fatal(a)
			}
			f := w.family(a.text("family"))
			lines := w.logged("sertft")
			if f.text("device") != tt.want || f.text("last_user_agent") != tt.want || lines[len(lines)-1]["userAgent"] != tt.want {
				t.Errorf("device %q, user agent %q, logged %q", f.text("device"), f.text("last_user_agent"), lines[len(lines)-1]["userAgent"])
			}
		})
	}
	t.Run("control characters of a device", func(t *testing.T) {
		a := w.issue(`{"user_id":"u","client_id":"app","device":"My\nphone\u0000\u007f\u0085!"}`)
		if got := w.family(a.text("family")).text("device"); got != "My phone   !" {
			t.Errorf("%q", got)
		}
	})
	// Two browsers whose user agents begin alike are told apart.
	t.Run("Chrome and Edge", func(t *testing.T) {
		const chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
		first, _ := w.login()
		use := func(agent string) {
			w.send(http.MethodPost, "/oauth/token", formType, refreshForm(first), "User-Agent", agent)
		}
		use(chrome)
		use(chrome + " Edg/140.0.0.0")
		lines := w.logged("sertft")
		if last := lines[len(lines)-1]; last["reused"] != true || last["otherUserAgent"] != true || last["userAgent"] != chrome+" Edg/140.0.0.0" {
			t.Errorf("logged %v", last)
		}
	})
}

// TestLongestAccessToken checks that the longest access token that a login may cause fits into
// a header. API Gateway accepts 10,240 bytes for all headers together, and servers often 8 KB
// for one line. Characters that JSON may escape must not be escaped.
func TestLongestAccessToken(t *testing.T) {
	w := newWorld(t, algorithm(signing.RS256)) // RS256's signatures are longer
	longest := 0
	for _, c := range []string{"v", "<", "&", `\"`, "é", "\u2028"} {
		text := func(bytes int) string { return strings.Repeat(c, bytes/len(c)) }
		a := w.issue(w.fullBody(func(claims int) string {
			const long = `{"user_id":"%s","client_id":%q,"scope":%q,"audience":["%s","%s"],"claims":{"k":"%s"},"auth_time":"2029-01-01T00:00:00Z","acr":"%s","amr":["%s"]}`
			value := text(claims - len(`{"k":""}`))
			value += strings.Repeat("v", claims-len(`{"k":""}`)-len(value))
			return fmt.Sprintf(long, text(128), longClient, "openid "+strings.Repeat("s", 1017), text(256), "a"+text(255), value, text(128), text(128))
		}))
		longest = max(longest, len(a.text("access_token")))
		if line := len("Authorization: Bearer " + a.text("access_token")); line > 8000 {
			t.Errorf("of %q the header has %d bytes", c, line)
		}
		if a := w.refresh(a.text("refresh_token"), "client_id", longClient); a.status != http.StatusOK {
			t.Error(a)
		}
	}
	t.Logf("up to %d bytes", longest)
}
