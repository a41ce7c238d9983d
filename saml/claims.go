package saml

import (
	"strings"
	"unicode/utf8"
)

// NameID, as the name of a claim, means the assertion's NameID. Every other claim is an attribute
// of the assertion, and has the attribute's name.
const NameID = "NameID"

// maxClaimBytes is the largest length of a claim, in bytes.
const maxClaimBytes = 256

// Claims holds the names of the attributes that a site uses. An empty name means that the site does
// not use that claim; an empty UserIdentifier means the NameID.
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

// Pick returns the values of the claims that a site uses. It returns an *Error if the user
// identifier has no value or several values, if its value cannot be used, or if it is a NameID that
// changes with each sign-in. Every other claim is empty if it has no usable value. Names are
// compared exactly.
func (a Assertion) Pick(c Claims) (ClaimValues, error) {
	var p ClaimValues
	for _, claim := range []struct {
		name string
		to   *string
	}{
		{c.UserIdentifier, &p.UserIdentifier},
		{c.DisplayName, &p.DisplayName},
		{c.Email, &p.Email},
		{c.JobTitle, &p.JobTitle},
		{c.Department, &p.Department},
	} {
		identifier := claim.to == &p.UserIdentifier
		if claim.name == "" && !identifier {
			continue
		}
		value, err := a.claimValue(claim.name, identifier)
		if err != nil {
			return ClaimValues{}, err
		}
		*claim.to = value
	}
	return p, nil
}

// claimValue returns the value of a claim. identifier says whether the claim is the user
// identifier, for which an unusable value is an error.
func (a Assertion) claimValue(name string, identifier bool) (string, error) {
	if name == "" || name == NameID {
		if identifier && a.NameIDFormat == transientFormat {
			return "", refuse(BadIdentifier, "the NameID is transient: it changes with each sign-in; choose another format at the identity provider, or another claim here")
		}
		return checkValue("NameID", []string{a.NameID}, identifier)
	}
	var found *Attribute
	for i := range a.Attributes {
		if a.Attributes[i].Name != name {
			continue
		}
		if found != nil {
			return "", refuse(RepeatedClaim, "the assertion has the attribute %q twice", name)
		}
		found = &a.Attributes[i]
	}
	if found == nil {
		return checkValue(name, nil, identifier)
	}
	return checkValue(name, found.Values, identifier)
}

// checkValue returns the first of a claim's values. If the claim is the user identifier, it returns
// an error unless there is exactly one value, which can be used. Otherwise it returns an empty
// string for an unusable value.
func checkValue(name string, values []string, identifier bool) (string, error) {
	if !identifier {
		// The claim only describes the person. So leave it empty if its value cannot be used.
		if len(values) == 0 || len(values[0]) > maxClaimBytes || !isClean(values[0]) {
			return "", nil
		}
		return strings.TrimSpace(values[0]), nil
	}
	switch {
	case len(values) == 0 || len(values) == 1 && strings.TrimSpace(values[0]) == "":
		return "", refuse(BadIdentifier, "the assertion has no value for the user identifier %s", name)
	case len(values) > 1:
		return "", refuse(BadIdentifier, "the assertion has %d values for the user identifier %s", len(values), name)
	case len(values[0]) > maxClaimBytes:
		return "", refuse(BadIdentifier, "the user identifier %s has more than %d bytes", name, maxClaimBytes)
	case !isClean(values[0]):
		return "", refuse(BadIdentifier, "the user identifier %s has control characters", name)
	}
	return values[0], nil
}

// isClean reports whether a string is valid UTF-8 without control characters.
func isClean(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}
