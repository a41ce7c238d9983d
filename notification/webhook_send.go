package notification

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/event"
)

const (
	postsAtOnce    = 8               // the number of endpoints to which one call of Advance sends at the same time
	postTimeout    = 8 * time.Second // how long an endpoint may take for its answer
	maxAnswerBytes = 500             // how many bytes of an answer are stored
	// giveUpAfter is how long a delivery is tried. If an endpoint accepts nothing for that long,
	// its webhook is disabled.
	giveUpAfter = 72 * time.Hour
)

// webhookRetryAfter returns how long to wait after this number of failed tries of a delivery.
func webhookRetryAfter(attempts int) time.Duration {
	waits := []time.Duration{5 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour}
	if attempts <= len(waits) {
		return waits[max(attempts, 1)-1]
	}
	return 6 * time.Hour
}

// Advance sends the deliveries that are due, at most one for each webhook. It returns the time at
// which it must be called again. It disables a webhook whose endpoint has accepted nothing for
// three days, or answers that it is gone.
func (ws *Webhooks) Advance(ctx context.Context, _ string, epoch int64) (next time.Time, err error) {
	if ws.ExpiringKeys != nil {
		if err := ws.ExpiringKeys(ctx); err != nil {
			return time.Time{}, fmt.Errorf("find the API keys that expire soon: %w", err)
		}
	}
	idle := ws.now().Add(keysCheckInterval)
	due, next, err := ws.Store.DueDeliveries(ctx, ws.now(), postsAtOnce)
	if err != nil {
		return time.Time{}, fmt.Errorf("find the webhooks that are due: %w", err)
	}
	if len(due) == 0 {
		if next.IsZero() || next.After(idle) {
			next = idle
		}
		return next, nil
	}
	failures := make([]error, len(due))
	var sending sync.WaitGroup
	for i, d := range due {
		sending.Go(func() { failures[i] = ws.deliver(ctx, epoch, d) })
	}
	sending.Wait()
	return ws.now(), errors.Join(failures...)
}

// deliver sends one delivery and stores the result.
func (ws *Webhooks) deliver(ctx context.Context, epoch int64, d WebhookDelivery) error {
	d, result := ws.try(ctx, d)
	if ctx.Err() != nil && result != taken {
		return ctx.Err() // the process is shutting down, so this does not count as a try
	}
	now := d.LastTry
	if result == taken {
		d.State = DeliverySent
		d.Webhook.LastSent, d.Webhook.FailingSince, d.Webhook.Error = now, time.Time{}, ""
		return ws.storeResult(ctx, epoch, d, nil)
	}
	d.NextTry = now.Add(webhookRetryAfter(d.Attempts))
	d.Webhook.Error = d.failureText()
	if result == notSigned { // the endpoint did not fail, so its three days of failures begin again
		d.FirstTry, d.Webhook.FailingSince = time.Time{}, time.Time{}
		return ws.storeResult(ctx, epoch, d, nil)
	}
	if d.Webhook.FailingSince.IsZero() {
		d.Webhook.FailingSince = now
	}
	var stopped *event.Event
	reason := "its endpoint has taken nothing for three days"
	if d.Status == http.StatusGone {
		reason = "its endpoint answers that it is gone"
	}
	switch {
	case d.Status == http.StatusGone, now.Sub(d.Webhook.FailingSince) >= giveUpAfter:
		e := ws.newEvent(event.WebhookStopped, "system", d.Webhook, "The webhook "+d.Webhook.Label()+" was disabled: "+reason+". "+d.Webhook.Error)
		stopped = &e
		d.Webhook.Disabled, d.Webhook.IsStopped = now, true
	case now.Sub(d.FirstTry) >= giveUpAfter:
		d.State = DeliveryFailed // the endpoint accepts other deliveries, but not this one
	}
	return ws.storeResult(ctx, epoch, d, stopped)
}

// storeResult stores the result of a try, and appends the event stopped if it is not nil.
func (ws *Webhooks) storeResult(ctx context.Context, epoch int64, d WebhookDelivery, stopped *event.Event) error {
	if err := ws.Store.Delivered(ctx, epoch, d, stopped); err != nil {
		return fmt.Errorf("note the answer to a webhook: %w", err)
	}
	return nil
}

// tryResult is the result of one try to send a delivery.
type tryResult int

const (
	taken     tryResult = iota // the endpoint accepted the delivery
	notTaken                   // the endpoint refused the delivery, or did not answer
	notSigned                  // nothing was sent, because this server cannot open the secret
)

