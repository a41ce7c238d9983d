package directorypages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/refusal"
)

// notificationsPage is the data of the view "notifications". It lists the recipients of mail about
// a directory. If Form is set, it is the form for a new recipient.
type notificationsPage struct {
	console.Page
	HasNoMailServer bool // whether this installation has no mail server
	Rows            []recipientRow
	Empty           console.EmptyState
	NewURL          string // address of the form for a new recipient
	Form            *recipientForm
	CancelURL       string
}

// recipientRow shows a recipient of notifications in the list.
type recipientRow struct {
	notification.Recipient
	TopicsText  string
	Application string // name of the application that the mail is about; empty for all applications
	Badge       console.Badge
	Note        string // says how much mail waits, and why the last attempt to send failed; may be empty
	AddedByName string
	TestURL     string // address that sends a test mail
	ResumeURL   string // address that resumes mail to the recipient; empty unless the mail is stopped
	RemoveURL   string
}

// recipientForm is the form for a new recipient.
type recipientForm struct {
	FormURL      string
	Address      string
	Topics       []topicChoice
	Applications []applicationChoice
	Error        *console.FieldError
}

// topicChoice is a checkbox for one topic of notifications.
type topicChoice struct {
	Value, Text, Help string
	IsChecked         bool
}

// applicationChoice is an option for the application that notifications are about.
type applicationChoice struct {
	ID, Name string
	IsChosen bool
}

func (v *directoryVisit) notificationsURL() string { return v.url("notifications") }

// recipientActionURL returns the address of an action for a recipient, such as "test" or "remove".
func (v *directoryVisit) recipientActionURL(id, action string) string {
	return v.url("notifications/" + url.PathEscape(id) + "/" + action)
}

func (p *Pages) showRecipients(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	all, err := p.Notifications.Recipients(r.Context(), string(v.Directory.ID))
	if err != nil {
		return err
	}
	apps, err := v.Applications(r.Context())
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, a := range apps {
		names[a.ID] = a.Name
	}
	now := p.Console.Options.Now()
	pg := notificationsPage{Page: v.page, NewURL: v.url("notifications/new"), HasNoMailServer: p.Notifications.Mailer == nil, Empty: console.EmptyState{
		Icon: "mail", Title: "No recipients yet", Text: "Add an address that should know when provisioning needs a person.",
	}}
	for _, who := range all {
		pg.Rows = append(pg.Rows, newRecipientRow(v, who, names[who.Application], now))
	}
	pg.Title = "Notifications"
	pg.Lead = "Mail to the people who look after the provisioning of this directory."
	pg.Crumbs = v.crumbs()
	return p.show(w, r, http.StatusOK, "notifications", pg)
}

func newRecipientRow(v *directoryVisit, r notification.Recipient, application string, now time.Time) recipientRow {
	row := recipientRow{
		Recipient: r, Application: application, AddedByName: console.ActorName(r.AddedBy), Badge: console.Badge{Tone: console.ToneGood, Text: "On"},
		TestURL: v.recipientActionURL(r.ID, "test"), RemoveURL: v.recipientActionURL(r.ID, "remove"),
	}
	for i, t := range r.Topics {
		if i > 0 {
			row.TopicsText += ", "
		}
		row.TopicsText += t.Label()
	}
	if len(r.Topics) == len(notification.Topics) {
		row.TopicsText = "Everything"
	}
	if r.Waiting > 0 {
		row.Note = phrase.Count(r.Waiting, "message waits", "messages wait") + "."
	}
	switch {
	case !r.Stopped.IsZero():
		row.Badge = console.Badge{Tone: console.ToneProblem, Text: "Stopped"}
		row.ResumeURL = v.recipientActionURL(r.ID, "resume")
		row.Note += " The mail server took none for three days. The last error: " + r.Error
	case !r.FailingSince.IsZero():
		row.Badge = console.Badge{Tone: console.ToneWarning, Text: "Failing"}
		row.Note += " Next try " + console.RelativeTime(r.NextTry, now) + ". The last error: " + r.Error
	}
	return row
}

func (p *Pages) showRecipientForm(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.renderRecipientForm(w, r, v, http.StatusOK, nil)
}

// renderRecipientForm shows the form for a new recipient. If wrong is set, the form contains the
// typed values, and wrong is shown beside its input.
func (p *Pages) renderRecipientForm(w http.ResponseWriter, r *http.Request, v *directoryVisit, status int, wrong *console.FieldError) error {
	apps, err := v.Applications(r.Context())
	if err != nil {
		return err
	}
	f := recipientForm{FormURL: v.notificationsURL(), Address: r.PostForm.Get("address"), Error: wrong}
	for _, t := range notification.Topics {
		checked := wrong == nil || slices.Contains(r.PostForm["topic"], string(t))
		f.Topics = append(f.Topics, topicChoice{Value: string(t), Text: t.Label(), Help: t.Describe(), IsChecked: checked})
	}
	for _, a := range apps {
		f.Applications = append(f.Applications, applicationChoice{ID: a.ID, Name: a.Name, IsChosen: r.PostForm.Get("application") == a.ID})
	}
	pg := notificationsPage{Page: v.page, Form: &f, CancelURL: v.notificationsURL()}
	pg.Title, pg.Narrow = "Add a recipient", true
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Notifications", URL: v.notificationsURL()})
	return p.show(w, r, status, "notifications", pg)
}

