package graphapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/provision"
)

// unsetTime is how Graph writes a time that is not set.
const unsetTime = "0001-01-01T00:00:00Z"

// unstartedInterval is the interval that Graph shows for a job that was never started.
const unstartedInterval = "P10675199DT2H48M5.4775807S"

// job is Graph's synchronizationJob.
type job struct {
	Context    string         `json:"@odata.context,omitempty"`
	ID         string         `json:"id"`
	TemplateID string         `json:"templateId"`
	Schedule   schedule       `json:"schedule"`
	Status     jobStatus      `json:"status"`
	Settings   []keyValuePair `json:"synchronizationJobSettings"`
}

type schedule struct {
	Expiration *string `json:"expiration"`
	Interval   string  `json:"interval"`
	State      string  `json:"state"` // Active, Disabled, Paused
}

type keyValuePair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// jobStatus is Graph's synchronizationStatus.
type jobStatus struct {
	SuccessiveFailures int         `json:"countSuccessiveCompleteFailures"`
	EscrowsPruned      bool        `json:"escrowsPruned"`
	Code               string      `json:"code"`
	Last               *execution  `json:"lastExecution"`
	LastGood           *execution  `json:"lastSuccessfulExecution"`
	LastWithExports    *execution  `json:"lastSuccessfulExecutionWithExports"`
	Progress           []progress  `json:"progress"`
	Quarantine         *quarantine `json:"quarantine"`
	FirstDone          string      `json:"steadyStateFirstAchievedTime"`
	LastDone           string      `json:"steadyStateLastAchievedTime"`
	Entries            []countPair `json:"synchronizedEntryCountByType"`
	TroubleshootingURL *string     `json:"troubleshootingUrl"`
}

type countPair struct {
	Key   string `json:"key"`
	Value int    `json:"value"`
}

type progress struct {
	Completed int    `json:"completedUnits"`
	Observed  string `json:"progressObservationDateTime"`
	Total     int    `json:"totalUnits"`
	Units     string `json:"units"`
}

// execution is Graph's taskExecution.
type execution struct {
	ActivityID         string    `json:"activityIdentifier"`
	Entitled           int       `json:"countEntitled"`
	EntitledToBeMade   int       `json:"countEntitledForProvisioning"`
	Escrowed           int       `json:"countEscrowed"`
	EscrowedRaw        int       `json:"countEscrowedRaw"`
	Exported           int       `json:"countExported"`
	Exports            int       `json:"countExports"`
	Imported           int       `json:"countImported"`
	ImportedDeltas     int       `json:"countImportedDeltas"`
	ImportedReferences int       `json:"countImportedReferenceDeltas"`
	Error              *jobError `json:"error"`
	State              string    `json:"state"`
	Began              string    `json:"timeBegan"`
	Ended              string    `json:"timeEnded"`
}

// quarantine is Graph's synchronizationQuarantine.
type quarantine struct {
	CurrentBegan string   `json:"currentBegan"`
	NextAttempt  string   `json:"nextAttempt"`
	Reason       string   `json:"reason"`
	SeriesBegan  string   `json:"seriesBegan"`
	SeriesCount  int      `json:"seriesCount"`
	Error        jobError `json:"error"`
}

type jobError struct {
	Code       string `json:"code"`
	Message    string `json:"message"`
	Actionable bool   `json:"tenantActionable"`
}

// jobID returns the id of an application's job, in the form of Entra's ids.
func jobID(h *directory.Handle, a directory.Application) string {
	return "scim." + strings.ReplaceAll(string(h.Directory.ID), "-", "") + "." + a.ID
}

// formatTime writes a time in Graph's form.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return unsetTime
	}
	return t.UTC().Format("2006-01-02T15:04:05.999999Z")
}

// shownJob returns the application's job in Graph's form.
func (c *call) shownJob() (job, error) {
	r, err := c.h.Jobs.Report(c.r.Context(), c.key())
	if err != nil {
		return job{}, err
	}
	held, err := c.h.Jobs.Held(c.r.Context(), c.key(), provision.OnHold)
	if err != nil {
		return job{}, err
	}
	out := job{
		ID: jobID(c.Handle, c.app), TemplateID: c.h.templateOf(r.Job.Schema).id, Settings: []keyValuePair{},
		Schedule: schedule{Interval: formatDuration(c.h.Interval), State: "Active"},
		Status: jobStatus{
			Code: r.Code, SuccessiveFailures: r.State.FailedRuns, Progress: []progress{},
			FirstDone: formatTime(r.State.FirstDone), LastDone: unsetTime,
			Entries: []countPair{{"User", r.Linked}, {"Group", r.Groups}},
			Last:    executionOf(r.State.Last), LastGood: executionOf(r.State.LastGood), Quarantine: quarantineOf(r.State.Quarantine, held),
		},
	}
	if out.Status.LastGood != nil {
		out.Status.LastDone = out.Status.LastGood.Ended
		if out.Status.LastGood.Exports > 0 {
			out.Status.LastWithExports = out.Status.LastGood
		}
	}
	if r.State.Phase != provision.Idle {
		out.Status.Progress = append(out.Status.Progress, progress{
			Completed: r.State.Cycle.Read, Total: r.State.Cycle.Read + r.Pending, Units: "SynchronizedObjects", Observed: formatTime(c.h.Now()),
		})
	}
	switch {
	case r.Job.Status == provision.On:
	case r.State.Last == nil && r.State.Phase == provision.Idle:
		out.Schedule.State, out.Schedule.Interval = "Disabled", unstartedInterval
	default:
		out.Schedule.State = "Paused"
	}
	return out, nil
}

