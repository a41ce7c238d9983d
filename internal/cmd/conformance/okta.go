package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/internal/foreign"
)

// oktaFile is the name of the file with Okta's SPEC test.
const oktaFile = "okta-scim-20-spec-test.json"

// runscopeTest is an API test in the export format of the product Runscope. Okta publishes its SPEC
// test in that format.
type runscopeTest struct {
	Steps []runscopeStep
}

// runscopeStep is a request of the test, with the assertions about its answer.
type runscopeStep struct {
	Kind       string `json:"step_type"` // "request" if the step sends a request
	Skipped    bool   // whether the test says to skip the step
	Note       string // the name of the step
	Headers    http.Header
	Method     string
	URL        string
	Body       string
	Assertions []assertion
	// Variables are set from the answer. Each gets the value of a property of the JSON body. Later
	// steps use it.
	Variables []struct{ Name, Property string }
}

// assertion compares a part of an answer with a value. Source names the part: the status, the time
// or the JSON body. If it is the body, Property names a property of the body.
type assertion struct {
	Comparison string // the operator, such as "equal"; see evaluateComparison
	Source     string
	Property   string
	Value      any // the value on the right of the operator
}

// readCollection reads a collection of another project. If the folder or the file is missing, it
// returns a Missing error, and the suite does not run.
func readCollection[T any](folder, file string) (v T, err error) {
	if folder == "" {
		return v, foreign.NewMissing("%s is not set to the folder that holds %s", collectionsVariable, file)
	}
	v, err = readJSON[T](folder, file)
	if errors.Is(err, fs.ErrNotExist) {
		return v, foreign.NewMissing("the folder of %s holds no %s", collectionsVariable, file)
	}
	return v, err
}

// oktaSuite returns the function that runs Okta's SPEC test. folder contains the file of the test.
func oktaSuite(folder string) func(context.Context, *client) ([]check, error) {
	return func(ctx context.Context, c *client) ([]check, error) {
		test, err := readCollection[runscopeTest](folder, oktaFile)
		if err != nil {
			return nil, err
		}
		o := newOktaRun(c)
		// Okta's test expects a server that already has a user.
		if _, err := c.create(ctx, "/Users", map[string]any{
			"schemas": []string{userURN}, "userName": "first@example.com", "active": true,
			"name":   map[string]any{"givenName": "First", "familyName": "Person"},
			"emails": []any{map[string]any{"value": "first@example.com", "type": "work", "primary": true}},
		}); err != nil {
			return nil, err
		}
		var checks []check
		for _, step := range test.Steps {
			if step.Kind != "request" || step.Skipped {
				continue
			}
			made, err := o.runStep(ctx, step)
			checks = append(checks, made...)
			if err != nil {
				return checks, fmt.Errorf("%s: %w", step.Note, err)
			}
		}
		return checks, nil
	}
}

// oktaRun runs the steps of Okta's test and keeps the variables that they set.
type oktaRun struct {
	client    *client
	variables map[string]string // the value of each variable, by its name
}

// newOktaRun returns a run that has set the variables that Okta's test needs before its first step.
func newOktaRun(c *client) *oktaRun {
	return &oktaRun{client: c, variables: map[string]string{
		"SCIMBaseURL": c.base, "auth": "Bearer " + c.token,
		"randomGivenName": "Robin", "randomFamilyName": "Nguyen",
		"randomEmail": "robin.nguyen@example.com", "randomUsername": "robin.nguyen@example.com", "randomUsernameCaps": "ROBIN.NGUYEN@EXAMPLE.COM",
		"InvalidUserEmail": "nobody@example.com", "UserIdThatDoesNotExist": "010101001010101011001010101011",
	}}
}

// variablePattern matches a variable, such as {{auth}}.
var variablePattern = regexp.MustCompile(`\{\{(\w+)\}\}`)

// fillVariables replaces each variable {{name}} in a string by its value. It does not change
// unknown variables.
func (o *oktaRun) fillVariables(text string) string {
	return variablePattern.ReplaceAllStringFunc(text, func(v string) string {
		if value, known := o.variables[strings.Trim(v, "{}")]; known {
			return value
		}
		return v
	})
}

