// Package secret makes the random secrets that Rollcall gives out (one-time links, sessions,
// tokens), and the hashes that it stores instead.
//
// A secret has 256 random bits, so a fast hash is enough: no one can try all secrets. Only hashes
// are stored and compared. The time that a comparison of hashes takes reveals nothing about a
// secret.
package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

const (
	// randomBytes is how many random bytes a secret has.
	randomBytes = 32
	// Length is how many characters New returns.
	Length = 43
)

// New returns 32 random bytes as 43 URL-safe characters.
func New() string {
	var random [randomBytes]byte
	_, _ = rand.Read(random[:]) // rand.Read is documented never to return an error
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// Hash is the SHA-256 of a secret.
type Hash [sha256.Size]byte

// HashOf returns the hash of a secret.
func HashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }

// String returns the hash in hexadecimal, as the database stores it.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Scan reads a hash from a database column. The column has the form that String returns.
func (h *Hash) Scan(value any) error {
	text, ok := value.(string)
	if !ok || len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("%T of a hash in the database", value)
	}
	_, err := hex.Decode(h[:], []byte(text))
	return err
}