// formatDuration writes a duration in ISO 8601, such as PT40M.
func formatDuration(d time.Duration) string {
	text := "PT" + strings.ToUpper(d.Round(time.Second).String())
	text = strings.Replace(text, "M0S", "M", 1)
	return strings.Replace(text, "H0M", "H", 1)
}

// executionOf returns a cycle in Graph's form.
func executionOf(c *provision.CycleReport) *execution {
	if c == nil {
		return nil
	}
	exports := c.Created + c.Updated + c.Disabled + c.Deleted + c.MembersAdded + c.MembersRemoved
	e := &execution{
		ActivityID: c.ID, State: c.State, Began: formatTime(c.Started), Ended: formatTime(c.Ended),
		Imported: c.Read, Entitled: c.Read - c.Skipped + c.Redundant, EntitledToBeMade: c.Created,
		Escrowed: c.Failed, EscrowedRaw: c.Failed + c.Waiting, Exported: exports, Exports: exports,
	}
	if c.Kind == provision.IncrementalCycle {
		e.ImportedDeltas = c.Read
	}
	if c.State == provision.Failed {
		e.Error = &jobError{Code: "SynchronizationRunFailed", Message: c.Error, Actionable: true}
	}
	return e
}

// quarantineOf returns the quarantine of a job. It shows operations on hold as Graph shows too many
// deletions, although the job continues with all other work.
func quarantineOf(q *provision.Quarantine, held []provision.HeldCause) *quarantine {
	if q != nil {
		return &quarantine{
			CurrentBegan: formatTime(q.Since), SeriesBegan: formatTime(q.Since), SeriesCount: q.Attempts, NextAttempt: formatTime(q.NextAttempt), Reason: q.Reason,
			Error: jobError{Code: q.Code, Message: strings.TrimSpace(q.Message + " " + q.Advice), Actionable: true},
		}
	}
	if len(held) == 0 {
		return nil
	}
	var causes []string
	for _, h := range held {
		causes = append(causes, h.Extent(" of")+" ("+h.Words+")")
	}
	return &quarantine{
		CurrentBegan: formatTime(held[0].Since), SeriesBegan: formatTime(held[0].Since), SeriesCount: len(held), NextAttempt: unsetTime, Reason: "TooManyDeletes",
		Error: jobError{Code: "TooManyDeletes", Message: "On hold: " + strings.Join(causes, "; ") + ". Restart with ForceDeletes approves what is on hold now. Everything else goes on.", Actionable: true},
	}
}

func (c *call) listJobs() error {
	values := []job{}
	one, err := c.shownJob()
	switch {
	case err == nil:
		values = append(values, one)
	case !errors.Is(err, provision.ErrNoJob):
		return err
	}
	return list(c, c.context("servicePrincipals('%s')/synchronization/jobs", c.app.ID), values)
}

func (c *call) getJob() error {
	one, err := c.shownJob()
	if err != nil {
		return err
	}
	one.Context = c.context("servicePrincipals('%s')/synchronization/jobs/$entity", c.app.ID)
	return c.ok(one)
}

// createJob creates a disabled job with the mappings of a template.
func (c *call) createJob() error {
	var body struct {
		TemplateID string `json:"templateId"`
	}
	if err := c.read(&body, false); err != nil {
		return err
	}
	if body.TemplateID == "" {
		return refuse(http.StatusBadRequest, codeMissing, "templateId is missing.")
	}
	t, err := c.h.findTemplate(body.TemplateID)
	if err != nil {
		return err
	}
	_, err = c.h.Jobs.Create(c.r.Context(), c.key(), t.schema, c.actor())
	if errors.Is(err, provision.ErrChanged) {
		return refuse(http.StatusConflict, codeConflict, "The application has a job already: %s. Delete that one first, or change it.", jobID(c.Handle, c.app))
	}
	if err != nil {
		return err
	}
	made, err := c.shownJob()
	if err != nil {
		return err
	}
	made.Context = c.context("servicePrincipals('%s')/synchronization/jobs/$entity", c.app.ID)
	c.w.Header().Set("Location", c.root()+"/servicePrincipals/"+c.app.ID+"/synchronization/jobs/"+made.ID)
	return c.created(made)
}

