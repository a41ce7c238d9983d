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
	tokenPrefix       = "rollcall_" // the beginning of each token, by which secret scanners find tokens
	checksumLength    = 6           // the length of a token's checksum, in characters
	maxTokenNameBytes = 100         // the largest length of a token's name
)

// Token describes a SCIM token of a site. It does not hold the secret, which only CreateToken
// returns.
type Token struct {
	ID        string
	Site      ID
	Name      string // the name of the token; may be empty
	Last4     string // the last four characters of the secret, so that people recognise it
	CreatedBy string // the actor who generated the token, as events write it

	Created  time.Time
	Expires  time.Time // when the token expires; zero means never
	LastUsed time.Time // when the token was last used, as the request log last recorded it; zero means never
	LastFrom string    // the network address from which the token was last used
	Revoked  time.Time // when the token was revoked; zero means that it is not revoked

	// ReplacesOnUse is the id of the old token that is revoked when this token is first used. It is
	// empty if there is none.
	ReplacesOnUse string
}

// IsLive reports whether the token is accepted at this time.
func (t Token) IsLive(now time.Time) bool {
	return t.Revoked.IsZero() && (t.Expires.IsZero() || now.Before(t.Expires))
}

// Label returns the token's name, if it has one, and its last four characters.
func (t Token) Label() string {
	if t.Name == "" {
		return "…" + t.Last4
	}
	return fmt.Sprintf("%s (…%s)", t.Name, t.Last4)
}

// Actor returns the short name of the token in events and changes.
func (t Token) Actor() string { return t.EventActor().Label() }

// EventActor returns the token as the actor of an event.
func (t Token) EventActor() event.Actor {
	return event.Actor{Kind: event.Token, ID: t.ID, Name: t.Label()}
}

// TokenMode says what happens to the live token of a site when a new one is generated.
type TokenMode int

const (
	// NoReplacement is for a site without a live token. If there is one, CreateToken returns
	// ErrOneLive, so that the administrator chooses one of the other modes.
	NoReplacement TokenMode = iota
	// Replace revokes the live token at once, as docs/guide.md describes.
	Replace
	// KeepUntilUsed keeps the live token until the first accepted request of the new token.
	KeepUntilUsed
)

// TokenRequest describes a token to generate.
type TokenRequest struct {
	Name    string
	Expires time.Time // when the token expires; zero means never
	Mode    TokenMode
	Actor   string // the actor who generates the token, as events write it

	// FormNumber is the single-use number of a form. If the form is sent again, CreateToken makes
	// no second token, but returns ErrFormUsed. FormNumber is empty if there is no form.
	FormNumber string
	// KeepOff says whether SCIM stays switched off. If it is false, CreateToken switches SCIM on.
	KeepOff bool
	// Change changes settings of the site in the same transaction; see Sites.Update. It is nil if
	// no setting changes. Change may run more than once. If it returns an error, no token is made.
	Change func(*Site) error
}

// LiveTokens are the live tokens of a site. They are the data of ErrOneLive and ErrTwoLive.
type LiveTokens []Token

// Refuse returns ErrOneLive or ErrTwoLive, with the names of the live tokens. There must be one or
// two live tokens.
func (live LiveTokens) Refuse() error {
	names := make([]string, len(live))
	for i, t := range live {
		names[i] = t.Label()
	}
	if len(live) > 1 {
		return ErrTwoLive.Because("two tokens are live: %s", strings.Join(names, " and ")).WithData(live)
	}
	return ErrOneLive.Because("%s is live already", names[0]).WithData(live)
}

