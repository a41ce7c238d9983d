package notification_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/mailbox"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/outbox"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/store"
)

// world is a directory with two applications, together with a mail server.
type world struct {
	*testing.T
	db            *store.DB
	now           time.Time
	notifications *notification.Notifications
	keys          *operator.Keys
	directories   *directory.Directories
	handle        *directory.Handle
	acme, globex  directory.Application
	box           *mailbox.Server
	epoch         int64
}

func eachWorld(t *testing.T, test func(*world)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := &world{T: t, db: db, now: time.Date(2026, 1, 9, 9, 0, 0, 0, time.UTC), box: mailbox.New(t, mailbox.Options{})}
		now := func() time.Time { return w.now }
		server, err := outbox.NewSMTP(outbox.SMTPOptions{URL: "smtp://" + w.box.Addr + "?tls=none", From: "rollcall@contoso.example"})
		w.must(err)
		w.keys = &operator.Keys{Store: store.OperatorKeys{DB: db}, Now: now, NewID: uuid.NewString}
		w.notifications = &notification.Notifications{
			Store: store.Notifications{DB: db}, Mailer: server, PublicURL: "https://people.test", Now: now, NewID: uuid.NewString, ExpiringKeys: w.keys.NoteExpiring,
		}
		w.directories = &directory.Directories{Store: store.Directories{DB: db}, Now: now, NewID: uuid.NewString}
		w.handle = w.directory("contoso")
		w.acme, err = w.handle.CreateApplication(t.Context(), "Acme App", "cli")
		w.must(err)
		w.globex, err = w.handle.CreateApplication(t.Context(), "Globex", "cli")
		w.must(err)
		w.claim()
		test(w)
	})
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) directory(name string) *directory.Handle {
	w.Helper()
	d, err := w.directories.Create(w.Context(), name, "cli")
	w.must(err)
	h, err := w.directories.OpenByID(w.Context(), d.ID)
	w.must(err)
	return h
}

func (w *world) claim() {
	w.Helper()
	epoch, err := store.Leases{DB: w.db}.Claim(w.Context(), notification.LeaseKind, notification.LeaseKey, "test", time.Hour)
	w.must(err)
	w.epoch = epoch
}

func (w *world) add(address, application string, topics ...notification.Topic) notification.Recipient {
	w.Helper()
	r, err := w.notifications.Add(w.Context(), notification.NewRecipient{Directory: string(w.handle.Directory.ID), Application: application, Address: address, Topics: topics, Actor: "operator:kim"})
	w.must(err)
	return r
}

// happens appends an event to a directory, one second after the previous one.
func (w *world) happens(h *directory.Handle, name, subject, text string) {
	w.Helper()
	w.now = w.now.Add(time.Second)
	w.must(store.Events{DB: w.db}.Record(w.Context(), event.Event{Time: w.now, Scope: event.Directory(string(h.Directory.ID)), Name: name, Actor: "system", Subject: subject, Text: text}))
}

// work calls Advance until nothing is due. It returns when the next mail is due.
func (w *world) work() time.Time {
	w.Helper()
	for range 100 {
		next, err := w.notifications.Advance(w.Context(), notification.LeaseKey, w.epoch)
		w.must(err)
		if next.After(w.now) {
			return next
		}
	}
	w.Fatal("it does not come to an end")
	return time.Time{}
}

// took returns "address: subject" of each mail that the mail server has received so far.
func (w *world) took() (all []string) {
	w.Helper()
	for _, m := range w.box.Mails() {
		subject, err := m.Subject()
		w.must(err)
		all = append(all, strings.Join(m.To, " ")+": "+subject)
	}
	return all
}

func (w *world) wantMails(want ...string) {
	w.Helper()
	if diff := cmp.Diff(w.took(), want); diff != "" {
		w.Error(diff)
	}
}

func (w *world) recipient(address string) notification.Recipient {
	w.Helper()
	r, err := w.notifications.Find(w.Context(), string(w.handle.Directory.ID), address)
	w.must(err)
	return r
}

