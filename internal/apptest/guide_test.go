package apptest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/apptest"
)

// demo is what `rollcall demo --json` prints.
type demo struct {
	URL           string `json:"url"`
	SignIn        string `json:"signIn"`
	Operator      string `json:"operator"`
	Administrator string `json:"administrator"`
	Person        string `json:"person"`
	TenantURL     string `json:"tenantUrl"`
	Database      string `json:"database"`
	KeyFile       string `json:"keyFile"`
}

func startDemo(t *testing.T, args ...string) (demo, *apptest.Process) {
	t.Helper()
	p := apptest.Start(t, nil, append([]string{"demo", "--json", "--listen", "127.0.0.1:0"}, args...)...)
	var d demo
	p.ReadJSON(t, &d)
	return d, p
}

// guideRows is the table of the guide, word for word, except for the empty default of Switch, and
// for userName: its row cannot be removed.
var guideRows = [][]string{
	{"userPrincipalName", "userName", "1", "Required"},
	{`Switch([IsSoftDeleted], , "False", "True", "True", "False")`, "active", "", "Delete"},
	{"displayName", "displayName", "", "Delete"},
	{"jobTitle", "title", "", "Delete"},
	{"mail", `emails[type eq "work"].value`, "", "Delete"},
	{"preferredLanguage", "preferredLanguage", "", "Delete"},
	{"givenName", "name.givenName", "", "Delete"},
	{"surname", "name.familyName", "", "Delete"},
	{`Join(" ", [givenName], [surname])`, "name.formatted", "", "Delete"},
	{"physicalDeliveryOfficeName", `addresses[type eq "work"].formatted`, "", "Delete"},
	{"streetAddress", `addresses[type eq "work"].streetAddress`, "", "Delete"},
	{"city", `addresses[type eq "work"].locality`, "", "Delete"},
	{"state", `addresses[type eq "work"].region`, "", "Delete"},
	{"postalCode", `addresses[type eq "work"].postalCode`, "", "Delete"},
	{"country", `addresses[type eq "work"].country`, "", "Delete"},
	{"telephoneNumber", `phoneNumbers[type eq "work"].value`, "", "Delete"},
	{"mobile", `phoneNumbers[type eq "mobile"].value`, "", "Delete"},
	{"facsimileTelephoneNumber", `phoneNumbers[type eq "fax"].value`, "", "Delete"},
	{"mailNickname", "externalId", "", "Delete"},
}

// TestGuide follows "Configure SCIM with Entra ID" on a fresh demo, in a real browser. Each
// sentence that asks for an action is a step of that name, in the guide's order, with the mistakes
// that people make. docs/guide.md maps its sentences to these steps, and shows the pictures that a
// run with ROLLCALL_SCREENSHOTS takes.
func TestGuide(t *testing.T) {
	t.Parallel()
	browser := apptest.OpenBrowser(t)
	d, process := startDemo(t)
	g := guide{T: t, demo: d, operator: browser.Window(t, "the operator"), kim: browser.Window(t, "Kim, administrator"), liam: browser.Window(t, "Liam"), isla: browser.Window(t, "Isla")}

	steps := []struct {
		name string
		do   func(*guide)
	}{
		{"sign in with the three links of the demo", (*guide).signIn},
		{"set up a SAML connection at /c/[your_site]/admin/access/authentication", (*guide).openAuthentication},
		{"enter the Identifier and the Reply URL at the identity provider", (*guide).configureSAML},
		{"import the metadata of the identity provider", (*guide).importMetadata},
		{"wrong turn: the test sign-in is not linked to the administrator yet", (*guide).testUnproved},
		{"choose the assertions, and Optional", (*guide).chooseAssertions},
		{"test the sign-in again: it passes", (*guide).testSignIn},
		{"a person signs in and gets an account", (*guide).personSignsIn},
		{"wrong turn: a person who has left signs in", (*guide).leaverSignsIn},
		{"in the left-hand menu click Provisioning then click Get started", (*guide).getStarted},
		{"for Provisioning Mode select Automatic", (*guide).selectAutomatic},
		{"enable SCIM at /c/[your_site]/admin/access/scim", (*guide).enableSCIM},
		{"generate a SCIM authorization token and save it", (*guide).generateToken},
		{"wrong turn: the token is lost after reloading the page", (*guide).loseToken},
		{"if it is lost, generate a new one", (*guide).generateAgain},
		{"check Allow SCIM to manage user roles", (*guide).allowRoles},
		{"enter the Tenant URL and the Secret Token", (*guide).enterCredentials},
		{"wrong turn: the lost token at Test Connection", (*guide).testLostToken},
		{"click Test Connection: a green checkmark appears in Tenant URL", (*guide).testConnection},
		{"don't forget to Save", (*guide).save},
		{"on Mappings set the mapping for Groups and Users", (*guide).mappings},
		{"the following attributes should be configured", (*guide).attributes},
		{"wrong turn: Create left on", (*guide).createLeftOn},
		{"set Target Object Actions to just Update", (*guide).justUpdate},
		{"people are in step", (*guide).inStep},
		{"active false: who is disabled in the directory is cut off at the next click", (*guide).disable},
		{"active true: enabled again, they are back", (*guide).enable},
	}
	for _, step := range steps {
		if !t.Run(step.name, func(t *testing.T) { g.on(t); step.do(&g) }) {
			t.Fatalf("the guide cannot be followed beyond %q\n%s", step.name, process.Stderr())
		}
	}
	g.on(t)
	for _, page := range g.visited {
		g.narrow(page)
	}
}

