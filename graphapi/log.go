package graphapi

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// Limits for reading the provisioning logs, as numbers of entries.
const (
	defaultLogPage = 100
	maxLogPage     = 999
	logChunk       = 500     // the largest number of entries that one query to the store returns
	maxLogScan     = 20_000  // the largest number of entries that are read for one page; a page that ends there has a link to the next page
	maxLogCount    = 200_000 // the largest number of entries that are read for $count
)

// logFields returns the properties of provisioning logs that a $filter may compare.
func logFields() fieldKinds {
	f := fieldKinds{"activitydatetime": timeField, "durationinmilliseconds": numberField}
	for path := range strings.FieldsSeq(`id changeid cycleid jobid tenantid provisioningaction action provisioningstatusinfo/status
		statusinfo/status provisioningstatusinfo/errorinformation/errorcode provisioningstatusinfo/errorinformation/reason
		statusinfo/errorinformation/errorcode serviceprincipal/id serviceprincipal/displayname sourceidentity/id
		sourceidentity/displayname sourceidentity/identitytype targetidentity/id targetidentity/displayname targetidentity/identitytype
		sourcesystem/id sourcesystem/displayname targetsystem/id targetsystem/displayname initiatedby/displayname initiatedby/id`) {
		f[path] = textField
	}
	return f
}

// appEntry is a log entry together with the application that it belongs to.
type appEntry struct {
	provision.LogEntry
	app directory.Application
}

// filterValues returns the properties of an entry that a $filter can compare, by path in lower
// case.
func (c *call) filterValues(l appEntry) map[string]any {
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
	c          *call
	filter     *filter
	isExact    bool // whether storeQuery selects exactly the entries that match the filter, so that they need no further check
	storeQuery provision.LogQuery
	id         string                  // the id that the filter requires; "" if it requires none
	apps       []directory.Application // the applications whose logs are read
	top        int
	start      *logPlace // where the page begins; nil means at the beginning of the logs
}

// logPlace is the position after the last entry of a page, for the skip token. Entries of the same
// time are sorted by the id of their application. Entries of one application have the order of its
// log.
type logPlace struct {
	Micros int64  `json:"t"`
	App    string `json:"a"`
	ID     string `json:"i"`
}

func (p logPlace) String() string {
	text, _ := json.Marshal(p) // cannot fail, because the fields are numbers and strings
	return base64.RawURLEncoding.EncodeToString(text)
}

// parseLogPlace reads a place as String writes it. It returns nil for an empty string.
func parseLogPlace(text string) (*logPlace, error) {
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

// readLogQuery parses the query of a request for provisioning logs.
func (c *call) readLogQuery() (*logQuery, error) {
	values, err := readQuery(c.r.URL.Query(), "$filter", "$orderby", "$top", "$skiptoken", "$count")
	if err != nil {
		return nil, err
	}
	q := &logQuery{c: c}
	if q.filter, err = parseFilter(values.Get("$filter"), logFields()); err != nil {
		return nil, err
	}
	if q.top, err = readTop(values.Get("$top"), defaultLogPage, maxLogPage); err != nil {
		return nil, err
	}
	switch order := strings.ToLower(strings.Join(strings.Fields(values.Get("$orderby")), " ")); order {
	case "", "activitydatetime desc":
	case "activitydatetime", "activitydatetime asc":
		q.storeQuery.OldestFirst = true
	default:
		return nil, refuse(400, codeUnsupported, "$orderby '%s' is not supported: logs are ordered by activityDateTime, asc or desc.", toPrintable(order))
	}
	if q.start, err = parseLogPlace(values.Get("$skiptoken")); err != nil {
		return nil, err
	}
	if q.apps, err = c.Applications(c.r.Context()); err != nil {
		return nil, err
	}
	slices.SortFunc(q.apps, func(a, b directory.Application) int { return strings.Compare(a.ID, b.ID) })
	q.narrowDown()
	return q, nil
}

// narrowDown copies comparisons of the filter into the store's query, as far as the store can make
// them.
func (q *logQuery) narrowDown() {
	all, whole := q.filter.conditions()
	q.isExact = whole
	for _, f := range all {
		q.isExact = q.narrowBy(f) && q.isExact
	}
}

// narrowBy copies one comparison into the store's query, if the store can make it. It reports
// whether the store then selects exactly the entries for which the comparison is true.
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
			return false // the filter requires two different values, so nothing can match; the filter itself finds this out
		}
		*field = text
		return true
	}
	switch f.path {
	case "id":
		set(&q.id)
	case "sourceidentity/id":
		set(&q.storeQuery.ObjectID)
	case "cycleid":
		return set(&q.storeQuery.Cycle)
	case "provisioningaction", "action":
		return set((*string)(&q.storeQuery.Action))
	case "provisioningstatusinfo/status", "statusinfo/status":
		return set((*string)(&q.storeQuery.Status))
	case "serviceprincipal/id", "serviceprincipal/displayname", "jobid":
		q.apps = slices.DeleteFunc(q.apps, func(a directory.Application) bool {
			return !slices.Contains([]string{a.ID, a.Name, jobID(q.c.Handle, a)}, text)
		})
	}
	return false
}

