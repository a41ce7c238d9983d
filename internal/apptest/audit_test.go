package apptest_test

import (
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/apptest"
	"github.com/rollcall-scim/rollcall/internal/storetest"
)

// trailRow says what the audit trail must record about one kind of event.
type trailRow struct {
	by      string // the kinds of actors that cause the event in the journey, in order
	changes string // names of what changes, separated by commas; empty if nothing does, or if it differs from case to case
}

// trail lists every event that exists. A name without a row fails the test, and so does a row whose
// event the journey does not cause.
func trail() map[string]trailRow {
	return map[string]trailRow{
		"user.created": {"admin command token", "userName,userPrincipalName"}, "user.updated": {"command token", ""},
		"user.deleted": {"command token", ""}, "user.erased": {"command", ""},
		"user.deactivated": {"admin token", "active"}, "user.reactivated": {"token", "active"}, "user.revived": {"token", "active"},
		"user.role_changed": {"command token", "userType"}, "user.identified": {"command", ""},
		"user.blocked": {"admin command", "blocked,active"}, "user.unblocked": {"command", "blocked"}, "user.block_changed": {"token", "active once unblocked"},
		"user.change_held": {"token", "userName (asked for)"}, "user.change_applied": {"command", "userName"},
		"user.change_refused": {"command", "userName (asked for)"}, "user.change_withdrawn": {"token", "userName (asked for)"},
		"user.signed_out": {"admin", ""}, "user.signed_out_everywhere": {"admin command", ""},
		"user.enabled": {"command", "accountEnabled"}, "user.disabled": {"command", "accountEnabled"}, "user.restored": {"command", "deleted"}, "user.purged": {"command", ""},
		"group.created": {"command token", ""}, "group.updated": {"command token", ""}, "group.deleted": {"command token", ""},
		"group.restored": {"command", "deleted"}, "group.purged": {"command", ""}, "group.member_added": {"command", ""}, "group.member_removed": {"command", ""},
		"resource.created": {"token", ""}, "resource.updated": {"token", "serial"}, "resource.deleted": {"token", ""},
		"site.created": {"command", ""}, "site.renamed": {"command", "name"}, "site.deleted": {"command", "name"}, "site.profile_changed": {"command", "profile"},
		"site.scim_enabled": {"command", "scimEnabled"}, "site.scim_disabled": {"command", "scimEnabled"},
		"site.roles_managed": {"command", "manageRoles"}, "site.roles_unmanaged": {"command", "manageRoles"},
		"site.strict_enabled": {"command", "strict"}, "site.strict_disabled": {"command", "strict"},
		"site.creates_changed": {"command", "creates"}, "site.revives_changed": {"command", "revives"}, "site.deletes_changed": {"command", "deletes"},
		"site.groups_changed": {"command", "groups"}, "site.group_names_changed": {"command", "sharedGroupNames"}, "site.rate_limit_changed": {"command", "rateLimit"},
		"site.searchable_declared": {"command", "searchable"}, "site.searchable_withdrawn": {"command", "searchable"}, "site.schemas_changed": {"command", "schemas"},
		"token.created": {"command", ""}, "token.revoked": {"command", "live"},
		"sign_in.link_created": {"command", ""}, "sign_in.link_used": {"person", ""}, "sign_in.link_refused": {"anybody", ""},
		"page.refused":      {"anybody person", ""},
		"directory.created": {"command", ""}, "directory.renamed": {"command", "name"}, "directory.changed": {"command", "default domain"}, "directory.deleted": {"command", ""}, "directory.imported": {"command", ""}, "directory.group_changed": {"command", ""},
		"application.created": {"command", ""}, "application.renamed": {"command", "name"}, "application.deleted": {"command", ""},
		"application.role_created": {"command", "value"}, "application.role_changed": {"command", "displayName"}, "application.role_deleted": {"command", ""},
		"assignment.added": {"command", ""}, "assignment.changed": {"command", "role"}, "assignment.removed": {"command", ""},
		"provisioning.created": {"command", "Tenant URL"}, "provisioning.saved": {"command", ""}, "provisioning.started": {"command", "Provisioning Status"},
		"provisioning.paused": {"command", "Provisioning Status"}, "provisioning.restarted": {"command", ""},
		"provisioning.mapping_changed": {"operator", ""}, "provisioning.mappings_restored": {"operator", ""}, "provisioning.schema_changed": {"command", ""},
		"provisioning.secret_discarded": {"command", ""}, "provisioning.connection_tested": {"command operator", ""},
		"provisioning.quarantined": {"job", ""}, "provisioning.released": {"job", ""},
		"operator.link_created": {"command", ""}, "operator.signed_in": {"operator", ""}, "operator.signed_out": {"operator", ""},
		"operator.signed_out_everywhere": {"command operator", ""}, "operator.removed": {"command", ""},
		"key.created": {"command", "name,level"}, "key.revoked": {"command", "live"},
		"notification.added": {"command", "address,topics"}, "notification.removed": {"command", "address,topics"},
		"webhook.added": {"command", "host,topics"}, "webhook.changed": {"command", "description"}, "webhook.secret_rotated": {"command", ""},
		"webhook.enabled": {"command", ""}, "webhook.disabled": {"command", ""}, "webhook.removed": {"command", "host,topics"},
		"retention.changed": {"command", "reads"}, "database.restored": {"command", ""},
		"export.users": {"command operator", ""}, "export.groups": {"command", ""}, "export.request_log": {"admin", ""}, "export.audit": {"admin command operator", ""},
	}
}

