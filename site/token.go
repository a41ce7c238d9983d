package site

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/refusal"
)

const (
	tokenPrefix    = "rollcall_" // what secret scanners look for
	checksumLength = 6
	maxTokenName   = 100
)

// Token is a site's SCIM credential without its secret, which only CreateToken ever returns.
type Token struct {
	ID        string
	Site      ID
	Name      string // may be empty
	Last4     string // the secret's last four characters, to recognise it by
	CreatedBy string // an actor, as in events

	Created  time.Time
	Expires  time.Time // zero: never
	LastUsed time.Time // zero: not yet; written with the request log's gathered rows
	LastFrom string    // the address of the last use
	Revoked  time.Time // zero: not

	// ReplacesOnUse is the id of the token that ends with the first accepted request of this one.
	ReplacesOnUse string
}

// Live reports whether the token is accepted at this time.
func (t Token) Live(now time.Time) bool {
	return t.Revoked.IsZero() && (t.Expires.IsZero() || now.Before(t.Expires))
}

// Label names a token for people: its name, if it has one, and its last four characters.
func (t Token) Label() string {
	if t.Name == "" {
		return "…" + t.Last4
	}
	return fmt.Sprintf("%s (…%s)", t.Name, t.Last4)
}

// Actor is how events and changes name the token in short.
func (t Token) Actor() string { return t.Who().Label() }

// Who is the token in events.
func (t Token) Who() event.Actor { return event.Actor{Kind: event.Token, ID: t.ID, Name: t.Label()} }

// TokenMode says what happens to a live token when another one is generated.
type TokenMode int

const (
	// None makes the only live token; while one is live it is refused with ErrOneLive, so that
	// somebody is asked.
	None TokenMode = iota
	// Replace ends the live token at once, which is the guide's way.
	Replace
	// KeepUntilUsed keeps the live token until the first accepted request of the new one.
	KeepUntilUsed
)

// TokenRequest describes a token to generate.
type TokenRequest struct {
	Name    string
	Expires time.Time // zero: never
	Mode    TokenMode
	Actor   string

	// FormNumber is a form's single-use number: sent again it makes nothing (ErrFormUsed). Empty
	// where no form is involved.
	FormNumber string
	// KeepOff leaves SCIM switched off; otherwise generating a token switches it on.
	KeepOff bool
	// Change changes settings of the site in the transaction that makes the token, as Update does;
	// nil changes none. It may run more than once, and its error makes no token.
	Change func(*Site) error
}

// LiveTokens is what ErrOneLive and ErrTwoLive are about.
type LiveTokens []Token

// Refuse says why no token can be generated beside these, one or two, until somebody chooses what
// becomes of them.
func (live LiveTokens) Refuse() error {
	names := make([]string, len(live))
	for i, t := range live {
		names[i] = t.Label()
	}
	if len(live) > 1 {
		return ErrTwoLive.Because("two tokens are live: %s", strings.Join(names, " and ")).With(live)
	}
	return ErrOneLive.Because("%s is live already", names[0]).With(live)
}

// CreateToken generates a token and returns its secret, which cannot be read again. It also
// switches SCIM on, unless the request says not to.
func (s *Sites) CreateToken(ctx context.Context, id ID, r TokenRequest) (Token, string, error) {
	now := s.Now().UTC().Truncate(time.Microsecond)
	if err := checkRequest(r, now); err != nil {
		return Token{}, "", err
	}
	token := newToken()
	made := Token{
		ID: s.NewID(), Site: id, Name: r.Name, Last4: token[len(token)-4:],
		CreatedBy: r.Actor, Created: now, Expires: r.Expires,
	}
	err := s.Store.UpdateSite(ctx, id, func(tx Tx) error {
		if r.FormNumber != "" {
			if err := tx.UseForm(ctx, r.FormNumber, now); err != nil {
				return err
			}
		}
		made.ReplacesOnUse = ""
		if err := s.makeRoom(ctx, tx, &made, r, now); err != nil {
			return err
		}
		if err := tx.InsertToken(ctx, made, secret.HashOf(token)); err != nil {
			return err
		}
		text := "Token " + made.Label() + " was generated"
		if err := tx.AppendEvent(ctx, s.event(id, event.TokenCreated, r.Actor, made.ID, text, tokenValues(made)...)); err != nil {
			return err
		}
		next := tx.Site()
		if r.Change != nil {
			if err := r.Change(&next); err != nil {
				return err
			}
			if err := checkSettings(tx.Site(), &next); err != nil {
				return err
			}
		}
		if !r.KeepOff {
			next.SCIMEnabled = true
		}
		return s.putSite(ctx, tx, next, r.Actor)
	})
	if err != nil {
		return Token{}, "", err
	}
	return made, token, nil
}

func checkRequest(r TokenRequest, now time.Time) error {
	if len(r.Name) > maxTokenName {
		return refusal.New(refusal.Invalid, "name", "a token's name has at most %d bytes", maxTokenName)
	}
	if !r.Expires.IsZero() && !r.Expires.After(now) {
		return refusal.New(refusal.Invalid, "expires", "the token would have expired already").Advise("choose a later time, or none")
	}
	return nil
}

// makeRoom ends the live token, or marks it as ending with the new one's first use, or refuses.
func (s *Sites) makeRoom(ctx context.Context, tx Tx, made *Token, r TokenRequest, now time.Time) error {
	all, err := tx.Tokens(ctx)
	if err != nil {
		return err
	}
	var live LiveTokens
	for _, t := range all {
		if t.Live(now) {
			live = append(live, t)
		}
	}
	switch {
	case len(live) == 0:
		return nil
	case len(live) > 1 || r.Mode == None:
		return live.Refuse()
	case r.Mode == KeepUntilUsed:
		made.ReplacesOnUse = live[0].ID
		return nil
	}
	return s.endToken(ctx, tx, live[0], now, r.Actor, fmt.Sprintf("Token %s was replaced by …%s", live[0].Label(), made.Last4))
}

