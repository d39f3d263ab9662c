package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/rotor-auth/rotor/shared/logtest"
)

// on returns an IO whose output is a terminal of that width, and what is written to it.
func on(width int) (o *IO, out, errs *logtest.Buffer) {
	out, errs = &logtest.Buffer{}, &logtest.Buffer{}
	o = New(strings.NewReader(""), out, errs)
	o.outTerm, o.errTerm, o.outColor, o.width = true, true, true, width
	return o, out, errs
}

func TestInert(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "",
		"Pixel 9 – 名前 🙂 é":               "Pixel 9 – 名前 🙂 é",
		"\x1b[31mred\x1b[0m":             `\x1b[31mred\x1b[0m`,
		"a\nb\tc\rd\x00\x7f":             `a\x0ab\x09c\x0dd\x00\x7f`,
		"\u009b31m":                      `\u009b31m`,
		"evil\u202etxt.exe\u2066":        `evil\u202etxt.exe\u2066`,
		"\u200bhid\u00adden\ufeff\u2028": `\u200bhid\u00adden\ufeff\u2028`,
		"\U000e0041tag":                  `\U000e0041tag`,
		"cut \xf0\x9f":                   `cut \xf0\x9f`,
		"replaced \ufffd":                "replaced \ufffd",
	} {
		if got := Inert(text); got != want {
			t.Errorf("Inert(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestWriteJSON checks that JSON is one line, in which nothing acts on a terminal, and is read as what it was.
func TestWriteJSON(t *testing.T) {
	o, out, _ := on(80)
	if err := o.WriteJSON(map[string]string{"device": "é\u202e\u009b\x1b🙂\U000e0041"}); err != nil {
		t.Fatal(err)
	}
	if got, want := out.Take(), `{"device":"é\u202e\u009b\u001b🙂\udb40\udc41"}`+"\n"; got != want {
		t.Errorf("written %q, not %q", got, want)
	}
}

func FuzzInert(f *testing.F) {
	f.Add("\x1b]0;title\x07")
	f.Add("\u202e\xff")
	f.Fuzz(func(t *testing.T, text string) {
		got := Inert(text)
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Errorf("%+q is in Inert(%+q)", r, text)
			}
		}
		if Inert(got) != got {
			t.Errorf("Inert(%+q) is not inert", text)
		}
		o, out, _ := on(80)
		if err := o.WriteJSON(text); err != nil {
			t.Fatal(err)
		}
		written := out.Take()
		var back string
		if err := json.Unmarshal([]byte(written), &back); err != nil || back != toValid(text) {
			t.Errorf("%+q is read as %+q, %v", text, back, err)
		}
		if line := strings.TrimSuffix(written, "\n"); Inert(line) != line {
			t.Errorf("JSON is not inert: %+q", line)
		}
	})
}

// toValid replaces each byte that is not UTF-8 by itself, as encoding/json does.
func toValid(text string) string { return string([]rune(text)) }

func TestTable(t *testing.T) {
	columns := []Column{{Title: "ID"}, {Title: "DEVICE", Cut: true}, {Title: "STATUS"}}
	fill := func(o *IO) {
		table := o.NewTable(columns...)
		table.Add("one", "名前", "active")
		table.Add("three", "a\tb\nc", "dead")
		table.Add("x", strings.Repeat("long ", 10), "")
		table.Flush()
		table.Add("later", "", "active")
		table.Flush()
		table.Flush()
	}
	o, out, _ := on(40)
	fill(o)
	want := "\x1b[1mID     DEVICE                     STATUS\x1b[0m\n" +
		"one    名前                       active\n" +
		"three  a\\x09b\\x0ac                dead\n" +
		"x      long long long long long…\n" +
		"later                             active\n"
	if got := out.Take(); got != want {
		t.Errorf("on a terminal:\n%s\nand not\n%s", got, want)
	}
	o, out, _ = on(10) // too narrow: a column keeps what makes it readable
	fill(o)
	if got := out.Take(); !strings.Contains(got, "x      long lo…\n") {
		t.Errorf("on a narrow terminal:\n%s", got)
	}
	var pipe bytes.Buffer
	fill(New(strings.NewReader(""), &pipe, &pipe))
	if got, want := pipe.String(), "one\t名前\tactive\nthree\ta\\x09b\\x0ac\tdead\nx\t"+strings.Repeat("long ", 10)+"\t\nlater\t\tactive\n"; got != want {
		t.Errorf("in a pipe:\n%q\nand not\n%q", got, want)
	}
	o, out, _ = on(40)
	table := o.NewTable(columns...)
	for i := range 2*rowsAtOnce + 1 {
		table.Add(fmt.Sprint(i), "", "")
		if i == rowsAtOnce && strings.Count(out.Take(), "\n") != rowsAtOnce+1 {
			t.Error("a long table is kept in memory")
		}
	}
	table.Flush()
	if got := out.Take(); strings.Contains(got, "DEVICE") || strings.Count(got, "\n") != rowsAtOnce+1 {
		t.Error("a long table has a second header, or not all rows")
	}
}

func TestWrap(t *testing.T) {
	o, _, _ := on(20)
	if got, want := o.Wrap("The family was revoked\x1b[0m on 2026-11-28 05:38:01 UTC."), "The family was\nrevoked\\x1b[0m on\n2026-11-28 05:38:01\nUTC."; got != want {
		t.Errorf("wrapped:\n%s\nand not\n%s", got, want)
	}
}

// TestProgress checks that nothing is shown for a second, and that it is taken away.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, out, errs := on(80)
		p := o.Progress("families ended", 200)
		p.Add(50)
		time.Sleep(999 * time.Millisecond)
		synctest.Wait()
		if got := errs.Take(); got != "" {
			t.Errorf("within a second: %q", got)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if got, want := errs.Take(), "\r\x1b[K[#######-----------------------] 50 of 200 families ended"; got != want {
			t.Errorf("after a second: %q, not %q", got, want)
		}
		p.Add(1000)
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if got := errs.Take(); !strings.HasSuffix(got, strings.Repeat("#", 30)+"] 200 of 200 families ended") {
			t.Errorf("more than all: %q", got)
		}
		o.Printf("a row\n")
		if got := errs.Take() + out.Take(); got != "\r\x1b[Ka row\n" {
			t.Errorf("before a row: %q", got)
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		errs.Take()
		p.Stop()
		o.Printf("the result\n")
		if got := errs.Take(); got != "\r\x1b[K" {
			t.Errorf("stopped: %q", got)
		}
		out.Take()

		p = o.Progress("families read", 0)
		p.Add(3)
		time.Sleep(1001 * time.Millisecond)
		synctest.Wait()
		if got := errs.Take(); got != "\r\x1b[K3 families read" {
			t.Errorf("of an unknown total: %q", got)
		}
		p.Stop()
		errs.Take()

		p = o.Progress("families ended", 1)
		p.Stop()
		o.errTerm = false
		p = o.Progress("families ended", 1)
		time.Sleep(time.Minute)
		p.Stop()
		if got := errs.Take() + out.Take(); got != "" {
			t.Errorf("what is quick, or in no terminal, shows %q", got)
		}
	})
}
