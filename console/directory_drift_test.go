package console_test

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/site"
)

// TestDriftPages compares an application with what provisioning wrote, and deals with what differs.
func TestDriftPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", "userPrincipalName,displayName,mailNickname\nada@contoso.example,Ada,ada\nbo@contoso.example,Bo,bo\n")
	app := o.app(h, "Acme")
	tenantURL, token := o.site("acme", site.Full)
	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	b := o.operator()
	const at = "/d/contoso/applications/Acme/provisioning/drift"
	b.get(at).wantWords("Provisioning is not set up")
	all := provision.FlowAdd | provision.FlowUpdate
	if _, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.On, Scope: provision.Everyone, Actions: &all}, "cli"); err != nil {
		t.Fatal(err)
	}
	if _, err := o.engine.RunCycle(t.Context(), key, "test", func(provision.LogEntry) error { return nil }); err != nil {
		t.Fatal(err)
	}
	rename := func(name, to string) {
		t.Helper()
		c, err := o.jobs.Connection(t.Context(), key, o.userID(h, name))
		if err != nil {
			t.Fatal(err)
		}
		body := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"displayName","value":"` + to + `"}]}`
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, strings.TrimSuffix(tenantURL, "/")+"/Users/"+c.TargetID, bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/scim+json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close() //nolint:errcheck // nothing is read
		if answer.StatusCode >= http.StatusMultipleChoices {
			t.Fatalf("rename %s: %s", name, answer.Status)
		}
	}
	compare := func() {
		t.Helper()
		b.get(at).press("Compare now", nil).wantWords("The application is being compared. You can leave this page.")
		if _, err := o.engine.AdvanceDrift(t.Context(), key.String(), "test"); err != nil {
			t.Fatal(err)
		}
	}
	b.get(at).wantWords("No comparison yet", "Only when somebody asks")
	compare()
	b.get(at).wantWords("Nothing differs", "Managed 2", "Changed 0").wantNoWords("Adopt all")
	rename("ada@contoso.example", "Countess")
	rename("bo@contoso.example", "<b>Bobby")
	compare()
	b.send(http.MethodPost, at, url.Values{"do": {"nothing"}}).wantStatus(http.StatusNotFound)
	page := b.get(at).wantWords("Changed 2", "ada@contoso.example", "displayName: wrote Ada, now Countess", "now <b>Bobby")
	page.press("Adopt", nil).wantWords("Tick at least one account or group.")
	page.press("Make a plan that re-asserts…", nil).wantWords("gives accounts that somebody changed the values of the mapping again", "Countess")
	page.press("Adopt", url.Values{"object": {o.userID(h, "ada@contoso.example")}}).wantWords("The values of 1 account or group were adopted.")
	b.get(at).wantWords("bo@contoso.example").wantNoWords("ada@contoso.example")
	b.get(at).press("Adopt all…", nil).wantWords("Adopt all values?").press("Adopt all", nil).wantWords("The values of 1 account or group were adopted.", "Nothing differs")
	b.get("/d/contoso/audit?kind=" + event.ProvisioningDriftAdopted).wantWords("were adopted, of accounts or groups: 1")

	form := b.get(at)
	form.press("Save", url.Values{"every": {"daily"}, "policy": {"adopt"}}).wantWords("The schedule was saved.", "The next scheduled comparison is due")
	if s, err := o.engine.Drifts.DriftSchedule(t.Context(), key); err != nil || s.Every != provision.DriftDaily || s.Policy != provision.DriftAdopts {
		t.Errorf("schedule %+v, %v", s, err)
	}
	form.press("Save", url.Values{"every": {"weekly"}, "policy": {"report"}}).wantStatus(http.StatusConflict).wantWords("Which value counts?")
}