// try sends a delivery once. It returns the delivery with the answer filled in.
func (ws *Webhooks) try(ctx context.Context, d WebhookDelivery) (WebhookDelivery, tryResult) {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	began := ws.now()
	secrets, err := ws.secrets(d.Webhook, began)
	result := taken
	var answer PostAnswer
	if err != nil {
		result, err = notSigned, fmt.Errorf("nothing was sent, because the secret of the webhook cannot be opened: %w", err)
	} else {
		answer, err = ws.Poster.Post(ctx, Post{ID: d.ID, URL: d.Webhook.URL, Time: began, Body: ws.payload(d), Secrets: secrets})
	}
	d.Attempts++
	d.LastTry = ws.now()
	if d.FirstTry.IsZero() {
		d.FirstTry = d.LastTry
	}
	d.TookMillis = d.LastTry.Sub(began).Milliseconds()
	d.Status, d.Answer = answer.Status, shorten(oneLine(answer.Text), maxAnswerBytes)
	if err != nil {
		d.Answer = shorten(sentence(oneLine(err.Error())), maxAnswerBytes)
	}
	if result == taken && (err != nil || answer.Status < 200 || answer.Status > 299) {
		result = notTaken
	}
	return d, result
}

// sentence returns the text of an error with a capital at its beginning and a full stop at its end.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	text = string(unicode.ToUpper(first)) + text[size:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}

// failureText says why the last try of the delivery failed.
func (d WebhookDelivery) failureText() string {
	if d.Status == 0 {
		return d.Answer
	}
	text := fmt.Sprintf("The endpoint answered with the status %d.", d.Status)
	if d.Answer != "" {
		text += " " + d.Answer
	}
	return shorten(text, maxErrorBytes)
}

// Outcome describes the result of the last try in a few words, such as "200" or "503 Service
// Unavailable".
func (d WebhookDelivery) Outcome() string {
	switch {
	case d.Attempts == 0:
		return "not tried yet"
	case d.Status == 0:
		return d.Answer
	case d.Answer == "":
		return fmt.Sprint(d.Status)
	}
	return fmt.Sprintf("%d %s", d.Status, d.Answer)
}

// SendTest sends a test event to a webhook at once, even if the webhook is disabled. It stores the
// delivery, and returns it with the answer. If the endpoint refuses the test, SendTest returns no
// error; it returns only errors of this server. It goes on if ctx ends, because the endpoint may
// have received the test already.
func (ws *Webhooks) SendTest(ctx context.Context, directoryName string, w Webhook, actor string) (WebhookDelivery, error) {
	ctx = context.WithoutCancel(ctx)
	now := ws.now()
	d := WebhookDelivery{
		ID: newDeliveryID(ws.NewID()), Event: TestType, Time: now, NextTry: now, Webhook: w, DirectoryName: directoryName,
		Text: "This is a test of the webhook, sent by " + event.ParseActor(actor).Words() + ".",
	}
	d, result := ws.try(ctx, d)
	d.State = DeliverySent
	if result != taken {
		d.State = DeliveryFailed
	}
	return d, ws.Store.AddDelivery(ctx, d)
}

// newDeliveryID returns the webhook-id of a delivery that is made from this id.
func newDeliveryID(id string) string { return "msg_" + id }

// namedID is the id and the name of a directory or an application in a payload.
type namedID struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// payload is the body of a request to an endpoint. docs/webhooks.md describes it.
type payload struct {
	Type      string      `json:"type"`
	Timestamp string      `json:"timestamp"`
	Data      payloadData `json:"data"`
}

// payloadData is the news in a payload.
type payloadData struct {
	Directory   namedID         `json:"directory"`
	Application *namedID        `json:"application,omitempty"`
	Topic       string          `json:"topic,omitempty"`
	Text        string          `json:"text"`
	URL         string          `json:"url"`
	Details     json.RawMessage `json:"details,omitempty"`
}

// payload returns the body of the request for a delivery.
func (ws *Webhooks) payload(d WebhookDelivery) []byte {
	p := payload{Type: d.Event, Timestamp: d.Time.UTC().Format("2006-01-02T15:04:05.000000Z"), Data: payloadData{
		Directory: namedID{ID: d.Webhook.Directory, Name: d.DirectoryName}, Text: oneLine(d.Text),
		URL: pageLink(ws.PublicURL, d.DirectoryName, Message{Event: d.Event, Application: d.Application}),
	}}
	if d.ApplicationID != "" {
		p.Data.Application = &namedID{ID: d.ApplicationID, Name: d.Application}
	}
	if t, ok := TopicOf(d.Event); ok {
		p.Data.Topic = string(t)
	}
	if json.Valid([]byte(d.Details)) {
		p.Data.Details = json.RawMessage(d.Details)
	}
	body, err := json.Marshal(p)
	if err != nil {
		panic("encode the payload of a webhook: " + err.Error()) // cannot happen: the payload has only strings, and JSON that was checked before
	}
	return body
}
