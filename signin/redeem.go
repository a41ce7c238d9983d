package signin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/onetime"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// PendingSignIn describes what an unused link does, for the page that asks for confirmation.
type PendingSignIn struct {
	Kind    Kind
	Person  roster.Person // empty for FirstAdmin: the page asks for a Form
	Expires time.Time
}

// LookUpLink says what a link does, without using the link. If the link no longer works, it returns
// ErrLinkEnded or ErrAccountClosed.
func (s *SignIns) LookUpLink(ctx context.Context, st site.Site, linkSecret string) (PendingSignIn, error) {
	l, err := onetime.FindOpen(s.Now(), func() (personalLink, error) { return s.findLink(ctx, st, linkSecret) },
		func(l personalLink, why onetime.Reason) error {
			return ClosedLink{Reason: why, Site: st.Name, UserName: l.person.UserName}.Refuse()
		})
	if err != nil {
		return PendingSignIn{}, err
	}
	if l.Kind == FirstAdmin {
		if err := s.checkNoAdmin(ctx, st); errors.Is(err, ErrHasAdmin) {
			return PendingSignIn{}, ClosedLink{Reason: LinkHasAdmin, Site: st.Name}.Refuse()
		} else if err != nil {
			return PendingSignIn{}, err
		}
	}
	return PendingSignIn{Kind: l.Kind, Person: l.person, Expires: l.Expires}, nil
}

// personalLink is a link with the person that it signs in.
type personalLink struct {
	LinkRecord
	person      roster.Person // empty for FirstAdmin
	ssoRequired bool          // whether the site requires single sign-on
}

// findLink returns a link by its secret, even if it no longer works.
func (s *SignIns) findLink(ctx context.Context, st site.Site, linkSecret string) (personalLink, error) {
	l, err := s.Store.FindLink(ctx, st.ID, secret.HashOf(linkSecret))
	if err != nil {
		return personalLink{}, fmt.Errorf("find sign-in link: %w", err)
	}
	if l.Kind != Person {
		return personalLink{LinkRecord: l}, nil
	}
	p, err := s.Rosters.Open(st).Person(ctx, l.PersonID)
	if errors.Is(err, refusal.NotFound) {
		return personalLink{}, onetime.ErrClosed
	}
	if err != nil {
		return personalLink{}, fmt.Errorf("find the person of a link: %w", err)
	}
	required, err := s.requiresSSO(ctx, st)
	return personalLink{l, p, required}, err
}

// ClosedReason returns the reason why the link does not work at the time now, or "" if it works.
// The reason can be the state of the person's account.
func (l personalLink) ClosedReason(now time.Time) onetime.Reason {
	if why := l.Record.ClosedReason(now); why != "" || l.Kind != Person {
		return why
	}
	switch {
	case l.person.Block.InForce:
		return LinkBlocked
	case !l.person.Active:
		return LinkDeactivated
	case l.ssoRequired && l.person.Role != roster.RoleAdmin:
		return LinkSSORequired
	case l.Created.Before(l.person.LastActiveChange.Time):
		// Links are made only for active people. So the account was deactivated after the link was
		// made, and reactivated later. A link from before the deactivation must not open the
		// account again.
		return LinkOutdated
	}
	return ""
}

// Redeem uses the link and starts a session. Only a link of the kind FirstAdmin needs the form. If
// the form is refused, the link stays unused. A link works only once: a second call with the same
// secret returns ErrLinkEnded, even if both calls run at the same time.
func (s *SignIns) Redeem(ctx context.Context, st site.Site, linkSecret string, f Form, from session.Browser) (Session, error) {
	p, err := s.LookUpLink(ctx, st, linkSecret)
	if err != nil {
		return Session{}, err
	}
	if p.Kind == FirstAdmin {
		if f, err = f.clean(); err != nil {
			return Session{}, err
		}
		p.Person.UserName = f.Email
	}
	used := s.Now()
	by := event.Actor{Kind: event.Person, ID: p.Person.ID, Name: p.Person.UserName}
	e := s.newEvent(st, event.SignInLinkUsed, by.Label(), p.Person.ID, "One-time sign-in link of "+p.Person.UserName+" opened")
	e.By = by
	hash := secret.HashOf(linkSecret)
	if err := onetime.Use(
		func() error {
			if err := s.Store.UseLink(ctx, st.ID, hash, used, e); err != nil {
				return fmt.Errorf("use sign-in link: %w", err)
			}
			return nil
		},
		func() error { _, err := s.LookUpLink(ctx, st, linkSecret); return err },
		ClosedLink{Reason: onetime.Unknown, Site: st.Name}.Refuse(),
	); err != nil {
		return Session{}, err
	}
	started, err := s.startSession(ctx, st, p, f, from)
	if err != nil {
		return Session{}, errors.Join(err, s.Store.ReturnLink(ctx, st.ID, hash, used))
	}
	return started, nil
}

// startSession starts the session of the person who used the link. If the link is for the first
// administrator, it creates the account before that.
func (s *SignIns) startSession(ctx context.Context, st site.Site, p PendingSignIn, f Form, from session.Browser) (Session, error) {
	if p.Kind == FirstAdmin {
		var err error
		if p.Person, err = s.makeAdmin(ctx, st, f, roster.Change{Actor: event.Actor{Kind: event.Admin, Name: f.Email}.Label(), Via: roster.ViaSignIn}); err != nil {
			return Session{}, err
		}
	}
	sessionSecret, err := s.Rosters.Open(st).StartSession(ctx, p.Person.ID, s.Limits, from)
	if errors.Is(err, refusal.Forbidden) {
		return Session{}, ClosedLink{Reason: LinkDeactivated, Site: st.Name, UserName: p.Person.UserName}.Refuse()
	}
	if err != nil {
		return Session{}, fmt.Errorf("start session: %w", err)
	}
	return Session{Person: p.Person, Secret: sessionSecret, Expires: s.Limits.Start(s.Now(), from).Expires}, nil
}
