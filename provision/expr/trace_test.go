package expr_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

// drawn returns a trace as text, with an indented line for each step.
func drawn(s *expr.Step, depth int) string {
	what := s.Value.Text()
	switch {
	case s.Skipped:
		what = "skipped"
	case s.Err != nil:
		what = "fails"
	case s.IsRedacted():
		what = "[Redact]"
	case s.Value.IsNull():
		what = "null"
	}
	text := fmt.Sprintf("%s%d:%d %s = %s\n", strings.Repeat("  ", depth), s.Line, s.Column, s.Expression, what)
	for _, child := range s.Steps {
		text += drawn(child, depth+1)
	}
	return text
}

func TestExpr_Trace(t *testing.T) {
	t.Parallel()
	person := map[string]expr.Value{"country": expr.String("USA"), "givenName": expr.String("Ada"), "id": expr.String("17"), "mails": expr.List([]string{"a", "b"})}
	tests := []struct{ name, text, want string }{
		{"an_attribute", `[givenName]`, `1:1 [givenName] = Ada`},
		{"each_step_in_the_order_of_the_text", "Switch([country], \"none\",\n \"USA\", ToUpper([givenName]), \"NO\", [x])", `
1:1 Switch([country], "none", "USA", ToUpper([givenName]), "NO", [x]) = ADA
  1:8 [country] = USA
  1:19 "none" = skipped
  2:2 "USA" = USA
  2:9 ToUpper([givenName]) = ADA
    2:17 [givenName] = Ada
  2:31 "NO" = skipped
  2:37 [x] = skipped`},
		{"a_branch_that_is_not_taken", `IIF([country] = "NO", Error("x"), [nothing])`, `
1:1 IIF([country] = "NO", Error("x"), [nothing]) = null
  1:15 [country] = "NO" = False
    1:5 [country] = USA
    1:17 "NO" = NO
  1:23 Error("x") = skipped
    1:29 "x" = skipped
  1:35 [nothing] = null`},
		{"an_error", `Join("", Left([mails], 1), [id])`, `
1:1 Join("", Left([mails], 1), [id]) = fails
  1:6 "" = 
  1:10 Left([mails], 1) = fails
    1:15 [mails] = a, b
    1:24 1 = skipped
  1:28 [id] = skipped`},
		{"a_value_that_is_not_shown", `Join("-", [givenName], Redact(Append([id], "x")))`, `
1:1 Join("-", [givenName], Redact(Append([id], "x"))) = [Redact]
  1:6 "-" = -
  1:11 [givenName] = Ada
  1:24 Redact(Append([id], "x")) = [Redact]
    1:31 Append([id], "x") = [Redact]
      1:38 [id] = [Redact]
      1:44 "x" = [Redact]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := parse(t, tt.text)
			v, steps, err := e.Trace(envOf(person))
			plain, plainErr := e.Eval(envOf(person))
			if v.Text() != plain.Text() || fmt.Sprint(err) != fmt.Sprint(plainErr) {
				t.Errorf("Trace yields %q, %v and Eval yields %q, %v", v.Text(), err, plain.Text(), plainErr)
			}
			if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n")+"\n", drawn(steps, 0)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	person := map[string]expr.Value{"id": expr.String("secret17"), "country": expr.String("NO")}
	tests := []struct{ text, value, log string }{
		{`Redact([id])`, "secret17", "[Redact]"},
		{`Join("", "a", Redact([id]))`, "asecret17", "[Redact]"},
		{`IIF([country] = "NO", [country], Redact([id]))`, "NO", "NO"},
		{`[id]`, "secret17", "secret17"},
	}
	for _, tt := range tests {
		v, err := parse(t, tt.text).Eval(envOf(person))
		if err != nil || v.Text() != tt.value || expr.LogText(v) != tt.log || v.IsRedacted() != (tt.log == "[Redact]") {
			t.Errorf("%s: got %q, %q in logs, %v, want %q and %q", tt.text, v.Text(), expr.LogText(v), err, tt.value, tt.log)
		}
	}
	for _, text := range []string{`CDate(Redact([id]))`, `Error(Redact([id]))`, `IIF(Redact([id]), "a", "b")`, `SelectUniqueValue(Redact([id]), "x")`, `Left("a", Redact([id]))`} {
		env := envOf(person)
		env.Taken = func(string) (bool, error) { return true, nil }
		if _, err := parse(t, text).Eval(env); err == nil || strings.Contains(err.Error(), "secret17") {
			t.Errorf("%s: got error %v, want one that does not show the value", text, err)
		}
	}
}
