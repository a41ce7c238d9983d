package directorypages

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
)

// openedInput is the name of a hidden input of the page "Provisioning". It holds the revision that
// the job had when the page was opened. If the job has changed since, the server asks for
// confirmation before the operator's form turns Provisioning Status on.
const openedInput = "opened"

// revisionText returns a number that changes when a change of the job's settings starts an initial
// cycle.
func revisionText(job provision.Job) string { return strconv.FormatInt(job.LookAtAll, 10) }

// reachChange is a change of a job's settings, with its effect on users. Forms that change the
// scope, scoping filters, mappings or Target Object Actions use it to ask for confirmation.
type reachChange struct {
	before, after          provision.Job
	reach                  provision.Reach          // how many users the change affects, and in which ways
	effect                 provision.Effect         // the values that change, and the people who leave the scope, with the reasons
	oldMapping, newMapping *provision.ObjectMapping // the mapping of users before and after the change
}

// computeReachChange computes the effect of a change. It reads every user of the directory.
func (p *Pages) computeReachChange(ctx context.Context, v *appVisit, before, after provision.Job) (reachChange, error) {
	c := reachChange{before: before, after: after}
	var err error
	if c.oldMapping, err = before.Schema.UserMapping(); err != nil {
		return c, err
	}
	if c.newMapping, err = after.Schema.UserMapping(); err != nil {
		return c, err
	}
	c.effect, err = p.Jobs.Effect(ctx, before, after)
	c.reach = c.effect.Reach
	var broken *provision.InputError
	if errors.As(err, &broken) { // without a usable mapping there are no values to compare, so only count users
		c.reach, err = p.Jobs.Reach(ctx, before, after)
	}
	return c, err
}

// addsAction reports whether the change adds this Target Object Action.
func (c reachChange) addsAction(flow provision.FlowTypes) bool {
	return c.newMapping != nil && c.newMapping.FlowTypes.Has(flow) && !c.oldMapping.FlowTypes.Has(flow)
}

// needsConfirmation reports whether an operator must confirm the change. A zero reachChange needs
// no confirmation.
func (c reachChange) needsConfirmation() bool {
	n, e := c.reach, c.effect
	if c.before.Scope != c.after.Scope {
		e.Come = 0 // the conditions below on n cover the users who come into scope
	}
	return c.addsAction(provision.FlowDelete) || n.Off > 0 || n.Leave > 0 || n.Join > 0 || n.On > 0 || n.Make > 0 && c.addsAction(provision.FlowAdd) || e.Matters() || c.stopsDisabling()
}

// changesGroups reports whether the change affects groups at the application.
func (c reachChange) changesGroups() bool {
	return c.effect.Groups != nil && c.effect.Groups.Matters()
}

// stopsDisabling reports whether the change stops the mapping from disabling accounts, although
// some accounts are linked.
func (c reachChange) stopsDisabling() bool {
	return c.oldMapping != nil && provision.StopsDisabling(c.oldMapping, c.newMapping) && c.reach.Linked > 0
}

// confirmationValue returns the value that the form sends back to confirm exactly this change.
func (c reachChange) confirmationValue() string {
	n := c.reach
	text := fmt.Sprintf("%t %t %d %d %d %d %d %d %d %s", c.addsAction(provision.FlowDelete), c.stopsDisabling(), n.Off, n.Leave, n.Make, n.In, n.Linked, n.Deleted, n.Come, effectNumbers(c.effect))
	if c.effect.Groups != nil {
		text += " " + effectNumbers(*c.effect.Groups)
	}
	return text + " " + revisionText(c.before)
}

// effectNumbers returns the numbers of an effect as one string. The operator's confirmation holds
// only as long as the string stays the same.
func effectNumbers(e provision.Effect) string {
	return fmt.Sprintf("%d %d %d %d %d %d %d %d", e.Changed, e.Failing, e.Keyless, len(e.Lacking), len(e.Shared), e.Off, e.Leave, e.Come)
}

// mayDisableCount returns how many accounts the change may disable, once the operator has confirmed
// it.
func (c reachChange) mayDisableCount() int { return c.effect.MayDisable() }