// elsewhere lists the events that the journey cannot cause in a short time, with the test that
// causes each.
func elsewhere() map[string]string {
	return map[string]string{
		"provisioning.behind":        "provision.TestAJobThatIsPausedLongerThanEventsAreKeptLosesNobody",
		"provisioning.late":          "provision.TestStatusSaysWhoWaitsAndWhoFails",
		"provisioning.plan_approved": "provision.TestAPlanOfWhatIsOnHold", "provisioning.plan_applied": "provision.TestAPlanOfWhatIsOnHold",
		"provisioning.plan_waits":     "provision.TestAScheduleTakesNoAccessAway",
		"provisioning.plan_cancelled": "provision.TestAPlanOfWhatIsOnHold",
		"provisioning.on_demand":      "provision.TestOnDemandLeavesWhatIsOnHold",
		"provisioning.drift_found":    "provision.TestDrift", "provisioning.drift_adopted": "provision.TestAdoptDrift", "provisioning.drift_scheduled": "provision.TestDriftOnASchedule", "provisioning.accounts_discovered": "provision.TestDiscovery", "provisioning.groups_discovered": "provision.TestDiscoveryOfGroups", "provisioning.accounts_kept": "provision.TestKeepAndAssign", "provisioning.accounts_not_kept": "provision.TestKeepAndAssign", "export.accounts": "console.TestDiscoveredPages",
		"provisioning.held": "provision.TestGuard", "provisioning.approved": "provision.TestGuard", "provisioning.rejected": "provision.TestGuard",
		"provisioning.connected": "provision.TestConnectByHand", "provisioning.connection_forgotten": "provision.TestForgetConnection",
		"provisioning.deleted":        "provision.TestSave", // no command or page causes it
		"operator.identity_linked":    "operator.TestOperatorsSignInByOpenIDConnect",
		"operator.identity_unlinked":  "operator.TestOperatorsSignInByOpenIDConnect",
		"operator.sign_in_refused":    "operator.TestOperatorsSignInByOpenIDConnect",
		"key.expiring":                "notification.TestAKeyThatExpiresSoonIsToldOnce",
		"notification.stopped":        "notification.TestMailThatIsRefusedIsTriedForThreeDays",
		"webhook.stopped":             "notification.TestAnEndpointThatFailsForDaysIsDisabled",
		"notification.resumed":        "notification.TestMailThatIsRefusedIsTriedForThreeDays",
		"site.sso_changed":            "signin.TestSSO",
		"site.sso_refreshed":          "signin.TestMetadataIsRefreshed",
		"site.sso_refresh_failed":     "signin.TestMetadataIsRefreshed",
		"site.sso_key_made":           "signin.TestAKeyIsRotatedInThreeSteps",
		"site.sso_key_used":           "signin.TestAKeyIsRotatedInThreeSteps",
		"site.sso_key_removed":        "signin.TestAKeyIsRotatedInThreeSteps",
		"site.setup_unlocked":         "console.TestTheSetUpOfSCIMIsLockedUntilASignInSucceeded",
		"sign_in.sso_used":            "signin.TestSSO",
		"sign_in.sso_refused":         "signin.TestSSO",
		"sign_in.sso_dismissed":       "signin.TestConflictsWaitForAnAdministrator",
		"sign_in.sso_ended":           "signin.TestSingleSignOut",
		"sign_in.sso_end_refused":     "signin.TestSingleSignOut",
		"sign_in.sso_tested":          "signin.TestSSO",
		"sign_in.recovery_codes_made": "signin.TestRecoveryCodes",
		"sign_in.recovery_used":       "signin.TestRecoveryCodes",
		"sign_in.recovery_refused":    "signin.TestRecoveryCodes",
		"user.unidentified":           "roster.TestAsserted",
		"site.setting_changed":        "site.TestASettingWithoutAnEventOfItsOwnHasTheCommonOne",
	}
}

