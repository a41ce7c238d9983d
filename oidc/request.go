package oidc

import (
	"fmt"
	"net/url"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Client is a client that is registered at a provider: a site, or the whole installation.
type Client struct {
	ID          string
	RedirectURL string // the address to which the provider sends the browser with its answer
}

// RequestOptions are the values of one sign-in request. State, Nonce and Verifier are random, and
// each sign-in has its own.
type RequestOptions struct {
	State    string
	Nonce    string
	Verifier string // the secret of PKCE (RFC 7636); the request contains only its hash
	Fresh    bool   // whether the provider must ask the person to sign in again, even if they are signed in there
}

// scopes are the OAuth scopes that a sign-in requests. With them, the provider sends the user
// identifier, names and the e-mail address.
var scopes = []string{gooidc.ScopeOpenID, "profile", "email"}

// Request returns the address at the provider that starts a sign-in.
func (c Client) Request(p Provider, o RequestOptions) string {
	config := oauth2.Config{ClientID: c.ID, RedirectURL: c.RedirectURL, Scopes: scopes, Endpoint: oauth2.Endpoint{AuthURL: p.AuthorizationURL}}
	options := []oauth2.AuthCodeOption{gooidc.Nonce(o.Nonce), oauth2.S256ChallengeOption(o.Verifier)}
	if o.Fresh {
		// OpenID Connect Core 1.0 §3.1.2.1: with max_age, the ID token says when the person signed
		// in.
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	return config.AuthCodeURL(o.State, options...)
}

// SignOut returns the address at the provider that ends the person's session there (OpenID Connect
// RP-Initiated Logout 1.0 §2). back is the address to which the provider redirects the browser
// afterwards, with the state. The address does not contain an ID token, because none is kept. So
// the provider may ask the person whether they want to sign out.
func (c Client) SignOut(p Provider, back, state string) (string, error) {
	u, err := url.Parse(p.EndSessionURL)
	if err != nil {
		return "", fmt.Errorf("read the provider's end_session_endpoint: %w", err)
	}
	q := u.Query()
	q.Set("client_id", c.ID)
	q.Set("post_logout_redirect_uri", back)
	q.Set("state", state)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// Answer is the answer of a provider, from the query of the address to which the provider
// redirected the browser.
type Answer struct {
	State  string
	Code   string
	Issuer string // the issuer that answers (RFC 9207); may be empty

	Error            string // the error that the provider reports instead of a code; may be empty
	ErrorDescription string
}

// ReadAnswer reads the query of the redirect address.
func ReadAnswer(q url.Values) Answer {
	return Answer{State: q.Get("state"), Code: q.Get("code"), Issuer: q.Get("iss"), Error: q.Get("error"), ErrorDescription: q.Get("error_description")}
}

// Check returns an *Error if the answer comes from another provider, reports an error, or has no
// code.
func (a Answer) Check(p Provider) error {
	switch {
	case a.Issuer != "" && a.Issuer != p.Issuer, a.Issuer == "" && p.NamesIssuer:
		// RFC 9207: without this check, an answer of one provider could be used as an answer of
		// another.
		return Refuse(WrongIssuer, "the answer is from %q, not from %q", Shorten(a.Issuer, 200), p.Issuer)
	case a.Error != "":
		return refusedBy(a.Error, a.ErrorDescription)
	case a.Code == "" || len(a.Code) > 8<<10:
		return Refuse(NoCode, "the answer has no code")
	}
	return nil
}

// refusedBy returns the error for an error code of a provider.
func refusedBy(code, description string) *Error {
	if description == "" {
		return Refuse(ProviderRefused, "the provider reports %s", Shorten(code, 100))
	}
	return Refuse(ProviderRefused, "the provider reports %s: %s", Shorten(code, 100), Shorten(description, 1000))
}

// RefusedBy returns an *Error for an error code that a provider sends instead of tokens.
func RefusedBy(code, description string) error { return refusedBy(code, description) }

// CodeExchange holds the values that a client sends to get tokens for a code.
type CodeExchange struct {
	Client   Client
	Secret   string // the client's secret
	Code     string // the code from the provider's answer
	Verifier string // the Verifier of the sign-in request
}

// Tokens are a provider's answer to a CodeExchange. Nothing in them has been verified yet.
type Tokens struct {
	ID     string // the ID token; empty if the provider sent none
	Access string // the access token
}

func unixTime(n float64) time.Time {
	if n <= 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(n), 0).UTC()
}

func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
