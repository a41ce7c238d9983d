package notification

import (
	"context"
	"errors"
	"maps"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
)

// The kind and key of the lease that a process needs to send mail.
const (
	LeaseKind = "notification"
	LeaseKey  = "all"
)

const (
	// MaxRecipients is the largest number of recipients of a directory.
	MaxRecipients = 50
	// maxAddressBytes is the largest length of an e-mail address, in bytes. SMTP allows 256 bytes
	// for a path, which includes two angle brackets.
	maxAddressBytes = 254
)

// Topic is a kind of news that a recipient can choose.
type Topic string

// The topics.
const (
	Quarantine  Topic = "quarantine"  // provisioning is in quarantine, or was released from it
	Held        Topic = "held"        // operations are on hold until a person confirms them, or a plan waits for approval
	Late        Topic = "late"        // an account waits too long to be disabled or deleted, or provisioning has missed changes
	Credentials Topic = "credentials" // a Secret Token was discarded, or an API key expires soon
)

// Topics lists the topics in the order in which pages show them.
var Topics = []Topic{Quarantine, Held, Late, Credentials}

// topicOfEvent maps the names of events to topics.
var topicOfEvent = map[string]Topic{
	event.ProvisioningQuarantined:     Quarantine,
	event.ProvisioningReleased:        Quarantine,
	event.ProvisioningHeld:            Held,
	event.ProvisioningPlanWaits:       Held,
	event.ProvisioningLate:            Late,
	event.ProvisioningBehind:          Late,
	event.ProvisioningSecretDiscarded: Credentials,
	event.KeyExpiring:                 Credentials,
}

// TopicOf returns the topic of the events with this name. ok is false if there is no mail about
// such events.
func TopicOf(name string) (t Topic, ok bool) {
	t, ok = topicOfEvent[name]
	return t, ok
}

// HasMail reports whether mail is sent about the events with this name. Unlike TopicOf, it includes
// the event of a stopped webhook, which has no topic.
func HasMail(name string) bool {
	_, ok := TopicOf(name)
	return ok || name == event.WebhookStopped
}

// Label returns the topic's name on pages.
func (t Topic) Label() string {
	switch t {
	case Quarantine:
		return "Quarantine"
	case Held:
		return "Operations on hold"
	case Late:
		return "Delays"
	default:
		return "Credentials"
	}
}

// Describe says in which situation mail about the topic is sent, for pages and commands.
func (t Topic) Describe() string {
	switch t {
	case Quarantine:
		return "Provisioning went into quarantine, or a quarantine ended."
	case Held:
		return "Operations that disable or delete are on hold and wait for a decision, or a plan waits for approval."
	case Late:
		return "An account waits too long to be closed, or provisioning has missed changes."
	default:
		return "An API key expires within two weeks, or a Secret Token has to be entered again."
	}
}

// Recipient is an e-mail address that gets mail about a directory.
type Recipient struct {
	ID          string
	Directory   string // the id of the directory
	Application string // the id of the application; empty for every application
	Address     string
	Topics      []Topic   // the topics about which mail is sent, in the order of the variable Topics; never empty
	AddedBy     string    // the actor who added the recipient, in the form that events use
	Added       time.Time // when the recipient was added

	Waiting      int       // how many messages wait to be sent
	LastSent     time.Time // when mail was last sent; zero if none was sent yet
	NextTry      time.Time // the earliest time at which the next mail may be sent
	FailingSince time.Time // when the mail server began to refuse mail for this address; zero if it accepts mail
	Failures     int       // how many tries have failed in a row
	Error        string    // why the last try failed
	Stopped      time.Time // when mail was stopped, because too many tries failed; zero if it is not stopped
}

// Wants reports whether the recipient gets mail about an event. name is the name of the event.
// application is the id of its application, or empty if it concerns none.
func (r Recipient) Wants(name, application string) bool {
	if name == event.WebhookStopped {
		return true // the topics do not matter: the stopped webhook cannot send its news any more
	}
	t, ok := TopicOf(name)
	return ok && slices.Contains(r.Topics, t) && (r.Application == "" || application == "" || r.Application == application)
}

// Message is the news about one event.
type Message struct {
	ID          string
	Event       string // the name of the event
	Application string // the name of the application; empty if there is none, or it was deleted
	Text        string // the text of the event
	Time        time.Time
}

// Refusals about recipients.
var (
	ErrNotFound = refusal.New(refusal.NotFound, "", "this directory has no such recipient").Coded("recipient_gone")
	ErrTaken    = refusal.New(refusal.Taken, "address", "this address gets mail already").
			Advise("remove the recipient and add it again with other topics").Coded("recipient_taken")
	ErrTooMany = refusal.New(refusal.Conflict, "address", "the directory has %d recipients, which is the limit", MaxRecipients).
			Advise("use a mailing list, or remove a recipient").Coded("recipients_full")
	// ErrNoMailer says that this process has no mail server.
	ErrNoMailer = refusal.New(refusal.Off, "", "there is no mail server").
			Advise("start with --smtp-url and --mail-from").Coded("no_mail_server")
)