type guide struct {
	*testing.T
	demo
	operator, kim, liam, isla *apptest.Window
	lost, token               string
	visited                   []visit
}

// visit is a page to look at again, narrow and dark.
type visit struct {
	window *apptest.Window
	name   string
	url    string
}

// on makes failures fail the given step.
func (g *guide) on(t *testing.T) {
	g.T = t
	for _, w := range []*apptest.Window{g.operator, g.kim, g.liam, g.isla} {
		w.Report(t)
	}
}

// picture takes a picture for docs/guide.md, if the run takes pictures, and remembers the page.
func (g *guide) picture(w *apptest.Window, name string) {
	g.Helper()
	if !strings.Contains(w.URL(), "/generate") && !strings.Contains(w.URL(), "/test") && !strings.Contains(w.URL(), "/import") {
		g.visited = append(g.visited, visit{w, name, w.URL()})
	}
	if dir := os.Getenv("ROLLCALL_SCREENSHOTS"); dir != "" {
		w.Picture(filepath.Join(dir, name+".png"), true)
	}
}

// part takes a picture of a part of a long page, and remembers the page.
func (g *guide) part(w *apptest.Window, selector, name string) {
	g.Helper()
	g.visited = append(g.visited, visit{w, name, w.URL()})
	if dir := os.Getenv("ROLLCALL_SCREENSHOTS"); dir != "" {
		w.PictureOf(selector, filepath.Join(dir, name+".png"))
		w.Resize(1280, 900)
	}
}

// narrow checks a page 320 pixels wide: nothing may be cut off at the side.
func (g *guide) narrow(v visit) {
	g.Helper()
	v.window.Resize(320, 700)
	v.window.Open(v.url)
	if by := v.window.Overflows(); by > 0 {
		g.Errorf("%s is %d pixels wider than a window of 320", v.url, by)
	}
	if dir := os.Getenv("ROLLCALL_REVIEW"); dir != "" {
		v.window.Picture(filepath.Join(dir, v.name+"-320.png"), true)
		v.window.Resize(1280, 900)
		v.window.Dark(true)
		v.window.Open(v.url)
		v.window.Picture(filepath.Join(dir, v.name+"-dark.png"), true)
		v.window.Dark(false)
	}
	v.window.Resize(1280, 900)
}

func (g *guide) signIn() {
	g.operator.Open(g.Operator)
	g.operator.Clicks("Sign in as operator")
	g.operator.Sees("contoso")
	g.picture(g.operator, "directories")

	g.kim.Open(g.Administrator)
	g.kim.Clicks("Sign in as Kim Adler")
	g.kim.Sees("Kim Adler", "Admin")

	g.liam.Open(g.Person)
	g.liam.Clicks("Sign in as Liam O'Rourke")
	g.liam.Sees("Liam O'Rourke", "Registered")
	g.picture(g.liam, "home")

	// A link opens once.
	again := g.liam.URL()
	g.liam.Open(g.Person)
	g.liam.Sees("has been used already")
	g.liam.Open(again)
}

