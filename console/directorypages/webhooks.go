package directorypages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/refusal"
)

// webhooksPage is the data of the view "webhooks". It lists the webhooks of a directory. If Form is
// set, it is the form for a new webhook, or for the settings of one. If NewSecret is set, it shows
// a secret that was just made. If Hook is set, it is the page of one webhook.
type webhooksPage struct {
	console.Page
	Rows         []webhookRow
	Empty        console.EmptyState
	NewURL       string // address of the form for a new webhook
	Form         *webhookForm
	NewSecret    *newWebhookSecret
	Rotate       *rotateForm
	Hook         *webhookRow
	Deliveries   []deliveryRow
	NoDeliveries console.EmptyState
	Pager        console.Pager
	CancelURL    string
}

// webhookRow shows one webhook of a directory, in the list or on its own page.
type webhookRow struct {
	notification.Webhook
	Name                           string
	TopicsText                     string
	ApplicationName                string // empty for all applications
	Badge                          console.Badge
	Note                           string // says what waits and why the last try failed; may be empty
	AddedByName                    string
	OldSecretsUntil                time.Time // until when an old secret signs too; zero if none does
	URLOfPage, EditURL, RotateURL  string
	TestURL, EnableURL, DisableURL string // EnableURL is empty for an enabled webhook, DisableURL for a disabled one
	RemoveURL                      string
}

// webhookForm is the form for the settings of a webhook.
type webhookForm struct {
	FormURL      string
	FormNumber   string // a single-use number, on the form for a new webhook
	StartValues  []console.HiddenField
	Address      string
	Description  string
	Topics       []topicChoice
	Applications []applicationChoice // empty if the application cannot be chosen any more
	Button       string
	Error        *console.FieldError
	IsNew        bool
}

// newWebhookSecret shows a secret that was just made. It is shown only once.
type newWebhookSecret struct {
	Secret  console.CopyValue
	Text    string // says what becomes of the old secret; may be empty
	DoneURL string
}

// rotateForm asks for a new secret.
type rotateForm struct {
	FormURL, FormNumber string
	Choices             []overlapChoice
}

// overlapChoice is an option for how long the old secret of a webhook still works.
type overlapChoice struct {
	Value, Text string
	IsChecked   bool
}

// deliveryRow shows one delivery of a webhook.
type deliveryRow struct {
	notification.WebhookDelivery
	Badge     console.Badge
	AgainURL  string // address that sends the delivery again; empty for a test, and while the webhook is disabled
	AgainText string // text of the button
}

// deliveriesOnPage is how many deliveries one page shows.
const deliveriesOnPage = 25

func (v *directoryVisit) webhooksURL() string { return v.url("webhooks") }

func (v *directoryVisit) webhookURL(id, rest string) string {
	return v.webhooksURL() + "/" + url.PathEscape(id) + rest
}

var webhookFormUsedNotice = console.Notice{
	Tone: console.ToneInfo, Title: "A secret is shown once",
	Text: "Nothing new was made. If you did not save the secret, make a new one: Rotate secret.",
}

func (p *Pages) showWebhooks(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	all, err := p.Webhooks.List(r.Context(), string(v.Directory.ID))
	if err != nil {
		return err
	}
	names, err := v.applicationNames(r)
	if err != nil {
		return err
	}
	pg := webhooksPage{Page: v.page, NewURL: v.webhooksURL() + "/new", Empty: console.EmptyState{
		Icon: "plug", Title: "No webhooks yet", Text: "Add an endpoint that should be told when provisioning needs a person.",
	}}
	for _, hook := range all {
		pg.Rows = append(pg.Rows, p.newWebhookRow(v, hook, names))
	}
	pg.Title = "Webhooks"
	pg.Lead = "Signed requests to your endpoints, for the same events as mail."
	pg.Crumbs = v.crumbs()
	return p.show(w, r, http.StatusOK, "webhooks", pg)
}

