package notification

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

const (
	maxMessagesPerMail = 50               // the largest number of messages in one mail
	mailPause          = 5 * time.Minute  // the shortest time between two mails to the same recipient
	sendTimeout        = 20 * time.Second // how long one mail may take to be sent
	keysCheckInterval  = time.Hour        // how often to look for API keys that expire soon
	stopAfter          = 72 * time.Hour   // how long the mail server may refuse a recipient's mail before no more is sent
	maxSubjectRunes    = 120              // the largest length of a subject, in characters
	maxErrorBytes      = 500              // the largest length of a stored error, in bytes
)

// retryAfter returns how long to wait after this number of failed tries in a row.
func retryAfter(failures int) time.Duration {
	waits := []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour}
	if failures <= len(waits) {
		return waits[max(failures, 1)-1]
	}
	return 6 * time.Hour
}

// Advance sends one mail, if one is due. It returns the time at which it must be called again. If
// the mail server has refused a recipient's mail for three days, Advance stops the recipient: it
// gets no mail until Resume.
func (n *Notifications) Advance(ctx context.Context, _ string, epoch int64) (next time.Time, err error) {
	if n.Mailer == nil {
		return time.Time{}, ErrNoMailer
	}
	if n.ExpiringKeys != nil {
		if err := n.ExpiringKeys(ctx); err != nil {
			return time.Time{}, fmt.Errorf("find the API keys that expire soon: %w", err)
		}
	}
	idle := n.Now().Add(keysCheckInterval)
	d, next, err := n.Store.Due(ctx, n.Now(), maxMessagesPerMail)
	if errors.Is(err, ErrNotFound) {
		if next.IsZero() || next.After(idle) {
			next = idle
		}
		return next, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("find the mail that is due: %w", err)
	}
	sending, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	failure := n.Mailer.Send(sending, n.compose(d))
	now := n.Now().UTC().Truncate(time.Microsecond)
	if ctx.Err() != nil && failure != nil {
		return time.Time{}, ctx.Err() // the process is shutting down, so this does not count as a try
	}
	if failure != nil {
		return now, n.noteFailure(ctx, epoch, d.Recipient, now, failure)
	}
	if err := n.Store.Sent(ctx, epoch, d, now, now.Add(mailPause)); err != nil {
		return time.Time{}, fmt.Errorf("note that mail was sent: %w", err)
	}
	return now, nil
}

// noteFailure stores why a mail could not be sent, and the time of the next try. After three days
// of failures, it stops the recipient: no mail is sent until Resume.
func (n *Notifications) noteFailure(ctx context.Context, epoch int64, r Recipient, now time.Time, failure error) error {
	r.Failures++
	r.Error = shorten(oneLine(failure.Error()), maxErrorBytes)
	r.NextTry = now.Add(retryAfter(r.Failures))
	if r.FailingSince.IsZero() {
		r.FailingSince = now
	}
	var events []event.Event
	if now.Sub(r.FailingSince) >= stopAfter {
		r.Stopped = now
		events = append(events, n.newEvent(event.NotificationStopped, "system", r, "Mail to "+r.Address+" has stopped: the mail server has taken none for three days. "+r.Error))
	}
	if err := n.Store.Failed(ctx, epoch, r, events...); err != nil {
		return fmt.Errorf("note that mail was not sent: %w", err)
	}
	return nil
}

// SendTest immediately sends a test mail to a recipient. It returns ErrNoMailer if there is no mail
// server, or the error of the mail server.
func (n *Notifications) SendTest(ctx context.Context, directoryName string, r Recipient) error {
	if n.Mailer == nil {
		return ErrNoMailer
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return n.Mailer.Send(ctx, Mail{
		ID: n.NewID(), To: r.Address, Time: n.Now(),
		Subject: "[Rollcall " + directoryName + "] Test",
		Text:    "This is a test. Mail from Rollcall about the directory " + directoryName + " reaches this address.\n" + n.footer(directoryName, r),
	})
}

// compose returns the mail that tells a recipient the messages of a delivery.
func (n *Notifications) compose(d Delivery) Mail {
	first := d.Messages[0]
	m := Mail{ID: first.ID, To: d.Recipient.Address, Time: first.Time}
	m.Subject = shorten("[Rollcall "+d.DirectoryName+"] "+oneLine(first.Text), maxSubjectRunes)
	if others := len(d.Messages) - 1 + d.More; others > 0 {
		m.Subject += fmt.Sprintf(" (and %d more)", others)
	}
	var b strings.Builder
	for i, msg := range d.Messages {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s\n%s\n%s\n", msg.Time.UTC().Format("2006-01-02 15:04 UTC"), oneLine(msg.Text), n.eventURL(d.DirectoryName, msg))
	}
	if d.More > 0 {
		fmt.Fprintf(&b, "\n%d more wait and follow with the next mail.\n", d.More)
	}
	b.WriteString(n.footer(d.DirectoryName, d.Recipient))
	m.Text = b.String()
	return m
}

// eventURL returns the address of the page about the message's event.
func (n *Notifications) eventURL(directoryName string, m Message) string {
	return pageLink(n.PublicURL, directoryName, m)
}

// pageLink returns the address of the page about a message's event. publicURL is the base URL of
// pages.
func pageLink(publicURL, directoryName string, m Message) string {
	base := publicURL + "/d/" + url.PathEscape(directoryName)
	app := base + "/applications/" + url.PathEscape(m.Application)
	switch {
	case m.Event == event.KeyExpiring:
		return base + "/keys"
	case m.Event == event.WebhookStopped, m.Event == TestType:
		return base + "/webhooks"
	case m.Application == "":
		return base + "/audit"
	case m.Event == event.ProvisioningHeld:
		return app + "/provisioning/held"
	case m.Event == event.ProvisioningPlanWaits:
		return app + "/provisioning/plan"
	default:
		return app + "/provisioning"
	}
}

// footer returns the last lines of a mail. They say why the recipient gets it, and where to change
// that.
func (n *Notifications) footer(directoryName string, r Recipient) string {
	by := cmp.Or(event.ParseActor(r.AddedBy).Words(), "an administrator")
	return "\n-- \nYou get this mail because " + by + " added " + r.Address + ". To change that: " + n.PublicURL + "/d/" + url.PathEscape(directoryName) + "/notifications\n"
}

// oneLine replaces line breaks and other control characters with spaces.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == ' ' }), " ")
}

// shorten cuts a string to at most limit bytes, never inside a character.
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	cut := limit - len("…")
	for cut > 0 && text[cut]&0xc0 == 0x80 {
		cut--
	}
	return text[:cut] + "…"
}
