package expr_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

// vector is an example from Microsoft's documentation. testdata/vectors.json names the page of each
// example.
type vector struct {
	ID                   string
	Function             string
	Expression           string
	Attributes           json.RawMessage
	Expected             any
	ExpectedType         string
	ExistingTargetValues []string
	Contradiction        string
}

func loadVectors(t testing.TB) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatal(err)
	}
	return vectors
}

// contradictions returns the vectors whose printed result cannot be right, with the result of
// Rollcall. docs/expressions.md explains each of them.
func contradictions() map[string]string {
	return map[string]string{"v044": "+19998887777"}
}

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, v := range loadVectors(t) {
		t.Run(v.ID+"_"+v.Function, func(t *testing.T) {
			t.Parallel()
			e := parse(t, v.Expression)
			env, err := expr.EnvFromJSON(v.Attributes)
			if err != nil {
				t.Fatal(err)
			}
			env.Taken = func(value string) (bool, error) { return slices.Contains(v.ExistingTargetValues, value), nil }
			got, err := e.Eval(env)
			if err != nil {
				t.Fatalf("%s: %v", v.Expression, err)
			}
			choice, contradicts := contradictions()[v.ID]
			if contradicts != (v.Contradiction != "") {
				t.Error("the vector's contradiction and the list of choices disagree")
			}
			if contradicts {
				v.Expected = choice
			}
			if diff := cmp.Diff(expected(t, v), actual(got, v.ExpectedType)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", v.Expression, diff)
			}
			assertStable(t, e)
		})
	}
}

// expected returns the result of a vector as strings. actual returns a value in the same form, with
// a date as an instant.
func expected(t *testing.T, v vector) []string {
	t.Helper()
	switch want := v.Expected.(type) {
	case []any:
		var all []string
		for _, element := range want {
			all = append(all, element.(string))
		}
		return all
	case bool:
		return expr.Boolean(want).Strings()
	case string:
		return []string{want}
	default:
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		return []string{string(b)}
	}
}

func actual(v expr.Value, expectedType string) []string {
	if at, ok := v.Time(); ok && expectedType == "datetime" {
		return []string{at.Format(time.DateTime)}
	}
	return v.Strings()
}

func TestVectors_are_about_most_functions(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, v := range loadVectors(t) {
		for _, f := range expr.Functions() {
			if strings.Contains(v.Expression, f.Name+"(") {
				seen[f.Name] = true
			}
		}
	}
	if len(seen) < 28 {
		t.Errorf("the vectors use %d functions, want 28 or more", len(seen))
	}
}
