package graphapi

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/provision"
)

// maxDemandedMembers is how many members of a group one request may name, as in Graph.
const maxDemandedMembers = 5

// random returns the source of random values for the test of an expression.
func random() io.Reader { return rand.Reader }

// subject is one object of a request to provision on demand.
type subject struct {
	ObjectID string `json:"objectId"`
	Kind     string `json:"objectTypeName"`
	Links    *struct {
		Members []subject `json:"members"`
	} `json:"links"`
}

// keyedValue is Graph's stringKeyStringValuePair. Both parts are strings that contain JSON.
type keyedValue struct {
	Context string `json:"@odata.context"`
	Key     string `json:"key"`
	Value   string `json:"value"`
}

// demandOutcome is the JSON in the answer's key.
type demandOutcome struct {
	Result  string         `json:"result"` // Success, Skipped or Failure
	Details map[string]any `json:"details"`
}

// demandRecord is the JSON in the answer's value.
type demandRecord struct {
	Action      string                       `json:"action"`
	ChangeID    string                       `json:"changeId"`
	Ended       string                       `json:"endTime"`
	Properties  []provision.ModifiedProperty `json:"modifiedProperties"`
	Steps       []demandStep                 `json:"provisioningSteps"`
	Identifier  string                       `json:"reportableIdentifier"`
	SourceID    demandIdentity               `json:"sourceIdentity"`
	Source      demandSystem                 `json:"sourceSystem"`
	Started     string                       `json:"startTime"`
	Status      demandStatus                 `json:"statusInfo"`
	TargetID    demandIdentity               `json:"targetIdentity"`
	Target      demandSystem                 `json:"targetSystem"`
	Memberships []demandRecord               `json:"memberships,omitempty"` // other records of the object; not in Graph
}

type demandStep struct {
	Name        string            `json:"name"`
	Type        string            `json:"type"`
	Status      string            `json:"status"`
	Description string            `json:"description"`
	Timestamp   string            `json:"timestamp"`
	Details     map[string]string `json:"details"`
}

type demandIdentity struct {
	ID      *string           `json:"id"`
	Type    string            `json:"type"`
	Name    *string           `json:"displayName"`
	Details map[string]string `json:"details"`
}

type demandSystem struct {
	ID      *string           `json:"id"`
	Name    string            `json:"name"`
	Details map[string]string `json:"details"`
}

type demandStatus struct {
	Status   string  `json:"status"`
	Code     *string `json:"errorCode"`
	Reason   *string `json:"reason"`
	Details  *string `json:"additionalDetails"`
	Category *string `json:"errorCategory"`
	Action   *string `json:"recommendedAction"`
}

// provisionOnDemand provisions one person, or one group with at most five of its members, at once.
func (c *call) provisionOnDemand() error {
	var body struct {
		Parameters []struct {
			RuleID   string    `json:"ruleId"`
			Subjects []subject `json:"subjects"`
		} `json:"parameters"`
	}
	if err := c.read(&body, false); err != nil {
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
	if strings.EqualFold(one.Kind, "Group") {
		results, err = c.h.Engine.OnDemandGroup(c.r.Context(), c.key(), c.h.Owner, c.actor(), one.ObjectID, members)
	} else {
		results, err = c.h.Engine.OnDemand(c.r.Context(), c.key(), c.h.Owner, c.actor(), []string{one.ObjectID})
	}
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.ObjectID == one.ObjectID {
			return c.showDemanded(one, r)
		}
	}
	return notFound("The object '%s' was not found.", printable(one.ObjectID))
}

// checkRule refuses the id of a rule that the job's schema does not have.
func (c *call) checkRule(id string) error {
	if id == "" {
		return refuse(http.StatusBadRequest, codeMissing, "ruleId is missing: the id of a synchronizationRule of the schema.")
	}
	for _, r := range c.job.Schema.SynchronizationRules {
		if strings.EqualFold(r.ID, id) {
			return nil
		}
	}
	return invalid("The schema has no synchronization rule '%s'.", printable(id))
}

