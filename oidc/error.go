package oidc

import (
	"fmt"
	"strings"
)

// Reason is a short code that says why a sign-in was not accepted. Reasons are stored, counted and
// shown to administrators, but never to the person who signs in.
type Reason string

// The reasons that this package finds.
const (
	Malformed        Reason = "malformed"           // the ID token cannot be read as a JWT, or is too large
	WeakAlgorithm    Reason = "weak_algorithm"      // the ID token has no signature, or its signature algorithm is not accepted
	BadSignature     Reason = "bad_signature"       // the signature does not match
	UnknownKey       Reason = "unknown_key"         // the ID token is signed with a key that the provider does not announce
	WrongIssuer      Reason = "wrong_issuer"        // the answer or the ID token comes from another provider
	AudienceMismatch Reason = "audience_mismatch"   // the ID token was made for another client
	Expired          Reason = "expired"             // the ID token is no longer valid
	NotYetValid      Reason = "not_yet_valid"       // the ID token is not valid yet
	WrongNonce       Reason = "wrong_nonce"         // the ID token belongs to another sign-in request
	WrongAccessToken Reason = "wrong_access_token"  // the ID token belongs to another access token
	WrongTenant      Reason = "wrong_tenant"        // the ID token comes from another tenant of Entra ID
	OldSignIn        Reason = "old_sign_in"         // the person signed in at the provider too long ago
	BadIdentifier    Reason = "identifier"          // the user identifier is missing, repeated, too long or changeable, or has control characters
	ProviderRefused  Reason = "provider_refused"    // the provider reports an error
	ProviderFailed   Reason = "provider_unreadable" // the provider's answer cannot be used
	NoCode           Reason = "no_code"             // the answer has neither a code nor an error
)

// Error says why a sign-in was not accepted.
type Error struct {
	Reason Reason
	Detail string // one sentence for an administrator
	// NewKey reports whether the ID token is signed with an unknown key. The provider may have new
	// keys, so the caller may read the keys again.
	NewKey bool
}

func (e *Error) Error() string { return "oidc: " + string(e.Reason) + ": " + e.Detail }

// Refuse returns an Error with a reason, and with a detail in the format of fmt.Sprintf.
func Refuse(r Reason, format string, args ...any) *Error {
	return &Error{Reason: r, Detail: fmt.Sprintf(format, args...)}
}

// Shorten cuts a string from a provider to at most the number of bytes in most, so that the string
// fits into an event. It also replaces each run of white space by one space.
func Shorten(text string, most int) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}
