package directorypages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/provision"
)

// maxListedLinks is how many accounts the question about links names.
const maxListedLinks = 20

// disableDiscovered makes a plan that disables accounts. It first asks the operator to type the
// number of these accounts in words. If accounts is empty, the plan disables all local accounts that
// no user nearly matches.
func (p *Pages) disableDiscovered(w http.ResponseWriter, r *http.Request, v *appVisit, change string, accounts []string) error {
	ids, left, err := p.Engine.AccountsToDisable(r.Context(), v.jobKey(), accounts)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return p.Console.Redirect(w, r, v.discoveredURL(), console.Notice{Tone: console.ToneInfo, Text: "No plan was made: these accounts " + notDisabled + "."})
	}
	typed, asked := r.PostForm["confirm"]
	if !asked || !phrase.IsNumber(typed[0], len(ids)) {
		return p.askDisableDiscovered(w, r, v, change, accounts, len(ids), left, asked)
	}
	plan, err := p.Engine.BeginDisable(r.Context(), v.jobKey(), accounts, v.actorLabel())
	var input *provision.InputError
	switch {
	case errors.As(err, &input):
		return p.Console.Redirect(w, r, v.discoveredURL(), console.Notice{Tone: console.ToneWarning, Title: "No plan was made.", Text: console.AsSentence(input.Field + " " + input.Text)})
	case err != nil:
		return p.handleJobError(w, r, v, err)
	}
	p.runInBackground(func(ctx context.Context) {
		if _, err := p.Engine.FillPlan(ctx, plan, nil); err != nil {
			p.Console.Options.Log.Info("plan of disables", "job", v.jobKey().String(), "error", err) // the page of the plan shows the error too
		}
	})
	return p.Console.Redirect(w, r, v.url("/provisioning/plan")+"?"+url.Values{"plan": {plan.ID}}.Encode(), console.Notice{})
}

// notDisabled is the end of a sentence that says why some accounts are not disabled.
const notDisabled = "are marked Keep, belong to a user, or are not active"

// askDisableDiscovered asks for the number of accounts, in words, before a plan is made. refused is
// true if the answer was wrong.
func (p *Pages) askDisableDiscovered(w http.ResponseWriter, r *http.Request, v *appVisit, change string, accounts []string, n, left int, refused bool) error {
	pg := console.ConfirmPage{
		Page: v.page, FormURL: v.discoveredURL() + "/change", CancelURL: v.discoveredURL(), Button: "Make the plan", IsDangerous: true, NameToType: phrase.Number(n),
		Fields: []console.HiddenField{{Name: "change", Value: change}},
		Consequences: []string{
			"A plan is made that disables " + console.PluralForms(n, "account", "accounts") + " at " + v.App.Name + ". It reads each account, and changes nothing yet.",
			"The plan leaves out, and names, accounts that have changed since the discovery, accounts that a user has now, the last administrator that their roles show, and the account of the Secret Token if the application tells which it is.",
		},
		Undo: "You review the plan, and approve and apply it, or cancel it. An applied plan can be taken back.",
	}
	if left > 0 {
		pg.Consequences = append(pg.Consequences, console.PluralForms(left, "account stays", "accounts stay")+" as they are. These "+notDisabled+", or a user nearly matches.")
	}
	for _, account := range accounts {
		pg.Fields = append(pg.Fields, console.HiddenField{Name: "account", Value: account})
	}
	status := http.StatusOK
	if refused {
		status, pg.Error = http.StatusUnprocessableEntity, &console.FieldError{For: "confirm", Text: "That is not the number of accounts in words. No plan was made."}
	}
	pg.Title, pg.Narrow = "Disable "+console.PluralForms(n, "account", "accounts")+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Discover identities", URL: v.discoveredURL()})
	return p.Console.View(w, r, status, "confirm", pg)
}

