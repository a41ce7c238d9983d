package lookalike_test

import (
	"slices"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/lookalike"
)

func TestTextsThatLookTheSameShareASkeleton(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{"ada@acme.example", "аda@acme.example"},       // Cyrillic а
		{"victim@acme.example", "vіctіm@acme.example"}, // Cyrillic і
		{"scope", "ѕсоре"},                             // every letter is Cyrillic
		{"scope", "SCOPE"},
		{"CAP@acme.example", "сар@acme.example"},
		{"modem@acme.example", "modern@acme.example"},
		{"kim1@acme.example", "kiml@acme.example"},
		{"Ian Lee", "lan Lee"},
		{"KIM0@acme.example", "KIMO@acme.example"},
		{"ada@acme.example", "ada\u200b@acme.example"},
		{"ada@acme.example", "ada@acme.example\u00a0"},
		{"ada lee", "ada\u00a0lee"},
		{"paypal", "𝔭𝒶ỿ𝕡𝕒ℓ"},
		{"søs", "so̷s"},
		{"rosé", "rose\u0301"},
		{"ada", "ａda"},
		{"a.b@acme.example", "a․b@acme.example"}, // one dot leader
		{"a-b", "a‐b"},                           // hyphen
	} {
		if !share(pair[0], pair[1]) {
			t.Errorf("%q and %q: %q, %q", pair[0], pair[1], lookalike.Skeletons(pair[0]), lookalike.Skeletons(pair[1]))
		}
	}
}

func TestTextsThatLookDifferentShareNone(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{"jose", "josé"},
		{"иван@acme.example", "игорь@acme.example"},
		{"kim0", "kimo"},
		{"ian", "lan"},
		{"ada", "adam"},
		{"李", "王"},
		{"müller", "muller"},
	} {
		if share(pair[0], pair[1]) {
			t.Errorf("%q and %q: %q", pair[0], pair[1], lookalike.Skeletons(pair[0]))
		}
	}
}

func share(a, b string) bool {
	others := lookalike.Skeletons(b)
	return slices.ContainsFunc(lookalike.Skeletons(a), func(s string) bool { return slices.Contains(others, s) })
}

// FuzzSkeleton checks that the skeleton of a skeleton is the same skeleton.
func FuzzSkeleton(f *testing.F) {
	for _, seed := range []string{"ada@acme.example", "аda", "ﷺ", "m", "\u0344", "e\u0301\u200d", "\xff", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once := lookalike.Skeleton(text)
		if twice := lookalike.Skeleton(once); twice != once {
			t.Errorf("%q: %q, then %q", text, once, twice)
		}
	})
}

func TestDifference(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, other, want string }{
		{"аda", "ada", "а (U+0430, Cyrillic)"},
		{"modem", "modern", ""},
		{"mode", "rnode", "m (U+006D, Latin)"},
		{"rnode", "mode", "r (U+0072, Latin) and n (U+006E, Latin)"},
		{"kim1", "kiml", "1 (U+0031, the digit)"},
		{"ada\u200b", "ada", "a zero-width space (U+200B)"},
		{"so\u0337s", "søs", "o (U+006F, Latin) and ◌\u0337 (U+0337)"},
		{"абвг", "", "а (U+0430, Cyrillic), б (U+0431, Cyrillic), в (U+0432, Cyrillic) and others"},
	} {
		if got := lookalike.Difference(c.text, c.other); got != c.want {
			t.Errorf("%q, %q: got %q, want %q", c.text, c.other, got, c.want)
		}
	}
}
