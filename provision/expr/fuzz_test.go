package expr_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

// seeds returns the expressions of the documentation.
func seeds(f *testing.F) []string {
	all := []string{`Switch([x], "a", "b")`, `IIF("a\"\\" & &HF <> -1.5, ToLower([mail], ), Join(",", [a], , [b], ))`}
	for _, v := range loadVectors(f) {
		all = append(all, v.Expression)
	}
	for _, function := range expr.Functions() {
		for _, example := range function.Examples {
			all = append(all, example.Expression)
		}
	}
	return all
}

// fuzzEnv returns an Env with attributes of every kind. The values are the same in each call.
func fuzzEnv(value string) expr.Env {
	env := documentedEnv()
	env.Attribute = func(name string) expr.Value {
		return []expr.Value{
			expr.String(value), expr.Null(), expr.List([]string{value, name, ""}), expr.Boolean(true), expr.Number("7"), expr.String(name), expr.String(""),
		}[len(name)%7]
	}
	env.Random = &counting{}
	env.DefaultDomain = "example.com"
	return env
}

// FuzzParse checks that an expression that can be parsed has one normal form and one tree, and that
// an error has a place and a suggestion.
func FuzzParse(f *testing.F) {
	for _, text := range seeds(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := expr.Parse(text)
		var syntax *expr.SyntaxError
		if err != nil {
			if !errors.As(err, &syntax) || syntax.Suggestion == "" || syntax.Offset > len(text) || syntax.Line < 1 || syntax.Column < 1 {
				t.Fatalf("Parse(%q): got %#v, want a *SyntaxError with a place in the text and a suggestion", text, err)
			}
			return
		}
		assertStable(t, e)
		e.Check(expr.Place{Target: &expr.Attribute{Name: "active", Type: expr.AttributeBoolean}})
	})
}

// FuzzEval checks that an evaluation returns a value within the limits, or an *EvalError with a
// place. The normal form and the trace must give the same value. No output may show a value that
// Redact hides.
func FuzzEval(f *testing.F) {
	for _, text := range seeds(f) {
		f.Add(text, "ada@example.com")
		f.Add(text, "2020-03-16-07:00")
	}
	f.Add(`Replace([longname], , [longname], , "$1$&", , )`, `(a+)+$`)
	f.Add(`FormatDateTime([longname], , [longname], [longname])`, `yyyy-MM-dd'T'HH:mm:ss.FFFzzz`)
	f.Add(`Join("", CDate([longname]), NormalizeDiacritics([longname]), PCase([longname]))`, "Zoe\u0308")
	f.Fuzz(func(t *testing.T, text, value string) {
		e, err := expr.Parse(text)
		if err != nil {
			return
		}
		got, err := e.Eval(fuzzEnv(value))
		var failed *expr.EvalError
		if err != nil && (!errors.As(err, &failed) || failed.Line < 1 || failed.Column < 1) {
			t.Fatalf("Eval of %s: got %#v, want an *EvalError with a place", e, err)
		}
		if size := len(strings.Join(got.Strings(), "")); size > expr.MaxResultBytes && e.Type() != expr.TypeAttribute {
			t.Fatalf("Eval of %s: %d bytes", e, size)
		}
		if err != nil && strings.Contains(err.Error(), "regular expression took too long") {
			return // whether the time limit is reached depends on the machine
		}
		again, againErr := parse(t, e.String()).Eval(fuzzEnv(value))
		if got.Text() != again.Text() || (err == nil) != (againErr == nil) {
			t.Fatalf("%q gives %q, %v and its normal form gives %q, %v", text, got.Text(), err, again.Text(), againErr)
		}
		traced, steps, tracedErr := e.Trace(fuzzEnv(value))
		if got.Text() != traced.Text() || fmt.Sprint(err) != fmt.Sprint(tracedErr) || steps.Expression != e.String() {
			t.Fatalf("%s gives %q, %v and its trace %q, %v", e, got.Text(), err, traced.Text(), tracedErr)
		}
	})
}

// FuzzFromSource checks that a tree that can be read is the tree of its expression, even if the
// strings in the tree differ.
func FuzzFromSource(f *testing.F) {
	for _, text := range seeds(f) {
		e, err := expr.Parse(text)
		if err != nil {
			f.Fatal(err)
		}
		b, err := json.Marshal(e.Source())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"name":"Replace","type":"Function","parameters":[{"key":"source","value":{"name":"a","type":"Attribute"}},{"key":"Find","value":{"name":"-","type":"Constant"}},{"key":"Replacement","value":{"name":"_","type":"Constant"}}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		var n expr.Node
		if json.Unmarshal(document, &n) != nil {
			return
		}
		e, err := expr.FromSource(&n)
		if err != nil {
			return
		}
		assertStable(t, e)
		tree := e.Source()
		without := withoutTexts(tree)
		back, err := expr.FromSource(without)
		if err != nil {
			t.Fatalf("FromSource of %s without its texts: %v", e, err)
		}
		if diff := cmp.Diff(treeJSON(t, without), treeJSON(t, withoutTexts(back.Source()))); diff != "" {
			t.Fatalf("%s: the tree without texts leads to another (-want +got):\n%s", e, diff)
		}
	})
}

// withoutTexts returns a tree that has only names and types, as a client may send it.
func withoutTexts(n *expr.Node) *expr.Node {
	out := &expr.Node{Name: n.Name, Type: n.Type}
	for _, p := range n.Parameters {
		out.Parameters = append(out.Parameters, expr.NodeParameter{Key: p.Key, Value: withoutTexts(p.Value)})
	}
	return out
}
