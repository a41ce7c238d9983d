package csv_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
)

// TestBooleans_as_spreadsheets_write_them: in any case, and however accents are composed.
func TestBooleans_as_spreadsheets_write_them(t *testing.T) {
	t.Parallel()
	for _, pair := range []string{
		"TRUE FALSE", "Y N", "Yes No", "On Off", "active inactive", "Enabled Disabled", "WAHR FALSCH", "ja nein", "Aktiv Inaktiv", "VRAI FAUX", "Oui Non",
		"VERDADERO FALSO", "sí no", "si\u0301 no", "VERO FALSO", "VERDADEIRO FALSO", "sim não", "WAAR ONWAAR", "PRAWDA FAŁSZ", "tak nie", "SANT FALSKT", "DOĞRU YANLIŞ", "ИСТИНА ЛОЖЬ",
	} {
		yes, no, _ := strings.Cut(pair, " ")
		for text, want := range map[string]bool{yes: true, no: false, strings.ToLower(yes) + " ": true, strings.ToUpper(no): false} {
			u := directory.User{AccountEnabled: !want}
			if err := u.Set("accountEnabled", text); err != nil || u.AccountEnabled != want {
				t.Errorf("%q: got %t, %v", text, u.AccountEnabled, err)
			}
		}
	}
}

// TestHeader_asks_about_columns_of_yes_and_no: none that may disable leavers is left out without a
// word, and none is taken for it that says the opposite.
func TestHeader_asks_about_columns_of_yes_and_no(t *testing.T) {
	t.Parallel()
	tests := []struct{ columns, first, second, flags, said string }{
		{"Aktiv", "ja", "nein", `--map "Aktiv=accountEnabled"`, "did you mean accountEnabled?"},
		{"Aktiv", "ja", "vielleicht", `--map "Aktiv=accountEnabled"`, "did you mean accountEnabled?"},
		{"Im Dienst", "WAHR", "FALSCH", `--map "Im Dienst=accountEnabled"`, "did you mean accountEnabled?"},
		{"Gesperrt", "ja", "nein", `--ignore-columns "Gesperrt"`, "Block sign in"},
		{"Newsletter,Im Dienst", "ja,ja", "nein,nein", `--ignore-columns "Newsletter,Im Dienst"`, "or leavers stay enabled"},
		{"Newsletter,Aktiv", "ja,ja", "nein,nein", `--map "Aktiv=accountEnabled" --ignore-columns "Newsletter"`, "did you mean accountEnabled?"},
		{"Status", "Active", "Voluntarily left", `--map "Status=accountEnabled" --disabled-words "Voluntarily left"`, "some of its values are those of accountEnabled, but not \"Voluntarily left\""},
		{"Status", "Deactivated", "Primary Owner", `--map "Status=accountEnabled" --enabled-words "Primary Owner"`, "say which of these words mean that an account is enabled"},
		{"Team", "Red", "Blue", `--ignore-columns "Team"`, ""},
	}
	for _, test := range tests {
		_, err := csv.NewReader(strings.NewReader(fmt.Sprintf("userPrincipalName,%s\na@contoso.example,%s\nb@contoso.example,%s\n", test.columns, test.first, test.second)), directory.FileOptions{})
		if err == nil || !strings.HasSuffix(err.Error(), "Add: "+test.flags) || !strings.Contains(err.Error(), test.said) {
			t.Errorf("%s of %s, %s: got %v, want %s", test.columns, test.first, test.second, err, test.flags)
		}
	}

	file, err := csv.Open(strings.NewReader("userPrincipalName,Aktiv\na@contoso.example,ja\n"), directory.FileOptions{IgnoreUnknown: true})
	if err != nil || !strings.Contains(strings.Join(file.Notes, " "), `"Aktiv" was left out, although`) {
		t.Errorf("left out with all: got %v, %v", file, err)
	}
}

// A separator of several bytes bounds quoted values like any other.
func TestReader_separator_of_several_bytes(t *testing.T) {
	t.Parallel()
	f, err := csv.Open(strings.NewReader("userPrincipalName§displayName§city\na@contoso.example§\"Ada\nLovelace\"§London\nb@contoso.example§x§\"y\"z\n"), directory.FileOptions{Separator: "§"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for row, err := range f.Rows {
		if err != nil {
			got = append(got, err.Error())
			continue
		}
		got = append(got, row.Values["displayName"]+" of "+row.Values["city"])
	}
	if len(got) != 2 || got[0] != "Ada\nLovelace of London" || !strings.HasPrefix(got[1], "line 4, column city: a double quote is out of place") {
		t.Errorf("got %q", got)
	}

	_, err = csv.Open(strings.NewReader("userPrincipalName,displayName\n"), directory.FileOptions{Separator: "§"})
	if err == nil || !strings.Contains(err.Error(), `the header has no "§" between its columns, but commas`) {
		t.Errorf("got %v", err)
	}
}

// A person called like a column is a person.
func TestReader_second_header_is_no_person(t *testing.T) {
	t.Parallel()
	f, err := csv.Open(strings.NewReader("userPrincipalName,displayName,city\na@contoso.example,Title,City\n"), directory.FileOptions{})
	if err != nil || len(f.Notes) > 0 {
		t.Fatalf("got %v, %v", f.Notes, err)
	}
	for row, err := range f.Rows {
		if err != nil || row.Values["displayName"] != "Title" {
			t.Errorf("got %v, %v", row, err)
		}
	}
}
