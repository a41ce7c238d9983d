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

// keysPage is the data of the view "keys": the API keys of a directory, the form for a new key, or
// a new key.
type keysPage struct {
	console.Page
	Rows   []keyRow
	Ended  []keyRow
	Empty  console.EmptyState
	New    string // the address of the form; empty on the form itself
	Form   *keyForm
	Made   *madeKey
	Cancel string
}

type keyRow struct {
	operator.Key
	Badge   console.Badge
	By      string
	Revoke  string
	EndedAt time.Time
	EndText string // "revoked" or "expired"
}

// keyForm is the form for a new key.
type keyForm struct {
	Action  string
	Number  string // makes the form usable only once
	Name    string
	Expires string
	First   string // the earliest day that can be chosen
	Last    string
	Levels  []levelChoice
	Error   *console.FieldError
}

type levelChoice struct {
	Value, Text, Help string
	Checked           bool
}

// madeKey is a new key, with its secret. It is shown only once.
type madeKey struct {
	Key   console.CopyValue
	Base  console.CopyValue
	Label string
	Level string
	Until time.Time
	Done  string
}

// levelHelp says what a key of each level may do.
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

// keyFormUsedNotice is shown when a used form is sent again, by a reload or the Back button.
var keyFormUsedNotice = console.Notice{
	Tone: console.ToneInfo, Title: "A key is shown once",
	Text: "Nothing new was made. If you did not save the key, revoke it and make another one.",
}

func (p *Pages) keysPage(r *http.Request, v *directoryVisit) (keysPage, error) {
	all, err := p.Keys.Keys(r.Context(), string(v.Directory.ID))
	if err != nil {
		return keysPage{}, err
	}
	now := p.Console.Options.Now()
	pg := keysPage{Page: v.page, New: v.url("keys/new"), Empty: console.EmptyState{
		Icon: "key-round", Title: "No API key yet", Text: "Scripts that steer provisioning over the Graph-shaped API need a key.",
	}}
	for _, k := range all {
		row := keyRow{Key: k, By: console.ActorName(k.CreatedBy), Revoke: v.url("keys/" + url.PathEscape(k.ID) + "/revoke")}
		switch {
		case k.IsLive(now):
			row.Badge = console.Badge{Tone: console.ToneGood, Text: "Live"}
			pg.Rows = append(pg.Rows, row)
			continue
		case !k.Revoked.IsZero():
			row.EndedAt, row.EndText = k.Revoked, "revoked"
		default:
			row.EndedAt, row.EndText = k.Expires, "expired"
		}
		pg.Ended = append(pg.Ended, row)
	}
	pg.Title = "API keys"
	pg.Lead = "A key lets a script steer the provisioning of this directory, and nothing else."
	pg.Crumbs = v.crumbs()
	return pg, nil
}

func (p *Pages) showKeys(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	pg, err := p.keysPage(r, v)
	if err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "keys", pg)
}

func (p *Pages) newKey(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.viewKeyForm(w, r, v, http.StatusOK, nil)
}

// viewKeyForm shows the form for a new key, filled with the typed values.
func (p *Pages) viewKeyForm(w http.ResponseWriter, r *http.Request, v *directoryVisit, status int, wrong *console.FieldError) error {
	now := p.Console.Options.Now().UTC()
	day := func(after time.Duration) string { return now.Add(after).Format(time.DateOnly) }
	f := keyForm{
		Action: v.keysURL(), Number: console.NewFormNumber(), Name: r.PostForm.Get("name"), Expires: r.PostForm.Get("expires"), Error: wrong,
		First: day(0), Last: day(operator.MaxKeyLifetime - 24*time.Hour),
	}
	if wrong == nil {
		f.Expires = day(operator.DefaultKeyLifetime)
	}
	chosen := operator.Level(r.PostForm.Get("level"))
	if !chosen.Allows(operator.Read) {
		chosen = operator.Read
	}
	for _, l := range operator.Levels {
		f.Levels = append(f.Levels, levelChoice{Value: string(l), Text: strings.ToUpper(string(l)[:1]) + string(l)[1:], Help: levelHelp(l), Checked: l == chosen})
	}
	pg := keysPage{Page: v.page, Form: &f, Cancel: v.keysURL()}
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
		Directory: string(v.Directory.ID), Name: r.PostForm.Get("name"), Level: operator.Level(r.PostForm.Get("level")), Actor: v.actor(), FormNumber: r.PostForm.Get("form"),
	}
	if number := req.FormNumber; number == "" || len(number) > 100 || !utf8.ValidString(number) || strings.ContainsRune(number, 0) {
		return console.UnreadableForm(errors.New("the form has no number"))
	}
	day, err := time.Parse(time.DateOnly, r.PostForm.Get("expires"))
	if err != nil {
		return p.viewKeyForm(w, r, v, http.StatusUnprocessableEntity, &console.FieldError{For: "expires", Text: "Write the day as 2027-01-31."})
	}
	req.Expires = day.AddDate(0, 0, 1) // the key is valid until the end of that day, in UTC
	made, secret, err := p.Keys.CreateKey(r.Context(), req)
	if errors.Is(err, operator.ErrKeyFormUsed) {
		return p.Console.Redirect(w, r, v.keysURL(), keyFormUsedNotice)
	}
	if wrong := console.InputError(err, console.InputIDs{"name": "name", "level": "level-read", "expires": "expires", "": "name"}); wrong != nil {
		return p.viewKeyForm(w, r, v, http.StatusUnprocessableEntity, wrong)
	}
	if err != nil {
		return err
	}
	pg := keysPage{Page: v.page, Made: &madeKey{
		Key:   console.CopyValue{ID: "key", Label: "API key", Value: secret, Button: "Copy to clipboard", Hint: "Send it in the header Authorization, after the word Bearer."},
		Base:  console.CopyValue{ID: "base", Label: "Base URL", Value: p.Console.Options.PublicURL + v.url("graph/v1.0"), Hint: "Replaces https://graph.microsoft.com/v1.0 in scripts."},
		Label: made.Label(), Level: string(made.Level), Until: made.Expires, Done: v.keysURL(),
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
		Action: v.url("keys/" + url.PathEscape(k.ID) + "/revoke"), Button: "Revoke key", Danger: true, Cancel: v.keysURL(),
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
	if err := p.Keys.RevokeKey(r.Context(), string(v.Directory.ID), k.ID, v.actor()); err != nil && !errors.Is(err, refusal.NotFound) {
		return err
	}
	return p.Console.Redirect(w, r, v.keysURL(), console.DoneNotice("API key "+k.Label()+" is revoked."))
}
