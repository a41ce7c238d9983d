package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
)

const (
	// MaxClockSkew is the largest accepted difference between the provider's clock and the clock of
	// this server.
	MaxClockSkew = 3 * time.Minute
	// maxTokenBytes is the largest size of an ID token.
	maxTokenBytes = 128 << 10
)

// Expected holds the values that an ID token must match.
type Expected struct {
	Nonce       string
	AccessToken string // the access token that came with the ID token; may be empty
	// MaxAge is the longest accepted time since the person signed in at the provider; 0 means any
	// time.
	MaxAge time.Duration
}

// Token is the verified content of an ID token.
type Token struct {
	Issuer        string
	Subject       string
	Attributes    []Attribute   // the claims about the person, sorted by name
	Issued        time.Time     // when the provider made the token
	Authenticated time.Time     // when the person signed in at the provider; zero if unknown
	Algorithm     string        // the signature algorithm of the token
	ClockDrift    time.Duration // how far the provider's clock is ahead of this server's clock
}

// Attribute is one claim of a token, with its values as strings.
type Attribute struct {
	Name   string
	Values []string
}

// header holds the values in a JWT's header that describe its signature.
type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
}

// Verify checks an ID token, and returns its content. If the ID token is not accepted, Verify
// returns an *Error, and the caller must not use anything in the token.
func (c Client) Verify(p Provider, keys Keys, raw string, want Expected, now time.Time) (Token, error) {
	t, err := c.verify(p, keys, raw, want, now)
	if err != nil {
		return Token{}, err
	}
	return t, nil
}

// verify is Verify with an error of the type *Error.
func (c Client) verify(p Provider, keys Keys, raw string, want Expected, now time.Time) (Token, *Error) {
	h, wrong := readHeader(raw)
	if wrong != nil {
		return Token{}, wrong
	}
	if !slices.Contains(p.Algorithms, h.Algorithm) || !slices.Contains(algorithms, h.Algorithm) {
		return Token{}, Refuse(WeakAlgorithm, "the ID token is signed with %q; accepted are %s", Shorten(h.Algorithm, 30), strings.Join(p.Algorithms, ", "))
	}
	found := keys.findKeys(h.KeyID, h.Algorithm)
	if len(found) == 0 {
		err := Refuse(UnknownKey, "the ID token is signed with the key %q, which the provider does not announce", Shorten(h.KeyID, 100))
		err.NewKey = true
		return Token{}, err
	}
	// go-oidc verifies only the signature here. Its errors for the other checks have no types, so
	// checkSigned does these checks.
	verifier := gooidc.NewVerifier(p.Issuer, &gooidc.StaticKeySet{PublicKeys: found}, &gooidc.Config{
		SupportedSigningAlgs: []string{h.Algorithm}, SkipIssuerCheck: true, SkipClientIDCheck: true, SkipExpiryCheck: true,
	})
	signed, err := verifier.Verify(context.Background(), raw)
	if err != nil {
		wrong := Refuse(BadSignature, "the signature of the ID token does not fit: it was changed, or signed with another key than those that the provider announces")
		wrong.NewKey = true
		return Token{}, wrong
	}
	return c.checkSigned(p, signed, h.Algorithm, want, now)
}

