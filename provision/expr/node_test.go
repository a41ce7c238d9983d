package expr_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

func TestExpr_Source_has_graphs_form(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"an_attribute", `[mail]`, `{"expression":"[mail]","name":"mail","type":"Attribute","parameters":[]}`},
		{"a_constant", `"x"`, `{"expression":"\"x\"","name":"x","type":"Constant","parameters":[]}`},
		{
			"a_switch_without_default", `Switch([s],"a","b")`,
			`{"expression":"Switch([s], , \"a\", \"b\")","name":"Switch","type":"Function","parameters":[` +
				`{"key":"source","value":{"expression":"[s]","name":"s","type":"Attribute","parameters":[]}},` +
				`{"key":"switchValue","value":{"expression":"\"a\"","name":"a","type":"Constant","parameters":[]}},` +
				`{"key":"switchValue","value":{"expression":"\"b\"","name":"b","type":"Constant","parameters":[]}}]}`,
		},
		{
			"a_number_as_text", `Join("", 1)`,
			`{"expression":"Join(\"\", 1)","name":"Join","type":"Function","parameters":[` +
				`{"key":"separator","value":{"expression":"\"\"","name":"","type":"Constant","parameters":[]}},` +
				`{"key":"source","value":{"expression":"\"1\"","name":"1","type":"Constant","parameters":[]}}]}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(treeJSON(t, parse(t, tt.text).Source()))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestExpr_Source_tells_a_given_default_from_a_missing_one(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`Switch([s], , "a", "b")`:          "source switchValue switchValue",
		`Switch([s], "d", "a", "b")`:       "source defaultValue switchValue switchValue",
		`Coalesce([a], [b])`:               "source source",
		`IIF([a] = "b", "c", "d")`:         "condition valueIfTrue valueIfFalse",
		`ToLower([a], "tr-TR")`:            "source culture",
		`IsNullOrEmpty([a])`:               "expression",
		`Join(", ", [a], [b], "c")`:        "separator source source source",
		`ToUpper([a] & "b" & [c])`:         "source",
		`Switch([s], [s], "", "Other")`:    "source defaultValue switchValue switchValue",
		`Switch([s], "d", "a", "b", , "")`: "",
	} {
		e, err := expr.Parse(text)
		if want == "" {
			if err == nil {
				t.Errorf("Parse(%s): got no error", text)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, p := range e.Source().Parameters {
			keys = append(keys, p.Key)
		}
		if got := strings.Join(keys, " "); got != want {
			t.Errorf("keys of %s: got %s, want %s", text, got, want)
		}
	}
}

func TestFromSource(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, tree, want string }{
		{"an_attribute_by_name_and_type", `{"name":"mail","type":"Attribute"}`, `[mail]`},
		{"a_constant_by_name_and_type", `{"name":"say \"hi\"","type":"Constant"}`, `"say \"hi\""`},
		{"the_empty_constant", `{"name":"","type":"Constant"}`, `""`},
		{"a_constant_whose_text_has_no_quotation_marks", `{"name":"en_US","type":"Constant","expression":"en_US"}`, `"en_US"`},
		{"a_constant_that_is_a_word_of_the_language", `{"name":"Unicode","type":"Constant","expression":"Unicode"}`, `"Unicode"`},
		{"a_constant_by_its_text", `{"type":"Constant","expression":"\"x\""}`, `"x"`},
		{"a_function_by_its_text", `{"name":"Join","type":"Function","expression":"Join(\" \",[a],[b])"}`, `Join(" ", [a], [b])`},
		{"a_function_by_its_text_in_the_short_form", `{"name":"Switch","type":"Function","expression":"Switch([s], \"a\", \"b\")"}`, `Switch([s], , "a", "b")`},
		{"a_function_by_its_parameters", `{"name":"Switch","type":"Function","parameters":[
			{"key":"source","value":{"name":"s","type":"Attribute"}},
			{"key":"switchValue","value":{"name":"a","type":"Constant"}},
			{"key":"switchValue","value":{"name":"b","type":"Constant"}}]}`, `Switch([s], , "a", "b")`},
		{"parameters_in_another_order", `{"name":"Switch","type":"Function","parameters":[
			{"key":"switchValue","value":{"name":"a","type":"Constant"}},
			{"key":"switchValue","value":{"name":"b","type":"Constant"}},
			{"key":"defaultValue","value":{"name":"d","type":"Constant"}},
			{"key":"Source","value":{"name":"s","type":"Attribute"}}]}`, `Switch([s], "d", "a", "b")`},
		{"source_for_the_first_parameter", `{"name":"IsNullOrEmpty","type":"Function","parameters":[{"key":"source","value":{"name":"a","type":"Attribute"}}]}`, `IsNullOrEmpty([a])`},
		{"parameters_before_a_text_that_disagrees", `{"name":"ToLower","type":"Function","expression":"ToLower([old])","parameters":[{"key":"source","value":{"name":"new","type":"Attribute"}}]}`, `ToLower([new])`},
		{"parameters_before_a_text_that_cannot_be_read", `{"name":"ToLower","type":"Function","expression":"ToLower(","parameters":[{"key":"source","value":{"name":"new","type":"Attribute"}}]}`, `ToLower([new])`},
		{"the_text_that_keeps_a_number_bare", `{"name":"Join","type":"Function","expression":"Join(\"\",1)","parameters":[
			{"key":"separator","value":{"name":"","type":"Constant"}},{"key":"source","value":{"name":"1","type":"Constant"}}]}`, `Join("", 1)`},
		{"types_in_any_letter_case", `{"name":"mail","type":"attribute"}`, `[mail]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var n expr.Node
			if err := json.Unmarshal([]byte(tt.tree), &n); err != nil {
				t.Fatal(err)
			}
			e, err := expr.FromSource(&n)
			if err != nil {
				t.Fatalf("FromSource: %v", err)
			}
			if got := e.String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			assertStable(t, e)
		})
	}
}