// events returns the texts of the directory's events with this name.
func (w *world) events(name string) (texts []string) {
	w.Helper()
	all, err := store.Events{DB: w.db}.Read(w.Context(), event.Directory(string(w.handle.Directory.ID)), event.Position{}, 1000)
	w.must(err)
	for _, e := range all {
		if e.Name == name {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

func TestEachRecipientLearnsWhatItChose(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(w *world) {
		w.add("all@contoso.example", "")
		w.add("held@contoso.example", "", notification.Held)
		w.add("globex@contoso.example", w.globex.ID, notification.Quarantine, notification.Held)
		other := w.directory("other")
		w.happens(w.handle, event.ProvisioningQuarantined, w.acme.ID, "Acme App: Provisioning is in quarantine: The application refused the Secret Token.")
		w.happens(other, event.ProvisioningQuarantined, "x", "Nobody of contoso must learn this")
		w.happens(w.handle, event.ProvisioningStarted, w.acme.ID, "No topic has this event")
		w.work()
		w.wantMails("all@contoso.example: [Rollcall contoso] Acme App: Provisioning is in quarantine: The application refused the Secret Token.")
		text := w.box.Mails()[0].Text
		for _, part := range []string{
			"2026-01-09 09:00 UTC\nAcme App: Provisioning is in quarantine: The application refused the Secret Token.\nhttps://people.test/d/contoso/applications/Acme%20App/provisioning\n",
			"kim (operator) added all@contoso.example", "https://people.test/d/contoso/notifications",
		} {
			if !strings.Contains(text, part) {
				w.Errorf("%q is missing in\n%s", part, text)
			}
		}

		// The news of the next five minutes must come in one mail.
		w.happens(w.handle, event.ProvisioningHeld, w.globex.ID, "Globex: 60 operations are on hold.")
		w.happens(w.handle, event.ProvisioningReleased, w.acme.ID, "Acme App: The quarantine is lifted.")
		next := w.work()
		if want := w.recipient("all@contoso.example").NextTry; !next.Equal(want) || next.Sub(w.now) > 5*time.Minute || next.Sub(w.now) < 4*time.Minute {
			w.Errorf("next mail at %s, want %s", next, want)
		}
		w.wantMails(
			"all@contoso.example: [Rollcall contoso] Acme App: Provisioning is in quarantine: The application refused the Secret Token.",
			"held@contoso.example: [Rollcall contoso] Globex: 60 operations are on hold.",
			"globex@contoso.example: [Rollcall contoso] Globex: 60 operations are on hold.")
		w.now = next
		w.work()
		mails := w.box.Mails()
		if got := w.took(); len(got) != 4 || got[3] != "all@contoso.example: [Rollcall contoso] Globex: 60 operations are on hold. (and 1 more)" {
			w.Fatalf("got %q", got)
		}
		if text := mails[3].Text; !strings.Contains(text, "applications/Globex/provisioning/held") || !strings.Contains(text, "Acme App: The quarantine is lifted.") {
			w.Errorf("got\n%s", text)
		}
		w.now = w.now.Add(24 * time.Hour)
		w.work()
		if got := w.took(); len(got) != 4 {
			w.Errorf("mail was sent again: %q", got)
		}
		w.happens(w.handle, event.ProvisioningPlanWaits, w.globex.ID, "Globex: Plan 3f9a61c2b7d0 of the schedule waits for approval.")
		w.work()
		if mails := w.box.Mails(); len(mails) != 7 || !strings.Contains(mails[6].Text, "applications/Globex/provisioning/plan\n") {
			w.Errorf("%d mails: %q", len(mails), w.took())
		}
		for _, r := range []string{"all", "held", "globex"} {
			if got := w.recipient(r + "@contoso.example"); got.Waiting != 0 || got.LastSent.IsZero() || got.Error != "" {
				w.Errorf("%s: got %+v", r, got)
			}
		}
	})
}

func TestManyMessagesGoInTwoMails(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(w *world) {
		w.add("all@contoso.example", "")
		for i := range 53 {
			w.happens(w.handle, event.ProvisioningHeld, w.acme.ID, fmt.Sprintf("Acme App: number %d", i))
		}
		w.now = w.work()
		w.work()
		w.wantMails("all@contoso.example: [Rollcall contoso] Acme App: number 0 (and 52 more)", "all@contoso.example: [Rollcall contoso] Acme App: number 50 (and 2 more)")
		if text := w.box.Mails()[0].Text; !strings.Contains(text, "3 more wait and follow") || !strings.Contains(text, "number 49\n") || strings.Contains(text, "number 50") {
			w.Errorf("got\n%s", text)
		}
	})
}

func TestMailThatIsRefusedIsTriedForThreeDays(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(w *world) {
		w.add("gone@contoso.example", "")
		w.box.Refuse(550, "no such mailbox")
		w.happens(w.handle, event.ProvisioningHeld, w.acme.ID, "Acme App: 60 operations are on hold.")
		began := w.now
		var waits []string
		for w.recipient("gone@contoso.example").Stopped.IsZero() {
			next := w.work()
			got := w.recipient("gone@contoso.example")
			if got.Waiting != 1 || !strings.Contains(got.Error, "no such mailbox") || !got.FailingSince.Equal(began) {
				w.Fatalf("got %+v", got)
			}
			if got.Stopped.IsZero() {
				waits = append(waits, got.NextTry.Sub(w.now).String())
				if next.After(got.NextTry) {
					w.Fatalf("the next try is due at %s, and the runner sleeps until %s", got.NextTry, next)
				}
				w.now = got.NextTry
			}
		}
		if diff := cmp.Diff(waits[:6], []string{"1m0s", "5m0s", "30m0s", "2h0m0s", "6h0m0s", "6h0m0s"}); diff != "" || w.now.Sub(began) < 72*time.Hour || w.now.Sub(began) > 79*time.Hour {
			w.Errorf("stopped after %s: %s", w.now.Sub(began), diff)
		}
		if got := w.events(event.NotificationStopped); len(got) != 1 || !strings.HasPrefix(got[0], "Mail to gone@contoso.example has stopped") {
			w.Errorf("got %q", got)
		}

		// While the recipient is stopped, messages are kept and no mail is tried.
		w.box.Refuse(0, "")
		w.happens(w.handle, event.ProvisioningReleased, w.acme.ID, "Acme App: The quarantine is lifted.")
		w.now = w.now.Add(7 * time.Hour)
		w.work()
		w.wantMails()
		w.must(w.notifications.Resume(w.Context(), string(w.handle.Directory.ID), w.recipient("gone@contoso.example").ID, "operator:kim"))
		w.work()
		w.wantMails("gone@contoso.example: [Rollcall contoso] Acme App: 60 operations are on hold. (and 1 more)")
		if got := w.recipient("gone@contoso.example"); !got.Stopped.IsZero() || !got.FailingSince.IsZero() || got.Failures != 0 || got.Error != "" || got.Waiting != 0 {
			w.Errorf("got %+v", got)
		}
		if got := w.events(event.NotificationResumed); len(got) != 1 {
			w.Errorf("got %q", got)
		}
	})
}

