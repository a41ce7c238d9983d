// Package oidcclient sends requests to OpenID providers: for their metadata and keys, for tokens,
// and for claims about a person.
//
//	Provider   …/.well-known/openid-configuration  →  metadata, kept for an hour
//	Keys       the provider's JWKS  →  its public keys, kept for an hour; read again for a token with an unknown key
//	Exchange   an authorization code  →  tokens
//	UserInfo   an access token  →  claims
//
// Administrators of sites enter the issuer, so every request goes through internal/outbound. Errors
// say little about the server at an address, so that no one can use them to explore a network.
// Package oidc interprets the answers.
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
	keepDuration        = time.Hour        // how long metadata and keys are kept
	rereadAfter         = time.Minute      // how old kept keys must be before Keys reads them again for a token with an unknown key
	keepFailureDuration = 5 * time.Second  // how long no request is sent to a provider after a failed one, so that many sign-ins do not all wait for it
	requestTimeout      = 10 * time.Second // how long a request may take
	maxProviders        = 1000             // the largest number of providers whose data is kept
)

// Client sends requests to providers. Make it with New.
type Client struct {
	http *http.Client
	now  func() time.Time

	mu        sync.Mutex
	providers map[string]*providerState // the data about each provider, by issuer
}

// providerState holds the client's data about one provider. The client locks mu during a request
// for metadata or keys, so that many sign-ins at the same time send only one request.
type providerState struct {
	mu         sync.Mutex
	provider   oidc.Provider
	readAt     time.Time // when the metadata was read; zero if never
	keys       oidc.Keys
	keysReadAt time.Time // when the keys were read; zero if never
	failedAt   time.Time // when a request last failed; zero if none has failed
	failure    error     // the error of the last request that failed; nil if none has failed
}

// New returns a client. The options say which addresses the client may call. New itself sets their
// Timeout and MaxBody.
func New(o outbound.Options, now func() time.Time) *Client {
	o.Timeout, o.MaxBody = requestTimeout, oidc.MaxDocument
	return &Client{http: outbound.New(o), now: now, providers: map[string]*providerState{}}
}

// providerState returns the data about the provider with this issuer. If there is none, it adds an
// empty one; if there are maxProviders already, it removes them all first.
func (c *Client) providerState(issuer string) *providerState {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.providers[issuer]
	if k == nil {
		if len(c.providers) >= maxProviders {
			clear(c.providers)
		}
		k = &providerState{}
		c.providers[issuer] = k
	}
	return k
}

// Provider returns the metadata of the provider with this issuer. It returns an *oidc.Error if the
// metadata cannot be read or used.
func (c *Client) Provider(ctx context.Context, issuer string) (oidc.Provider, error) {
	k := c.providerState(issuer)
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.readAt.IsZero() && c.now().Sub(k.readAt) < keepDuration {
		return k.provider, nil
	}
	if err := c.recentFailure(k); err != nil {
		return oidc.Provider{}, err
	}
	if err := oidc.CheckIssuer(issuer); err != nil {
		return oidc.Provider{}, providerError("%s", err)
	}
	// Other sign-ins may wait for the same answer. So read it even if the browser of this sign-in
	// has gone.
	text, err := c.get(context.WithoutCancel(ctx), oidc.DiscoveryURL(issuer), "")
	if err != nil {
		return oidc.Provider{}, c.recordFailure(k, providerError("the provider's metadata could not be read: %s", err))
	}
	p, err := oidc.ParseProvider(text, issuer)
	if err != nil {
		return oidc.Provider{}, c.recordFailure(k, providerError("%s", err))
	}
	k.provider, k.readAt = p, c.now()
	return p, nil
}

// Keys returns the public keys of a provider. unknown says whether the caller has a token whose key
// is not among the keys that Keys returned before. If so, Keys reads the keys again, but at most
// once a minute. It returns an *oidc.Error if the keys cannot be read or used.
func (c *Client) Keys(ctx context.Context, p oidc.Provider, unknown bool) (oidc.Keys, error) {
	k := c.providerState(p.Issuer)
	k.mu.Lock()
	defer k.mu.Unlock()
	age := c.now().Sub(k.keysReadAt)
	if !k.keysReadAt.IsZero() && age < keepDuration && (!unknown || age < rereadAfter) {
		return k.keys, nil
	}
	if err := c.recentFailure(k); err != nil {
		return oidc.Keys{}, err
	}
	text, err := c.get(context.WithoutCancel(ctx), p.KeysURL, "")
	if err != nil {
		return oidc.Keys{}, c.recordFailure(k, providerError("the provider's keys could not be read: %s", err))
	}
	keys, err := oidc.ParseKeys(text)
	if err != nil {
		return oidc.Keys{}, c.recordFailure(k, providerError("%s", err))
	}
	k.keys, k.keysReadAt = keys, c.now()
	return keys, nil
}

// recentFailure returns the error of the last failed request to the provider, if the request failed
// less than keepFailureDuration ago. Otherwise it returns nil.
func (c *Client) recentFailure(k *providerState) error {
	if k.failure != nil && c.now().Sub(k.failedAt) < keepFailureDuration {
		return k.failure
	}
	return nil
}

// recordFailure keeps the error of a failed request for recentFailure, and returns it.
func (c *Client) recordFailure(k *providerState, failure error) error {
	k.failedAt, k.failure = c.now(), failure
	return failure
}

// Exchange sends an authorization code to the provider and returns the tokens for it. It returns an
// *oidc.Error if the provider sends no tokens.
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
		return oidc.Tokens{}, providerError("the provider's token endpoint answered with status %d", refused.Response.StatusCode)
	case err != nil:
		return oidc.Tokens{}, providerError("the provider's token endpoint could not be asked: %s", publicError(err))
	}
	t := oidc.Tokens{Access: got.AccessToken}
	t.ID, _ = got.Extra("id_token").(string)
	return t, nil
}

// UserInfo returns the provider's claims about the person, as JSON. It gets them with the access
// token of the person's sign-in. It returns nil if there is no access token, or if the provider has
// no UserInfo endpoint.
func (c *Client) UserInfo(ctx context.Context, p oidc.Provider, access string) ([]byte, error) {
	if p.UserInfoURL == "" || access == "" {
		return nil, nil
	}
	text, err := c.get(ctx, p.UserInfoURL, access)
	if err != nil {
		return nil, providerError("the provider's UserInfo endpoint could not be read: %s", err)
	}
	return text, nil
}

// get returns the document at an address. bearer is the access token to send; empty means none.
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
		return nil, publicError(err)
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

// publicError replaces the error of a request by an error without details that could reveal
// something about the server or its network.
func publicError(err error) error {
	var blocked *outbound.BlockedError
	if errors.As(err, &blocked) {
		return blocked
	}
	if errors.Is(err, outbound.ErrTooLarge) {
		return errors.New("its answer is larger than 256 KiB")
	}
	return errors.New("it did not answer as it should")
}

// providerError returns an error which says that the provider failed, and how.
func providerError(format string, args ...any) *oidc.Error {
	return oidc.Refuse(oidc.ProviderFailed, format, args...)
}
