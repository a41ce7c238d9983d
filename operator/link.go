package operator

import (
	"context"
	"fmt"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/onetime"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/session"
)

// ErrLinkEnded is returned for a sign-in link that no longer works. Its Data field is a ClosedLink.
var ErrLinkEnded = onetime.NewRefusal("operator_link_ended")

// Link is a new one-time link that signs an operator in. Its secret cannot be read again later.
type Link struct {
	onetime.Link
	Name string // the name of the operator who signs in with the link
}

// LinkPath returns the path of the sign-in link with this secret.
func LinkPath(secret string) string { return "/d/sign-in/" + secret }

// LinkRecord is a sign-in link as it is stored.
type LinkRecord struct {
	onetime.Record
	Name string // the name of the operator who signs in with the link
}

// LinkUse holds the arguments of Store.UseLink, which uses a link and starts a session in one
// transaction.
type LinkUse struct {
	LinkHash    secret.Hash
	At          time.Time // when the link is used
	OperatorID  string    // the id of the new operator, if there is no operator with the link's name yet
	SessionHash secret.Hash
	Session     session.Record
	Event       func(Operator) event.Event // makes the event of the sign-in
}

// PendingSignIn describes what an unused link does, for the page that asks for confirmation.
type PendingSignIn struct {
	Name    string    // the name of the operator who signs in
	Expires time.Time // when the link expires
}

// ClosedLink says why a link no longer works. It is the data of ErrLinkEnded.
type ClosedLink struct {
	Reason onetime.Reason
	Name   string // the name of the link's operator; empty if unknown
}

// Refuse returns ErrLinkEnded with a message that tells the person why the link does not work.
func (l ClosedLink) Refuse() error {
	return l.Reason.Refuse(ErrLinkEnded, "its operator was removed").WithData(l)
}

// Link makes a one-time link that signs in the operator with this name. If there is no such
// operator, Redeem creates one when the link is used.
func (o *Operators) Link(ctx context.Context, name, actor string) (Link, error) {
	name, err := cleanName(name)
	if err != nil {
		return Link{}, err
	}
	l, r := Link{Name: name}, LinkRecord{Name: name}
	l.Link, r.Record = onetime.New(o.Now(), LinkPath)
	e := o.newEvent(event.OperatorLinkCreated, actor, name, fmt.Sprintf("One-time sign-in link made for the operator %s", name))
	if err := o.Store.AddLink(ctx, r, e); err != nil {
		return Link{}, fmt.Errorf("add operator link: %w", err)
	}
	return l, nil
}

// LookUpLink says what a link does, without using the link. It returns ErrLinkEnded if the link no
// longer works.
func (o *Operators) LookUpLink(ctx context.Context, linkSecret string) (PendingSignIn, error) {
	r, err := onetime.FindOpen(o.Now(), func() (LinkRecord, error) {
		r, err := o.Store.FindLink(ctx, secret.HashOf(linkSecret))
		if err != nil {
			return r, fmt.Errorf("find operator link: %w", err)
		}
		return r, nil
	}, func(r LinkRecord, why onetime.Reason) error { return ClosedLink{Reason: why, Name: r.Name}.Refuse() })
	if err != nil {
		return PendingSignIn{}, err
	}
	return PendingSignIn{Name: r.Name, Expires: r.Expires}, nil
}

// Redeem uses the link and starts a session. A link works only once: a second call with the same
// secret returns ErrLinkEnded, even if both calls run at the same time.
func (o *Operators) Redeem(ctx context.Context, linkSecret string, from session.Browser) (Session, error) {
	now := o.Now()
	record := o.Limits.Start(now, from)
	s := Session{Secret: secret.New(), Expires: record.Expires}
	use := LinkUse{
		LinkHash:    secret.HashOf(linkSecret),
		At:          now,
		OperatorID:  o.NewID(),
		SessionHash: secret.HashOf(s.Secret),
		Session:     record,
		Event: func(op Operator) event.Event {
			e := o.newEvent(event.OperatorSignedIn, op.Actor(), op.Name, fmt.Sprintf("%s signed in by one-time link", op.Name))
			e.By = event.Actor{Kind: event.Operator, ID: op.ID, Name: op.Name}
			return e
		},
	}
	err := onetime.Use(
		func() (err error) {
			if s.Operator, err = o.Store.UseLink(ctx, use); err != nil {
				return fmt.Errorf("redeem operator link: %w", err)
			}
			return nil
		},
		func() error { _, err := o.LookUpLink(ctx, linkSecret); return err },
		ClosedLink{Reason: onetime.Unknown}.Refuse(),
	)
	if err != nil {
		return Session{}, err
	}
	return s, nil
}
