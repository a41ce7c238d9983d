// Package seal keeps credentials that must be sent again unreadable in the
// database: AES-256-GCM with a key from a file, bound to the place where each
// value stands, so that a sealed value moved elsewhere does not open.
//
// The key file is a Tink keyset as JSON, so that keys can be rotated by adding
// one. Whoever has the file and the database can read the credentials; the
// file is made with mode 0600 and belongs apart from backups of the database.
package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Sealer seals and opens values with one keyset. It is safe for concurrent use.
type Sealer struct{ primitive tink.AEAD }

// Open reads the key of a file. The file must not be readable by others.
func Open(file string) (*Sealer, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		return nil, fmt.Errorf("key file %s can be read by others (mode %04o); make it private: chmod 600 %s", file, info.Mode().Perm(), file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
	if err != nil {
		return nil, fmt.Errorf("key file %s does not hold a key made by rollcall key create: %w", file, err)
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", file, err)
	}
	return &Sealer{primitive}, nil
}

// Create makes a new key in a file that does not exist yet, with mode 0600.
// The file is whole or absent, whatever happens meanwhile, and when two
// processes make it at once one of them gets fs.ErrExist.
func Create(file string) error {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)); err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".rollcall-key-*") // mode 0600
	if err != nil {
		return fmt.Errorf("make key file: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text.Bytes())
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("make key file: %w", err)
	}
	// Unlike a rename, a link never replaces a key that is there.
	if err := os.Link(tmp.Name(), file); err != nil {
		return fmt.Errorf("make key file: %w", err)
	}
	return syncFolder(filepath.Dir(file))
}

// syncFolder puts a new name on disk: a key that is lost after something was
// sealed with it would take the credentials along.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// OpenOrCreate opens a key file, and makes it first when it is absent; made
// says so.
func OpenOrCreate(file string) (s *Sealer, made bool, err error) {
	if s, err = Open(file); !errors.Is(err, fs.ErrNotExist) {
		return s, false, err
	}
	err = Create(file)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, false, err
	}
	made = err == nil
	s, err = Open(file)
	return s, made, err
}

// Seal encrypts a value for the place that context names.
func (s *Sealer) Seal(plain []byte, context string) ([]byte, error) {
	sealed, err := s.primitive.Encrypt(plain, []byte(context))
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

// Open decrypts what Seal made for the same context with this key.
func (s *Sealer) Open(sealed []byte, context string) ([]byte, error) {
	plain, err := s.primitive.Decrypt(sealed, []byte(context))
	if err != nil {
		return nil, errors.New("the stored credential cannot be opened with this key: another --key-file sealed it; give that one, or enter the credential again")
	}
	return plain, nil
}