// Store keeps recipients and the messages that wait for them. The store of events adds the
// messages, each in the transaction of its event.
type Store interface {
	// Add stores a recipient and appends the event. It returns ErrTaken if the directory already
	// has this address for the same application, ErrTooMany if the directory already has limit
	// recipients, and refusal.NotFound if the directory or the application does not exist.
	Add(ctx context.Context, r Recipient, limit int, e event.Event) error
	// Recipients returns the recipients of a directory, by address.
	Recipients(ctx context.Context, directory string) ([]Recipient, error)
	// Remove deletes a recipient with its messages, and appends the event that e makes. It returns
	// ErrNotFound if there is none.
	Remove(ctx context.Context, directory, id string, e func(Recipient) event.Event) error
	// Resume lets a stopped recipient get mail again, and appends the event that e makes. The next
	// mail is due immediately. Resume does nothing if the recipient is not stopped. It returns
	// ErrNotFound if there is no such recipient.
	Resume(ctx context.Context, directory, id string, e func(Recipient) event.Event) error
	// Due returns the recipient whose mail is due first, with the name of its directory and its
	// oldest messages, up to limit. If no mail is due at the time now, it returns ErrNotFound. Then
	// next is the time when the next mail is due; it is zero if no message waits.
	Due(ctx context.Context, now time.Time, limit int) (d Delivery, next time.Time, err error)
	// Sent deletes the messages of a mail that was sent. It stores that the mail was sent at the
	// time at, and that the next mail must not be sent before the time next. It does nothing if the
	// recipient was removed. Sent and Failed return an error if another process has taken over the
	// lease with this epoch.
	Sent(ctx context.Context, epoch int64, d Delivery, at, next time.Time) error
	// Failed stores the state of a recipient after mail could not be sent, and appends the events.
	Failed(ctx context.Context, epoch int64, r Recipient, events ...event.Event) error
}

// Delivery is the content of the next mail to a recipient.
type Delivery struct {
	Recipient     Recipient
	DirectoryName string
	Messages      []Message // the oldest first
	More          int       // how many messages wait in addition to Messages
}

// Mail is one mail as a Mailer sends it.
type Mail struct {
	ID      string // part of the Message-ID; stays the same when a try is repeated
	To      string
	Subject string
	Text    string
	Time    time.Time
}

// Mailer sends mail. Its errors are sentences for administrators, and contain no password.
type Mailer interface {
	Send(ctx context.Context, m Mail) error
}

// Notifications manages recipients and sends their mail. All fields except Mailer and ExpiringKeys
// are required.
type Notifications struct {
	Store     Store
	Mailer    Mailer // nil if this process has no mail server
	PublicURL string // the base URL of pages
	Now       func() time.Time
	NewID     func() string
	// ExpiringKeys appends an event for each API key that will expire soon, once for each key.
	ExpiringKeys func(ctx context.Context) error
}

// NewRecipient describes a recipient to add.
type NewRecipient struct {
	Directory   string // the id of the directory
	Application string // the id of the application; empty for every application
	Address     string
	Topics      []Topic // the topics about which mail is sent; empty means all
	Actor       string  // the actor who adds the recipient, in the form that events use
}

// Add adds a recipient. It returns a refusal for a wrong field, and the errors of Store.Add.
func (n *Notifications) Add(ctx context.Context, req NewRecipient) (Recipient, error) {
	address, err := ParseAddress(req.Address)
	if err != nil {
		return Recipient{}, err
	}
	topics, err := sortTopics(req.Topics)
	if err != nil {
		return Recipient{}, err
	}
	r := Recipient{
		ID: n.NewID(), Directory: req.Directory, Application: req.Application, Address: address, Topics: topics,
		AddedBy: req.Actor, Added: n.Now().UTC().Truncate(time.Microsecond),
	}
	e := n.newEvent(event.NotificationAdded, req.Actor, r, address+" gets mail about: "+joinLabels(topics))
	e.Data = event.DataOf(nil, event.Changed("address", nil, address), event.Changed("topics", nil, topicNames(topics)))
	if err := n.Store.Add(ctx, r, MaxRecipients, e); err != nil {
		return Recipient{}, err
	}
	return r, nil
}

// ParseAddress returns an e-mail address without surrounding spaces. It returns a refusal if the
// address is not valid.
func ParseAddress(text string) (string, error) {
	clean := strings.TrimSpace(text)
	bad := func(detail string, args ...any) error {
		return refusal.New(refusal.Invalid, "address", detail, args...).Advise("write one address, such as it@contoso.example")
	}
	switch {
	case clean == "":
		return "", bad("the e-mail address is missing")
	case len(clean) > maxAddressBytes:
		return "", bad("the e-mail address is longer than %d bytes", maxAddressBytes)
	case !utf8.ValidString(clean) || strings.ContainsFunc(clean, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }):
		return "", bad("an e-mail address holds no spaces and no control characters")
	}
	parsed, err := mail.ParseAddress(clean)
	if err != nil || parsed.Address != clean || parsed.Name != "" {
		return "", bad("%q is not an e-mail address", clean)
	}
	return clean, nil
}

