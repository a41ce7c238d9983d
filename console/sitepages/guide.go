package sitepages

import (
	"html/template"
	"net/http"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/site"
)

// guidePage is the data of the view "guide": the setup guide with this site's values.
type guidePage struct {
	console.Page
	TenantURL       console.CopyValue
	SCIMURL, LogURL string // addresses of the page "SCIM integration" and of the request log
	SCIMEnabled     bool   // whether SCIM is on

	ActionsStep        template.HTML // the guide's step about "Target Object Actions"
	AcceptsGroups      bool          // whether the site accepts groups
	MatchesDisplayName bool          // whether userName must equal the claim with the display name

	Mappings []guideMapping // the rows of the attribute mapping table
	Problems []guideProblem // the rows of the table of problems
}

// guideMapping is a row of the attribute mapping table, exactly as the setup guide has it.
type guideMapping struct{ Source, Target, Precedence string }

// guideProblem is a problem as the administrator sees it in Entra, with its cause and its solution.
type guideProblem struct{ Symptom, Cause, Solution string }

func (p *Pages) showGuide(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	pg := v.page
	pg.Title = "Configure SCIM with Entra ID"
	pg.Lead = "The implementation guide, with the values of this site filled in. Keep this page and the Entra admin center open side by side."
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Access management", URL: v.url("admin/access")}, console.Crumb{Text: "SCIM integration", URL: v.url("admin/access/scim")})
	return p.show(w, r, http.StatusOK, "guide", guidePage{
		Page: pg, TenantURL: p.tenantURL(v), SCIMURL: v.url("admin/access/scim"), LogURL: v.url("admin/access/log?show=all"),
		SCIMEnabled: v.Site.SCIMEnabled, Mappings: guideMappings(), Problems: guideProblems(),
		ActionsStep: targetActionsStep(v.Site), AcceptsGroups: v.Site.Groups, MatchesDisplayName: v.Site.MatchesUserName == site.MatchesDisplayName,
	})
}

func guideMappings() []guideMapping {
	return []guideMapping{
		{"userPrincipalName", "userName", "1"},
		{`Switch([IsSoftDeleted], "False", "True", "True", "False")`, "active", ""},
		{"displayName", "displayName", ""},
		{"jobTitle", "title", ""},
		{"mail", `emails[type eq "work"].value`, ""},
		{"preferredLanguage", "preferredLanguage", ""},
		{"givenName", "name.givenName", ""},
		{"surname", "name.familyName", ""},
		{`Join(" ", [givenName], [surname])`, "name.formatted", ""},
		{"physicalDeliveryOfficeName", `addresses[type eq "work"].formatted`, ""},
		{"streetAddress", `addresses[type eq "work"].streetAddress`, ""},
		{"city", `addresses[type eq "work"].locality`, ""},
		{"state", `addresses[type eq "work"].region`, ""},
		{"postalCode", `addresses[type eq "work"].postalCode`, ""},
		{"country", `addresses[type eq "work"].country`, ""},
		{"telephoneNumber", `phoneNumbers[type eq "work"].value`, ""},
		{"mobile", `phoneNumbers[type eq "mobile"].value`, ""},
		{"facsimileTelephoneNumber", `phoneNumbers[type eq "fax"].value`, ""},
		{"mailNickname", "externalId", ""},
	}
}

func guideProblems() []guideProblem {
	return []guideProblem{
		{"Test Connection: 401", "The token is not the one that is live here: mistyped, revoked, expired, or the page was reloaded before it was saved.", "Generate a new token and enter it as Secret Token."},
		{"Test Connection: 403", "The token is right, and SCIM is off.", "Check Enable SCIM."},
		{"Test Connection: 404, or an HTML page", "The Tenant URL is not the one above.", "Copy it again; it ends in /auth/scim/v2."},
		{"Log: 501 on create", "Create is still ticked, and this site lets SCIM update only.", "Under Target Object Actions leave Update only."},
		{"Log: no match, every cycle", "userName does not equal what this site knows the person by, or the person has not signed in yet.", "Compare the user name on the person’s page here with userPrincipalName."},
		{"Log: 200, and the role stays", "Allow SCIM to manage user roles is off, or the value is none of Registered, Moderator, Admin.", "Check the box, or correct the mapping of userType."},
	}
}
