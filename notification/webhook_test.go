package notification_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/rollcall-scim/rollcall/erasure"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/internal/seal"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/outbox"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/store"
)

// endpoint is an HTTP server that receives webhooks.
type endpoint struct {
	*httptest.Server
	mu       sync.Mutex
	status   int
	answer   string
	location string
	got      []request
}

type request struct {
	header http.Header
	body   []byte
}

func (r request) text() (kind, text string) {
	var p struct {
		Type string
		Data struct{ Text string }
	}
	if err := json.Unmarshal(r.body, &p); err != nil {
		return err.Error(), ""
	}
	return p.Type, p.Data.Text
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	e := &endpoint{status: http.StatusNoContent}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.got = append(e.got, request{r.Header.Clone(), body})
		if e.location != "" {
			w.Header().Set("Location", e.location)
		}
		w.WriteHeader(e.status)
		if e.status != http.StatusNoContent {
			io.WriteString(w, e.answer) // the sender reads only a part
		}
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) answers(status int, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status, e.answer = status, text
}

// took returns the requests that the endpoint has received since the last call.
func (e *endpoint) took() []request {
	e.mu.Lock()
	defer e.mu.Unlock()
	got := e.got
	e.got = nil
	return got
}

// hooked is a world with an endpoint and a webhook.
type hooked struct {
	*world
	hooks *notification.Webhooks
	end   *endpoint
	epoch int64
	hook  notification.Webhook
	key   string // the secret of hook
}

func eachHooked(t *testing.T, test func(*hooked)) {
	t.Helper()
	eachWorld(t, func(w *world) {
		sealer, _, err := seal.OpenOrCreate(filepath.Join(w.TempDir(), "key"))
		w.must(err)
		h := &hooked{world: w, end: newEndpoint(w.T)}
		h.hooks = &notification.Webhooks{
			Store: store.Notifications{DB: w.db}, Poster: outbox.Webhooks{Client: outbound.New(outbound.Options{AllowLoopback: true})}, Sealer: sealer,
			PublicURL: "https://people.test", Now: func() time.Time { return w.now }, NewID: uuid.NewString,
		}
		h.hook, h.key = h.addHook(notification.Held, notification.Credentials)
		h.epoch, err = store.Leases{DB: w.db}.Claim(w.Context(), notification.WebhookLeaseKind, notification.LeaseKey, "test", 1000*time.Hour)
		w.must(err)
		test(h)
	})
}

func (h *hooked) id() string { return string(h.handle.Directory.ID) }

func (h *hooked) addHook(topics ...notification.Topic) (notification.Webhook, string) {
	h.Helper()
	hook, secret, err := h.hooks.Add(h.Context(), notification.NewWebhook{
		WebhookSettings: notification.WebhookSettings{URL: h.end.URL + "/take?token=in-the-url", Description: "On call", Topics: topics}, Directory: h.id(), Actor: "operator:kim",
	})
	h.must(err)
	return hook, secret
}

// post calls Advance until nothing is due. It returns when the next delivery is due.
func (h *hooked) post() time.Time {
	h.Helper()
	for range 100 {
		next, err := h.hooks.Advance(h.Context(), notification.LeaseKey, h.epoch)
		h.must(err)
		if next.IsZero() || next.After(h.now) {
			return next
		}
	}
	h.Fatal("it does not come to an end")
	return time.Time{}
}

// stored returns the webhook as it is stored now.
func (h *hooked) stored() notification.Webhook {
	h.Helper()
	w, err := h.hooks.Find(h.Context(), h.id(), h.hook.ID)
	h.must(err)
	return w
}

func (h *hooked) deliveries() []notification.WebhookDelivery {
	h.Helper()
	all, next, err := h.hooks.Deliveries(h.Context(), h.id(), h.hook.ID, "", notification.KeptDeliveries)
	h.must(err)
	if next != "" {
		h.Fatalf("there are more deliveries, before %s", next)
	}
	return all
}

// signedBy fails the test if verifying the request with the secret does not give the result want.
func (h *hooked) signedBy(r request, secret string, want bool) {
	h.Helper()
	v, err := standardwebhooks.NewWebhook(secret)
	h.must(err)
	if err := v.VerifyIgnoringTimestamp(r.body, r.header); (err == nil) != want {
		h.Errorf("verified: %v, want %v", err, want)
	}
}

