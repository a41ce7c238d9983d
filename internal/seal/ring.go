package seal

import (
	"bytes"
	"fmt"
	"os"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// readRing reads the keys of a key file. It refuses a file that other users of the machine can
// read.
func readRing(file string) (*keyset.Handle, error) {
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
	return handle, nil
}

// Prepare adds a new key to the key file. The key can open values but does not seal any yet. So the
// file can be copied to every server first. If the file already has such a key, Prepare changes
// nothing.
func Prepare(file string) error {
	return rewriteRing(file, func(m *keyset.Manager, info ring) error {
		if info.newest != info.primary {
			return nil
		}
		_, err := m.Add(aead.AES256GCMKeyTemplate())
		return err
	})
}

// Promote makes the newest key in the file the key that seals new values. The other keys still open
// the values that they sealed.
func Promote(file string) error {
	return rewriteRing(file, func(m *keyset.Manager, info ring) error { return m.SetPrimary(info.newest) })
}

// Prune removes every key from the file except the key that seals new values. Values that the other
// keys sealed can no longer be opened.
func Prune(file string) error {
	return rewriteRing(file, func(m *keyset.Manager, info ring) error {
		for _, id := range info.ids {
			if id == info.primary {
				continue
			}
			if err := m.Delete(id); err != nil {
				return err
			}
		}
		return nil
	})
}

// ring lists the keys of a key file, for the functions that change the file.
type ring struct {
	ids     []uint32 // the ids of the keys, in the order in which they were added
	primary uint32   // the id of the key that seals new values
	newest  uint32   // the id of the key that was added last
}

// rewriteRing changes the keys with the function edit, and replaces the file in one step. A reader
// finds either the old file or the new file.
func rewriteRing(file string, edit func(*keyset.Manager, ring) error) error {
	handle, err := readRing(file)
	if err != nil {
		return err
	}
	info := ring{primary: handle.KeysetInfo().GetPrimaryKeyId()}
	for _, key := range handle.KeysetInfo().GetKeyInfo() {
		info.ids = append(info.ids, key.GetKeyId())
		info.newest = key.GetKeyId()
	}
	manager := keyset.NewManagerFromHandle(handle)
	if err := edit(manager, info); err != nil {
		return fmt.Errorf("change key file %s: %w", file, err)
	}
	if handle, err = manager.Handle(); err != nil {
		return fmt.Errorf("change key file %s: %w", file, err)
	}
	return writeRing(file, handle, os.Rename)
}
