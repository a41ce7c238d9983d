package notification

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
)

// WebhookLeaseKind is the kind of the lease that a process needs to send webhooks. The key of the
// lease is LeaseKey.
const WebhookLeaseKind = "webhook"

const (
	// MaxWebhooks is the largest number of webhooks of a directory.
	MaxWebhooks = 20
	// KeptDeliveries is how many deliveries of a webhook the store keeps for pages, after they were
	// sent or have failed.
	KeptDeliveries = 200
	// A rotation gives a webhook a new secret. For some time, the old secret also signs requests:
	// for DefaultOverlap unless another time is chosen, and for at most MaxOverlap.
	DefaultOverlap = 24 * time.Hour
	MaxOverlap     = 7 * 24 * time.Hour

	// maxOldSecrets is how many old secrets of a webhook may sign requests at the same time.
	maxOldSecrets = 5

	maxURLBytes         = 2000
	maxHostBytes        = 253 // the longest name in DNS
	maxDescriptionBytes = 200
	// signingKeyBytes is the length of the key in a webhook's secret. Standard Webhooks asks for 24
	// to 64 bytes.
	signingKeyBytes = 32
)

// TestType is the type of the event that a test sends. No event of the audit log has this name.
const TestType = "test"

// Webhook is an endpoint that gets news about a directory over HTTP.
type Webhook struct {
	ID          string
	Directory   string // the id of the directory
	Application string // the id of the application; empty for every application
	URL         string
	Description string
	Topics      []Topic // the topics of the news that are sent, in the order of the variable Topics; never empty
	AddedBy     string  // the actor who added the webhook, in the form that events use
	Added       time.Time

	Sealed []byte      // the encrypted secret; empty if it can no longer be decrypted, because the key file was lost
	Old    []OldSecret // the secrets that earlier rotations replaced, the oldest first
	Form   string      // the number of the form whose sending made the secret; empty if a command made it

	Disabled     time.Time // when the webhook was disabled; zero if it is enabled
	IsStopped    bool      // whether it was disabled because its endpoint accepted nothing for days, or is gone
	Waiting      int       // how many deliveries wait to be sent
	LastSent     time.Time // when the endpoint last accepted a delivery; zero if it has accepted none yet
	FailingSince time.Time // when a delivery first failed since the last success; zero if none has failed since
	Error        string    // why the last try failed
}

// OldSecret is a secret that a rotation replaced. Until the time Until, it signs requests in
// addition to the current secret.
type OldSecret struct {
	Sealed []byte // the encrypted secret
	Until  time.Time
}

// OldSecretsUntil returns the time until which old secrets sign requests too. It returns the zero
// time if no old secret signs at the time now.
func (w Webhook) OldSecretsUntil(now time.Time) (until time.Time) {
	for _, old := range w.Old {
		if old.Until.After(now) && old.Until.After(until) {
			until = old.Until
		}
	}
	return until
}

// IsEnabled reports whether the webhook's deliveries are sent.
func (w Webhook) IsEnabled() bool { return w.Disabled.IsZero() }