// fillQuestion sets the title, the consequences and the undo text of a confirmation page. setting
// names the changed setting, such as "Scope" or "filters".
func (c reachChange) fillQuestion(pg *console.ConfirmPage, v *appVisit, setting string) {
	n, app := c.reach, v.App.Name
	deletes, creates := c.addsAction(provision.FlowDelete), c.addsAction(provision.FlowAdd)
	switch {
	case deletes:
		pg.Title = "Let provisioning delete accounts at " + app + "?"
		pg.Undo = "Clearing Delete deletes no further accounts. An account that was deleted by then cannot be brought back from here."
	case n.Leave > 0:
		pg.Title = "Leave users out?"
		pg.Undo = "Setting the old " + setting + " again switches the accounts on again."
		if n.Off == 0 {
			pg.Undo = "Setting the old " + setting + " again takes the users back in."
		}
	case n.Off > 0:
		pg.Title = "Switch accounts off at " + app + "?"
		pg.Undo = "Taking the users into scope switches the accounts on again."
	case creates:
		pg.Title = "Make accounts at " + app + "?"
		pg.Undo = "Clearing Create makes no further accounts. Those that were made by then stay."
	case c.stopsDisabling():
		pg.Title = "Stop switching accounts off?"
		pg.Undo = "Mapping active again switches the accounts of those off who must not have one."
	case n.Come == 0 && c.changesGroups() && c.effect.Changed == 0:
		pg.Title = "Change groups at " + app + "?"
		pg.Undo = "Saving the old " + setting + " again sends the old values again. A group that was deleted by then is made again, with its members."
	case n.Come == 0:
		pg.Title = "Change values at " + app + "?"
		pg.Undo = "Saving the old " + setting + " again sends the old values again."
	default:
		pg.Title = "Take more users into scope?"
		pg.Undo = "Setting the old " + setting + " again switches the accounts off. They are not deleted."
		if n.Join == 0 && n.On == 0 {
			pg.Undo = "Setting the old " + setting + " again leaves the users out again."
		}
	}
	pg.Consequences = append(pg.Consequences, c.sentences(v)...)
	if (deletes || creates || c.effect.Changed > 0) && c.after.Status != provision.On {
		pg.Consequences = append(pg.Consequences, "Nothing is sent before Provisioning Status is On.")
	}
}

// sentences describes the effect of the change in sentences.
func (c reachChange) sentences(v *appVisit) []string {
	n, app, deletes := c.reach, v.App.Name, c.addsAction(provision.FlowDelete)
	next := "with the next cycle"
	if c.after.Status != provision.On {
		next = "once Provisioning Status is On"
	}
	var told []string
	tell := func(text string) { told = append(told, text) }
	if deletes {
		tell("When a user is deleted for good in " + v.Directory.Name + ", the account at " + app + " is deleted too, not only switched off.")
		tell(console.PluralForms(n.Linked, "account is", "accounts are") + " linked and can be deleted in this way.")
		if n.Deleted > 0 {
			tell(console.PluralForms(n.Deleted, "of them belongs to a user who is soft-deleted now, and goes", "of them belong to users who are soft-deleted now, and go") + " with the user.")
		}
	}
	if n.Leave > 0 {
		text := console.PluralForms(n.Leave, "user who is in scope now is left out.", "users who are in scope now are left out.")
		if !c.newMapping.FlowTypes.Has(provision.FlowUpdate) {
			text += " Their accounts at " + app + " stay as they are: Update is not among the Target Object Actions."
		}
		tell(text)
	}
	if n.Off > 0 {
		tell(console.PluralForms(n.Off, "linked account", "linked accounts") + " at " + app + " will be switched off " + next + ".")
	}
	if n.On > 0 {
		tell(console.PluralForms(n.On, "linked account", "linked accounts") + " at " + app + " will be switched on " + next + ", where not done already.")
	}
	if n.Make > 0 {
		tell(console.PluralForms(n.Make, "account", "accounts") + " will be made at " + app + " " + next + ", except for users who already have one there.")
	}
	if n.Leave > 0 || n.Come > 0 || c.before.Scope != c.after.Scope {
		tell(console.PluralForms(n.In, "user is", "users are") + " in scope then.")
	}
	if c.stopsDisabling() {
		tell("No mapping tells " + app + " any more who must not have access. The " + console.PluralForms(n.Linked, "linked account stays", "linked accounts stay") + " as they are when their users leave.")
	}
	e := c.effect
	if c.before.Scope != c.after.Scope {
		e.Came = nil // the sentences with numbers above say this already
	}
	for _, words := range append(e.ValueSentences(app, console.PluralForms), e.Sentences(app, console.PluralForms)...) {
		tell(words)
	}
	return told
}

