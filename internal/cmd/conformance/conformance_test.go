package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/foreign"
)

func TestComparable(t *testing.T) {
	t.Parallel()
	ada := map[string]any{"userName": "ada", "emails": []any{map[string]any{"value": "a@x.example"}, map[string]any{"value": "b@x.example"}}}
	tests := []struct {
		name string
		want map[string]any
		got  map[string]any
		same bool
	}{
		{"names differ in case only", ada, map[string]any{"USERNAME": "ada", "Emails": ada["emails"]}, true},
		{"values come in another order", ada, map[string]any{"userName": "ada", "emails": []any{map[string]any{"value": "b@x.example"}, map[string]any{"value": "a@x.example"}}}, true},
		{"a value is missing", ada, map[string]any{"userName": "ada", "emails": []any{map[string]any{"value": "a@x.example"}}}, false},
		{"unassigned in three ways", map[string]any{"a": nil, "b": []any{}, "c": map[string]any{}}, map[string]any{}, true},
		{"a false primary", ada, map[string]any{"userName": "ada", "emails": []any{map[string]any{"value": "a@x.example", "primary": false}, map[string]any{"value": "b@x.example"}}}, true},
		{"a true primary", ada, map[string]any{"userName": "ada", "emails": []any{map[string]any{"value": "a@x.example", "primary": true}, map[string]any{"value": "b@x.example"}}}, false},
		{"id, meta and groups are the server's", ada, map[string]any{"id": "1", "meta": map[string]any{}, "groups": []any{"g"}, "userName": "ada", "emails": ada["emails"]}, true},
		{
			"a member gets display and type",
			map[string]any{"members": []any{map[string]any{"value": "1"}}},
			map[string]any{"members": []any{map[string]any{"value": "1", "display": "Ada", "type": "User", "$ref": "x"}}},
			true,
		},
		{"another member", map[string]any{"members": []any{map[string]any{"value": "1"}}}, map[string]any{"members": []any{map[string]any{"value": "2"}}}, false},
		{
			"the extension's URN stays without its data",
			map[string]any{"schemas": []any{userURN}},
			map[string]any{"schemas": []any{enterpriseURN, userURN}},
			true,
		},
		{
			"the extension's data without its URN",
			map[string]any{"schemas": []any{userURN, enterpriseURN}, enterpriseURN: map[string]any{"department": "x"}},
			map[string]any{"schemas": []any{userURN}, enterpriseURN: map[string]any{"department": "x"}},
			false,
		},
		{"active by default", map[string]any{}, map[string]any{"active": true}, true},
		{"inactive without being asked", map[string]any{}, map[string]any{"active": false}, false},
		{"a derived formatted name", map[string]any{}, map[string]any{"name": map[string]any{"formatted": "Ada"}}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			want, got := normalizeResource(test.want), normalizeResource(test.got)
			dropDerived(want, got)
			if same := asJSON(got) == asJSON(want); same != test.same {
				t.Errorf("got same %v, want %v: %s and %s", same, test.same, asJSON(got), asJSON(want))
			}
		})
	}
}

