package directorypages

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// domainForm is the part of a directory's settings page that sets the default domain.
type domainForm struct {
	Domain      string // the typed domain, or the saved one if nothing was typed
	FormURL     string
	StartValues []console.HiddenField
	Error       *console.FieldError
}

func domainFields() []console.EditField {
	return []console.EditField{{Name: "domain", Label: "Default domain"}}
}

// saveDomain sets the default domain of the directory. If that changes values of people or groups
// at applications, it first asks for confirmation.
func (p *Pages) saveDomain(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	m, err := console.MergeEdit(r.PostForm, domainFields(), map[string]string{"domain": v.Directory.DefaultDomain})
	if err != nil {
		return err
	}
	if len(m.Conflicts) > 0 {
		return p.Console.AskAboutConflicts(w, r, v.page, m, v.url("settings/domain"), v.url("settings"), nil)
	}
	typed := m.Values["domain"]
	domain, err := directory.NormalDomain(typed)
	if wrong := console.InputError(err, console.InputIDs{"default domain": "domain"}); wrong != nil {
		return p.renderDirectorySettings(w, r, v, http.StatusUnprocessableEntity, v.Directory.Name, nil, &domainForm{Domain: typed, Error: wrong})
	}
	if err != nil {
		return err
	}
	if domain == v.Directory.DefaultDomain {
		return p.Console.Redirect(w, r, v.url("settings"), console.Notice{Tone: console.ToneInfo, Text: "Nothing was changed: the default domain was like that already."})
	}
	words, numbers, err := p.domainEffects(r, v, domain)
	if err != nil {
		return err
	}
	if len(words) > 0 && r.PostForm.Get("confirmed") != numbers {
		pg := console.ConfirmPage{
			Page: v.page, FormURL: v.url("settings/domain"), Button: "Set the default domain", CancelURL: v.url("settings"), Consequences: words,
			Fields: append(console.RepeatStartValueFields(r.PostForm, domainFields()), console.HiddenField{Name: "domain", Value: domain}, console.HiddenField{Name: "confirmed", Value: numbers}),
			Undo:   "Setting the old default domain again sends the old values again.",
		}
		pg.Title, pg.Narrow, pg.Crumbs = "Change the default domain?", true, v.crumbs(console.Crumb{Text: "Rename or delete", URL: v.url("settings")})
		return p.Console.View(w, r, http.StatusOK, "confirm", pg)
	}
	d, err := p.Directories.SetDefaultDomain(r.Context(), v.Directory, domain, v.actorLabel())
	if err != nil {
		return err
	}
	n := console.DoneNotice("The default domain is " + d.DefaultDomain + " now.")
	if d.DefaultDomain == "" {
		n.Text = "The directory has no default domain now."
	}
	return p.Console.Redirect(w, r, v.url("settings"), n)
}

// domainEffects describes in sentences what a new default domain changes at each application. words
// is empty if it changes nothing. numbers identifies these effects: the form sends it back to
// confirm exactly them.
func (p *Pages) domainEffects(r *http.Request, v *directoryVisit, domain string) (words []string, numbers string, err error) {
	jobs, err := p.Jobs.List(r.Context(), provision.SourceID(v.Directory.ID))
	if err != nil {
		return nil, "", err
	}
	for _, job := range jobs {
		if !job.ReadsDefaultDomain() {
			continue
		}
		app, err := v.Application(r.Context(), job.Key.App)
		if err != nil {
			return nil, "", err
		}
		e, err := p.Jobs.DomainEffect(r.Context(), job, domain)
		var broken *provision.InputError
		switch {
		case errors.As(err, &broken): // a job with an unusable mapping sends nothing
			continue
		case err != nil:
			return nil, "", err
		case !e.Matters():
			continue
		}
		words = append(words, e.ValueSentences(app.Name, console.PluralForms)...)
		words = append(words, e.Sentences(app.Name, console.PluralForms)...)
		numbers += fmt.Sprintf("%s %s ", strconv.Quote(app.ID), effectNumbers(e))
		if e.Groups != nil {
			numbers += effectNumbers(*e.Groups) + " "
		}
	}
	return words, domain + " " + numbers, nil
}
