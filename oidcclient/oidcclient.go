// Package oidcclient asks OpenID providers over HTTP: for their metadata and keys, for tokens, and
// for what they know about a person.
//
//	Provider   …/.well-known/openid-configuration, kept for an hour
//	Keys       the JWKS, kept for an hour; read again for an unknown key, at most once a minute
//	Exchange   a code  →  tokens
//	UserInfo   an access token  →  claims
//
// Administrators of sites type the issuer, so every request goes through internal/outbound, and
// errors say little about what is at an address: with them, nobody can explore a network. What
// answers mean is for package oidc.
package oidcclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/oidc"
)

const (
	keptFor      = time.Hour       // how long metadata and keys are kept
	readAgain    = time.Minute     // at most so often keys are read again because a key is unknown
	failedFor    = 5 * time.Second // how long a failure is kept, so that a flood of sign-ins does not pile up
	answerTime   = 10 * time.Second
	maxProviders = 1000 // how many providers are kept
)

// Client asks providers. Make it with New.
type Client struct {
	http *http.Client
	now  func() time.Time

	mu        sync.Mutex
	providers map[string]*known // by issuer
}

// known is what is kept of one provider. Its lock is held during a request, so that many sign-ins at
// once ask the provider once.
type known struct {
	mu       sync.Mutex
	provider oidc.Provider
	read     time.Time // zero if it was not read
	keys     oidc.Keys
	keysRead time.Time // zero if they were not read
	failed   time.Time // when the provider was last asked in vain
	failure  error     // why
}

// New returns a client whose requests are limited by these options.
func New(o outbound.Options, now func() time.Time) *Client {
	o.Timeout, o.MaxBody = answerTime, oidc.MaxDocument
	return &Client{http: outbound.New(o), now: now, providers: map[string]*known{}}
}

func (c *Client) known(issuer string) *known {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.providers[issuer]
	if k == nil {
		if len(c.providers) >= maxProviders {
			clear(c.providers)
		}
		k = &known{}
		c.providers[issuer] = k
	}
	return k
}

// Provider returns what the provider with this issuer says about itself.
func (c *Client) Provider(ctx context.Context, issuer string) (oidc.Provider, error) {
	k := c.known(issuer)
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.read.IsZero() && c.now().Sub(k.read) < keptFor {
		return k.provider, nil
	}
	if err := c.recent(k); err != nil {
		return oidc.Provider{}, err
	}
	if err := oidc.CheckIssuer(issuer); err != nil {
		return oidc.Provider{}, failed("%s", err)
	}
	// The answer is for all who wait, so it does not end with the request of one of them.
	text, err := c.get(context.WithoutCancel(ctx), oidc.DiscoveryURL(issuer), "")
	if err != nil {
		return oidc.Provider{}, c.note(k, failed("the provider's metadata could not be read: %s", err))
	}
	p, err := oidc.ParseProvider(text, issuer)
	if err != nil {
		return oidc.Provider{}, c.note(k, failed("%s", err))
	}
	k.provider, k.read = p, c.now()
	return p, nil
}

// Keys returns the keys of a provider. If unknown is set, a token is signed with a key that is not
// among the keys of before: they are read again, at most once a minute.
func (c *Client) Keys(ctx context.Context, p oidc.Provider, unknown bool) (oidc.Keys, error) {
	k := c.known(p.Issuer)
	k.mu.Lock()
	defer k.mu.Unlock()
	age := c.now().Sub(k.keysRead)
	if !k.keysRead.IsZero() && age < keptFor && (!unknown || age < readAgain) {
		return k.keys, nil
	}
	if err := c.recent(k); err != nil {
		return oidc.Keys{}, err
	}
	text, err := c.get(context.WithoutCancel(ctx), p.KeysURL, "")
	if err != nil {
		return oidc.Keys{}, c.note(k, failed("the provider's keys could not be read: %s", err))
	}
	keys, err := oidc.ParseKeys(text)
	if err != nil {
		return oidc.Keys{}, c.note(k, failed("%s", err))
	}
	k.keys, k.keysRead = keys, c.now()
	return keys, nil
}

// recent returns the failure of a moment ago; nil if there was none.
func (c *Client) recent(k *known) error {
	if k.failure != nil && c.now().Sub(k.failed) < failedFor {
		return k.failure
	}
	return nil
}

func (c *Client) note(k *known, failure error) error {
	k.failed, k.failure = c.now(), failure
	return failure
}

// Exchange gets the tokens for a code.
func (c *Client) Exchange(ctx context.Context, p oidc.Provider, x oidc.CodeExchange) (oidc.Tokens, error) {
	style := oauth2.AuthStyleInHeader
	if p.PostsSecret {
		style = oauth2.AuthStyleInParams
	}
	config := oauth2.Config{ClientID: x.Client.ID, ClientSecret: x.Secret, RedirectURL: x.Client.RedirectURL, Endpoint: oauth2.Endpoint{TokenURL: p.TokenURL, AuthStyle: style}}
	got, err := config.Exchange(context.WithValue(ctx, oauth2.HTTPClient, c.http), x.Code, oauth2.VerifierOption(x.Verifier))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.ErrorCode != "":
		return oidc.Tokens{}, oidc.RefusedBy(refused.ErrorCode, refused.ErrorDescription)
	case errors.As(err, &refused):
		return oidc.Tokens{}, failed("the provider's token endpoint answered with status %d", refused.Response.StatusCode)
	case err != nil:
		return oidc.Tokens{}, failed("the provider's token endpoint could not be asked: %s", shown(err))
	}
	t := oidc.Tokens{Access: got.AccessToken}
	t.ID, _ = got.Extra("id_token").(string)
	return t, nil
}

// UserInfo returns what the provider says about the person of an access token. It is empty if the
// provider has no UserInfo endpoint.
func (c *Client) UserInfo(ctx context.Context, p oidc.Provider, access string) ([]byte, error) {
	if p.UserInfoURL == "" || access == "" {
		return nil, nil
	}
	text, err := c.get(ctx, p.UserInfoURL, access)
	if err != nil {
		return nil, failed("the provider's UserInfo endpoint could not be read: %s", err)
	}
	return text, nil
}

func (c *Client) get(ctx context.Context, address, bearer string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("this is not an address")
	}
	r.Header.Set("Accept", "application/json")
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, shown(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered with status %d; redirects are not followed", answer.StatusCode)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, errors.New("its answer broke off, or is larger than 256 KiB")
	}
	return text, nil
}

// shown returns what may be shown of an error of a request.
func shown(err error) error {
	var blocked *outbound.BlockedError
	if errors.As(err, &blocked) {
		return blocked
	}
	if errors.Is(err, outbound.ErrTooLarge) {
		return errors.New("its answer is larger than 256 KiB")
	}
	return errors.New("it did not answer as it should")
}

func failed(format string, args ...any) *oidc.Error {
	return oidc.Refuse(oidc.ProviderFailed, format, args...)
}
