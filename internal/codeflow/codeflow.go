// Package codeflow holds the code that the OpenID Connect sign-ins of people and of operators
// share: the code flow with PKCE. The PKCE verifier is computed from a cookie, so only the browser
// that began a sign-in can end it.
//
//	Address  returns the address at the provider that starts a sign-in
//	Redeem   exchanges the code of an answer for an ID token, and verifies the token
//
// For each request, the caller stores the nonce and a hash of the state. The caller accepts only
// one answer to each request.
package codeflow

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/rollcall-scim/rollcall/oidc"
)

// RequestLifetime is how long a person may take to sign in at the provider.
const RequestLifetime = 10 * time.Minute

// Providers sends requests to OpenID providers. Its errors are *oidc.Error.
type Providers interface {
	// Provider returns the metadata of the provider with this issuer.
	Provider(ctx context.Context, issuer string) (oidc.Provider, error)
	// Keys returns the public keys with which a provider signs its tokens. It may return keys that
	// it read earlier. If unknown is true, a token is signed with a key that is not among them;
	// then Keys reads the keys from the provider again.
	Keys(ctx context.Context, p oidc.Provider, unknown bool) (oidc.Keys, error)
	// Exchange gets the tokens for an authorization code.
	Exchange(ctx context.Context, p oidc.Provider, x oidc.CodeExchange) (oidc.Tokens, error)
	// UserInfo returns the provider's claims about the person, as JSON. It gets them with the
	// access token of the person's sign-in. It returns nil if the provider has no UserInfo
	// endpoint.
	UserInfo(ctx context.Context, p oidc.Provider, access string) ([]byte, error)
}

// Request holds the values of one sign-in request.
type Request struct {
	State   string // random, and used for only one request
	Nonce   string // random, and used for only one request
	Browser string // the secret in the browser's cookie
	Fresh   bool   // whether the person must sign in again, even if the provider has a session
}

// Address returns the address at the provider that starts a sign-in.
func Address(client oidc.Client, p oidc.Provider, r Request) string {
	return client.Request(p, oidc.RequestOptions{State: r.State, Nonce: r.Nonce, Verifier: Verifier(r.Browser, r.State), Fresh: r.Fresh})
}

// Verifier returns the PKCE verifier of a request (RFC 7636). It is computed from the secret in the
// browser's cookie, which only this server and that browser know. So the server need not store it,
// and a code that is stolen with its state is useless in any other browser.
func Verifier(browser, state string) string {
	h := hmac.New(sha256.New, []byte(browser))
	h.Write([]byte("pkce\x00" + state))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// Answer is a provider's answer to a sign-in request. The browser brings it to this server.
type Answer struct {
	oidc.Answer
	Browser string // the secret in the browser's cookie; may be empty
}

// Redemption holds what Redeem must know about the sign-in request to which an answer belongs.
type Redemption struct {
	Client oidc.Client
	Secret string // the client secret
	Nonce  string // the nonce of the request
	// MaxAge is the longest accepted time since the person proved who they are; 0 means any time.
	MaxAge time.Duration
}

// Redeem exchanges the code of an answer for an ID token, and verifies the token. If the token is
// signed with an unknown key, Redeem reads the provider's keys again. access is the access token
// that came with the ID token.
func Redeem(ctx context.Context, ps Providers, p oidc.Provider, in Answer, r Redemption, now func() time.Time) (t oidc.Token, access string, err error) {
	tokens, err := ps.Exchange(ctx, p, oidc.CodeExchange{Client: r.Client, Secret: r.Secret, Code: in.Code, Verifier: Verifier(in.Browser, in.State)})
	if err != nil {
		return oidc.Token{}, "", err
	}
	want := oidc.Expected{Nonce: r.Nonce, AccessToken: tokens.Access, MaxAge: r.MaxAge}
	for _, again := range []bool{false, true} {
		keys, err := ps.Keys(ctx, p, again)
		if err != nil {
			return oidc.Token{}, "", err
		}
		t, err := r.Client.Verify(p, keys, tokens.ID, want, now())
		if unknown := new(oidc.Error); again || !errors.As(err, &unknown) || !unknown.NewKey {
			return t, tokens.Access, err
		}
	}
	panic("unreachable")
}

// AddUserInfo asks the provider's UserInfo endpoint for claims, and returns the token t with the
// claims that t lacks. It returns t unchanged if the provider has no such endpoint.
func AddUserInfo(ctx context.Context, ps Providers, p oidc.Provider, t oidc.Token, access string) (oidc.Token, error) {
	more, err := ps.UserInfo(ctx, p, access)
	if err != nil || more == nil {
		return t, err
	}
	return t.AddUserInfo(more)
}