// members returns the ids of the members that a request names. It refuses a subject that is neither
// a user nor a group.
func (s subject) members() (ids []string, err error) {
	group := strings.EqualFold(s.Kind, "Group")
	switch {
	case s.ObjectID == "":
		return nil, refuse(http.StatusBadRequest, codeMissing, "objectId is missing.")
	case !group && !strings.EqualFold(s.Kind, "User"):
		return nil, invalid("objectTypeName is User or Group, not '%s'.", printable(s.Kind))
	case s.Links == nil:
		return []string{}, nil
	case !group:
		return nil, invalid("links belong to a group.")
	case len(s.Links.Members) > maxDemandedMembers:
		return nil, invalid("links has %d members. A request takes at most %d.", len(s.Links.Members), maxDemandedMembers)
	}
	ids = []string{}
	for _, m := range s.Links.Members {
		if m.ObjectID == "" || !strings.EqualFold(m.Kind, "User") {
			return nil, invalid("A member in links has an objectId and the objectTypeName User.")
		}
		ids = append(ids, m.ObjectID)
	}
	return ids, nil
}

// showDemanded answers with the record of the object. Work that has to wait is shown as a skip with
// a reason.
func (c *call) showDemanded(s subject, r provision.DemandResult) error {
	outcome := demandOutcome{Result: "Success", Details: map[string]any{}}
	record := demandRecord{Action: "Other", Properties: []provision.ModifiedProperty{}, Steps: []demandStep{}, Identifier: r.Name, Status: demandStatus{Status: "Success"}}
	if len(r.Entries) > 0 {
		record = demandRecordOf(r.Entries[0])
		for _, e := range r.Entries[1:] {
			record.Memberships = append(record.Memberships, demandRecordOf(e))
		}
		outcome.Result = record.Status.Status
	}
	if r.Waits != "" {
		code := "Waiting"
		record.Status = demandStatus{Status: "Skipped", Code: &code, Reason: orNull(r.Waits)}
		outcome.Result = "Skipped"
	}
	if record.Status.Code != nil {
		outcome.Details["errorCode"], outcome.Details["errorMessage"] = *record.Status.Code, record.Status.Reason
	}
	key, err := json.Marshal(outcome)
	if err != nil {
		return err
	}
	value, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return c.ok(keyedValue{Context: c.context("microsoft.graph.stringKeyStringValuePair"), Key: string(key), Value: string(value)})
}

// demandRecordOf converts a log entry to the form of this answer.
func demandRecordOf(e provision.LogEntry) demandRecord {
	began := formatTime(e.ActivityTime)
	r := demandRecord{
		Action: capitalized(string(e.Action)), ChangeID: e.ChangeID, Started: began, Ended: began, Properties: e.Modified, Steps: []demandStep{},
		Identifier: firstNonEmpty(e.SourceIdentity.Details["userPrincipalName"], e.SourceIdentity.DisplayName),
		SourceID:   demandIdentityOf(e.SourceIdentity), TargetID: demandIdentityOf(e.TargetIdentity),
		Source: demandSystem{orNull(e.SourceSystem.ID), e.SourceSystem.DisplayName, nil}, Target: demandSystem{orNull(e.TargetSystem.ID), e.TargetSystem.DisplayName, nil},
		Status: demandStatus{capitalized(string(e.Status.Status)), orNull(e.Status.Code), orNull(e.Status.Reason), orNull(e.Status.AdditionalDetails), orNull(e.Status.Category), orNull(e.Status.RecommendedAction)},
	}
	if r.Properties == nil {
		r.Properties = []provision.ModifiedProperty{}
	}
	for _, s := range e.Steps {
		r.Steps = append(r.Steps, demandStep{s.Name, capitalized(string(s.Type)), capitalized(string(s.Status)), s.Description, began, notNil(s.Details)})
	}
	return r
}

func demandIdentityOf(i provision.Identity) demandIdentity {
	return demandIdentity{orNull(i.ID), i.Type, orNull(i.DisplayName), i.Details}
}

// capitalized capitalizes a word, as this answer needs it. The logs do not.
func capitalized(word string) string {
	if word == "" {
		return ""
	}
	return strings.ToUpper(word[:1]) + word[1:]
}