// applicationNames maps the ids of the directory's applications to their names.
func (v *directoryVisit) applicationNames(r *http.Request) (map[string]string, error) {
	apps, err := v.Applications(r.Context())
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, a := range apps {
		names[a.ID] = a.Name
	}
	return names, nil
}

func (p *Pages) newWebhookRow(v *directoryVisit, hook notification.Webhook, names map[string]string) webhookRow {
	now := p.Console.Options.Now()
	row := webhookRow{
		Webhook: hook, Name: hook.Label(), ApplicationName: names[hook.Application], AddedByName: console.ActorName(hook.AddedBy),
		Badge: console.Badge{Tone: console.ToneGood, Text: "On"}, OldSecretsUntil: hook.OldSecretsUntil(now),
		URLOfPage: v.webhookURL(hook.ID, ""), EditURL: v.webhookURL(hook.ID, "/edit"), RotateURL: v.webhookURL(hook.ID, "/rotate"),
		TestURL: v.webhookURL(hook.ID, "/test"), RemoveURL: v.webhookURL(hook.ID, "/remove"), DisableURL: v.webhookURL(hook.ID, "/disable"),
	}
	var labels []string
	for _, t := range hook.Topics {
		labels = append(labels, t.Label())
	}
	row.TopicsText = strings.Join(labels, ", ")
	if len(hook.Topics) == len(notification.Topics) {
		row.TopicsText = "Everything"
	}
	if hook.Waiting > 0 {
		row.Note = phrase.Count(hook.Waiting, "delivery waits", "deliveries wait") + "."
	}
	switch {
	case hook.IsStopped:
		row.Badge = console.Badge{Tone: console.ToneProblem, Text: "Stopped"}
		row.Note += " The endpoint took nothing for three days, or is gone. The last error: " + hook.Error
	case !hook.IsEnabled():
		row.Badge = console.Badge{Tone: console.ToneQuiet, Text: "Disabled"}
	case !hook.FailingSince.IsZero():
		row.Badge = console.Badge{Tone: console.ToneWarning, Text: "Failing"}
		row.Note += " Since " + console.RelativeTime(hook.FailingSince, now) + ". The last error: " + hook.Error
	case hook.Error != "":
		row.Badge = console.Badge{Tone: console.ToneWarning, Text: "Failing"}
		row.Note += " " + hook.Error
	}
	if !hook.IsEnabled() {
		row.EnableURL, row.DisableURL = v.webhookURL(hook.ID, "/enable"), ""
	}
	return row
}

func (p *Pages) showWebhookForm(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.renderWebhookForm(w, r, v, http.StatusOK, nil)
}

// renderWebhookForm shows the form for a new webhook. If wrong is set, the form contains the typed
// values, and wrong is shown beside its input.
func (p *Pages) renderWebhookForm(w http.ResponseWriter, r *http.Request, v *directoryVisit, status int, wrong *console.FieldError) error {
	apps, err := v.Applications(r.Context())
	if err != nil {
		return err
	}
	f := webhookForm{
		FormURL: v.webhooksURL(), FormNumber: console.NewFormNumber(), Address: r.PostForm.Get("url"), Description: r.PostForm.Get("description"),
		Topics: topicChoices(func(t notification.Topic) bool {
			return wrong == nil || slices.Contains(r.PostForm["topic"], string(t))
		}), Button: "Add webhook", Error: wrong, IsNew: true,
	}
	for _, a := range apps {
		f.Applications = append(f.Applications, applicationChoice{ID: a.ID, Name: a.Name, IsChosen: r.PostForm.Get("application") == a.ID})
	}
	pg := webhooksPage{Page: v.page, Form: &f, CancelURL: v.webhooksURL()}
	pg.Title, pg.Narrow = "Add a webhook", true
	pg.Crumbs = v.webhookCrumbs()
	return p.show(w, r, status, "webhooks", pg)
}