// sortTopics returns the topics in the order of Topics, without repetitions. An empty list means
// all topics.
func sortTopics(topics []Topic) ([]Topic, error) {
	for _, t := range topics {
		if !slices.Contains(Topics, t) {
			return nil, refusal.New(refusal.Invalid, "topics", "%q is not a topic", string(t)).Advise("choose from %s", strings.Join(topicNames(Topics), ", "))
		}
	}
	if len(topics) == 0 {
		return slices.Clone(Topics), nil
	}
	var sorted []Topic
	for _, t := range Topics {
		if slices.Contains(topics, t) {
			sorted = append(sorted, t)
		}
	}
	return sorted, nil
}

// topicNames returns the topics as strings.
func topicNames(topics []Topic) []string {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = string(t)
	}
	return names
}

// joinLabels returns the topics' names on pages, separated by commas.
func joinLabels(topics []Topic) string {
	labels := make([]string, len(topics))
	for i, t := range topics {
		labels[i] = t.Label()
	}
	return strings.Join(labels, ", ")
}

// Recipients returns the recipients of a directory, by address.
func (n *Notifications) Recipients(ctx context.Context, directory string) ([]Recipient, error) {
	return n.Store.Recipients(ctx, directory)
}

// Find returns the recipient with this id or address. If several recipients have the address, it
// returns the recipient for every application. It returns ErrNotFound if there is no such
// recipient.
func (n *Notifications) Find(ctx context.Context, directory, idOrAddress string) (Recipient, error) {
	all, err := n.Store.Recipients(ctx, directory)
	if err != nil {
		return Recipient{}, err
	}
	var found []Recipient
	for _, r := range all {
		if r.ID == idOrAddress {
			return r, nil
		}
		if strings.EqualFold(r.Address, strings.TrimSpace(idOrAddress)) {
			found = append(found, r)
		}
	}
	if at := slices.IndexFunc(found, func(r Recipient) bool { return r.Application == "" }); at >= 0 {
		return found[at], nil
	}
	switch len(found) {
	case 0:
		return Recipient{}, ErrNotFound.Because("this directory has no recipient %q", idOrAddress)
	case 1:
		return found[0], nil
	default:
		return Recipient{}, ErrNotFound.Because("%q is a recipient of several applications", idOrAddress).Advise("name one by its id")
	}
}

// Remove removes a recipient together with its waiting messages, which are never sent. It returns
// ErrNotFound if there is no such recipient.
func (n *Notifications) Remove(ctx context.Context, directory, id, actor string) error {
	return n.Store.Remove(ctx, directory, id, func(r Recipient) event.Event {
		e := n.newEvent(event.NotificationRemoved, actor, r, r.Address+" no longer gets mail")
		e.Data = event.DataOf(nil, event.Changed("address", r.Address, nil), event.Changed("topics", topicNames(r.Topics), nil))
		return e
	})
}

// ReplaceAddedByKeys replaces the recipients of mail about an application that API keys have added
// by these addresses. Recipients that a person or a command has added stay. New recipients get mail
// about the given topics. If an address is invalid, ReplaceAddedByKeys returns a refusal and
// changes nothing.
func (n *Notifications) ReplaceAddedByKeys(ctx context.Context, directory, application string, addresses []string, topics []Topic, actor string) error {
	wanted := map[string]string{} // the addresses by their folded form
	for _, a := range addresses {
		clean, err := ParseAddress(a)
		if err != nil {
			return err
		}
		wanted[strings.ToLower(clean)] = clean
	}
	all, err := n.Recipients(ctx, directory)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Application != application {
			continue
		}
		folded := strings.ToLower(r.Address)
		if _, stays := wanted[folded]; !stays && event.ParseActor(r.AddedBy).Kind == event.APIKey {
			if err := n.Remove(ctx, directory, r.ID, actor); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		delete(wanted, folded)
	}
	for _, folded := range slices.Sorted(maps.Keys(wanted)) {
		_, err := n.Add(ctx, NewRecipient{Directory: directory, Application: application, Address: wanted[folded], Topics: topics, Actor: actor})
		if err != nil && !errors.Is(err, ErrTaken) {
			return err
		}
	}
	return nil
}

// Resume lets a stopped recipient get mail again, beginning with the waiting messages. It does
// nothing if the recipient is not stopped. It returns ErrNotFound if there is no such recipient.
func (n *Notifications) Resume(ctx context.Context, directory, id, actor string) error {
	return n.Store.Resume(ctx, directory, id, func(r Recipient) event.Event {
		return n.newEvent(event.NotificationResumed, actor, r, "Mail is sent to "+r.Address+" again")
	})
}

// newEvent returns an event about a recipient.
func (n *Notifications) newEvent(name, actor string, r Recipient, text string) event.Event {
	return event.Event{Time: n.Now(), Scope: event.Directory(r.Directory), Name: name, Actor: actor, Subject: r.ID, Text: text}
}
