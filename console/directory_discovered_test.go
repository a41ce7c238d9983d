package console_test

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/site"
)

// TestDiscoveredPages starts a discovery on its page, watches it, and reads what it has found: by
// class, by search, account by account, and as a file.
func TestDiscoveredPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", "userPrincipalName,displayName,mailNickname\nada@contoso.example,Ada,ada\nbo@contoso.example,Bo,bo\ncyril@contoso.example,Cyril,cyril\n")
	app := o.app(h, "Acme")
	tenantURL, token := o.site("acme", site.Full, "ADA@contoso.example", "bo@contoso.example", "cyril@old.example", "=backup@old.example")
	salesGroup, everybody, headOffice := o.siteGroup("acme", "SALES"), o.siteGroup("acme", "Everybody"), o.siteGroup("acme", "Head-Office")
	for _, name := range []string{"Sales", "Head Office"} {
		if _, _, err := h.PutGroup(t.Context(), directory.Group{Attributes: map[string]string{"displayName": name}}, "cli"); err != nil {
			t.Fatal(err)
		}
	}
	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	b := o.operator()
	const at = "/d/contoso/applications/Acme/provisioning/discovered"
	b.get(at).wantWords("Provisioning is not set up")
	if _, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.On, Scope: provision.AssignedOnly}, "cli"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Unassign(t.Context(), app.ID, []string{o.userID(h, "bo@contoso.example")}, "cli"); err != nil {
		t.Fatal(err)
	}
	b.get(at).wantWords("No discovery yet")
	b.get(at + "/export").wantStatus(http.StatusNotFound)
	b.get(at + "/account?id=x").wantStatus(http.StatusNotFound)
	b.send(http.MethodPost, at, url.Values{"do": {"cancel"}}).wantWords("is not running")
	begin := func() provision.Discovery {
		t.Helper()
		b.send(http.MethodPost, at, url.Values{"do": {"start"}}).wantStatus(http.StatusOK)
		newest, _, err := o.engine.LastDiscoveries(t.Context(), key, provision.UserKind)
		if err != nil || newest.State != provision.DiscoveryRunning {
			t.Fatalf("%+v, %v", newest, err)
		}
		return newest
	}
	begin()
	running := b.get(at).wantWords("The discovery is reading the accounts of the application", "You can leave this page")
	if !strings.Contains(running.Text, "data-live") {
		t.Error("the page does not move by itself")
	}
	b.send(http.MethodPost, at, url.Values{"do": {"start"}}).wantWords("is running already")
	running.press("Cancel the discovery", nil).wantWords("The last discovery was cancelled")
	d := begin()
	if _, _, err := o.engine.RunDiscovery(t.Context(), key, "test", func(provision.Discovery) {}); err != nil {
		t.Fatal(err)
	}
	b.get(at + "?watched=" + d.ID).wantWords("The discovery has ended").click("Show what it found").wantNoWords("The discovery has ended")
	b.get(at).wantWords("All accounts 4", "Local accounts 2", "Unassigned users 1", "Assigned users 1", "Near matches 1", "cyril@old.example", "nearly cyril@contoso.example: the same name before the @", "Discover again")
	b.get(at).click("Unassigned users").wantWords("bo@contoso.example").wantNoWords("ADA@", "=backup@old.example")
	b.get(at + "?show=near").wantWords("cyril@old.example").wantNoWords("=backup@old.example")
	b.get(at + "?search=%3Dback").wantWords("=backup@old.example").wantNoWords("ADA@")
	b.get(at + "?search=nothing").wantWords("No account fits")
	b.get(at).click("ADA@contoso.example").wantWords("Matches", "By userName", "[userPrincipalName]", "ada@contoso.example", "Same")
	b.get(at).click("=backup@old.example").wantWords("Nobody matches")
	account := func(name string) string {
		t.Helper()
		page, _, err := o.engine.Discovered(t.Context(), key, provision.DiscoveredQuery{Search: name})
		if err != nil || len(page) != 1 {
			t.Fatal(page, err)
		}
		return page[0].ID
	}
	list := b.get(at)
	list.press("Keep", nil).wantWords("Tick at least one account")
	list.press("Keep", url.Values{"account": {account("=backup")}}).wantWords("1 account was marked Keep", "marked Keep")
	b.get(at+"?show=kept").wantWords("=backup").wantNoWords("ADA@").press("Remove the mark Keep", url.Values{"account": {account("=backup")}}).wantWords("The mark Keep of 1 account was removed")
	list.press("Assign…", url.Values{"account": {account("=backup")}}).wantWords("Nobody was assigned")
	b.get(at+"?show=unassigned").press("Assign all 1…", nil).wantWords("Assign 1 user?").click("Cancel").wantStatus(http.StatusOK)
	ask := list.press("Assign…", url.Values{"account": {account("bo@"), account("cyril@")}}).wantWords("Assign 1 user?", "1 account is left out")
	ask.press("Assign 1 user", nil).wantWords("1 user was assigned")
	if n, err := h.CountAssignments(t.Context(), app.ID); err != nil || n != 3 {
		t.Errorf("%d users are assigned, %v", n, err)
	}
	list.press("Link…", url.Values{"account": {account("=backup")}}).wantWords("No account was linked", "no user matches or nearly matches")
	list.press("Link…", url.Values{"account": {account("cyril@old"), account("=backup")}}).wantWords("Link 1 account?", "cyril@old.example becomes the account of cyril@contoso.example. The same name before the @", "Left out: =backup@old.example").click("Cancel")
	list.press("Disable…", url.Values{"account": {account("ADA@")}}).wantWords("No plan was made")
	sure := list.press("Disable…", url.Values{"account": {account("=backup"), account("ADA@")}}).wantWords("Disable 1 account?", "1 account stays as they are")
	sure.press("Make the plan", url.Values{"confirm": {"two"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("That is not the number of accounts in words")
	plan := sure.press("Make the plan", url.Values{"confirm": {"One"}}).wantWords("This plan disables accounts that no user of the directory matches.", "active")
	plan.click("=backup@old.example").wantWords("Nobody matches")
	b.get(at+"?show=local").press("Disable all local accounts…", nil).wantWords("Disable 1 account?", "Type one to confirm")
	near := b.get(at).click("cyril@old.example").wantWords("Nearly matches", "The same name before the @", "Differs")
	near.click("Connect by hand").press("Connect", nil).wantWords("belongs to cyril@contoso.example now")

	file := b.get(at + "/export?show=local").wantStatus(http.StatusOK)
	rows, err := csv.NewReader(strings.NewReader(file.Text)).ReadAll()
	if err != nil || len(rows) != 3 || !strings.Contains(file.Text, "'=backup") || !strings.Contains(file.Text, "cyril@contoso.example: the same name before the @") {
		t.Errorf("file %q, %v", file.Text, err)
	}
	b.get("/d/contoso/audit?kind=" + event.ExportAccounts).wantWords("The list of discovered accounts of Acme was exported: 2 accounts")

	// The groups of the application are shown beside its accounts.
	groups := b.get(at).click("Groups 3").wantWords("All groups 3", "Local groups 2", "Unassigned groups 1", "Near matches 1", "nearly Head Office: the name differs only in punctuation marks", "A group is never disabled").wantNoWords("Disable…", "Disable all")
	groups.click("Accounts 4").wantWords("ADA@contoso.example")
	groups.click("Unassigned groups 1").wantWords("SALES").wantNoWords("Head-Office", "Everybody")
	b.get(at+"?kind=groups&search=head").wantWords("Head-Office").wantNoWords("SALES").click("Head-Office").wantWords("Nearly matches", "Value at the application", "Head Office", "Assign groups").click("Head Office").wantWords("Members")
	b.get(at+"?kind=groups").click("Everybody").wantWords("No group matches", "Local group")
	b.get(at+"?kind=groups").press("Keep", nil).wantWords("Tick at least one group")
	b.get(at+"?kind=groups").press("Keep", url.Values{"account": {everybody}}).wantWords("1 group was marked Keep", "marked Keep", "Group of the directory")
	b.send(http.MethodPost, at+"/change", url.Values{"kind": {"groups"}, "change": {"disable"}, "account": {everybody}}).wantWords("Nothing was done", "A group is never disabled, because a group of SCIM has no such state")
	assign := b.get(at+"?kind=groups").press("Assign…", url.Values{"account": {salesGroup, everybody}}).wantWords("Assign 1 group?", "their members are in scope, too", "1 group is left out")
	assign.press("Assign 1 group", nil).wantWords("1 group was assigned")
	b.get("/d/contoso/applications/Acme/users-and-groups").wantWords("1 group assigned")
	b.get(at+"?kind=groups&show=unassigned").press("Assign all 1…", nil).wantWords("Assign 1 group?").click("Cancel").wantWords("All groups 3")
	link := b.get(at+"?kind=groups").press("Link…", url.Values{"account": {salesGroup, headOffice}}).wantWords("Link 1 group?", "The group SALES of the application is linked with the group Sales of the directory", "Left out: Head-Office: Head Office is not in scope")
	link.press("Link 1 group", nil).wantWords("1 group was linked")
	rows, err = csv.NewReader(strings.NewReader(b.get(at + "/export?kind=groups&show=local").wantStatus(http.StatusOK).Text)).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Errorf("groups %q, %v", rows, err)
	}
	b.get("/d/contoso/audit?kind=" + event.ExportAccounts).wantWords("The list of discovered groups of Acme was exported: 2 groups")

	// Connections need a fresh sign-in.
	o.operators.Now = func() time.Time { return time.Now().Add(session.FreshTime) }
	list.press("Link…", url.Values{"account": {"any"}}).wantWords("Sign in again", "Nothing was changed")
}