func TestAWebhookTellsOfItsTopicsOnce(t *testing.T) {
	t.Parallel()
	eachHooked(t, func(h *hooked) {
		h.now = time.Date(2026, 1, 9, 10, 0, 0, 123456000, time.UTC)
		h.must(store.Events{DB: h.db}.Record(h.Context(), event.Event{
			Time: h.now, Scope: event.Directory(h.id()), Name: event.ProvisioningHeld, Actor: "system", Subject: h.acme.ID, Text: "Acme App: 6 operations\nare on hold", Data: []byte(`{"cause":"import-1"}`),
		}))
		h.happens(h.handle, event.ProvisioningQuarantined, h.acme.ID, "not a topic of this webhook")
		h.happens(h.directory("fabrikam"), event.ProvisioningHeld, "x", "of another directory")
		h.post()
		got := h.end.took()
		if len(got) != 1 {
			t.Fatalf("the endpoint got %d requests, want 1", len(got))
		}
		want := fmt.Sprintf(`{"type":"provisioning.held","timestamp":"2026-01-09T10:00:00.123456Z","data":{"directory":{"id":%q,"name":"contoso"},"application":{"id":%q,"name":"Acme App"},`+
			`"topic":"held","text":"Acme App: 6 operations are on hold","url":"https://people.test/d/contoso/applications/Acme%%20App/provisioning/held","details":{"cause":"import-1"}}}`, h.id(), h.acme.ID)
		if diff := cmp.Diff(string(got[0].body), want); diff != "" {
			t.Error(diff)
		}
		h.signedBy(got[0], h.key, true)
		h.signedBy(got[0], "whsec_b3RoZXI=", false)
		all := h.deliveries()
		if len(all) != 1 || all[0].State != notification.DeliverySent || all[0].Status != http.StatusNoContent || all[0].ID != got[0].header.Get("webhook-id") {
			t.Errorf("got %+v", all)
		}
		h.post()
		if again := h.end.took(); len(again) != 0 {
			t.Errorf("it was sent %d times more", len(again))
		}
	})
}

// TestAWebhookSurvivesAKillBetweenAnswerAndRecord sends a delivery under a lease that was lost. The
// endpoint gets the request, but its answer cannot be stored. The next owner of the lease must send
// the delivery again.
func TestAWebhookSurvivesAKillBetweenAnswerAndRecord(t *testing.T) {
	t.Parallel()
	eachHooked(t, func(h *hooked) {
		h.happens(h.handle, event.ProvisioningHeld, h.acme.ID, "on hold")
		if _, err := h.hooks.Advance(h.Context(), notification.LeaseKey, h.epoch+1); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("got %v", err)
		}
		h.post()
		got := h.end.took()
		if len(got) != 2 || got[0].header.Get("webhook-id") != got[1].header.Get("webhook-id") {
			t.Fatalf("got %d requests with the ids %q", len(got), []string{got[0].header.Get("webhook-id"), got[len(got)-1].header.Get("webhook-id")})
		}
		if all := h.deliveries(); len(all) != 1 || all[0].State != notification.DeliverySent {
			t.Errorf("got %+v", all)
		}
	})
}