func (s *Sites) endToken(ctx context.Context, tx Tx, t Token, at time.Time, actor, text string) error {
	t.Revoked = at
	if err := tx.PutToken(ctx, t); err != nil {
		return err
	}
	return tx.AppendEvent(ctx, s.event(t.Site, event.TokenRevoked, actor, t.ID, text, event.Changed("live", true, false)))
}

// tokenValues is what the event of a new token says of it; of the secret only that there is one.
func tokenValues(t Token) []event.Change {
	values := []event.Change{event.Changed("name", nil, t.Label()), event.SecretChanged("secret")}
	if !t.Expires.IsZero() {
		values = append(values, event.Changed("expires", nil, t.Expires))
	}
	return values
}

// Tokens returns the site's tokens, newest first, revoked and expired ones included.
func (s *Sites) Tokens(ctx context.Context, id ID) ([]Token, error) {
	return s.Store.Tokens(ctx, id)
}

// RevokeToken ends a token at once, in every process. Revoking again changes nothing.
func (s *Sites) RevokeToken(ctx context.Context, id ID, tokenID, actor string) error {
	return s.Store.UpdateSite(ctx, id, func(tx Tx) error {
		t, err := findToken(ctx, tx, tokenID)
		if err != nil || !t.Revoked.IsZero() {
			return err
		}
		return s.endToken(ctx, tx, t, s.Now(), actor, "Token "+t.Label()+" was revoked")
	})
}

func findToken(ctx context.Context, tx Tx, id string) (Token, error) {
	all, err := tx.Tokens(ctx)
	if err != nil {
		return Token{}, err
	}
	for _, t := range all {
		if t.ID == id {
			return t, nil
		}
	}
	return Token{}, ErrTokenNotFound
}

// Authenticate finds the site and token a request speaks for. An unknown site and a wrong, expired
// or revoked token are ErrUnauthorized after the same work. It is about the Token where the site
// once issued it and it is revoked, replaced or expired: the request log names it, and the client
// learns nothing of it. A right token while SCIM is off is ErrSCIMOff, with the site and token for
// the request log. Both come without what Store.Credential leaves out.
func (s *Sites) Authenticate(ctx context.Context, name, bearer string) (Site, Token, error) {
	if !validName.MatchString(name) || !LooksLikeToken(bearer) {
		return Site{}, Token{}, ErrUnauthorized // says nothing that the asker does not see
	}
	found, token, err := s.Store.Credential(ctx, name, secret.HashOf(bearer))
	switch {
	case errors.Is(err, ErrUnauthorized):
		return Site{}, Token{}, ErrUnauthorized
	case err != nil:
		return Site{}, Token{}, fmt.Errorf("authenticate: %w", err)
	case !token.Live(s.Now()):
		return Site{}, Token{}, ErrUnauthorized.With(token)
	case !found.SCIMEnabled:
		return found, token, ErrSCIMOff
	case token.ReplacesOnUse != "":
		return s.switchOver(ctx, found, token)
	}
	return found, token, nil
}

// switchOver ends the token that this one replaces, before the request that uses this one goes on.
func (s *Sites) switchOver(ctx context.Context, of Site, used Token) (Site, Token, error) {
	now := s.Now()
	err := s.Store.UpdateSite(ctx, of.ID, func(tx Tx) error {
		current, err := findToken(ctx, tx, used.ID)
		if err != nil {
			return err
		}
		if !current.Live(now) {
			return ErrUnauthorized.With(current)
		}
		if current.ReplacesOnUse == "" {
			return nil // another request already did it
		}
		old, err := findToken(ctx, tx, current.ReplacesOnUse)
		if err != nil {
			return err
		}
		current.ReplacesOnUse = ""
		if err := tx.PutToken(ctx, current); err != nil || !old.Live(now) {
			return err
		}
		ctx := event.WithActor(ctx, used.Who().At(event.ActorIn(ctx)))
		text := fmt.Sprintf("Token %s ended: its successor …%s was used for the first time", old.Label(), current.Last4)
		return s.endToken(ctx, tx, old, now, used.Actor(), text)
	})
	if errors.Is(err, refusal.NotFound) {
		return Site{}, Token{}, ErrUnauthorized
	}
	if errors.Is(err, ErrUnauthorized) {
		return Site{}, Token{}, err
	}
	if err != nil {
		return Site{}, Token{}, fmt.Errorf("authenticate: %w", err)
	}
	used.ReplacesOnUse = ""
	return of, used, nil
}

// newToken makes a token: a prefix, a secret, and a checksum by which a scanner tells a token from
// noise. It ends in letters and digits, because people recognise a token by its end.
func newToken() string {
	for {
		body := secret.New()
		token := tokenPrefix + body + checksum(body)
		if !strings.ContainsAny(token[len(token)-4:], "-_") {
			return token
		}
	}
}

// LooksLikeToken reports whether a string has a token's form and checksum. It does not look whether
// the token exists.
func LooksLikeToken(text string) bool {
	rest, found := strings.CutPrefix(text, tokenPrefix)
	if !found || len(rest) != secret.Length+checksumLength {
		return false
	}
	return checksum(rest[:secret.Length]) == rest[secret.Length:]
}

func checksum(body string) string {
	sum := sha256.Sum256([]byte(tokenPrefix + body))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:checksumLength]
}