const userAgent = "audit-journey/1 (Firefox)"

// visitor is a browser, or an identity provider.
type visitor struct {
	t      *testing.T
	base   string
	client http.Client
	token  string
}

func newVisitor(t *testing.T, base, token string) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, base: base, token: token, client: http.Client{Jar: jar}}
}

// send sends a form, or SCIM if there is a token. The status must be one of want, or below 400 if
// want is empty.
func (v *visitor) send(method, path, body string, want ...int) string {
	v.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = v.base + path
	}
	r, err := http.NewRequestWithContext(v.t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if v.token != "" {
		r.Header.Set("Authorization", "Bearer "+v.token)
		r.Header.Set("Content-Type", "application/scim+json")
	}
	a, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	if len(want) == 0 && a.StatusCode >= 400 || len(want) > 0 && !slices.Contains(want, a.StatusCode) {
		v.t.Fatalf("%s %s: got %d\n%s", method, path, a.StatusCode, text)
	}
	return string(text)
}

func (v *visitor) get(path string, want ...int) string {
	v.t.Helper()
	return v.send(http.MethodGet, path, "", want...)
}

func (v *visitor) post(path string, form url.Values, want ...int) string {
	v.t.Helper()
	return v.send(http.MethodPost, path, form.Encode(), want...)
}

// make sends a SCIM POST and returns the id of the new resource.
func (v *visitor) make(path, body string) string {
	v.t.Helper()
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(v.send(http.MethodPost, path, body)), &made); err != nil || made.ID == "" {
		v.t.Fatalf("POST %s: no id, %v", path, err)
	}
	return made.ID
}

