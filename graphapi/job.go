package graphapi

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/provision"
)

// unsetTime is what Graph shows for a time that is not set.
const unsetTime = "0001-01-01T00:00:00Z"

// unstartedInterval is what Graph shows as the interval of a job that was never started.
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

// schedule is Graph's synchronizationSchedule.
type schedule struct {
	Expiration *string `json:"expiration"`
	Interval   string  `json:"interval"`
	State      string  `json:"state"` // Active, Disabled, Paused
}

// keyValuePair is Graph's keyValuePair.
type keyValuePair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// jobStatus is Graph's synchronizationStatus.
type jobStatus struct {
	SuccessiveFailureCount   int         `json:"countSuccessiveCompleteFailures"`
	EscrowsPruned            bool        `json:"escrowsPruned"`
	Code                     string      `json:"code"`
	LastExecution            *execution  `json:"lastExecution"`
	LastSuccess              *execution  `json:"lastSuccessfulExecution"`
	LastSuccessWithExports   *execution  `json:"lastSuccessfulExecutionWithExports"`
	Progress                 []progress  `json:"progress"`
	Quarantine               *quarantine `json:"quarantine"`
	SteadyStateFirstAchieved string      `json:"steadyStateFirstAchievedTime"`
	SteadyStateLastAchieved  string      `json:"steadyStateLastAchievedTime"`
	EntryCountByType         []countPair `json:"synchronizedEntryCountByType"`
	TroubleshootingURL       *string     `json:"troubleshootingUrl"`
}

// countPair is a key with a number, as Graph writes the entries of a map.
type countPair struct {
	Key   string `json:"key"`
	Value int    `json:"value"`
}

// progress is Graph's synchronizationProgress.
type progress struct {
	CompletedUnits int    `json:"completedUnits"`
	ObservedAt     string `json:"progressObservationDateTime"`
	TotalUnits     int    `json:"totalUnits"`
	UnitName       string `json:"units"`
}

// execution is Graph's taskExecution.
type execution struct {
	ActivityIdentifier           string    `json:"activityIdentifier"`
	EntitledCount                int       `json:"countEntitled"`
	EntitledForProvisioningCount int       `json:"countEntitledForProvisioning"`
	EscrowedCount                int       `json:"countEscrowed"`
	EscrowedRawCount             int       `json:"countEscrowedRaw"`
	ExportedCount                int       `json:"countExported"`
	ExportsCount                 int       `json:"countExports"`
	ImportedCount                int       `json:"countImported"`
	ImportedDeltasCount          int       `json:"countImportedDeltas"`
	ImportedReferenceDeltasCount int       `json:"countImportedReferenceDeltas"`
	Error                        *jobError `json:"error"`
	State                        string    `json:"state"`
	TimeBegan                    string    `json:"timeBegan"`
	TimeEnded                    string    `json:"timeEnded"`
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

// jobError is Graph's synchronizationError.
type jobError struct {
	Code             string `json:"code"`
	Message          string `json:"message"`
	TenantActionable bool   `json:"tenantActionable"`
}

// jobID returns the id of an application's job. It has the same form as the ids of Entra's jobs.
func jobID(h *directory.Handle, a directory.Application) string {
	return "scim." + strings.ReplaceAll(string(h.Directory.ID), "-", "") + "." + a.ID
}

// formatTime returns a time in Graph's form.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return unsetTime
	}
	return t.UTC().Format("2006-01-02T15:04:05.999999Z")
}