// Host returns the host of the webhook's URL. Events and messages use the host as a name for the
// webhook, because other parts of the URL may contain a secret.
func (w Webhook) Host() string {
	u, err := url.Parse(w.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

// Label returns the webhook's name for events and messages: its description and host, or only its
// host if it has no description.
func (w Webhook) Label() string {
	if w.Description != "" {
		return w.Description + " (" + w.Host() + ")"
	}
	return w.Host()
}

// Wants reports whether the webhook gets news about an event. name is the name of the event.
// application is the id of the event's application, or empty if there is none.
func (w Webhook) Wants(name, application string) bool {
	t, ok := TopicOf(name)
	return ok && w.IsEnabled() && slices.Contains(w.Topics, t) && (w.Application == "" || application == "" || w.Application == application)
}

// DeliveryState says whether a delivery waits, was sent or has failed.
type DeliveryState string

// The states of deliveries.
const (
	DeliveryWaiting DeliveryState = "waiting" // the delivery is sent when its time comes
	DeliverySent    DeliveryState = "sent"    // the endpoint accepted the delivery
	DeliveryFailed  DeliveryState = "failed"  // the delivery is not tried again
)

// WebhookDelivery is the news about one event for one webhook.
type WebhookDelivery struct {
	ID            string // the value of the header webhook-id; the same for every try
	Event         string // the name of the event
	ApplicationID string // the id of the application; empty if there is none
	Application   string // the name of the application; empty if there is none, or it was deleted
	Text          string
	Details       string // the data of the event, as JSON; may be empty
	Time          time.Time
	State         DeliveryState
	Attempts      int
	FirstTry      time.Time // when the delivery was first tried; zero if it was not tried yet
	LastTry       time.Time // when the delivery was last tried; zero if it was not tried yet
	NextTry       time.Time // when the delivery is tried next, if it waits
	Status        int       // the HTTP status of the last answer; 0 if there was none
	Answer        string    // the beginning of the last answer, or why there was none
	TookMillis    int64     // how long the last try took
	Webhook       Webhook
	DirectoryName string
}

// Cursor returns the position of the delivery in a list of deliveries.
func (d WebhookDelivery) Cursor() string { return fmt.Sprintf("%d-%s", d.Time.UnixMicro(), d.ID) }

// Refusals of webhooks.
var (
	ErrNoWebhook       = refusal.New(refusal.NotFound, "", "this directory has no such webhook").Coded("webhook_gone")
	ErrNoDelivery      = refusal.New(refusal.NotFound, "", "this webhook has no such delivery").Coded("delivery_gone")
	ErrTooManyWebhooks = refusal.New(refusal.Conflict, "url", "the directory has %d webhooks, which is the limit", MaxWebhooks).
				Advise("remove one that is no longer needed").Coded("webhooks_full")
	ErrWebhookOff = refusal.New(refusal.Conflict, "", "the webhook is disabled").
			Advise("enable it first").Coded("webhook_disabled")
	ErrFormUsed = refusal.New(refusal.Conflict, "", "this form made a secret already").Coded("form_used")
	ErrNoSecret = refusal.New(refusal.Conflict, "", "the secret of the webhook is lost").
			Advise("rotate the secret first").Coded("webhook_secret_lost")
)

// WebhookStore keeps webhooks and their deliveries. The store of events adds the deliveries, each
// in the transaction of its event.
type WebhookStore interface {
	// AddWebhook stores a webhook and appends the event. It returns ErrTooManyWebhooks if the
	// directory has limit webhooks already, ErrFormUsed if a webhook has the same form number, and
	// refusal.NotFound if the directory or the application does not exist.
	AddWebhook(ctx context.Context, w Webhook, limit int, e event.Event) error
	// Webhooks returns the webhooks of a directory, the oldest first.
	Webhooks(ctx context.Context, directory string) ([]Webhook, error)
	// ChangeWebhook calls change with the stored webhook. It stores the webhook and appends the
	// event that change returns; if change returns an error, it does neither. It returns
	// ErrNoWebhook if there is no such webhook. If the change enables the webhook, or replaces its
	// URL or secret, all waiting deliveries of the webhook become due at once, as if they had not
	// been tried.
	ChangeWebhook(ctx context.Context, directory, id string, change func(Webhook) (Webhook, event.Event, error)) error
	// RemoveWebhook deletes a webhook with its deliveries, and appends the event. It returns
	// ErrNoWebhook if there is no such webhook.
	RemoveWebhook(ctx context.Context, directory, id string, e func(Webhook) event.Event) error
	// Deliveries returns the deliveries of a webhook before the cursor before, newest first.
	Deliveries(ctx context.Context, directory, id, before string, limit int) ([]WebhookDelivery, error)
	// AddDelivery stores a delivery that was sent at once, such as a test.
	AddDelivery(ctx context.Context, d WebhookDelivery) error
	// Repeat makes a delivery due at once, as if it had not been tried. It returns ErrNoDelivery,
	// or ErrWebhookOff if the webhook is disabled.
	Repeat(ctx context.Context, directory, id, delivery string, now time.Time) error
	// DueDeliveries returns the deliveries that are due, at most one for each webhook and up to
	// limit. Deliveries of failing webhooks come last. If no delivery is due, next is the time when
	// the next one is due; it is zero if no delivery waits.
	DueDeliveries(ctx context.Context, now time.Time, limit int) (due []WebhookDelivery, next time.Time, err error)
	// Delivered stores the result of one try to send a delivery, and the state of the delivery's
	// webhook. If stopped is not nil, Delivered disables the webhook and appends the event. It does
	// nothing if the delivery was removed, or if the try failed and the webhook's URL or secret has
	// changed since. It returns an error if another process has taken over the lease with this
	// epoch.
	Delivered(ctx context.Context, epoch int64, d WebhookDelivery, stopped *event.Event) error
	// AllWebhooks returns the webhooks with a sealed secret of all directories that are not
	// deleted.
	AllWebhooks(ctx context.Context) ([]Webhook, error)
	// ReplaceWebhookSecrets replaces the sealed secrets of a webhook by the current secret sealed
	// and the old secrets older, and appends the events. If sealed is empty, it also disables the
	// webhook. It does nothing if the stored secret is not that of the argument old.
	ReplaceWebhookSecrets(ctx context.Context, old Webhook, sealed []byte, older []OldSecret, events ...event.Event) error
}

// Post is a request to send to an endpoint.
type Post struct {
	ID      string // the value of the header webhook-id
	URL     string
	Time    time.Time
	Body    []byte
	Secrets []string // the secrets that sign the request; each makes one signature
}

// PostAnswer is the answer of an endpoint.
type PostAnswer struct {
	Status int
	Text   string // the beginning of the body
}

// Poster sends signed requests to endpoints. Its errors are sentences for administrators.
type Poster interface {
	// CheckURL returns an error if Post must not send requests to the URL.
	CheckURL(address string) error
	// Post sends a request, and returns the endpoint's answer.
	Post(ctx context.Context, p Post) (PostAnswer, error)
}

// Sealer encrypts ("seals") and decrypts the secrets of webhooks. context names the webhook. A
// secret that was sealed with one context cannot be opened with another.
type Sealer interface {
	Seal(plain []byte, context string) ([]byte, error)
	Open(sealed []byte, context string) ([]byte, error)
}

// Webhooks manages webhooks and sends their deliveries. All fields except ExpiringKeys are
// required.
type Webhooks struct {
	Store     WebhookStore
	Poster    Poster
	Sealer    Sealer
	PublicURL string // the base URL of pages
	Now       func() time.Time
	NewID     func() string
	// ExpiringKeys appends an event for each API key that will expire soon, once for each key.
	ExpiringKeys func(ctx context.Context) error
}

// WebhookSettings are the settings of a webhook that people edit.
type WebhookSettings struct {
	URL         string
	Description string
	Topics      []Topic // the topics of the news that are sent; empty means all
}

// NewWebhook describes a webhook to add.
type NewWebhook struct {
	WebhookSettings
	Directory   string // the id of the directory
	Application string // the id of the application; empty for every application
	Actor       string
	Form        string // the number of the form that asks for the webhook; empty for a command
}

// Add adds a webhook and returns its secret, which cannot be read again. It returns a refusal for a
// wrong field, and the errors of WebhookStore.AddWebhook.
func (ws *Webhooks) Add(ctx context.Context, req NewWebhook) (w Webhook, secret string, err error) {
	settings, err := ws.check(req.WebhookSettings)
	if err != nil {
		return Webhook{}, "", err
	}
	w = Webhook{
		ID: ws.NewID(), Directory: req.Directory, Application: req.Application, URL: settings.URL, Description: settings.Description, Topics: settings.Topics,
		AddedBy: req.Actor, Added: ws.now(), Form: req.Form,
	}
	secret = newSigningSecret()
	if w.Sealed, err = ws.Sealer.Seal([]byte(secret), w.sealContext()); err != nil {
		return Webhook{}, "", fmt.Errorf("seal the secret of a webhook: %w", err)
	}
	e := ws.newEvent(event.WebhookAdded, req.Actor, w, "The webhook "+w.Label()+" gets news about: "+joinLabels(w.Topics))
	e.Data = event.DataOf(nil, event.Changed("host", nil, w.Host()), event.Changed("topics", nil, topicNames(w.Topics)))
	if err := ws.Store.AddWebhook(ctx, w, MaxWebhooks, e); err != nil {
		return Webhook{}, "", err
	}
	return w, secret, nil
}

// check returns the settings in the form in which they are stored. It returns a refusal if they are
// not valid.
func (ws *Webhooks) check(s WebhookSettings) (WebhookSettings, error) {
	s.URL, s.Description = strings.TrimSpace(s.URL), strings.TrimSpace(s.Description)
	bad := func(field, detail string, args ...any) error {
		return refusal.New(refusal.Invalid, field, detail, args...).Advise("write an address such as https://hooks.contoso.example/rollcall")
	}
	switch {
	case s.URL == "":
		return s, bad("url", "the URL is missing")
	case len(s.URL) > maxURLBytes:
		return s, bad("url", "the URL is longer than %d bytes", maxURLBytes)
	case !isPlain(s.URL) || strings.ContainsFunc(s.URL, unicode.IsSpace):
		return s, bad("url", "a URL holds no spaces and no control characters")
	case len(s.Description) > maxDescriptionBytes:
		return s, refusal.New(refusal.Invalid, "description", "the description is longer than %d bytes", maxDescriptionBytes)
	case !isPlain(s.Description):
		return s, refusal.New(refusal.Invalid, "description", "a description holds no control characters")
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" {
		return s, bad("url", "%q is not a URL", s.URL)
	}
	if len(u.Hostname()) > maxHostBytes {
		return s, bad("url", "the host of the URL is longer than %d bytes", maxHostBytes)
	}
	if err := ws.Poster.CheckURL(s.URL); err != nil {
		return s, bad("url", "%s", err.Error())
	}
	topics, err := sortTopics(s.Topics)
	s.Topics = topics
	return s, err
}

// isPlain reports whether a string is valid UTF-8 without control characters.
func isPlain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// List returns the webhooks of a directory, the oldest first.
func (ws *Webhooks) List(ctx context.Context, directory string) ([]Webhook, error) {
	return ws.Store.Webhooks(ctx, directory)
}

// Find returns the webhook with this id, URL or description. It returns ErrNoWebhook if there is
// none, or if several have the URL or description.
func (ws *Webhooks) Find(ctx context.Context, directory, name string) (Webhook, error) {
	all, err := ws.Store.Webhooks(ctx, directory)
	if err != nil {
		return Webhook{}, err
	}
	var found []Webhook
	for _, w := range all {
		if w.ID == name {
			return w, nil
		}
		if w.URL == name || w.Description != "" && strings.EqualFold(w.Description, strings.TrimSpace(name)) {
			found = append(found, w)
		}
	}
	switch len(found) {
	case 0:
		return Webhook{}, ErrNoWebhook.Because("this directory has no webhook %q", name)
	case 1:
		return found[0], nil
	default:
		return Webhook{}, ErrNoWebhook.Because("%q names several webhooks", name).Advise("name one by its id")
	}
}

// Change calls decide with the stored settings of a webhook, and stores the settings that decide
// returns. It does nothing if decide returns the settings unchanged. Change returns the error of
// decide, a refusal for a wrong field, or ErrNoWebhook if there is no such webhook.
func (ws *Webhooks) Change(ctx context.Context, directory, id string, decide func(now WebhookSettings) (WebhookSettings, error), actor string) (changed Webhook, err error) {
	err = ws.update(ctx, directory, id, func(w Webhook) (Webhook, event.Event, error) {
		s, err := decide(WebhookSettings{URL: w.URL, Description: w.Description, Topics: w.Topics})
		if err == nil {
			s, err = ws.check(s)
		}
		if err != nil {
			return w, event.Event{}, err
		}
		before := w
		w.URL, w.Description, w.Topics = s.URL, s.Description, s.Topics
		var changes []event.Change
		for _, c := range []struct {
			name        string
			differs     bool
			before, now any
		}{
			{"host", before.Host() != w.Host(), before.Host(), w.Host()},
			{"description", before.Description != w.Description, before.Description, w.Description},
			{"topics", !slices.Equal(before.Topics, w.Topics), topicNames(before.Topics), topicNames(w.Topics)},
		} {
			if c.differs {
				changes = append(changes, event.Changed(c.name, c.before, c.now))
			}
		}
		if before.URL != w.URL {
			changes = append(changes, event.SecretChanged("url"))
			w.FailingSince, w.Error = time.Time{}, ""
		}
		changed = w
		if len(changes) == 0 {
			return w, event.Event{}, errNothingToDo
		}
		e := ws.newEvent(event.WebhookChanged, actor, w, "The webhook "+w.Label()+" was changed")
		e.Data = event.DataOf(nil, changes...)
		return w, e, nil
	})
	return changed, err
}

// Rotate gives a webhook a new secret and returns the secret. For the time overlap, the replaced
// secret signs requests in addition to the new one. Secrets that earlier rotations replaced go on
// signing until their own times. If overlap is 0, no old secret signs any more. Rotate drops old
// secrets that cannot be opened. form is the number of the form that asks for the rotation, or
// empty for a command. Rotate returns ErrNoWebhook if there is no such webhook, ErrFormUsed if the
// same form made the webhook's present secret, and a refusal if too many old secrets would sign.
func (ws *Webhooks) Rotate(ctx context.Context, directory, id string, overlap time.Duration, form, actor string) (w Webhook, secret string, err error) {
	if overlap < 0 || overlap > MaxOverlap {
		return Webhook{}, "", refusal.New(refusal.Invalid, "overlap", "the old secret can sign for up to 7 days, not for %s", overlap).Advise("choose a time from 0 to 7d")
	}
	secret = newSigningSecret()
	err = ws.Store.ChangeWebhook(ctx, directory, id, func(now Webhook) (Webhook, event.Event, error) {
		if form != "" && now.Form == form {
			return now, event.Event{}, ErrFormUsed
		}
		sealed, err := ws.Sealer.Seal([]byte(secret), now.sealContext())
		if err != nil {
			return now, event.Event{}, fmt.Errorf("seal the secret of a webhook: %w", err)
		}
		at := ws.now()
		old := append(slices.Clone(now.Old), OldSecret{Sealed: now.Sealed, Until: at.Add(overlap)})
		old = slices.DeleteFunc(old, func(o OldSecret) bool {
			_, err := ws.Sealer.Open(o.Sealed, now.sealContext())
			return overlap == 0 || !o.Until.After(at) || err != nil
		})
		if len(old) > maxOldSecrets {
			return now, event.Event{}, refusal.New(refusal.Conflict, "overlap", "%d old secrets of the webhook sign still, which is the limit", maxOldSecrets).
				Advise("wait until one ends, or end all of them with the time 0")
		}
		now.Old, now.Sealed, now.Form, now.FailingSince, now.Error = old, sealed, form, time.Time{}, ""
		words := "; the old one signs no longer"
		if until := now.OldSecretsUntil(at); !until.IsZero() {
			words = "; the old one signs too until " + until.Format("2006-01-02 15:04 UTC")
		}
		w = now
		return now, ws.newEvent(event.WebhookRotated, actor, now, "The webhook "+now.Label()+" has a new secret"+words), nil
	})
	if err != nil {
		return Webhook{}, "", err
	}
	return w, secret, nil
}

// Enable makes the webhook send its deliveries again, beginning with those that wait. It does
// nothing if the webhook is enabled. It returns ErrNoWebhook if there is no such webhook, and
// ErrNoSecret if the webhook's secret is lost.
func (ws *Webhooks) Enable(ctx context.Context, directory, id, actor string) error {
	return ws.update(ctx, directory, id, func(w Webhook) (Webhook, event.Event, error) {
		if w.IsEnabled() {
			return w, event.Event{}, errNothingToDo
		}
		if len(w.Sealed) == 0 {
			return w, event.Event{}, ErrNoSecret
		}
		w.Disabled, w.IsStopped, w.FailingSince, w.Error = time.Time{}, false, time.Time{}, ""
		return w, ws.newEvent(event.WebhookEnabled, actor, w, "The webhook "+w.Label()+" was enabled"), nil
	})
}

// Disable stops a webhook: until Enable, waiting deliveries are not sent, and the webhook gets no
// further news. Disable does nothing if the webhook is disabled. It returns ErrNoWebhook if there
// is no such webhook.
func (ws *Webhooks) Disable(ctx context.Context, directory, id, actor string) error {
	return ws.update(ctx, directory, id, func(w Webhook) (Webhook, event.Event, error) {
		if !w.IsEnabled() {
			return w, event.Event{}, errNothingToDo
		}
		w.Disabled = ws.now()
		return w, ws.newEvent(event.WebhookDisabled, actor, w, "The webhook "+w.Label()+" was disabled"), nil
	})
}

// errNothingToDo is returned by functions that update calls, if the webhook already is as the
// caller wants it.
var errNothingToDo = refusal.New(refusal.Conflict, "", "there is nothing to do")

// update changes a webhook by calling change. If change returns errNothingToDo, update changes
// nothing and returns nil.
func (ws *Webhooks) update(ctx context.Context, directory, id string, change func(Webhook) (Webhook, event.Event, error)) error {
	err := ws.Store.ChangeWebhook(ctx, directory, id, change)
	if err == errNothingToDo { //nolint:errorlint // the store never wraps it
		return nil
	}
	return err
}

// Remove removes a webhook with its deliveries. Waiting deliveries are never sent. Remove returns
// ErrNoWebhook if there is no such webhook.
func (ws *Webhooks) Remove(ctx context.Context, directory, id, actor string) error {
	return ws.Store.RemoveWebhook(ctx, directory, id, func(w Webhook) event.Event {
		e := ws.newEvent(event.WebhookRemoved, actor, w, "The webhook "+w.Label()+" was removed")
		e.Data = event.DataOf(nil, event.Changed("host", w.Host(), nil), event.Changed("topics", topicNames(w.Topics), nil))
		return e
	})
}

// Deliveries returns up to limit deliveries of a webhook before the cursor before, newest first.
// next is the cursor of the next page; it is empty after the last page.
func (ws *Webhooks) Deliveries(ctx context.Context, directory, id, before string, limit int) (page []WebhookDelivery, next string, err error) {
	page, err = ws.Store.Deliveries(ctx, directory, id, before, limit+1)
	if err != nil || len(page) <= limit {
		return page, "", err
	}
	page = page[:limit]
	return page, page[limit-1].Cursor(), nil
}

// SendAgain makes a delivery due at once. The delivery keeps its webhook-id. SendAgain returns
// ErrNoDelivery if there is no such delivery, and ErrWebhookOff if the webhook is disabled.
func (ws *Webhooks) SendAgain(ctx context.Context, directory, id, delivery string) error {
	return ws.Store.Repeat(ctx, directory, id, delivery, ws.now())
}

// secrets decrypts the secrets that sign requests at the time now. The current secret comes first.
// It returns ErrNoSecret if the current secret is lost.
func (ws *Webhooks) secrets(w Webhook, now time.Time) ([]string, error) {
	if len(w.Sealed) == 0 {
		return nil, ErrNoSecret
	}
	plain, err := ws.Sealer.Open(w.Sealed, w.sealContext())
	if err != nil {
		return nil, err
	}
	all := []string{string(plain)}
	for _, old := range slices.Backward(w.Old) {
		if !now.Before(old.Until) {
			continue
		}
		plain, err := ws.Sealer.Open(old.Sealed, w.sealContext())
		if err != nil {
			continue // leave this old secret out: the current secret signs
		}
		all = append(all, string(plain))
	}
	return all, nil
}

// sealContext returns the context with which a Sealer seals the secrets of the webhook.
func (w Webhook) sealContext() string { return "webhook " + w.Directory + " " + w.ID }

// newSigningSecret returns a secret in the form of Standard Webhooks.
func newSigningSecret() string {
	var key [signingKeyBytes]byte
	_, _ = rand.Read(key[:]) // rand.Read is documented never to return an error
	return "whsec_" + base64.StdEncoding.EncodeToString(key[:])
}

// now returns the time with the precision of the store.
func (ws *Webhooks) now() time.Time { return ws.Now().UTC().Truncate(time.Microsecond) }

// newEvent returns an event about a webhook.
func (ws *Webhooks) newEvent(name, actor string, w Webhook, text string) event.Event {
	return event.Event{Time: ws.Now(), Scope: event.Directory(w.Directory), Name: name, Actor: actor, Subject: w.ID, Text: text}
}

// Reseal seals all secrets of webhooks again with the current key. It returns how many secrets it
// sealed, and the webhooks whose secrets cannot be opened.
func (ws *Webhooks) Reseal(ctx context.Context) (done int, lost []Webhook, err error) {
	all, err := ws.Store.AllWebhooks(ctx)
	if err != nil {
		return 0, nil, fmt.Errorf("find the secrets of webhooks: %w", err)
	}
	for _, w := range all {
		if _, err := ws.Sealer.Open(w.Sealed, w.sealContext()); err != nil {
			lost = append(lost, w)
			continue
		}
		sealed, err := ws.sealAgain(w, w.Sealed)
		if err != nil {
			return done, lost, err
		}
		var older []OldSecret
		for _, old := range w.Old {
			if _, err := ws.Sealer.Open(old.Sealed, w.sealContext()); err != nil {
				continue // drop an old secret that cannot be opened: the current secret signs
			}
			again, err := ws.sealAgain(w, old.Sealed)
			if err != nil {
				return done, lost, err
			}
			older = append(older, OldSecret{Sealed: again, Until: old.Until})
		}
		if err := ws.Store.ReplaceWebhookSecrets(ctx, w, sealed, older); err != nil {
			return done, lost, err
		}
		done++
	}
	return done, lost, nil
}

// sealAgain seals a secret of a webhook with the current key.
func (ws *Webhooks) sealAgain(w Webhook, sealed []byte) ([]byte, error) {
	plain, err := ws.Sealer.Open(sealed, w.sealContext())
	if err != nil {
		return nil, fmt.Errorf("open the secret of a webhook: %w", err)
	}
	again, err := ws.Sealer.Seal(plain, w.sealContext())
	if err != nil {
		return nil, fmt.Errorf("seal the secret of a webhook: %w", err)
	}
	return again, nil
}

// CountOpen returns how many webhooks have a sealed secret, and how many of these secrets the
// sealer can open.
func (ws *Webhooks) CountOpen(ctx context.Context) (opens, sealed int, err error) {
	all, err := ws.Store.AllWebhooks(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("find the secrets of webhooks: %w", err)
	}
	for _, w := range all {
		if _, err := ws.Sealer.Open(w.Sealed, w.sealContext()); err == nil {
			opens++
		}
	}
	return opens, len(all), nil
}

// DiscardLost disables the webhooks whose secrets cannot be opened, and removes these secrets. It
// returns these webhooks.
func (ws *Webhooks) DiscardLost(ctx context.Context, actor string) (lost []Webhook, err error) {
	all, err := ws.Store.AllWebhooks(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the secrets of webhooks: %w", err)
	}
	for _, w := range all {
		if _, err := ws.Sealer.Open(w.Sealed, w.sealContext()); err == nil {
			continue
		}
		e := ws.newEvent(event.WebhookDisabled, actor, w, "The webhook "+w.Label()+" was disabled: its secret was lost with the key that sealed it. Rotate the secret, and enable the webhook")
		if err := ws.Store.ReplaceWebhookSecrets(ctx, w, nil, nil, e); err != nil {
			return lost, err
		}
		lost = append(lost, w)
	}
	return lost, nil
}