const nameClaim = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"

func (g *guide) openAuthentication() {
	// SCIM is locked until a person has signed in by SAML.
	g.kim.Open(g.demo.URL + "/c/acme/admin/access/scim")
	g.kim.Sees("Set up single sign-on first")
	g.kim.Clicks("Single sign-on", "Set up single sign-on first")
	if got, want := g.kim.URL(), g.demo.URL+"/c/acme/admin/access/authentication"; got != want {
		g.Errorf("Single sign-on is at %s, want %s", got, want)
	}
	g.kim.Sees("Not set up", "1 Give these to your identity provider", "Download metadata", "2 Get these from your identity provider", "3 Check", "Display Name Assertion")
	g.kim.SeesNot("Single sign-on needs https")
	g.part(g.kim, "section[aria-labelledby=give]", "sso-give")
}

func (g *guide) configureSAML() {
	g.operator.Open(g.demo.URL + "/d/contoso/applications")
	g.operator.Clicks("Acme")
	g.picture(g.operator, "application")
	g.operator.Clicks("Single sign-on")
	g.operator.Sees("1 Basic SAML Configuration", "2 Attributes & Claims", "3 SAML Certificates", "4 Set up Acme")
	for _, label := range []string{"Identifier (Entity ID)", "Reply URL (Assertion Consumer Service URL)"} {
		g.operator.Fills(label, g.kim.Value(label))
	}
	g.operator.Clicks("Save")
	g.operator.Sees("The SAML configuration was saved")
	g.picture(g.operator, "sso-company")
}

func (g *guide) importMetadata() {
	address := g.operator.Value("App Federation Metadata Url")
	g.kim.Fills("Metadata URL", address)
	g.kim.Clicks("Import")
	g.kim.Sees("The identity provider changes from nothing to https://sts.windows.net/", "The sign-in URL changes from nothing to "+g.SignIn, "The metadata URL changes from nothing to "+address)
	g.picture(g.kim, "sso-import")
	g.kim.Clicks("Save the identity provider")
	g.kim.Sees("The identity provider is saved. Test the sign-in now.", g.operator.Value("Microsoft Entra Identifier"))
}

// pick signs in at the company's sign-in page.
func (g *guide) pick(w *apptest.Window, name string) {
	g.Helper()
	w.Sees("Pick an account", "to continue to Acme")
	if !strings.HasPrefix(w.URL(), g.SignIn+"/") {
		g.Errorf("the sign-in page is at %s, want %s", w.URL(), g.SignIn)
	}
	w.Clicks(name)
}

func (g *guide) testUnproved() {
	g.kim.ClicksHere("Test sign-in")
	g.kim.Sees("Pick an account")
	g.picture(g.kim, "sso-pick")
	g.pick(g.kim, "Kim Adler")
	// An administrator's account opens only to an identity that was proved before.
	g.kim.Sees("The test failed.", "unproved", "Link this identity to me", "kim@contoso.example")
	g.part(g.kim, "#test", "sso-test-unproved")
	g.kim.Clicks("Link this identity to me")
	g.kim.Sees("Linked. You can sign in with single sign-on now.")
}

func (g *guide) chooseAssertions() {
	if got := g.kim.Value("Display Name Assertion"); got != nameClaim {
		g.Errorf("Display Name Assertion: got %q, want %q", got, nameClaim)
	}
	// Beside each assertion is what the test received.
	g.kim.Sees("Received: kim@contoso.example. With the guide's setting, SCIM's userName must have the same value.")
	if !g.kim.Ticked("Display name assertion", "SCIM userName matches") {
		g.Error("SCIM userName does not match the Display Name Assertion at first")
	}
	g.kim.Fills("Job title", "jobtitle")
	g.kim.Fills("Department", "department")
	g.kim.Ticks("Optional", true)
	g.kim.Clicks("Save", "It counts from the next sign-in on.")
	g.kim.Sees("Saved. Test the sign-in after each change.", "The settings have changed since. Test again.", "Received: Head of Internal Tools.")
	g.part(g.kim, "form:has(#displayName)", "sso-assertions")
}

