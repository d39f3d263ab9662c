package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestServedIsTheSource checks that the JSON that is served was made from docs/openapi.yaml as it is.
func TestServedIsTheSource(t *testing.T) {
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	want, err := convert(read(source))
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(read(target)) {
		t.Errorf("%s is not made from %s: run make openapi", target, source)
	}
}

// TestConvert checks that the order stays, that a part named once can be used twice, and what is refused.
func TestConvert(t *testing.T) {
	for _, tt := range []struct{ yaml, json string }{
		{"b: 1\na: [true, null, 'x']", `{"b":1,"a":[true,null,"x"]}`},
		{"b: &part {x: <é>}\na: *part", `{"b":{"x":"<é>"},"a":{"x":"<é>"}}`},
		{"'200': 2026-01-01T00:00:00Z", ""},
		{"200: x", ""},
		{"a: 1\na: 2", ""},
		{"a: 1.5", ""},
		{"a: [", ""},
		{"", ""},
	} {
		got, err := convert([]byte(tt.yaml))
		if tt.json == "" {
			if err == nil {
				t.Errorf("%q becomes %s", tt.yaml, got)
			}
			continue
		}
		if err != nil || string(got) != tt.json+"\n" {
			t.Errorf("%q becomes %s, %v", tt.yaml, got, err)
		}
	}
}
