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

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"reads_an_attribute", `[mail]`, `[mail]`},
		{"reads_a_dotted_attribute", `[passwordProfile.password]`, `[passwordProfile.password]`},
		{"reads_a_directory_extension", `[extension_9d98ed114c4840d298fad781915f27e4_division]`, `[extension_9d98ed114c4840d298fad781915f27e4_division]`},
		{"reads_a_text", ` "Oslo" `, `"Oslo"`},
		{"reads_the_empty_text", `""`, `""`},
		{"reads_a_number", `12`, `12`},
		{"reads_a_negative_decimal_number", `-1.50`, `-1.50`},
		{"reads_a_hexadecimal_number", `Join("", &HF7)`, `Join("", &HF7)`},
		{"puts_one_blank_after_commas_and_none_elsewhere", "Join ( \" \" ,[givenName] ,\r\n\t[surname] ) ", `Join(" ", [givenName], [surname])`},
		{"keeps_escaped_quotation_marks_and_backslashes", `Join("", "a\"b", "c\\d")`, `Join("", "a\"b", "c\\d")`},
		{"keeps_the_backslash_of_an_unknown_escape", `"\d{10}"`, `"\\d{10}"`},
		{"keeps_line_breaks_inside_a_text", "\"a\nb\"", "\"a\nb\""},
		{"keeps_names_in_any_script", `"Zoë 東京"`, `"Zoë 東京"`},
		{"nests_calls", `ToLower(Coalesce([mail],Join("@",[mailNickname],"contoso.com")))`, `ToLower(Coalesce([mail], Join("@", [mailNickname], "contoso.com")))`},
		{"spaces_comparisons", `IIF([country]="USA",[country],[department])`, `IIF([country] = "USA", [country], [department])`},
		{
			"reads_each_comparison", `Join("",IIF([a]<>1,"x","y"),IIF([a]>1,"x","y"),IIF([a]>=1,"x","y"),IIF([a]<1,"x","y"),IIF([a]<=1,"x","y"))`,
			`Join("", IIF([a] <> 1, "x", "y"), IIF([a] > 1, "x", "y"), IIF([a] >= 1, "x", "y"), IIF([a] < 1, "x", "y"), IIF([a] <= 1, "x", "y"))`,
		},
		{"reads_the_other_dialects_concatenation", `ToLower([givenName]&"."&[surname])`, `ToLower([givenName] & "." & [surname])`},
		{"reads_a_hexadecimal_number_after_a_concatenation", `ToLower("a"&&HF)`, `ToLower("a" & &HF)`},
		{"keeps_an_empty_default", `Switch([IsSoftDeleted],,"False","True","True","False")`, `Switch([IsSoftDeleted], , "False", "True", "True", "False")`},
		{"completes_the_guides_switch_to_the_full_form", `Switch([IsSoftDeleted], "False", "True", "True", "False")`, `Switch([IsSoftDeleted], , "False", "True", "True", "False")`},
		{"completes_a_switch_of_three_arguments", `Switch([x], "a", "b")`, `Switch([x], , "a", "b")`},
		{"keeps_a_given_default", `Switch([x],"d","a","b")`, `Switch([x], "d", "a", "b")`},
		{"completes_a_nested_switch", `Join("", Switch([x], "a", Switch([y], "b", "c")))`, `Join("", Switch([x], , "a", Switch([y], , "b", "c")))`},
		{"drops_arguments_of_join_that_are_not_given", `Join(" ", , [givenName], , [surname], )`, `Join(" ", [givenName], [surname])`},
		{"keeps_a_trailing_empty_argument", `ToLower([mail], )`, `ToLower([mail], )`},
		{"keeps_a_culture", `ToUpper([city], "tr-TR")`, `ToUpper([city], "tr-TR")`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, err := expr.Parse(tt.text)
			if err != nil {
				t.Fatalf("Parse(%q): %v", tt.text, err)
			}
			if diff := cmp.Diff(tt.want, e.String()); diff != "" {
				t.Errorf("normal form (-want +got):\n%s", diff)
			}
			assertStable(t, e)
		})
	}
}

