package roster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// This file finds the account for a sign-in through an identity provider. "Asserted" means stated
// by an identity provider. The same rule applies to all accounts, whether SCIM, an import or an
// earlier sign-in created them:
//
//	the user identifier is linked to a person    that person is signed in
//	it is not linked, but the site's matching    the person with the userName is signed in, and the
//	 claim equals a userName                     identifier is linked to them; only if they have the role
//	                                             Registered and no other identifier
//	neither                                      a new account is created, if the site allows it and no
//	                                             other account has the e-mail address
//
// A blocked or deactivated person is always refused, and is not reactivated. An e-mail address
// alone never selects a person, because some identity providers let people choose their address,
// and a person could choose the address of another account.

// Asserted holds the statements of an identity provider about a person who signs in. The caller
// must have verified them.
type Asserted struct {
	Issuer     string // the entity id of the identity provider
	Identifier string // the user identifier, which is case-sensitive
	Match      string // the value of the claim that is compared with userName; may be empty

	DisplayName string // DisplayName and the three fields below may be empty
	Email       string
	Title       string
	Department  string

	Ticket   Ticket // the sign-in request and the assertion, each of which can be used only once; may be zero
	Session  Origin // how the identity provider identifies the session
	Protocol string // the name of the sign-in protocol, for the audit trail; empty means SAML

	Create          bool      // whether to create an account for a person without an account
	AuthenticatedAt time.Time // when the person proved who they are; zero if the identity provider does not say
	Ends            time.Time // the latest time at which the session may end; zero if only the site's own limit counts
}

// Ticket names the two things that a SAML sign-in uses up: the request that the response answers,
// and the assertion. Each can be used for only one sign-in, whichever process handles it.
type Ticket struct {
	Request   secret.Hash // the hash under which the request is stored; zero if the response answers none
	Assertion secret.Hash // the hash of the assertion's issuer and id; zero if no assertion was verified
	Until     time.Time   // until when the store must remember that the assertion was used
}

// IsZero reports whether the ticket has neither a request nor an assertion.
func (t Ticket) IsZero() bool { return t.Request == secret.Hash{} && t.Assertion == secret.Hash{} }

// The reasons why a Ticket cannot be used.
var (
	ErrRequestUsed   = refusal.New(refusal.Conflict, "", "the response answers a request that has expired or was answered before").Coded("sso_request_used")
	ErrAssertionUsed = refusal.New(refusal.Conflict, "", "the assertion was used before").Coded("sso_replayed")
)

// Admission is the result of a sign-in through an identity provider.
type Admission struct {
	Person  Person
	Created bool      // whether the sign-in made the account
	Linked  bool      // whether the sign-in linked the user identifier to the account
	Secret  string    // the secret of the session
	Expires time.Time // when the session ends
}

// Identity links a user identifier of an identity provider to a person.
type Identity struct {
	Person     string // the id of the person
	Identifier string // the user identifier
	Issuer     string // the entity id of the identity provider; empty if imported and never used
}

// The reasons why AdmitAsserted and TryAsserted refuse a person. If an account was found, the Data
// field of the refusal is a Rejected that names the account.
var (
	ErrAssertedBlocked     = refusal.New(refusal.Forbidden, "", "this account is blocked").Advise("an administrator of the site can unblock it").Coded("sso_blocked")
	ErrAssertedDeactivated = refusal.New(refusal.Forbidden, "", "this account is deactivated").Advise("an administrator of the site can reactivate it").Coded("sso_deactivated")
	ErrAssertedUnproved    = refusal.New(refusal.Forbidden, "", "an account with a role is not given to a user identifier that nobody has linked to it").
				Advise("sign in another way and choose Link this identity to me, or ask an administrator").Coded("sso_unproved")
	ErrAssertedConflict = refusal.New(refusal.Conflict, "", "this account is linked to another user identifier").
				Advise("an administrator of the site can remove that link").Coded("sso_conflict")
	ErrAssertedEmailTaken = refusal.New(refusal.Conflict, "", "another account has this e-mail address").
				Advise("an administrator of the site can link the identity to it").Coded("sso_email_taken")
	ErrAssertedUnknown = refusal.New(refusal.Forbidden, "", "there is no account for this person, and a sign-in does not make one here").
				Advise("an administrator of the site can let sign-ins make accounts").Coded("sso_no_account")
	ErrAssertedNameless = refusal.New(refusal.Invalid, "", "the identity provider sends no value for the claim that must match userName").
				Advise("an administrator of the site can choose another claim").Coded("sso_no_name")
)

