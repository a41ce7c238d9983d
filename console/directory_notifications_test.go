package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/notification"
)

func TestNotificationsAreAddedTestedStoppedAndRemoved(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", "")
	o.directory("other", "")
	app := o.app(h, "Acme")
	b := o.operator()
	b.get("/d/contoso/notifications").wantWords("No recipients yet").click("Add recipient").
		press("Add recipient", url.Values{"address": {"it@contoso.example"}, "topic": {"quarantine", "held"}, "application": {app.ID}}).
		wantWords("it@contoso.example gets mail", "Quarantine, Operations on hold", "Only Acme", "kim (operator)")
	r, err := o.notifications.Find(t.Context(), string(h.Directory.ID), "it@contoso.example")
	if err != nil || r.Application != app.ID || len(r.Topics) != 2 || r.AddedBy != "operator:kim" {
		t.Fatalf("got %+v, %v", r, err)
	}
	b.get("/d/contoso/notifications").press("Send test mail", nil).wantWords("The mail server took a test mail for it@contoso.example.")
	mails := o.box.Mails()
	if len(mails) != 1 || mails[0].To[0] != "it@contoso.example" || !strings.Contains(mails[0].Text, "https://rollcall.example/d/contoso/notifications") {
		t.Fatalf("got %+v", mails)
	}
	o.box.Refuse(550, "no such mailbox")
	b.get("/d/contoso/notifications").press("Send test mail", nil).wantWords("The test mail was not sent", "no such mailbox")

	// Another directory neither shows nor removes it.
	b.get("/d/other/notifications").wantWords("No recipients yet")
	for _, action := range []string{"test", "resume", "remove"} {
		b.send(http.MethodPost, "/d/other/notifications/"+r.ID+"/"+action, nil).wantStatus(http.StatusNotFound)
	}

	r.FailingSince, r.Failures, r.Error, r.Stopped = time.Now().Add(-73*time.Hour), 20, "no such mailbox", time.Now()
	o.failMail(t, r)
	b.get("/d/contoso/notifications").wantWords("Stopped", "no such mailbox").press("Resume", nil).wantWords("Mail is sent to it@contoso.example again.")
	if got, err := o.notifications.Find(t.Context(), string(h.Directory.ID), r.ID); err != nil || !got.Stopped.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := o.events.Record(t.Context(), event.Event{Scope: event.Directory(string(h.Directory.ID)), Name: event.ProvisioningHeld, Subject: app.ID, Actor: "system", Text: "Acme: on hold"}); err != nil {
		t.Fatal(err)
	}
	b.get("/d/contoso/notifications").wantWords("1 message waits").click("Remove").wantWords("Remove it@contoso.example?", "1 message that waits is not sent").
		press("Remove recipient", nil).wantWords("no longer gets mail", "No recipients yet")
	b.get("/d/contoso/audit").wantWords("it@contoso.example gets mail about: Quarantine, Operations on hold", "it@contoso.example no longer gets mail")

	for wrong, typed := range map[string]url.Values{
		"is not an e-mail address":              {"address": {"it"}, "topic": {"held"}},
		"Tick at least one":                     {"address": {"it@contoso.example"}, "topic": nil},
		"This application no longer exists":     {"address": {"it@contoso.example"}, "application": {"gone"}},
		"is not a topic":                        {"address": {"it@contoso.example"}, "topic": {"weather"}},
		"Write one address, such as it@contoso": {"address": {"a@b.example, c@d.example"}},
	} {
		b.get("/d/contoso/notifications/new").press("Add recipient", typed).wantStatus(http.StatusUnprocessableEntity).wantWords(wrong)
	}
}

func TestWithoutAMailServerThePageSaysSo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", "")
	o.notifications.Mailer = nil
	b := o.operator()
	b.get("/d/contoso/notifications/new").press("Add recipient", url.Values{"address": {"it@contoso.example"}}).wantWords("There is no mail server", "--smtp-url")
	b.get("/d/contoso/notifications").press("Send test mail", nil).wantWords("No test mail was sent.")
	if all, err := o.notifications.Recipients(t.Context(), string(h.Directory.ID)); err != nil || len(all) != 1 || len(all[0].Topics) != len(notification.Topics) {
		t.Errorf("got %+v, %v", all, err)
	}
}