// assertStable checks that the string and the tree of an expression give the same expression again.
func assertStable(t *testing.T, e *expr.Expr) {
	t.Helper()
	again, err := expr.Parse(e.String())
	if err != nil {
		t.Fatalf("Parse(%q) of a normal form: %v", e, err)
	}
	if got, want := again.String(), e.String(); got != want {
		t.Errorf("normal form of the normal form: got %s, want %s", got, want)
	}
	back, err := expr.FromSource(e.Source())
	if err != nil {
		t.Fatalf("FromSource of %s: %v", e, err)
	}
	if got, want := back.String(), e.String(); got != want {
		t.Errorf("text → tree → text: got %s, want %s", got, want)
	}
	if diff := cmp.Diff(treeJSON(t, e.Source()), treeJSON(t, back.Source())); diff != "" {
		t.Errorf("tree → text → tree (-want +got):\n%s", diff)
	}
}

// treeJSON returns a tree as JSON, because cmp compares deeply nested values too slowly.
func treeJSON(t *testing.T, n *expr.Node) string {
	t.Helper()
	b, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestParse_explains(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text   string
		line, column int
		message      string
		suggestion   string
	}{
		{"an_empty_text", "  ", 1, 3, "empty", "[mail]"},
		{"a_function_in_another_letter_case", `switch([x], "a", "b")`, 1, 1, "no function switch", "write Switch"},
		{"a_mistyped_function", `Coalsce([mail])`, 1, 1, "no function Coalsce", "did you mean Coalesce?"},
		{"an_unknown_function", `Frobnicate([mail])`, 1, 1, "no function Frobnicate", "docs/expressions.md lists the functions"},
		{"a_function_of_another_language", `Concat([a], [b])`, 1, 1, "no function Concat", "Join"},
		{"a_text_without_an_end", "Join(\" \",\n  [a], \"b)", 2, 8, "no closing quotation mark", `closing "`},
		{"a_text_whose_end_is_escaped", `"abc\"`, 1, 1, "no closing quotation mark", "backslash"},
		{"an_attribute_without_an_end", `Join(" ", [givenName, [surname])`, 1, 11, "no closing bracket", "write [givenName]"},
		{"an_attribute_without_a_name", `[]`, 1, 1, "no attribute name", "[mail]"},
		{"spaces_around_an_attribute_name", `[ mail ]`, 1, 1, "spaces", "write [mail]"},
		{"a_call_without_an_end", `ToLower([mail]`, 1, 1, "no closing parenthesis", "add )"},
		{"a_parenthesis_too_many", `ToLower([mail]))`, 1, 16, "closes nothing", "remove"},
		{"an_index_after_a_call", `Coalesce([mail])[0]`, 1, 17, "index", "picks one"},
		{"something_after_the_end", `[givenName] [surname]`, 1, 13, "complete", "Join"},
		{"a_missing_comma", `Join(" " [a])`, 1, 10, `where a comma or ) is expected`, "commas"},
		{"a_missing_comma_before_a_text", `Join("a""b")`, 1, 9, "comma is missing", `\"`},
		{"semicolons", `Join(" "; [a])`, 1, 9, "semicolons", ", instead of ;"},
		{"an_unknown_operator", `Join("", [a] + [b])`, 1, 14, "no operator +", "Join"},
		{"and", `IIF([a]="x" AND [b]="y", "1", "2")`, 1, 13, "no AND", "IIF"},
		{"a_doubled_equals_sign", `IIF([a] == "x", "1", "2")`, 1, 9, "==", "write ="},
		{"an_exclamation_mark", `IIF([a] != "x", "1", "2")`, 1, 9, "!=", "write <>"},
		{"a_chain_of_comparisons", `IIF([a] = [b] = [c], "1", "2")`, 1, 15, "two sides", "nest IIF"},
		{"a_comparison_without_a_left_side", `IIF(= "x", "1", "2")`, 1, 5, "no left side", "before"},
		{"a_comparison_outside_of_iif", `[a] = "b"`, 1, 5, "no value of its own", `IIF([a] = "b", "True", "False")`},
		{"a_comparison_where_none_belongs", `Join("", [a] = "b")`, 1, 14, "cannot be a comparison", "IIF"},
		{"a_comparison_in_a_branch", `IIF([a] = "b", [a] = "c", "d")`, 1, 20, "valueIfTrue", "IIF"},
		{"an_attribute_without_brackets", `ToLower(mail)`, 1, 9, "neither an attribute nor a string", "[mail]"},
		{"a_boolean_without_quotation_marks", `IIF([a] = true, "1", "2")`, 1, 11, "true", `"True"`},
		{"a_function_without_arguments", `Coalesce`, 1, 1, "is a function", "Coalesce(source, …)"},
		{"a_bare_word_where_none_belongs", `ToLower(vbTextCompare)`, 1, 9, "argument of InStr only", "remove"},
		{"a_bare_word_alone", `Unicode`, 1, 1, "argument of ConvertFromBase64 only", "remove"},
		{"a_bare_word_in_another_case", `ToLower(vbtextcompare)`, 1, 9, "case counts", "vbTextCompare"},
		{"single_quotation_marks", `Join(' ', [a])`, 1, 6, "double quotation marks", `"`},
		{"typographic_quotation_marks", `Join(“ ”, [a])`, 1, 6, "typographic", `"`},
		{"a_number_that_is_none", `Join("", 12ab)`, 1, 10, "12ab is not a number", `"12ab"`},
		{"a_number_with_two_points", `1.2.3`, 1, 1, "1.2.3 is not a number", `"1.2.3"`},
		{"an_incomplete_number", `1.`, 1, 1, "not a number", "a string"},
		{"a_lone_minus", `Join("", -[a])`, 1, 10, "not a number", "a string"},
		{"a_hexadecimal_number_without_digits", `Join("", &H)`, 1, 10, "without a value before it", "&HF7"},
		{"a_hexadecimal_number_that_is_too_large", `&HFFFFFFFFFFFFFFFF`, 1, 1, "too large", "&H7FFFFFFFFFFFFFFF"},
		{"a_concatenation_without_an_end", `ToLower("a" &)`, 1, 14, "closes where a value", "value"},
		{"an_expression_that_just_stops", `Join("", [a] &`, 1, 15, "ends where a value", "add"},
		{"a_parenthesis_without_a_function", `Join("", ("a"))`, 1, 10, "without a function's name", "parentheses"},
		{"an_unknown_character", `Join("", #)`, 1, 10, `'#' begins no value`, "values are"},
		{"too_few_arguments", `IIF([a] = "b", "c")`, 1, 1, "IIF takes 3 arguments and has 2", "IIF(condition, valueIfTrue, valueIfFalse)"},
		{"too_many_arguments", `ToLower([a], "en-US", "x")`, 1, 1, "1 to 2 arguments and has 3", "ToLower(source, culture?)"},
		{"no_arguments", `IsNullOrEmpty()`, 1, 1, "IsNullOrEmpty takes 1 argument and has 0", "IsNullOrEmpty(expression)"},
		{"a_join_of_nothing", `Join(" ", , )`, 1, 1, "at least 2 arguments and has 1", "Join(separator, source, …)"},
		{"a_switch_without_keys", `Switch([a], "b")`, 1, 1, "at least 4 arguments and has 2", "Switch(source, defaultValue?, key, value, …)"},
		{"a_switch_without_a_key", `Switch([a], , , "b")`, 1, 15, "argument key of Switch is empty", `""`},
		{"a_switch_with_half_a_pair", `Switch([a], , "b")`, 1, 13, "argument key of Switch is empty", `""`},
		{"a_required_argument_that_is_empty", `IIF([a] = "b", , "c")`, 1, 16, "argument valueIfTrue of IIF is empty", `""`},
		{"an_empty_separator", `Join(, [a])`, 1, 6, "argument separator of Join is empty", `""`},
		{"a_column_after_letters_outside_ascii", `Join("ÅÄÖ", mail)`, 1, 13, "mail", "[mail]"},
		{"a_nul_character", "\"a\x00b\"", 1, 3, "NUL", "remove"},
		{"invalid_utf8", "\"a\xffb\"", 1, 3, "UTF-8", "again"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := expr.Parse(tt.text)
			var got *expr.SyntaxError
			if !errors.As(err, &got) {
				t.Fatalf("Parse(%q): got error %v, want a *SyntaxError", tt.text, err)
			}
			if got.Line != tt.line || got.Column != tt.column {
				t.Errorf("place: got %d:%d, want %d:%d (%v)", got.Line, got.Column, tt.line, tt.column, got)
			}
			if !strings.Contains(got.Message, tt.message) || !strings.Contains(got.Suggestion, tt.suggestion) {
				t.Errorf("got %q, suggestion %q; want %q and %q in them", got.Message, got.Suggestion, tt.message, tt.suggestion)
			}
			want := fmt.Sprintf("line %d, column %d: %s; %s", tt.line, tt.column, got.Message, got.Suggestion)
			if got.Error() != want {
				t.Errorf("Error(): got %q, want %q", got.Error(), want)
			}
		})
	}
}

