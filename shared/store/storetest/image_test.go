package storetest_test

import (
	"testing"

	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestImage checks that an image tells each attribute from another, and nothing from nothing.
func TestImage(t *testing.T) {
	_, rt := storetest.Open(t)
	image := func() string {
		t.Helper()
		s, err := rt.Image(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	put := func(attributes map[string]string) {
		t.Helper()
		if err := rt.Put(t.Context(), attributes); err != nil {
			t.Fatal(err)
		}
	}
	if got := image(); got != "" {
		t.Errorf("the image of nothing is %q", got)
	}
	put(map[string]string{"pk": "p", "sk": "s", "a": "1"})
	first := image()
	if again := image(); again != first {
		t.Errorf("two images of one table are\n%s\n%s", first, again)
	}
	put(map[string]string{"pk": "p", "sk": "s", "a": "2"})
	if image() == first {
		t.Error("the image does not show that an attribute changed")
	}
	put(map[string]string{"pk": "p", "sk": "s", "a": "1", "b": ""})
	if image() == first {
		t.Error("the image does not show that an attribute came to be")
	}
	put(map[string]string{"pk": "p", "sk": "s", "a": "1"})
	if got := image(); got != first {
		t.Errorf("the image is\n%s, and it was\n%s", got, first)
	}
	put(map[string]string{"pk": "p", "sk": "t"})
	if image() == first {
		t.Error("the image does not show that an item came to be")
	}
}