func (g *guide) testSignIn() {
	g.kim.ClicksHere("Test sign-in")
	g.pick(g.kim, "Kim Adler")
	g.kim.Sees("The test passed.", "It would sign in kim@contoso.example.", "Checked: signature of the assertion, RSA-SHA256, audience, recipient")
	g.part(g.kim, "#test", "sso-test")
	// A test is no sign-in: the set-up of SCIM is still locked.
	g.kim.Open(g.demo.URL + "/c/acme/admin/access/scim")
	g.kim.Sees("Set up single sign-on first")
}

func (g *guide) personSignsIn() {
	g.kim.Open(g.demo.URL + "/c/acme/admin/people?q=isla")
	g.kim.SeesNot("Isla")
	g.isla.Open(g.demo.URL + "/c/acme/")
	g.isla.Clicks("Sign in with single sign-on")
	g.pick(g.isla, "Isla Moreau")
	g.isla.Sees("You are signed in as isla@contoso.example", "Registered")
	g.picture(g.isla, "sso-first-sign-in")
	// Her userName is the value of the Display Name Assertion.
	g.kim.Open(g.demo.URL + "/c/acme/admin/people?q=isla")
	g.kim.Clicks("isla@contoso.example")
	g.kim.Sees("isla@contoso.example", "Product Manager", "Product")
	g.picture(g.kim, "sso-account")
}

func (g *guide) leaverSignsIn() {
	g.isla.Open(g.demo.URL + "/c/acme/auth/saml2/login")
	g.pick(g.isla, "Carmen Ortega")
	g.isla.Sees("AADSTS50057: The user account is disabled.", "Correlation Id")
	g.picture(g.isla, "sso-refused")
	g.isla.Open(g.demo.URL + "/c/acme/")
	g.isla.Sees("isla@contoso.example") // she is signed in as before
}

func (g *guide) getStarted() {
	g.operator.Open(g.demo.URL + "/d/contoso/applications")
	g.operator.Clicks("Acme")
	g.operator.Clicks("Provisioning")
	g.picture(g.operator, "get-started")
	g.operator.Clicks("Get started")
}

func (g *guide) selectAutomatic() {
	g.operator.Chooses("Provisioning Mode", "Automatic")
	g.operator.Sees("Use Azure AD to manage the creation and synchronization of user accounts", "Admin Credentials", "Tenant URL", "Secret Token")
	g.picture(g.operator, "provisioning")
}

func (g *guide) enableSCIM() {
	g.kim.Open(g.demo.URL + "/c/acme/admin/access/scim")
	g.kim.SeesNot("Set up single sign-on first") // Isla has signed in
	g.kim.Sees("SCIM integration", "is a technology that connects your Identity Provider", "Generate a SCIM authorization token",
		"You'll need an authorization token to configure your Identity Provider.", "Allow SCIM to manage user roles")
	if g.kim.Ticked("Enable SCIM") {
		g.Error("SCIM is on at a new site")
	}
	// The guide has no Save here: the tick takes effect at once.
	g.kim.Ticks("Enable SCIM", true)
	g.kim.Sees("Not set up")
}

func (g *guide) generateToken() {
	g.kim.Clicks("Generate")
	g.kim.Sees("SCIM is on.") // although nobody saved
	g.kim.Sees("Generated", "Save this token", "You will not be able to retrieve this token again after reloading the page", "Copy to clipboard")
	g.lost = g.tokenShown()
	g.picture(g.kim, "token-generated")
}

// tokenShown returns the token in the answer to the form.
func (g *guide) tokenShown() string {
	g.Helper()
	for word := range strings.FieldsSeq(g.kim.Value("Authorization token")) {
		if strings.HasPrefix(word, "rollcall_") {
			return word
		}
	}
	g.Fatalf("no token on the page: %s", g.kim.Text())
	return ""
}

func (g *guide) loseToken() {
	g.kim.Reload()
	g.kim.Sees("Nothing new was made")
	g.kim.SeesNot(g.lost)
	g.kim.Back()
	g.kim.SeesNot(g.lost)
	g.kim.Open(g.demo.URL + "/c/acme/admin/access/scim")
	g.kim.SeesNot(g.lost)
	// The list has the lost token, and no second one.
	if rows := g.kim.Table("Token", "Created", "Last used"); len(rows) != 2 {
		g.Errorf("got %d rows in the table of live tokens, want the header and one", len(rows))
	}
}