func (v *directoryVisit) webhookCrumbs() []console.Crumb {
	return v.crumbs(console.Crumb{Text: "Webhooks", URL: v.webhooksURL()})
}

// topicChoices returns a checkbox for each topic.
func topicChoices(isChecked func(notification.Topic) bool) (choices []topicChoice) {
	for _, t := range notification.Topics {
		choices = append(choices, topicChoice{Value: string(t), Text: t.Label(), Help: t.Describe(), IsChecked: isChecked(t)})
	}
	return choices
}

// webhookInputs maps the fields of refusals to the ids of inputs.
var webhookInputs = console.InputIDs{"url": "url", "description": "description", "topics": "topic-quarantine", "": "url"}

var errNoTopic = &console.FieldError{For: "topic-quarantine", Text: "Tick at least one."}

// formNumber returns the single-use number of a form.
func formNumber(r *http.Request) (string, error) {
	number := r.PostForm.Get("form")
	if number == "" || len(number) > 100 || !utf8.ValidString(number) || strings.ContainsRune(number, 0) {
		return "", console.UnreadableForm(errors.New("the form has no number"))
	}
	return number, nil
}

// addWebhook adds a webhook. It responds directly with the page that shows the secret, because a
// secret must not go through a redirect. If the same form is sent again, it adds nothing.
func (p *Pages) addWebhook(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	number, err := formNumber(r)
	if err != nil {
		return err
	}
	req := notification.NewWebhook{
		WebhookSettings: notification.WebhookSettings{URL: r.PostForm.Get("url"), Description: r.PostForm.Get("description"), Topics: postedTopics(r)},
		Directory:       string(v.Directory.ID), Application: r.PostForm.Get("application"), Actor: v.actorLabel(), Form: number,
	}
	if len(req.Topics) == 0 {
		return p.renderWebhookForm(w, r, v, http.StatusUnprocessableEntity, errNoTopic)
	}
	hook, secret, err := p.Webhooks.Add(r.Context(), req)
	if errors.Is(err, notification.ErrFormUsed) {
		return p.Console.Redirect(w, r, v.webhooksURL(), webhookFormUsedNotice)
	}
	if req.Application != "" && errors.Is(err, refusal.NotFound) {
		return p.renderWebhookForm(w, r, v, http.StatusUnprocessableEntity, &console.FieldError{For: "application", Text: "This application no longer exists. Choose another one."})
	}
	if wrong := console.InputError(err, webhookInputs); wrong != nil {
		return p.renderWebhookForm(w, r, v, http.StatusUnprocessableEntity, wrong)
	}
	if err != nil {
		return err
	}
	return p.showSecret(w, r, v, hook, secret, "")
}

func postedTopics(r *http.Request) (topics []notification.Topic) {
	for _, name := range r.PostForm["topic"] {
		topics = append(topics, notification.Topic(name))
	}
	return topics
}

func (p *Pages) showSecret(w http.ResponseWriter, r *http.Request, v *directoryVisit, hook notification.Webhook, secret, text string) error {
	pg := webhooksPage{Page: v.page, NewSecret: &newWebhookSecret{
		Secret: console.CopyValue{ID: "secret", Label: "Secret", Value: secret, Button: "Copy to clipboard", Hint: "The endpoint checks the signature with it, in the form of Standard Webhooks."},
		Text:   text, DoneURL: v.webhookURL(hook.ID, ""),
	}}
	pg.Title, pg.Narrow = "Secret of "+hook.Label(), true
	pg.Crumbs = v.webhookCrumbs()
	return p.show(w, r, http.StatusOK, "webhooks", pg)
}

// findWebhook returns the webhook whose id is in the path, or notification.ErrNoWebhook.
func (p *Pages) findWebhook(r *http.Request, v *directoryVisit) (notification.Webhook, error) {
	all, err := p.Webhooks.List(r.Context(), string(v.Directory.ID))
	if err != nil {
		return notification.Webhook{}, err
	}
	for _, hook := range all {
		if hook.ID == r.PathValue("webhook") {
			return hook, nil
		}
	}
	return notification.Webhook{}, notification.ErrNoWebhook
}

