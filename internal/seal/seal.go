// Package seal encrypts credentials in the database that Rollcall must be able to send again. To
// seal is to encrypt a value, and to open is to decrypt it. The package uses AES-256-GCM with a key
// from a file. The encryption also covers the place where the value is stored. So a sealed value
// that is moved to another place does not open.
//
// The key file is a ring of keys: a Tink keyset as JSON. The primary key seals; every key of the
// ring opens. A running process reads the file again when it has changed, so a key can be rotated
// without a restart. Anyone with both the file and the database can read the credentials. So the
// file has mode 0600, and must not be kept with backups of the database.
package seal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Sealer encrypts ("seals") and decrypts ("opens") values with the keys of one file. It is safe for
// concurrent use.
type Sealer struct {
	file string // the path of the key file

	mu        sync.Mutex  // guards the fields below
	fileInfo  os.FileInfo // identifies the file from which primitive was read, to notice a change
	primitive tink.AEAD   // encrypts and decrypts with the keys of the file
	primary   uint32      // the id of the key that seals new values
}

// Open reads the keys of a file. The file must not be readable by others.
func Open(file string) (*Sealer, error) {
	s := &Sealer{file: file}
	return s, s.load()
}

// load reads the keys of the file if the file has changed.
func (s *Sealer) load() error {
	info, err := os.Stat(s.file)
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	if s.fileInfo != nil && os.SameFile(info, s.fileInfo) && info.ModTime().Equal(s.fileInfo.ModTime()) && info.Size() == s.fileInfo.Size() {
		return nil
	}
	handle, err := readRing(s.file)
	if err != nil {
		return err
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return fmt.Errorf("key file %s: %w", s.file, err)
	}
	s.fileInfo, s.primitive, s.primary = info, primitive, handle.KeysetInfo().GetPrimaryKeyId()
	return nil
}

// currentKeys returns the keys that the file has now. If the file cannot be read, it returns the
// keys that were read last.
func (s *Sealer) currentKeys() (tink.AEAD, uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.load() // If this fails, the keys that were read before still open everything that they sealed.
	return s.primitive, s.primary
}

// Create writes a new key to a file, with mode 0600. It returns fs.ErrExist if the file exists. The
// file is never incomplete, and if two processes create it at once, one of them gets fs.ErrExist.
func Create(file string) error {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	// Use a link: unlike a rename, it never replaces an existing file.
	return writeRing(file, handle, os.Link)
}

// writeRing writes keys to a temporary file. Then it calls place, which moves that file to its
// final name.
func writeRing(file string, handle *keyset.Handle, place func(from, to string) error) error {
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)); err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".rollcall-key-*") // CreateTemp creates the file with mode 0600
	if err != nil {
		return fmt.Errorf("make key file: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text.Bytes())
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("make key file: %w", err)
	}
	if err := place(tmp.Name(), file); err != nil {
		return fmt.Errorf("make key file: %w", err)
	}
	return syncFolder(filepath.Dir(file))
}

// syncFolder flushes the names of a folder's files to disk. If a power cut lost a new key file, the
// credentials that its key sealed would be unreadable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// OpenOrCreate opens a key file. If the file does not exist, OpenOrCreate creates the file first,
// and made is true.
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

// Seal encrypts a value with the primary key. context names the place where the value is stored.
func (s *Sealer) Seal(plain []byte, context string) ([]byte, error) {
	primitive, _ := s.currentKeys()
	sealed, err := primitive.Encrypt(plain, []byte(context))
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

// Open decrypts a value that Seal encrypted for the same context. It returns an error if no key of
// the ring opens the value.
func (s *Sealer) Open(sealed []byte, context string) ([]byte, error) {
	primitive, _ := s.currentKeys()
	plain, err := primitive.Decrypt(sealed, []byte(context))
	if err != nil {
		return nil, errors.New("the stored credential cannot be opened with this key: another --key-file sealed it; give that one, or enter the credential again")
	}
	return plain, nil
}

// IsCurrent reports whether the value was sealed with the key that is primary now.
func (s *Sealer) IsCurrent(sealed []byte) bool {
	_, primary := s.currentKeys()
	id, found := keyIDOf(sealed)
	return found && id == primary
}

// keyIDOf returns the id of the key that sealed a value, and whether the value has such an id. Tink
// writes the id in front of the ciphertext: a byte 1, then four bytes, big-endian.
func keyIDOf(sealed []byte) (uint32, bool) {
	if len(sealed) < 5 || sealed[0] != 1 {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:5]), true
}
