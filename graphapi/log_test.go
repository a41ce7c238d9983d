package graphapi_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store"
)

// TestProvisionOnDemandAsDocumented provisions a user and a group with members, and reads both parts
// of the answer, which are JSON in strings.
func TestProvisionOnDemandAsDocumented(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ada, bo := w.person("ada@contoso.example"), w.person("bo@contoso.example")
			cy := w.person("cy@contoso.example")
			w.setUp(version)
			job := w.s() + "/jobs/" + w.jobID()
			rule, _ := w.send("GET", version, job+"/schema", "").get("synchronizationRules", 0, "id").(string)
			demand := func(subject string) (answer, map[string]any, map[string]any) {
				t.Helper()
				w.pass(10 * time.Second)
				got := w.send("POST", version, job+"/provisionOnDemand", `{"parameters": [{"ruleId": "`+rule+`", "subjects": [`+subject+`]}]}`)
				var key, value map[string]any
				if got.Status == http.StatusOK {
					w.must(json.Unmarshal([]byte(got.get("key").(string)), &key))
					w.must(json.Unmarshal([]byte(got.get("value").(string)), &value))
				}
				return got, key, value
			}
			got, key, value := demand(`{"objectId": "` + ada + `", "objectTypeName": "User"}`)
			got.want(http.StatusOK)
			if diff := cmp.Diff(key, map[string]any{"result": "Success", "details": map[string]any{}}); diff != "" {
				t.Errorf("%s: %s", diff, got.Text)
			}
			for name, want := range map[string]any{"action": "Create", "reportableIdentifier": "ada@contoso.example"} {
				if value[name] != want {
					t.Errorf("%s: got %v, want %v", name, value[name], want)
				}
			}
			if at(value, "sourceIdentity", "id") != ada || at(value, "sourceIdentity", "type") != "User" || at(value, "statusInfo", "status") != "Success" || at(value, "targetIdentity", "id") == nil {
				t.Errorf("got %v", value)
			}
			var steps []string
			for _, s := range value["provisioningSteps"].([]any) {
				steps = append(steps, at(s, "type").(string))
			}
			if diff := cmp.Diff(steps[:3], []string{"Import", "Scoping", "Matching"}); diff != "" || steps[len(steps)-1] != "Export" {
				t.Errorf("got the steps %v", steps)
			}
			if diff := cmp.Diff(w.accounts(), []string{"ada@contoso.example"}); diff != "" {
				t.Error(diff)
			}
			_, key, value = demand(`{"objectId": "` + ada + `", "objectTypeName": "User"}`)
			if key["result"] != "Skipped" || at(key, "details", "errorCode") != "RedundantExport" || value["action"] != "Other" {
				t.Errorf("again: got %v and %v", key, value)
			}

			group := w.group("Sales", ada, bo, cy)
			_, key, value = demand(`{"objectId": "` + group + `", "objectTypeName": "Group", "links": {"members": [{"objectId": "` + bo + `", "objectTypeName": "User"}]}}`)
			if key["result"] != "Success" || value["action"] != "Create" || value["reportableIdentifier"] != "Sales" {
				t.Errorf("got %v and %v", key, value)
			}
			// Cy was not named, and has no account.
			if diff := cmp.Diff(w.accounts(), []string{"ada@contoso.example", "bo@contoso.example"}); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(w.members("Sales"), []string{"ada@contoso.example", "bo@contoso.example"}); diff != "" {
				t.Error(diff)
			}
			stranger := w.person("dee@contoso.example")
			many := strings.TrimSuffix(strings.Repeat(`{"objectId": "`+bo+`", "objectTypeName": "User"},`, 6), ",")
			for subject, words := range map[string]string{
				`{"objectId": "` + group + `", "objectTypeName": "Group", "links": {"members": [` + many + `]}}`:                                               "at most 5",
				`{"objectId": "` + group + `", "objectTypeName": "Group", "links": {"members": [{"objectId": "` + stranger + `", "objectTypeName": "User"}]}}`: "direct members",
				`{"objectId": "nobody", "objectTypeName": "User"}`:                                                                                             "nobody",
				`{"objectId": "` + ada + `", "objectTypeName": "Device"}`:                                                                                      "Device",
				`{"objectId": "` + ada + `", "objectTypeName": "User"}, {"objectId": "` + bo + `", "objectTypeName": "User"}`:                                  "one subject",
				`{"objectId": "` + ada + `", "objectTypeName": "User", "links": {"members": []}}`:                                                              "group",
			} {
				got, _, _ := demand(subject)
				got.wantError(http.StatusBadRequest, "Request_BadRequest", words)
			}
			w.send("POST", version, job+"/provisionOnDemand", `{"parameters": [{"ruleId": "x", "subjects": [{"objectId": "`+ada+`", "objectTypeName": "User"}]}]}`).wantError(http.StatusBadRequest, "Request_BadRequest", "rule")
		})
	}
}

func TestProvisionOnDemandIsLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.person("ada@contoso.example")
	w.setUp("v1.0")
	job := w.s() + "/jobs/" + w.jobID()
	rule, _ := w.send("GET", "v1.0", job+"/schema", "").get("synchronizationRules", 0, "id").(string)
	body := `{"parameters": [{"ruleId": "` + rule + `", "subjects": [{"objectId": "` + ada + `", "objectTypeName": "User"}]}]}`
	for range 5 {
		w.send("POST", "v1.0", job+"/provisionOnDemand", body).want(http.StatusOK)
	}
	got := w.send("POST", "v1.0", job+"/provisionOnDemand", body)
	got.wantError(http.StatusTooManyRequests, "TooManyRequests", "five requests")
	if got.Header.Get("Retry-After") != "2" {
		t.Errorf("got Retry-After %q", got.Header.Get("Retry-After"))
	}
	w.pass(2 * time.Second)
	w.send("POST", "v1.0", job+"/provisionOnDemand", body).want(http.StatusOK)
}

// logs sends a request for provisioning logs and returns the names of their people.
func (w *world) logs(version string, options ...string) (answer, []string) {
	w.t.Helper()
	q := url.Values{}
	for i := 0; i < len(options); i += 2 {
		q.Set(options[i], options[i+1])
	}
	got := w.send("GET", version, "auditLogs/provisioning?"+q.Encode(), "").want(http.StatusOK)
	return got, namesOf(got)
}

func namesOf(a answer) []string {
	names := []string{}
	for _, e := range a.get("value").([]any) {
		names = append(names, at(e, "sourceIdentity", "displayName").(string))
	}
	return names
}

// TestProvisioningLogs reads the logs of two applications with the documented options.
func TestProvisioningLogs(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				w := newWorldOn(t, db)
				first := w.acme
				for _, name := range []string{"ada", "bo", "cy"} {
					w.person(name + "@contoso.example")
					w.setUpOnce(version)
					w.cycle()
					w.pass(time.Minute)
				}
				second, err := w.contoso.CreateApplication(t.Context(), "Second", "cli")
				w.must(err)
				w.acme = second
				dee := w.person("dee@contoso.example")
				w.setUpOnce(version)
				w.cycle()
				testLogs(t, w, version, first.ID, second.ID, dee)
			})
		})
	}
}

