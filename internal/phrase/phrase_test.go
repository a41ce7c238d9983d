package phrase_test

import (
	"testing"

	"github.com/rollcall-scim/rollcall/internal/phrase"
)

func TestCountUsesTheWordForOneOrForSeveral(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0 people", 1: "1 person", 2: "2 people"} {
		if got := phrase.Count(n, "person", "people"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestCutKeepsShortTextAndEndsLongTextBetweenCharacters(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		most int
		want string
	}{
		{"short", 5, "short"},
		{"longer", 5, "lo…"},
		{"éééé", 7, "éé…"},
		{"éééé", 6, "é…"},
	} {
		if got := phrase.Cut(test.text, test.most); got != test.want {
			t.Errorf("Cut(%q, %d): got %q, want %q", test.text, test.most, got, test.want)
		}
	}
}

func TestStorableReplacesWhatDatabasesRefuse(t *testing.T) {
	t.Parallel()
	if got, want := phrase.Storable("a\x00b\xffé"), "a\uFFFDb\uFFFDé"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
