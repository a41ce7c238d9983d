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

// BenchmarkLargeMapping evaluates 60 rows for one person. A third of the rows are attributes; the
// others are nested functions.
func BenchmarkLargeMapping(b *testing.B) {
	sources := []string{
		`[userPrincipalName]`, `[displayName]`, `[mail]`, `[jobTitle]`, `[department]`,
		`Join(" ", [givenName], [surname])`,
		`ToLower(Join(".", NormalizeDiacritics(StripSpaces([givenName])), NormalizeDiacritics(StripSpaces([surname]))))`,
		`Switch([IsSoftDeleted], , "False", "True", "True", "False")`,
		`IIF(IsPresent([companyName]), Left([companyName], 20), Coalesce([department], "none"))`,
		`Append(Mid([userPrincipalName], 1, 8), ".test")`,
		`Replace([mail], "@contoso.com", , , "@example.com", , )`,
		`Replace([telephoneNumber], , "\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})", , "${phoneNumber}", , )`,
		`IgnoreFlowIfNullOrEmpty(Word([displayName], 2, " "))`,
		`PCase(Join(" ", [surname], [givenName]))`,
		`FormatDateTime([hired], , "yyyy-MM-ddzzz", "yyyy-MM-dd")`,
	}
	person := map[string]expr.Value{
		"userPrincipalName": expr.String("zoe.asgard@contoso.com"), "mail": expr.String("zoe.asgard@contoso.com"), "givenName": expr.String("Zoë"),
		"surname": expr.String("Åsgård"), "displayName": expr.String("Zoë Åsgård"), "IsSoftDeleted": expr.String("False"), "department": expr.String("Engineering"),
		"jobTitle": expr.String("Engineer"), "companyName": expr.String("Example Company Limited"), "telephoneNumber": expr.String("+91 9998887777"),
		"hired": expr.String("2020-03-16-07:00"),
	}
	var rows []*expr.Expr
	for len(rows) < 60 {
		for _, text := range sources {
			rows = append(rows, parse(b, text))
		}
	}
	env := envOf(person)
	b.ReportAllocs()
	for b.Loop() {
		for _, row := range rows {
			if _, err := row.Eval(env); err != nil {
				b.Fatalf("%s: %v", row, err)
			}
		}
	}
}
