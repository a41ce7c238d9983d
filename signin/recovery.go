package signin

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// Recovery codes let an administrator in if single sign-on does not work. Each administrator has
// their own set of codes. A code has 80 random bits and can be used once:
//
//	MakeRecoveryCodes  a new set, which replaces the old one; shown once, stored as hashes
//	Recover            a code  →  a session
//
// A code works only while its owner is an active administrator. If the account was deactivated or
// got another role after the code was made, the code never works again.

// CodesInASet is the number of recovery codes in a set.
const CodesInASet = 10

// codeBytes is the number of random bytes in a recovery code.
const codeBytes = 10

// RecoverySet says which recovery codes a person has.
type RecoverySet struct {
	Made time.Time // when the set was made, to the microsecond; zero if the person has no set
	Left int       // how many codes are unused
}

// Refusals that callers check for.
var (
	// ErrNoSuchCode refuses a recovery code. It is the same for every reason, so that it tells
	// nothing to a person who guesses codes.
	ErrNoSuchCode = refusal.New(refusal.Forbidden, "code", "this code does not open the site").
			Advise("check what you typed; each code opens once, and a new set ends the old one").Coded("recovery_code_unknown")
	// ErrCodesStale is returned if the person's codes are not those that the caller saw.
	ErrCodesStale = refusal.New(refusal.Stale, "", "the recovery codes were made again meanwhile; nothing new was made").
			Advise("load the page again").Coded("recovery_codes_stale")
	// ErrNoAdminForCodes refuses to make codes for a person who is not an active administrator.
	ErrNoAdminForCodes = refusal.New(refusal.Conflict, "", "recovery codes are for active administrators").
				Advise("name a person with the role Admin").Coded("recovery_codes_admin")
)

// RecoveryStore keeps recovery codes as hashes; it never sees the codes. Every method names the
// site.
type RecoveryStore interface {
	// RecoverySet says which recovery codes a person has. It returns the zero value if there are
	// none.
	RecoverySet(ctx context.Context, id site.ID, personID string) (RecoverySet, error)
	// ReplaceRecoveryCodes replaces the codes of a person and appends the event. It returns
	// ErrCodesStale if the stored set was not made at the time ifMade.
	ReplaceRecoveryCodes(ctx context.Context, id site.ID, personID string, ifMade time.Time, hashes []secret.Hash, now time.Time, e event.Event) error
	// FindRecoveryCode returns the owner of an unused code and the time when the code was made. If
	// there is no such code, it returns refusal.NotFound.
	FindRecoveryCode(ctx context.Context, id site.ID, hash secret.Hash) (personID string, made time.Time, err error)
	// UseRecoveryCode marks a code as used. It calls eventFor with the number of codes that are
	// left, and appends the event. It returns refusal.NotFound if the code is unknown or used.
	UseRecoveryCode(ctx context.Context, id site.ID, personID string, hash secret.Hash, now time.Time, eventFor func(left int) event.Event) error
}

// RecoverySet says which recovery codes a person has. Codes that no longer work because of a change
// of the account do not count as left.
func (s *SingleSignOn) RecoverySet(ctx context.Context, st site.Site, personID string) (RecoverySet, error) {
	set, err := s.Store.RecoverySet(ctx, st.ID, personID)
	if err != nil {
		return RecoverySet{}, fmt.Errorf("find the recovery codes: %w", err)
	}
	if set.Left == 0 {
		return set, nil
	}
	p, err := s.Rosters.Open(st).Person(ctx, personID)
	if err != nil {
		return RecoverySet{}, fmt.Errorf("find the owner of the recovery codes: %w", err)
	}
	if whyCodesEnded(p, set.Made) != "" {
		set.Left = 0
	}
	return set, nil
}

// whyCodesEnded returns the reason why a person's codes never work again, in words. made is the
// time at which the codes were made. It returns an empty string if they still work.
func whyCodesEnded(p roster.Person, made time.Time) (why string) {
	switch {
	case made.Before(p.LastActiveChange.Time):
		return "the account was deactivated after the code was made"
	case made.Before(p.LastRoleChange.Time):
		return "the account got another role after the code was made"
	}
	return ""
}