func TestARecipientThatFailsDoesNotDelayOthers(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(w *world) {
		w.add("a@contoso.example", "")
		w.box.Refuse(451, "try later")
		w.happens(w.handle, event.ProvisioningHeld, w.acme.ID, "Acme App: first")
		w.work()
		w.box.Refuse(0, "")
		w.add("b@contoso.example", "")
		w.happens(w.handle, event.ProvisioningHeld, w.acme.ID, "Acme App: second")
		w.work()
		w.wantMails("b@contoso.example: [Rollcall contoso] Acme App: second")
	})
}

func TestAProcessThatLostItsLeaseNotesNothing(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(w *world) {
		w.add("all@contoso.example", "")
		w.happens(w.handle, event.ProvisioningHeld, w.acme.ID, "Acme App: first")
		old := w.epoch
		w.claim()
		_, err := w.notifications.Advance(w.Context(), notification.LeaseKey, old)
		if !errors.Is(err, store.ErrLeaseLost) {
			w.Errorf("got %v", err)
		}
		w.work()
		mails := w.box.Mails()
		if len(mails) != 2 || mails[0].Header.Get("Message-Id") != mails[1].Header.Get("Message-Id") {
			w.Errorf("got %d mails; want the same one twice", len(mails))
		}
	})
}

func TestAKeyThatExpiresSoonIsToldOnce(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(w *world) {
		w.add("all@contoso.example", "", notification.Credentials)
		for name, days := range map[string]int{"soon": 20, "later": 40, "revoked": 19} {
			k, _, err := w.keys.CreateKey(w.Context(), operator.KeyRequest{Directory: string(w.handle.Directory.ID), Name: name, Level: operator.Read, Actor: "cli", Expires: w.now.AddDate(0, 0, days)})
			w.must(err)
			if name == "revoked" {
				w.must(w.keys.RevokeKey(w.Context(), string(w.handle.Directory.ID), k.ID, "cli"))
			}
		}
		if next := w.work(); next.Sub(w.now) > time.Hour {
			w.Errorf("it sleeps until %s", next)
		}
		w.wantMails()
		w.now = w.now.AddDate(0, 0, 7)
		w.work()
		w.now = w.now.AddDate(0, 0, 1)
		w.work()
		if got := w.took(); len(got) != 1 || !strings.HasPrefix(got[0], "all@contoso.example: [Rollcall contoso] API key soon (…") || !strings.Contains(w.box.Mails()[0].Text, "https://people.test/d/contoso/keys\n") {
			w.Errorf("got %q", got)
		}
		if got := w.events(event.KeyExpiring); len(got) != 1 {
			w.Errorf("got %q", got)
		}
	})
}