func (v *visitor) patch(path, attribute, value string) {
	v.t.Helper()
	v.send(http.MethodPatch, path, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"`+attribute+`","value":`+value+`}]}`)
}

// cookies returns the values of the visitor's cookies at a path.
func (v *visitor) cookies(path string) (values []string) {
	u, err := url.Parse(v.base + path)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, c := range v.client.Jar.Cookies(u) {
		if strings.HasPrefix(c.Name, "rollcall-site") || strings.HasPrefix(c.Name, "rollcall-operator") {
			values = append(values, c.Value)
		}
	}
	return values
}

// journey causes every event, by the command line, the pages and SCIM.
type journey struct {
	t       *testing.T
	env     []string
	dir     string
	key     string
	server  server
	secrets map[string]string
}

func (j *journey) run(args ...string) string {
	j.t.Helper()
	return strings.TrimSpace(apptest.Run(j.t, j.env, args...))
}

func (j *journey) file(name, text string) string {
	j.t.Helper()
	path := filepath.Join(j.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		j.t.Fatal(err)
	}
	return path
}

// follow signs a visitor in with the link that a command printed.
func (j *journey) follow(v *visitor, printed string) {
	j.t.Helper()
	link := regexp.MustCompile(`http\S+`).FindString(printed)
	j.secrets["link "+link[len(link)-4:]] = link[strings.LastIndex(link, "/")+1:]
	v.post(link, nil)
}

func (j *journey) site() {
	j.run("site", "create", "acme", "--profile", "full")
	j.run("site", "set", "acme", "--strict", "--manage-roles", "--revive", "--delete", "deactivate", "--create", "refuse", "--rate-limit", "5000", "--shared-group-names")
	j.run("site", "set", "acme", "--strict=false", "--groups=false", "--shared-group-names=false", "--rate-limit", "0", "--enable-scim")
	j.run("site", "set", "acme", "--enable-scim=false", "--profile", "documented")
	j.run("site", "set", "acme", "--profile", "full", "--delete", "delete", "--enable-scim", "--groups", "--create", "create")
	people := "userName,userIdentifier,role\nkim@acme.example,kim-1,Admin\ncy@acme.example,,Registered\nmod@acme.example,,Registered\n"
	j.run("site", "import-people", "acme", j.file("people.csv", people))
	j.run("site", "import-people", "acme", j.file("people.csv", strings.Replace(people, "mod@acme.example,,Registered", "mod@acme.example,,Moderator", 1)))
	j.run("site", "schema", "set", "acme", j.file("schemas.json", `{"schemas": [{"id": "urn:example:Device", "attributes": [{"name": "serial"}]}],
		"resourceTypes": [{"name": "Device", "endpoint": "/Devices", "schema": "urn:example:Device"}]}`))
	j.run("site", "searchable", "add", "acme", "User", "title")
	j.run("site", "searchable", "remove", "acme", "User", "title")
	j.run("site", "create", "gone")
	j.run("site", "delete", "gone", "--yes")
}

func (j *journey) scim() {
	token := j.run("token", "create", "acme", "--name", "Entra")
	j.secrets["SCIM token"] = token
	v := newVisitor(j.t, j.server.url+"/c/acme/auth/scim/v2", token)
	user := func(name string) string {
		return `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"` + name + `","displayName":"D","emails":[{"type":"work","value":"` + name + `"}]}`
	}
	ada := v.make("/Users", user("ada@acme.example"))
	v.patch("/Users/"+ada, "title", `"Analyst"`)
	v.patch("/Users/"+ada, "active", "false")
	v.patch("/Users/"+ada, "active", "true")
	v.patch("/Users/"+ada, "userType", `"Moderator"`)
	bo := v.make("/Users", user("bo@acme.example"))
	v.patch("/Users/"+bo, "active", "false")
	v.make("/Users", user("bo@acme.example"))
	v.send(http.MethodDelete, "/Users/"+bo, "")
	group := v.make("/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"G"}`)
	v.patch("/Groups/"+group, "displayName", `"H"`)
	v.send(http.MethodDelete, "/Groups/"+group, "")
	device := v.make("/Devices", `{"schemas":["urn:example:Device"],"serial":"1"}`)
	v.patch("/Devices/"+device, "serial", `"2"`)
	v.send(http.MethodDelete, "/Devices/"+device, "")
	// The token in a place where it does not belong.
	v.get("/Users?apikey="+token, 200, 400)
	v.get("/Users/"+token, 404)

	j.run("site", "block", "acme", "ada@acme.example")
	v.patch("/Users/"+ada, "active", "false")
	v.patch("/Users/"+ada, "active", "true")
	j.run("site", "unblock", "acme", "ada@acme.example")
	j.run("site", "set", "acme", "--manage-roles=false")
	v.patch("/Users/"+ada, "userName", `"mallory@acme.example"`)
	v.patch("/Users/"+ada, "userName", `"ada@acme.example"`)
	v.patch("/Users/"+ada, "userName", `"ada2@acme.example"`)
	j.run("site", "held", "refuse", "acme", "ada@acme.example", "userName")
	v.patch("/Users/"+ada, "userName", `"ada3@acme.example"`)
	j.run("site", "held", "apply", "acme", "ada@acme.example", "userName")
}

func (j *journey) administrator() {
	kim, mod, stranger := newVisitor(j.t, j.server.url, ""), newVisitor(j.t, j.server.url, ""), newVisitor(j.t, j.server.url, "")
	j.follow(kim, j.run("site", "link", "acme", "kim@acme.example"))
	j.follow(mod, j.run("site", "link", "acme", "mod@acme.example"))
	j.secrets["session of a site"] = kim.cookies("/c/acme/")[0]
	people := "/c/acme/admin/people/"
	id := func(name string) string {
		m := regexp.MustCompile(people + `([0-9a-f]{32})`).FindStringSubmatch(kim.get("/c/acme/admin/people?q=" + name))
		if m == nil {
			j.t.Fatalf("no page of %s", name)
		}
		return m[1]
	}
	cy := id("cy@")
	kim.post(people+cy+"/block", nil)
	j.run("site", "unblock", "acme", "cy@acme.example")
	kim.post(people+cy+"/deactivate", nil)
	j.run("site", "erase", "acme", "cy@acme.example", "--yes")
	kim.get("/c/acme/admin/access/log/export?q=ada")
	kim.get("/c/acme/admin/audit/export?format=json&q=" + j.secrets["SCIM token"])
	kim.post(people+id("mod@")+"/sign-out", nil)
	j.follow(mod, j.run("site", "link", "acme", "mod@acme.example"))
	mod.get("/c/acme/admin/people", 403)
	j.run("site", "sign-out", "acme", "mod@acme.example", "--yes")
	kim.post("/c/acme/sign-out", nil, 401)
	stranger.get("/c/acme/admin/people", 401)
	stranger.get("/d/", 401)
	stranger.get("/c/acme/sign-in/"+strings.Repeat("A", 43), 410)
	stranger.get("/d/sign-in/"+strings.Repeat("A", 43), 410)
	first := newVisitor(j.t, j.server.url, "")
	j.run("site", "create", "fresh")
	link := regexp.MustCompile(`http\S+`).FindString(j.run("site", "link", "fresh"))
	first.post(link, url.Values{"name": {"Lee"}, "email": {"lee@fresh.example"}})
	j.run("token", "revoke", "acme", j.secrets["SCIM token"][len(j.secrets["SCIM token"])-4:])
	j.run("site", "rename", "acme", "acme2", "--yes")
}