// showWebhook shows one webhook with its deliveries.
func (p *Pages) showWebhook(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	hook, err := p.findWebhook(r, v)
	if err != nil {
		return err
	}
	names, err := v.applicationNames(r)
	if err != nil {
		return err
	}
	before := r.URL.Query().Get("before")
	if !utf8.ValidString(before) || strings.ContainsRune(before, 0) {
		before = ""
	}
	page, next, err := p.Webhooks.Deliveries(r.Context(), hook.Directory, hook.ID, before, deliveriesOnPage)
	if err != nil {
		return err
	}
	row := p.newWebhookRow(v, hook, names)
	pg := webhooksPage{Page: v.page, Hook: &row, CancelURL: v.webhooksURL(), NoDeliveries: console.EmptyState{Icon: "send", Title: "Nothing was sent yet", Text: "Send a test to see whether the endpoint takes it."}}
	for _, d := range page {
		pg.Deliveries = append(pg.Deliveries, newDeliveryRow(v, hook, d))
	}
	if before != "" {
		pg.Pager.FirstURL = row.URLOfPage
	}
	if next != "" {
		pg.Pager.NextURL = row.URLOfPage + "?before=" + url.QueryEscape(next)
	}
	pg.Title = hook.Label()
	pg.Badge = &row.Badge
	pg.StatusLine = row.Note
	pg.Crumbs = v.webhookCrumbs()
	return p.show(w, r, http.StatusOK, "webhooks", pg)
}

func newDeliveryRow(v *directoryVisit, hook notification.Webhook, d notification.WebhookDelivery) deliveryRow {
	row := deliveryRow{WebhookDelivery: d, AgainText: "Send again", AgainURL: v.webhookURL(hook.ID, "/deliveries/"+url.PathEscape(d.ID))}
	switch d.State {
	case notification.DeliverySent:
		row.Badge = console.Badge{Tone: console.ToneGood, Text: "Sent"}
	case notification.DeliveryFailed:
		row.Badge = console.Badge{Tone: console.ToneProblem, Text: "Failed"}
	default:
		row.Badge, row.AgainText = console.Badge{Tone: console.ToneInfo, Text: "Waiting"}, "Send now"
	}
	if !hook.IsEnabled() || d.Event == notification.TestType {
		row.AgainURL = ""
	}
	return row
}

// webhookFields lists the settings that the page edits.
func webhookFields() []console.EditField {
	return []console.EditField{
		{Name: "url", Label: "URL"},
		{Name: "description", Label: "Description"},
		{Name: "topics", Label: "About", ReadValue: func(form url.Values) string {
			if form.Has("topics") {
				return form.Get("topics")
			}
			return strings.Join(form["topic"], " ")
		}},
	}
}

func webhookValues(s notification.WebhookSettings) map[string]string {
	words := make([]string, len(s.Topics))
	for i, t := range s.Topics {
		words[i] = string(t)
	}
	return map[string]string{"url": s.URL, "description": s.Description, "topics": strings.Join(words, " ")}
}

func (p *Pages) showWebhookEdit(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	hook, err := p.findWebhook(r, v)
	if err != nil {
		return err
	}
	s := notification.WebhookSettings{URL: hook.URL, Description: hook.Description, Topics: hook.Topics}
	return p.renderWebhookEdit(w, r, v, hook, s, console.StartValueFields(webhookFields(), webhookValues(s)), http.StatusOK, nil)
}