func TestParse_limits(t *testing.T) {
	t.Parallel()
	nested := func(depth int) string {
		return strings.Repeat("ToLower(", depth) + "[mail]" + strings.Repeat(")", depth)
	}
	tests := []struct{ name, text, message string }{
		{"takes_ten_thousand_characters", `"` + strings.Repeat("Å", expr.MaxLength-2) + `"`, ""},
		{"refuses_one_more", `"` + strings.Repeat("Å", expr.MaxLength-1) + `"`, "10001 characters"},
		{"refuses_a_stored_form_that_is_longer", `Join(""` + strings.Repeat(`,"ab"`, 1900) + `)`, "stored form"},
		{"takes_two_hundred_nested_calls", nested(expr.MaxDepth), ""},
		{"refuses_one_call_more", nested(expr.MaxDepth + 1), "more than 200 deep"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, err := expr.Parse(tt.text)
			if tt.message == "" {
				if err != nil {
					t.Fatalf("Parse: %v", err)
				}
				assertStable(t, e)
				return
			}
			var got *expr.SyntaxError
			if !errors.As(err, &got) || !strings.Contains(got.Message, tt.message) {
				t.Fatalf("got error %v, want %q", err, tt.message)
			}
		})
	}
}

func TestExpr_Attributes_are_named_once_in_order(t *testing.T) {
	t.Parallel()
	e := parse(t, `IIF([country] = "USA", Join(" ", [surname], [givenName]), Coalesce([country], [mail]))`)
	if diff := cmp.Diff([]string{"country", "surname", "givenName", "mail"}, e.Attributes()); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

func TestExpr_Type(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]expr.Type{
		`[mail]`: expr.TypeAttribute, `"x"`: expr.TypeConstant, `5`: expr.TypeConstant, `ToLower([mail])`: expr.TypeFunction,
		`"a" & "b"`: expr.TypeFunction,
	} {
		if got := parse(t, text).Type(); got != want {
			t.Errorf("type of %s: got %s, want %s", text, got, want)
		}
	}
}

