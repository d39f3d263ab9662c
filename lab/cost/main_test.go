package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/lab/page"
	"github.com/rotor-auth/rotor/lab/price"
)

func here(t *testing.T) measurements {
	t.Helper()
	m, err := measured(t.Context(), "../scale/bench.json")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestPage checks that the tables of docs/cost.md are those that are computed now.
func TestPage(t *testing.T) {
	m := here(t)
	text, err := os.ReadFile("../../docs/cost.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	want, err := page.Fill(text, marker, func(name string) *page.Table { seen++; return m.table(name) })
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, want) || seen != len(names) {
		t.Errorf("%d tables are on the page, of %d, and not all as computed: run go run ./lab/cost write", seen, len(names))
	}
	// What the text says of the tables.
	for _, total := range []float64{m["RS256"].Total(), m["ES256"].Total()} {
		if !strings.Contains(string(text), page.Number(total, 2)+" $") {
			t.Errorf("the text does not say %s $", page.Number(total, 2))
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if link := "[$" + page.Number(m["RS256"].Total(), 2) + " for a million](docs/cost.md)"; !strings.Contains(string(readme), link) {
		t.Errorf("the README lacks %s", link)
	}
}

// TestSettingsAreTheStacks checks that each setting of the tables is one of the stack, and that
// what is assumed of provisioned units is what the stack provisions.
func TestSettingsAreTheStacks(t *testing.T) {
	props, err := os.ReadFile("../../infra/props.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, c := range changes {
		for _, name := range regexp.MustCompile("`([a-zA-Z]+)").FindAllStringSubmatch(c.setting, -1) {
			found++
			if field := strings.ToUpper(name[1][:1]) + name[1][1:]; !regexp.MustCompile(`"` + field + `", `).Match(props) {
				t.Errorf("there is no setting %s", name[1])
			}
		}
	}
	if found != 7 {
		t.Errorf("%d settings, not 7", found)
	}
	service, err := os.ReadFile("../../infra/service.go")
	if err != nil {
		t.Fatal(err)
	}
	if want := "least/" + page.Short(1/price.Rest) + ")"; !bytes.Contains(service, []byte(want)) {
		t.Errorf("the stack does not provision %s of the least write units for the rest", want)
	}
	if !bytes.Contains(props, []byte(`c.number("WriteUtilization", &p.WriteUtilization, 70, `)) {
		t.Error("the stack does not aim at 70 % in use")
	}
}

// TestAim checks what the page claims: which ways cost at most 1.60 dollars on demand.
func TestAim(t *testing.T) {
	m := here(t)
	for _, c := range []struct {
		to      func(*price.Way)
		reaches bool
	}{{off, false}, {balancer(50), false}, {balancer(100), false}, {balancer(104), true}, {url, true}} {
		w := m["ES256"]
		c.to(&w)
		if got := w.Total() <= aim; got != c.reaches {
			t.Errorf("%+v costs %v", w, w.Total())
		}
	}
}

func TestStart(t *testing.T) {
	var out bytes.Buffer
	if err := start(t.Context(), "../..", &out, nil); err != nil || strings.Count(out.String(), "as deployed") < 2 {
		t.Errorf("%v\n%s", err, &out)
	}
	if err := start(t.Context(), "../..", &out, []string{"wirte"}); err == nil {
		t.Error("a wrong argument is taken")
	}
	if err := start(t.Context(), t.TempDir(), &out, nil); err == nil {
		t.Error("no report is needed")
	}
}
