package roster

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
)

const sessionBytes = 32

// SessionHash is the SHA-256 of a session's secret, the only form in which it is stored.
type SessionHash [sha256.Size]byte

// Session is a signed-in browser.
type Session struct {
	Hash    SessionHash
	Person  string
	Created time.Time
	Expires time.Time
}

// StartSession signs a person in for that long and returns the session's secret. Somebody who is deactivated is
// refused with 403.
func (r *Roster) StartSession(ctx context.Context, personID string, ttl time.Duration) (string, error) {
	var random [sessionBytes]byte
	_, _ = rand.Read(random[:]) // documented never to return an error
	secret := base64.RawURLEncoding.EncodeToString(random[:])
	now := r.Now().UTC()
	err := r.Store.Update(ctx, r.site, func(tx Tx) error {
		rec, _, err := r.read(ctx, tx, User, personID, Change{})
		if err != nil {
			return err
		}
		if rec.Block.On {
			return scim.Forbidden("This account is blocked. An administrator of the site can unblock it.")
		}
		if !rec.Active {
			return scim.Forbidden("This account is deactivated. An administrator of the site can reactivate it.")
		}
		return tx.StartSession(ctx, Session{Hash: hashSession(secret), Person: personID, Created: now, Expires: now.Add(ttl)})
	})
	if err != nil {
		return "", fmt.Errorf("start session: %w", err)
	}
	return secret, nil
}

// Session returns whose session that is. ErrNoSession when it ended or expired, or the person is gone or deactivated;
// it asks the database each time, so a session that ended anywhere is refused here at once.
func (r *Roster) Session(ctx context.Context, secret string) (Person, error) {
	if secret == "" {
		return Person{}, ErrNoSession
	}
	rec, err := r.Store.SessionPerson(ctx, r.site.ID, hashSession(secret), r.Now())
	if errors.Is(err, ErrNoSession) {
		return Person{}, ErrNoSession
	}
	if err != nil {
		return Person{}, fmt.Errorf("find session: %w", err)
	}
	return personOf(rec)
}

// EndSession signs out. Ending a session that is no more is no error.
func (r *Roster) EndSession(ctx context.Context, secret string) error {
	if err := r.Store.EndSession(ctx, r.site.ID, hashSession(secret)); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

func hashSession(secret string) SessionHash { return sha256.Sum256([]byte(secret)) }