// CreateToken generates a token and returns its secret, which cannot be read again. It also
// switches SCIM on, unless r.KeepOff is set. It returns ErrOneLive if the site has a live token and
// r.Mode does not say what happens to it, ErrTwoLive if the site has two live tokens, and
// ErrFormUsed if the form was sent before.
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
			if err := tx.UseFormNumber(ctx, r.FormNumber, now); err != nil {
				return err
			}
		}
		made.ReplacesOnUse = ""
		if err := s.replaceLiveToken(ctx, tx, &made, r, now); err != nil {
			return err
		}
		if err := tx.InsertToken(ctx, made, secret.HashOf(token)); err != nil {
			return err
		}
		text := "Token " + made.Label() + " was generated"
		if err := tx.AppendEvent(ctx, s.newEvent(id, event.TokenCreated, r.Actor, made.ID, text, tokenValues(made)...)); err != nil {
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

// checkRequest returns a refusal for a wrong field of a request.
func checkRequest(r TokenRequest, now time.Time) error {
	if len(r.Name) > maxTokenNameBytes {
		return refusal.New(refusal.Invalid, "name", "a token's name has at most %d bytes", maxTokenNameBytes)
	}
	if !r.Expires.IsZero() && !r.Expires.After(now) {
		return refusal.New(refusal.Invalid, "expires", "the token would have expired already").Advise("choose a later time, or none")
	}
	return nil
}

// replaceLiveToken does with the live token of the site what the mode of the request says: it
// revokes the token at once, or lets the first use of the new token, made, revoke it. It does
// nothing if there is no live token. It returns ErrOneLive if the request has no mode, and
// ErrTwoLive if two tokens are live.
func (s *Sites) replaceLiveToken(ctx context.Context, tx Tx, made *Token, r TokenRequest, now time.Time) error {
	all, err := tx.Tokens(ctx)
	if err != nil {
		return err
	}
	var live LiveTokens
	for _, t := range all {
		if t.IsLive(now) {
			live = append(live, t)
		}
	}
	switch {
	case len(live) == 0:
		return nil
	case len(live) > 1 || r.Mode == NoReplacement:
		return live.Refuse()
	case r.Mode == KeepUntilUsed:
		made.ReplacesOnUse = live[0].ID
		return nil
	}
	return s.endToken(ctx, tx, live[0], now, r.Actor, fmt.Sprintf("Token %s was replaced by …%s", live[0].Label(), made.Last4))
}

// endToken revokes a token, and appends an event with this text.
func (s *Sites) endToken(ctx context.Context, tx Tx, t Token, at time.Time, actor, text string) error {
	t.Revoked = at
	if err := tx.PutToken(ctx, t); err != nil {
		return err
	}
	return tx.AppendEvent(ctx, s.newEvent(t.Site, event.TokenRevoked, actor, t.ID, text, event.Changed("live", true, false)))
}

// tokenValues returns the list of changed values for the event of a new token. The secret is in the
// list without its value.
func tokenValues(t Token) []event.Change {
	values := []event.Change{event.Changed("name", nil, t.Label()), event.SecretChanged("secret")}
	if !t.Expires.IsZero() {
		values = append(values, event.Changed("expires", nil, t.Expires))
	}
	return values
}

// Tokens returns the site's tokens, newest first, including revoked and expired ones.
func (s *Sites) Tokens(ctx context.Context, id ID) ([]Token, error) {
	return s.Store.Tokens(ctx, id)
}

// RevokeToken revokes a token: from now on, no process accepts it. Revoking it again changes
// nothing. It returns ErrTokenNotFound if the site has no such token.
func (s *Sites) RevokeToken(ctx context.Context, id ID, tokenID, actor string) error {
	return s.Store.UpdateSite(ctx, id, func(tx Tx) error {
		t, err := findToken(ctx, tx, tokenID)
		if err != nil || !t.Revoked.IsZero() {
			return err
		}
		return s.endToken(ctx, tx, t, s.Now(), actor, "Token "+t.Label()+" was revoked")
	})
}

// findToken returns the token of the site with this id, or ErrTokenNotFound.
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

// Authenticate returns the site with this name and its token, which a request sent as its bearer
// token. It returns ErrUnauthorized for an unknown site and for a wrong, revoked or expired token,
// after the same amount of work. If the site once issued the token, the data of ErrUnauthorized is
// the Token; the request log shows it, but the client must not learn of it. If the token is live
// but SCIM is off, Authenticate returns ErrSCIMOff with the site and the token. The site and the
// token lack the fields that Store.Credential leaves out.
func (s *Sites) Authenticate(ctx context.Context, name, bearer string) (Site, Token, error) {
	if !validName.MatchString(name) || !LooksLikeToken(bearer) {
		return Site{}, Token{}, ErrUnauthorized // answering at once reveals nothing: the caller can see that this is no token
	}
	found, token, err := s.Store.Credential(ctx, name, secret.HashOf(bearer))
	switch {
	case errors.Is(err, ErrUnauthorized):
		return Site{}, Token{}, ErrUnauthorized
	case err != nil:
		return Site{}, Token{}, fmt.Errorf("authenticate: %w", err)
	case !token.IsLive(s.Now()):
		return Site{}, Token{}, ErrUnauthorized.WithData(token)
	case !found.SCIMEnabled:
		return found, token, ErrSCIMOff
	case token.ReplacesOnUse != "":
		return s.endReplacedToken(ctx, found, token)
	}
	return found, token, nil
}

// endReplacedToken revokes the old token that the used token replaces. It returns the results of
// Authenticate: the site and the used token.
func (s *Sites) endReplacedToken(ctx context.Context, of Site, used Token) (Site, Token, error) {
	now := s.Now()
	err := s.Store.UpdateSite(ctx, of.ID, func(tx Tx) error {
		current, err := findToken(ctx, tx, used.ID)
		if err != nil {
			return err
		}
		if !current.IsLive(now) {
			return ErrUnauthorized.WithData(current)
		}
		if current.ReplacesOnUse == "" {
			return nil // another request has already ended the token
		}
		old, err := findToken(ctx, tx, current.ReplacesOnUse)
		if err != nil {
			return err
		}
		current.ReplacesOnUse = ""
		if err := tx.PutToken(ctx, current); err != nil || !old.IsLive(now) {
			return err
		}
		ctx := event.WithActor(ctx, used.EventActor().At(event.ActorIn(ctx)))
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

// newToken returns a new random token: a prefix, a secret, and a checksum by which secret scanners
// recognise tokens. The last four characters of a token are letters and digits only, because people
// recognise a token by them.
func newToken() string {
	for {
		body := secret.New()
		token := tokenPrefix + body + checksum(body)
		if !strings.ContainsAny(token[len(token)-4:], "-_") {
			return token
		}
	}
}

// LooksLikeToken reports whether a string has the form and the checksum of a token. It does not
// check whether the token exists.
func LooksLikeToken(text string) bool {
	rest, found := strings.CutPrefix(text, tokenPrefix)
	if !found || len(rest) != secret.Length+checksumLength {
		return false
	}
	return checksum(rest[:secret.Length]) == rest[secret.Length:]
}

// checksum returns the checksum of a token with this secret.
func checksum(body string) string {
	sum := sha256.Sum256([]byte(tokenPrefix + body))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:checksumLength]
}
