package provision_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/provision"
)

// scoped is the job's schema with one scoping clause.
func scoped(t *testing.T, w *world, attribute, operator string, values ...string) *provision.Schema {
	t.Helper()
	schema := w.report().Job.Schema.Clone()
	m, err := schema.UserMapping()
	if err != nil {
		t.Fatal(err)
	}
	m.Scope = &provision.Filter{Groups: []provision.FilterGroup{{Name: "Everybody here", Clauses: []provision.FilterClause{
		{SourceOperandName: attribute, OperatorName: operator, TargetOperand: provision.FilterOperand{Values: values}},
	}}}}
	return schema
}

func TestScopingFiltersThatWouldDisableEveryone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		attribute, operator string
		values              []string
		words               string // words of the refusal; "" if the filter is saved
	}{
		{"IsSoftDeleted", "IS FALSE", nil, "users who are deleted, blocked or unassigned are disabled without it"},
		{"IsSoftDeleted", "EQUALS", []string{"False"}, "cannot use IsSoftDeleted"},
		{"IsSoftDeleted", "NOT EQUALS", []string{"True"}, "cannot use IsSoftDeleted"},
		{"IsSoftDeleted", "IS NOT NULL", nil, "cannot use IsSoftDeleted"},
		{"employeeHireDate", "IS NOT NULL", nil, "have no attribute employeeHireDate"},
		{"dirSyncEnabled", "IS FALSE", nil, "have no attribute dirSyncEnabled"},
		{"onPremisesSecurityIdentifier", "NOT EQUALS", []string{"S-1-5-21-1"}, "have no attribute onPremisesSecurityIdentifier"},
		{"accountEnabled", "IS FALSE", nil, "Write accountEnabled IS TRUE"},
		{"accountEnabled", "EQUALS", []string{"true"}, "Write accountEnabled IS TRUE"},
		{"accountEnabled", "NOT EQUALS", []string{"True"}, "Write accountEnabled IS TRUE"},
		{"accountEnabled", "IS NULL", nil, "every user has a value of accountEnabled"},
		{"userPrincipalName", "IS NULL", nil, "every user has a value of userPrincipalName"},
		{"objectId", "is_null", nil, "every user has a value of objectId"},
		{"proxyAddresses", "EQUALS", []string{"smtp:ada@contoso.com"}, "has several values"},
		{"manager", "EQUALS", []string{"boss@contoso.com"}, "refers to another user"},
		{"city", "EQUALS", []string{""}, "Write city IS NULL"},
		{"accountEnabled", "IS TRUE", nil, ""},
		{"accountEnabled", "EQUALS", []string{"True"}, ""},
		{"city", "IS NULL", nil, ""},
		{"manager", "IS NOT NULL", nil, ""},
		{"originalUserPrincipalName", "ENDS_WITH", []string{"@contoso.com"}, ""},
		{"extensionAttribute15", "EQUALS", []string{"", "x"}, ""},
	} {
		_, err := w.jobs.SetSchema(t.Context(), w.key, scoped(t, w, tt.attribute, tt.operator, tt.values...), "cli")
		var input *provision.InputError
		switch {
		case tt.words == "" && err != nil:
			t.Errorf("%s %s %q was refused: %v", tt.attribute, tt.operator, tt.values, err)
		case tt.words != "" && (!errors.As(err, &input) || !strings.Contains(err.Error(), tt.words) || !strings.Contains(err.Error(), `"Everybody here"`)):
			t.Errorf("%s %s %q: got %v, want words about %q", tt.attribute, tt.operator, tt.values, err, tt.words)
		}
	}
}

func TestAStoredScopingFilterThatWouldDisableEveryoneDoesNotRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	w.cycle()
	job := w.report().Job
	job.Schema = scoped(t, w, "IsSoftDeleted", "IS FALSE") // an earlier version saved the mapping without refusing it
	job.Version++
	job.LookAtAll++
	if err := w.store.UpdateJob(t.Context(), job, eventOf(w.key)); err != nil {
		t.Fatal(err)
	}
	w.app.asked()
	_, entries, err := w.tryCycle()
	var te *provision.TargetError
	if !errors.As(err, &te) || te.Code != "InvalidSchema" || !strings.Contains(te.Words(), "cannot use IsSoftDeleted") || len(entries) != 0 {
		t.Errorf("got %v and %v", err, entries)
	}
	if got := w.app.asked(); len(got) != 0 || !isActive(t, w, "ada@contoso.com") {
		t.Errorf("the application was asked %v; active: %v", got, isActive(t, w, "ada@contoso.com"))
	}
	if _, err := w.engine.Plan(t.Context(), w.key, func(provision.PlannedObject) error { return nil }); err == nil || !strings.Contains(err.Error(), "IsSoftDeleted") {
		t.Errorf("the plan says %v", err)
	}
	if _, err := w.jobs.TestConnection(t.Context(), w.key, job.TenantURL, nil); err == nil || !strings.Contains(err.Error(), "IsSoftDeleted") {
		t.Errorf("Test Connection says %v", err)
	}
	if _, err := w.jobs.Start(t.Context(), w.key, "cli"); err == nil || !strings.Contains(err.Error(), "IsSoftDeleted") {
		t.Errorf("Start says %v", err)
	}
	if _, err := w.jobs.Pause(t.Context(), w.key, "cli"); err != nil {
		t.Errorf("the job cannot be paused: %v", err)
	}
	update := provision.FlowUpdate
	if _, err := w.jobs.SetMapping(t.Context(), w.key, userRows, provision.MappingEdit{Actions: &update}, "cli"); err == nil || !strings.Contains(err.Error(), "IsSoftDeleted") {
		t.Errorf("saving the mapping says %v", err)
	}
	if _, err := w.jobs.RestoreDefaultMappings(t.Context(), w.key, provision.AnyRevision, 0, "cli"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.jobs.Start(t.Context(), w.key, "cli"); err != nil {
		t.Fatal(err)
	}
	w.slice() // a corrected mapping is tried at once
	if r := w.report(); r.State.Quarantine != nil || r.State.Last.State != provision.Succeeded || !isActive(t, w, "ada@contoso.com") {
		t.Errorf("after the correction: %+v", r.State)
	}
}
