package graphapi

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/provision"
)

// maxDemandedMembers is how many members of a group one request to provision on demand may name, as
// in Graph.
const maxDemandedMembers = 5

// randomSource returns the source of random values for the evaluation of an expression on a test
// object.
func randomSource() io.Reader { return rand.Reader }

// subject is the user or group that a request to provision on demand names.
type subject struct {
	ObjectID       string `json:"objectId"`
	ObjectTypeName string `json:"objectTypeName"`
	Links          *struct {
		Members []subject `json:"members"`
	} `json:"links"`
}

// keyedValue is Graph's stringKeyStringValuePair, the answer to provisioning on demand. Key and
// Value are strings that contain JSON: a demandOutcome and a demandRecord.
type keyedValue struct {
	Context string `json:"@odata.context"`
	Key     string `json:"key"`
	Value   string `json:"value"`
}

// demandOutcome is the JSON document in keyedValue.Key. It says in one word whether provisioning on
// demand succeeded.
type demandOutcome struct {
	Result  string         `json:"result"` // Success, Skipped or Failure
	Details map[string]any `json:"details"`
}

// demandRecord is the JSON document in keyedValue.Value. It is a log entry in the form that Graph
// uses for provisioning on demand. The types below are parts of it.
type demandRecord struct {
	Action               string                       `json:"action"`
	ChangeID             string                       `json:"changeId"`
	EndTime              string                       `json:"endTime"`
	ModifiedProperties   []provision.ModifiedProperty `json:"modifiedProperties"`
	Steps                []demandStep                 `json:"provisioningSteps"`
	ReportableIdentifier string                       `json:"reportableIdentifier"`
	SourceIdentity       demandIdentity               `json:"sourceIdentity"`
	SourceSystem         demandSystem                 `json:"sourceSystem"`
	StartTime            string                       `json:"startTime"`
	StatusInfo           demandStatus                 `json:"statusInfo"`
	TargetIdentity       demandIdentity               `json:"targetIdentity"`
	TargetSystem         demandSystem                 `json:"targetSystem"`
	Memberships          []demandRecord               `json:"memberships,omitempty"` // further records about the same object, such as one for each membership; Graph does not have this member
}

// demandStep is one step of provisioning, such as the search for an account.
type demandStep struct {
	Name        string            `json:"name"`
	Type        string            `json:"type"`
	Status      string            `json:"status"`
	Description string            `json:"description"`
	Timestamp   string            `json:"timestamp"`
	Details     map[string]string `json:"details"`
}

// demandIdentity identifies the object in the directory, or its account at the application.
type demandIdentity struct {
	ID          *string           `json:"id"`
	Type        string            `json:"type"`
	DisplayName *string           `json:"displayName"`
	Details     map[string]string `json:"details"`
}

// demandSystem identifies the directory or the application.
type demandSystem struct {
	ID      *string           `json:"id"`
	Name    string            `json:"name"`
	Details map[string]string `json:"details"`
}

// demandStatus is the result of provisioning, with the error if there was one.
type demandStatus struct {
	Status            string  `json:"status"`
	ErrorCode         *string `json:"errorCode"`
	Reason            *string `json:"reason"`
	AdditionalDetails *string `json:"additionalDetails"`
	ErrorCategory     *string `json:"errorCategory"`
	RecommendedAction *string `json:"recommendedAction"`
}

// provisionOnDemand provisions one user, or one group with at most five of its members, without
// waiting for the next cycle.
func (c *call) provisionOnDemand() error {
	var body struct {
		Parameters []struct {
			RuleID   string    `json:"ruleId"`
			Subjects []subject `json:"subjects"`
		} `json:"parameters"`
	}
	if err := c.readJSON(&body, false); err != nil {
		return err
	}
	if len(body.Parameters) != 1 || len(body.Parameters[0].Subjects) != 1 {
		return invalid("parameters has one entry with one subject: a user, or a group with at most %d members.", maxDemandedMembers)
	}
	p := body.Parameters[0]
	if err := c.checkRule(p.RuleID); err != nil {
		return err
	}
	one := p.Subjects[0]
	members, err := one.members()
	if err != nil {
		return err
	}
	now := c.h.Now()
	source := string(c.Directory.ID)
	if wait := c.h.limits.demands.Wait(source, now); wait > 0 {
		return tooManyRequests(wait, "A directory takes five requests to provision on demand in ten seconds.")
	}
	c.h.limits.demands.Count(source, now)
	var results []provision.DemandResult
	if strings.EqualFold(one.ObjectTypeName, "Group") {
		results, err = c.h.Engine.OnDemandGroup(c.r.Context(), c.key(), c.h.Owner, c.actor(), one.ObjectID, members)
	} else {
		results, err = c.h.Engine.OnDemand(c.r.Context(), c.key(), c.h.Owner, c.actor(), []string{one.ObjectID})
	}
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.ObjectID == one.ObjectID {
			return c.answerDemand(one, r)
		}
	}
	return notFound("The object '%s' was not found.", toPrintable(one.ObjectID))
}

