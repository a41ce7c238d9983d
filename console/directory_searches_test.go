package console_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/provision"
)

// TestProvisioningPage_tells_what_the_application_cannot_do tests against an application that
// answers every search by an attribute other than userName with its first account.
func TestProvisioningPage_tells_what_the_application_cannot_do(t *testing.T) {
	t.Parallel()
	o, key, _ := provisioned(t)
	root := map[string]any{"id": "1", "userName": "root"}
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found := []any{}
		if !strings.HasPrefix(r.URL.Query().Get("filter"), "userName ") {
			found = append(found, root)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"totalResults": len(found), "Resources": found})
	}))
	t.Cleanup(target.Close)
	schema := o.job(key).Schema.Clone()
	m, err := schema.UserMapping()
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.AttributeMappings {
		if m.AttributeMappings[i].TargetAttributeName == "externalId" {
			m.AttributeMappings[i].MatchingPriority = 2
		}
	}
	if _, err := o.jobs.ImportSchema(t.Context(), key, schema, unasked, "cli"); err != nil {
		t.Fatal(err)
	}
	page := o.operator().get(acmeProvisioning)
	tested := page.press("Test Connection", url.Values{"tenantURL": {target.URL}, "secretToken": {"x"}}).wantStatus(http.StatusOK)
	tested.wantWords("The supplied credentials are authorized to enable provisioning", "The application ignores filters by externalId", "Nobody is matched by externalId", "match by another attribute that the application can search by", "clear the one of externalId")
	saved := tested.press("Save", nil).wantStatus(http.StatusOK)
	saved.wantWords("The application ignores filters by externalId", "Account gone")
	if s := o.job(key).Searches; s == nil || len(s.All) != 2 || !s.All[0].Proved || s.All[1].Proved {
		t.Errorf("remembered %+v", s)
	}
	m.Scope = &provision.Filter{Groups: []provision.FilterGroup{{Name: "Staff", Clauses: []provision.FilterClause{{SourceOperandName: "IsSoftDeleted", OperatorName: "IS FALSE"}}}}}
	if _, err := o.jobs.ImportSchema(t.Context(), key, schema, unasked, "cli"); err == nil {
		t.Error("a scoping filter on IsSoftDeleted was saved")
	}
}

// unasked lets mappings replace those of a job without a question.
func unasked(_, _ provision.Job) (int, error) { return 0, nil }
