package seal_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/seal"
)

func newSealer(t *testing.T) (*seal.Sealer, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	s, made, err := seal.OpenOrCreate(file)
	if err != nil || !made {
		t.Fatalf("got made %v, error %v, want a new key", made, err)
	}
	return s, file
}

func TestWhatIsSealedOpensOnlyInItsOwnPlace(t *testing.T) {
	t.Parallel()
	s, _ := newSealer(t)
	sealed, err := s.Seal([]byte("rollcall_secret"), "job/a")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("secret")) {
		t.Fatal("the sealed value shows the secret")
	}
	plain, err := s.Open(sealed, "job/a")
	if err != nil || string(plain) != "rollcall_secret" {
		t.Fatalf("got %q, %v, want the secret", plain, err)
	}
	if _, err := s.Open(sealed, "job/b"); err == nil {
		t.Error("opened in another place")
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := s.Open(sealed, "job/a"); err == nil {
		t.Error("opened although it was changed")
	}
}

func TestAnotherKeyDoesNotOpen(t *testing.T) {
	t.Parallel()
	s, _ := newSealer(t)
	other, _ := newSealer(t)
	sealed, err := s.Seal([]byte("x"), "place")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(sealed, "place"); err == nil || !strings.Contains(err.Error(), "enter the credential again") {
		t.Errorf("got %v, want an error that says what to do", err)
	}
}

func TestTheKeyFileIsPrivateAndStays(t *testing.T) {
	t.Parallel()
	s, file := newSealer(t)
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got mode %v, %v, want 0600", info.Mode(), err)
	}
	sealed, err := s.Seal([]byte("x"), "place")
	if err != nil {
		t.Fatal(err)
	}
	again, made, err := seal.OpenOrCreate(file)
	if err != nil || made {
		t.Fatalf("got made %v, %v, want the same key", made, err)
	}
	if _, err := again.Open(sealed, "place"); err != nil {
		t.Error(err)
	}
	if err := seal.Create(file); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want a refusal to replace a key", err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Open(file); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("got %v, want a refusal of a key that others can read", err)
	}
}

func TestTwoWhoMakeTheKeyAtOnceGetTheSame(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	var sealers [8]*seal.Sealer
	var wg sync.WaitGroup
	for i := range sealers {
		wg.Go(func() {
			s, _, err := seal.OpenOrCreate(file)
			if err != nil {
				t.Error(err)
			}
			sealers[i] = s
		})
	}
	wg.Wait()
	sealed, err := sealers[0].Seal([]byte("x"), "place")
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range sealers {
		if _, err := s.Open(sealed, "place"); err != nil {
			t.Errorf("%d has another key: %v", i, err)
		}
	}
}

func TestAFileThatIsNoKeyIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := seal.OpenOrCreate(file); err == nil || !strings.Contains(err.Error(), "rollcall key create") {
		t.Errorf("got %v, want an error that says what a key file is", err)
	}
}

func TestRing(t *testing.T) {
	t.Parallel()
	running, file := newSealer(t)
	old, err := running.Seal([]byte("x"), "place")
	if err != nil || !running.IsCurrent(old) {
		t.Fatalf("got current %v, %v", running.IsCurrent(old), err)
	}
	for _, step := range []func(string) error{seal.Prepare, seal.Prepare, seal.Promote} {
		if err := step(file); err != nil {
			t.Fatal(err)
		}
	}
	// A process that has the file open sees the new ring, and still opens what the old key sealed.
	if plain, err := running.Open(old, "place"); err != nil || string(plain) != "x" {
		t.Errorf("got %q, %v", plain, err)
	}
	if running.IsCurrent(old) {
		t.Error("the old key still counts as the one that seals")
	}
	fresh, err := running.Seal([]byte("y"), "place")
	if err != nil || !running.IsCurrent(fresh) {
		t.Errorf("got current %v, %v for what was sealed now", running.IsCurrent(fresh), err)
	}
	if err := seal.Prune(file); err != nil {
		t.Fatal(err)
	}
	if _, err := running.Open(old, "place"); err == nil {
		t.Error("a key that was removed still opens")
	}
	// The file is missing for a moment: the keys read before still work.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if plain, err := running.Open(fresh, "place"); err != nil || string(plain) != "y" {
		t.Errorf("without the file: got %q, %v", plain, err)
	}
}