// groups makes the events of a directory's groups and of an application's roles.
func (j *journey) groups() {
	j.run("directory", "group", "create", "contoso", "Sales")
	j.run("directory", "group", "set", "contoso", "Sales", "displayName=Sales Europe")
	j.run("directory", "group", "member", "add", "contoso", "Sales Europe", "ada@contoso.example")
	j.run("app", "role", "create", "contoso", "Acme", "editor")
	j.run("app", "role", "set", "contoso", "Acme", "editor", "--display-name", "Editor")
	j.run("app", "assign", "contoso", "Acme", "ada@contoso.example", "--role", "editor")
	j.run("app", "unassign", "contoso", "Acme", "ada@contoso.example")
	j.run("app", "assign", "contoso", "Acme", "--group", "Sales Europe")
	j.run("app", "assign", "contoso", "Acme", "--group", "Sales Europe", "--role", "editor")
	j.run("app", "unassign", "contoso", "Acme", "--group", "Sales Europe")
	j.run("app", "role", "delete", "contoso", "Acme", "editor")
	j.run("directory", "group", "member", "remove", "contoso", "Sales Europe", "ada@contoso.example")
	for _, act := range []string{"delete", "restore", "delete"} {
		j.run("directory", "group", act, "contoso", "Sales Europe")
	}
	j.run("directory", "group", "purge", "contoso", "Sales Europe", "--yes")
	j.run("directory", "export-groups", "contoso")
}