func TestExpr_Notes(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"nothing_about_the_full_switch", `Switch([x], , "a", "b")`, ""},
		{"the_completed_switch_shows_its_stored_form", `Switch([x], "a", "b")`, `1:1 stored as Switch([x], , "a", "b")`},
		{"a_switch_on_a_test_for_emptiness", `Switch(IsNullOrEmpty([x]), , "True", "b")`, "1:8 advises against"},
		{"a_condition_about_emptiness", `IIF(IsNullOrEmpty([x]), "a", [x])`, "1:5 in Entra the condition fails"},
		{"a_comparison_with_the_empty_text", `IIF([x] = "", "a", [x])`, "1:9 in Entra the condition fails"},
		{"nothing_about_another_comparison", `IIF([x] = "USA", "a", [x])`, ""},
		{"the_other_dialects_operator", `ToLower([a] & [b])`, `1:13 no & operator`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			notes := parse(t, tt.text).Notes()
			if tt.want == "" {
				if len(notes) != 0 {
					t.Fatalf("got notes %v, want none", notes)
				}
				return
			}
			place, text, _ := strings.Cut(tt.want, " ")
			if len(notes) != 1 || !strings.Contains(notes[0].Message, text) || fmt.Sprintf("%d:%d", notes[0].Line, notes[0].Column) != place {
				t.Fatalf("got notes %v, want one at %s with %q", notes, place, text)
			}
		})
	}
}

func parse(t testing.TB, text string) *expr.Expr {
	t.Helper()
	e, err := expr.Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return e
}