// renderJob reads the application's job and returns it in Graph's form.
func (c *call) renderJob() (job, error) {
	r, err := c.h.Jobs.Report(c.r.Context(), c.key())
	if err != nil {
		return job{}, err
	}
	held, err := c.h.Jobs.Held(c.r.Context(), c.key(), provision.OnHold)
	if err != nil {
		return job{}, err
	}
	out := job{
		ID: jobID(c.Handle, c.app), TemplateID: c.h.templateOf(r.Job.Schema).id, Settings: []keyValuePair{{"QuarantineTooManyDeletesThreshold", strconv.Itoa(r.Job.DeleteThreshold)}},
		Schedule: schedule{Interval: formatDuration(c.h.Interval), State: "Active"},
		Status: jobStatus{
			Code: r.Code, SuccessiveFailureCount: r.State.FailedRuns, Progress: []progress{},
			SteadyStateFirstAchieved: formatTime(r.State.FirstDone), SteadyStateLastAchieved: unsetTime,
			EntryCountByType: []countPair{{"User", r.Linked}, {"Group", r.Groups}},
			LastExecution:    executionOf(r.State.Last), LastSuccess: executionOf(r.State.LastGood), Quarantine: quarantineOf(r.State.Quarantine, held, r.Job.SecondApproval),
		},
	}
	if out.Status.LastSuccess != nil {
		out.Status.SteadyStateLastAchieved = out.Status.LastSuccess.TimeEnded
		out.Status.LastSuccessWithExports = executionOf(r.State.LastSent)
		if out.Status.LastSuccess.ExportsCount > 0 { // also of a cycle before an update of Rollcall
			out.Status.LastSuccessWithExports = out.Status.LastSuccess
		}
	}
	if r.State.Phase != provision.Idle {
		out.Status.Progress = append(out.Status.Progress, progress{
			CompletedUnits: r.State.Cycle.Read, TotalUnits: r.State.Cycle.Read + r.Pending, UnitName: "SynchronizedObjects", ObservedAt: formatTime(c.h.Now()),
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

// formatDuration returns a duration in the form of ISO 8601, such as PT40M.
func formatDuration(d time.Duration) string {
	text := "PT" + strings.ToUpper(d.Round(time.Second).String())
	text = strings.Replace(text, "M0S", "M", 1)
	return strings.Replace(text, "H0M", "H", 1)
}

// executionOf returns the report of a cycle in Graph's form, or nil if there was no cycle.
func executionOf(c *provision.CycleReport) *execution {
	if c == nil {
		return nil
	}
	exports := c.Sent()
	e := &execution{
		ActivityIdentifier: c.ID, State: c.State, TimeBegan: formatTime(c.Started), TimeEnded: formatTime(c.Ended),
		ImportedCount: c.Read, EntitledCount: c.Read - c.Skipped + c.Redundant, EntitledForProvisioningCount: c.Created,
		EscrowedCount: c.Failed, EscrowedRawCount: c.Failed + c.Waiting, ExportedCount: exports, ExportsCount: exports,
	}
	if c.Kind == provision.IncrementalCycle {
		e.ImportedDeltasCount = c.Read
	}
	if c.State == provision.Failed {
		e.Error = &jobError{Code: "SynchronizationRunFailed", Message: c.Error, TenantActionable: true}
	}
	return e
}

// quarantineOf returns the quarantine of a job in Graph's form, or nil. If the job is not in
// quarantine but operations are on hold, it returns a quarantine with Graph's reason for too many
// deletions. The job nevertheless continues with all other work.
func quarantineOf(q *provision.Quarantine, held []provision.HeldCause, secondApproval bool) *quarantine {
	if q != nil {
		return &quarantine{
			CurrentBegan: formatTime(q.Since), SeriesBegan: formatTime(q.Since), SeriesCount: q.Attempts, NextAttempt: formatTime(q.NextAttempt), Reason: q.Reason,
			Error: jobError{Code: q.Code, Message: strings.TrimSpace(q.Message + " " + q.Advice), TenantActionable: true},
		}
	}
	if len(held) == 0 {
		return nil
	}
	approving := "Restart with ForceDeletes approves what is on hold now."
	if secondApproval {
		approving = "Second approval is on: another operator than the one who makes a plan approves it on its page."
	}
	var causes []string
	for _, h := range held {
		causes = append(causes, h.Extent(" of")+" ("+h.Words+")")
	}
	return &quarantine{
		CurrentBegan: formatTime(held[0].Since), SeriesBegan: formatTime(held[0].Since), SeriesCount: len(held), NextAttempt: unsetTime, Reason: "TooManyDeletes",
		Error: jobError{Code: "TooManyDeletes", Message: "On hold: " + strings.Join(causes, "; ") + ". " + approving + " Everything else goes on.", TenantActionable: true},
	}
}

func (c *call) listJobs() error {
	values := []job{}
	one, err := c.renderJob()
	switch {
	case err == nil:
		values = append(values, one)
	case !errors.Is(err, provision.ErrNoJob):
		return err
	}
	return answerList(c, c.odataContext("servicePrincipals('%s')/synchronization/jobs", c.app.ID), values)
}

func (c *call) getJob() error {
	one, err := c.renderJob()
	if err != nil {
		return err
	}
	one.Context = c.odataContext("servicePrincipals('%s')/synchronization/jobs/$entity", c.app.ID)
	return c.answerOK(one)
}

// createJob creates a disabled job with the mappings of a template.
func (c *call) createJob() error {
	var body struct {
		TemplateID string `json:"templateId"`
	}
	if err := c.readJSON(&body, false); err != nil {
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
	made, err := c.renderJob()
	if err != nil {
		return err
	}
	made.Context = c.odataContext("servicePrincipals('%s')/synchronization/jobs/$entity", c.app.ID)
	c.w.Header().Set("Location", c.rootURL()+"/servicePrincipals/"+c.app.ID+"/synchronization/jobs/"+made.ID)
	return c.answerCreated(made)
}

func (c *call) deleteJob() error {
	if err := c.h.Jobs.Delete(c.r.Context(), c.key(), c.actor()); err != nil {
		return err
	}
	return c.answerNoContent()
}

func (c *call) startJob() error {
	if _, err := c.h.Jobs.Start(c.r.Context(), c.key(), c.actor()); err != nil {
		return err
	}
	return c.answerNoContent()
}

func (c *call) pauseJob() error {
	if _, err := c.h.Jobs.Pause(c.r.Context(), c.key(), c.actor()); err != nil {
		return err
	}
	return c.answerNoContent()
}

// resetScope says what a restart must do, as parsed from the resetScope of a request.
type resetScope struct {
	provision.Reset
	hasReset     bool // whether any field of Reset is set
	forceDeletes bool // whether to approve the operations that are on hold
	startOnly    bool // whether to start the job and reset nothing, as the word None says
}

// parseResetScope parses a list of words such as "Watermark, Escrows".
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
			return s, invalid("criteria.resetScope has the value '%s'. It is a list of None, ConnectorDataStore, Escrows, Watermark, QuarantineState, Full and ForceDeletes.", toPrintable(strings.TrimSpace(word)))
		}
	}
	s.hasReset = s.Reset != provision.Reset{}
	if s.startOnly && (s.hasReset || s.forceDeletes) {
		return s, invalid("criteria.resetScope has None beside other values.")
	}
	return s, nil
}

// restartJob restarts a job. Without criteria it does the same as Restart provisioning on the
// pages.
func (c *call) restartJob() error {
	var body struct {
		Criteria *map[string]any `json:"criteria"`
	}
	if err := c.readJSON(&body, true); err != nil {
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
				return invalid("criteria has the member '%s'. It takes resetScope alone, which is a string.", toPrintable(name))
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
	case what.hasReset:
		_, err = c.h.Jobs.Reset(ctx, c.key(), what.Reset, c.actor())
	}
	if err != nil {
		return err
	}
	return c.answerNoContent()
}

// approveHeld approves the operations of the job that are on hold now. Operations that are put on
// hold later need another approval.
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
