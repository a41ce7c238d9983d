package graphapi

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// Limits on a page of the provisioning logs.
const (
	defaultLogPage = 100
	maxLogPage     = 999
	logChunk       = 500     // entries that are read from the store at once
	maxLogScan     = 20_000  // entries that are read for one page; a page that stops there has a next link
	maxLogCount    = 200_000 // entries that are read for $count
)

// logFields returns the properties of provisioning logs that a $filter may compare.
func logFields() fields {
	f := fields{"activitydatetime": timeField, "durationinmilliseconds": numberField}
	for path := range strings.FieldsSeq(`id changeid cycleid jobid tenantid provisioningaction action provisioningstatusinfo/status
		statusinfo/status provisioningstatusinfo/errorinformation/errorcode provisioningstatusinfo/errorinformation/reason
		statusinfo/errorinformation/errorcode serviceprincipal/id serviceprincipal/displayname sourceidentity/id
		sourceidentity/displayname sourceidentity/identitytype targetidentity/id targetidentity/displayname targetidentity/identitytype
		sourcesystem/id sourcesystem/displayname targetsystem/id targetsystem/displayname initiatedby/displayname initiatedby/id`) {
		f[path] = textField
	}
	return f
}

// appEntry is a log entry together with its application.
type appEntry struct {
	provision.LogEntry
	app directory.Application
}

// values returns the properties of an entry that a $filter can compare, by path.
func (c *call) values(l appEntry) map[string]any {
	e := l.LogEntry
	return map[string]any{
		"id": e.ID, "activitydatetime": e.ActivityTime.UTC(), "durationinmilliseconds": float64(e.DurationMillis), "changeid": e.ChangeID, "cycleid": e.CycleID,
		"jobid": jobID(c.Handle, l.app), "tenantid": string(c.Directory.ID), "provisioningaction": string(e.Action), "action": string(e.Action),
		"provisioningstatusinfo/status": string(e.Status.Status), "statusinfo/status": string(e.Status.Status),
		"provisioningstatusinfo/errorinformation/errorcode": e.Status.Code, "statusinfo/errorinformation/errorcode": e.Status.Code,
		"provisioningstatusinfo/errorinformation/reason": e.Status.Reason,
		"serviceprincipal/id":                            l.app.ID, "serviceprincipal/displayname": l.app.Name,
		"sourceidentity/id": e.SourceIdentity.ID, "sourceidentity/displayname": e.SourceIdentity.DisplayName, "sourceidentity/identitytype": e.SourceIdentity.Type,
		"targetidentity/id": e.TargetIdentity.ID, "targetidentity/displayname": e.TargetIdentity.DisplayName, "targetidentity/identitytype": e.TargetIdentity.Type,
		"sourcesystem/id": e.SourceSystem.ID, "sourcesystem/displayname": e.SourceSystem.DisplayName,
		"targetsystem/id": e.TargetSystem.ID, "targetsystem/displayname": e.TargetSystem.DisplayName,
		"initiatedby/displayname": e.InitiatorName, "initiatedby/id": "",
	}
}

// logQuery is a parsed request for provisioning logs.
type logQuery struct {
	c      *call
	filter *filter
	exact  bool // whether the store's query selects the same entries as the filter
	narrow provision.LogQuery
	id     string // id of the only entry that can match; "" if others can match too
	apps   []directory.Application
	top    int
	from   *logPlace // where the page begins; nil means at the start
}

// logPlace is the position after the last entry of a page. Entries of the same time are ordered by
// application. Within an application they have the order of its log.
type logPlace struct {
	Micros int64  `json:"t"`
	App    string `json:"a"`
	ID     string `json:"i"`
}

func (p logPlace) String() string {
	text, _ := json.Marshal(p) // cannot fail for numbers and strings
	return base64.RawURLEncoding.EncodeToString(text)
}

func parsePlace(text string) (*logPlace, error) {
	if text == "" {
		return nil, nil
	}
	var p logPlace
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil || p.App == "" || strings.ContainsRune(p.ID+p.App, 0) {
		return nil, refuse(400, codeBadRequest, "The skip token cannot be read. Use the address in @odata.nextLink as it is.")
	}
	return &p, nil
}

