package directorypages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// onDemandPage is the data of the view "on-demand": the form that chooses a person or group, and
// the result for the person or group that was chosen last.
type onDemandPage struct {
	assignmentsPage
	Result  *onDemandResult
	Problem *console.Notice // says why nothing was provisioned; nil if there was no problem
}

// onDemandResult is the result of provisioning one person or group on demand.
type onDemandResult struct {
	Name, ID, URL string
	WhyURL        string // address of the page that explains why the object has an account or has none
	Notice        console.Notice
	Entries       []onDemandEntry
	MemberLogsURL string // address of the logs about the group's members; empty for a person
}

// onDemandEntry shows one entry of the provisioning log.
type onDemandEntry struct {
	URL, Title, Reason, Advice string
	Badge                      console.Badge
	Steps                      []logStep
	Changes                    []attributeChange
}

// maxOnDemandWait is how long a request waits, at most, until an object has been provisioned.
const maxOnDemandWait = 25 * time.Second

func (p *Pages) showOnDemand(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.renderOnDemand(w, r, v, http.StatusOK, parseListKind(r.URL.Query().Get("kind")), nil)
}

func (p *Pages) renderOnDemand(w http.ResponseWriter, r *http.Request, v *appVisit, status int, kind string, problem *console.Notice) error {
	if _, err := p.Jobs.Get(r.Context(), v.jobKey()); err != nil {
		return p.handleJobError(w, r, v, err)
	}
	base := v.url("/provisioning/on-demand")
	pg := onDemandPage{assignmentsPage: assignmentsPage{Page: v.page, Kind: kind, ListURL: base, FormURL: base}, Problem: problem}
	pg.Title = "Provision on demand"
	pg.Lead = "Provision one person or group now, ahead of everybody else, and see each step. It works whether provisioning is on or off. Of a group, the direct members are provisioned too."
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	if err := p.readListRows(r, v, &pg.assignmentsPage, directory.UserQuery{}, directory.GroupQuery{}); err != nil {
		return err
	}
	for i := range pg.Rows {
		pg.Rows[i].WhyURL = whyURL(v.url(""), pg.Rows[i].ID)
	}
	pg.addTabs(-1, -1)
	pg.Empty = console.EmptyState{Icon: "user-round", Title: "This directory is empty", Text: "There is nobody to provision yet.", Action: &console.Action{Text: "Users", URL: v.directoryVisit.url("users")}}
	if pg.Search != "" {
		pg.Empty = console.EmptyState{Icon: "search", Title: pg.noneText() + " matches “" + pg.Search + "”", Text: "Search for another part of the name."}
	}
	var err error
	if pg.Result, err = p.readOnDemandResult(r, v); err != nil {
		return err
	}
	return p.show(w, r, status, "on-demand", pg)
}

// provisionOnDemand provisions the chosen object and redirects to the page with the result.
func (p *Pages) provisionOnDemand(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	id, kind, since := r.PostForm.Get("object"), parseListKind(r.PostForm.Get("kind")), p.Console.Options.Now()
	ctx, cancel := context.WithTimeout(r.Context(), maxOnDemandWait)
	defer cancel()
	_, err := p.Engine.OnDemand(ctx, v.jobKey(), p.Owner, v.actorLabel(), []string{id})
	var (
		refused *provision.TargetError
		input   *provision.InputError
	)
	switch {
	case err == nil, errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil:
		query := url.Values{"object": {id}, "since": {strconv.FormatInt(since.UnixMicro(), 10)}}
		if kind != "" {
			query.Set("kind", kind)
		}
		return p.Console.Redirect(w, r, v.url("/provisioning/on-demand?"+query.Encode()), console.Notice{})
	case errors.As(err, &refused):
		return p.renderOnDemand(w, r, v, http.StatusOK, kind, &console.Notice{Tone: console.ToneProblem, Title: "Nothing was provisioned: the application cannot be asked", Text: refusalText(refused)})
	case errors.As(err, &input):
		return p.renderOnDemand(w, r, v, http.StatusUnprocessableEntity, kind, &console.Notice{Tone: console.ToneProblem, Title: "Nothing was provisioned", Text: console.AsSentence(input.Field + " " + input.Text)})
	}
	return p.handleJobError(w, r, v, err)
}

// readOnDemandResult returns the result for the object that the address names. It returns nil if
// the address names none.
func (p *Pages) readOnDemandResult(r *http.Request, v *appVisit) (*onDemandResult, error) {
	form := r.URL.Query()
	micros, err := strconv.ParseInt(form.Get("since"), 10, 64)
	if id := form.Get("object"); id == "" || err != nil {
		return nil, nil
	}
	id := form.Get("object")
	found, err := p.Engine.DemandResult(r.Context(), v.jobKey(), id, time.UnixMicro(micros))
	if err != nil {
		return nil, err
	}
	result := &onDemandResult{Name: found.Name, ID: id, WhyURL: whyURL(v.url(""), id), URL: v.objectURL(provision.UserKind, id)}
	if parseListKind(form.Get("kind")) == "groups" {
		result.URL = v.objectURL(provision.GroupKind, id)
		result.MemberLogsURL = v.url("/provisioning/logs")
	}
	result.Notice = onDemandNotice(found)
	for _, e := range found.Entries {
		result.Entries = append(result.Entries, onDemandEntry{
			URL: v.url("/provisioning/logs/" + url.PathEscape(e.ID)), Title: e.SourceIdentity.DisplayName, Reason: e.Status.Reason, Advice: e.Status.RecommendedAction,
			Badge: actionBadge(e.Action, e.Status.Status), Steps: logSteps(e), Changes: changedAttributes(e),
		})
	}
	return result, nil
}

// onDemandNotice describes the result for an object in a notice.
func onDemandNotice(found provision.DemandResult) console.Notice {
	switch {
	case found.Waits != "":
		text := found.Waits
		if !found.Until.IsZero() {
			text += " It is tried again at " + found.Until.UTC().Format("15:04:05") + " UTC."
		}
		return console.Notice{Tone: console.ToneWarning, Title: found.Name + " has to wait", Text: text}
	case len(found.Entries) == 0:
		return console.Notice{Tone: console.ToneWarning, Title: "Nothing is known yet", Text: "It takes longer than " + console.SpellDuration(maxOnDemandWait) + ". Load this page again in a moment."}
	}
	last := found.Entries[len(found.Entries)-1]
	for _, e := range found.Entries {
		if e.Status.Status == provision.Failure {
			last = e
		}
	}
	switch last.Status.Status {
	case provision.Failure:
		return console.Notice{Tone: console.ToneProblem, Title: found.Name + " was not provisioned", Text: entryText(last)}
	case provision.Skipped:
		return console.Notice{Tone: console.ToneInfo, Title: "Nothing had to be sent for " + found.Name, Text: entryText(last)}
	}
	return console.Notice{Tone: console.ToneGood, Title: found.Name + " was provisioned", Text: entryText(last)}
}
