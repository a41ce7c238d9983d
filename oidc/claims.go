package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Subject is the name of the claim that permanently identifies a person at a provider.
const Subject = "sub"

// maxClaimBytes is the largest length of a claim, in bytes.
const maxClaimBytes = 256

// Claims holds the names of the claims that a site uses. An empty name means that the site does not
// use the claim. An empty UserIdentifier means the claim "sub".
type Claims struct {
	UserIdentifier string
	DisplayName    string
	Email          string
	JobTitle       string
	Department     string
}

// ClaimValues holds the values of the claims that a site uses.
type ClaimValues struct {
	UserIdentifier string
	DisplayName    string
	Email          string
	JobTitle       string
	Department     string
}

// changeableClaims lists claims that must not be the user identifier, because their values can
// change. Such a value can later belong to another person.
var changeableClaims = []string{"email", "preferred_username", "upn", "unique_name", "name", "nickname", "phone_number"}

// Check returns an error if the user identifier is one of the changeableClaims. With such a user
// identifier, another person could get the account.
func (c Claims) Check() error {
	if slices.Contains(changeableClaims, c.UserIdentifier) {
		return errors.New("the claim " + c.UserIdentifier + " can change, and another person can get its value; use sub, or oid of Entra ID")
	}
	return nil
}

// LacksClaim reports whether a claim that the site uses is missing from the token.
func (t Token) LacksClaim(c Claims) bool {
	for _, name := range []string{c.UserIdentifier, c.DisplayName, c.Email, c.JobTitle, c.Department} {
		if name != "" && t.values(name) == nil {
			return true
		}
	}
	return false
}

// Pick returns the values of the claims that a site uses. It returns an *Error if the user
// identifier has no value or several values, if its value cannot be used, or if it is one of the
// changeableClaims. Every other claim is empty if it has no usable value. Names are compared
// exactly.
func (t Token) Pick(c Claims) (ClaimValues, error) {
	if err := c.Check(); err != nil {
		return ClaimValues{}, Refuse(BadIdentifier, "%s", err)
	}
	name := c.UserIdentifier
	if name == "" {
		name = Subject
	}
	values := t.values(name)
	switch {
	case len(values) == 0 || len(values) == 1 && strings.TrimSpace(values[0]) == "":
		return ClaimValues{}, Refuse(BadIdentifier, "the provider sends no value for the user identifier %s", name)
	case len(values) > 1:
		return ClaimValues{}, Refuse(BadIdentifier, "the provider sends %d values for the user identifier %s", len(values), name)
	case len(values[0]) > maxClaimBytes:
		return ClaimValues{}, Refuse(BadIdentifier, "the user identifier %s has more than %d bytes", name, maxClaimBytes)
	case !isClean(values[0]):
		return ClaimValues{}, Refuse(BadIdentifier, "the user identifier %s has control characters", name)
	}
	return ClaimValues{
		UserIdentifier: values[0], DisplayName: t.descriptiveValue(c.DisplayName), Email: t.descriptiveValue(c.Email),
		JobTitle: t.descriptiveValue(c.JobTitle), Department: t.descriptiveValue(c.Department),
	}, nil
}

// descriptiveValue returns the first value of a claim that only describes the person, such as a
// display name. It returns an empty string if the value cannot be used, for example if it is an
// e-mail address that the provider has not verified.
func (t Token) descriptiveValue(name string) string {
	values := t.values(name)
	if name == "" || len(values) == 0 || len(values[0]) > maxClaimBytes || !isClean(values[0]) {
		return ""
	}
	if verified := t.values("email_verified"); name == "email" && len(verified) == 1 && verified[0] != "true" {
		return ""
	}
	return strings.TrimSpace(values[0])
}

// values returns the values of the claim with this name, or nil if the token lacks the claim.
func (t Token) values(name string) []string {
	at := slices.IndexFunc(t.Attributes, func(a Attribute) bool { return a.Name == name })
	if at < 0 {
		return nil
	}
	return t.Attributes[at].Values
}

// isClean reports whether a string is valid UTF-8 without control characters.
func isClean(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// AddUserInfo reads raw, the answer of the provider's UserInfo endpoint. It returns the token with
// those claims of the answer that the token lacks. It returns an *Error if the answer is not JSON,
// or is about another person (OpenID Connect Core 1.0 §5.3.2).
func (t Token) AddUserInfo(raw []byte) (Token, error) {
	var all map[string]json.RawMessage
	if len(raw) > MaxDocument || json.Unmarshal(raw, &all) != nil {
		return t, Refuse(ProviderFailed, "the provider's UserInfo endpoint does not answer with JSON")
	}
	more := Token{Attributes: attributesOf(all)}
	if subject := more.values(Subject); len(subject) != 1 || subject[0] != t.Subject {
		return t, Refuse(ProviderFailed, "the provider's UserInfo endpoint answers about another person")
	}
	// "email_verified" is about the e-mail address in the same document. So drop the ID token's
	// "email_verified" if the e-mail address comes from the UserInfo endpoint.
	takesEmail := t.values("email") == nil && more.values("email") != nil
	t.Attributes = slices.DeleteFunc(slices.Clone(t.Attributes), func(a Attribute) bool { return takesEmail && a.Name == "email_verified" })
	for _, a := range more.Attributes {
		if t.values(a.Name) == nil {
			t.Attributes = append(t.Attributes, a)
		}
	}
	sortAttributes(t.Attributes)
	return t, nil
}

// protocolClaims lists claims that describe the token or the sign-in, but not the person.
var protocolClaims = []string{"aud", "exp", "iat", "nbf", "nonce", "at_hash", "c_hash", "s_hash", "aio", "rh", "uti", "sid", "jti", "_claim_names", "_claim_sources"}

// attributesOf returns the claims about the person, sorted by name. It keeps strings, booleans and
// numbers, and lists of these. It leaves out all other values, such as JSON objects.
func attributesOf(all map[string]json.RawMessage) []Attribute {
	var found []Attribute
	for name, raw := range all {
		if slices.Contains(protocolClaims, name) {
			continue
		}
		if values := plainValues(raw); values != nil {
			found = append(found, Attribute{name, values})
		}
	}
	sortAttributes(found)
	return found
}

// sortAttributes sorts claims by name.
func sortAttributes(all []Attribute) {
	slices.SortFunc(all, func(a, b Attribute) int { return strings.Compare(a.Name, b.Name) })
}

// plainValues returns the strings, booleans and numbers of a claim's JSON value, each as a string.
// The JSON value is one of these or a list. plainValues returns nil if it has none.
func plainValues(raw json.RawMessage) []string {
	var value any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // keep all digits of long numbers, such as employee numbers
	if d.Decode(&value) != nil {
		return nil
	}
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	var values []string
	for _, v := range list {
		switch v := v.(type) {
		case string:
			values = append(values, v)
		case bool:
			values = append(values, strconv.FormatBool(v))
		case json.Number:
			values = append(values, v.String())
		}
	}
	return values
}
