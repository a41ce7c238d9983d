package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
)

// openedField is the hidden input of the Provisioning page that holds the job's Revision when the page was made. Whoever sets Provisioning
// Status to On starts what they have seen; what was changed meanwhile is asked about.
const openedField = "opened"

func revisionText(job provision.Job) string { return strconv.FormatInt(job.Revision, 10) }

// provisioningHarm is what saving the Provisioning page would do to accounts, and what its reader may not know.
type provisioningHarm struct {
	before, after provision.Job
	reach         provision.Reach
	moved         bool   // the job's scope or mappings were changed since the page was opened, and it would be switched on
	scopeWas      string // the scope that the page showed
}

// provisioningHarm looks at settings before they are saved. It reads people only where somebody has to be asked.
func (p *DirectoryPages) provisioningHarm(r *http.Request, v *appVisit, now provision.Job, s provision.Settings) (provisioningHarm, error) {
	h := provisioningHarm{before: now, scopeWas: r.PostForm.Get(wasPrefix + "scope")}
	h.moved = now.Version > 0 && s.Status == provision.On && now.Status != provision.On && r.PostForm.Get(openedField) != revisionText(now)
	if !h.moved && s.Scope == now.Scope {
		return h, nil
	}
	err := p.Jobs.Check(now, s) // a wrong value is named before anything is asked
	if err != nil {
		return h, err
	}
	if h.after, err = now.With(s); err != nil {
		return h, err
	}
	h.reach, err = p.Jobs.Reach(r.Context(), v.Handle, now, h.after)
	return h, err
}

// asks says whether somebody has to say yes first.
func (h provisioningHarm) asks() bool {
	return h.moved || h.before.Scope != h.after.Scope && (h.reach.Off > 0 || h.reach.Join > 0)
}

// answer is what the form sends back to say yes to just this.
func (h provisioningHarm) answer() string {
	return fmt.Sprintf("%d %d %d %s", h.reach.Off, h.reach.Make, h.reach.In, revisionText(h.before))
}

// askHarm asks before accounts are switched off or made. What was typed is kept, and Cancel leads back to it.
func (p *DirectoryPages) askHarm(w http.ResponseWriter, r *http.Request, v *appVisit, typed provisioningForm, m mergedEdit, h provisioningHarm, by *event.Event) error {
	draft := p.keepDraft(r, v, typed, nil, false)
	pg := confirmPage{
		page: v.page, Action: v.url("/provisioning"), Button: "Save", Danger: true, Cancel: v.url("/provisioning") + "?" + testedAt + "=" + url.QueryEscape(draft.ID),
		Fields: append(m.rest, p.typedFields(r, draft)...),
	}
	pg.Fields = append(pg.Fields, field{Name: openedField, Value: r.PostForm.Get(openedField)}, field{Name: "confirmed", Value: h.answer()})
	n, app := h.reach, v.App.Name
	switch {
	case h.moved:
		pg.Title, pg.Button = "Start with what was changed meanwhile?", "Set Provisioning Status to On"
		pg.Consequences = append(pg.Consequences, h.movedWords(app)...)
		pg.Undo = "Nothing was saved yet. Setting Provisioning Status to Off stops it; accounts that were made by then stay."
	case n.Off > 0:
		pg.Title = "Leave users out?"
		pg.Undo = "Setting the old Scope again switches the accounts on again."
	default:
		pg.Title = "Take more users into scope?"
		pg.Undo = "Setting the old Scope again switches the accounts off. They are not deleted."
	}
	next := "with the next cycle"
	if h.after.Status != provision.On {
		next = "once Provisioning Status is On"
	}
	if h.before.Scope != h.after.Scope {
		pg.Consequences = append(pg.Consequences, "Scope will be: "+scopeWords(h.after.Scope)+".")
	}
	if n.Leave > 0 {
		pg.Consequences = append(pg.Consequences, counted(n.Leave, "user who is in scope now is left out.", "users who are in scope now are left out."))
	}
	if n.Off > 0 {
		pg.Consequences = append(pg.Consequences, counted(n.Off, "linked account", "linked accounts")+" at "+app+" will be switched off "+next+".")
	}
	if n.Make > 0 {
		pg.Consequences = append(pg.Consequences, counted(n.Make, "account", "accounts")+" will be made at "+app+" "+next+", except for users who already have one there.")
	}
	pg.Consequences = append(pg.Consequences, counted(n.In, "user is", "users are")+" in scope then.")
	pg.Narrow, pg.Lead = true, m.fromOthers(by)
	pg.Crumbs = v.crumbs(crumb{}, crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	return p.Console.view(w, r, http.StatusOK, "confirm", pg)
}

// movedWords says what the reader of an older page does not know.
func (h provisioningHarm) movedWords(app string) []string {
	list := []string{"The scope or the mappings were changed since you opened the page."}
	if h.scopeWas != "" && h.scopeWas != string(h.before.Scope) {
		list = []string{"Scope was changed since you opened the page. It is now: " + scopeWords(h.before.Scope) + "."}
	}
	if m, err := h.after.Schema.UserMapping(); err == nil {
		list = append(list, "Target Object Actions are "+strings.ReplaceAll(m.FlowTypes.String(), ",", ", ")+". Users are in scope by the filter: "+m.Scope.Words()+".")
	}
	if h.reach.Out > 0 {
		list = append(list, counted(h.reach.Out, "linked account", "linked accounts")+" at "+app+" will be switched off, where not done already: nobody in scope has them.")
	}
	return list
}

func scopeWords(s provision.Scope) string {
	for _, f := range provisioningFields() {
		if f.Name == "scope" {
			return f.words(string(s))
		}
	}
	return string(s)
}

// typedFields are the inputs of a question that stand for what the form held beside its settings. A Secret Token cannot travel in the page.
func (p *DirectoryPages) typedFields(r *http.Request, draft *provisioningDraft) []field {
	list := []field{{Name: draftField, Value: draft.ID}}
	if draft.Form.Secret != "" {
		list = append(list, field{Name: "secretTyped", Value: "yes"})
	}
	for _, name := range []string{"do", "restore"} {
		if value := r.PostForm.Get(name); value != "" {
			list = append(list, field{Name: name, Value: value})
		}
	}
	return list
}