// linkDiscovered links accounts with the users who match or nearly match them. It first asks whether
// to do so.
func (p *Pages) linkDiscovered(w http.ResponseWriter, r *http.Request, v *appVisit, accounts []string) error {
	links, left, err := p.Engine.AccountsToLink(r.Context(), v.jobKey(), accounts)
	switch {
	case err != nil:
		return p.refuseLinks(w, r, v, err)
	case len(links) == 0:
		return p.Console.Redirect(w, r, v.discoveredURL(), console.Notice{Tone: console.ToneInfo, Title: "No account was linked.", Text: leftOutText(left)})
	case !console.ConfirmsNumber(r, len(links)):
		return p.askLinkDiscovered(w, r, v, accounts, links, left)
	}
	linked, failed, err := p.Engine.LinkAccounts(r.Context(), v.jobKey(), p.Owner, v.actorLabel(), links)
	if err != nil {
		return p.refuseLinks(w, r, v, err)
	}
	done := console.DoneNotice(console.PluralForms(len(linked), "account was", "accounts were") + " linked. The next cycle gives them the values of the directory.")
	if len(failed) > 0 {
		done = console.Notice{Tone: console.ToneWarning, Title: console.PluralForms(len(linked), "account was", "accounts were") + " linked, and " + console.PluralForms(len(failed), "was", "were") + " not.", Text: leftOutText(failed)}
	}
	return p.Console.Redirect(w, r, v.discoveredURL(), done)
}

// refuseLinks shows why accounts could not be linked.
func (p *Pages) refuseLinks(w http.ResponseWriter, r *http.Request, v *appVisit, err error) error {
	var target *provision.TargetError
	var busy *provision.HeldError
	switch {
	case errors.As(err, &target):
		return p.Console.Redirect(w, r, v.discoveredURL(), console.Notice{Tone: console.ToneProblem, Title: "Not all accounts were linked. The list shows which are left.", Text: refusalText(target)})
	case errors.As(err, &busy):
		return p.Console.Redirect(w, r, v.discoveredURL(), console.Notice{Tone: console.ToneWarning, Title: "Not all accounts were linked. The list shows which are left.", Text: console.AsSentence(busy.Error())})
	}
	return p.handleJobError(w, r, v, err)
}

// leftOutText names accounts for which nothing was done, with the reasons.
func leftOutText(left []provision.LeftOut) string {
	text := ""
	for _, one := range left[:min(len(left), maxListedLinks)] {
		text += one.Name + ": " + one.Reason + ". "
	}
	if more := len(left) - maxListedLinks; more > 0 {
		text += "And " + console.GroupDigits(more) + " more."
	}
	return text
}

// askLinkDiscovered asks whether to link accounts, and names each with its user.
func (p *Pages) askLinkDiscovered(w http.ResponseWriter, r *http.Request, v *appVisit, accounts []string, links []provision.FoundLink, left []provision.LeftOut) error {
	count := console.PluralForms(len(links), "account", "accounts")
	pg := console.ConfirmPage{
		Page: v.page, FormURL: v.discoveredURL() + "/change", CancelURL: v.discoveredURL(), Button: "Link " + count,
		Fields: []console.HiddenField{{Name: "change", Value: "link"}, {Name: "sure", Value: strconv.Itoa(len(links))}},
		Undo:   "The next cycle gives these accounts the values of the directory. Until then, forget a connection on the page Connections.",
	}
	for _, l := range links[:min(len(links), maxListedLinks)] {
		text := l.Name + " becomes the account of " + l.User + "."
		if l.Reason != "" {
			text += " " + console.AsSentence(l.Reason)
		}
		pg.Consequences = append(pg.Consequences, text)
	}
	if more := len(links) - maxListedLinks; more > 0 {
		pg.Consequences = append(pg.Consequences, "And "+console.GroupDigits(more)+" more.")
	}
	if len(left) > 0 {
		pg.Consequences = append(pg.Consequences, "Left out: "+leftOutText(left))
	}
	for _, account := range accounts {
		pg.Fields = append(pg.Fields, console.HiddenField{Name: "account", Value: account})
	}
	pg.Title, pg.Narrow = "Link "+count+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Discover identities", URL: v.discoveredURL()})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}