func (j *journey) directory() {
	j.run("directory", "create", "contoso")
	j.run("directory", "set", "contoso", "--default-domain", "contoso.example")
	j.run("directory", "import", "contoso", j.file("users.csv", "userPrincipalName,displayName\nada@contoso.example,Ada\nbo@contoso.example,Bo\n"))
	j.run("directory", "user", "set", "contoso", "ada@contoso.example", "jobTitle=Boss")
	for _, act := range []string{"disable", "enable", "delete", "restore", "delete"} {
		j.run("directory", "user", act, "contoso", "bo@contoso.example")
	}
	j.run("directory", "user", "purge", "contoso", "bo@contoso.example", "--yes")
	j.run("directory", "user", "add", "contoso", "cy@contoso.example")
	j.run("directory", "user", "delete", "contoso", "cy@contoso.example")
	j.run("directory", "user", "erase", "contoso", "cy@contoso.example", "--yes")
	j.run("directory", "export", "contoso")
	key := j.run("directory", "key", "create", "contoso", "--name", "nightly")
	j.secrets["API key"] = key
	j.run("directory", "key", "revoke", "contoso", key[len(key)-4:])
	j.run("notification", "add", "contoso", "it@contoso.example", "--about", "held")
	j.run("notification", "remove", "contoso", "it@contoso.example")
	j.secrets["secret of a webhook"] = j.run("webhook", "add", "contoso", "http://127.0.0.1:9/hook", "--description", "Old")
	j.run("webhook", "set", "contoso", "Old", "--description", "Hook")
	j.secrets["new secret of a webhook"] = j.run("webhook", "rotate", "contoso", "Hook")
	j.run("webhook", "disable", "contoso", "Hook")
	j.run("webhook", "enable", "contoso", "Hook")
	j.run("webhook", "remove", "contoso", "Hook")
	j.run("directory", "create", "gone")
	j.run("directory", "delete", "gone", "--yes")

	j.run("token", "create", "fresh")
	secret := "s3cr3t-of-the-application-9d1f"
	j.secrets["Secret Token"] = secret
	bad, good := j.file("bad", secret), j.file("good", j.run("token", "create", "fresh", "--replace"))
	tenant := j.server.url + "/c/fresh/auth/scim/v2"
	j.run("app", "create", "contoso", "Acme", "--tenant-url", tenant, "--secret-token-file", bad, "--actions", "create,update", "--start")
	j.run("app", "assign", "contoso", "Acme", "ada@contoso.example")
	j.run("app", "unassign", "contoso", "Acme", "ada@contoso.example")
	j.groups()
	if _, _, err := apptest.Try(j.t, j.env, "provision", "test", "contoso", "Acme"); err == nil {
		j.t.Error("the connection works with a wrong token")
	}
	j.await("provisioning.quarantined")
	j.run("app", "set", "contoso", "Acme", "--secret-token-file", good)
	j.await("provisioning.released")
	j.run("app", "set", "contoso", "Acme", "--secret-token-file", bad)
	j.run("provision", "pause", "contoso", "Acme")
	j.run("provision", "start", "contoso", "Acme")
	j.run("provision", "restart", "contoso", "Acme")
	j.run("provision", "pause", "contoso", "Acme")
	schema := j.run("app", "export-schema", "contoso", "Acme")
	j.run("app", "import-schema", "contoso", "Acme", j.file("mappings.json", strings.Replace(schema, `"Switch(`, `"Switch( `, 1)))

	sam, lee := newVisitor(j.t, j.server.url, ""), newVisitor(j.t, j.server.url, "")
	j.follow(sam, j.run("operator", "link", "sam"))
	j.follow(lee, j.run("operator", "link", "lee"))
	j.secrets["session of an operator"] = sam.cookies("/d/")[0]
	at := "/d/contoso/applications/Acme/provisioning"
	mapping := at + "/mappings/" + url.PathEscape("Provision Azure Active Directory Users")
	form := hidden(sam.get(mapping))
	form.Set("enabled", "yes")
	form.Set("update", "yes")
	sam.post(mapping, form)
	sam.post(at+"/restore", hidden(sam.get(at+"/restore")))
	sam.post(at+"/test", url.Values{"mode": {"Automatic"}, "tenantURL": {tenant}, "secretToken": {secret}})
	sam.get("/d/contoso/users/export")
	sam.get("/d/-/audit/export?kind=user.")
	j.run("audit", "--csv", "--search", "ada")
	j.run("audit", "--csv", "--directory", "contoso")
	sam.post("/d/sign-out", nil, 401)
	lee.post("/d/-/account/sign-out", nil, 401)
	j.run("operator", "sign-out", "sam", "--yes")
	j.run("operator", "remove", "sam")
	j.run("app", "create", "contoso", "Sealed", "--tenant-url", tenant, "--secret-token-file", bad)
	j.run("app", "rename", "contoso", "Acme", "Beta")
	j.run("app", "delete", "contoso", "Beta", "--yes")
	j.run("directory", "rename", "contoso", "contoso2")
	j.run("retention", "set", "--reads", "40d")
}

// hidden returns the hidden fields of a page.
func hidden(page string) url.Values {
	form := url.Values{}
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		form.Add(m[1], html.UnescapeString(m[2]))
	}
	return form
}

// await waits until the server has written an event with that name.
func (j *journey) await(name string) {
	j.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if !strings.Contains(j.run("audit", "--event", name), "No event fits") {
			return
		}
	}
	j.t.Fatalf("no event %s", name)
}

// At the end the key file is lost and, if the database is a file, it is restored from a copy.
func (j *journey) end(file string) {
	if err := j.server.Stop(20 * time.Second); err != nil {
		j.t.Fatalf("stop: %v\n%s", err, j.server.Stderr())
	}
	text, err := os.ReadFile(j.key)
	if err != nil {
		j.t.Fatal(err)
	}
	for i, m := range regexp.MustCompile(`"value":\s*"([^"]{20,})"`).FindAllStringSubmatch(string(text), -1) {
		j.secrets[fmt.Sprint("key ", i)] = m[1]
	}
	if err := os.Remove(j.key); err != nil {
		j.t.Fatal(err)
	}
	if file == "" {
		j.run("key", "create", j.key)
	}
	j.run("key", "reset", "--discard-sealed")
	if file != "" {
		saved := filepath.Join(j.dir, "saved.db")
		j.run("backup", saved)
		j.run("restore", saved, "--yes")
	}
}

