package directorypages

import (
	"context"
	"errors"
	"net/http"
	"net/url"

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

// linkDiscovered links accounts with the users who match or nearly match them, or groups of the
// application with groups of the directory. It first asks whether to do so.
func (p *Pages) linkDiscovered(w http.ResponseWriter, r *http.Request, v *appVisit, kind provision.ObjectKind, accounts []string) error {
	noun, nouns := discoveredNouns(kind)
	links, left, err := p.Engine.AccountsToLink(r.Context(), v.jobKey(), kind, accounts)
	switch {
	case err != nil:
		return p.refuseLinks(w, r, v, kind, err)
	case len(links) == 0:
		return p.Console.Redirect(w, r, v.discoveredListURL(kind), console.Notice{Tone: console.ToneInfo, Title: "No " + noun + " was linked.", Text: leftOutText(left)})
	case r.PostForm.Get("pairs") != provision.HashLinks(links): // the pairs may have changed since the question
		return p.askLinkDiscovered(w, r, v, kind, accounts, links, left)
	}
	linked, failed, err := p.Engine.LinkAccounts(r.Context(), v.jobKey(), p.Owner, v.actorLabel(), links)
	if err != nil {
		return p.refuseLinks(w, r, v, kind, err)
	}
	count := console.PluralForms(len(linked), noun+" was", nouns+" were")
	done := console.DoneNotice(count + " linked. The next cycle gives them the values of the directory.")
	if len(failed) > 0 {
		done = console.Notice{Tone: console.ToneWarning, Title: count + " linked, and " + console.PluralForms(len(failed), "was", "were") + " not.", Text: leftOutText(failed)}
	}
	return p.Console.Redirect(w, r, v.discoveredListURL(kind), done)
}

// refuseLinks shows why accounts or groups could not be linked.
func (p *Pages) refuseLinks(w http.ResponseWriter, r *http.Request, v *appVisit, kind provision.ObjectKind, err error) error {
	var target *provision.TargetError
	var busy *provision.HeldError
	_, nouns := discoveredNouns(kind)
	title := "Not all " + nouns + " were linked. The list shows which are left."
	switch {
	case errors.As(err, &target):
		return p.Console.Redirect(w, r, v.discoveredListURL(kind), console.Notice{Tone: console.ToneProblem, Title: title, Text: refusalText(target)})
	case errors.As(err, &busy):
		return p.Console.Redirect(w, r, v.discoveredListURL(kind), console.Notice{Tone: console.ToneWarning, Title: title, Text: console.AsSentence(busy.Error())})
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

// askLinkDiscovered asks whether to link accounts or groups, and names each with its user or group.
func (p *Pages) askLinkDiscovered(w http.ResponseWriter, r *http.Request, v *appVisit, kind provision.ObjectKind, accounts []string, links []provision.FoundLink, left []provision.LeftOut) error {
	count := countDiscovered(kind, len(links))
	pg := console.ConfirmPage{
		Page: v.page, FormURL: v.discoveredURL() + "/change", CancelURL: v.discoveredListURL(kind), Button: "Link " + count,
		Fields: []console.HiddenField{{Name: "change", Value: "link"}, {Name: "pairs", Value: provision.HashLinks(links)}},
		Undo:   "The next cycle gives these accounts the values of the directory. Until then, forget a connection on the page Connections.",
	}
	if kind == provision.GroupKind {
		pg.Undo = "The next cycle gives these groups the values and the members of the directory. Until then, forget a connection on the page Connections."
	}
	for _, l := range links[:min(len(links), maxListedLinks)] {
		text := l.Name + " becomes the account of " + l.User + "."
		if kind == provision.GroupKind {
			text = "The group " + l.Name + " of the application is linked with the group " + l.User + " of the directory."
		}
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
	pg.Fields = append(pg.Fields, discoveredFields(kind, accounts)...)
	pg.Title, pg.Narrow = "Link "+count+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Discover identities", URL: v.discoveredListURL(kind)})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}
