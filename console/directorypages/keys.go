package directorypages

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/refusal"
)

// keysPage is the data of the view "keys". It lists the API keys of a directory. If Form is set, it
// is the form for a new key. If NewKey is set, it shows a new key.
type keysPage struct {
	console.Page
	Rows      []keyRow
	EndedKeys []keyRow
	Empty     console.EmptyState
	NewKeyURL string // address of the form for a new key; empty on the form itself
	Form      *keyForm
	NewKey    *newKey
	CancelURL string
}

// keyRow shows an API key in the list.
type keyRow struct {
	operator.Key
	Badge       console.Badge
	CreatorName string
	RevokeURL   string
	EndedAt     time.Time
	EndedText   string // "revoked" or "expired"; empty for a live key
}

// keyForm is the form for a new key.
type keyForm struct {
	FormURL         string
	FormNumber      string // a single-use number; the first POST that contains it uses it up
	Name            string
	LastDay         string
	FirstAllowedDay string // the earliest day on which the key may expire
	LastAllowedDay  string
	Levels          []levelChoice
	Error           *console.FieldError
}

// levelChoice is an option for what a new key may do.
type levelChoice struct {
	Value, Text, Help string
	IsChecked         bool
}

// newKey shows a key that was just created, with its secret. The secret is shown only once.
type newKey struct {
	Key     console.CopyValue
	BaseURL console.CopyValue
	Label   string
	Level   string
	Expires time.Time
	DoneURL string
}

// levelHelp says what a key of this level may do.
func levelHelp(l operator.Level) string {
	switch l {
	case operator.Read:
		return "Reads jobs, schemas, connections and provisioning logs."
	case operator.Run:
		return "Also starts, pauses and restarts jobs, and provisions on demand."
	default:
		return "Also creates, changes and deletes jobs, schemas, credentials and connections."
	}
}

func (v *directoryVisit) keysURL() string { return v.url("keys") }

// keyFormUsedNotice is shown when a form that created a key is sent again, by a reload or by the
// browser's Back button.
var keyFormUsedNotice = console.Notice{
	Tone: console.ToneInfo, Title: "A key is shown once",
	Text: "Nothing new was made. If you did not save the key, revoke it and make another one.",
}

func (p *Pages) buildKeysPage(r *http.Request, v *directoryVisit) (keysPage, error) {
	all, err := p.Keys.Keys(r.Context(), string(v.Directory.ID))
	if err != nil {
		return keysPage{}, err
	}
	now := p.Console.Options.Now()
	pg := keysPage{Page: v.page, NewKeyURL: v.url("keys/new"), Empty: console.EmptyState{
		Icon: "key-round", Title: "No API key yet", Text: "Scripts that steer provisioning over the Graph-shaped API need a key.",
	}}
	for _, k := range all {
		row := keyRow{Key: k, CreatorName: console.ActorName(k.CreatedBy), RevokeURL: v.url("keys/" + url.PathEscape(k.ID) + "/revoke")}
		switch {
		case k.IsLive(now):
			row.Badge = console.Badge{Tone: console.ToneGood, Text: "Live"}
			pg.Rows = append(pg.Rows, row)
			continue
		case !k.Revoked.IsZero():
			row.EndedAt, row.EndedText = k.Revoked, "revoked"
		default:
			row.EndedAt, row.EndedText = k.Expires, "expired"
		}
		pg.EndedKeys = append(pg.EndedKeys, row)
	}
	pg.Title = "API keys"
	pg.Lead = "A key lets a script steer the provisioning of this directory, and nothing else."
	pg.Crumbs = v.crumbs()
	return pg, nil
}

func (p *Pages) showKeys(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	pg, err := p.buildKeysPage(r, v)
	if err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "keys", pg)
}

func (p *Pages) showKeyForm(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.renderKeyForm(w, r, v, http.StatusOK, nil)
}

// renderKeyForm shows the form for a new key. If wrong is set, the form contains the typed values,
// and wrong is shown beside its input.
func (p *Pages) renderKeyForm(w http.ResponseWriter, r *http.Request, v *directoryVisit, status int, wrong *console.FieldError) error {
	now := p.Console.Options.Now().UTC()
	day := func(after time.Duration) string { return now.Add(after).Format(time.DateOnly) }
	f := keyForm{
		FormURL: v.keysURL(), FormNumber: console.NewFormNumber(), Name: r.PostForm.Get("name"), LastDay: r.PostForm.Get("expires"), Error: wrong,
		FirstAllowedDay: day(0), LastAllowedDay: day(operator.MaxKeyLifetime - 24*time.Hour),
	}
	if wrong == nil {
		f.LastDay = day(operator.DefaultKeyLifetime)
	}
	chosen := operator.Level(r.PostForm.Get("level"))
	if !chosen.Allows(operator.Read) {
		chosen = operator.Read
	}
	for _, l := range operator.Levels {
		f.Levels = append(f.Levels, levelChoice{Value: string(l), Text: strings.ToUpper(string(l)[:1]) + string(l)[1:], Help: levelHelp(l), IsChecked: l == chosen})
	}
	pg := keysPage{Page: v.page, Form: &f, CancelURL: v.keysURL()}
	pg.Title, pg.Narrow = "New API key", true
	pg.Crumbs = v.crumbs(console.Crumb{Text: "API keys", URL: v.keysURL()})
	return p.show(w, r, status, "keys", pg)
}