func (p *Pages) addRecipient(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	req := notification.NewRecipient{Directory: string(v.Directory.ID), Application: r.PostForm.Get("application"), Address: r.PostForm.Get("address"), Actor: v.actorLabel()}
	for _, name := range r.PostForm["topic"] {
		req.Topics = append(req.Topics, notification.Topic(name))
	}
	if len(req.Topics) == 0 {
		return p.renderRecipientForm(w, r, v, http.StatusUnprocessableEntity, &console.FieldError{For: "topic-quarantine", Text: "Tick at least one."})
	}
	who, err := p.Notifications.Add(r.Context(), req)
	if req.Application != "" && errors.Is(err, refusal.NotFound) {
		return p.renderRecipientForm(w, r, v, http.StatusUnprocessableEntity, &console.FieldError{For: "application", Text: "This application no longer exists. Choose another one."})
	}
	if wrong := console.InputError(err, console.InputIDs{"address": "address", "topics": "topic-quarantine", "": "address"}); wrong != nil {
		return p.renderRecipientForm(w, r, v, http.StatusUnprocessableEntity, wrong)
	}
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.notificationsURL(), console.DoneNotice(who.Address+" gets mail. Send a test mail to see whether it arrives."))
}

// findRecipient returns the recipient whose id is in the path. If there is none, the error is
// notification.ErrNotFound.
func (p *Pages) findRecipient(r *http.Request, v *directoryVisit) (notification.Recipient, error) {
	all, err := p.Notifications.Recipients(r.Context(), string(v.Directory.ID))
	if err != nil {
		return notification.Recipient{}, err
	}
	for _, who := range all {
		if who.ID == r.PathValue("recipient") {
			return who, nil
		}
	}
	return notification.Recipient{}, notification.ErrNotFound
}

func (p *Pages) testRecipient(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	who, err := p.findRecipient(r, v)
	if err != nil {
		return err
	}
	if err := p.Notifications.SendTest(r.Context(), v.Directory.Name, who); errors.Is(err, notification.ErrNoMailer) {
		return p.Console.Redirect(w, r, v.notificationsURL(), console.Notice{Tone: console.ToneWarning, Title: "No mail server", Text: "No test mail was sent. " + noServerAdvice})
	} else if err != nil {
		return p.Console.Redirect(w, r, v.notificationsURL(), console.Notice{Tone: console.ToneProblem, Title: "The test mail was not sent", Text: err.Error()})
	}
	return p.Console.Redirect(w, r, v.notificationsURL(), console.DoneNotice("The mail server took a test mail for "+who.Address+"."))
}

// noServerAdvice says how to make an installation use a mail server.
const noServerAdvice = "Start Rollcall with --smtp-url and --mail-from. Until then messages wait."

func (p *Pages) resumeRecipient(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	who, err := p.findRecipient(r, v)
	if err != nil {
		return err
	}
	if err := p.Notifications.Resume(r.Context(), string(v.Directory.ID), who.ID, v.actorLabel()); err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.notificationsURL(), console.DoneNotice("Mail is sent to "+who.Address+" again."))
}

func (p *Pages) askRemoveRecipient(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	who, err := p.findRecipient(r, v)
	if err != nil {
		return err
	}
	pg := console.ConfirmPage{
		Page: v.page, Consequences: []string{"No further mail goes to this address."}, Undo: "You can add the address again.",
		FormURL: v.recipientActionURL(who.ID, "remove"), Button: "Remove recipient", IsDangerous: true, CancelURL: v.notificationsURL(),
	}
	if who.Waiting > 0 {
		pg.Consequences = append(pg.Consequences, phrase.Count(who.Waiting, "message that waits is", "messages that wait are")+" not sent.")
	}
	pg.Title, pg.Narrow = "Remove "+who.Address+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Notifications", URL: v.notificationsURL()})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

func (p *Pages) removeRecipient(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	who, err := p.findRecipient(r, v)
	if err != nil {
		return err
	}
	if err := p.Notifications.Remove(r.Context(), string(v.Directory.ID), who.ID, v.actorLabel()); err != nil && !errors.Is(err, refusal.NotFound) {
		return err
	}
	return p.Console.Redirect(w, r, v.notificationsURL(), console.DoneNotice(who.Address+" no longer gets mail."))
}
