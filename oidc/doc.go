// Package oidc speaks OpenID Connect as a relying party: it makes the sign-in requests of a client,
// reads what a provider says about itself, and verifies ID tokens.
//
//	ParseProvider    the provider's metadata (Discovery)        →  a Provider
//	ParseKeys        the keys with which it signs (JWKS)        →  Keys
//	Client.Request   the address that starts a sign-in
//	ReadAnswer       what the browser brings back               →  an Answer with a code, or an *Error
//	Client.Verify    an ID token                                →  a Token, or an *Error that says why not
//	Token.Pick       the claims that a client uses, by the names that it chose
//
// The package wraps go-oidc and is the only one that imports it. go-oidc verifies signatures; Verify
// does the other checks itself, on what was signed, so that each refusal has a reason of its own.
//
// Only the code flow is used, always with PKCE (S256), a state and a nonce.
//
// The package uses no network, no SQL and no clock: times and random values are arguments. Whether a
// state is known and new is for its callers to remember. Package oidcclient does the requests.
package oidc