// provisioningHarm describes what saving the page "Provisioning" would do to accounts, and the
// changes by others that the operator may not know.
type provisioningHarm struct {
	reachChange
	move             provision.Move // the accounts that stay at the old application if the Tenant URL changes
	startsChangedJob bool           // whether saving would start a job that someone changed after the page was opened
	shownScope       string         // the scope that the page showed
}

// checkProvisioningHarm checks settings before they are saved, and computes what they would do.
// asked is the change of the Tenant URL that the operator has confirmed, once the accounts of
// leavers are switched off. Before that it is nil.
func (p *Pages) checkProvisioningHarm(r *http.Request, v *appVisit, now provision.Job, s provision.Settings, asked *provision.Move) (provisioningHarm, error) {
	h := provisioningHarm{shownScope: r.PostForm.Get(console.StartValuePrefix + "scope")}
	h.startsChangedJob = now.Version > 0 && s.Status == provision.On && now.Status != provision.On && r.PostForm.Get(openedInput) != revisionText(now)
	var err error
	if asked != nil {
		h.move = *asked
	} else if h.move, err = p.Jobs.Move(r.Context(), now, s.TenantURL); err != nil {
		return h, err
	}
	if !h.startsChangedJob && s.Scope == now.Scope && h.move.Linked == 0 {
		return h, nil
	}
	if err := p.Jobs.Check(now, s); err != nil { // a wrong value is reported before any question is asked
		return h, err
	}
	after, err := now.With(s)
	if err != nil {
		return h, err
	}
	h.reachChange, err = p.computeReachChange(r.Context(), v, now, after)
	return h, err
}

// needsConfirmation reports whether an operator must confirm that the settings are saved.
func (h provisioningHarm) needsConfirmation() bool {
	return h.startsChangedJob || h.move.Linked > 0 || h.reachChange.needsConfirmation()
}

// confirmationValue returns the value that the form sends back to confirm exactly these effects.
func (h provisioningHarm) confirmationValue() string {
	return fmt.Sprintf("%s %d %d", h.reachChange.confirmationValue(), h.move.Linked, h.move.Leavers)
}

// moveConsequences says what happens to the accounts at the old application if the Tenant URL
// changes to that of another application.
func (h provisioningHarm) moveConsequences() []string {
	if h.move.Linked == 0 {
		return nil
	}
	told := []string{"The new Tenant URL leads to another application. " + console.PluralForms(h.move.Linked, "linked account at the old one stays as it is", "linked accounts at the old one stay as they are") + ", and Rollcall no longer changes any of them."}
	if h.move.Leavers > 0 {
		told = append(told, console.PluralForms(h.move.Leavers, "of them belongs to a user who should not have access any more and is", "of them belong to users who should not have access any more and are")+
			" switched off first, if the old application allows it.")
	}
	return told
}

// switchedOffText says how many accounts at the old application were switched off, and how many
// could not be switched off.
func switchedOffText(c provision.Closed) string {
	words := ""
	if c.Off > 0 {
		words = console.PluralForms(c.Off, "account at the old application was", "accounts at the old application were") + " switched off."
	}
	if c.Left > 0 {
		words += " " + console.PluralForms(c.Left, "account at the old application", "accounts at the old application") + " could not be switched off: " + c.Reason
	}
	return strings.TrimSpace(words)
}