func (c *call) readLogQuery() (*logQuery, error) {
	values, err := readQuery(c.r.URL.Query(), "$filter", "$orderby", "$top", "$skiptoken", "$count")
	if err != nil {
		return nil, err
	}
	q := &logQuery{c: c, top: defaultLogPage}
	if q.filter, err = parseFilter(values.Get("$filter"), logFields()); err != nil {
		return nil, err
	}
	if text := values.Get("$top"); text != "" {
		if q.top, err = strconv.Atoi(text); err != nil || q.top < 1 {
			return nil, refuse(400, codeBadRequest, "Invalid value '%s' for $top. It is a number from 1 to %d.", printable(text), maxLogPage)
		}
		q.top = min(q.top, maxLogPage)
	}
	switch order := strings.ToLower(strings.Join(strings.Fields(values.Get("$orderby")), " ")); order {
	case "", "activitydatetime desc":
	case "activitydatetime", "activitydatetime asc":
		q.narrow.OldestFirst = true
	default:
		return nil, refuse(400, codeUnsupported, "$orderby '%s' is not supported: logs are ordered by activityDateTime, asc or desc.", printable(order))
	}
	if q.from, err = parsePlace(values.Get("$skiptoken")); err != nil {
		return nil, err
	}
	if q.apps, err = c.Applications(c.r.Context()); err != nil {
		return nil, err
	}
	slices.SortFunc(q.apps, func(a, b directory.Application) int { return strings.Compare(a.ID, b.ID) })
	q.narrowDown()
	return q, nil
}

// narrowDown moves the comparisons that the store can make into the store's query.
func (q *logQuery) narrowDown() {
	all, whole := q.filter.conditions()
	q.exact = whole
	for _, f := range all {
		q.exact = q.narrowBy(f) && q.exact
	}
}

// narrowBy adds one comparison to the store's query. It reports whether the store makes the whole
// comparison.
func (q *logQuery) narrowBy(f *filter) bool {
	if at, ok := f.value.(time.Time); ok && f.path == "activitydatetime" {
		return q.narrowByTime(f.op, at)
	}
	text, ok := f.value.(string)
	if !ok || text == "" || f.op != "eq" {
		return false
	}
	set := func(field *string) bool {
		if *field != "" && *field != text {
			return false // no value equals both; the filter itself finds nothing
		}
		*field = text
		return true
	}
	switch f.path {
	case "id":
		set(&q.id)
	case "sourceidentity/id":
		set(&q.narrow.ObjectID)
	case "cycleid":
		return set(&q.narrow.Cycle)
	case "provisioningaction", "action":
		return set((*string)(&q.narrow.Action))
	case "provisioningstatusinfo/status", "statusinfo/status":
		return set((*string)(&q.narrow.Status))
	case "serviceprincipal/id", "serviceprincipal/displayname", "jobid":
		q.apps = slices.DeleteFunc(q.apps, func(a directory.Application) bool {
			return !slices.Contains([]string{a.ID, a.Name, jobID(q.c.Handle, a)}, text)
		})
	}
	return false
}

// narrowByTime narrows by the time of entries, which is stored in microseconds.
func (q *logQuery) narrowByTime(op string, at time.Time) bool {
	at = at.Truncate(time.Microsecond)
	from, until := q.narrow.From, q.narrow.Until
	switch op {
	case "gt":
		from = at.Add(time.Microsecond)
	case "ge":
		from = at
	case "lt":
		until = at
	case "le":
		until = at.Add(time.Microsecond)
	case "eq":
		from, until = at, at.Add(time.Microsecond)
	default:
		return false
	}
	if from.After(q.narrow.From) {
		q.narrow.From = from
	}
	if q.narrow.Until.IsZero() || until.Before(q.narrow.Until) {
		q.narrow.Until = until
	}
	return true
}

// logStream reads the log of one application, one page at a time.
type logStream struct {
	app     directory.Application
	key     provision.Key
	query   provision.LogQuery
	entries []provision.LogEntry
	done    bool
}

// streams opens the log of each application at the place where the page begins.
func (q *logQuery) streams() (all []*logStream) {
	for _, a := range q.apps {
		s := &logStream{app: a, key: jobKey(q.c.Handle, a), query: q.narrow}
		s.query.Limit = logChunk
		if q.from != nil {
			s.query.Before = q.from.cursorOf(a.ID, q.narrow.OldestFirst)
		}
		all = append(all, s)
	}
	return all
}

// cursorOf returns the cursor with which to continue the log of an application after the place.
func (p logPlace) cursorOf(app string, oldestFirst bool) string {
	at := time.UnixMicro(p.Micros)
	passed := strings.Compare(app, p.App) < 0 // its entries of that time are before the place
	switch {
	case app == p.App:
		return provision.LogCursor(at, p.ID)
	case passed == oldestFirst:
		return provision.LogCursor(at.Add(time.Microsecond), "")
	default:
		return provision.LogCursor(at, "")
	}
}

