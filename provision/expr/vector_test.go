package expr_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

// vector is an example from Microsoft's documentation: testdata/vectors.json names the page of each.
type vector struct {
	ID         string
	Function   string
	Expression string
	Attributes json.RawMessage
	Expected   any
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

func TestVectors(t *testing.T) {
	t.Parallel()
	ran := map[string]int{}
	for _, v := range loadVectors(t) {
		e, err := expr.Parse(v.Expression)
		var syntax *expr.SyntaxError
		if errors.As(err, &syntax) && syntax.NotEvaluated != "" {
			continue // TestVectors_of_functions_that_are_not_evaluated counts them
		}
		if err != nil {
			t.Errorf("%s: Parse(%s): %v", v.ID, v.Expression, err)
			continue
		}
		ran[v.Function]++
		env, err := expr.EnvFromJSON(v.Attributes)
		if err != nil {
			t.Fatalf("%s: %v", v.ID, err)
		}
		got, err := e.Eval(env)
		if err != nil {
			t.Errorf("%s: %s: %v", v.ID, v.Expression, err)
			continue
		}
		if diff := cmp.Diff(expected(v.Expected), got.Text()); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", v.ID, v.Expression, diff)
		}
		assertStable(t, e)
	}
	want := map[string]int{"Coalesce": 1, "IIF": 2, "IsNullOrEmpty": 1, "Join": 1, "Switch": 5}
	if diff := cmp.Diff(want, ran); diff != "" {
		t.Errorf("vectors evaluated, by function (-want +got):\n%s", diff)
	}
}

func expected(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return expr.Boolean(v).Text()
	default:
		b, _ := json.Marshal(v)
		return string(b)
	}
}

// The grammar is whole: every vector fails only because of a function that is documented and not evaluated.
func TestVectors_of_functions_that_are_not_evaluated(t *testing.T) {
	t.Parallel()
	waiting := map[string]bool{}
	for _, v := range loadVectors(t) {
		_, err := expr.Parse(v.Expression)
		var syntax *expr.SyntaxError
		if errors.As(err, &syntax) {
			if syntax.NotEvaluated == "" {
				t.Errorf("%s: Parse(%s): %v", v.ID, v.Expression, err)
			}
			waiting[syntax.NotEvaluated] = true
		}
	}
	var got []string
	for name := range waiting {
		got = append(got, name)
	}
	slices.Sort(got)
	want := strings.Fields(`Append BitAnd CDate ConvertFromBase64 ConvertToBase64 DateAdd DateDiff DateFromNum FormatDateTime InStr IsNull
		Left Mid NormalizeDiacritics Not NumFromDate PCase Replace SelectUniqueValue Split Trim Word`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("functions whose vectors wait (-want +got):\n%s", diff)
	}
}