// TestEveryEventTellsWhoDidItFromWhereAndWhatChanged causes every event, by the command line, the
// pages and SCIM of a running server, on both databases. Then it searches everything that is stored
// for every secret of the journey.
func TestEveryEventTellsWhoDidItFromWhereAndWhatChanged(t *testing.T) {
	t.Parallel()
	for name := range trail() {
		if !slices.Contains(event.Names, name) {
			t.Errorf("%s is no event", name)
		}
	}
	for _, name := range event.Names {
		if _, ok := trail()[name]; !ok && elsewhere()[name] == "" {
			t.Errorf("%s has no row in the table of this test: make it in the journey and say who does it and what it changes", name)
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		file := filepath.Join(dir, "rollcall.db")
		j := &journey{t: t, dir: dir, key: file + ".key", env: []string{"ROLLCALL_DATABASE=" + file, "TZ=UTC"}, secrets: map[string]string{}}
		j.server = serve(t, j.env)
		j.site()
		j.scim()
		j.administrator()
		j.directory()
		noSecrets(t, "sqlite", file, j.secrets)
		j.end(file)
		j.check(t, trail())
		noSecrets(t, "sqlite", file, j.secrets)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		if !storetest.HasPostgres() {
			t.Skip("there is no PostgreSQL here")
		}
		env := sharedPostgres(t)
		j := &journey{t: t, dir: t.TempDir(), key: strings.TrimPrefix(env[1], "ROLLCALL_KEY_FILE="), env: append(env, "TZ=UTC"), secrets: map[string]string{}}
		j.server = serve(t, j.env)
		j.site()
		j.scim()
		j.administrator()
		j.directory()
		noSecrets(t, "pgx", strings.TrimPrefix(env[0], "ROLLCALL_DATABASE="), j.secrets)
		j.end("")
		want := trail()
		delete(want, "database.restored")
		j.check(t, want)
		noSecrets(t, "pgx", strings.TrimPrefix(env[0], "ROLLCALL_DATABASE="), j.secrets)
	})
}

// check compares the whole trail with the table.
func (j *journey) check(t *testing.T, want map[string]trailRow) {
	t.Helper()
	var all []event.Entry
	if err := json.Unmarshal([]byte(j.run("audit", "--json", "--limit", "10000")), &all); err != nil {
		t.Fatal(err)
	}
	by, changed, made := map[string][]string{}, map[string][]string{}, map[string]event.Entry{}
	for _, e := range all {
		if _, ok := want[e.Event]; !ok {
			t.Errorf("%s has no row in the table of this test", e.Event)
		}
		if !slices.Contains(by[e.Event], e.Actor.Kind) {
			by[e.Event] = append(by[e.Event], e.Actor.Kind)
		}
		for _, c := range event.Changes(e.Data) {
			changed[e.Event] = append(changed[e.Event], c.Name)
		}
		checkActor(t, e)
		made[e.Event+" "+e.Scope] = e
		checkCatalogue(t, e)
	}
	checkMade(t, want, made, all)
	for name, row := range want {
		slices.Sort(by[name])
		if got := strings.Join(by[name], " "); got != row.by {
			t.Errorf("%s was done by %q, want %q", name, got, row.by)
		}
		if row.changes == "" {
			continue
		}
		for _, c := range strings.Split(row.changes, ",") {
			if !slices.Contains(changed[name], c) {
				t.Errorf("%s changes %q, want %q among them", name, changed[name], c)
			}
		}
	}
}

// checkCatalogue compares an event with what event.Catalogue says about its scope, subject and
// data.
func checkCatalogue(t *testing.T, e event.Entry) {
	t.Helper()
	i := slices.IndexFunc(event.Catalogue, func(d event.Description) bool { return d.Name == e.Event && slices.Contains(d.Scopes, e.Scope) })
	if i < 0 {
		t.Errorf("event.Catalogue has no %s of a %s", e.Event, e.Scope)
		return
	}
	d := event.Catalogue[i]
	if d.Subject == "" && e.Subject != "" {
		t.Errorf("%s of a %s has the subject %s; event.Catalogue names none", e.Event, e.Scope, e.Subject)
	}
	var data map[string]json.RawMessage
	if len(e.Data) > 0 {
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Errorf("%s: %v", e.Event, err)
		}
	}
	for name := range data {
		known := d.Data != nil && slices.ContainsFunc(d.Data.Fields(), func(f event.Field) bool { return f.Name == name })
		if !known && (name != "changes" || d.Values == "") {
			t.Errorf("%s of a %s has the field %q in its data, which event.Catalogue does not name: %s", e.Event, e.Scope, name, e.Data)
		}
	}
}

