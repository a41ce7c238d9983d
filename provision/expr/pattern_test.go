package expr_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

func TestReplace_ends_a_hostile_pattern(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("a", 5_000)
	tests := []struct{ name, text, source, want string }{
		{"repetitions_inside_repetitions", `Replace([x], , "^(a+)+$", , "", , )`, strings.Repeat("a", 40) + "!", "took too long"},
		{"alternatives_that_overlap", `Replace([x], , "^(a|a|aa)+$", , "", , )`, strings.Repeat("a", 60) + "!", "took too long"},
		{"a_back_reference", `Replace([x], , "^(a*)*\\1b$", , "", , )`, strings.Repeat("a", 40), "took too long"},
		{"a_look_ahead", `Replace([x], , "^(?=(a+)+$).*", , "", , )`, strings.Repeat("a", 40) + "!", "took too long"},
		{"a_pattern_that_another_attribute_gives", `Replace("` + strings.Repeat("a", 40) + `!", , [x], , "", , )`, "^(a+)+$", "took too long"},
		{"matches_that_are_slow_together", `Replace([x], , "a(?=.*.*.*b|c|)", , "", , )`, many, "took too long"},
		{"a_string_that_is_too_long", `Replace([x], , "a", , "b", , )`, strings.Repeat("a", expr.MaxPatternInputChars+1), "more than 10000 characters"},
		{"a_pattern_that_is_too_long", `Replace("a", , [x], , "b", , )`, strings.Repeat("a", expr.MaxPatternBytes+1), "more than 2000 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(t, tt.text).Eval(envOf(map[string]expr.Value{"x": expr.String(tt.source)}))
			var failed *expr.EvalError
			if !errors.As(err, &failed) || failed.Function != "Replace" || !strings.Contains(failed.Message, tt.want) {
				t.Errorf("got error %v, want one of Replace with %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "aaaaaaaaaa") {
				t.Errorf("the error shows the string: %v", err)
			}
		})
	}
}

func TestReplace_has_the_regular_expressions_of_net(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, source, pattern, group, replacement, want string }{
		{"look_ahead", "ada@a.com", `.(?=@)`, "", "X", "adX@a.com"},
		{"negative_look_ahead", "a1 b2", `[a-z](?!1)`, "", "X", "a1 X2"},
		{"look_behind", "EUR 17", `(?<=EUR )\\d+`, "", "X", "EUR X"},
		{"negative_look_behind", "-1 2", `(?<!-)\\d`, "", "X", "-1 X"},
		{"a_back_reference", "hello", `(.)\\1`, "", "$1", "helo"},
		{"a_named_back_reference", "hello", `(?<c>.)\\k<c>`, "", "${c}", "helo"},
		{"no_case", "Ada", `(?i)a`, "", "x", "xdx"},
		{"unicode_digits", "٣", `\\d`, "", "x", "x"},
		{"unicode_classes", "Åb", `\\p{Lu}`, "", "x", "xb"},
		{"an_atomic_group", "aab", `(?>a+)b`, "", "x", "x"},
		{"lazy", "<a><b>", `<.+?>`, "", "x", "xx"},
		{"empty_matches", "ab", `[0-9]*`, "", "-", "-a-b-"},
		{"numbers_of_groups", "Ada Lovelace", `(\\w+) (\\w+)`, "", "$2, $1", "Lovelace, Ada"},
		{"the_whole_match", "ab", `b`, "", "[$&$0]", "a[bb]"},
		{"what_is_around", "abc", `b`, "", "[$`|$']", "a[a|c]c"},
		{"the_last_group", "ab", `(a)(b)`, "", "$+", "b"},
		{"the_whole_string", "ab", `b`, "", "$_", "aab"},
		{"a_dollar_sign", "17", `^`, "", "$$", "$17"},
		{"a_group_that_does_not_exist", "ab", `b`, "", "$7${no}$", "a$7${no}$"},
		{"a_number_longer_than_its_group", "ab", `(b)`, "", "$10", "ab0"},
		{"a_number_in_braces", "ab", `(b)`, "", "${1}0", "ab0"},
		{"a_group_that_took_no_part", "b", `(a)?b`, "", "[$1]", "[]"},
		{"one_group_alone", "+47 1, +47 2", `(?<c>\\+47) \\d`, "c", "0047", "0047 1, 0047 2"},
		{"one_group_with_a_literal_replacement", "ab", `a(?<c>b)`, "c", "$0", "a$0"},
		{"one_group_that_took_no_part", "b", `(?<c>a)?b`, "c", "x", "b"},
		{"a_group_by_number", "ab", `a(b)`, "1", "x", "ax"},
		{"characters_outside_ascii", "Åse Østby", `(?<c>Ø)s`, "c", "O", "Åse Ostby"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			group := ""
			if tt.group != "" {
				group = `"` + tt.group + `"`
			}
			e := parse(t, `Replace([x], , "`+tt.pattern+`", `+group+`, "`+tt.replacement+`", , )`)
			env := envOf(map[string]expr.Value{"x": expr.String(tt.source), "p": expr.String(strings.ReplaceAll(tt.pattern, `\\`, `\`))})
			got, err := e.Eval(env)
			if err != nil || got.Text() != tt.want {
				t.Errorf("%s: got %q, %v, want %q", e, got.Text(), err, tt.want)
			}
			other := parse(t, `Replace([x], , [p], `+group+`, "`+tt.replacement+`", , )`)
			if got, err := other.Eval(env); err != nil || got.Text() != tt.want {
				t.Errorf("%s: got %q, %v, want %q", other, got.Text(), err, tt.want)
			}
		})
	}
}
