package directorypages

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
)

// openedField is the hidden input of the Provisioning page that holds the job's Revision when the page was made. Whoever sets Provisioning
// Status to On starts what they have seen; what was changed meanwhile is asked about.
const openedField = "opened"

func revisionText(job provision.Job) string { return strconv.FormatInt(job.LookAtAll, 10) }

// reachChange is a change of a job's settings and the people whom it reaches. The forms that edit Scope, scoping filters and Target Object
// Actions all count and ask with it.
type reachChange struct {
	before, after provision.Job
	reach         provision.Reach
	was, is       *provision.ObjectMapping // of users
}

// reachOf counts whom a change reaches. It reads every user of the directory.
func (p *Pages) reachOf(ctx context.Context, v *appVisit, before, after provision.Job) (reachChange, error) {
	c := reachChange{before: before, after: after}
	var err error
	if c.was, err = before.Schema.UserMapping(); err != nil {
		return c, err
	}
	if c.is, err = after.Schema.UserMapping(); err != nil {
		return c, err
	}
	c.reach, err = p.Jobs.Reach(ctx, before, after)
	return c, err
}

// ticks says whether the change adds a Target Object Action.
func (c reachChange) ticks(flow provision.FlowTypes) bool {
	return c.is != nil && c.is.FlowTypes.Has(flow) && !c.was.FlowTypes.Has(flow)
}

// asks says whether somebody has to say yes first. A change that was not counted asks nothing.
func (c reachChange) asks() bool {
	n := c.reach
	return c.ticks(provision.FlowDelete) || n.Off > 0 || n.Leave > 0 || n.Join > 0 || n.Make > 0 && c.ticks(provision.FlowAdd)
}

// answer is what the form sends back to say yes to just this.
func (c reachChange) answer() string {
	n := c.reach
	return fmt.Sprintf("%t %d %d %d %d %d %d %s", c.ticks(provision.FlowDelete), n.Off, n.Leave, n.Make, n.In, n.Linked, n.Deleted, revisionText(c.before))
}

// question fills the title, the consequences and the way back into a page that asks. setting is what was changed: "Scope" or "filters".
func (c reachChange) question(pg *console.ConfirmPage, v *appVisit, setting string) {
	n, app := c.reach, v.App.Name
	deletes, creates := c.ticks(provision.FlowDelete), c.ticks(provision.FlowAdd)
	next := "with the next cycle"
	if c.after.Status != provision.On {
		next = "once Provisioning Status is On"
	}
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
	default:
		pg.Title = "Take more users into scope?"
		pg.Undo = "Setting the old " + setting + " again switches the accounts off. They are not deleted."
	}
	tell := func(text string) { pg.Consequences = append(pg.Consequences, text) }
	if deletes {
		tell("When a user is deleted for good in " + v.Directory.Name + ", the account at " + app + " is deleted too, not only switched off.")
		tell(console.PluralForms(n.Linked, "account is", "accounts are") + " linked and can be deleted in this way.")
		tell(console.PluralForms(n.Deleted, "of them belongs to a user who is", "of them belong to users who are") + " soft-deleted now, and goes when the user is deleted for good.")
	}
	if n.Leave > 0 {
		text := console.PluralForms(n.Leave, "user who is in scope now is left out.", "users who are in scope now are left out.")
		if !c.is.FlowTypes.Has(provision.FlowUpdate) {
			text += " Their accounts at " + app + " stay as they are: Update is not among the Target Object Actions."
		}
		tell(text)
	}
	if n.Off > 0 {
		tell(console.PluralForms(n.Off, "linked account", "linked accounts") + " at " + app + " will be switched off " + next + ".")
	}
	if n.Make > 0 {
		tell(console.PluralForms(n.Make, "account", "accounts") + " will be made at " + app + " " + next + ", except for users who already have one there.")
	}
	if n.Leave > 0 || n.Join > 0 || c.before.Scope != c.after.Scope {
		tell(console.PluralForms(n.In, "user is", "users are") + " in scope then.")
	}
	if (deletes || creates) && c.after.Status != provision.On {
		tell("Nothing is sent before Provisioning Status is On.")
	}
}

// provisioningHarm is what saving the Provisioning page would do to accounts, and what its reader may not know.
type provisioningHarm struct {
	reachChange
	moved    bool   // the job's scope or mappings were changed since the page was opened, and it would be switched on
	scopeWas string // the scope that the page showed
}

