// Package oidc speaks OpenID Connect as a relying party: it makes the sign-in requests of a client,
// reads a provider's metadata, and verifies ID tokens.
//
//	ParseProvider   the provider's metadata (Discovery)            →  a Provider
//	ParseKeys       the keys with which the provider signs (JWKS)  →  Keys
//	Client.Request  makes the address that starts a sign-in
//	ReadAnswer      the provider's answer, from the browser        →  an Answer
//	Client.Verify   an ID token                →  a Token, or an *Error with the reason
//	Token.Pick      returns the claims that the client uses, by their configured names
//
// The package wraps go-oidc, and no other package imports go-oidc. go-oidc verifies the signatures.
// Verify does all other checks itself, on the signed content, so that each refusal has its own
// reason.
//
// The package uses only the code flow, always with PKCE (S256), a state and a nonce.
//
// The package uses no network, no SQL and no clock: times and random values are arguments. Callers
// must remember each state that they have sent, and accept each state only once. Package oidcclient
// sends requests to providers.
package oidc
