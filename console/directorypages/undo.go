package directorypages

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/provision"
)

// An undo also asks whether to revert the cause of the undone changes, such as a changed setting.
// These are the possible answers.
const (
	revertCause = "revert"
	keepCause   = "keep"
)

// undoURL returns the address of the page that asks whether to make an undo.
func (v *appVisit) undoURL(u provision.Undo) string {
	return v.url("/provisioning/undo") + "?" + undoQuery(u).Encode()
}

// undoQuery returns the query parameters that say what to undo.
func undoQuery(u provision.Undo) url.Values {
	switch {
	case u.Cycle != "":
		return url.Values{"cycle": {u.Cycle}}
	case u.Plan != "":
		return url.Values{"plan": {u.Plan}}
	}
	return url.Values{"object": {u.Object}}
}

// parseUndo reads the parameters that undoQuery returns.
func parseUndo(form url.Values) provision.Undo {
	return provision.Undo{Cycle: form.Get("cycle"), Plan: form.Get("plan"), Object: form.Get("object")}
}

// askUndo names the cause of the changes, and asks whether to make a plan that undoes them.
func (p *Pages) askUndo(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	u, err := p.Engine.FindUndo(r.Context(), v.jobKey(), parseUndo(r.URL.Query()))
	if err != nil {
		return p.refuseUndo(w, r, v, err)
	}
	job, err := p.Jobs.Get(r.Context(), v.jobKey())
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	pg := console.ConfirmPage{Page: v.page, FormURL: v.url("/provisioning/undo"), CancelURL: v.url("/provisioning"), Button: "Make the plan"}
	pg.Narrow = true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	switch {
	case u.Cycle != "":
		pg.Title = "Take this cycle back?"
	case u.Plan != "":
		pg.Title, pg.CancelURL = "Take this plan back?", v.url("/provisioning/plan")
	default:
		entry, err := p.Jobs.Log(r.Context(), v.jobKey(), u.Entry)
		if err != nil {
			return err
		}
		pg.Consequences = append(pg.Consequences, console.AsSentence("The last change of "+entry.SourceIdentity.DisplayName+", "+console.RelativeTime(entry.ActivityTime, p.Console.Options.Now())+": "+string(entry.Action)))
		pg.Title, pg.CancelURL = "Take the last change back?", v.url("/provisioning/why")+"?"+undoQuery(u).Encode()
	}
	for name, values := range undoQuery(u) {
		pg.Fields = append(pg.Fields, console.HiddenField{Name: name, Value: values[0]})
	}
	for _, cause := range u.Causes {
		pg.Consequences = append(pg.Consequences, "What made the changes: "+console.AsSentence(cause))
	}
	pg.Consequences = append(pg.Consequences,
		"A plan is made. It gives each account the values that the log has from before, and changes nothing yet.",
		"Deleted accounts, values that were not recorded, what somebody changed since, and people who have no access today stay as they are. The plan names them.")
	if job.Status == provision.On {
		pg.Consequences = append(pg.Consequences, "Applying the plan pauses provisioning. Otherwise the next cycle could do the same again.")
	}
	pg.Undo = "You review the plan, and approve and apply it, or cancel it."
	if u.CanRevert {
		pg.Choices = []console.Choice{
			{Name: "cause", Value: revertCause, Text: fmt.Sprintf("Set version %d of the mappings again first", u.Edit.Before), Help: "Provisioning is paused now. Start it after the plan was applied.", Checked: true},
			{Name: "cause", Value: keepCause, Text: "Leave the mappings as they are", Help: "Correct them before you start provisioning again. The plan decides with the mappings of before who has access."},
		}
	}
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// makeUndo makes the plan that undoes the changes, and redirects to its page.
func (p *Pages) makeUndo(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	u, err := p.Engine.FindUndo(r.Context(), v.jobKey(), parseUndo(r.PostForm))
	if err != nil {
		return p.refuseUndo(w, r, v, err)
	}
	if r.PostForm.Get("cause") == revertCause {
		if _, err := p.Jobs.RevertCause(r.Context(), v.jobKey(), u, v.actorLabel()); err != nil {
			return p.refuseUndo(w, r, v, err)
		}
	}
	plan, err := p.Engine.BeginUndo(r.Context(), v.jobKey(), u, v.actorLabel())
	if err != nil {
		return p.refuseUndo(w, r, v, err)
	}
	p.runInBackground(func(ctx context.Context) {
		if _, err := p.Engine.FillPlan(ctx, plan, nil); err != nil {
			p.Console.Options.Log.Info("plan of an undo", "job", v.jobKey().String(), "error", err) // the page of the plan shows the error too
		}
	})
	return p.Console.Redirect(w, r, v.url("/provisioning/plan")+"?"+url.Values{"plan": {plan.ID}}.Encode(), console.Notice{})
}

// refuseUndo shows why the changes cannot be undone.
func (p *Pages) refuseUndo(w http.ResponseWriter, r *http.Request, v *appVisit, err error) error {
	var input *provision.InputError
	if errors.As(err, &input) || errors.Is(err, provision.ErrNoPlan) {
		return p.Console.Redirect(w, r, v.url("/provisioning"), console.Notice{Tone: console.ToneWarning, Title: "Nothing was taken back.", Text: console.AsSentence(err.Error())})
	}
	return p.handleJobError(w, r, v, err)
}
