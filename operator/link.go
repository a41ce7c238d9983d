package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/refusal"
)

// LinkTTL is how long a one-time link opens.
const LinkTTL = 15 * time.Minute

// ErrLinkEnded refuses a link. It is about a ClosedLink where the service returns it; a Store returns it as it is.
var ErrLinkEnded = refusal.New(refusal.Gone, "", "this link does not open any more").
	Advise("a new one is made on the server").Coded("operator_link_ended")

// Link is a one-time link as its maker gets it, once.
type Link struct {
	Name    string    // who will come in
	Secret  string    // never stored
	Path    string    // to be put behind the public URL
	Expires time.Time // LinkTTL after it was made
}

// LinkPath is the path at which the link of this secret is shown and redeemed.
func LinkPath(secret string) string { return "/d/sign-in/" + secret }

// LinkRecord is a link as it is stored.
type LinkRecord struct {
	Hash    string
	Name    string
	Created time.Time
	Expires time.Time
	Used    time.Time // zero: not yet
}

// Use is what Store.UseLink does in one transaction.
type Use struct {
	LinkHash    string
	At          time.Time
	OperatorID  string // for the operator, if this makes one
	SessionHash string
	Session     session.Record
	Event       func(Operator) event.Event
}

// Pending is what a link would do, for the page that asks.
type Pending struct {
	Name    string
	Expires time.Time
}

// LinkReason says why a link does not open.
type LinkReason string

// The reasons why a link does not open.
const (
	LinkUnknown LinkReason = "unknown"
	LinkUsed    LinkReason = "used"
	LinkExpired LinkReason = "expired"
)

// ClosedLink is the link that ErrLinkEnded is about.
type ClosedLink struct {
	Reason LinkReason
	Name   string // whose link it was; empty if unknown
}

// Refuse says why the link does not open. Its words are for the person who opened it.
func (l ClosedLink) Refuse() error {
	switch l.Reason {
	case LinkUsed:
		return ErrLinkEnded.Because("this link has been used already: each opens once").With(l)
	case LinkExpired:
		return ErrLinkEnded.Because("this link has expired: each opens for 15 minutes").With(l)
	default:
		return ErrLinkEnded.Because("this link is not known here: it may be cut off, or its operator was removed").With(l)
	}
}

// Link makes a one-time link that signs in the operator of this name, who need not exist yet.
func (o *Operators) Link(ctx context.Context, name, actor string) (Link, error) {
	name, err := cleanName(name)
	if err != nil {
		return Link{}, err
	}
	now := o.Now()
	l := Link{Name: name, Secret: newSecret(), Expires: now.Add(LinkTTL)}
	l.Path = LinkPath(l.Secret)
	r := LinkRecord{Hash: hash(l.Secret), Name: name, Created: now, Expires: l.Expires}
	e := o.event(event.OperatorLinkCreated, actor, name, fmt.Sprintf("One-time sign-in link made for the operator %s", name))
	if err := o.Store.AddLink(ctx, r, e); err != nil {
		return Link{}, fmt.Errorf("add operator link: %w", err)
	}
	return l, nil
}

// Look says what a link would do and leaves it unused; ErrLinkEnded says why it would do nothing.
func (o *Operators) Look(ctx context.Context, secret string) (Pending, error) {
	r, err := o.Store.FindLink(ctx, hash(secret))
	if errors.Is(err, ErrLinkEnded) {
		return Pending{}, ClosedLink{Reason: LinkUnknown}.Refuse()
	}
	if err != nil {
		return Pending{}, fmt.Errorf("find operator link: %w", err)
	}
	if !r.Used.IsZero() {
		return Pending{}, ClosedLink{Reason: LinkUsed, Name: r.Name}.Refuse()
	}
	if !o.Now().Before(r.Expires) {
		return Pending{}, ClosedLink{Reason: LinkExpired, Name: r.Name}.Refuse()
	}
	return Pending{Name: r.Name, Expires: r.Expires}, nil
}

// Redeem uses the link up and starts a session. A second call with the same secret, at the same moment too, gets ErrLinkEnded.
func (o *Operators) Redeem(ctx context.Context, secret string, from session.Browser) (Session, error) {
	now := o.Now()
	record := o.Limits.Start(now, from)
	s := Session{Secret: newSecret(), Expires: record.Expires}
	op, err := o.Store.UseLink(ctx, Use{
		LinkHash:    hash(secret),
		At:          now,
		OperatorID:  o.NewID(),
		SessionHash: hash(s.Secret),
		Session:     record,
		Event: func(op Operator) event.Event {
			e := o.event(event.OperatorSignedIn, op.Actor(), op.Name, fmt.Sprintf("%s signed in by one-time link", op.Name))
			e.By = event.Actor{Kind: event.Operator, ID: op.ID, Name: op.Name}
			return e
		},
	})
	if errors.Is(err, ErrLinkEnded) {
		if _, err := o.Look(ctx, secret); err != nil {
			return Session{}, err
		}
		return Session{}, ClosedLink{Reason: LinkUnknown}.Refuse()
	}
	if err != nil {
		return Session{}, fmt.Errorf("redeem operator link: %w", err)
	}
	s.Operator = op
	return s, nil
}
