package console_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/notification"
)

// TestWebhookPages adds a webhook, tests it, edits it, rotates its secret, sends a delivery again,
// disables and removes it.
func TestWebhookPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", peopleFile)
	b := o.operator()
	var secret atomic.Value
	var status atomic.Int64
	status.Store(http.StatusAccepted)
	end := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		check, wrong := standardwebhooks.NewWebhook(secret.Load().(string))
		if err != nil || wrong != nil || check.Verify(body, r.Header) != nil {
			http.Error(w, "not signed", http.StatusUnauthorized)
			return
		}
		w.WriteHeader(int(status.Load()))
		io.WriteString(w, "hello") //nolint:errcheck // the sender reads a part
	}))
	t.Cleanup(end.Close)
	secretOn := func(page *shown) string {
		t.Helper()
		return page.wantStatus(http.StatusOK).wantWords("Save this secret").byID("secret").attr["value"]
	}

	form := b.get("/d/contoso/webhooks").wantWords("No webhooks yet").click("Add webhook")
	form.press("Add webhook", url.Values{"url": {"http://hooks.contoso.example"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("must be called with https")
	form.press("Add webhook", url.Values{"url": {end.URL}, "topic": nil}).wantStatus(http.StatusUnprocessableEntity).wantWords("Tick at least one.")
	made := form.press("Add webhook", url.Values{"url": {end.URL + "/hook"}, "description": {"On call"}, "topic": {"held"}})
	first := secretOn(made)
	secret.Store(first)
	form.press("Add webhook", url.Values{"url": {end.URL + "/hook"}, "description": {"On call"}, "topic": {"held"}}).wantWords("A secret is shown once")
	page := made.click("Done").wantWords("On call", end.URL+"/hook", "Operations on hold", "Nothing was sent yet").wantNoWords(first)
	page = page.press("Send test", nil).wantWords("The endpoint took the test: 202 hello", "Sent")
	status.Store(http.StatusTeapot)
	page = page.press("Send test", nil).wantWords("The endpoint did not take the test", "418 hello", "Failed")
	status.Store(http.StatusAccepted)

	all, err := o.webhooks.List(t.Context(), string(h.Directory.ID))
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if err := o.events.Record(t.Context(), event.Event{Time: time.Now(), Scope: event.Directory(string(h.Directory.ID)), Name: event.ProvisioningHeld, Actor: "system", Subject: "x", Text: "Acme: 7 operations are on hold"}); err != nil {
		t.Fatal(err)
	}
	epoch, err := o.leases.Claim(t.Context(), notification.WebhookLeaseKind, notification.LeaseKey, "test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	advance := func() {
		t.Helper()
		if _, err := o.webhooks.Advance(t.Context(), notification.LeaseKey, epoch); err != nil {
			t.Fatal(err)
		}
	}
	advance()
	page = b.get(page.Path).wantWords("Acme: 7 operations are on hold", "202 hello")
	page = page.press("Send again", nil).wantWords("It will be sent again in a moment", "Waiting")
	advance()
	page = b.get(page.Path).wantNoWords("Waiting")

	// Two edits of different settings are merged, and one of the same is not.
	edit, other := page.click("Edit"), page.click("Edit")
	edit.press("Save", url.Values{"description": {"Night shift"}}).wantWords("The webhook was saved.", "Night shift")
	other.press("Save", url.Values{"topic": {"held", "late"}}).wantWords("The webhook was saved.", "Night shift", "Operations on hold, Delays")
	other.press("Save", url.Values{"description": {"Day shift"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Somebody else changed the same setting")

	rotate := page.click("Rotate secret")
	second := secretOn(rotate.press("Rotate secret", nil).wantWords("The old secret signs too until"))
	page = b.get(page.Path).wantWords("Signs too, until").press("Send test", nil).wantWords("The endpoint took the test")
	secret.Store(second)
	page = page.press("Send test", nil).wantWords("The endpoint took the test")
	rotate.press("Rotate secret", nil).wantWords("A secret is shown once")
	secretOn(page.click("Rotate secret").press("Rotate secret", url.Values{"overlap": {"0s"}}).wantWords("The old secret signs no longer."))
	page = b.get(page.Path).press("Send test", nil).wantWords("The endpoint did not take the test", "401 not signed")

	page = page.press("Disable", nil).wantWords("Disabled").wantNoWords("Send again")
	page = page.press("Enable", nil).wantWords("is enabled")
	page.click("Remove").wantWords("Remove Night shift", "another secret").press("Remove webhook", nil).wantWords("was removed", "No webhooks yet")
	b.get(page.Path).wantStatus(http.StatusNotFound)
	if strings.Contains(page.Text, second) {
		t.Error("the page shows the secret again")
	}
}

func TestWebhooksNeedAFreshSignIn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", "")
	id := string(h.Directory.ID)
	hook, _, err := o.webhooks.Add(t.Context(), notification.NewWebhook{WebhookSettings: notification.WebhookSettings{URL: "https://hooks.contoso.example/take"}, Directory: id, Actor: "cli"})
	if err != nil {
		t.Fatal(err)
	}
	b := o.operator()
	page := "/d/contoso/webhooks/" + hook.ID
	add, edit, rotate := b.get("/d/contoso/webhooks/new"), b.get(page+"/edit"), b.get(page+"/rotate")
	o.operators.Now = func() time.Time { return time.Now().Add(session.FreshTime) }
	for _, path := range []string{"/d/contoso/webhooks/new", page + "/edit", page + "/rotate"} {
		b.get(path).wantWords("Sign in again")
	}
	add.press("Add webhook", url.Values{"url": {"https://other.example/"}}).wantWords("Sign in again", "Nothing was changed")
	edit.press("Save", url.Values{"url": {"https://other.example/"}}).wantWords("Sign in again", "Nothing was changed")
	rotate.press("Rotate secret", nil).wantWords("Sign in again", "Nothing was changed")
	all, err := o.webhooks.List(t.Context(), id)
	if err != nil || len(all) != 1 || all[0].URL != hook.URL || string(all[0].Sealed) != string(hook.Sealed) {
		t.Errorf("got %+v, %v", all, err)
	}
	// What protects works with an old sign-in.
	b.get(page).press("Disable", nil).wantWords("Disabled")
	b.get(page+"/remove").press("Remove webhook", nil).wantWords("was removed")
}