func TestShifterMovesTimesWithTheirDistanceAndOffset(t *testing.T) {
	t.Parallel()
	at := func(s string) map[string]any { return map[string]any{"meta": map[string]any{"lastModified": s}} }
	shift, err := timeShifter(at("2011-05-13T04:42:34Z"), at("2026-01-02T03:04:05.678Z"))
	if err != nil {
		t.Fatal(err)
	}
	for filter, want := range map[string]string{
		`meta.lastModified gt "2011-05-13T04:42:34Z"`:      `meta.lastModified gt "2026-01-02T03:04:05.678Z"`,
		`meta.lastModified ge "2011-05-13T06:42:34+02:00"`: `meta.lastModified ge "2026-01-02T05:04:05.678+02:00"`,
		`meta.lastModified gt "2011-05-13T05:42:34Z"`:      `meta.lastModified gt "2026-01-02T04:04:05.678Z"`,
		`userName pr`: `userName pr`,
	} {
		if got, err := shift(filter); got != want || err != nil {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}

func TestSubstituteReplacesIdsWhereTheyAreIds(t *testing.T) {
	t.Parallel()
	s := replacement{ids: map[string]string{"u1": "real"}, userName: "own@example.com"}
	got := s.replaceIn(map[string]any{
		"userName": "bjensen", "displayName": "u10",
		"members": []any{map[string]any{"value": "u1", "$ref": "https://example.com/v2/Users/u1"}},
		"path":    `members[value eq "u1"]`,
	})
	want := map[string]any{
		"userName": "own@example.com", "displayName": "u10",
		"members": []any{map[string]any{"value": "real", "$ref": "https://example.com/v2/Users/real"}},
		"path":    `members[value eq "real"]`,
	}
	if diff := cmp.Diff(got, any(want)); diff != "" {
		t.Errorf("got -, want +:\n%s", diff)
	}
}

func TestHolds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		comparison string
		got, want  any
		ok         bool
	}{
		{"equal", "a", "a", true},
		{"equal", true, "true", true},
		{"equal", nil, "null", false},
		{"equal", float64(0), "0", true},
		{"equal_number", float64(200), "200", true},
		{"equal_number", nil, "0", false},
		{"is_less_than", float64(599), "600", true},
		{"is_less_than", float64(600), "600", false},
		{"is_a_number", float64(1), nil, true},
		{"is_a_number", "1", nil, false},
		{"not_empty", []any{}, nil, false},
		{"not_empty", false, nil, true},
		{"not_empty", "", nil, false},
		{"has_value", []any{"a", "b"}, "b", true},
		{"has_value", "b", "b", false},
		{"contains", "already in use", "in use", true},
		{"contains", nil, "", false},
	}
	for _, test := range tests {
		if ok, known := evaluateComparison(test.comparison, test.got, test.want); !known || ok != test.ok {
			t.Errorf("%s: got %v, %v for %v and %v, want %v", test.comparison, ok, known, test.got, test.want, test.ok)
		}
	}
	if _, known := evaluateComparison("resembles", "a", "a"); known {
		t.Error("a comparison that nobody knows is known")
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	doc := map[string]any{"Resources": []any{map[string]any{"name": map[string]any{"givenName": "Ada"}}}}
	for property, want := range map[string]any{
		"Resources[0].name.givenName": "Ada",
		"Resources[1].name":           nil,
		"Resources.name":              nil,
		"missing":                     nil,
	} {
		if got := propertyOf(doc, property); got != want {
			t.Errorf("%s: got %v, want %v", property, got, want)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const name = "Patch user omalley new username: Status code is 204"
	tests := []struct {
		name                       string
		found                      []check
		err                        error
		failed, explained, skipped int
		missing                    string
	}{
		{"a known failure", []check{fail(name, "expected 204 but got 200")}, nil, 0, 1, 0, ""},
		{"a known check that fails in another way", []check{fail(name, "expected 204 but got 500")}, nil, 1, 0, 0, ""},
		{"a failure of another name", []check{fail("Post User: Status code is 201", "got 200")}, nil, 1, 0, 0, ""},
		{"not run is no failure and no pass", []check{skip("x", "no groups")}, nil, 0, 0, 1, ""},
		{"a suite that breaks off", []check{pass("x")}, errors.New("connection refused"), 1, 0, 0, ""},
		{"a suite that checks nothing", nil, nil, 1, 0, 0, ""},
		{"a machine that lacks something", nil, foreign.NewMissing("npm is not installed"), 0, 0, 0, "npm is not installed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := explainKnownFailures(suite{name: microsoftName}, report{checks: test.found}, test.err)
			got := []int{r.count(failed), r.count(explained), r.count(notRun)}
			if diff := cmp.Diff(got, []int{test.failed, test.explained, test.skipped}); diff != "" || r.notRunReason != test.missing {
				t.Errorf("got -, want +:\n%s missing %q", diff, r.notRunReason)
			}
		})
	}
}

func TestReadingWhatTheToolsReport(t *testing.T) {
	t.Parallel()
	want := []check{pass("a"), {name: "b", verdict: failed, details: "error: no"}, skip("c", "not offered")}
	tester := testerChecks("Performing …\nSUCCESS a\n  fine\nERROR b\n  no\nSKIPPED c\n  not offered\n")
	tester[0].details = "" // the tester says why something passed, too
	sanity, err := sanityChecks([]byte(`{"results":[{"name":"a","status":"pass"},{"name":"b","status":"error","message":"no"},{"name":"c","status":"skip","message":"not offered"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	postman, err := postmanChecks([]byte(`{"run":{"executions":[{"item":{"name":"i"},"assertions":[{"assertion":"a"},{"assertion":"b","error":{"message":"error: no"}}]}],
		"failures":[{"source":{"name":"i"},"at":"assertion:1 in test-script"},{"source":{"name":"i"},"at":"request","error":{"name":"Error","message":"refused"}}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	wantPostman := []check{pass("i: a"), {name: "i: b", verdict: failed, details: "error: no"}, {name: "i: request", verdict: failed, details: "Error: refused"}}
	for name, pair := range map[string][2][]check{"tester": {tester, want}, "sanity": {sanity, want}, "postman": {postman, wantPostman}} {
		if diff := cmp.Diff(pair[0], pair[1], cmp.AllowUnexported(check{})); diff != "" {
			t.Errorf("%s: got -, want +:\n%s", name, diff)
		}
	}
}

// TestSuitesFailAgainstAServerThatAgreesToEverything shows that our runners can fail.
func TestSuitesFailAgainstAServerThatAgreesToEverything(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
		}
		fmt.Fprint(w, `{"id":"1","meta":{"lastModified":"2026-01-02T03:04:05Z"},"Resources":[{"endpoint":"/Groups"}]}`)
	}))
	t.Cleanup(server.Close)
	v := vectors{folder: filepath.Join("..", "..", "..", "scim", "testdata")}
	for name, run := range map[string]func(context.Context, *client) ([]check, error){"filters": v.checkFilters, "patches": v.checkPatches(false)} {
		checks, err := run(t.Context(), newClient(server.URL, "token"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r := explainKnownFailures(suite{name: name}, report{checks: checks}, nil)
		if r.count(failed) < len(checks)/3 {
			t.Errorf("%s: got %d failures of %d checks", name, r.count(failed), len(checks))
		}
	}
}

func TestCollectionsThatAreMissingAreNotRun(t *testing.T) {
	t.Parallel()
	for folder, want := range map[string]string{"": "is not set", t.TempDir(): "holds no " + oktaFile} {
		_, err := oktaSuite(folder)(t.Context(), newClient("http://127.0.0.1:0", ""))
		r := explainKnownFailures(suite{name: "Okta SPEC test"}, report{}, err)
		if !strings.Contains(r.notRunReason, want) || len(r.checks) != 0 {
			t.Errorf("got %q and %d checks, want %q and none", r.notRunReason, len(r.checks), want)
		}
		if page := string(markdown([]result{r})); !strings.Contains(page, "| – | – | – | all |") {
			t.Errorf("the page does not show the suite as not run:\n%s", page)
		}
	}
}

func TestOktaRunPlaysStepsWithTheirVariables(t *testing.T) {
	t.Parallel()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path+" "+r.URL.Query().Get("filter")+" "+r.Header.Get("Authorization"))
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
		}
		fmt.Fprint(w, `{"id":"u-1","totalResults":1}`)
	}))
	t.Cleanup(server.Close)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, oktaFile), []byte(`{"steps":[
		{"step_type":"pause","duration":5},
		{"step_type":"request","note":"look up","method":"GET","url":"{{SCIMBaseURL}}/Users?filter=userName eq \"{{InvalidUserEmail}}\"",
		 "headers":{"Authorization":["{{auth}}"]},
		 "assertions":[{"comparison":"equal_number","source":"response_status","value":"200"},{"comparison":"equal","source":"response_json","property":"totalResults","value":"0"}],
		 "variables":[{"name":"who","property":"id"}]},
		{"step_type":"request","note":"read","method":"GET","url":"{{SCIMBaseURL}}/Users/{{who}}","assertions":[]}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	checks, err := oktaSuite(folder)(t.Context(), newClient(server.URL, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	if len(checks) != 2 || checks[0].verdict != passed || checks[1].verdict != failed {
		t.Errorf("got %+v, want the status to pass and the number to fail", checks)
	}
	want := []string{`POST /Users  Bearer secret`, `GET /Users userName eq "nobody@example.com" Bearer secret`, `GET /Users/u-1  `}
	if diff := cmp.Diff(asked, want); diff != "" {
		t.Errorf("got -, want +:\n%s", diff)
	}
}

func TestUnseenNamesExplanationsOfWhatPassesNow(t *testing.T) {
	t.Parallel()
	const name = "Patch user omalley new username: Status code is 204"
	of := func(checks ...check) []result {
		return []result{explainKnownFailures(suite{name: microsoftName}, report{checks: checks}, nil)}
	}
	for want, results := range map[int][]result{
		0: of(fail(name, "but got 200")),
		1: of(pass(name)),
	} {
		if got := unusedExplanations(results); len(got) != want {
			t.Errorf("got %d, want %d: %v", len(got), want, got)
		}
	}
	if got := unusedExplanations(of(pass("another"))); len(got) != 0 {
		t.Errorf("got %v for a check that did not run", got)
	}
}