// head returns the next entry of the stream, or nil at its end.
func (s *logStream) head(c *call) (*provision.LogEntry, error) {
	if len(s.entries) == 0 && !s.done {
		page, next, err := c.h.Jobs.Logs(c.r.Context(), s.key, s.query)
		if err != nil {
			return nil, err
		}
		s.entries, s.query.Before, s.done = page, next, next == ""
	}
	if len(s.entries) == 0 {
		return nil, nil
	}
	return &s.entries[0], nil
}

// page returns the entries of the page. end is the place where the page ended; nil at the end of
// the logs.
func (q *logQuery) page() (found []appEntry, end *logPlace, err error) {
	if q.id != "" {
		found, err = q.entryByID()
		return found, nil, err
	}
	streams := q.streams()
	for seen := 0; ; seen++ {
		var first *logStream
		var entry *provision.LogEntry
		for _, s := range streams {
			e, err := s.head(q.c)
			if err != nil {
				return nil, nil, err
			}
			if e != nil && (entry == nil || e.ActivityTime.After(entry.ActivityTime) != q.narrow.OldestFirst && !e.ActivityTime.Equal(entry.ActivityTime)) {
				first, entry = s, e
			}
		}
		if entry == nil {
			return found, nil, nil
		}
		if len(found) == q.top || seen == maxLogScan {
			return found, end, nil
		}
		one := appEntry{*entry, first.app}
		end = &logPlace{Micros: entry.ActivityTime.UnixMicro(), App: first.app.ID, ID: entry.ID}
		first.entries = first.entries[1:]
		if q.filter.matches(q.c.values(one)) {
			found = append(found, one)
		}
	}
}

