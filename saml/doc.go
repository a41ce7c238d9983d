// Package saml speaks SAML 2.0 as a service provider: it makes the metadata and the sign-in
// requests of a site, reads the metadata of an identity provider, and verifies its responses.
//
//	ServiceProvider.Metadata   the data about the site for the identity provider
//	ParseMetadata              the data about the identity provider for the site
//	ServiceProvider.Request    the address that starts a sign-in
//	ServiceProvider.Verify     a response  →  an Assertion, or an *Error that says why not
//	ServiceProvider.ReadSignOut    a message about the end of a session  →  a SignOut, or an *Error
//	Assertion.Pick             the claims that a site uses, by the names that it chose
//
// The package wraps gosaml2 and is the only one that imports it. gosaml2 checks signatures. Many
// other checks that a response needs are missing in gosaml2, or lead only to a warning. Verify does
// these checks, before and after it calls gosaml2:
//
//	open       strict base64, no DOCTYPE, bounded depth and size, the round-trip validator
//	inspect    one assertion, one signature for each signed element, known algorithms
//	gosaml2    the signatures, with each certificate of the identity provider alone
//	check      issuer, version, destination, recipient, audience, times, the request it answers
//
// The package uses no network, no SQL and no clock: times and ids are arguments. Callers must
// remember which requests they sent and which assertions were used.
package saml
