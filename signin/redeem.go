package signin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// Pending is what a link would do, for the page that asks.
type Pending struct {
	Kind    Kind
	Person  roster.Person // empty for FirstAdmin: the page asks for a Form
	Expires time.Time
}

// Look says what a link would do and leaves it unused; an error of kind Gone says why it would do nothing.
func (s *SignIns) Look(ctx context.Context, st site.Site, secret string) (Pending, error) {
	l, err := s.Store.FindLink(ctx, st.ID, hash(secret))
	if errors.Is(err, ErrLinkEnded) {
		return Pending{}, ClosedLink{Reason: LinkUnknown, Site: st.Name}.Refuse()
	}
	if err != nil {
		return Pending{}, fmt.Errorf("find sign-in link: %w", err)
	}
	p := Pending{Kind: l.Kind, Expires: l.Expires}
	if l.Kind == Person {
		if p.Person, err = s.Rosters.Open(st).Person(ctx, l.PersonID); errors.Is(err, refusal.NotFound) {
			return Pending{}, ClosedLink{Reason: LinkUnknown, Site: st.Name}.Refuse()
		} else if err != nil {
			return Pending{}, fmt.Errorf("find the person of a link: %w", err)
		}
	}
	if reason := s.refusal(l, p); reason != "" {
		return Pending{}, ClosedLink{Reason: reason, Site: st.Name, UserName: p.Person.UserName}.Refuse()
	}
	if l.Kind == FirstAdmin {
		if err := s.wantsAdmin(ctx, st); errors.Is(err, ErrHasAdmin) {
			return Pending{}, ClosedLink{Reason: LinkHasAdmin, Site: st.Name}.Refuse()
		} else if err != nil {
			return Pending{}, err
		}
	}
	return p, nil
}

func (s *SignIns) refusal(l LinkRecord, p Pending) LinkReason {
	switch {
	case !l.Used.IsZero():
		return LinkUsed
	case !s.Now().Before(l.Expires):
		return LinkExpired
	case l.Kind == Person && p.Person.Block.On:
		return LinkBlocked
	case l.Kind == Person && !p.Person.Active:
		return LinkDeactivated
	case l.Kind == Person && l.Created.Before(p.Person.LastActive.Time):
		// Links are made for active people only, so they were deactivated since: what let them in then does not again.
		return LinkOutdated
	default:
		return ""
	}
}

// Redeem uses the link up and starts a session. The form counts only for a first administrator's link; a refused form leaves the
// link unused. A second call with the same secret, at the same moment too, gets ErrLinkEnded.
func (s *SignIns) Redeem(ctx context.Context, st site.Site, secret string, f Form, from session.Browser) (Session, error) {
	p, err := s.Look(ctx, st, secret)
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
	e := s.event(st, event.SignInLinkUsed, "user:"+p.Person.UserName, p.Person.ID, "One-time sign-in link of "+p.Person.UserName+" opened")
	e.By = event.Actor{Kind: event.Person, ID: p.Person.ID, Name: p.Person.UserName}
	if err := s.Store.UseLink(ctx, st.ID, hash(secret), used, e); errors.Is(err, ErrLinkEnded) {
		return Session{}, s.gone(ctx, st, secret)
	} else if err != nil {
		return Session{}, fmt.Errorf("use sign-in link: %w", err)
	}
	started, err := s.enter(ctx, st, p, f, from)
	if err != nil {
		return Session{}, errors.Join(err, s.Store.ReturnLink(ctx, st.ID, hash(secret), used))
	}
	return started, nil
}

// enter makes the first administrator where that was promised, and starts the session.
func (s *SignIns) enter(ctx context.Context, st site.Site, p Pending, f Form, from session.Browser) (Session, error) {
	if p.Kind == FirstAdmin {
		var err error
		if p.Person, err = s.makeAdmin(ctx, st, f, roster.Change{Actor: "admin:" + f.Email, Via: roster.ViaSignIn}); err != nil {
			return Session{}, err
		}
	}
	secret, err := s.Rosters.Open(st).StartSession(ctx, p.Person.ID, s.Limits, from)
	if errors.Is(err, refusal.Forbidden) {
		return Session{}, ClosedLink{Reason: LinkDeactivated, Site: st.Name, UserName: p.Person.UserName}.Refuse()
	}
	if err != nil {
		return Session{}, fmt.Errorf("start session: %w", err)
	}
	return Session{Person: p.Person, Secret: secret, Expires: s.Limits.Start(s.Now(), from).Expires}, nil
}

// gone finds out why a link that opened a moment ago does not any more.
func (s *SignIns) gone(ctx context.Context, st site.Site, secret string) error {
	if _, err := s.Look(ctx, st, secret); err != nil {
		return err
	}
	return ClosedLink{Reason: LinkUnknown, Site: st.Name}.Refuse()
}
