package directorypages

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/provision"
)

// heldPage is the data of the view "held". It lists the operations on hold, grouped by their cause.
type heldPage struct {
	console.Page
	Causes []heldCauseView
	Empty  console.EmptyState
	// ApprovalNotice says that the operations are approved with a plan; nil if they are approved
	// here.
	ApprovalNotice *console.Notice
	PlanURL        string
}

// heldCauseView shows one cause and its operations on hold.
type heldCauseView struct {
	provision.HeldCause
	Heading               string
	ChangedText           string // says that some operations are no longer on hold; may be empty
	ApproveURL, RejectURL string // addresses of the pages that ask for confirmation
	AllURL                string // address of the list of all operations; empty if the page shows them
	Objects               []provision.HeldObject
	Pager                 console.Pager
}

// maxHeldRows is how many operations of a cause one page shows at most.
const maxHeldRows = 100

func (p *Pages) showHeld(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	form := r.URL.Query()
	base := v.url("/provisioning/held")
	all, err := p.Jobs.Held(r.Context(), v.jobKey(), provision.OnHold)
	if err != nil {
		return err
	}
	pg := heldPage{Page: v.page, Empty: console.EmptyState{
		Icon: "check", Title: "Nothing is on hold",
		Text: "One import or one change of settings that would disable or delete more than 10 % of the active accounts, or end more than 10 % of the memberships, waits here for a decision. What was let through in the last 24 hours counts, too.",
	}}
	pg.Title = "On hold"
	pg.Lead = "These operations disable or delete accounts or groups, or remove members from groups, and one cause has more of them than it may send unasked. None of them is sent before an operator approves it. Everything else goes on."
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	job, err := p.Jobs.Get(r.Context(), v.jobKey())
	if err != nil && !errors.Is(err, provision.ErrNoJob) {
		return err
	}
	if job.SecondApproval {
		pg.PlanURL = v.url("/provisioning/plan")
		pg.ApprovalNotice = &console.Notice{Tone: console.ToneInfo, Title: "Another operator has to approve", Text: "Second approval is on. Make a plan: it has these operations, and another operator can approve it. You can reject them here."}
	}
	for _, h := range all {
		c := heldCauseView{HeldCause: h, Heading: h.Words, ChangedText: changedMeanwhileText(h)}
		c.ApproveURL, c.RejectURL = v.heldDecisionURL(h, approveHeld), v.heldDecisionURL(h, rejectHeld)
		c.AllURL = base + "?" + url.Values{"cause": {h.ID}}.Encode()
		if form.Get("cause") == h.ID {
			after := form.Get("after")
			objects, next, err := p.Jobs.HeldObjects(r.Context(), v.jobKey(), h.ID, provision.OnHold, after, maxHeldRows)
			if err != nil {
				return err
			}
			c.Objects = objects
			if next != "" {
				c.Pager.NextURL = base + "?" + url.Values{"cause": {h.ID}, "after": {next}}.Encode()
			}
			if after != "" {
				c.Pager.FirstURL = c.AllURL
			}
			c.AllURL = ""
		}
		pg.Causes = append(pg.Causes, c)
	}
	return p.show(w, r, http.StatusOK, "held", pg)
}

// The possible decisions about operations on hold.
const (
	approveHeld = "approve"
	rejectHeld  = "reject"
)

// heldDecisionURL returns the address of the page that asks whether to approve or reject the
// operations of a cause. The address names the batch of operations, so that the decision applies
// only to operations that the operator has seen.
func (v *appVisit) heldDecisionURL(h provision.HeldCause, decision string) string {
	return v.url("/provisioning/held/decide") + "?" + url.Values{"cause": {h.ID}, "batch": {strconv.Itoa(h.Batch)}, "do": {decision}}.Encode()
}

// changedMeanwhileText says how many operations are no longer on hold because their people have
// changed. It returns "" if there are none.
func changedMeanwhileText(h provision.HeldCause) string {
	switch h.Changed {
	case 0:
		return ""
	case 1:
		return "1 more has changed meanwhile and is left out."
	}
	return fmt.Sprintf("%s more have changed meanwhile and are left out.", console.GroupDigits(h.Changed))
}

// redirectToHeld redirects to the list of operations on hold, with a notice.
func (p *Pages) redirectToHeld(w http.ResponseWriter, r *http.Request, v *appVisit, n console.Notice) error {
	return p.Console.Redirect(w, r, v.url("/provisioning/held"), n)
}

