package expr_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

// envOf returns an Env with these attributes. An attribute that is not in values is null.
func envOf(values map[string]expr.Value) expr.Env {
	return expr.Env{Attribute: func(name string) expr.Value { return values[name] }}
}

func TestEval(t *testing.T) {
	t.Parallel()
	person := map[string]expr.Value{
		"givenName": expr.String("Ada"), "surname": expr.String("Lovelace"), "empty": expr.String(""),
		"phones": expr.List([]string{"1", "", "2"}), "one": expr.List([]string{"USA"}), "blank": expr.List([]string{""}),
		"country": expr.String("USA"), "deleted": expr.String("False"), "flag": expr.Boolean(true),
		"ten": expr.String("10"), "count": expr.Number("9"), "zeros": expr.String("007"),
		"city": expr.String("İstanbul"), "hired": expr.DateTime(time.Date(2020, 3, 16, 0, 0, 0, 0, time.FixedZone("", -7*3600))),
		"left": expr.DateTime(time.Date(2020, 11, 2, 13, 4, 5, 0, time.UTC)),
	}
	null := expr.Null()
	str := expr.String
	tests := []struct {
		name, text string
		want       expr.Value
	}{
		{"an_attribute_keeps_its_value", `[phones]`, expr.List([]string{"1", "", "2"})},
		{"an_absent_attribute_is_null", `[nothing]`, null},
		{"attribute_names_mind_letter_case", `[GivenName]`, null},
		{"a_text_is_itself", `"a\"b\\c\d"`, str(`a"b\c\d`)},
		{"a_number_keeps_its_digits", `1.50`, expr.Number("1.50")},
		{"a_hexadecimal_number_is_decimal", `&HF7`, expr.Number("247")},

		{"join_puts_the_separator_between", `Join(" ", [givenName], [surname])`, str("Ada Lovelace")},
		{"join_leaves_out_null_and_empty_sources", `Join(" ", [nothing], [surname], [empty], "")`, str("Lovelace")},
		{"join_of_nothing_is_empty_and_not_null", `Join(" ", [nothing])`, str("")},
		{"join_takes_each_value_of_a_list", `Join("+", "0", [phones], [surname])`, str("0+1+2+Lovelace")},
		{"join_takes_numbers", `Join("", 1000, -1, &HF)`, str("1000-115")},
		{"join_takes_booleans", `Join("-", IsNullOrEmpty([empty]), [flag])`, str("True-True")},
		{"join_with_an_absent_separator_uses_none", `Join([nothing], "a", "b")`, str("ab")},

		{"coalesce_takes_the_first_value", `Coalesce([nothing], [surname], "x")`, str("Lovelace")},
		{"coalesce_counts_the_empty_text_as_a_value", `Coalesce([empty], "x")`, str("")},
		{"coalesce_falls_back_to_the_default", `Coalesce([nothing], [neither], "x")`, str("x")},
		{"coalesce_of_nulls_is_null", `Coalesce([nothing], [neither])`, null},
		{"coalesce_keeps_a_list", `Coalesce([nothing], [phones])`, expr.List([]string{"1", "", "2"})},
		{"coalesce_may_have_one_argument", `Coalesce([surname])`, str("Lovelace")},

		{"switch_finds_a_key", `Switch([deleted], , "False", "True", "True", "False")`, str("True")},
		{"switch_reads_the_guides_short_form", `Switch([deleted], "False", "True", "True", "False")`, str("True")},
		{"switch_without_a_match_and_a_default_is_null", `Switch([country], , "NO", "Norway")`, null},
		{"switch_without_a_match_takes_the_default", `Switch([country], [surname], "NO", "Norway")`, str("Lovelace")},
		{"switch_minds_letter_case", `Switch([country], "other", "usa", "match")`, str("other")},
		{"switch_takes_the_first_of_equal_keys", `Switch([country], , "USA", "1", "USA", "2")`, str("1")},
		{"switch_key_empty_matches_the_empty_text", `Switch([empty], , "", "Other")`, str("Other")},
		{"switch_key_empty_matches_an_absent_attribute", `Switch([nothing], [nothing], "", "Other")`, str("Other")},
		{"switch_takes_expressions_as_keys_and_values", `Switch(ToLower([country]), , ToLower("USA"), Join("", "U", "S"))`, str("US")},
		{"switch_value_may_be_null", `Switch([country], "d", "USA", [nothing])`, null},
		{"switch_reads_booleans_as_text", `Switch(IsNullOrEmpty([nothing]), , "True", "gone")`, str("gone")},
		{"switch_reads_a_list_of_one", `Switch([one], , "USA", "yes")`, str("yes")},
		{"switch_compares_a_number_with_its_text", `Switch([count], , 9, "nine")`, str("nine")},
		{"switch_evaluates_only_the_chosen_value", `Switch([country], IIF("bad", "a", "b"), "USA", "x", "NO", IIF("bad", "a", "b"))`, str("x")},

		{"lower_changes_letter_case", `ToLower("ÅSE Østby")`, str("åse østby")},
		{"lower_leaves_the_dotted_i_by_invariant_rules", `ToLower([city])`, str("İstanbul")},
		{"lower_knows_turkish", `ToLower("İZMİR ISPARTA", "tr-TR")`, str("izmir ısparta")},
		{"lower_knows_azerbaijani", `ToLower("I", "az-Latn-AZ")`, str("ı")},
		{"lower_of_another_culture_is_invariant", `ToLower("I", "en-US")`, str("i")},
		{"lower_of_the_empty_culture_is_invariant", `ToLower("I", "")`, str("i")},
		{"lower_of_null_is_null", `ToLower([nothing])`, null},
		{"lower_changes_each_value", `ToLower(Coalesce([nothing], [one]))`, expr.List([]string{"usa"})},
		{"upper_changes_letter_case", `ToUpper("åse østby")`, str("ÅSE ØSTBY")},
		{"upper_leaves_sharp_s", `ToUpper("straße")`, str("STRAßE")},
		{"upper_leaves_the_dotless_i_by_invariant_rules", `ToUpper("ısparta")`, str("ıSPARTA")},
		{"upper_knows_turkish", `ToUpper("izmir ısparta", "tr")`, str("İZMİR ISPARTA")},

		{"iif_takes_the_true_branch", `IIF([country] = "USA", "yes", "no")`, str("yes")},
		{"iif_minds_letter_case", `IIF([country] = "usa", "yes", "no")`, str("no")},
		{"iif_knows_unequal", `IIF([country] <> "NO", "yes", "no")`, str("yes")},
		{"iif_counts_null_as_empty", `IIF([nothing] = "", "yes", "no")`, str("yes")},
		{"iif_finds_null_unequal_to_a_text", `IIF([nothing] <> "USA", "yes", "no")`, str("yes")},
		{"iif_compares_numbers_by_size", `IIF([ten] > [count], "yes", "no")`, str("yes")},
		{"iif_compares_texts_by_character", `IIF("b" > "a10", "yes", "no")`, str("yes")},
		{"iif_keeps_leading_zeros_apart", `IIF([zeros] = "7", "yes", "no")`, str("no")},
		{"iif_reads_a_number_with_zeros_as_one", `IIF(5.0 = 5, "yes", "no")`, str("yes")},
		{"iif_compares_negative_numbers", `IIF(-10 < -9, "yes", "no")`, str("yes")},
		{"iif_compares_fractions", `IIF(1.5 >= 1.25, "yes", "no")`, str("yes")},
		{"iif_compares_numbers_of_any_length", `IIF("12345678901234567890123" <= "12345678901234567890124", "yes", "no")`, str("yes")},
		{"iif_compares_instants", `IIF([hired] < [left], "yes", "no")`, str("yes")},
		{"iif_takes_a_function_as_condition", `IIF(IsNullOrEmpty([nothing]), "none", "some")`, str("none")},
		{"iif_takes_a_boolean_attribute", `IIF([flag], "on", "off")`, str("on")},
		{"iif_takes_a_text_boolean_in_any_case", `IIF("TRUE", "on", "off")`, str("on")},
		{"iif_counts_an_absent_condition_as_false", `IIF([nothing], "on", "off")`, str("off")},
		{"iif_evaluates_only_the_chosen_branch", `IIF([flag], "on", ToLower("x", "not a culture"))`, str("on")},
		{"iif_nests", `IIF([country]="USA",IIF([surname]="Lovelace","both","one"),"none")`, str("both")},

		{"is_null_or_empty_of_null", `IsNullOrEmpty([nothing])`, expr.Boolean(true)},
		{"is_null_or_empty_of_the_empty_text", `IsNullOrEmpty([empty])`, expr.Boolean(true)},
		{"is_null_or_empty_of_a_list_of_empty_texts", `IsNullOrEmpty([blank])`, expr.Boolean(true)},
		{"is_null_or_empty_of_a_list", `IsNullOrEmpty([phones])`, expr.Boolean(false)},
		{"is_null_or_empty_of_a_value", `IsNullOrEmpty([surname])`, expr.Boolean(false)},

		{"concatenation_of_the_other_dialect", `ToLower([givenName] & "." & [nothing] & [surname])`, str("ada.lovelace")},
		{"instants_have_entras_text", `Join(" | ", [hired], [left])`, str("3/16/2020 7:00:00 AM | 11/2/2020 1:04:05 PM")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(t, tt.text).Eval(envOf(person))
			if err != nil {
				t.Fatalf("Eval(%s): %v", tt.text, err)
			}
			if diff := cmp.Diff(shown(tt.want), shown(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.text, diff)
			}
		})
	}
}

