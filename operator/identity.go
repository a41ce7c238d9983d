package operator

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/refusal"
)

// Identity is a person's account at an OpenID provider. It is linked to one operator, and signs in
// that operator.
type Identity struct {
	ID         string // the id of this record, for commands and pages
	OperatorID string
	Issuer     string
	Subject    string    // identifies the person at the provider permanently (sub)
	Email      string    // only shown; empty if the provider does not say, or has not verified it
	Linked     time.Time // when the operator linked the identity
	LastUsed   time.Time // when the identity last signed in the operator; zero if never
}

// Label returns the identity in a few words: the e-mail address, or the subject if there is none.
func (i Identity) Label() string {
	if i.Email != "" {
		return i.Email
	}
	return i.Subject
}

// Refusals about identities.
var (
	// ErrIdentityUnknown is returned for an identity that is linked to no operator.
	ErrIdentityUnknown = refusal.New(refusal.Forbidden, "", "this identity opens nothing here").
				Advise("an operator signs in with a one-time link first, and links the identity on the page My account").Coded("operator_identity_unknown")
	// ErrIdentityTaken is returned for an identity to be linked that is linked to an operator
	// already.
	ErrIdentityTaken = refusal.New(refusal.Conflict, "", "this identity is linked already").Coded("operator_identity_taken")
	// ErrIdentityGone is returned for an identity that is not, or no longer, linked to the
	// operator.
	ErrIdentityGone = refusal.New(refusal.NotFound, "id", "the operator has no such identity").
			Advise("choose one from the list of the operator's identities").Coded("operator_identity_gone")
)

// IdentityUse holds the arguments of IdentityStore.UseIdentity, which signs in an operator by an
// identity.
type IdentityUse struct {
	Issuer, Subject string
	Email           string // replaces the stored e-mail address; if it is empty, the stored one stays
	At              time.Time
	SessionHash     secret.Hash
	Session         session.Record
	Event           func(Operator) event.Event // makes the event of the sign-in
}

// IdentityStore keeps the identities of operators.
type IdentityStore interface {
	// Identities returns the identities of the operator with this name, in the order in which they
	// were linked. It returns ErrUnknown if there is no such operator.
	Identities(ctx context.Context, name string) ([]Identity, error)
	// LinkIdentity stores an identity and its event. If the identity is linked already, it returns
	// ErrIdentityTaken, whose data is a TakenIdentity. If the operator was removed, it returns
	// ErrNoSession.
	LinkIdentity(ctx context.Context, i Identity, e event.Event) error
	// UnlinkIdentity deletes an identity of the operator with this name, and appends the event that
	// e makes. It returns ErrUnknown or ErrIdentityGone.
	UnlinkIdentity(ctx context.Context, name, id string, e func(Identity) event.Event) (Identity, error)
	// UseIdentity starts a session of the operator that an identity is linked to, and appends the
	// event, in one transaction. It returns ErrIdentityUnknown if the identity is not linked.
	UseIdentity(ctx context.Context, u IdentityUse) (Operator, error)
}

// Identities returns the identities that are linked to the operator with this name. It returns
// ErrUnknown if there is no such operator.
func (o *Operators) Identities(ctx context.Context, name string) ([]Identity, error) {
	return o.Store.Identities(ctx, name)
}

// Unlink removes the link between an identity and the operator with this name. After that, the
// identity no longer signs anyone in. Sessions that it started before do not end. Unlink returns
// ErrUnknown or ErrIdentityGone.
func (o *Operators) Unlink(ctx context.Context, name, id, actor string) (Identity, error) {
	name, err := cleanName(name)
	if err != nil {
		return Identity{}, err
	}
	if !utf8.ValidString(id) || strings.ContainsRune(id, 0) { // no database stores such an id
		return Identity{}, ErrIdentityGone
	}
	return o.Store.UnlinkIdentity(ctx, name, id, func(i Identity) event.Event {
		return o.newEvent(event.OperatorIdentityUnlinked, actor, name, fmt.Sprintf("The identity %s of %s was unlinked from the operator %s", i.Subject, i.Issuer, name))
	})
}
