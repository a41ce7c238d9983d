package secret_test

import (
	"regexp"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/secret"
)

func TestSecretsAreNewEachTime(t *testing.T) {
	t.Parallel()
	form, seen := regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`), map[string]bool{}
	for range 100 {
		s := secret.New()
		if !form.MatchString(s) || len(s) != secret.Length || seen[s] {
			t.Errorf("got %q", s)
		}
		seen[s] = true
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	h := secret.HashOf("abc")
	// FIPS 180-4, the example of SHA-256.
	if want := "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; h.String() != want {
		t.Errorf("got %s, want %s", h, want)
	}
	var back secret.Hash
	if err := back.Scan(h.String()); err != nil || back != h {
		t.Errorf("got %s, %v, want %s", back, err, h)
	}
	for _, wrong := range []any{"", "ba78", int64(1), nil, h.String()[:63] + "g", h.String() + "00"} {
		if err := back.Scan(wrong); err == nil {
			t.Errorf("%v: got no error", wrong)
		}
	}
}