type value struct {
	Kind    expr.Kind
	Text    string
	Strings []string
}

func shown(v expr.Value) value { return value{v.Kind(), v.Text(), v.Strings()} }

func TestEval_explains(t *testing.T) {
	t.Parallel()
	values := map[string]expr.Value{"phones": expr.List([]string{"1", "2"})}
	tests := []struct {
		name, text, function string
		line, column         int
		message              string
	}{
		{"several_values_where_switch_takes_one", "Join(\"\",\n Switch([phones], , \"1\", \"x\"))", "Switch", 2, 9, "[phones] has 2 values where Switch takes one"},
		{"several_values_in_a_comparison", `IIF([phones] = "1", "x", "y")`, "=", 1, 5, "has 2 values where the comparison takes one"},
		{"a_condition_that_is_no_boolean", `IIF(Join("", "may", "be"), "x", "y")`, "IIF", 1, 5, `must be True or False and is "maybe"`},
		{"a_culture_that_is_none", `ToUpper("x", "not a culture")`, "ToUpper", 1, 14, `"not a culture" is not a culture name`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(t, tt.text).Eval(envOf(values))
			var got *expr.EvalError
			if !errors.As(err, &got) {
				t.Fatalf("got error %v, want an *EvalError", err)
			}
			if got.Function != tt.function || got.Line != tt.line || got.Column != tt.column || !strings.Contains(got.Message, tt.message) {
				t.Errorf("got %s at %d:%d %q, want %s at %d:%d with %q", got.Function, got.Line, got.Column, got.Message, tt.function, tt.line, tt.column, tt.message)
			}
		})
	}
}