func testLogs(t *testing.T, w *world, version, first, second, dee string) {
	t.Helper()
	wantNames := func(want []string, options ...string) answer {
		t.Helper()
		got, names := w.logs(version, options...)
		if diff := cmp.Diff(names, want); diff != "" {
			t.Errorf("%v: %s", options, diff)
		}
		return got
	}
	all := wantNames([]string{"Dee", "Cy", "Bo", "Ada"})
	one := all.get("value", 0)
	for _, c := range []struct {
		want any
		path []any
	}{
		{string(w.contoso.Directory.ID), []any{"tenantId"}},
		{w.jobID(), []any{"jobId"}},
		{"create", []any{"provisioningAction"}},
		{"2027-03-01T09:03:00Z", []any{"activityDateTime"}},
		{"success", []any{"provisioningStatusInfo", "status"}},
		{nil, []any{"provisioningStatusInfo", "errorInformation"}},
		{"Second", []any{"servicePrincipal", "displayName"}},
		{second, []any{"servicePrincipal", "id"}},
		{second, []any{"targetSystem", "details", "ServicePrincipalId"}},
		{dee, []any{"sourceIdentity", "id"}},
		{"User", []any{"sourceIdentity", "identityType"}},
		{"system", []any{"initiatedBy", "initiatorType"}},
		{"EntryImport", []any{"provisioningSteps", 0, "name"}},
		{"import", []any{"provisioningSteps", 0, "provisioningStepType"}},
	} {
		if got := at(one, c.path...); got != c.want {
			t.Errorf("%v: got %v, want %v", c.path, got, c.want)
		}
	}
	if beta := at(one, "statusInfo", "status") != nil && at(one, "action") != nil; beta != (version == "beta") {
		t.Errorf("the old names of properties are there: %v", beta)
	}
	cycle, _ := at(one, "cycleId").(string)
	id, _ := at(one, "id").(string)

	// Filters, as documented, and with case that counts in values.
	for _, c := range []struct {
		text string
		want []string // nil: it is refused
	}{
		{"sourceIdentity/id eq '" + dee + "'", []string{"Dee"}},
		{"id eq '" + id + "'", []string{"Dee"}},
		{"cycleId eq '" + cycle + "'", []string{"Dee"}},
		{"contains(cycleId, '" + cycle[20:] + "')", []string{"Dee"}},
		{"jobId eq '" + w.jobID() + "'", []string{"Dee"}},
		{"servicePrincipal/displayName eq 'Acme'", []string{"Cy", "Bo", "Ada"}},
		{"servicePrincipal/id eq '" + first + "' and sourceIdentity/displayName eq 'Bo'", []string{"Bo"}},
		{"contains(sourceIdentity/displayName, 'd')", []string{"Ada"}},
		{"tenantId eq 'another'", []string{}},
		{"contains(tolower(x), 'd')", nil},
		{"startsWith(sourceIdentity/displayName, 'D') or sourceIdentity/displayName eq 'Ada'", []string{"Dee", "Ada"}},
		{"activityDateTime gt 2027-03-01T09:01:00Z and activityDateTime lt 2027-03-01T09:03:00Z", []string{"Cy"}},
		{"activityDateTime ge 2027-03-01T09:01:00Z and activityDateTime le 2027-03-01T09:02:00Z", []string{"Cy", "Bo"}},
		{"provisioningAction eq 'create'", []string{"Dee", "Cy", "Bo", "Ada"}},
		{"provisioningAction eq 'Create'", []string{}},
		{"provisioningAction eq 'create' and provisioningAction eq 'update'", []string{}},
		{"provisioningStatusInfo/status eq 'failure'", []string{}},
		{"not (sourceIdentity/displayName eq 'Cy') and provisioningStatusInfo/status eq 'success'", []string{"Dee", "Bo", "Ada"}},
		{"provisioningStatusInfo/errorInformation/errorCode eq null and durationInMilliseconds ge 0 ", []string{"Dee", "Cy", "Bo", "Ada"}},
	} {
		text, want := c.text, c.want
		if want == nil {
			w.send("GET", version, "auditLogs/provisioning?$filter="+url.QueryEscape(text), "").wantError(http.StatusBadRequest, "BadRequest", "Invalid filter clause")
			continue
		}
		got := wantNames(want, "$filter", text, "$count", "true")
		if n := got.get("@odata.count"); n != float64(len(want)) {
			t.Errorf("%s: got the count %v, want %d", text, n, len(want))
		}
	}

	// Pages: each entry once, in both orders.
	for order, want := range map[string][]string{"activityDateTime desc": {"Dee", "Cy", "Bo", "Ada"}, "activityDateTime asc": {"Ada", "Bo", "Cy", "Dee"}} {
		for _, top := range []string{"1", "2", "3"} {
			got, names := w.logs(version, "$top", top, "$orderby", order, "$filter", "provisioningAction eq 'create'")
			for n := 0; got.get("@odata.nextLink") != nil && n < 9; n++ {
				next, _ := got.get("@odata.nextLink").(string)
				if !strings.HasPrefix(next, w.server.URL+"/d/contoso/graph/"+version+"/auditLogs/provisioning?") || !strings.Contains(next, "$skiptoken=") {
					t.Fatalf("got the next link %q", next)
				}
				got = w.sendAs(w.key, "GET", "", next, "").want(http.StatusOK)
				names = append(names, namesOf(got)...)
			}
			if diff := cmp.Diff(names, want); diff != "" {
				t.Errorf("%s by %s: %s", order, top, diff)
			}
		}
	}
	for option, code := range map[string]string{
		"$top=0": "BadRequest", "$top=x": "BadRequest", "$orderby=id": "Request_UnsupportedQuery", "$expand=x": "Request_UnsupportedQuery",
		"$skiptoken=x": "BadRequest", "$filter=nonsense": "BadRequest", "$filter=id%20eq%20'x": "BadRequest", "$filter=(id%20eq%20'x'": "BadRequest",
		"$filter=activityDateTime%20gt%20yesterday": "BadRequest", "$filter=id%20has%20'x'": "BadRequest", "$filter=id%20eq%20x": "BadRequest",
		"$filter=" + strings.Repeat("not%20", 40) + "id%20eq%20'x'": "BadRequest", "$filter=" + strings.Repeat("x", 5000): "BadRequest",
		"$top=1&$top=2": "BadRequest",
	} {
		w.send("GET", version, "auditLogs/provisioning?"+option, "").wantError(http.StatusBadRequest, code)
	}
}