// makeKey creates a key. It responds directly with the page that shows the key, because a secret
// must not go through a redirect. If the same form is sent again, it creates nothing.
func (p *Pages) makeKey(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	req := operator.KeyRequest{
		Directory: string(v.Directory.ID), Name: r.PostForm.Get("name"), Level: operator.Level(r.PostForm.Get("level")), Actor: v.actorLabel(), FormNumber: r.PostForm.Get("form"),
	}
	if number := req.FormNumber; number == "" || len(number) > 100 || !utf8.ValidString(number) || strings.ContainsRune(number, 0) {
		return console.UnreadableForm(errors.New("the form has no number"))
	}
	day, err := time.Parse(time.DateOnly, r.PostForm.Get("expires"))
	if err != nil {
		return p.renderKeyForm(w, r, v, http.StatusUnprocessableEntity, &console.FieldError{For: "expires", Text: "Write the day as 2027-01-31."})
	}
	req.Expires = day.AddDate(0, 0, 1) // the key is valid until the end of that day, in UTC
	made, secret, err := p.Keys.CreateKey(r.Context(), req)
	if errors.Is(err, operator.ErrKeyFormUsed) {
		return p.Console.Redirect(w, r, v.keysURL(), keyFormUsedNotice)
	}
	if wrong := console.InputError(err, console.InputIDs{"name": "name", "level": "level-read", "expires": "expires", "": "name"}); wrong != nil {
		return p.renderKeyForm(w, r, v, http.StatusUnprocessableEntity, wrong)
	}
	if err != nil {
		return err
	}
	pg := keysPage{Page: v.page, NewKey: &newKey{
		Key:     console.CopyValue{ID: "key", Label: "API key", Value: secret, Button: "Copy to clipboard", Hint: "Send it in the header Authorization, after the word Bearer."},
		BaseURL: console.CopyValue{ID: "base", Label: "Base URL", Value: p.Console.Options.PublicURL + v.url("graph/v1.0"), Hint: "Replaces https://graph.microsoft.com/v1.0 in scripts."},
		Label:   made.Label(), Level: string(made.Level), Expires: made.Expires, DoneURL: v.keysURL(),
	}}
	pg.Title, pg.Narrow = "API key "+made.Label(), true
	pg.Crumbs = v.crumbs(console.Crumb{Text: "API keys", URL: v.keysURL()})
	return p.show(w, r, http.StatusOK, "keys", pg)
}

func (p *Pages) findKey(r *http.Request, v *directoryVisit) (operator.Key, error) {
	all, err := p.Keys.Keys(r.Context(), string(v.Directory.ID))
	if err != nil {
		return operator.Key{}, err
	}
	for _, k := range all {
		if k.ID == r.PathValue("key") {
			return k, nil
		}
	}
	return operator.Key{}, operator.ErrKeyNotFound
}

func (p *Pages) askRevokeKey(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	k, err := p.findKey(r, v)
	if err != nil {
		return err
	}
	now := p.Console.Options.Now()
	if !k.IsLive(now) {
		return p.Console.Redirect(w, r, v.keysURL(), console.Notice{Tone: console.ToneInfo, Text: "API key " + k.Label() + " has ended already."})
	}
	use := "It was never used."
	if !k.LastUsed.IsZero() {
		use = "It was last used " + console.RelativeTime(k.LastUsed, now) + " from " + k.LastFrom + "."
	}
	pg := console.ConfirmPage{
		Page: v.page, Consequences: []string{use, "The script that has it is refused from its next request on."}, Undo: console.CannotBeUndone,
		FormURL: v.url("keys/" + url.PathEscape(k.ID) + "/revoke"), Button: "Revoke key", IsDangerous: true, CancelURL: v.keysURL(),
	}
	pg.Title, pg.Narrow = "Revoke the API key "+k.Label()+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{Text: "API keys", URL: v.keysURL()})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

func (p *Pages) revokeKey(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	k, err := p.findKey(r, v)
	if err != nil {
		return err
	}
	if err := p.Keys.RevokeKey(r.Context(), string(v.Directory.ID), k.ID, v.actorLabel()); err != nil && !errors.Is(err, refusal.NotFound) {
		return err
	}
	return p.Console.Redirect(w, r, v.keysURL(), console.DoneNotice("API key "+k.Label()+" is revoked."))
}
