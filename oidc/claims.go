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

// Subject is the name of the claim by which a provider knows a person for good.
const Subject = "sub"

// maxValue is how many bytes a claim may have.
const maxValue = 256

// Claims name the claims that a site uses. An empty name means that the site does not use the
// claim; an empty UserIdentifier means sub.
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

// changeable are claims that the person, or an administrator, can change, and that another person
// can get later. None of them tells who somebody is.
var changeable = []string{"email", "preferred_username", "upn", "unique_name", "name", "nickname", "phone_number"}

// Check refuses claims that would give an account to another person.
func (c Claims) Check() error {
	if slices.Contains(changeable, c.UserIdentifier) {
		return errors.New("the claim " + c.UserIdentifier + " can change, and another person can get its value; use sub, or oid of Entra ID")
	}
	return nil
}

// Missing reports whether the token lacks a claim that a site uses.
func (t Token) Missing(c Claims) bool {
	for _, name := range []string{c.UserIdentifier, c.DisplayName, c.Email, c.JobTitle, c.Department} {
		if name != "" && t.values(name) == nil {
			return true
		}
	}
	return false
}

// Pick returns the values of the claims. The user identifier must be there: one value. The others
// may be empty. Names are compared exactly.
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
	case len(values[0]) > maxValue:
		return ClaimValues{}, Refuse(BadIdentifier, "the user identifier %s has more than %d bytes", name, maxValue)
	case !isClean(values[0]):
		return ClaimValues{}, Refuse(BadIdentifier, "the user identifier %s has control characters", name)
	}
	return ClaimValues{
		UserIdentifier: values[0], DisplayName: t.describing(c.DisplayName), Email: t.describing(c.Email),
		JobTitle: t.describing(c.JobTitle), Department: t.describing(c.Department),
	}, nil
}

// describing returns the value of a claim that only describes the person. It is empty if it cannot
// be used. An e-mail address that the provider has not verified is not used.
func (t Token) describing(name string) string {
	values := t.values(name)
	if name == "" || len(values) == 0 || len(values[0]) > maxValue || !isClean(values[0]) {
		return ""
	}
	if verified := t.values("email_verified"); name == "email" && len(verified) == 1 && verified[0] != "true" {
		return ""
	}
	return strings.TrimSpace(values[0])
}

func (t Token) values(name string) []string {
	at := slices.IndexFunc(t.Attributes, func(a Attribute) bool { return a.Name == name })
	if at < 0 {
		return nil
	}
	return t.Attributes[at].Values
}

func isClean(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// AddUserInfo adds the claims of the provider's UserInfo endpoint that the ID token lacks. The
// answer must be about the same person (OpenID Connect Core 1.0 §5.3.2).
func (t Token) AddUserInfo(raw []byte) (Token, error) {
	var all map[string]json.RawMessage
	if len(raw) > MaxDocument || json.Unmarshal(raw, &all) != nil {
		return t, Refuse(ProviderFailed, "the provider's UserInfo endpoint does not answer with JSON")
	}
	more := Token{Attributes: attributesOf(all)}
	if subject := more.values(Subject); len(subject) != 1 || subject[0] != t.Subject {
		return t, Refuse(ProviderFailed, "the provider's UserInfo endpoint answers about another person")
	}
	// Whether an address is verified counts only together with that address.
	mixed := t.values("email") == nil && more.values("email") != nil
	t.Attributes = slices.DeleteFunc(slices.Clone(t.Attributes), func(a Attribute) bool { return mixed && a.Name == "email_verified" })
	for _, a := range more.Attributes {
		if t.values(a.Name) == nil {
			t.Attributes = append(t.Attributes, a)
		}
	}
	sortAttributes(t.Attributes)
	return t, nil
}

// protocolClaims are about the token, not about the person.
var protocolClaims = []string{"aud", "exp", "iat", "nbf", "nonce", "at_hash", "c_hash", "s_hash", "aio", "rh", "uti", "sid", "jti", "_claim_names", "_claim_sources"}

// attributesOf returns the claims that have plain values, by name.
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

func sortAttributes(all []Attribute) {
	slices.SortFunc(all, func(a, b Attribute) int { return strings.Compare(a.Name, b.Name) })
}

func plainValues(raw json.RawMessage) []string {
	var value any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // an employee number keeps all its digits
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
