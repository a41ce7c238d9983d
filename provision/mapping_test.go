package provision

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision/expr"
	"github.com/rollcall-scim/rollcall/scim"
)

func newRow(t *testing.T, target string, c CompiledMapping) *row {
	t.Helper()
	c.Target = target
	r := &row{CompiledMapping: c}
	if err := r.parsePath(); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestConvert(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		row  CompiledMapping
		have expr.Value
		want any
		code string
	}{
		"text":                       {CompiledMapping{Type: TypeString}, expr.String("x"), "x", ""},
		"text_for_a_boolean":         {CompiledMapping{Type: TypeBoolean}, expr.String("tRUE"), true, ""},
		"boolean_for_a_text":         {CompiledMapping{Type: TypeString}, expr.Boolean(false), "False", ""},
		"no_boolean":                 {CompiledMapping{Type: TypeBoolean}, expr.String("maybe"), nil, "InvalidValue"},
		"integer":                    {CompiledMapping{Type: TypeInteger}, expr.Number("42"), int64(42), ""},
		"no_integer":                 {CompiledMapping{Type: TypeInteger}, expr.String("4.2"), nil, "InvalidValue"},
		"several_for_one":            {CompiledMapping{Type: TypeString}, expr.List([]string{"a", "b"}), nil, "SchemaPropertyCanOnlyAcceptValue"},
		"a_list_of_one_for_one":      {CompiledMapping{Type: TypeString}, expr.List([]string{"a"}), "a", ""},
		"several_for_a_multi_valued": {CompiledMapping{Type: TypeString, Multivalued: true}, expr.List([]string{"a", "b"}), []any{"a", "b"}, ""},
		"one_for_a_multi_valued":     {CompiledMapping{Type: TypeString, Multivalued: true}, expr.String("a"), []any{"a"}, ""},
		"a_date_for_a_date_and_time": {CompiledMapping{Type: TypeDateTime}, expr.String("2025-01-09"), "2025-01-09T00:00:00Z", ""}, // RFC 7643 §2.3.5
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, problem := newRow(t, "title", tt.row).convert(tt.have)
			code := ""
			if problem != nil {
				code = problem.Code
			}
			if d := cmp.Diff(tt.want, got); d != "" || code != tt.code {
				t.Errorf("got %#v, %q, want %#v, %q", got, code, tt.want, tt.code)
			}
		})
	}
}

