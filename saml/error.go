package saml

import "fmt"

// Reason is a short code that says why a response was not accepted. Reasons are stored, counted and
// shown to administrators, but never to the person who signs in.
type Reason string

// The reasons that this package finds.
const (
	Malformed        Reason = "malformed"           // the response is not base64, not XML, or too large
	Directive        Reason = "doctype"             // the document contains a DOCTYPE or a processing instruction
	Structure        Reason = "structure"           // the document is not a response with exactly one assertion
	WeakAlgorithm    Reason = "weak_algorithm"      // the response uses SHA-1, a short key or an unknown transform
	Unsigned         Reason = "unsigned"            // no signature covers the assertion
	BadSignature     Reason = "bad_signature"       // a signature does not match the signed element
	UnknownKey       Reason = "unknown_certificate" // the response is signed with a certificate that the site does not trust
	CertExpired      Reason = "cert_expired"        // the response is signed with a certificate that is not valid at this time
	NotDecrypted     Reason = "not_decrypted"       // the assertion is encrypted, and cannot be decrypted with a key of the site
	ProviderRefused  Reason = "provider_refused"    // the identity provider reports an error
	WrongIssuer      Reason = "wrong_issuer"        // the response comes from another identity provider
	WrongVersion     Reason = "wrong_version"       // the response has another version than SAML 2.0
	WrongDestination Reason = "wrong_destination"   // the response was sent to another address
	WrongRecipient   Reason = "wrong_recipient"     // the assertion was made for another address
	AudienceMismatch Reason = "audience_mismatch"   // the assertion was made for another application, or for any application
	Expired          Reason = "expired"             // the assertion is no longer valid
	NotYetValid      Reason = "not_yet_valid"       // the assertion is not valid yet
	UnknownRequest   Reason = "unknown_request"     // the response does not answer the request that the site sent
	Unsolicited      Reason = "unsolicited"         // the response answers no request, and the site does not allow that
	OldSignIn        Reason = "old_sign_in"         // the person signed in at the identity provider too long ago
	BadIdentifier    Reason = "identifier"          // the user identifier is missing, repeated, too long, transient, or has control characters
	RepeatedClaim    Reason = "repeated_claim"      // the assertion has two attributes with the name of a claim that the site uses
	NoCertificate    Reason = "no_certificate"      // the site trusts no certificate
	internalFailure  Reason = "internal"            // an internal error; impossible with a checked configuration
)

// Error says why a response was not accepted.
type Error struct {
	Reason Reason
	Detail string // one sentence for an administrator
	// Status is the error that the identity provider reports. It is set only if Reason is
	// ProviderRefused.
	Status Status
	// NewKey is true if the response may be signed with a new key of the identity provider, which
	// the site does not know yet.
	NewKey bool
}

// Status is an error that an identity provider reports instead of an assertion.
type Status struct {
	Code    string // the last part of the innermost status code, such as AuthnFailed
	Message string // the identity provider's own words, such as AADSTS50105: …
}

func (e *Error) Error() string { return "saml: " + string(e.Reason) + ": " + e.Detail }

// refuse returns an Error with a reason, and with a detail in the format of fmt.Sprintf.
func refuse(r Reason, format string, args ...any) *Error {
	return &Error{Reason: r, Detail: fmt.Sprintf(format, args...)}
}
