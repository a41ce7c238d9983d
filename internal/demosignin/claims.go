package demosignin

import (
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/demoidp"
)

// ClaimRule says which claim carries which attribute of a user.
type ClaimRule struct {
	Name   string // the name of the claim
	Source string // the name of the attribute, as Entra ID shows it
	// valueOf returns the value of the claim for a user; "" leaves the claim out.
	valueOf func(u directory.User, tenant directory.ID) string
}

// NameIDSource is the name of the attribute that the NameID carries, as Entra ID shows it.
const NameIDSource = "user.userprincipalname [nameid-format:emailAddress]"

// ClaimRules returns the claims that every application gets. Entra ID sends most of them by
// default. Administrators of Entra ID must add the display name, the job title and the department
// themselves.
func ClaimRules() []ClaimRule {
	text := func(attribute string) func(directory.User, directory.ID) string {
		return func(u directory.User, _ directory.ID) string { return u.Text(attribute) }
	}
	return []ClaimRule{
		{"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname", "user.givenname", text("givenName")},
		{"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname", "user.surname", text("surname")},
		{demoidp.ClaimEmail, "user.mail", text("mail")},
		{demoidp.ClaimName, "user.userprincipalname", text("userPrincipalName")},
		{demoidp.ClaimDisplayName, "user.displayname", text("displayName")},
		{"jobtitle", "user.jobtitle", text("jobTitle")},
		{"department", "user.department", text("department")},
	}
}

// alwaysSent returns the claims that Entra ID always sends, but does not list among an
// application's claims.
func alwaysSent() []ClaimRule {
	return []ClaimRule{
		{"http://schemas.microsoft.com/identity/claims/tenantid", "", func(_ directory.User, tenant directory.ID) string { return string(tenant) }},
		{demoidp.ClaimObjectID, "", func(u directory.User, _ directory.ID) string { return u.ObjectID }},
		{"http://schemas.microsoft.com/identity/claims/identityprovider", "", func(_ directory.User, tenant directory.ID) string { return issuerOf(tenant) }},
		{"http://schemas.microsoft.com/claims/authnmethodsreferences", "", func(directory.User, directory.ID) string {
			return "http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/password"
		}},
	}
}

// claimsOf returns the claims about a user. A claim without a value is left out.
func claimsOf(u directory.User, tenant directory.ID) []demoidp.Claim {
	var list []demoidp.Claim
	for _, r := range append(alwaysSent(), ClaimRules()...) {
		if v := r.valueOf(u, tenant); v != "" {
			list = append(list, demoidp.Claim{Name: r.Name, Values: []string{v}})
		}
	}
	return list
}
