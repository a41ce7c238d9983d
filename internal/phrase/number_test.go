package phrase_test

import (
	"testing"

	"github.com/rollcall-scim/rollcall/internal/phrase"
)

func TestNumberIsInWords(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		0: "zero", 7: "seven", 12: "twelve", 20: "twenty", 21: "twenty-one", 100: "one hundred", 115: "one hundred fifteen",
		1_000: "one thousand", 1_250: "one thousand two hundred fifty", 250_000: "two hundred fifty thousand", 2_000_001: "two million one",
	} {
		if got := phrase.Number(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestIsNumberIgnoresHowItIsWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"one hundred twenty-one": true, " One hundred and  twenty one ": true, "one hundred twenty": false, "121": false, "": false,
	} {
		if got := phrase.IsNumber(text, 121); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}