// MakeRecoveryCodes makes a new set of codes for an administrator and returns it. The codes of the
// old set no longer work. ifMade is RecoverySet.Made of the set that the caller saw. If the stored
// set was made at another time, MakeRecoveryCodes returns ErrCodesStale. So a form that is sent
// twice makes only one set.
func (s *SingleSignOn) MakeRecoveryCodes(ctx context.Context, st site.Site, p roster.Person, ifMade time.Time, actor string) ([]string, error) {
	if p.Role != roster.RoleAdmin || !p.Active {
		return nil, ErrNoAdminForCodes.Because("%s is not an active administrator", p.UserName)
	}
	var codes []string
	var hashes []secret.Hash
	for range CodesInASet {
		code := newCode()
		codes, hashes = append(codes, code), append(hashes, secret.HashOf(plainCode(code)))
	}
	now := s.Now().UTC().Truncate(time.Microsecond)
	e := event.Event{
		Time: now, Scope: event.Site(string(st.ID)), Name: event.SignInRecoveryCodesMade, Actor: actor, Subject: p.ID,
		Text: fmt.Sprintf("%d recovery codes were made for %s", len(codes), p.UserName),
	}
	if err := s.Store.ReplaceRecoveryCodes(ctx, st.ID, p.ID, ifMade, hashes, now, e); err != nil {
		return nil, fmt.Errorf("store recovery codes: %w", err)
	}
	return codes, nil
}

// newCode returns a new code in the form that people read: four groups of four letters and digits.
func newCode() string {
	var b [codeBytes]byte
	rand.Read(b[:]) // rand.Read never fails
	text := strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
	return text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
}

// plainCode returns a typed code in the form that is hashed: in lower case, without spaces and
// hyphens. It replaces the digits 0, 1 and 8, which no code contains, by the letters that look like
// them. Every other character becomes a question mark, so that the code is not found.
func plainCode(typed string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '0':
			return 'o'
		case r == '1':
			return 'l'
		case r == '8':
			return 'b'
		case r >= 'a' && r <= 'z', r >= '2' && r <= '7':
			return r
		case r == '-', r == ' ', r == '\t':
			return -1
		}
		return '?'
	}, strings.ToLower(strings.TrimSpace(typed)))
}

// Recover uses a code and signs its owner in. It returns ErrNoSuchCode if the code does not work.
func (s *SingleSignOn) Recover(ctx context.Context, st site.Site, typed string, from session.Browser) (Session, error) {
	hash := secret.HashOf(plainCode(typed))
	p, why, err := s.findCode(ctx, st, hash)
	if err != nil {
		return Session{}, err
	}
	if why != "" {
		return Session{}, s.refuseCode(ctx, st, p, why)
	}
	by := event.Actor{Kind: event.Admin, ID: p.ID, Name: p.UserName}
	err = s.Store.UseRecoveryCode(ctx, st.ID, p.ID, hash, s.Now(), func(left int) event.Event {
		return event.Event{
			Time: s.Now(), Scope: event.Site(string(st.ID)), Name: event.SignInRecoveryUsed, Actor: by.Label(), By: by, Subject: p.ID,
			Text: fmt.Sprintf("%s signed in with a recovery code; %d are left", p.UserName, left),
		}
	})
	if errors.Is(err, refusal.NotFound) {
		return Session{}, s.refuseCode(ctx, st, p, codeUnknown)
	}
	if err != nil {
		return Session{}, fmt.Errorf("use a recovery code: %w", err)
	}
	made, err := s.Rosters.Open(st).StartSession(ctx, p.ID, s.Limits, from)
	if err != nil {
		return Session{}, err
	}
	return Session{Person: p, Secret: made, Expires: s.Limits.Start(s.Now(), from).Expires}, nil
}

// codeUnknown is one of the reasons that findCode returns.
const codeUnknown = "it is not one of this site, or was used already"

// findCode returns the owner of a code. why is the reason why the code does not work, in words; it
// is empty if the code works.
func (s *SingleSignOn) findCode(ctx context.Context, st site.Site, hash secret.Hash) (p roster.Person, why string, err error) {
	personID, made, err := s.Store.FindRecoveryCode(ctx, st.ID, hash)
	if errors.Is(err, refusal.NotFound) {
		return p, codeUnknown, nil
	}
	if err != nil {
		return p, "", fmt.Errorf("find a recovery code: %w", err)
	}
	p, err = s.Rosters.Open(st).Person(ctx, personID)
	switch {
	case errors.Is(err, refusal.NotFound):
		return p, codeUnknown, nil
	case err != nil:
		return p, "", fmt.Errorf("find the owner of a recovery code: %w", err)
	case p.Block.InForce:
		return p, "the account is blocked", nil
	case !p.Active:
		return p, "the account is deactivated", nil
	case p.Role != roster.RoleAdmin:
		return p, "the account no longer has the role Admin", nil
	}
	return p, whyCodesEnded(p, made), nil
}

// refuseCode records the reason why a code does not work. It returns ErrNoSuchCode, which does not
// tell the reason.
func (s *SingleSignOn) refuseCode(ctx context.Context, st site.Site, p roster.Person, why string) error {
	text := "A recovery code was refused: " + why
	if p.UserName != "" {
		text += ", of " + p.UserName
	}
	if s.Refused != nil && st.ID != "" {
		s.Refused.Add(ctx, event.Event{Scope: event.Site(string(st.ID)), Name: event.SignInRecoveryRefused, Text: text})
	}
	return ErrNoSuchCode
}
