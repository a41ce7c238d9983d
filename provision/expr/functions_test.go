package expr_test

import (
	"bytes"
	"crypto/rand"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

var update = flag.Bool("update", false, "write docs/expressions.md instead of comparing it")

func TestFunctions_knows_every_documented_function(t *testing.T) {
	t.Parallel()
	count := map[expr.Origin]int{}
	names := map[string]bool{}
	for _, f := range expr.Functions() {
		count[f.DocumentedIn]++
		if names[f.Name] || f.Summary == "" {
			t.Errorf("%s occurs twice or has no summary", f.Name)
		}
		names[f.Name] = true
	}
	if diff := cmp.Diff(map[expr.Origin]int{expr.Provisioning: 44, expr.CloudSync: 5, expr.Graph: 2}, count); diff != "" {
		t.Errorf("functions by document (-want +got):\n%s", diff)
	}
}

// exampleEnv returns the Env with which an example of the documentation is evaluated.
func exampleEnv(example expr.Example) expr.Env {
	return expr.Env{
		Attribute: func(name string) expr.Value {
			if s, ok := example.Given[name]; ok {
				return expr.String(s)
			}
			return expr.Null()
		},
		Now:           time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Random:        rand.Reader,
		Taken:         func(value string) (bool, error) { return value == example.Taken, nil },
		DefaultDomain: "example.com",
	}
}

func TestFunctions_examples_hold(t *testing.T) {
	t.Parallel()
	for _, f := range expr.Functions() {
		if len(f.Examples) == 0 {
			t.Errorf("%s has no example", f.Name)
		}
		for _, example := range f.Examples {
			e := parse(t, example.Expression)
			if !strings.Contains(example.Expression, f.Name+"(") {
				t.Errorf("%s is an example of %s", example.Expression, f.Name)
			}
			assertStable(t, e)
			got, err := e.Eval(exampleEnv(example))
			if example.ErrorText != "" {
				if err == nil || !strings.Contains(err.Error(), example.ErrorText) {
					t.Errorf("%s: got error %v, want %q", example.Expression, err, example.ErrorText)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", example.Expression, err)
			}
			if got.Text() != example.Result || got.IsNull() != example.ResultIsNull || got.IsNoFlow() != example.ResultIsNoFlow || (got.Kind() == expr.KindList) != example.ResultIsList {
				t.Errorf("%s: got %q, %v, want %q", example.Expression, got.Text(), got.Kind(), example.Result)
			}
		}
	}
}

func TestFunctions_are_what_the_documentation_says(t *testing.T) {
	t.Parallel()
	const path = "../../docs/expressions.md"
	page, err := template.New("expressions.md.tmpl").Funcs(template.FuncMap{"given": attributesOf, "result": result, "code": code}).ParseFiles("testdata/expressions.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := page.Execute(&want, map[string]any{"Functions": expr.Functions(), "MaxLength": expr.MaxLength, "MaxDepth": expr.MaxDepth, "MaxResult": expr.MaxResultBytes, "MaxWork": expr.MaxWorkBytes, "MatchTime": expr.MatchTime}); err != nil {
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

// attributesOf describes the attributes with which an example is evaluated, sorted by name.
func attributesOf(example expr.Example) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(example.Given)) {
		value := "empty"
		if example.Given[name] != "" {
			value = code(example.Given[name])
		}
		parts = append(parts, name+" "+value)
	}
	if example.Taken != "" {
		parts = append(parts, "the target has "+code(example.Taken))
	}
	if strings.Contains(example.Expression, "Now()") {
		parts = append(parts, "the time 1/2/2026 3:04:05 AM")
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func result(example expr.Example) string {
	switch {
	case example.ResultIsNull:
		return "null"
	case example.ResultIsNoFlow:
		return "nothing flows"
	case example.ErrorText != "":
		return "the person fails: " + example.ErrorText
	case example.Result == "":
		return "the empty string"
	default:
		return code(example.Result)
	}
}

// code returns a string in the form of code for a cell of a Markdown table.
func code(s string) string { return "`" + strings.ReplaceAll(s, "|", `\|`) + "`" }
