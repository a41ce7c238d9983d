package expr_test

import (
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/provision/expr"
)

// place describes a row that writes a string attribute. edit may change the description.
func place(edit func(p *expr.Place)) expr.Place {
	p := expr.Place{
		Source: []expr.Attribute{
			{Name: "mail", Type: expr.AttributeString},
			{Name: "givenName", Type: expr.AttributeString},
			{Name: "hired", Type: expr.AttributeString},
			{Name: "proxyAddresses", Type: expr.AttributeString, Multivalued: true},
			{Name: "manager", Type: expr.AttributeReference},
		},
		Target: &expr.Attribute{Name: "nickName", Type: expr.AttributeString},
	}
	edit(&p)
	return p
}

func wantProblem(t *testing.T, text string, p expr.Place, column int, says string) {
	t.Helper()
	problems, _ := parse(t, text).Check(p)
	switch {
	case says == "" && len(problems) > 0:
		t.Errorf("%s is refused: %v", text, problems[0])
	case says != "" && len(problems) == 0:
		t.Errorf("%s is accepted", text)
	case says != "" && (problems[0].Column != column || !strings.Contains(problems[0].Message, says) || problems[0].Suggestion == ""):
		t.Errorf("%s: got column %d, %v", text, problems[0].Column, problems[0])
	}
}

func TestALiteralThatCanNeverWorkIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		column int
		says   string
	}{
		`RandomString(5, 0, 0, 0, 5, "abcdefghijklmnopqrstuvwxyz")`:          {29, "leaves no character of a kind"},
		`ToLower([mail], "xx_YY")`:                                           {17, "is not a culture name"},
		`ToUpper([mail], Join("", "xx_", "YY"))`:                             {17, "is not a culture name"},
		`DateAdd("yyyy", 99999, [hired])`:                                    {1, "outside of the years 1 to 9999"},
		`DateAdd("yyyy", -10000, CDate([hired]))`:                            {1, "outside of the years 1 to 9999"},
		`Append([mail], DateAdd("d", 99999999, [hired]))`:                    {16, "outside of the years 1 to 9999"},
		`InStr([mail], "@", 0)`:                                              {20, "start of InStr must be 1 or more"},
		`Item(Split([mail], "@"), 0)`:                                        {26, "there is no value 0"},
		`DNComponent([mail], 0)`:                                             {21, "must be 1 or more"},
		`ConvertFromBase64("???")`:                                           {19, "is not Base64"},
		`DateFromNum(-5)`:                                                    {13, "is not a file time"},
		`IIF("perhaps", [mail], "x")`:                                        {5, "must be True or False"},
		`Item([proxyAddresses], 900)`:                                        {0, ""},
		`Item(Split([mail], "@"), 2)`:                                        {0, ""},
		`DateAdd("yyyy", 5, [hired])`:                                        {0, ""},
		`DateAdd("yyyy", 9000, [hired])`:                                     {0, ""}, // works for a date in antiquity
		`ToLower([mail], "tr-TR")`:                                           {0, ""},
		`Mid([mail], 1, 8)`:                                                  {0, ""},
		`IIF([mail] = "x", Error("no mail"), [mail])`:                        {0, ""},
		`RandomString(10, 2, 2, 2, 1, "?,")`:                                 {0, ""},
		`SelectUniqueValue([mail], Append([mail], RandomString(3,3,0,0,0)))`: {0, ""},
		`FormatDateTime([hired], , "yyyyMMdd", "yyyy")`:                      {0, ""},
		`DateDiff("d", Now(), [hired])`:                                      {0, ""},
	} {
		wantProblem(t, text, place(func(p *expr.Place) {}), want.column, want.says)
	}
}

func TestEveryExampleOfAFunctionCanBeSaved(t *testing.T) {
	t.Parallel()
	for _, f := range expr.Functions() {
		for _, x := range f.Examples {
			if x.ErrorText != "" {
				continue
			}
			e := parse(t, x.Expression)
			var p expr.Place
			for _, name := range e.Attributes() {
				p.Source = append(p.Source, expr.Attribute{Name: name, Type: expr.AttributeString})
			}
			if problems, _ := e.Check(p); len(problems) > 0 {
				t.Errorf("%s: %v", x.Expression, problems[0])
			}
		}
	}
}

func TestADrawnValueThatCannotBeKeptIsRefused(t *testing.T) {
	t.Parallel()
	matching := func(p *expr.Place) { p.IsMatching = true }
	onlyNew := func(p *expr.Place) { p.OnlyAtCreation = true }
	always := func(*expr.Place) {}
	for _, tt := range []struct {
		text   string
		edit   func(*expr.Place)
		column int
		says   string
	}{
		{`RandomString(8, 1, 1, 1, 1)`, matching, 1, "accounts are found by this attribute"},
		{`Guid()`, matching, 1, "accounts are found by this attribute"},
		{`SelectUniqueValue([mail], [givenName])`, matching, 1, "accounts are found by this attribute"},
		{`Join("", [givenName], RandomString(8, 1, 1, 1, 1))`, matching, 23, "accounts are found by this attribute"},
		{`Append(SelectUniqueValue([mail], [givenName]), "@x")`, always, 8, "Append makes another value of it"},
		{`ToLower(SelectUniqueValue([mail], [givenName]))`, onlyNew, 9, "ToLower makes another value of it"},
		{`SelectUniqueValue([mail], SelectUniqueValue([mail], [givenName]))`, always, 27, "makes another value of it"},
		{`IIF([mail] = "", RandomString(8, 1, 1, 1, 1), [mail])`, always, 18, "would never be sent again"},
		{`Switch([mail], Guid(), "a", "b")`, always, 16, "would never be sent again"},
		{`Coalesce([mail], Guid())`, always, 18, "would never be sent again"},
		{`Coalesce([mail], Guid())`, onlyNew, 0, ""},
		{`RandomString(8, 1, 1, 1, 1)`, always, 0, ""},
		{`Join("-", [givenName], Mid(Guid(), 1, 8))`, always, 0, ""},
		{`SelectUniqueValue([mail], Append([mail], RandomString(3, 3, 0, 0, 0)))`, always, 0, ""},
		{`SelectUniqueValue(IIF([mail] = "", Guid(), [mail]), [givenName])`, always, 0, ""},
	} {
		wantProblem(t, tt.text, place(tt.edit), tt.column, tt.says)
	}
}

func TestAReferenceTakesAReference(t *testing.T) {
	t.Parallel()
	manager := place(func(p *expr.Place) { p.Target = &expr.Attribute{Name: "manager", Type: expr.AttributeReference} })
	for text, want := range map[string]string{
		`[manager]`:                             "",
		`IIF([mail] = "x", [manager], "")`:      "",
		`Coalesce([manager], "")`:               "",
		`[mail]`:                                "leads to no other object",
		`"Ada"`:                                 "leads to no other object",
		`Join("", [mail], "x")`:                 "leads to no other object",
		`IIF([mail] = "x", "Ada", [givenName])`: "leads to no other object",
	} {
		problems, _ := parse(t, text).Check(manager)
		switch {
		case want == "" && len(problems) > 0:
			t.Errorf("%s is refused: %v", text, problems[0])
		case want != "" && (len(problems) == 0 || !strings.Contains(problems[0].Message, want) || !strings.Contains(problems[0].Suggestion, "[manager]")):
			t.Errorf("%s: got %v", text, problems)
		}
	}
}