// narrowByTime is narrowBy for a comparison with the time of entries. Times are stored in
// microseconds.
func (q *logQuery) narrowByTime(op string, at time.Time) bool {
	at = at.Truncate(time.Microsecond)
	from, until := q.storeQuery.From, q.storeQuery.Until
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
	if from.After(q.storeQuery.From) {
		q.storeQuery.From = from
	}
	if q.storeQuery.Until.IsZero() || until.Before(q.storeQuery.Until) {
		q.storeQuery.Until = until
	}
	return true
}

// logStream reads the log of one application, one page of the store at a time.
type logStream struct {
	app     directory.Application
	key     provision.Key
	query   provision.LogQuery
	entries []provision.LogEntry // the entries that were read and not yet taken
	atEnd   bool                 // whether the store has no further entries
}

// openStreams returns a stream for the log of each application. Each stream begins where the page
// begins.
func (q *logQuery) openStreams() (all []*logStream) {
	for _, a := range q.apps {
		s := &logStream{app: a, key: jobKey(q.c.Handle, a), query: q.storeQuery}
		s.query.Limit = logChunk
		if q.start != nil {
			s.query.Before = q.start.cursorOf(a.ID, q.storeQuery.OldestFirst)
		}
		all = append(all, s)
	}
	return all
}

// cursorOf returns the cursor with which the log of an application continues after the place.
func (p logPlace) cursorOf(app string, oldestFirst bool) string {
	at := time.UnixMicro(p.Micros)
	passed := strings.Compare(app, p.App) < 0 // whether the application's entries with the time of the place come before the place
	switch {
	case app == p.App:
		return provision.LogCursor(at, p.ID)
	case passed == oldestFirst:
		return provision.LogCursor(at.Add(time.Microsecond), "")
	default:
		return provision.LogCursor(at, "")
	}
}

// peekEntry returns the next entry of the stream without removing it, or nil at the end.
func (s *logStream) peekEntry(c *call) (*provision.LogEntry, error) {
	if len(s.entries) == 0 && !s.atEnd {
		page, next, err := c.h.Jobs.Logs(c.r.Context(), s.key, s.query)
		if err != nil {
			return nil, err
		}
		s.entries, s.query.Before, s.atEnd = page, next, next == ""
	}
	if len(s.entries) == 0 {
		return nil, nil
	}
	return &s.entries[0], nil
}