// Rejected names the account that was refused. Its fields are empty if there is no account.
type Rejected struct{ PersonID, UserName string }

// AdmitAsserted signs in a person with a verified assertion. In one transaction, it finds or
// creates the account, links the identity, uses up the ticket and starts a session. If it refuses
// the person, nothing is stored and the ticket is not used up.
func (r *Roster) AdmitAsserted(ctx context.Context, a Asserted, l session.Limits, from session.Browser) (Admission, error) {
	var out Admission
	err := r.store.Update(ctx, r.site, func(tx Tx) (err error) {
		if out, err = r.admit(ctx, tx, a); err != nil {
			return err
		}
		// The ticket comes after the locks of admit: see holdSite in package store.
		if err := tx.UseTicket(ctx, a.Ticket, r.now()); err != nil {
			return err
		}
		made := secret.New()
		started := Session{Hash: secret.HashOf(made), Person: out.Person.ID, Record: l.Start(r.now(), from), Origin: a.Session}
		started.RecordProof(a.AuthenticatedAt)
		if !a.Ends.IsZero() && a.Ends.Before(started.Expires) {
			started.Expires = a.Ends.UTC()
		}
		out.Secret, out.Expires = made, started.Expires
		if err := tx.StartSession(ctx, started); err != nil {
			return err
		}
		return tx.AppendEvent(ctx, r.signedInEvent(out.Person, a.Protocol))
	})
	if err != nil {
		return Admission{}, wrapUnlessRefusal(err)
	}
	return out, nil
}

// signedInEvent returns the event of a sign-in through an identity provider.
func (r *Roster) signedInEvent(p Person, protocol string) event.Event {
	by := event.Actor{Kind: event.Person, ID: p.ID, Name: p.UserName}
	if p.Role == RoleAdmin {
		by.Kind = event.Admin
	}
	return event.Event{
		Time: r.now(), Scope: event.Site(string(r.site.ID)), Name: event.SignInSSOUsed, Actor: by.Label(), By: by, Subject: p.ID,
		Text: p.UserName + " signed in by " + cmp.Or(protocol, "SAML"),
	}
}

// TryAsserted returns what AdmitAsserted would return, without a session, and changes nothing.
func (r *Roster) TryAsserted(ctx context.Context, a Asserted) (Admission, error) {
	var out Admission
	err := r.store.Update(ctx, r.site, func(tx Tx) (err error) {
		if out, err = r.admit(ctx, tx, a); err != nil {
			return err
		}
		return errTried
	})
	if !errors.Is(err, errTried) {
		return Admission{}, wrapUnlessRefusal(err)
	}
	return out, nil
}

// errTried makes the store undo the transaction of TryAsserted.
var errTried = errors.New("only tried")

// wrapUnlessRefusal adds words to an error, but returns a refusal unchanged.
func wrapUnlessRefusal(err error) error {
	if refusalIn(err) != nil {
		return err
	}
	return fmt.Errorf("sign in with an assertion: %w", err)
}

// admit finds or creates the account for a sign-in, by the rule at the beginning of this file.
func (r *Roster) admit(ctx context.Context, tx Tx, a Asserted) (Admission, error) {
	if !isStorable(a.Identifier) || a.Identifier == "" || !isStorable(a.Match) || !isStorable(a.Email) {
		return Admission{}, ErrAssertedNameless.Because("the identity provider sends values that cannot be stored")
	}
	owner, err := tx.Identity(ctx, a.Identifier)
	if err != nil && !errors.Is(err, refusal.NotFound) {
		return Admission{}, err
	}
	if err == nil && (owner.Issuer == a.Issuer || owner.Issuer == "") {
		rec, old, err := r.lockAndParse(ctx, tx, User, owner.Person, Change{})
		if err != nil {
			return Admission{}, err
		}
		return r.admitKnown(ctx, tx, rec, old, a, owner.Issuer == "")
	}
	if a.Match == "" {
		return Admission{}, ErrAssertedNameless
	}
	rec, err := tx.RecordByUserName(ctx, scim.Fold(a.Match))
	if errors.Is(err, refusal.NotFound) {
		return r.admitNew(ctx, tx, a)
	}
	if err != nil {
		return Admission{}, err
	}
	old, err := r.parse(&rec)
	if err != nil {
		return Admission{}, err
	}
	if err := checkMaySignIn(rec, old); err != nil {
		return Admission{}, err
	}
	about := Rejected{rec.ID, old.String("userName")}
	if rec.Role != RoleRegistered {
		return Admission{}, ErrAssertedUnproved.WithData(about)
	}
	linked, err := tx.IdentityOf(ctx, rec.ID)
	if err == nil && (linked.Issuer == a.Issuer || linked.Issuer == "") {
		return Admission{}, ErrAssertedConflict.WithData(about)
	}
	if err != nil && !errors.Is(err, refusal.NotFound) {
		return Admission{}, err
	}
	return r.admitKnown(ctx, tx, rec, old, a, true)
}