// entryByID returns the entry whose id the filter requires, if the entry matches.
func (q *logQuery) entryByID() (found []appEntry, err error) {
	for _, a := range q.apps {
		e, err := q.c.h.Jobs.Log(q.c.r.Context(), jobKey(q.c.Handle, a), q.id)
		if errors.Is(err, provision.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if one := (appEntry{e, a}); q.filter.matches(q.c.values(one)) {
			found = append(found, one)
		}
	}
	return found, nil
}

// count counts the entries on all pages that match the filter.
func (q *logQuery) count() (n int, err error) {
	if q.exact {
		for _, a := range q.apps {
			one, err := q.c.h.Jobs.CountLogs(q.c.r.Context(), jobKey(q.c.Handle, a), q.narrow)
			if err != nil {
				return 0, err
			}
			n += one
		}
		return n, nil
	}
	all := *q
	all.from, all.top = nil, logChunk
	for seen := 0; ; {
		found, end, err := all.page()
		if err != nil {
			return 0, err
		}
		if n += len(found); end == nil {
			return n, nil
		}
		if seen += maxLogScan; seen > maxLogCount {
			return 0, refuse(400, codeUnsupported, "$count would look at more than %d entries. Narrow the filter by activityDateTime, or leave $count out.", maxLogCount)
		}
		all.from = end
	}
}

// listLogs answers with a page of the provisioning logs of all the directory's applications.
func (c *call) listLogs() error {
	q, err := c.readLogQuery()
	if err != nil {
		return err
	}
	out := collection[logEntry]{Context: c.context("auditLogs/provisioning"), Value: []logEntry{}}
	if strings.EqualFold(c.r.URL.Query().Get("$count"), "true") {
		n, err := q.count()
		if err != nil {
			return err
		}
		out.Count = &n
	}
	found, end, err := q.page()
	if err != nil {
		return err
	}
	for _, l := range found {
		out.Value = append(out.Value, c.shownEntry(l))
	}
	if end != nil {
		values := c.r.URL.Query()
		values.Set("$skiptoken", end.String())
		out.Next = c.root() + "/auditLogs/provisioning?" + encodeQuery(values)
	}
	return c.ok(out)
}

// encodeQuery encodes a query as Graph does: the $ of option names is not escaped.
func encodeQuery(q url.Values) string { return strings.ReplaceAll(q.Encode(), "%24", "$") }

// logEntry is Graph's provisioningObjectSummary.
type logEntry struct {
	ID         string                       `json:"id"`
	Activity   string                       `json:"activityDateTime"`
	TenantID   string                       `json:"tenantId"`
	JobID      string                       `json:"jobId"`
	CycleID    string                       `json:"cycleId"`
	ChangeID   string                       `json:"changeId"`
	OldAction  string                       `json:"action,omitempty"` // only in beta
	Action     string                       `json:"provisioningAction"`
	Duration   int64                        `json:"durationInMilliseconds"`
	Principal  namedObject                  `json:"servicePrincipal"`
	Source     loggedSystem                 `json:"sourceSystem"`
	Target     loggedSystem                 `json:"targetSystem"`
	By         initiator                    `json:"initiatedBy"`
	SourceID   loggedIdentity               `json:"sourceIdentity"`
	TargetID   loggedIdentity               `json:"targetIdentity"`
	Status     loggedStatus                 `json:"provisioningStatusInfo"`
	OldStatus  *loggedStatus                `json:"statusInfo,omitempty"` // only in beta
	Steps      []loggedStep                 `json:"provisioningSteps"`
	Properties []provision.ModifiedProperty `json:"modifiedProperties"`
}

type namedObject struct {
	ID   string `json:"id"`
	Name string `json:"displayName"`
}

type loggedSystem struct {
	ID      string            `json:"id"`
	Name    string            `json:"displayName"`
	Details map[string]string `json:"details"`
}

type initiator struct {
	ID   string `json:"id"`
	Name string `json:"displayName"`
	Type string `json:"initiatorType"`
}

type loggedIdentity struct {
	ID      string            `json:"id"`
	Name    string            `json:"displayName"`
	Type    string            `json:"identityType"`
	Details map[string]string `json:"details"`
}

type loggedStatus struct {
	Status string       `json:"status"`
	Error  *loggedError `json:"errorInformation"`
}

type loggedError struct {
	Code     string  `json:"errorCode"`
	Reason   *string `json:"reason"`
	Details  *string `json:"additionalDetails"`
	Category string  `json:"errorCategory"`
	Action   *string `json:"recommendedAction"`
}

type loggedStep struct {
	Name        string             `json:"name"`
	Type        provision.StepType `json:"provisioningStepType"`
	Status      provision.Result   `json:"status"`
	Description string             `json:"description"`
	Details     map[string]string  `json:"details"`
}

// shownEntry returns an entry in Graph's form.
func (c *call) shownEntry(l appEntry) logEntry {
	e := l.LogEntry
	of := map[string]string{"ApplicationId": l.app.ID, "ServicePrincipalId": l.app.ID, "ServicePrincipalDisplayName": l.app.Name}
	out := logEntry{
		ID: e.ID, Activity: formatTime(e.ActivityTime), TenantID: string(c.Directory.ID), JobID: jobID(c.Handle, l.app), CycleID: e.CycleID, ChangeID: e.ChangeID,
		Action: string(e.Action), Duration: e.DurationMillis, Principal: namedObject{l.app.ID, l.app.Name},
		Source: loggedSystem{e.SourceSystem.ID, e.SourceSystem.DisplayName, map[string]string{}}, Target: loggedSystem{e.TargetSystem.ID, e.TargetSystem.DisplayName, of},
		By:       initiator{Name: e.InitiatorName, Type: "system"},
		SourceID: identityOf(e.SourceIdentity), TargetID: identityOf(e.TargetIdentity), Status: statusOfEntry(e.Status),
		Steps: []loggedStep{}, Properties: e.Modified,
	}
	for _, s := range e.Steps {
		out.Steps = append(out.Steps, loggedStep{s.Name, s.Type, s.Status, s.Description, notNil(s.Details)})
	}
	if out.Properties == nil {
		out.Properties = []provision.ModifiedProperty{}
	}
	if c.version == "beta" {
		out.OldAction, out.OldStatus = out.Action, &out.Status
	}
	return out
}

func identityOf(i provision.Identity) loggedIdentity {
	return loggedIdentity{i.ID, i.DisplayName, i.Type, notNil(i.Details)}
}

func statusOfEntry(s provision.StatusInfo) loggedStatus {
	out := loggedStatus{Status: string(s.Status)}
	if s.Code != "" {
		out.Error = &loggedError{Code: s.Code, Reason: orNull(s.Reason), Details: orNull(s.AdditionalDetails), Category: firstNonEmpty(s.Category, "failure"), Action: orNull(s.RecommendedAction)}
	}
	return out
}

// orNull returns nil for an empty string, which JSON writes as null.
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func notNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