func (c *call) deleteJob() error {
	if err := c.h.Jobs.Delete(c.r.Context(), c.key(), c.actor()); err != nil {
		return err
	}
	return c.noContent()
}

func (c *call) startJob() error {
	if _, err := c.h.Jobs.Start(c.r.Context(), c.key(), c.actor()); err != nil {
		return err
	}
	return c.noContent()
}

func (c *call) pauseJob() error {
	if _, err := c.h.Jobs.Pause(c.r.Context(), c.key(), c.actor()); err != nil {
		return err
	}
	return c.noContent()
}

// resetScope is the parsed criteria of a restart.
type resetScope struct {
	provision.Reset
	restarts     bool // whether any word other than ForceDeletes is present
	forceDeletes bool
	startOnly    bool // None: start the job and reset nothing
}

// parseResetScope parses a list such as "Watermark, Escrows".
func parseResetScope(text string) (s resetScope, err error) {
	for word := range strings.SplitSeq(text, ",") {
		switch strings.ToLower(strings.TrimSpace(word)) {
		case "watermark":
			s.Everybody = true
		case "escrows":
			s.Failures = true
		case "quarantinestate":
			s.Quarantine = true
		case "connectordatastore":
			s.Links = true
		case "forcedeletes":
			s.forceDeletes = true
		case "full":
			s.Reset, s.forceDeletes = provision.Reset{Everybody: true, Failures: true, Quarantine: true, Links: true}, true
		case "none":
			s.startOnly = true
		default:
			return s, invalid("criteria.resetScope has the value '%s'. It is a list of None, ConnectorDataStore, Escrows, Watermark, QuarantineState, Full and ForceDeletes.", printable(strings.TrimSpace(word)))
		}
	}
	s.restarts = s.Reset != provision.Reset{}
	if s.startOnly && (s.restarts || s.forceDeletes) {
		return s, invalid("criteria.resetScope has None beside other values.")
	}
	return s, nil
}

// restartJob restarts a job. Without criteria it does the same as Restart provisioning.
func (c *call) restartJob() error {
	var body struct {
		Criteria *map[string]any `json:"criteria"`
	}
	if err := c.read(&body, true); err != nil {
		return err
	}
	text := "QuarantineState, Watermark, Escrows"
	if body.Criteria != nil {
		for name, value := range *body.Criteria {
			if strings.Contains(name, "@odata.") || value == nil {
				continue
			}
			words, isText := value.(string)
			if !strings.EqualFold(name, "resetScope") || !isText {
				return invalid("criteria has the member '%s'. It takes resetScope alone, which is a string.", printable(name))
			}
			if strings.TrimSpace(words) != "" {
				text = words
			}
		}
	}
	what, err := parseResetScope(text)
	if err != nil {
		return err
	}
	if (what.forceDeletes || what.Links) && !c.apiKey.Level.Allows(operator.Configure) {
		return refuse(http.StatusForbidden, codeForbidden, "This key may %s. ForceDeletes, ConnectorDataStore and Full need a key that may configure.", c.apiKey.Level)
	}
	if what.forceDeletes {
		if err := c.approveHeld(); err != nil {
			return err
		}
	}
	ctx := c.r.Context()
	switch {
	case what.startOnly:
		_, err = c.h.Jobs.Start(ctx, c.key(), c.actor())
	case what.restarts:
		_, err = c.h.Jobs.Reset(ctx, c.key(), what.Reset, c.actor())
	}
	if err != nil {
		return err
	}
	return c.noContent()
}

// approveHeld approves the operations that are on hold at this moment. Operations that are held
// later need another approval.
func (c *call) approveHeld() error {
	ctx := c.r.Context()
	held, err := c.h.Jobs.Held(ctx, c.key(), provision.OnHold)
	if err != nil {
		return err
	}
	for _, cause := range held {
		_, err := c.h.Jobs.Approve(ctx, c.key(), cause.ID, cause.Batch, c.actor())
		switch {
		case errors.Is(err, provision.ErrNothingHeld):
		case errors.Is(err, provision.ErrChanged):
			return refuse(http.StatusConflict, codeConflict, "More operations of the cause %q are on hold than a moment ago, so they were not approved. Look at them and send the request again.", cause.Words)
		case err != nil:
			return fmt.Errorf("approve what is on hold: %w", err)
		}
	}
	return nil
}