func (g *guide) generateAgain() {
	g.kim.Clicks("Generate")
	g.kim.Sees("replace", "keep")
	g.picture(g.kim, "token-replace")
	g.kim.Clicks("Generate")
	g.kim.Sees("Generated", "Save this token")
	g.token = g.tokenShown()
	if g.token == g.lost {
		g.Error("the new token is the lost one")
	}
	g.kim.Clicks("Done, I have saved it")
	g.kim.SeesNot(g.token)
}

func (g *guide) allowRoles() {
	g.kim.Sees("Checking this box will allow you to promote and demote users from admin status using SCIM.")
	g.kim.Ticks("Allow SCIM to manage user roles", true)
	g.kim.Sees("Saved") // takes effect at once
	g.kim.Reload()
	if !g.kim.Ticked("Allow SCIM to manage user roles") {
		g.Error("Allow SCIM to manage user roles is not checked after it was saved")
	}
	g.picture(g.kim, "scim-integration")
	if got := g.kim.Value("Tenant URL"); got != g.TenantURL {
		g.Errorf("Tenant URL: got %q, want %q", got, g.TenantURL)
	}
}

func (g *guide) enterCredentials() {
	g.operator.Chooses("Provisioning Mode", "Automatic")
	g.operator.Fills("Tenant URL", g.TenantURL)
	g.operator.Fills("Secret Token", g.lost)
}

func (g *guide) testLostToken() {
	g.operator.Clicks("Test Connection")
	g.operator.Sees("The token is missing, wrong, expired or revoked")
	if g.operator.Has("#tenantURL-works") {
		g.Error("a check mark although the connection was refused")
	}
	g.picture(g.operator, "test-connection-refused")
}

func (g *guide) testConnection() {
	g.operator.Fills("Secret Token", g.token)
	g.operator.Clicks("Test Connection")
	g.operator.Sees("The supplied credentials are authorized to enable provisioning")
	if !g.operator.Has("#tenantURL-works") {
		g.Error("no check mark in Tenant URL")
	}
	g.picture(g.operator, "test-connection")
}

func (g *guide) save() {
	g.operator.Clicks("Save")
	g.operator.Sees("Mappings", "Restore default mappings", "Provisioning Status")
	g.operator.SeesNot(g.token)
	g.picture(g.operator, "provisioning-saved")
}

func (g *guide) mappings() {
	g.operator.Sees("Mappings allow you to define how data should flow between Azure Active Directory and customappsso.")
	want := [][]string{{"Name", "Enabled"}, {"Provision Azure Active Directory Groups", "Yes"}, {"Provision Azure Active Directory Users", "Yes"}}
	if diff := cmp.Diff(g.operator.Table("Name", "Enabled"), want); diff != "" {
		g.Errorf("mappings (-got +want):\n%s", diff)
	}
}