func TestEval_without_attributes_reads_null(t *testing.T) {
	t.Parallel()
	got, err := parse(t, `Coalesce([mail], "none")`).Eval(expr.Env{})
	if err != nil || got.Text() != "none" {
		t.Fatalf("got %q, %v, want none", got.Text(), err)
	}
}

func TestValue(t *testing.T) {
	t.Parallel()
	when := time.Date(2012, 3, 23, 7, 0, 0, 0, time.UTC)
	tests := []struct {
		name   string
		v      expr.Value
		text   string
		values []string
		empty  bool
	}{
		{"null", expr.Null(), "", nil, true},
		{"no_flow", expr.NoFlow(), "", nil, true},
		{"empty_text", expr.String(""), "", []string{""}, true},
		{"text", expr.String("a"), "a", []string{"a"}, false},
		{"boolean", expr.Boolean(false), "False", []string{"False"}, false},
		{"number", expr.Number("-3"), "-3", []string{"-3"}, false},
		{"instant", expr.DateTime(when), "3/23/2012 7:00:00 AM", []string{"3/23/2012 7:00:00 AM"}, false},
		{"list", expr.List([]string{"a", "b"}), "a, b", []string{"a", "b"}, false},
		{"list_without_elements_is_null", expr.List(nil), "", nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.v.Text() != tt.text || tt.v.IsNullOrEmpty() != tt.empty {
				t.Errorf("got text %q, empty %v, want %q, %v", tt.v.Text(), tt.v.IsNullOrEmpty(), tt.text, tt.empty)
			}
			if diff := cmp.Diff(tt.values, tt.v.Strings()); diff != "" {
				t.Errorf("Strings (-want +got):\n%s", diff)
			}
		})
	}
	if got, ok := expr.DateTime(when).Time(); !ok || !got.Equal(when) {
		t.Errorf("Time: got %v, %v, want %v", got, ok, when)
	}
	if expr.Null().IsNull() != true || expr.String("").IsNull() || !expr.NoFlow().IsNoFlow() || expr.NoFlow().IsNull() {
		t.Error("null, the empty string and no-flow must differ")
	}
}

func ExampleParse() {
	e, err := expr.Parse(`Switch([IsSoftDeleted], "False", "True", "True", "False")`)
	if err != nil {
		fmt.Println(err)
		return
	}
	active, err := e.Eval(expr.Env{Attribute: func(string) expr.Value { return expr.String("False") }})
	fmt.Println(e, "=", active.Text(), err)

	_, err = expr.Parse(`Join(" ", [givenName], surname)`)
	fmt.Println(err)
	// Output:
	// Switch([IsSoftDeleted], , "False", "True", "True", "False") = True <nil>
	// line 1, column 24: surname is neither an attribute nor a string; write [surname] for the attribute or "surname" for the string
}