func TestARotatedSecretSignsBesideTheOldOne(t *testing.T) {
	t.Parallel()
	eachHooked(t, func(h *hooked) {
		_, second, err := h.hooks.Rotate(h.Context(), h.id(), h.hook.ID, time.Hour, "form-1", "operator:kim")
		h.must(err)
		if _, _, err := h.hooks.Rotate(h.Context(), h.id(), h.hook.ID, time.Hour, "form-1", "operator:kim"); !errors.Is(err, notification.ErrFormUsed) {
			t.Errorf("the same form: %v", err)
		}
		h.happens(h.handle, event.ProvisioningHeld, h.acme.ID, "during the overlap")
		h.post()
		during := h.end.took()[0]
		h.signedBy(during, h.key, true)
		h.signedBy(during, second, true)
		h.now = h.now.Add(2 * time.Hour)
		h.happens(h.handle, event.ProvisioningHeld, h.acme.ID, "after the overlap")
		h.post()
		after := h.end.took()[0]
		h.signedBy(after, h.key, false)
		h.signedBy(after, second, true)
		_, third, err := h.hooks.Rotate(h.Context(), h.id(), h.hook.ID, 0, "", "cli")
		h.must(err)
		h.happens(h.handle, event.ProvisioningHeld, h.acme.ID, "without an overlap")
		h.post()
		last := h.end.took()[0]
		h.signedBy(last, second, false)
		h.signedBy(last, third, true)
		for _, bad := range []time.Duration{-time.Second, notification.MaxOverlap + time.Second} {
			if _, _, err := h.hooks.Rotate(h.Context(), h.id(), h.hook.ID, bad, "", "cli"); err == nil {
				t.Errorf("an overlap of %s is taken", bad)
			}
		}
	})
}