// checkMade checks that at least one event of each name has everything that event.Catalogue
// promises.
func checkMade(t *testing.T, want map[string]trailRow, made map[string]event.Entry, all []event.Entry) {
	t.Helper()
	for _, d := range event.Catalogue {
		if _, makes := want[d.Name]; !makes {
			continue
		}
		for _, scope := range d.Scopes {
			if _, ok := made[d.Name+" "+scope]; !ok {
				t.Errorf("event.Catalogue has %s of a %s, which the journey does not make", d.Name, scope)
			}
			some := func(has func(event.Entry) bool) bool {
				return slices.ContainsFunc(all, func(e event.Entry) bool { return e.Event == d.Name && e.Scope == scope && has(e) })
			}
			if d.Subject != "" && !some(func(e event.Entry) bool { return e.Subject != "" }) {
				t.Errorf("event.Catalogue gives %s of a %s a subject, and no such event has one", d.Name, scope)
			}
			if d.Values != "" && !some(func(e event.Entry) bool { return len(event.Changes(e.Data)) > 0 }) {
				t.Errorf("event.Catalogue gives %s of a %s changed values, and no such event has any", d.Name, scope)
			}
		}
	}
}

// checkActor checks that an event says about its actor what that kind of actor must have.
func checkActor(t *testing.T, e event.Entry) {
	t.Helper()
	a := e.Actor
	atHand := a.Address == "127.0.0.1" && a.UserAgent == userAgent
	var right bool
	switch event.ActorKind(a.Kind) {
	case event.Operator:
		right = a.ID != "" && (a.Name == "sam" || a.Name == "lee") && atHand
	case event.Admin, event.Person:
		// The first administrator has no id before the account is made.
		first := a.Name == "lee@fresh.example" && (e.Event == "sign_in.link_used" || e.Event == "user.created")
		right = (a.ID != "" || first) && strings.Contains(a.Name, "@") && atHand
	case event.Token:
		right = a.ID != "" && strings.HasPrefix(a.Name, "Entra (…") && a.Address == "127.0.0.1" && a.UserAgent == userAgent ||
			a.ID != "" && a.Address == "127.0.0.1" && e.Scope == "site" // requests of provisioning itself
	case event.Command:
		right = a.ID != "" && strings.Contains(a.Name, "@") && a.Address == ""
	case event.Job:
		right = a.ID == e.Subject && a.Name == "Acme" && strings.HasPrefix(e.Text, "Acme: ")
	case event.Anybody:
		right = atHand
	case event.System:
		right = true
	}
	if !right {
		t.Errorf("%s (%s): it was done by %+v", e.Event, e.Text, a)
	}
	if strings.HasPrefix(e.Event, "provisioning.") && !strings.HasPrefix(e.Text, "Acme: ") && !strings.HasPrefix(e.Text, "Sealed: ") && e.Event != "provisioning.deleted" {
		t.Errorf("%s does not name the application: %s", e.Event, e.Text)
	}
}

// noSecrets searches every text and every blob of every table for each secret.
func noSecrets(t *testing.T, driver, address string, secrets map[string]string) {
	t.Helper()
	if len(secrets) < 5 {
		t.Fatalf("the journey has only the secrets %v", secrets)
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tables := "select name from sqlite_master where type = 'table'"
	if driver == "pgx" {
		tables = "select table_name from information_schema.tables where table_schema = 'public'"
	}
	cells := 0
	for _, table := range column(t, db, tables) {
		eachCell(t, db, table, func(cell string) {
			cells++
			for what, secret := range secrets {
				if strings.Contains(cell, secret) || strings.Contains(cell, hex.EncodeToString([]byte(secret))) {
					t.Errorf("table %s holds the %s in clear: %.300q", table, what, cell)
				}
			}
		})
	}
	if cells < 1000 {
		t.Errorf("only %d values were looked at", cells)
	}
}

func column(t *testing.T, db *sql.DB, query string) (list []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		list = append(list, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

func eachCell(t *testing.T, db *sql.DB, table string, look func(string)) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `select * from "`+table+`"`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	cells, into := make([]any, len(names)), make([]any, len(names))
	for i := range cells {
		into[i] = &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for _, c := range cells {
			switch c := c.(type) {
			case string:
				look(c)
			case []byte:
				look(string(c))
			}
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