// runStep sends the request of a step. It checks the assertions about the answer, and sets the
// variables of the step.
func (o *oktaRun) runStep(ctx context.Context, s runscopeStep) ([]check, error) {
	header := http.Header{}
	for name, values := range s.Headers {
		for _, v := range values {
			header.Add(name, o.fillVariables(v))
		}
	}
	a, err := o.client.send(ctx, s.Method, encodeQuery(o.fillVariables(s.URL)), header, []byte(o.fillVariables(s.Body)))
	if err != nil {
		return nil, err
	}
	var checks []check
	for _, as := range s.Assertions {
		checks = append(checks, o.checkAssertion(s, as, a))
	}
	for _, v := range s.Variables {
		if value := propertyOf(a.doc, v.Property); value != nil {
			o.variables[v.Name] = asText(value)
		}
	}
	return checks, nil
}

// encodeQuery encodes the query of a URL, because Okta's test contains queries without encoding.
func encodeQuery(url string) string {
	path, query, found := strings.Cut(url, "?")
	if !found {
		return url
	}
	parameters := strings.Split(query, "&")
	for i, p := range parameters {
		name, value, _ := strings.Cut(p, "=")
		parameters[i] = name + "=" + encodePercent(value)
	}
	return path + "?" + strings.Join(parameters, "&")
}

// checkAssertion returns the check that an assertion is true of an answer.
func (o *oktaRun) checkAssertion(s runscopeStep, as assertion, a answer) check {
	source := as.Source
	if as.Property != "" {
		source = as.Property
	}
	name := strings.TrimSpace(s.Note) + ": " + source + " " + as.Comparison
	want := as.Value
	if text, ok := want.(string); ok {
		want = o.fillVariables(text)
		name += " " + text
	}
	var got any
	switch as.Source {
	case "response_status":
		got = float64(a.status)
	case "response_time":
		got = float64(a.elapsed) / float64(time.Millisecond)
	case "response_json":
		got = propertyOf(a.doc, as.Property)
	default:
		return fail(name, "this runner does not know the source %q", as.Source)
	}
	ok, known := evaluateComparison(as.Comparison, got, want)
	if !known {
		return fail(name, "this runner does not know the comparison %q", as.Comparison)
	}
	return passIf(ok, name, "got %s in the answer %v", asJSON(got), a)
}

// evaluateComparison reports whether a comparison is true (ok), and whether the operator comparison
// is known.
func evaluateComparison(comparison string, got, want any) (ok, known bool) {
	switch comparison {
	case "equal":
		return got != nil && asText(got) == asText(want), true
	case "equal_number":
		g, w, both := asNumbers(got, want)
		return both && g == w, true
	case "is_less_than":
		g, w, both := asNumbers(got, want)
		return both && g < w, true
	case "is_a_number":
		_, ok := got.(float64)
		return ok, true
	case "not_empty":
		list, isList := got.([]any)
		object, isObject := got.(map[string]any)
		return got != nil && got != "" && (!isList || len(list) > 0) && (!isObject || len(object) > 0), true
	case "has_value":
		list, _ := got.([]any)
		return slices.ContainsFunc(list, func(e any) bool { return asText(e) == asText(want) }), true
	case "contains":
		return got != nil && strings.Contains(asText(got), asText(want)), true
	}
	return false, false
}

// asNumbers returns both values as numbers. both is false if one of them is not a number.
func asNumbers(got, want any) (g, w float64, both bool) {
	g, err := strconv.ParseFloat(asText(got), 64)
	if err != nil {
		return 0, 0, false
	}
	w, err = strconv.ParseFloat(asText(want), 64)
	return g, w, err == nil
}

// asText returns a string unchanged, and any other JSON value as JSON.
func asText(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	return asJSON(v)
}

// propertyPartPattern matches one part of a property, such as "name" or "[0]".
var propertyPartPattern = regexp.MustCompile(`([^.\[\]]+)|\[(\d+)\]`)

// propertyOf returns the value of a property of a JSON object, such as Resources[0].name.givenName.
// It returns nil if the object has no such property.
func propertyOf(doc map[string]any, property string) any {
	var at any = doc
	for _, part := range propertyPartPattern.FindAllStringSubmatch(property, -1) {
		if part[1] != "" {
			object, _ := at.(map[string]any)
			at = object[part[1]]
			continue
		}
		list, _ := at.([]any)
		i, err := strconv.Atoi(part[2])
		if err != nil || i >= len(list) {
			return nil
		}
		at = list[i]
	}
	return at
}