func TestDefaultsFlowOnCreateOnly(t *testing.T) {
	t.Parallel()
	e, err := expr.Parse("[jobTitle]")
	if err != nil {
		t.Fatal(err)
	}
	r := newRow(t, "title", CompiledMapping{Expr: e, Type: TypeString, DefaultValue: "Employee"})
	for creating, want := range map[bool]any{true: "Employee", false: nil} {
		if got, _, problem := r.evaluate(expr.Env{}, creating); got != want || problem != nil {
			t.Errorf("creating %v: got %v, want %v", creating, got, want)
		}
	}
	only := newRow(t, "title", CompiledMapping{Type: TypeString, DefaultValue: "Employee"})
	if got, _, _ := only.evaluate(expr.Env{}, false); got != "Employee" {
		t.Errorf("a row without a source: got %v", got)
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	current := scim.Resource{
		"active": "True", "userName": "Ada@Contoso.com", "externalId": "Ada", "age": float64(7), "Title": "Countess",
		"emails": []any{map[string]any{"type": "work", "value": "ADA@contoso.com"}, map[string]any{"type": "home", "value": "x"}},
		"roles":  []any{map[string]any{"value": "b"}, map[string]any{"value": "a"}},
	}
	for name, tt := range map[string]struct {
		target string
		row    CompiledMapping
		want   any
		change *Change
	}{
		"text_boolean_of_the_target":   {"active", CompiledMapping{Type: TypeBoolean}, true, nil},
		"another_boolean":              {"active", CompiledMapping{Type: TypeBoolean}, false, &Change{Old: "True", New: false, Type: "Boolean"}},
		"case_of_an_inexact_attribute": {"userName", CompiledMapping{Type: TypeString}, "ada@contoso.com", nil},
		"case_of_an_exact_attribute":   {"externalId", CompiledMapping{Type: TypeString, CaseExact: true}, "ada", &Change{Old: "Ada", New: "ada", Type: "String"}},
		"a_number":                     {"age", CompiledMapping{Type: TypeInteger}, int64(7), nil},
		"names_in_other_letter_case":   {"title", CompiledMapping{Type: TypeString}, "Countess", nil},
		"an_element_chosen_by_type":    {`emails[type eq "work"].value`, CompiledMapping{Type: TypeString}, "ada@contoso.com", nil},
		"an_element_that_is_missing":   {`emails[type eq "other"].value`, CompiledMapping{Type: TypeString}, "y", &Change{New: "y", Type: "String", Element: ElementMissing}},
		"an_attribute_that_is_missing": {"nickName", CompiledMapping{Type: TypeString}, "A", &Change{New: "A", Type: "String"}},
		"only_if_the_target_has_none":  {"title", CompiledMapping{Type: TypeString, FlowType: FlowAttributeAddOnly}, "Engineer", nil},
		"a_set_in_another_order":       {"roles", CompiledMapping{Type: TypeString, Multivalued: true}, []any{"a", "b"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRow(t, tt.target, tt.row)
			var want []Change
			if tt.change != nil {
				tt.change.Path = tt.target
				want = []Change{*tt.change}
			}
			if d := cmp.Diff(want, diff(current, []value{{row: r, want: tt.want}}, nil)); d != "" {
				t.Errorf("changes (-want +got):\n%s", d)
			}
			// The ledger of the same account leads to the same decision.
			wrote := throughText(t, Ledger{tt.target: {Got: toLedgerValue(r.valueIn(current)), Shown: true}})
			got, sure := diffWritten(wrote, []value{{row: r, want: tt.want}})
			if len(got) != len(want) || len(got) == 1 && text(got[0].New) != text(want[0].New) || !sure {
				t.Errorf("by the ledger %v: got %v (sure: %v), want %v", wrote, got, sure, want)
			}
		})
	}
	t.Run("additions_only_keep_what_is_there", func(t *testing.T) {
		t.Parallel()
		r := newRow(t, "tags", CompiledMapping{Type: TypeString, Multivalued: true, FlowType: FlowValueAddOnly})
		tagged := scim.Resource{"tags": []any{"a", "b"}}
		got := diff(tagged, []value{{row: r, want: []any{"b", "c"}}}, nil)
		if d := cmp.Diff([]Change{{Path: "tags", Old: []any{"a", "b"}, New: []any{"a", "b", "c"}, Type: "String"}}, got); d != "" {
			t.Errorf("changes (-want +got):\n%s", d)
		}
		if got := diff(tagged, []value{{row: r, want: []any{"a"}}}, nil); got != nil {
			t.Errorf("got %v, want nothing", got)
		}
	})
}

func TestHash(t *testing.T) {
	t.Parallel()
	title, nick := newRow(t, "title", CompiledMapping{}), newRow(t, "nickName", CompiledMapping{})
	seen := map[string][]value{}
	for _, values := range [][]value{
		nil,
		{{title, "a", nil}},
		{{title, "b", nil}},
		{{nick, "a", nil}},
		{{title, "True", nil}},
		{{title, true, nil}},
		{{title, []any{"a"}, nil}},
		{{title, "a", nil}, {nick, "b", nil}},
		{{title, "a2:nickName", nil}, {nick, "b", nil}},
	} {
		h := hashValues(values)
		if other, twice := seen[h]; twice {
			t.Errorf("%v and %v have one hash", values, other)
		}
		seen[h] = values
		if hashValues(values) != h {
			t.Errorf("%v has two hashes", values)
		}
	}
}