var heldChangedNotice = console.Notice{Tone: console.ToneWarning, Title: "Nothing was decided.", Text: "What is on hold has changed since this page was made. Look at it again."}

// askHeldDecision asks for confirmation before operations on hold are approved or rejected.
func (p *Pages) askHeldDecision(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	form := r.URL.Query()
	all, err := p.Jobs.Held(r.Context(), v.jobKey(), provision.OnHold)
	if err != nil {
		return err
	}
	for _, h := range all {
		if h.ID != form.Get("cause") {
			continue
		}
		accounts := console.PluralForms(h.Count-h.Members, "account", "accounts")
		members := console.PluralForms(h.Members, "member of a group", "members of groups")
		operations := console.PluralForms(h.Count, "operation", "operations")
		pg := console.ConfirmPage{
			Page: v.page, FormURL: v.url("/provisioning/held/decide"), CancelURL: v.url("/provisioning/held"),
			Fields: []console.HiddenField{{Name: "cause", Value: h.ID}, {Name: "batch", Value: strconv.Itoa(h.Batch)}, {Name: "do", Value: form.Get("do")}},
		}
		switch form.Get("do") {
		case approveHeld:
			pg.Title, pg.Button, pg.IsDangerous = "Approve "+operations+"?", "Approve "+operations, true
			pg.Consequences = append(heldEffects(h, accounts+" at "+v.App.Name+" will be disabled or deleted.", members+" at "+v.App.Name+" will be removed."),
				"Cause: "+console.AsSentence(h.Words), "Exactly these are sent. A person who changes before that is left out.")
			pg.Undo = "A disabled account is enabled again when its person comes back. A deleted account cannot be brought back from here."
		default:
			pg.Title, pg.Button = "Reject "+operations+"?", "Reject "+operations
			pg.Consequences = append(heldEffects(h, accounts+" at "+v.App.Name+" will stay as they are.", members+" at "+v.App.Name+" will stay."),
				"Cause: "+console.AsSentence(h.Words))
			pg.Undo = "They stay rejected until the person changes again, or another import or change of settings concerns them. Restart provisioning has all of them counted anew."
		}
		pg.Narrow = true
		pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")}, console.Crumb{Text: "On hold", URL: pg.CancelURL})
		return p.Console.View(w, r, http.StatusOK, "confirm", pg)
	}
	return p.redirectToHeld(w, r, v, heldChangedNotice)
}

// heldEffects returns the sentences for a question about the operations of one cause. accounts is a
// sentence about operations on accounts or groups, and members a sentence about memberships. It
// leaves out a sentence if the cause has no such operations.
func heldEffects(h provision.HeldCause, accounts, members string) []string {
	var all []string
	if h.Count > h.Members {
		all = append(all, accounts)
	}
	if h.Members > 0 {
		all = append(all, members)
	}
	return all
}

func (p *Pages) decideHeld(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	batch, err := strconv.Atoi(r.PostFormValue("batch"))
	if err != nil {
		return p.redirectToHeld(w, r, v, heldChangedNotice)
	}
	decide, done := p.Jobs.Reject, "%s rejected. The accounts stay as they are."
	if r.PostFormValue("do") == approveHeld {
		decide, done = p.Jobs.Approve, "%s approved. They are sent now, or once Provisioning Status is On."
	}
	h, err := decide(r.Context(), v.jobKey(), r.PostFormValue("cause"), batch, v.actorLabel())
	var input *provision.InputError
	switch {
	case errors.As(err, &input):
		return p.redirectToHeld(w, r, v, console.Notice{Tone: console.ToneWarning, Title: "Nothing was decided.", Text: console.AsSentence(input.Error())})
	case errors.Is(err, provision.ErrChanged), errors.Is(err, provision.ErrNothingHeld):
		return p.redirectToHeld(w, r, v, heldChangedNotice)
	case err != nil:
		return p.handleJobError(w, r, v, err)
	}
	text := fmt.Sprintf(done, console.PluralForms(h.Count, "operation was", "operations were"))
	if more := changedMeanwhileText(h); more != "" {
		text += " " + more
	}
	return p.redirectToHeld(w, r, v, console.DoneNotice(text))
}
