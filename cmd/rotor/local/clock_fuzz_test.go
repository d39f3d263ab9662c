package local

import (
	"fmt"
	"testing"
	"time"
)

// FuzzAdvance checks that the clock only moves forward, by what was asked for in any spelling,
// and never by more than is allowed. Any other body gets an error that says what is wrong.
func FuzzAdvance(f *testing.F) {
	for _, value := range []string{"26h", "90s", "15d", "3650d", "3651d", "65536d", "87600h0m0.000000001s", "0", "0s", "-1h", "1ns", "1.5h", ".5h", "1h-1m", "+1h", "1e3s", "d", "1 d", "9223372036854775807ns", "\u00b5s"} {
		f.Add(fmt.Sprintf(`{"advance":%q}`, value))
	}
	for _, body := range []string{``, `null`, `{}`, `[]`, `{"advance":null}`, `{"advance":60}`, `{"advance":"1h","to":1}`, `{"Advance":"1h"}`, `{"advance":"1h","advance":"2h"}`, `{"advance":"1h"}{}`, "{\"advance\":\"1h\",\"\xff\":1}"} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		d, detail, errs := parseAdvance([]byte(body))
		if detail != "" {
			for _, e := range errs {
				if e.Detail == "" {
					t.Errorf("%q: %+v", body, errs)
				}
			}
			return
		}
		if d <= 0 || d > 10*365*24*time.Hour || len(errs) > 0 {
			t.Errorf("%q advances by %v, %+v", body, d, errs)
		}
		if again, detail, _ := parseAdvance(fmt.Appendf(nil, `{"advance":%q}`, d)); again != d || detail != "" {
			t.Errorf("%q advances by %v, and that by %v, %s", body, d, again, detail)
		}
	})
}