// checkRule returns an error if the job's schema has no synchronization rule with this id.
func (c *call) checkRule(id string) error {
	if id == "" {
		return refuse(http.StatusBadRequest, codeMissing, "ruleId is missing: the id of a synchronizationRule of the schema.")
	}
	for _, r := range c.job.Schema.SynchronizationRules {
		if strings.EqualFold(r.ID, id) {
			return nil
		}
	}
	return invalid("The schema has no synchronization rule '%s'.", toPrintable(id))
}

// members returns the ids of the members that a request for a group names. It returns an error if
// the request for the subject is not valid.
func (s subject) members() (ids []string, err error) {
	group := strings.EqualFold(s.ObjectTypeName, "Group")
	switch {
	case s.ObjectID == "":
		return nil, refuse(http.StatusBadRequest, codeMissing, "objectId is missing.")
	case !group && !strings.EqualFold(s.ObjectTypeName, "User"):
		return nil, invalid("objectTypeName is User or Group, not '%s'.", toPrintable(s.ObjectTypeName))
	case s.Links == nil:
		return []string{}, nil
	case !group:
		return nil, invalid("links belong to a group.")
	case len(s.Links.Members) > maxDemandedMembers:
		return nil, invalid("links has %d members. A request takes at most %d.", len(s.Links.Members), maxDemandedMembers)
	}
	ids = []string{}
	for _, m := range s.Links.Members {
		if m.ObjectID == "" || !strings.EqualFold(m.ObjectTypeName, "User") {
			return nil, invalid("A member in links has an objectId and the objectTypeName User.")
		}
		ids = append(ids, m.ObjectID)
	}
	return ids, nil
}

// answerDemand answers with the result of provisioning on demand. If the object cannot be
// provisioned now, the record says that it was skipped, and why.
func (c *call) answerDemand(s subject, r provision.DemandResult) error {
	outcome := demandOutcome{Result: "Success", Details: map[string]any{}}
	record := demandRecord{Action: "Other", ModifiedProperties: []provision.ModifiedProperty{}, Steps: []demandStep{}, ReportableIdentifier: r.Name, StatusInfo: demandStatus{Status: "Success"}}
	if len(r.Entries) > 0 {
		record = demandRecordOf(r.Entries[0])
		for _, e := range r.Entries[1:] {
			record.Memberships = append(record.Memberships, demandRecordOf(e))
		}
		outcome.Result = record.StatusInfo.Status
	}
	if r.Waits != "" {
		code := "Waiting"
		record.StatusInfo = demandStatus{Status: "Skipped", ErrorCode: &code, Reason: nullIfEmpty(r.Waits)}
		outcome.Result = "Skipped"
	}
	if record.StatusInfo.ErrorCode != nil {
		outcome.Details["errorCode"], outcome.Details["errorMessage"] = *record.StatusInfo.ErrorCode, record.StatusInfo.Reason
	}
	key, err := json.Marshal(outcome)
	if err != nil {
		return err
	}
	value, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return c.answerOK(keyedValue{Context: c.odataContext("microsoft.graph.stringKeyStringValuePair"), Key: string(key), Value: string(value)})
}

// demandRecordOf returns a log entry as a demandRecord.
func demandRecordOf(e provision.LogEntry) demandRecord {
	began := formatTime(e.ActivityTime)
	r := demandRecord{
		Action: capitalize(string(e.Action)), ChangeID: e.ChangeID, StartTime: began, EndTime: began, ModifiedProperties: e.Modified, Steps: []demandStep{},
		ReportableIdentifier: firstNonEmpty(e.SourceIdentity.Details["userPrincipalName"], e.SourceIdentity.DisplayName),
		SourceIdentity:       demandIdentityOf(e.SourceIdentity), TargetIdentity: demandIdentityOf(e.TargetIdentity),
		SourceSystem: demandSystem{nullIfEmpty(e.SourceSystem.ID), e.SourceSystem.DisplayName, nil}, TargetSystem: demandSystem{nullIfEmpty(e.TargetSystem.ID), e.TargetSystem.DisplayName, nil},
		StatusInfo: demandStatus{capitalize(string(e.Status.Status)), nullIfEmpty(e.Status.Code), nullIfEmpty(e.Status.Reason), nullIfEmpty(e.Status.AdditionalDetails), nullIfEmpty(e.Status.Category), nullIfEmpty(e.Status.RecommendedAction)},
	}
	if r.ModifiedProperties == nil {
		r.ModifiedProperties = []provision.ModifiedProperty{}
	}
	for _, s := range e.Steps {
		r.Steps = append(r.Steps, demandStep{s.Name, capitalize(string(s.Type)), capitalize(string(s.Status)), s.Description, began, notNil(s.Details)})
	}
	return r
}

// demandIdentityOf returns an identity of a log entry as a demandIdentity.
func demandIdentityOf(i provision.Identity) demandIdentity {
	return demandIdentity{nullIfEmpty(i.ID), i.Type, nullIfEmpty(i.DisplayName), i.Details}
}

// capitalize returns a word with a capital first letter. Graph writes words so in the answer to
// provisioning on demand, but not in the logs.
func capitalize(word string) string {
	if word == "" {
		return ""
	}
	return strings.ToUpper(word[:1]) + word[1:]
}
