package operator

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/refusal"
)

// ErrUnknown is returned when there is no operator with the given name.
var ErrUnknown = refusal.New(refusal.NotFound, "name", "there is no operator of this name").
	Advise("choose one from the list of operators").Coded("operator_unknown")

// maxNameBytes is the largest length of an operator's name.
const maxNameBytes = 100

// Operator is a person who runs the installation.
type Operator struct {
	ID         string
	Name       string    // unique, ignoring case
	Created    time.Time // when the operator's first link was redeemed
	LastSignIn time.Time
}

// Actor returns the operator's name in the form that events use for actors.
func (o Operator) Actor() string { return event.Actor{Kind: event.Operator, Name: o.Name}.Label() }

// Store keeps operators, their links, sessions and identities. It gets only hashes of secrets.
type Store interface {
	IdentityStore

	// AddLink stores a link and its event, and deletes links that expired long ago.
	AddLink(ctx context.Context, l LinkRecord, e event.Event) error
	// FindLink returns the link with this hash, even if it was used or has expired. It returns
	// onetime.ErrClosed if there is no such link.
	FindLink(ctx context.Context, hash secret.Hash) (LinkRecord, error)
	// UseLink marks the link as used, creates the operator if there is none with the link's name,
	// starts the session and appends the event, in one transaction. It changes nothing and returns
	// onetime.ErrClosed if the link is unknown, was used, or has expired at the time u.At.
	UseLink(ctx context.Context, u LinkUse) (Operator, error)
	// FindSession returns a session and its operator, even if the session has expired. It returns
	// ErrNoSession if there is no such session.
	FindSession(ctx context.Context, hash secret.Hash) (Operator, session.Record, error)
	// UseSession records when and where a session was last used. It never replaces a later use.
	UseSession(ctx context.Context, hash secret.Hash, at time.Time, from session.Browser) error
	// Sessions returns the sessions of the operator with this name, including expired ones. It
	// returns ErrUnknown if there is no such operator.
	Sessions(ctx context.Context, name string) ([]ListedSession, error)
	// EndSessions ends every session of the operator with this name, and returns how many of them
	// were live. It appends the event that the function e makes. It returns ErrUnknown if there is
	// no such operator.
	EndSessions(ctx context.Context, name string, now time.Time, e func(ended int) event.Event) (int, error)
	// EndSession deletes a session. An unknown session is not an error.
	EndSession(ctx context.Context, hash secret.Hash, events ...event.Event) error
	// List returns all operators, sorted by name.
	List(ctx context.Context) ([]Operator, error)
	// Remove deletes the operator with this name and all its sessions, links and identities, and
	// appends the event. It returns ErrUnknown if there is neither an operator nor a usable link
	// with this name.
	Remove(ctx context.Context, name string, now time.Time, e event.Event) error
	// HasOperators reports whether there is an operator.
	HasOperators(ctx context.Context) (bool, error)
}

// Operators creates links for operators, signs operators in and manages their sessions.
type Operators struct {
	Store  Store
	Now    func() time.Time
	NewID  func() string
	Limits session.Limits // how long new sessions last
}

// List returns all operators, sorted by name.
func (o *Operators) List(ctx context.Context) ([]Operator, error) { return o.Store.List(ctx) }

// HasOperators reports whether the installation has an operator.
func (o *Operators) HasOperators(ctx context.Context) (bool, error) { return o.Store.HasOperators(ctx) }

// Remove deletes the operator with this name. The operator's sessions end at once, and unused links
// and linked identities no longer sign anyone in. Remove returns ErrUnknown if there is no operator
// and no usable link of this name.
func (o *Operators) Remove(ctx context.Context, name, actor string) error {
	name, err := cleanName(name)
	if err != nil {
		return err
	}
	return o.Store.Remove(ctx, name, o.Now(), o.newEvent(event.OperatorRemoved, actor, name,
		fmt.Sprintf("%s is no longer an operator; sessions and links ended", name)))
}

// newEvent returns an event of the installation.
func (o *Operators) newEvent(name, actor, subject, text string) event.Event {
	return event.Event{
		Time:    o.Now(),
		Scope:   event.Installation(),
		Name:    name,
		Actor:   actor,
		Subject: subject,
		Text:    text,
	}
}

// cleanName returns an operator's name without spaces around it. It returns a refusal for a name
// that an operator cannot have.
func cleanName(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "":
		return "", refusal.New(refusal.Invalid, "name", "not a name for an operator: it is empty")
	case len(name) > maxNameBytes:
		return "", refusal.New(refusal.Invalid, "name", "not a name for an operator: it is longer than %d bytes", maxNameBytes)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "", refusal.New(refusal.Invalid, "name", "not a name for an operator: it holds characters that cannot be printed")
	}
	return name, nil
}