// readPage returns the entries of the page. end is the place where the page ends; it is nil if
// there are no further entries.
func (q *logQuery) readPage() (found []appEntry, end *logPlace, err error) {
	if q.id != "" {
		found, err = q.entryByID()
		return found, nil, err
	}
	streams := q.openStreams()
	for seen := 0; ; seen++ {
		var first *logStream
		var entry *provision.LogEntry
		for _, s := range streams {
			e, err := s.peekEntry(q.c)
			if err != nil {
				return nil, nil, err
			}
			if e != nil && (entry == nil || e.ActivityTime.After(entry.ActivityTime) != q.storeQuery.OldestFirst && !e.ActivityTime.Equal(entry.ActivityTime)) {
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
		if q.filter.matches(q.c.filterValues(one)) {
			found = append(found, one)
		}
	}
}

// entryByID returns the entry with the id that the filter requires, if this entry matches the whole
// filter.
func (q *logQuery) entryByID() (found []appEntry, err error) {
	for _, a := range q.apps {
		e, err := q.c.h.Jobs.Log(q.c.r.Context(), jobKey(q.c.Handle, a), q.id)
		if errors.Is(err, provision.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if one := (appEntry{e, a}); q.filter.matches(q.c.filterValues(one)) {
			found = append(found, one)
		}
	}
	return found, nil
}

// countEntries counts the entries of all pages that match the filter. It returns an error if it
// would have to read more than maxLogCount entries.
func (q *logQuery) countEntries() (n int, err error) {
	if q.isExact {
		for _, a := range q.apps {
			one, err := q.c.h.Jobs.CountLogs(q.c.r.Context(), jobKey(q.c.Handle, a), q.storeQuery)
			if err != nil {
				return 0, err
			}
			n += one
		}
		return n, nil
	}
	all := *q
	all.start, all.top = nil, logChunk
	for seen := 0; ; {
		found, end, err := all.readPage()
		if err != nil {
			return 0, err
		}
		if n += len(found); end == nil {
			return n, nil
		}
		if seen += maxLogScan; seen > maxLogCount {
			return 0, refuse(400, codeUnsupported, "$count would look at more than %d entries. Narrow the filter by activityDateTime, or leave $count out.", maxLogCount)
		}
		all.start = end
	}
}

// listLogs answers with a page of the provisioning logs of all the directory's applications.
func (c *call) listLogs() error {
	q, err := c.readLogQuery()
	if err != nil {
		return err
	}
	out := collection[logEntry]{Context: c.odataContext("auditLogs/provisioning"), Value: []logEntry{}}
	if strings.EqualFold(c.r.URL.Query().Get("$count"), "true") {
		n, err := q.countEntries()
		if err != nil {
			return err
		}
		out.Count = &n
	}
	found, end, err := q.readPage()
	if err != nil {
		return err
	}
	for _, l := range found {
		out.Value = append(out.Value, c.renderEntry(l))
	}
	if end != nil {
		values := c.r.URL.Query()
		values.Set("$skiptoken", end.String())
		out.Next = c.rootURL() + "/auditLogs/provisioning?" + encodeQuery(values)
	}
	return c.answerOK(out)
}

// encodeQuery returns a query in Graph's form, in which the $ of option names is not escaped.
func encodeQuery(q url.Values) string { return strings.ReplaceAll(q.Encode(), "%24", "$") }

// logEntry is Graph's provisioningObjectSummary.
type logEntry struct {
	ID                 string                       `json:"id"`
	ActivityDateTime   string                       `json:"activityDateTime"`
	TenantID           string                       `json:"tenantId"`
	JobID              string                       `json:"jobId"`
	CycleID            string                       `json:"cycleId"`
	ChangeID           string                       `json:"changeId"`
	BetaAction         string                       `json:"action,omitempty"` // only in beta
	ProvisioningAction string                       `json:"provisioningAction"`
	DurationMillis     int64                        `json:"durationInMilliseconds"`
	ServicePrincipal   namedObject                  `json:"servicePrincipal"`
	SourceSystem       loggedSystem                 `json:"sourceSystem"`
	TargetSystem       loggedSystem                 `json:"targetSystem"`
	InitiatedBy        initiator                    `json:"initiatedBy"`
	SourceIdentity     loggedIdentity               `json:"sourceIdentity"`
	TargetIdentity     loggedIdentity               `json:"targetIdentity"`
	StatusInfo         loggedStatus                 `json:"provisioningStatusInfo"`
	BetaStatusInfo     *loggedStatus                `json:"statusInfo,omitempty"` // only in beta
	ProvisioningSteps  []loggedStep                 `json:"provisioningSteps"`
	ModifiedProperties []provision.ModifiedProperty `json:"modifiedProperties"`
}

// namedObject is a reference to an object in an entry of the log.
type namedObject struct {
	ID   string `json:"id"`
	Name string `json:"displayName"`
}

// loggedSystem is the source or the target in an entry of the log.
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
	ID           string            `json:"id"`
	Name         string            `json:"displayName"`
	IdentityType string            `json:"identityType"`
	Details      map[string]string `json:"details"`
}

type loggedStatus struct {
	Status string       `json:"status"`
	Error  *loggedError `json:"errorInformation"`
}

type loggedError struct {
	ErrorCode         string  `json:"errorCode"`
	Reason            *string `json:"reason"`
	AdditionalDetails *string `json:"additionalDetails"`
	ErrorCategory     string  `json:"errorCategory"`
	RecommendedAction *string `json:"recommendedAction"`
}

type loggedStep struct {
	Name        string             `json:"name"`
	Type        provision.StepType `json:"provisioningStepType"`
	Status      provision.Result   `json:"status"`
	Description string             `json:"description"`
	Details     map[string]string  `json:"details"`
}

// renderEntry returns a log entry in Graph's form.
func (c *call) renderEntry(l appEntry) logEntry {
	e := l.LogEntry
	of := map[string]string{"ApplicationId": l.app.ID, "ServicePrincipalId": l.app.ID, "ServicePrincipalDisplayName": l.app.Name}
	out := logEntry{
		ID: e.ID, ActivityDateTime: formatTime(e.ActivityTime), TenantID: string(c.Directory.ID), JobID: jobID(c.Handle, l.app), CycleID: e.CycleID, ChangeID: e.ChangeID,
		ProvisioningAction: string(e.Action), DurationMillis: e.DurationMillis, ServicePrincipal: namedObject{l.app.ID, l.app.Name},
		SourceSystem: loggedSystem{e.SourceSystem.ID, e.SourceSystem.DisplayName, map[string]string{}}, TargetSystem: loggedSystem{e.TargetSystem.ID, e.TargetSystem.DisplayName, of},
		InitiatedBy:    initiator{Name: e.InitiatorName, Type: "system"},
		SourceIdentity: identityOf(e.SourceIdentity), TargetIdentity: identityOf(e.TargetIdentity), StatusInfo: statusOfEntry(e.Status),
		ProvisioningSteps: []loggedStep{}, ModifiedProperties: e.Modified,
	}
	for _, s := range e.Steps {
		out.ProvisioningSteps = append(out.ProvisioningSteps, loggedStep{s.Name, s.Type, s.Status, s.Description, notNil(s.Details)})
	}
	if out.ModifiedProperties == nil {
		out.ModifiedProperties = []provision.ModifiedProperty{}
	}
	if c.version == "beta" {
		out.BetaAction, out.BetaStatusInfo = out.ProvisioningAction, &out.StatusInfo
	}
	return out
}

func identityOf(i provision.Identity) loggedIdentity {
	return loggedIdentity{i.ID, i.DisplayName, i.Type, notNil(i.Details)}
}

func statusOfEntry(s provision.StatusInfo) loggedStatus {
	out := loggedStatus{Status: string(s.Status)}
	if s.Code != "" {
		out.Error = &loggedError{ErrorCode: s.Code, Reason: nullIfEmpty(s.Reason), AdditionalDetails: nullIfEmpty(s.AdditionalDetails), ErrorCategory: firstNonEmpty(s.Category, "failure"), RecommendedAction: nullIfEmpty(s.RecommendedAction)}
	}
	return out
}

// notNil returns the map, or an empty map instead of nil, because Graph sends {} and not null.
func notNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
