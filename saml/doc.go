// Package saml speaks SAML 2.0 as a service provider: it makes the metadata and the sign-in
// requests of a site, reads the metadata of an identity provider, and verifies its responses.
//
//	ServiceProvider.Metadata     makes the metadata that the identity provider needs
//	ParseMetadata                reads the metadata of the identity provider
//	ServiceProvider.Request      makes the address that starts a sign-in
//	ServiceProvider.Verify       a response  →  an Assertion, or an *Error with the reason
//	ServiceProvider.ReadSignOut  a message about the end of a session  →  a SignOut, or an *Error
//	Assertion.Pick               returns the claims that the site uses, by their configured names
//
// The package wraps gosaml2 and is the only one that imports it. gosaml2 checks signatures. Many
// other checks that a response needs are missing in gosaml2, or lead only to a warning. Verify does
// these checks, before and after it calls gosaml2:
//
//	decodeBase64      strict base64, limited size
//	parseForLibrary   no DOCTYPE, limited depth and size
//	inspect           one assertion, one signature for each signed element, known algorithms
//	checkAddresses    issuer, version and destination of the response
//	verifySignatures  XML that does not change when it is read again, and the signatures: gosaml2
//	                  checks both, with the trusted certificates
//	checkAssertion    issuer, recipient, audience, times, the request that the assertion answers
//
// The package uses no network, no SQL and no clock: times and ids are arguments. Callers must
// remember which requests they sent and which assertions were used.
package saml
