package signin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// Conflict is a verified sign-in that fits an existing account, but must not open that account
// before an administrator has decided. The administrator links the identity to the account, or
// dismisses the sign-in.
type Conflict struct {
	ID       string
	PersonID string // the id of the existing account
	Reason   string // one of unproved, identity_conflict and email_conflict

	Issuer, Identifier        string // the identity: the identity provider, and the user identifier there
	Match, DisplayName, Email string // the identity provider's claims about the person; Match is compared with userName

	FirstTry, LastTry time.Time // when the sign-in was first and last tried
	Tries             int64     // how often the sign-in was tried
}

const (
	// MaxConflicts is the largest number of conflicts that a site stores. If it has that many, a
	// further conflicting sign-in is refused without being stored.
	MaxConflicts = 200
	// conflictLifetime is how long a conflict is kept after the last try to sign in.
	conflictLifetime = 30 * 24 * time.Hour
)

// ConflictStore keeps conflicts. Every method names the site.
type ConflictStore interface {
	// PutConflict stores a conflict. If there is one of the same identity and the same account
	// already, PutConflict counts one more try. It also removes the site's conflicts that were last
	// tried before notSince.
	PutConflict(ctx context.Context, id site.ID, c Conflict, notSince time.Time) error
	// Conflicts returns the conflicts that were last tried at or after since, the latest first.
	Conflicts(ctx context.Context, id site.ID, since time.Time) ([]Conflict, error)
	Conflict(ctx context.Context, id site.ID, conflict string) (Conflict, error) // refusal.NotFound if there is none
	// DropConflicts removes the conflicts of an identity and appends the events. It returns
	// refusal.NotFound if the identity has no conflict.
	DropConflicts(ctx context.Context, id site.ID, issuer, identifier string, events ...event.Event) error
}

// storeConflict stores a sign-in as a conflict, if the roster refused it with err because an
// account exists already. It does nothing for another err.
func (s *SingleSignOn) storeConflict(ctx context.Context, st site.Site, who roster.Asserted, err error) error {
	about, ok := refusal.DataOf[roster.Rejected](err)
	if !ok || about.PersonID == "" {
		return nil
	}
	f, _ := describeFailure(err)
	switch f.Reason {
	case "unproved", "identity_conflict", "email_conflict":
	default:
		return nil
	}
	now := s.Now().UTC().Truncate(time.Microsecond)
	c := Conflict{
		ID: newRequestID()[1:], PersonID: about.PersonID, Reason: f.Reason, Issuer: who.Issuer, Identifier: who.Identifier,
		Match: who.Match, DisplayName: who.DisplayName, Email: who.Email, FirstTry: now, LastTry: now,
	}
	if err := s.Store.PutConflict(ctx, st.ID, c, now.Add(-conflictLifetime)); err != nil {
		return fmt.Errorf("store a conflict: %w", err)
	}
	return nil
}

// Conflicts returns the waiting sign-ins of a site. The sign-in that was tried last comes first.
func (s *SingleSignOn) Conflicts(ctx context.Context, st site.Site) ([]Conflict, error) {
	all, err := s.Store.Conflicts(ctx, st.ID, s.Now().Add(-conflictLifetime))
	if err != nil {
		return nil, fmt.Errorf("find conflicts: %w", err)
	}
	return all, nil
}

// ErrNoConflict is the refusal to link or dismiss a sign-in that no longer waits.
var ErrNoConflict = refusal.New(refusal.NotFound, "", "this sign-in no longer waits").Advise("load the page again").Coded("sso_no_conflict")

// findConflict returns a conflict and the existing account. It returns ErrNoConflict if the sign-in
// no longer waits.
func (s *SingleSignOn) findConflict(ctx context.Context, st site.Site, id string) (Conflict, roster.Person, error) {
	if !utf8.ValidString(id) || strings.Contains(id, "\x00") || len(id) > 100 {
		return Conflict{}, roster.Person{}, ErrNoConflict // no conflict has such an id
	}
	c, err := s.Store.Conflict(ctx, st.ID, id)
	if errors.Is(err, refusal.NotFound) {
		return Conflict{}, roster.Person{}, ErrNoConflict
	}
	if err != nil {
		return Conflict{}, roster.Person{}, fmt.Errorf("find a conflict: %w", err)
	}
	p, err := s.Rosters.Open(st).Person(ctx, c.PersonID)
	if errors.Is(err, refusal.NotFound) {
		return Conflict{}, roster.Person{}, ErrNoConflict
	}
	return c, p, err
}

// LinkConflict links the identity of a waiting sign-in to the existing account. The identity that
// was linked before no longer opens the account, and the sessions of the account end. LinkConflict
// returns ErrNoConflict if the sign-in no longer waits.
func (s *SingleSignOn) LinkConflict(ctx context.Context, st site.Site, id string, by roster.Change) (roster.Person, error) {
	c, p, err := s.findConflict(ctx, st, id)
	if err != nil {
		return p, err
	}
	people := s.Rosters.Open(st)
	if _, err := people.Unlink(ctx, p.ID, by); err != nil {
		return p, err
	}
	if err := people.Link(ctx, p.ID, roster.Asserted{Issuer: c.Issuer, Identifier: c.Identifier}, by); err != nil {
		return p, err
	}
	if err := s.Store.DropConflicts(ctx, st.ID, c.Issuer, c.Identifier); err != nil && !errors.Is(err, refusal.NotFound) {
		return p, fmt.Errorf("forget a conflict: %w", err)
	}
	return p, nil
}

// DismissConflict removes a waiting sign-in. It returns ErrNoConflict if the sign-in no longer
// waits.
func (s *SingleSignOn) DismissConflict(ctx context.Context, st site.Site, id, actor string) error {
	c, p, err := s.findConflict(ctx, st, id)
	if err != nil {
		return err
	}
	err = s.Store.DropConflicts(ctx, st.ID, c.Issuer, c.Identifier, event.Event{
		Time: s.Now(), Scope: event.Site(string(st.ID)), Name: event.SignInSSODismissed, Actor: actor, Subject: p.ID,
		Text: fmt.Sprintf("The sign-in of %s that waited for the account %s was dismissed", c.Identifier, p.UserName),
	})
	if errors.Is(err, refusal.NotFound) {
		return ErrNoConflict
	}
	return err
}
