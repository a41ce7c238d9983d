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
	TenantURL console.CopyValue
	SCIM, Log string // addresses of the page SCIM integration and of the request log
	Enabled   bool   // whether SCIM is on

	ActionsStep template.HTML // the step on Target Object Actions
	Groups      bool          // whether the site accepts groups
	DisplayName bool          // whether userName must match the display name assertion

	Mappings []guideMapping // the rows of the attribute mapping table
	Trouble  []guideTrouble // the table of problems
}

// guideMapping is a row of the guide's attribute mapping table, copied exactly.
type guideMapping struct{ Source, Target, Precedence string }

// guideTrouble is a problem as seen in Entra, with its cause and its solution.
type guideTrouble struct{ Symptom, Cause, Solution string }

func (p *Pages) showGuide(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	pg := v.page
	pg.Title = "Configure SCIM with Entra ID"
	pg.Lead = "The implementation guide, with the values of this site filled in. Keep this page and the Entra admin center open side by side."
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Access management", URL: v.url("admin/access")}, console.Crumb{Text: "SCIM integration", URL: v.url("admin/access/scim")})
	return p.show(w, r, http.StatusOK, "guide", guidePage{
		Page: pg, TenantURL: p.tenantURL(v), SCIM: v.url("admin/access/scim"), Log: v.url("admin/access/log?show=all"),
		Enabled: v.Site.SCIMEnabled, Mappings: guideMappings(), Trouble: guideTroubles(),
		ActionsStep: targetActions(v.Site), Groups: v.Site.Groups, DisplayName: v.Site.MatchesUserName == site.MatchesDisplayName,
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

func guideTroubles() []guideTrouble {
	return []guideTrouble{
		{"Test Connection: 401", "The token is not the one that is live here: mistyped, revoked, expired, or the page was reloaded before it was saved.", "Generate a new token and enter it as Secret Token."},
		{"Test Connection: 403", "The token is right, and SCIM is off.", "Check Enable SCIM."},
		{"Test Connection: 404, or an HTML page", "The Tenant URL is not the one above.", "Copy it again; it ends in /auth/scim/v2."},
		{"Log: 501 on create", "Create is still ticked, and this site lets SCIM update only.", "Under Target Object Actions leave Update only."},
		{"Log: no match, every cycle", "userName does not equal what this site knows the person by, or the person has not signed in yet.", "Compare the user name on the person’s page here with userPrincipalName."},
		{"Log: 200, and the role stays", "Allow SCIM to manage user roles is off, or the value is none of Registered, Moderator, Admin.", "Check the box, or correct the mapping of userType."},
	}
}
