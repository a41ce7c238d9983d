package expr_test

import (
	"testing"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

// BenchmarkGuideMapping evaluates the 19 sources of the guide's user mapping for one person.
func BenchmarkGuideMapping(b *testing.B) {
	sources := []string{
		`[userPrincipalName]`, `Switch([IsSoftDeleted], , "False", "True", "True", "False")`, `[displayName]`, `[jobTitle]`, `[mail]`, `[preferredLanguage]`,
		`[givenName]`, `[surname]`, `Join(" ", [givenName], [surname])`, `[physicalDeliveryOfficeName]`, `[streetAddress]`, `[city]`, `[state]`,
		`[postalCode]`, `[country]`, `[telephoneNumber]`, `[mobile]`, `[facsimileTelephoneNumber]`, `[mailNickname]`,
	}
	var rows []*expr.Expr
	person := map[string]expr.Value{"IsSoftDeleted": expr.String("False")}
	for _, text := range sources {
		e := parse(b, text)
		rows = append(rows, e)
		for _, name := range e.Attributes() {
			if _, ok := person[name]; !ok {
				person[name] = expr.String("value of " + name)
			}
		}
	}
	env := envOf(person)
	b.ReportAllocs()
	for b.Loop() {
		for _, row := range rows {
			if v, err := row.Eval(env); err != nil || v.IsNull() {
				b.Fatalf("%s: %v, %v", row, v, err)
			}
		}
	}
}