// readHeader returns the header of an ID token, before the signature is verified.
func readHeader(raw string) (h header, wrong *Error) {
	if len(raw) > maxTokenBytes {
		return h, Refuse(Malformed, "the ID token is larger than %d KiB", maxTokenBytes>>10)
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return h, Refuse(Malformed, "the provider sent no ID token of three parts")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil || json.Unmarshal(text, &h) != nil {
		return h, Refuse(Malformed, "the ID token has no readable header")
	}
	return h, nil
}

// checkSigned checks the content of an ID token after its signature was verified (OpenID Connect
// Core 1.0 §3.1.3.7).
func (c Client) checkSigned(p Provider, signed *gooidc.IDToken, algorithm string, want Expected, now time.Time) (Token, *Error) {
	var more struct {
		Party         string  `json:"azp"`
		NotBefore     float64 `json:"nbf"`
		Authenticated float64 `json:"auth_time"`
		Tenant        string  `json:"tid"`
	}
	var all map[string]json.RawMessage
	if signed.Claims(&more) != nil || signed.Claims(&all) != nil {
		return Token{}, Refuse(Malformed, "the claims of the ID token cannot be read")
	}
	switch {
	case signed.Issuer != p.Issuer:
		return Token{}, Refuse(WrongIssuer, "the ID token is from %q, not from %q", Shorten(signed.Issuer, 200), p.Issuer)
	case !slices.Contains(signed.Audience, c.ID):
		return Token{}, Refuse(AudienceMismatch, "the ID token was made for %q, not for the client %q", Shorten(strings.Join(signed.Audience, ", "), 200), c.ID)
	case len(signed.Audience) > 1 && more.Party == "":
		return Token{}, Refuse(AudienceMismatch, "the ID token was made for several clients, and does not say which one asked for it (azp)")
	case more.Party != "" && more.Party != c.ID:
		return Token{}, Refuse(AudienceMismatch, "the client %q asked for the ID token, not %q (azp)", Shorten(more.Party, 200), c.ID)
	case signed.Expiry.IsZero() || signed.IssuedAt.IsZero():
		return Token{}, Refuse(Malformed, "the ID token does not say from when until when it is good")
	case !now.Before(signed.Expiry.Add(MaxClockSkew)):
		return Token{}, Refuse(Expired, "the ID token was good until %s, and it is %s here", formatTime(signed.Expiry), formatTime(now))
	case now.Add(MaxClockSkew).Before(signed.IssuedAt):
		return Token{}, Refuse(NotYetValid, "the ID token was made %s, and it is %s here", formatTime(signed.IssuedAt), formatTime(now))
	case now.Add(MaxClockSkew).Before(unixTime(more.NotBefore)):
		return Token{}, Refuse(NotYetValid, "the ID token is good from %s on, and it is %s here", formatTime(unixTime(more.NotBefore)), formatTime(now))
	case want.Nonce == "" || subtle.ConstantTimeCompare([]byte(signed.Nonce), []byte(want.Nonce)) != 1:
		return Token{}, Refuse(WrongNonce, "the ID token does not answer the request that was sent (nonce)")
	case signed.Subject == "" || len(signed.Subject) > maxClaimBytes:
		return Token{}, Refuse(BadIdentifier, "the ID token has no subject of at most %d bytes", maxClaimBytes)
	case signed.AccessTokenHash != "" && want.AccessToken != "" && signed.VerifyAccessToken(want.AccessToken) != nil:
		return Token{}, Refuse(WrongAccessToken, "the ID token belongs to another access token (at_hash)")
	}
	if wrong := checkTenant(p.Issuer, more.Tenant); wrong != nil {
		return Token{}, wrong
	}
	t := Token{
		Issuer: signed.Issuer, Subject: signed.Subject, Issued: signed.IssuedAt.UTC(), Authenticated: unixTime(more.Authenticated),
		Attributes: attributesOf(all), Algorithm: algorithm, ClockDrift: signed.IssuedAt.Sub(now),
	}
	if want.MaxAge > 0 {
		switch {
		case t.Authenticated.IsZero():
			return Token{}, Refuse(OldSignIn, "the provider does not say when the person signed in (auth_time); in Entra ID, add it as an optional claim of the ID token")
		case now.Sub(t.Authenticated) > want.MaxAge+MaxClockSkew:
			return Token{}, Refuse(OldSignIn, "the person signed in at the provider at %s, which is too long ago", formatTime(t.Authenticated))
		}
	}
	return t, nil
}

// tenantID matches the id of a tenant of Entra ID.
var tenantID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// checkTenant returns an error if a token of Entra ID is about a person of another tenant than the
// tenant of the issuer.
func checkTenant(issuer, tenant string) *Error {
	u, err := url.Parse(issuer)
	if err != nil || !isEntra(u) {
		return nil
	}
	own, _, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if tenantID.MatchString(own) && !strings.EqualFold(own, tenant) {
		return Refuse(WrongTenant, "the person is of the tenant %q, not of %q (tid)", Shorten(tenant, 100), own)
	}
	return nil
}