// checkMaySignIn returns ErrAssertedBlocked or ErrAssertedDeactivated if the person is blocked or
// deactivated.
func checkMaySignIn(rec Record, doc scim.Resource) error {
	about := Rejected{rec.ID, doc.String("userName")}
	if rec.Block.InForce {
		return ErrAssertedBlocked.WithData(about)
	}
	if !rec.Active {
		return ErrAssertedDeactivated.WithData(about)
	}
	return nil
}

// admitKnown signs in a person with an account, of which rec and old are the record and the
// document. If link is true, it links the user identifier to the account.
func (r *Roster) admitKnown(ctx context.Context, tx Tx, rec Record, old scim.Resource, a Asserted, link bool) (Admission, error) {
	if err := checkMaySignIn(rec, old); err != nil {
		return Admission{}, err
	}
	c := changeBySignIn(rec.ID, old.String("userName"), rec.Role)
	if link {
		if err := r.linkIdentity(ctx, tx, rec, old.String("userName"), a, c); err != nil {
			return Admission{}, err
		}
	}
	rt, err := r.typeOf(User)
	if err != nil {
		return Admission{}, err
	}
	d := &draft{doc: old.Clone(), role: rec.Role}
	d.setTitleAndDepartment(a)
	out, err := r.replace(ctx, tx, rt, rec, old, d, c)
	if err != nil {
		return Admission{}, err
	}
	rec.Document = out.Document
	person, err := personOf(rec)
	return Admission{Person: person, Linked: link}, err
}

// admitNew creates an account with the role Registered for a person who has no account.
func (r *Roster) admitNew(ctx context.Context, tx Tx, a Asserted) (Admission, error) {
	if !a.Create {
		return Admission{}, ErrAssertedUnknown.WithData(Rejected{UserName: a.Match})
	}
	if err := r.refuseSharedEmail(ctx, tx, a); err != nil {
		return Admission{}, err
	}
	doc := scim.Resource{"schemas": []any{scim.UserURN}, "userName": a.Match, "active": true}
	if r.showsRole(RoleRegistered) {
		doc["userType"] = string(RoleRegistered)
	}
	if a.DisplayName != "" {
		doc["displayName"] = a.DisplayName
	}
	if a.Email != "" {
		doc["emails"] = []any{map[string]any{"value": a.Email, "type": "work", "primary": true}}
	}
	rt, err := r.typeOf(User)
	if err != nil {
		return Admission{}, err
	}
	d := &draft{doc: doc, role: RoleRegistered}
	d.setTitleAndDepartment(a)
	c := changeBySignIn("", a.Match, RoleRegistered)
	rec, err := r.newRecord(rt, d, c)
	if err != nil {
		return Admission{}, err
	}
	if _, err := r.insert(ctx, tx, rec, d, r.createdEvent(rec, d, c)); err != nil {
		return Admission{}, err
	}
	if err := r.linkIdentity(ctx, tx, rec, a.Match, a, c); err != nil {
		return Admission{}, err
	}
	person, err := personOf(rec)
	return Admission{Person: person, Created: true, Linked: true}, err
}

// refuseSharedEmail refuses a new account whose e-mail address another account has. It does not
// matter whether the other account is active.
func (r *Roster) refuseSharedEmail(ctx context.Context, tx Tx, a Asserted) error {
	for _, email := range slices.Compact([]string{scim.Fold(a.Email), scim.Fold(a.Match)}) {
		if email == "" {
			continue
		}
		id, err := tx.PersonWithEmail(ctx, email)
		if err == nil {
			return ErrAssertedEmailTaken.WithData(Rejected{PersonID: id, UserName: a.Match})
		}
		if !errors.Is(err, refusal.NotFound) {
			return err
		}
		rec, err := tx.RecordByUserName(ctx, email)
		if err == nil {
			return ErrAssertedEmailTaken.WithData(Rejected{PersonID: rec.ID, UserName: a.Match})
		}
		if !errors.Is(err, refusal.NotFound) {
			return err
		}
	}
	return nil
}