// TestAnEndpointThatFailsForDaysIsDisabled refuses all deliveries for three days. Then the webhook
// must be disabled, and the recipients of mail must learn of this. After Enable, the waiting
// deliveries must be sent.
func TestAnEndpointThatFailsForDaysIsDisabled(t *testing.T) {
	t.Parallel()
	eachHooked(t, func(h *hooked) {
		h.add("it@contoso.example", "", notification.Quarantine)
		h.end.answers(http.StatusServiceUnavailable, "down\n"+strings.Repeat("x", 5000))
		h.happens(h.handle, event.ProvisioningHeld, h.acme.ID, "on hold")
		begin := h.now
		tries := 0
		for h.stored().IsEnabled() {
			next := h.post()
			tries += len(h.end.took())
			if w := h.stored(); w.IsEnabled() {
				if w.FailingSince.IsZero() || !strings.HasPrefix(w.Error, "The endpoint answered with the status 503. down x") {
					t.Fatalf("got %+v", w)
				}
				if !next.After(h.now) {
					t.Fatalf("the next try is at %s, now it is %s", next, h.now)
				}
				h.now = next
			}
			if tries > 100 {
				t.Fatal("it goes on")
			}
		}
		if after := h.now.Sub(begin); after < 72*time.Hour || after > 80*time.Hour {
			t.Errorf("the webhook was disabled after %s", after)
		}
		if tries < 10 || tries > 30 {
			t.Errorf("it was tried %d times", tries)
		}
		d := h.deliveries()[0]
		if d.State != notification.DeliveryWaiting || len(d.Answer) > 500 || d.Status != http.StatusServiceUnavailable {
			t.Errorf("got %+v", d)
		}
		if w := h.stored(); !w.IsStopped {
			t.Errorf("got %+v", w)
		}
		h.work()
		if mails := h.took(); len(mails) != 1 || !strings.HasPrefix(mails[0], "it@contoso.example: [Rollcall contoso] The webhook On call (127.0.0.1:") || !strings.Contains(mails[0], "was disabled: its endpoint has taken nothing for") {
			t.Errorf("got the mails %q", mails)
		}
		// A disabled webhook gets no news. The deliveries that waited before are sent after Enable.
		h.happens(h.handle, event.ProvisioningHeld, h.acme.ID, "while it is disabled")
		h.end.answers(http.StatusOK, "thanks")
		h.post()
		if got := h.end.took(); len(got) != 0 {
			t.Errorf("a disabled webhook got %d requests", len(got))
		}
		if err := h.hooks.SendAgain(h.Context(), h.id(), h.hook.ID, d.ID); !errors.Is(err, notification.ErrWebhookOff) {
			t.Errorf("send again: %v", err)
		}
		h.must(h.hooks.Enable(h.Context(), h.id(), h.hook.ID, "cli"))
		h.must(h.hooks.Enable(h.Context(), h.id(), h.hook.ID, "cli")) // calling it again is not an error
		h.post()
		got := h.end.took()
		if len(got) != 1 || got[0].header.Get("webhook-id") != d.ID {
			t.Fatalf("got %d requests", len(got))
		}
		if w := h.stored(); !w.FailingSince.IsZero() || w.Error != "" || w.LastSent.IsZero() || w.Waiting != 0 {
			t.Errorf("got %+v", w)
		}
		// A delivery that is sent again keeps its id.
		h.must(h.hooks.SendAgain(h.Context(), h.id(), h.hook.ID, d.ID))
		h.post()
		if again := h.end.took(); len(again) != 1 || again[0].header.Get("webhook-id") != d.ID {
			t.Errorf("send again sent %d requests", len(again))
		}
		if err := h.hooks.SendAgain(h.Context(), h.id(), h.hook.ID, "msg_none"); !errors.Is(err, notification.ErrNoDelivery) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAnEndpointThatIsGoneIsDisabledAtOnce(t *testing.T) {
	t.Parallel()
	eachHooked(t, func(h *hooked) {
		h.end.answers(http.StatusGone, "")
		h.happens(h.handle, event.ProvisioningHeld, h.acme.ID, "on hold")
		h.post()
		if w := h.stored(); w.IsEnabled() || !w.IsStopped || len(h.end.took()) != 1 {
			t.Errorf("got %+v", w)
		}
	})
}

// TestWhatAnEndpointMayDo tests endpoints that redirect, that repeat the request in the answer, and
// that have an address that must not be called.
func TestWhatAnEndpointMayDo(t *testing.T) {
	t.Parallel()
	eachHooked(t, func(h *hooked) {
		other := newEndpoint(t)
		h.end.answers(http.StatusFound, "")
		h.end.location = other.URL
		d, err := h.hooks.SendTest(h.Context(), "contoso", h.stored(), "operator:kim")
		h.must(err)
		if d.State != notification.DeliveryFailed || !strings.Contains(d.Answer, "Redirects are not followed") || len(other.took()) != 0 {
			t.Errorf("got %+v", d)
		}
		h.end.location = ""
		h.end.answers(http.StatusOK, "you sent "+h.key)
		d, err = h.hooks.SendTest(h.Context(), "contoso", h.stored(), "operator:kim")
		h.must(err)
		if d.State != notification.DeliverySent || d.Answer != "you sent …" {
			t.Errorf("got %+v", d)
		}
		if kind, text := h.end.took()[1].text(); kind != notification.TestType || text != "This is a test of the webhook, sent by kim (operator)." {
			t.Errorf("got %s: %s", kind, text)
		}
		if all := h.deliveries(); len(all) != 2 || all[0].Event != notification.TestType {
			t.Errorf("got %+v", all)
		}
		h.must(errOf(h.hooks.Change(h.Context(), h.id(), h.hook.ID, func(s notification.WebhookSettings) (notification.WebhookSettings, error) {
			s.URL = "https://169.254.169.254/latest/meta-data"
			return s, nil
		}, "cli")))
		d, err = h.hooks.SendTest(h.Context(), "contoso", h.stored(), "operator:kim")
		h.must(err)
		if d.State != notification.DeliveryFailed || d.Status != 0 || !strings.Contains(d.Answer, "The endpoint took nothing") {
			t.Errorf("got %+v", d)
		}
		for address, want := range map[string]string{
			"": "the URL is missing", "hooks": "is not a URL", "http://hooks.contoso.example/": "must be called with https", "https://kim:secret@hooks.contoso.example/": "must not carry a user name",
			"https://" + strings.Repeat("a", 2000): "is longer than", "https://hooks.contoso.example/a b": "no spaces", "ftp://hooks.contoso.example": "must be called with https",
		} {
			_, _, err := h.hooks.Add(h.Context(), notification.NewWebhook{WebhookSettings: notification.WebhookSettings{URL: address}, Directory: h.id()})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: got %v, want %q", address, err, want)
			}
		}
	})
}

// TestSecretsOfWebhooksAreSealed looks for the secret in all stored data, seals the secret again,
// and loses the key.
func TestSecretsOfWebhooksAreSealed(t *testing.T) {
	t.Parallel()
	eachHooked(t, func(h *hooked) {
		w := h.stored()
		if strings.Contains(string(w.Sealed), h.key) || len(w.Sealed) == 0 {
			t.Errorf("the secret is stored as %q", w.Sealed)
		}
		events, err := store.Events{DB: h.db}.Recent(h.Context(), event.Directory(h.id()), h.hook.ID, event.Position{}, 10)
		h.must(err)
		for _, e := range events {
			if strings.Contains(e.Text+string(e.Data), "in-the-url") {
				t.Errorf("an event shows the path of the URL: %s %s", e.Text, e.Data)
			}
		}
		done, lost, err := h.hooks.Reseal(h.Context())
		if err != nil || done != 1 || len(lost) != 0 {
			t.Errorf("sealed %d again, lost %d, %v", done, len(lost), err)
		}
		h.happens(h.handle, event.ProvisioningHeld, h.acme.ID, "on hold")
		h.post()
		h.signedBy(h.end.took()[0], h.key, true)

		other, _, err := seal.OpenOrCreate(filepath.Join(h.TempDir(), "another-key"))
		h.must(err)
		h.hooks.Sealer = other
		if opens, sealed, err := h.hooks.CountOpen(h.Context()); err != nil || opens != 0 || sealed != 1 {
			t.Errorf("%d of %d can be opened, %v", opens, sealed, err)
		}
		gone, err := h.hooks.DiscardLost(h.Context(), "cli")
		if err != nil || len(gone) != 1 || h.stored().IsEnabled() {
			t.Errorf("got %v, %v", gone, err)
		}
		if err := h.hooks.Enable(h.Context(), h.id(), h.hook.ID, "cli"); !errors.Is(err, notification.ErrNoSecret) {
			t.Errorf("enable without a secret: %v", err)
		}
		_, secret, err := h.hooks.Rotate(h.Context(), h.id(), h.hook.ID, time.Hour, "", "cli")
		h.must(err)
		h.must(h.hooks.Enable(h.Context(), h.id(), h.hook.ID, "cli"))
		h.happens(h.handle, event.ProvisioningHeld, h.acme.ID, "again")
		h.post()
		h.signedBy(h.end.took()[0], secret, true)
	})
}

func TestOldDeliveriesGo(t *testing.T) {
	t.Parallel()
	eachHooked(t, func(h *hooked) {
		for i := range notification.KeptDeliveries + 3 {
			h.happens(h.handle, event.ProvisioningHeld, h.acme.ID, fmt.Sprintf("hold %d", i))
			h.post()
		}
		all := h.deliveries()
		if len(all) != notification.KeptDeliveries || all[0].Text != fmt.Sprintf("hold %d", notification.KeptDeliveries+2) {
			t.Errorf("%d deliveries are kept, the newest is %q", len(all), all[0].Text)
		}
		page, next, err := h.hooks.Deliveries(h.Context(), h.id(), h.hook.ID, "", 2)
		h.must(err)
		second, _, err := h.hooks.Deliveries(h.Context(), h.id(), h.hook.ID, next, 2)
		h.must(err)
		for i, want := range all[:4] {
			if got := append(page, second...)[i]; got.ID != want.ID {
				t.Errorf("place %d of the pages is %q, want %q", i, got.Text, want.Text)
			}
		}
		h.must(h.hooks.Remove(h.Context(), h.id(), h.hook.ID, "cli"))
		if _, _, err := h.hooks.Deliveries(h.Context(), h.id(), h.hook.ID, "", 2); !errors.Is(err, notification.ErrNoWebhook) {
			t.Errorf("got %v", err)
		}
	})
}

// TestAnExpiringKeyIsToldWithoutAMailServer checks that a webhook tells of an API key that expires
// soon, even if there is no mail server.
func TestAnExpiringKeyIsToldWithoutAMailServer(t *testing.T) {
	t.Parallel()
	eachHooked(t, func(h *hooked) {
		h.hooks.ExpiringKeys = h.keys.NoteExpiring
		_, _, err := h.keys.CreateKey(h.Context(), operator.KeyRequest{Directory: h.id(), Name: "nightly", Level: operator.Configure, Expires: h.now.Add(20 * 24 * time.Hour), Actor: "cli"})
		h.must(err)
		if next := h.post(); !next.Equal(h.now.Add(time.Hour)) || len(h.end.took()) != 0 {
			h.Errorf("the next look is at %s, now it is %s", next, h.now)
		}
		h.now = h.now.Add(10 * 24 * time.Hour)
		h.post()
		h.post()
		got := h.end.took()
		if len(got) != 1 {
			h.Fatalf("the endpoint got %d requests, want 1", len(got))
		}
		if kind, text := got[0].text(); kind != event.KeyExpiring || !strings.Contains(text, "nightly") {
			h.Errorf("got %s: %s", kind, text)
		}
	})
}

// TestErasingAPersonKeepsTheSettingsOfWebhooks erases a person whose names also occur in the
// settings of a webhook.
func TestErasingAPersonKeepsTheSettingsOfWebhooks(t *testing.T) {
	t.Parallel()
	eachHooked(t, func(h *hooked) {
		h.add("it@contoso.example", "", notification.Held)
		h.happens(h.handle, event.ProvisioningHeld, h.acme.ID, "Acme: the account of Waiting Held is on hold")
		changed, err := store.Erasures{DB: h.db}.Scrub(h.Context(), event.Directory(h.id()), erasure.New("p-1", []string{"Waiting", "Held", "Take"}), time.Time{})
		h.must(err)
		if changed == 0 {
			h.Error("nothing was erased")
		}
		if w := h.stored(); !slices.Equal(w.Topics, h.hook.Topics) || w.URL != h.hook.URL {
			h.Errorf("the webhook is now %+v", w)
		}
		if r := h.recipient("it@contoso.example"); !slices.Equal(r.Topics, []notification.Topic{notification.Held}) {
			h.Errorf("the recipient is now %+v", r)
		}
		h.post()
		got := h.end.took()
		if len(got) != 1 {
			h.Fatalf("the endpoint got %d requests, want 1", len(got))
		}
		h.signedBy(got[0], h.key, true)
		if kind, text := got[0].text(); kind != event.ProvisioningHeld || strings.Contains(text, "Held") || !strings.Contains(text, "erased person p-1") {
			h.Errorf("got %s: %s", kind, text)
		}
	})
}

// TestASecretThatCannotBeOpenedIsNoFailureOfTheEndpoint removes the key file. Nothing can be sent
// then. This must not count against the endpoint, and a new secret must make the webhook work
// again.
func TestASecretThatCannotBeOpenedIsNoFailureOfTheEndpoint(t *testing.T) {
	t.Parallel()
	eachHooked(t, func(h *hooked) {
		other, _, err := seal.OpenOrCreate(filepath.Join(h.TempDir(), "another-key"))
		h.must(err)
		h.hooks.Sealer = other
		h.happens(h.handle, event.ProvisioningHeld, h.acme.ID, "on hold")
		for range 80 {
			h.now = h.post()
		}
		w := h.stored()
		if !w.IsEnabled() || !w.FailingSince.IsZero() || !strings.HasPrefix(w.Error, "Nothing was sent, because the secret of the webhook cannot be opened: ") || w.Waiting != 1 {
			h.Errorf("got %+v", w)
		}
		if got := h.end.took(); len(got) != 0 {
			h.Errorf("the endpoint got %d requests", len(got))
		}
		_, secret, err := h.hooks.Rotate(h.Context(), h.id(), h.hook.ID, time.Hour, "", "cli")
		h.must(err)
		h.post()
		got := h.end.took()
		if len(got) != 1 {
			h.Fatalf("after a rotation the endpoint got %d requests, want 1", len(got))
		}
		h.signedBy(got[0], secret, true)
		w = h.stored()
		if len(w.Old) != 0 || w.Error != "" {
			h.Errorf("got %+v", w)
		}
		// An old secret that cannot be opened must not prevent deliveries either.
		h.must(h.hooks.Store.ReplaceWebhookSecrets(h.Context(), w, w.Sealed, []notification.OldSecret{{Sealed: []byte("not sealed"), Until: h.now.Add(time.Hour)}}))
		h.happens(h.handle, event.ProvisioningHeld, h.acme.ID, "on hold again")
		h.post()
		got = h.end.took()
		if len(got) != 1 {
			h.Fatalf("with a bad old secret the endpoint got %d requests, want 1", len(got))
		}
		h.signedBy(got[0], secret, true)
	})
}

// TestAllSecretsWithinTheirOverlapSign rotates the secret several times within the overlap.
func TestAllSecretsWithinTheirOverlapSign(t *testing.T) {
	t.Parallel()
	eachHooked(t, func(h *hooked) {
		secrets := []string{h.key}
		rotate := func(overlap time.Duration) {
			h.Helper()
			_, secret, err := h.hooks.Rotate(h.Context(), h.id(), h.hook.ID, overlap, "", "cli")
			h.must(err)
			secrets = append(secrets, secret)
		}
		signs := func(want ...bool) {
			h.Helper()
			h.happens(h.handle, event.ProvisioningHeld, h.acme.ID, "on hold")
			h.post()
			got := h.end.took()
			if len(got) != 1 {
				h.Fatalf("the endpoint got %d requests, want 1", len(got))
			}
			for i, secret := range secrets {
				h.signedBy(got[0], secret, want[i])
			}
		}
		rotate(3 * time.Hour)
		rotate(time.Hour)
		signs(true, true, true)
		done, lost, err := h.hooks.Reseal(h.Context())
		if err != nil || done != 1 || len(lost) != 0 {
			h.Errorf("sealed %d again, lost %d, %v", done, len(lost), err)
		}
		signs(true, true, true)
		h.now = h.now.Add(2 * time.Hour)
		signs(true, false, true)
		rotate(0)
		signs(false, false, false, true)
		for range 5 {
			rotate(time.Hour)
		}
		if _, _, err := h.hooks.Rotate(h.Context(), h.id(), h.hook.ID, time.Hour, "", "cli"); !errors.Is(err, refusal.Conflict) {
			h.Errorf("a sixth old secret: %v", err)
		}
		signs(false, false, false, true, true, true, true, true, true)
	})
}

// TestEndpointsThatFailDoNotHoldUpTheOthers has more failing webhooks than Advance sends to at the
// same time.
func TestEndpointsThatFailDoNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	eachHooked(t, func(h *hooked) {
		for range 9 {
			h.addHook(notification.Held)
		}
		good := newEndpoint(t)
		h.must(h.addAt(good.URL))
		h.end.answers(http.StatusServiceUnavailable, "")
		h.happens(h.handle, event.ProvisioningHeld, h.acme.ID, "first")
		h.post()
		if got := good.took(); len(got) != 1 {
			h.Fatalf("the good endpoint got %d requests, want 1", len(got))
		}
		h.now = h.now.Add(time.Hour)
		h.happens(h.handle, event.ProvisioningHeld, h.acme.ID, "second")
		h.must(errOf(h.hooks.Advance(h.Context(), notification.LeaseKey, h.epoch)))
		if got := good.took(); len(got) != 1 {
			h.Errorf("the good endpoint got %d requests in the first slice, want 1", len(got))
		}
	})
}

// TestWhatWaitsIsSentAfterTheEndpointWasMended has a delivery that waits hours for its next try. It
// must be sent at once after the secret or the URL was changed.
func TestWhatWaitsIsSentAfterTheEndpointWasMended(t *testing.T) {
	t.Parallel()
	eachHooked(t, func(h *hooked) {
		good := newEndpoint(t)
		for name, mend := range map[string]func(){
			"secret": func() {
				h.end.answers(http.StatusNoContent, "")
				h.must(errOf(h.hooks.Change(h.Context(), h.id(), h.hook.ID, func(s notification.WebhookSettings) (notification.WebhookSettings, error) { return s, nil }, "cli")))
				h.post()
				if got := h.end.took(); len(got) != 0 {
					h.Errorf("an unchanged form sent %d", len(got))
				}
				_, _, err := h.hooks.Rotate(h.Context(), h.id(), h.hook.ID, 0, "", "cli")
				h.must(err)
				h.post()
				good.mu.Lock()
				good.got = append(good.got, h.end.took()...)
				good.mu.Unlock()
			},
			"URL": func() {
				h.must(errOf(h.hooks.Change(h.Context(), h.id(), h.hook.ID, func(s notification.WebhookSettings) (notification.WebhookSettings, error) {
					s.URL = good.URL
					return s, nil
				}, "cli")))
				h.post()
				h.must(errOf(h.hooks.Change(h.Context(), h.id(), h.hook.ID, func(s notification.WebhookSettings) (notification.WebhookSettings, error) {
					s.URL = h.hook.URL
					return s, nil
				}, "cli")))
			},
		} {
			h.end.answers(http.StatusServiceUnavailable, "")
			h.happens(h.handle, event.ProvisioningHeld, h.acme.ID, "on hold")
			h.post()
			for h.deliveries()[0].Attempts < 5 {
				h.now = h.post()
			}
			h.end.took()
			mend()
			if got := good.took(); len(got) != 1 {
				h.Errorf("%s: the endpoint got %d requests, want 1", name, len(got))
			}
			if w, d := h.stored(), h.deliveries()[0]; !w.FailingSince.IsZero() || w.Error != "" || d.Attempts != 1 || d.State != notification.DeliverySent {
				h.Errorf("%s: got %+v and %+v", name, w, d)
			}
		}
	})
}

// TestChangesOfWebhooksAreRecordedWithoutTheURL saves a form without changes, and then changes the
// path of the URL.
func TestChangesOfWebhooksAreRecordedWithoutTheURL(t *testing.T) {
	t.Parallel()
	eachHooked(t, func(h *hooked) {
		change := func(address string) {
			h.must(errOf(h.hooks.Change(h.Context(), h.id(), h.hook.ID, func(s notification.WebhookSettings) (notification.WebhookSettings, error) {
				s.URL = address
				return s, nil
			}, "cli")))
		}
		change(h.hook.URL)
		if got := h.events(event.WebhookChanged); len(got) != 0 {
			h.Errorf("an unchanged form wrote %q", got)
		}
		change(h.end.URL + "/other?token=also-secret")
		all, err := store.Events{DB: h.db}.Recent(h.Context(), event.Directory(h.id()), h.hook.ID, event.Position{}, 1)
		h.must(err)
		if len(all) != 1 || all[0].Name != event.WebhookChanged || !strings.Contains(string(all[0].Data), `"name":"url"`) || strings.Contains(string(all[0].Data), "also-secret") {
			h.Errorf("got %+v", all)
		}
		long := "https://" + strings.Repeat("a", 254) + "/"
		_, _, err = h.hooks.Add(h.Context(), notification.NewWebhook{WebhookSettings: notification.WebhookSettings{URL: long}, Directory: h.id()})
		if err == nil || !strings.Contains(err.Error(), "the host of the URL is longer than 253 bytes") {
			h.Errorf("got %v", err)
		}
	})
}

// TestWebhooksOfADeletedDirectoryNeedNoKey deletes a directory with a webhook. Nobody can open the
// directory to rotate the secret, so the secret must count neither as sealed nor as lost.
func TestWebhooksOfADeletedDirectoryNeedNoKey(t *testing.T) {
	t.Parallel()
	eachHooked(t, func(h *hooked) {
		h.must(errOf(h.directories.Delete(h.Context(), h.handle.Directory, "cli")))
		other, _, err := seal.OpenOrCreate(filepath.Join(h.TempDir(), "another-key"))
		h.must(err)
		h.hooks.Sealer = other
		if opens, sealed, err := h.hooks.CountOpen(h.Context()); err != nil || opens != 0 || sealed != 0 {
			h.Errorf("%d of %d can be opened, %v", opens, sealed, err)
		}
		if lost, err := h.hooks.DiscardLost(h.Context(), "cli"); err != nil || len(lost) != 0 {
			h.Errorf("lost %d, %v", len(lost), err)
		}
		if _, lost, err := h.hooks.Reseal(h.Context()); err != nil || len(lost) != 0 {
			h.Errorf("lost %d, %v", len(lost), err)
		}
	})
}

// addAt adds a webhook with this address for the topic Held.
func (h *hooked) addAt(address string) error {
	_, _, err := h.hooks.Add(h.Context(), notification.NewWebhook{
		WebhookSettings: notification.WebhookSettings{URL: address, Topics: []notification.Topic{notification.Held}}, Directory: h.id(), Actor: "operator:kim",
	})
	return err
}

func errOf[T any](_ T, err error) error { return err }