// TestLogsOfTheSameMoment pages through entries of two applications that have the same time.
func TestLogsOfTheSameMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range "abcdefg" {
		w.person(string(c) + "@contoso.example")
	}
	w.setUp("v1.0")
	w.cycle()
	second, err := w.contoso.CreateApplication(t.Context(), "Second", "cli")
	w.must(err)
	w.acme = second
	for _, c := range "hijklmn" {
		w.person(string(c) + "@contoso.example")
	}
	w.setUp("v1.0")
	w.cycle()
	for _, order := range []string{"asc", "desc"} {
		for _, top := range []string{"1", "3", "5"} {
			seen := map[string]int{}
			got, names := w.logs("v1.0", "$top", top, "$orderby", "activityDateTime "+order)
			for n := 0; n < 50; n++ {
				for _, name := range names {
					seen[name]++
				}
				next, _ := got.get("@odata.nextLink").(string)
				if next == "" {
					break
				}
				got = w.sendAs(w.key, "GET", "", next, "").want(http.StatusOK)
				names = namesOf(got)
			}
			if len(seen) != 14 {
				t.Errorf("%s by %s: got %d people, want 14", order, top, len(seen))
			}
			for name, n := range seen {
				if n != 1 {
					t.Errorf("%s by %s: %s came %d times", order, top, name, n)
				}
			}
		}
	}
}

func TestKeysThatMayReadChangeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setUp("v1.0")
	read := w.makeKey(w.contoso, operator.Read)
	before, err := w.jobs.Get(t.Context(), w.jobKey())
	w.must(err)
	for _, action := range []string{"start", "pause", "restart", "provisionOnDemand"} {
		w.sendAs(read, "POST", "contoso", "v1.0/"+w.s()+"/jobs/"+w.jobID()+"/"+action, `{}`).wantError(http.StatusForbidden, "Authorization_RequestDenied", "may read", "may run")
	}
	w.sendAs(read, "PUT", "contoso", "v1.0/"+w.s()+"/secrets", w.secrets()).wantError(http.StatusForbidden, "Authorization_RequestDenied", "may configure")
	after, err := w.jobs.Get(t.Context(), w.jobKey())
	w.must(err)
	if diff := cmp.Diff(after.Version, before.Version); diff != "" {
		t.Error(diff)
	}
	w.sendAs(read, "GET", "contoso", "v1.0/"+w.s()+"/jobs", "").want(http.StatusOK)
	if before.Status != provision.On {
		t.Errorf("the status is %s", before.Status)
	}
}