// linkIdentity links the user identifier to the person. It refuses an identifier that is linked to
// another person.
func (r *Roster) linkIdentity(ctx context.Context, tx Tx, rec Record, userName string, a Asserted, c Change) error {
	now := r.now().UTC().Truncate(time.Microsecond)
	err := tx.PutIdentity(ctx, Identity{Person: rec.ID, Identifier: a.Identifier, Issuer: a.Issuer}, now)
	if errors.Is(err, ErrIdentityTaken) {
		return ErrAssertedConflict.Because("the user identifier belongs to another account").WithData(Rejected{rec.ID, userName})
	}
	if err != nil {
		return err
	}
	return tx.AppendEvent(ctx, newEvent(r.site.ID, rec, event.UserIdentified, c, now, userName+" has a user identifier for sign-in now"))
}

// Link links a user identifier to an existing account. It is called when people link their own
// account while they are signed in, and when an administrator links the account of another person.
// The caller must have verified the assertion.
func (r *Roster) Link(ctx context.Context, personID string, a Asserted, c Change) error {
	if a.Identifier == "" || !isStorable(a.Identifier) {
		return ErrAssertedNameless.Because("there is no user identifier to link")
	}
	err := r.store.Update(ctx, r.site, func(tx Tx) error {
		rec, old, err := r.lockAndParse(ctx, tx, User, personID, c)
		if err != nil {
			return err
		}
		if err := checkMaySignIn(rec, old); err != nil {
			return err
		}
		return r.linkIdentity(ctx, tx, rec, old.String("userName"), a, c)
	})
	if err != nil {
		return wrapUnlessRefusal(err)
	}
	return nil
}

// Unlink removes the user identifier by which a person signs in. It also ends their sessions,
// because another person may have started them. had reports whether there was an identifier.
func (r *Roster) Unlink(ctx context.Context, personID string, c Change) (had bool, err error) {
	err = r.store.Update(ctx, r.site, func(tx Tx) error {
		rec, old, err := r.lockAndParse(ctx, tx, User, personID, c)
		if err != nil {
			return err
		}
		if had, err = tx.DropIdentity(ctx, rec.ID); err != nil || !had {
			return err
		}
		now := r.now().UTC()
		ended, err := tx.EndSessions(ctx, rec.ID, now)
		if err != nil {
			return err
		}
		text := old.String("userName") + " no longer has a user identifier for sign-in" + changeSummary{sessionsEnded: ended}.sessionsEndedText("; ")
		return tx.AppendEvent(ctx, newEvent(r.site.ID, rec, event.UserUnidentified, c, now, text))
	})
	if err != nil {
		return false, wrapUnlessRefusal(err)
	}
	return had, nil
}

// IdentityOf returns the user identifier by which a person signs in. It returns refusal.NotFound if
// the person has none.
func (r *Roster) IdentityOf(ctx context.Context, personID string) (Identity, error) {
	if !isStorable(personID) {
		return Identity{}, notFound(User, personID)
	}
	return r.store.IdentityOf(ctx, r.site.ID, personID)
}

// setTitleAndDepartment writes the job title and the department of the assertion into the document.
// It keeps the stored values when the assertion has none.
func (d *draft) setTitleAndDepartment(a Asserted) {
	if a.Title != "" {
		d.doc["title"] = a.Title
	}
	if a.Department == "" {
		return
	}
	extension := map[string]any{}
	if was, ok := d.doc[scim.EnterpriseURN].(map[string]any); ok {
		for name, value := range was {
			extension[name] = value
		}
	}
	extension["department"] = a.Department
	d.doc[scim.EnterpriseURN] = extension
	schemas, _ := d.doc["schemas"].([]any)
	if !slices.Contains(schemas, any(scim.EnterpriseURN)) {
		d.doc["schemas"] = append(slices.Clone(schemas), scim.EnterpriseURN)
	}
}

// changeBySignIn returns the Change for what a person's sign-in changes. The person is its actor.
func changeBySignIn(id, userName string, role Role) Change {
	by := event.Actor{Kind: event.Person, ID: id, Name: userName}
	if role == RoleAdmin {
		by.Kind = event.Admin
	}
	return Change{Actor: by.Label(), Via: ViaSignIn, Person: id}
}
