package expr_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

var update = flag.Bool("update", false, "write docs/expressions.md instead of comparing it")

func TestFunctions_knows_every_documented_function(t *testing.T) {
	t.Parallel()
	count := map[expr.Origin]int{}
	var evaluated []string
	names := map[string]bool{}
	for _, f := range expr.Functions() {
		count[f.Documented]++
		if names[f.Name] || f.Summary == "" {
			t.Errorf("%s occurs twice or has no summary", f.Name)
		}
		names[f.Name] = true
		if f.Evaluated {
			evaluated = append(evaluated, f.Name)
		}
	}
	if diff := cmp.Diff(map[expr.Origin]int{expr.Provisioning: 44, expr.CloudSync: 5, expr.Graph: 2}, count); diff != "" {
		t.Errorf("functions by document (-want +got):\n%s", diff)
	}
	want := []string{"Coalesce", "IIF", "IsNullOrEmpty", "Join", "Switch", "ToLower", "ToUpper"}
	if diff := cmp.Diff(want, evaluated); diff != "" {
		t.Errorf("evaluated (-want +got):\n%s", diff)
	}
}

func TestFunctions_examples_hold(t *testing.T) {
	t.Parallel()
	for _, f := range expr.Functions() {
		if f.Evaluated && len(f.Examples) == 0 {
			t.Errorf("%s has no example", f.Name)
		}
		for _, example := range f.Examples {
			e := parse(t, example.Expression)
			got, err := e.Eval(expr.Env{Attribute: func(name string) expr.Value {
				if s, ok := example.Given[name]; ok {
					return expr.String(s)
				}
				return expr.Null()
			}})
			if err != nil {
				t.Errorf("%s: %v", example.Expression, err)
			}
			if got.Text() != example.Result || got.IsNull() != example.Null {
				t.Errorf("%s: got %q, want %q", example.Expression, got.Text(), example.Result)
			}
		}
	}
}

func TestFunctions_are_what_the_documentation_says(t *testing.T) {
	t.Parallel()
	const path = "../../docs/expressions.md"
	page, err := template.New("expressions.md.tmpl").Funcs(template.FuncMap{"given": given}).ParseFiles("testdata/expressions.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := page.Execute(&want, map[string]any{"Functions": expr.Functions(), "MaxLength": expr.MaxLength, "MaxDepth": expr.MaxDepth}); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("docs/expressions.md differs from the function table; run go test ./provision/expr -update (-want +got):\n%s", diff)
	}
}

// given lists an example's attributes in a fixed order.
func given(attributes map[string]string) string {
	if len(attributes) == 0 {
		return "nothing"
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		parts = append(parts, fmt.Sprintf("%s `%s`", name, attributes[name]))
	}
	return strings.Join(parts, ", ")
}