// askProvisioningHarm asks for confirmation before accounts are disabled or created. It keeps the
// typed values in a draft, so that "Cancel" leads back to them.
func (p *Pages) askProvisioningHarm(w http.ResponseWriter, r *http.Request, v *appVisit, typed provisioningForm, m console.MergedEdit, h provisioningHarm, by *event.Event) error {
	draft := p.keepDraft(r, v, typed, nil, false)
	pg := console.ConfirmPage{
		Page: v.page, FormURL: v.url("/provisioning"), Button: "Save", IsDangerous: true, CancelURL: v.url("/provisioning") + "?" + draftParam + "=" + url.QueryEscape(draft.ID),
		Fields: append(m.HiddenFields, p.draftFields(r, draft)...),
	}
	pg.Fields = append(pg.Fields, console.HiddenField{Name: openedInput, Value: r.PostForm.Get(openedInput)}, console.HiddenField{Name: "confirmed", Value: h.confirmationValue()})
	if h.startsChangedJob {
		pg.Consequences = h.changedMeanwhileSentences(v.App.Name)
	}
	if h.before.Scope != h.after.Scope {
		pg.Consequences = append(pg.Consequences, "Scope will be: "+scopeName(h.after.Scope)+".")
	}
	if h.before.Scope != h.after.Scope || h.startsChangedJob || h.move.Linked == 0 {
		h.fillQuestion(&pg, v, "Scope")
	}
	if h.move.Linked > 0 {
		pg.Title = "Leave the accounts at the old address?"
		pg.Undo = "Nothing was saved yet. Entering the old Tenant URL again finds the accounts by their matching attributes."
		pg.Consequences = append(h.moveConsequences(), pg.Consequences...)
	}
	if h.startsChangedJob {
		pg.Title, pg.Button = "Start with what was changed meanwhile?", "Set Provisioning Status to On"
		pg.Undo = "Nothing was saved yet. Setting Provisioning Status to Off stops it; accounts that were made by then stay."
		if h.before.Scope == h.after.Scope {
			pg.Consequences = append(pg.Consequences, console.PluralForms(h.reach.In, "user is", "users are")+" in scope then.")
		}
	}
	pg.Narrow, pg.Lead = true, m.OthersText(by)
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// changedMeanwhileSentences describes the settings that others have changed since the operator
// opened the page.
func (h provisioningHarm) changedMeanwhileSentences(app string) []string {
	list := []string{"The scope or the mappings were changed since you opened the page."}
	if h.shownScope != "" && h.shownScope != string(h.before.Scope) {
		list = []string{"Scope was changed since you opened the page. It is now: " + scopeName(h.before.Scope) + "."}
	}
	list = append(list, "Target Object Actions are "+strings.ReplaceAll(h.newMapping.FlowTypes.String(), ",", ", ")+". Users are in scope by the filter: "+h.newMapping.Scope.Words()+".")
	if h.reach.Out > 0 {
		list = append(list, console.PluralForms(h.reach.Out, "linked account", "linked accounts")+" at "+app+" will be switched off, where not done already: nobody in scope has them.")
	}
	return list
}

func scopeName(s provision.Scope) string {
	for _, f := range provisioningFields() {
		if f.Name == "scope" {
			return f.ShownValue(string(s))
		}
	}
	return string(s)
}

// keptParam is the query parameter that names a kept form. "Cancel" leads to an address with this
// parameter, which shows the typed values again. Without it, the page shows the saved values.
const keptParam = "kept"

// keepForm keeps the inputs of a form that is not saved yet. It returns the address of the page
// with the parameter keptParam, which shows the inputs again.
func (p *Pages) keepForm(r *http.Request, v *appVisit, page string, fields []console.HiddenField) string {
	form := make(url.Values, len(fields))
	for _, f := range fields {
		form.Add(f.Name, f.Value)
	}
	id, now := console.NewFormNumber(), p.Console.Options.Now()
	p.drafts.Put(p.draftKey(r, v, page+" "+id), form, now, draftLifetime)
	mark := "?"
	if strings.Contains(page, mark) {
		mark = "&"
	}
	return page + mark + keptParam + "=" + url.QueryEscape(id)
}

// findKeptForm returns the kept form that the address names. It returns nil if there is none, or if
// it has expired.
func (p *Pages) findKeptForm(r *http.Request, v *appVisit, page string) url.Values {
	id := r.URL.Query().Get(keptParam)
	if id == "" {
		return nil
	}
	form, _ := p.drafts.Get(p.draftKey(r, v, page+" "+id), p.Console.Options.Now()).(url.Values)
	return form
}

// draftFields returns hidden inputs for the parts of the form that are not settings. They contain
// the id of the draft instead of the Secret Token, because a page must not contain the token.
func (p *Pages) draftFields(r *http.Request, draft *provisioningDraft) []console.HiddenField {
	list := []console.HiddenField{{Name: draftField, Value: draft.ID}}
	if draft.Form.Secret != "" {
		list = append(list, console.HiddenField{Name: "secretTyped", Value: "yes"})
	}
	for _, name := range []string{"do", "restore"} {
		if value := r.PostForm.Get(name); value != "" {
			list = append(list, console.HiddenField{Name: name, Value: value})
		}
	}
	return list
}