// provisioningHarm looks at settings before they are saved. It reads people only where somebody has to be asked.
func (p *Pages) provisioningHarm(r *http.Request, v *appVisit, now provision.Job, s provision.Settings) (provisioningHarm, error) {
	h := provisioningHarm{scopeWas: r.PostForm.Get(console.WasPrefix + "scope")}
	h.moved = now.Version > 0 && s.Status == provision.On && now.Status != provision.On && r.PostForm.Get(openedField) != revisionText(now)
	if !h.moved && s.Scope == now.Scope {
		return h, nil
	}
	err := p.Jobs.Check(now, s) // a wrong value is named before anything is asked
	if err != nil {
		return h, err
	}
	after, err := now.With(s)
	if err != nil {
		return h, err
	}
	h.reachChange, err = p.reachOf(r.Context(), v, now, after)
	return h, err
}

// asks says whether somebody has to say yes first.
func (h provisioningHarm) asks() bool { return h.moved || h.reachChange.asks() }

// askHarm asks before accounts are switched off or made. What was typed is kept, and Cancel leads back to it.
func (p *Pages) askHarm(w http.ResponseWriter, r *http.Request, v *appVisit, typed provisioningForm, m console.MergedEdit, h provisioningHarm, by *event.Event) error {
	draft := p.keepDraft(r, v, typed, nil, false)
	pg := console.ConfirmPage{
		Page: v.page, Action: v.url("/provisioning"), Button: "Save", Danger: true, Cancel: v.url("/provisioning") + "?" + testedAt + "=" + url.QueryEscape(draft.ID),
		Fields: append(m.Rest, p.typedFields(r, draft)...),
	}
	pg.Fields = append(pg.Fields, console.HiddenField{Name: openedField, Value: r.PostForm.Get(openedField)}, console.HiddenField{Name: "confirmed", Value: h.answer()})
	if h.moved {
		pg.Consequences = h.movedWords(v.App.Name)
	}
	if h.before.Scope != h.after.Scope {
		pg.Consequences = append(pg.Consequences, "Scope will be: "+scopeWords(h.after.Scope)+".")
	}
	h.question(&pg, v, "Scope")
	if h.moved {
		pg.Title, pg.Button = "Start with what was changed meanwhile?", "Set Provisioning Status to On"
		pg.Undo = "Nothing was saved yet. Setting Provisioning Status to Off stops it; accounts that were made by then stay."
		if h.before.Scope == h.after.Scope {
			pg.Consequences = append(pg.Consequences, console.PluralForms(h.reach.In, "user is", "users are")+" in scope then.")
		}
	}
	pg.Narrow, pg.Lead = true, m.FromOthers(by)
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// movedWords says what the reader of an older page does not know.
func (h provisioningHarm) movedWords(app string) []string {
	list := []string{"The scope or the mappings were changed since you opened the page."}
	if h.scopeWas != "" && h.scopeWas != string(h.before.Scope) {
		list = []string{"Scope was changed since you opened the page. It is now: " + scopeWords(h.before.Scope) + "."}
	}
	list = append(list, "Target Object Actions are "+strings.ReplaceAll(h.is.FlowTypes.String(), ",", ", ")+". Users are in scope by the filter: "+h.is.Scope.Words()+".")
	if h.reach.Out > 0 {
		list = append(list, console.PluralForms(h.reach.Out, "linked account", "linked accounts")+" at "+app+" will be switched off, where not done already: nobody in scope has them.")
	}
	return list
}

func scopeWords(s provision.Scope) string {
	for _, f := range provisioningFields() {
		if f.Name == "scope" {
			return f.ShownValue(string(s))
		}
	}
	return string(s)
}

// keptAt names a form in the address to which Cancel of a question leads: what was typed is shown again. The page's own address shows what
// is saved, always.
const keptAt = "kept"

// keepForm remembers a form that was not saved yet, and returns the page's address with it. fields are its inputs, as an edit leaves them.
func (p *Pages) keepForm(r *http.Request, v *appVisit, page string, fields []console.HiddenField) string {
	form := make(url.Values, len(fields))
	for _, f := range fields {
		form.Add(f.Name, f.Value)
	}
	id, now := console.NewFormNumber(), p.Console.Options.Now()
	p.drafts.Put(p.draftKey(r, v, page+" "+id), form, now, draftKept)
	return page + "?" + keptAt + "=" + url.QueryEscape(id)
}

// keptForm is the form that the address names; nil if it names none, or it is gone.
func (p *Pages) keptForm(r *http.Request, v *appVisit, page string) url.Values {
	id := r.URL.Query().Get(keptAt)
	if id == "" {
		return nil
	}
	form, _ := p.drafts.Get(p.draftKey(r, v, page+" "+id), p.Console.Options.Now()).(url.Values)
	return form
}

// typedFields are the inputs of a question that stand for what the form held beside its settings. A Secret Token cannot travel in the page.
func (p *Pages) typedFields(r *http.Request, draft *provisioningDraft) []console.HiddenField {
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
