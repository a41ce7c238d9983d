package visible_test

import (
	"testing"

	"github.com/rollcall-scim/rollcall/internal/visible"
)

func TestRevealShowsWhatNobodySees(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"ada@acme.example":       "ada@acme.example",
		"a b":                    "a b",
		"ada\u200b@acme.example": "ada⟨U+200B⟩@acme.example",
		" ada ":                  "⟨space⟩ada⟨space⟩",
		"  ":                     "⟨space⟩⟨space⟩",
		"ada\u00a0\t\u202eb":     "ada⟨U+00A0⟩⟨U+0009⟩⟨U+202E⟩b",
		"Zoë 李":                  "Zoë 李",
	} {
		if got := visible.Reveal(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
