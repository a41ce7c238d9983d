package csv_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
)

// TestBooleans_as_spreadsheets_write_them: in any letter case, and how accents are composed does not count.
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

// TestHeader_asks_about_columns_of_yes_and_no: none that may disable leavers is left out without a word, and none is taken for it that says the opposite.
func TestHeader_asks_about_columns_of_yes_and_no(t *testing.T) {
	t.Parallel()
	tests := []struct{ columns, first, second, flags, said string }{
		{"Aktiv", "ja", "nein", `--map "Aktiv=accountEnabled"`, "did you mean accountEnabled?"},
		{"Aktiv", "ja", "vielleicht", `--map "Aktiv=accountEnabled"`, "did you mean accountEnabled?"},
		{"Im Dienst", "WAHR", "FALSCH", `--map "Im Dienst=accountEnabled"`, "did you mean accountEnabled?"},
		{"Gesperrt", "ja", "nein", `--ignore-columns "Gesperrt"`, "Block sign in"},
		{"Newsletter,Im Dienst", "ja,ja", "nein,nein", `--ignore-columns "Newsletter,Im Dienst"`, "or leavers stay enabled"},
		{"Newsletter,Aktiv", "ja,ja", "nein,nein", `--map "Aktiv=accountEnabled" --ignore-columns "Newsletter"`, "did you mean accountEnabled?"},
		{"Status", "Active", "Voluntarily left", `--ignore-columns "Status"`, "some of its values are those of accountEnabled"},
		{"Team", "Red", "Blue", `--ignore-columns "Team"`, ""},
	}
	for _, test := range tests {
		_, err := csv.NewReader(strings.NewReader(fmt.Sprintf("userPrincipalName,%s\na@contoso.example,%s\nb@contoso.example,%s\n", test.columns, test.first, test.second)))
		if err == nil || !strings.HasSuffix(err.Error(), "Add: "+test.flags) || !strings.Contains(err.Error(), test.said) {
			t.Errorf("%s of %s, %s: got %v, want %s", test.columns, test.first, test.second, err, test.flags)
		}
	}

	file, err := csv.Open(strings.NewReader("userPrincipalName,Aktiv\na@contoso.example,ja\n"), directory.FileOptions{IgnoreUnknown: true})
	if err != nil || !strings.Contains(strings.Join(file.Notes, " "), `"Aktiv" was left out, although`) {
		t.Errorf("left out with all: got %v, %v", file, err)
	}
}
