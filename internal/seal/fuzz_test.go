package seal_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/seal"
)

// FuzzOpen opens arbitrary key files. The result is a key that seals and opens, or an error that
// names the file.
func FuzzOpen(f *testing.F) {
	key := filepath.Join(f.TempDir(), "key")
	if err := seal.Create(key); err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(strings.Replace(string(text), "ENABLED", "DISABLED", 1)))
	f.Add([]byte(strings.Replace(string(text), "AesGcmKey", "HmacKey", 1)))
	f.Add([]byte(`{"primaryKeyId":1,"key":[]}`))
	f.Add([]byte("\x00"))
	file := filepath.Join(f.TempDir(), "fuzzed")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := seal.Open(file)
		if err != nil {
			if !strings.Contains(err.Error(), file) {
				t.Errorf("got %v, which does not name the file", err)
			}
			return
		}
		sealed, err := s.Seal([]byte("secret"), "place")
		if err != nil {
			t.Fatalf("%q is a key and seals nothing: %v", text, err)
		}
		if plain, err := s.Open(sealed, "place"); err != nil || string(plain) != "secret" {
			t.Errorf("%q: got %q, %v", text, plain, err)
		}
	})
}