func (p *Pages) renderWebhookEdit(w http.ResponseWriter, r *http.Request, v *directoryVisit, hook notification.Webhook, s notification.WebhookSettings, was []console.HiddenField, status int, wrong *console.FieldError) error {
	pg := webhooksPage{Page: v.page, CancelURL: v.webhookURL(hook.ID, ""), Form: &webhookForm{
		FormURL: v.webhookURL(hook.ID, "/edit"), StartValues: was, Address: s.URL, Description: s.Description, Button: "Save", Error: wrong,
		Topics: topicChoices(func(t notification.Topic) bool { return slices.Contains(s.Topics, t) }),
	}}
	pg.Title, pg.Narrow = "Edit "+hook.Label(), true
	pg.Crumbs = append(v.webhookCrumbs(), console.Crumb{Text: hook.Label(), URL: v.webhookURL(hook.ID, "")})
	return p.show(w, r, status, "webhooks", pg)
}

func (p *Pages) saveWebhook(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	hook, err := p.findWebhook(r, v)
	if err != nil {
		return err
	}
	typed := notification.WebhookSettings{URL: r.PostForm.Get("url"), Description: r.PostForm.Get("description"), Topics: postedTopics(r)}
	again := func(wrong *console.FieldError) error {
		return p.renderWebhookEdit(w, r, v, hook, typed, console.RepeatStartValueFields(r.PostForm, webhookFields()), http.StatusUnprocessableEntity, wrong)
	}
	if len(typed.Topics) == 0 {
		return again(errNoTopic)
	}
	hook, err = p.changeWebhook(r, v, hook)
	if errors.Is(err, errConflict) {
		return again(&console.FieldError{For: "url", Text: "Somebody else changed the same setting meanwhile. Open the page again to see it."})
	}
	if wrong := console.InputError(err, webhookInputs); wrong != nil {
		return again(wrong)
	}
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.webhookURL(hook.ID, ""), console.DoneNotice("The webhook was saved."))
}

// changeWebhook saves the settings of the form that were changed in it. It returns errConflict if
// another operator has changed the same setting.
func (p *Pages) changeWebhook(r *http.Request, v *directoryVisit, hook notification.Webhook) (notification.Webhook, error) {
	changed, err := p.Webhooks.Change(r.Context(), hook.Directory, hook.ID, func(now notification.WebhookSettings) (notification.WebhookSettings, error) {
		m, err := console.MergeEdit(r.PostForm, webhookFields(), webhookValues(now))
		if err != nil {
			return now, err
		}
		if len(m.Conflicts) > 0 {
			return now, errConflict
		}
		now.URL, now.Description, now.Topics = m.Values["url"], m.Values["description"], nil
		for _, word := range strings.Fields(m.Values["topics"]) {
			now.Topics = append(now.Topics, notification.Topic(word))
		}
		return now, nil
	}, v.actorLabel())
	if err != nil {
		return hook, err
	}
	return changed, nil
}

func (p *Pages) testWebhook(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	hook, err := p.findWebhook(r, v)
	if err != nil {
		return err
	}
	d, err := p.Webhooks.SendTest(r.Context(), v.Directory.Name, hook, v.actorLabel())
	if err != nil {
		return err
	}
	notice := console.DoneNotice("The endpoint took the test: " + d.Outcome())
	if d.State != notification.DeliverySent {
		notice = console.Notice{Tone: console.ToneProblem, Title: "The endpoint did not take the test", Text: d.Outcome()}
	}
	return p.Console.Redirect(w, r, v.webhookURL(hook.ID, ""), notice)
}

func (p *Pages) askRotateWebhook(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	hook, err := p.findWebhook(r, v)
	if err != nil {
		return err
	}
	pg := webhooksPage{Page: v.page, CancelURL: v.webhookURL(hook.ID, ""), Rotate: &rotateForm{
		FormURL: v.webhookURL(hook.ID, "/rotate"), FormNumber: console.NewFormNumber(),
		Choices: []overlapChoice{{"24h", "For a day", true}, {"168h", "For seven days", false}, {"0s", "Not at all, because it has leaked", false}},
	}}
	pg.Title, pg.Narrow = "Rotate the secret of "+hook.Label()+"?", true
	pg.Crumbs = append(v.webhookCrumbs(), console.Crumb{Text: hook.Label(), URL: v.webhookURL(hook.ID, "")})
	return p.show(w, r, http.StatusOK, "webhooks", pg)
}

