package roster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/refusal"
)

// Session is a signed-in browser.
type Session struct {
	Hash   secret.Hash // the hash of the session's secret
	Person string      // the id of the person who is signed in
	session.Record
	Origin Origin // how the identity provider identifies the session
	Own    bool   // whether this is the session of the caller who asked for the list
}

// StartSession signs a person in within these limits and returns the session's secret. It refuses a
// deactivated person with 403.
func (r *Roster) StartSession(ctx context.Context, personID string, l session.Limits, from session.Browser) (string, error) {
	made := secret.New()
	started := Session{Hash: secret.HashOf(made), Person: personID, Record: l.Start(r.now(), from)}
	err := r.store.Update(ctx, r.site, func(tx Tx) error {
		rec, _, err := r.lockAndParse(ctx, tx, User, personID, Change{})
		if err != nil {
			return err
		}
		if rec.Block.InForce {
			return refusal.New(refusal.Forbidden, "", "this account is blocked").Advise("an administrator of the site can unblock it")
		}
		if !rec.Active {
			return refusal.New(refusal.Forbidden, "", "this account is deactivated").Advise("an administrator of the site can reactivate it")
		}
		return tx.StartSession(ctx, started)
	})
	if err != nil {
		return "", fmt.Errorf("start session: %w", err)
	}
	return made, nil
}

// findSession returns the live session with this secret and its person. It returns ErrNoSession in
// the same cases as UseSession.
func (r *Roster) findSession(ctx context.Context, sessionSecret string) (Person, Session, error) {
	if sessionSecret == "" {
		return Person{}, Session{}, ErrNoSession
	}
	rec, s, err := r.store.SessionPerson(ctx, r.site.ID, secret.HashOf(sessionSecret))
	if errors.Is(err, ErrNoSession) || err == nil && !s.IsLive(r.now()) {
		return Person{}, Session{}, ErrNoSession
	}
	if err != nil {
		return Person{}, Session{}, fmt.Errorf("find session: %w", err)
	}
	person, err := personOf(rec)
	return person, s, err
}

// recordUseTimeout is how long a request for a page waits until the use of its session is recorded.
const recordUseTimeout = time.Second

// UseSession returns the person that the session belongs to, and records the use, at most once a
// minute. It returns ErrNoSession if the session ended, expired or was idle for too long, or if the
// person is deleted or deactivated. It reads the database each time, so a session that another
// process ended is refused at once.
func (r *Roster) UseSession(ctx context.Context, sessionSecret string, from session.Browser) (Person, error) {
	person, s, err := r.findSession(ctx, sessionSecret)
	if err != nil || !s.MustRecordUse(r.now()) {
		return person, err
	}
	// Show the page even if the use cannot be recorded. The next request for a page tries again.
	noting, cancel := context.WithTimeout(ctx, recordUseTimeout)
	defer cancel()
	_ = r.store.UseSession(noting, r.site.ID, s.Hash, r.now(), from.Clean())
	return person, nil
}

// HasFreshSession reports whether the session with this secret began recently enough for actions
// that need a fresh sign-in. It returns ErrNoSession in the same cases as UseSession.
func (r *Roster) HasFreshSession(ctx context.Context, sessionSecret string) (bool, error) {
	_, s, err := r.findSession(ctx, sessionSecret)
	return err == nil && s.IsFresh(r.now()), err
}

// Sessions returns a person's sessions, most recently used first. The session with this secret is
// marked as Own; the secret may be empty.
func (r *Roster) Sessions(ctx context.Context, personID, sessionSecret string) ([]Session, error) {
	all, err := r.store.Sessions(ctx, r.site.ID, personID)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	now, own := r.now(), secret.HashOf(sessionSecret)
	all = slices.DeleteFunc(all, func(s Session) bool { return !s.IsLive(now) })
	for i := range all {
		all[i].Own = all[i].Hash == own
	}
	slices.SortStableFunc(all, func(a, b Session) int { return b.LastUse().Compare(a.LastUse()) })
	return all, nil
}

// SignOutEverywhere ends every session of a person, in all processes. The person's next request
// gets the sign-in page. SignOutEverywhere returns how many of the sessions were live.
func (r *Roster) SignOutEverywhere(ctx context.Context, personID string, c Change) (ended int, err error) {
	err = r.store.Update(ctx, r.site, func(tx Tx) error {
		rec, _, err := r.lockAndParse(ctx, tx, User, personID, Change{})
		if err != nil {
			return err
		}
		now := r.now().UTC()
		if ended, err = tx.EndSessions(ctx, personID, now); err != nil {
			return err
		}
		person, err := personOf(rec)
		if err != nil {
			return err
		}
		text := person.UserName + " was signed out everywhere" + changeSummary{sessionsEnded: ended}.sessionsEndedText("; ")
		return tx.AppendEvent(ctx, newEvent(r.site.ID, rec, event.UserSignedOutEverywhere, c, now, text))
	})
	if err != nil {
		return 0, fmt.Errorf("sign out everywhere: %w", err)
	}
	return ended, nil
}

// SignOut ends the caller's session. Signing out without a session is not an error.
func (r *Roster) SignOut(ctx context.Context, sessionSecret string) error {
	person, _, err := r.findSession(ctx, sessionSecret)
	if errors.Is(err, ErrNoSession) {
		return r.EndSession(ctx, sessionSecret)
	}
	if err != nil {
		return err
	}
	by := event.Actor{Kind: event.Person, ID: person.ID, Name: person.UserName}
	if person.Role == RoleAdmin {
		by.Kind = event.Admin
	}
	e := event.Event{
		Time: r.now(), Scope: event.Site(string(r.site.ID)), Name: event.UserSignedOut, Actor: by.Label(), By: by, Subject: person.ID,
		Text: person.UserName + " signed out",
	}
	if err := r.store.EndSession(ctx, r.site.ID, secret.HashOf(sessionSecret), e); err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	return nil
}

// EndSession ends the old session when a new one replaces it. Ending a session that no longer
// exists is not an error.
func (r *Roster) EndSession(ctx context.Context, sessionSecret string) error {
	if err := r.store.EndSession(ctx, r.site.ID, secret.HashOf(sessionSecret)); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}