func (g *guide) attributes() {
	g.operator.Clicks("Provision Azure Active Directory Users")
	g.operator.Sees("Attribute mappings define how attributes are synchronized between Azure Active Directory and customappsso")
	g.operator.Sees("Source Object Scope", "All records", "Target Object", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User")
	headings := []string{"Azure Active Directory Attribute", "customappsso Attribute", "Matching precedence", "Remove"}
	if diff := cmp.Diff(g.operator.Table(headings...), slices.Concat([][]string{headings}, guideRows)); diff != "" {
		g.Errorf("attribute mappings (-got +want):\n%s", diff)
	}
}

func (g *guide) createLeftOn() {
	if !g.operator.Ticked("Create") || !g.operator.Ticked("Update") || !g.operator.Ticked("Delete") {
		g.Error("a new mapping does not have all Target Object Actions")
	}
	g.openProvisioning()
	g.operator.Ticks("On", true, "Provisioning Status")
	g.operator.Clicks("Save")
	g.operator.Awaits(g.demo.URL+"/d/contoso/applications/Acme/provisioning/logs?status=failure", "Noah Feldman")
	g.operator.Sees("NotImplemented")
	g.picture(g.operator, "logs")
	g.operator.Clicks("Noah Feldman")
	g.operator.Sees("Troubleshooting & Recommendations", "Set Target Object Actions to Update only")
	g.picture(g.operator, "log-create-refused")

	g.kim.Open(g.demo.URL + "/c/acme/admin/access/log")
	g.kim.Sees("User creation over SCIM is off for this site")
	g.picture(g.kim, "request-log")
}

func (g *guide) openProvisioning() {
	g.Helper()
	g.operator.Open(g.demo.URL + "/d/contoso/applications/Acme/provisioning")
}

func (g *guide) justUpdate() {
	g.openProvisioning()
	g.operator.Clicks("Provision Azure Active Directory Users")
	g.operator.Ticks("Create", false)
	g.operator.Ticks("Delete", false)
	g.picture(g.operator, "mapping")
	g.operator.Clicks("Save")
	g.operator.Sees("saved")
	g.openProvisioning()
	g.operator.Clicks("Provision Azure Active Directory Users")
	if g.operator.Ticked("Create") || !g.operator.Ticked("Update") || g.operator.Ticked("Delete") {
		g.Error("Target Object Actions are not just Update after Save")
	}
}

func (g *guide) inStep() {
	// The site had her as Hana Horvat; the directory has the right name.
	g.kim.Awaits(g.demo.URL+"/c/acme/admin/people?q=hana", "Hana Kovačević")
	g.kim.Open(g.demo.URL + "/c/acme/admin/people?q=carmen")
	g.kim.Sees("Carmen Ortega", "Deactivated")
	g.kim.Open(g.demo.URL + "/c/acme/admin/people")
	g.picture(g.kim, "people")
	// With only Update, nobody is created, and nobody is reported as an error.
	g.operator.Awaits(g.demo.URL+"/d/contoso/applications/Acme/provisioning/logs?search=noah&status=skipped", "Noah Feldman")
	g.openProvisioning()
	g.picture(g.operator, "provisioning-running")
	g.operator.Open(g.demo.URL + "/d/contoso/applications/Acme/provisioning/plan")
	g.operator.Clicks("Make a plan")
	g.operator.Sees("Looked at")
	g.picture(g.operator, "plan")
}

func (g *guide) disable() {
	// SCIM has found the account that Isla's sign-in made: it is one account.
	g.kim.Awaits(g.demo.URL+"/c/acme/admin/people?q=isla", "Isla Moreau")
	g.isla.Open(g.demo.URL + "/c/acme/")
	g.isla.Sees("Isla Moreau")
	g.operator.Open(g.demo.URL + "/d/contoso/users?search=isla")
	g.operator.Clicks("Isla Moreau")
	g.operator.Clicks("Disable")
	g.operator.Sees("Acme")
	g.operator.Clicks("Disable")
	g.operator.Sees("Isla Moreau", "Disabled")
	g.picture(g.operator, "user-disabled")

	g.kim.Awaits(g.demo.URL+"/c/acme/admin/access/log?q=isla", "Deactivated · 1 session ended")
	g.picture(g.kim, "request-log-deactivated")
	// Isla's next click.
	g.isla.Open(g.demo.URL + "/c/acme/")
	g.isla.SeesNot("Isla Moreau")
	g.isla.Sees("Sign in")
	g.picture(g.isla, "signed-out")
	// The company does not let her sign in again, and nobody else is concerned.
	g.isla.Clicks("Sign in with single sign-on")
	g.pick(g.isla, "Isla Moreau")
	g.isla.Sees("AADSTS50057: The user account is disabled.")
	g.liam.Open(g.demo.URL + "/c/acme/")
	g.liam.Sees("Liam O'Rourke", "Registered")
}

func (g *guide) enable() {
	g.operator.Clicks("Enable")
	g.operator.Sees("the account is switched on again")
	g.operator.Clicks("Enable")
	g.kim.Awaits(g.demo.URL+"/c/acme/admin/access/log?q=isla", "Reactivated")
	g.isla.Open(g.demo.URL + "/c/acme/")
	g.isla.Clicks("Sign in with single sign-on")
	g.pick(g.isla, "Isla Moreau")
	g.isla.Sees("Isla Moreau", "Registered")
}