func TestFromSource_explains(t *testing.T) {
	t.Parallel()
	deep := &expr.Node{Type: expr.TypeAttribute, Name: "a"}
	for range expr.MaxDepth + 1 {
		deep = &expr.Node{Type: expr.TypeFunction, Name: "ToLower", Parameters: []expr.NodeParameter{{Key: "source", Value: deep}}}
	}
	attribute := &expr.Node{Type: expr.TypeAttribute, Name: "a"}
	call := func(name string, parameters ...expr.NodeParameter) *expr.Node {
		return &expr.Node{Type: expr.TypeFunction, Name: name, Parameters: parameters}
	}
	p := func(key string) expr.NodeParameter { return expr.NodeParameter{Key: key, Value: attribute} }
	tests := []struct {
		name string
		tree *expr.Node
		want string
	}{
		{"no_source", nil, "missing"},
		{"an_unknown_type", &expr.Node{Type: "Thing", Name: "x"}, `has the type "Thing"`},
		{"an_attribute_name_that_cannot_be_written", &expr.Node{Type: expr.TypeAttribute, Name: "a]b"}, "complete before"},
		{"an_unknown_function", call("Frobnicate", p("source")), "no function Frobnicate"},
		{"an_unknown_key", call("ToLower", p("source"), p("language")), `no parameter "language": its parameters are source, culture`},
		{"a_key_twice", call("ToLower", p("source"), p("source")), `"source" twice`},
		{"half_a_pair", call("Switch", p("source"), p("switchValue")), "in pairs"},
		{"a_parameter_without_a_value", call("ToLower", expr.NodeParameter{Key: "source"}), "has no value"},
		{"a_missing_parameter", call("IIF", p("condition"), p("valueIfFalse")), "valueIfTrue of IIF is empty"},
		{"an_operator_with_one_side", call("IIF", expr.NodeParameter{Key: "condition", Value: call("=", p("left"))}), "operator ="},
		{"too_deep", deep, "more than 200 deep"},
		{"a_text_alone_that_cannot_be_read", &expr.Node{Type: expr.TypeFunction, Name: "Join", Expression: "Join("}, "no closing parenthesis"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, err := expr.FromSource(tt.tree)
			if err == nil {
				t.Fatalf("got %s, want an error with %q", e, tt.want)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want %q in it", err, tt.want)
			}
		})
	}
}
