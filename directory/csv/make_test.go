package csv_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
)

// TestMake builds values from cells: without accents, with dots for spaces, without what an empty
// cell leaves behind.
func TestMake(t *testing.T) {
	t.Parallel()
	const header = "First Name,Middle,Last Name,Full,Login\n"
	const upn = "{First Name}.{Last Name}@example.com"
	tests := map[string]struct{ attribute, template, row, want string }{
		"two_names":                   {"userPrincipalName", upn, "Ada,,Lovelace,,", "ada.lovelace@example.com"},
		"accents":                     {"userPrincipalName", upn, "Jürgen Åke,,Weißmüller-Łęcki,,", "jurgen.ake.weissmuller-lecki@example.com"},
		"composed_and_decomposed":     {"userPrincipalName", upn, "Zoe\u0308,,Nun\u0303ez,,", "zoe.nunez@example.com"},
		"apostrophes_and_blanks":      {"userPrincipalName", upn, "  D’Arcy ,,O'Neill  Jr.,,", "darcy.oneill.jr@example.com"},
		"space_that_does_not_break":   {"userPrincipalName", upn, "Ada\u00a0B,,Berg,,", "ada.b.berg@example.com"},
		"an_empty_cell_in_the_middle": {"userPrincipalName", "{First Name}.{Middle}.{Last Name}@example.com", "Ada,,Lovelace,,", "ada.lovelace@example.com"},
		"one_name_only":               {"userPrincipalName", upn, "Sukarno,,,,", "sukarno@example.com"},
		"a_short_row":                 {"userPrincipalName", upn, "Sukarno", "sukarno@example.com"},
		"last_name_first":             {"userPrincipalName", "{Full}@example.com", `,,,"van Dyke, Ann",`, "ann.van.dyke@example.com"},
		"first_letter":                {"userPrincipalName", "{First Name:1}{Last Name}@example.com", "Ödön,,Horváth,,", "ohorvath@example.com"},
		"by_number_and_attribute":     {"userPrincipalName", "{#1}.{surname}@example.com", "Ada,,Lovelace,,", "ada.lovelace@example.com"},
		"a_whole_address":             {"userPrincipalName", "{Login}", ",,,,Ada@Example.com", "ada@example.com"},
		"all_empty":                   {"userPrincipalName", upn, ",,,,x", ""},
		"letters_that_are_not_latin":  {"userPrincipalName", upn, "雪,,山田,,", "has letters outside a to z"},
		"an_address_with_a_domain":    {"userPrincipalName", "{Login}@example.com", ",,,,ada@contoso.example", "is a whole address already"},
		"another_attribute":           {"companyName", "{Last Name}, {First Name}", "Zoë,,O'Neill  Smith,,", "O'Neill Smith, Zoë"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, err := csv.Open(strings.NewReader(header+test.row+"\n"), directory.FileOptions{
				Make: []directory.Template{{Attribute: test.attribute, Text: test.template}}, IgnoreUnknown: true,
			})
			if err != nil && !strings.Contains(name, "another") {
				t.Fatal(err)
			}
			if err != nil { // without a way to find people, it needs one
				file, err = csv.Open(strings.NewReader(header+test.row+"\n"), directory.FileOptions{
					Make: []directory.Template{{Attribute: test.attribute, Text: test.template}, {Attribute: "userPrincipalName", Text: upn}}, IgnoreUnknown: true,
				})
			}
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for row, err := range file.Rows {
				if err != nil {
					t.Fatal(err)
				}
				got = row.Values[test.attribute]
				for _, p := range row.Problems {
					got += p.Detail
				}
			}
			if got != test.want && (!strings.Contains(test.want, " ") || !strings.Contains(got, test.want)) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestMakeKeepsWhatARowSays builds only where the row's own cell is empty.
func TestMakeKeepsWhatARowSays(t *testing.T) {
	t.Parallel()
	file, err := csv.Open(strings.NewReader("userPrincipalName,givenName,surname\nown@contoso.example,Ada,Berg\n,Bo,Li\n"), directory.FileOptions{
		Make: []directory.Template{{Attribute: "userPrincipalName", Text: "{givenName}.{surname}@example.com"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for row := range file.Rows {
		got = append(got, row.Values["userPrincipalName"])
	}
	if diff := cmp.Diff(got, []string{"own@contoso.example", "bo.li@example.com"}); diff != "" {
		t.Errorf("-got +want:\n%s", diff)
	}
}

func TestTemplatesThatCannotBuild(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"userPrincipalName={Frist}@example.com":               `names the column "Frist", which the file does not have; its columns are First, Last`,
		"userPrincipalName={First@example.com":                "a brace without its partner",
		"userPrincipalName=First}@example.com":                "a brace without its partner",
		"userPrincipalName={First}":                           "has no domain",
		"userPrincipalName=everyone@example.com":              "names no column",
		`userPrincipalName=Join("@", [First], "example.com")`: "write the name of a column in braces",
		"userPrincipalName={First:x}@example.com":             `takes "x" characters`,
		"userPrincipalNaem={First}@example.com":               "did you mean userPrincipalName?",
		"accountEnabled={First}":                              "accountEnabled cannot be built",
	} {
		attribute, text, _ := strings.Cut(template, "=")
		_, err := csv.Open(strings.NewReader("First,Last\nAda,Berg\n"), directory.FileOptions{Make: []directory.Template{{Attribute: attribute, Text: text}}, IgnoreUnknown: true})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", template, err, want)
		}
	}
}

// TestCutFiles says that the end of a file is missing. A short row with a line end, and a whole row
// without one, are as people write them.
func TestCutFiles(t *testing.T) {
	t.Parallel()
	const head = "userPrincipalName,displayName,city\nada@contoso.example,Ada,Lund\n"
	for text, want := range map[string]string{
		head + "bob@contoso.example,Bo":                                        "The last row, line 3, has 2 of 3 columns and no line end. The file may have been cut off.",
		head + "bob@contoso.example,\"Bo":                                      "The last row, line 3, ends inside a value in double quotes.",
		head + "bob@contoso.example,\"Bo\n":                                    "",
		head + "bob@contoso.example,Bo\n":                                      "",
		head + "bob@contoso.example,Bo\r":                                      "",
		head + "bob@contoso.example,Bo,Malm\xc3":                               "The last row, line 3, ends inside a character.",
		head + "bob@contoso.example,Bo,Malmö":                                  "",
		head + "bob@contoso.example,Bo,":                                       "",
		strings.ReplaceAll(head, "\n", ",\n") + "bob@contoso.example,Bo,Ystad": "",
	} {
		file, err := csv.Open(strings.NewReader(text), directory.FileOptions{})
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		notes := strings.Join(file.Notes, " ")
		if want == "" && (file.CutReason != "" || notes != "") || !strings.HasPrefix(file.CutReason, want) || !strings.Contains(notes, want) {
			t.Errorf("%q: got %q and the notes %q, want %q", text, file.CutReason, notes, want)
		}
	}
	var problem string
	r, err := csv.NewReader(strings.NewReader(head+"bob@contoso.example,\"Bo"), directory.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range r.Rows() {
		if err != nil {
			problem = err.Error()
		}
	}
	if want := "the file ends inside this value"; !strings.Contains(problem, want) {
		t.Errorf("got %q, want %q", problem, want)
	}
}

func TestTheSeparatorCanBeSaid(t *testing.T) {
	t.Parallel()
	for name, sep := range map[string]string{"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "^": "^", "~": "~", ":": ":"} {
		file, err := csv.Open(strings.NewReader("sep=,\nuserPrincipalName"+sep+"displayName\nada@contoso.example"+sep+"Ada\n"), directory.FileOptions{Separator: name})
		if err != nil || len(file.Columns) != 2 || file.Separator != sep {
			t.Errorf("%s: got %+v, %v", name, file.Columns, err)
		}
	}
	for _, name := range []string{"ab", "a", `"`, "\n"} {
		if _, err := csv.Open(strings.NewReader("userPrincipalName\n"), directory.FileOptions{Separator: name}); err == nil || !strings.Contains(err.Error(), "cannot separate columns") {
			t.Errorf("%q: got %v", name, err)
		}
	}
}