func TestWhatCannotBeAddedSaysWhy(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(w *world) {
		add := func(address, application string, topics ...notification.Topic) error {
			_, err := w.notifications.Add(w.Context(), notification.NewRecipient{Directory: string(w.handle.Directory.ID), Application: application, Address: address, Topics: topics, Actor: "cli"})
			return err
		}
		for address, want := range map[string]string{
			"":                                   "is missing",
			"it":                                 "is not an e-mail address",
			"it@contoso.example, b@x.example":    "spaces",
			"it@contoso.example\nBcc:b@x":        "control characters",
			"IT <it@contoso.example>":            "spaces",
			"<it@contoso.example>":               "is not an e-mail address",
			strings.Repeat("a", 250) + "@x.test": "longer than 254",
		} {
			if err := add(address, ""); !errors.Is(err, refusal.Invalid) || !strings.Contains(err.Error(), want) {
				w.Errorf("%q: got %v, want %q", address, err, want)
			}
		}
		if err := add("it@contoso.example", "", "everything"); !errors.Is(err, refusal.Invalid) {
			w.Errorf("got %v", err)
		}
		if err := add("it@contoso.example", "no such application"); !errors.Is(err, refusal.NotFound) {
			w.Errorf("got %v", err)
		}
		w.must(add(" it@contoso.example ", ""))
		w.must(add("it@contoso.example", w.acme.ID))
		if err := add("IT@contoso.example", ""); !errors.Is(err, refusal.Taken) {
			w.Errorf("got %v", err)
		}
		for i := range notification.MaxRecipients - 2 {
			w.must(add(fmt.Sprintf("it%d@contoso.example", i), ""))
		}
		if err := add("last@contoso.example", ""); !errors.Is(err, notification.ErrTooMany) {
			w.Errorf("got %v", err)
		}
		if got := w.recipient("it@contoso.example"); got.Application != "" || got.Address != "it@contoso.example" || len(got.Topics) != len(notification.Topics) {
			w.Errorf("got %+v", got)
		}
		other := w.directory("other")
		if err := w.notifications.Remove(w.Context(), string(other.Directory.ID), w.recipient("it@contoso.example").ID, "cli"); !errors.Is(err, notification.ErrNotFound) {
			w.Errorf("another directory removes it: %v", err)
		}
	})
}