func (p *Pages) rotateWebhook(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	number, err := formNumber(r)
	if err != nil {
		return err
	}
	hook, err := p.findWebhook(r, v)
	if err != nil {
		return err
	}
	overlap, err := time.ParseDuration(r.PostForm.Get("overlap"))
	if err != nil {
		return console.UnreadableForm(errors.New("the form names no overlap"))
	}
	hook, secret, err := p.Webhooks.Rotate(r.Context(), hook.Directory, hook.ID, overlap, number, v.actorLabel())
	if errors.Is(err, notification.ErrFormUsed) {
		return p.Console.Redirect(w, r, v.webhookURL(r.PathValue("webhook"), ""), webhookFormUsedNotice)
	}
	if err != nil {
		return err
	}
	text := "The old secret signs no longer."
	if until := hook.OldSecretsUntil(p.Console.Options.Now()); !until.IsZero() {
		text = "The old secret signs too until " + until.UTC().Format("2006-01-02 15:04 UTC") + "."
	}
	return p.showSecret(w, r, v, hook, secret, text)
}

// switchWebhook enables or disables a webhook, as the path says.
func (p *Pages) switchWebhook(enable bool) func(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return func(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
		hook, err := p.findWebhook(r, v)
		if err != nil {
			return err
		}
		do, done := p.Webhooks.Disable, "Nothing is sent to "+hook.Label()+" until it is enabled."
		if enable {
			do, done = p.Webhooks.Enable, hook.Label()+" is enabled; what waits is sent first."
		}
		if err := do(r.Context(), hook.Directory, hook.ID, v.actorLabel()); err != nil {
			return err
		}
		return p.Console.Redirect(w, r, v.webhookURL(hook.ID, ""), console.DoneNotice(done))
	}
}

func (p *Pages) sendDeliveryAgain(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	hook, err := p.findWebhook(r, v)
	if err != nil {
		return err
	}
	id := r.PathValue("delivery")
	if !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return notification.ErrNoDelivery
	}
	if err := p.Webhooks.SendAgain(r.Context(), hook.Directory, hook.ID, id); err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.webhookURL(hook.ID, ""), console.DoneNotice("It will be sent again in a moment, with the same webhook-id."))
}

func (p *Pages) askRemoveWebhook(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	hook, err := p.findWebhook(r, v)
	if err != nil {
		return err
	}
	pg := console.ConfirmPage{
		Page: v.page, Consequences: []string{"Nothing is sent to this endpoint any more, and the list of its deliveries goes."}, Undo: "You can add the endpoint again; it gets another secret.",
		FormURL: v.webhookURL(hook.ID, "/remove"), Button: "Remove webhook", IsDangerous: true, CancelURL: v.webhookURL(hook.ID, ""),
	}
	if hook.Waiting > 0 {
		pg.Consequences = append(pg.Consequences, phrase.Count(hook.Waiting, "delivery that waits is", "deliveries that wait are")+" not sent.")
	}
	pg.Title, pg.Narrow = "Remove "+hook.Label()+"?", true
	pg.Crumbs = append(v.webhookCrumbs(), console.Crumb{Text: hook.Label(), URL: v.webhookURL(hook.ID, "")})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

func (p *Pages) removeWebhook(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	hook, err := p.findWebhook(r, v)
	if err != nil {
		return err
	}
	if err := p.Webhooks.Remove(r.Context(), hook.Directory, hook.ID, v.actorLabel()); err != nil && !errors.Is(err, refusal.NotFound) {
		return err
	}
	return p.Console.Redirect(w, r, v.webhooksURL(), console.DoneNotice("The webhook "+hook.Label()+" was removed."))
}
