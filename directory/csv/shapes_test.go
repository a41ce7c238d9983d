package csv_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/unicode"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
)

func utf16(t *testing.T, order unicode.Endianness, mark unicode.BOMPolicy, text string) string {
	t.Helper()
	out, err := unicode.UTF16(order, mark).NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestReader_reads_files_as_people_have_them: every shape gives the same two people.
func TestReader_reads_files_as_people_have_them(t *testing.T) {
	t.Parallel()
	const plain = "userPrincipalName,surname,accountEnabled\nada@contoso.example,Müller,true\nbob@contoso.example,Öst,false\n"
	separated := func(sep string) string { return strings.ReplaceAll(plain, ",", sep) }
	tests := map[string]struct {
		text    string
		options directory.FileOptions
		note    string
	}{
		"utf8":                         {text: plain},
		"semicolons":                   {text: separated(";")},
		"spaces_around_quotes":         {text: "userPrincipalName, \"surname\" ,accountEnabled\n\"ada@contoso.example\" , \"Müller\", \"true\"\nbob@contoso.example,  \"Öst\"  ,\"false\" \n"},
		"words_for_leavers":            {text: "userPrincipalName,surname,accountEnabled\nada@contoso.example,Müller,Aktiv\nbob@contoso.example,Öst,Deactivated\n"},
		"tabs":                         {text: separated("\t")},
		"pipes":                        {text: separated("|")},
		"a_line_that_says_the_pipe":    {text: "sep=|\r\n" + separated("|")},
		"carriage_returns_alone":       {text: strings.ReplaceAll(plain, "\n", "\r")},
		"line_ends_of_every_kind":      {text: strings.Replace(strings.Replace(plain, "\n", "\r\n", 1), "true\n", "true\r", 1)},
		"utf16_little_endian_marked":   {text: utf16(t, unicode.LittleEndian, unicode.UseBOM, plain), note: "The file is UTF-16."},
		"utf16_big_endian_marked":      {text: utf16(t, unicode.BigEndian, unicode.UseBOM, plain), note: "The file is UTF-16."},
		"utf16_little_endian_unmarked": {text: utf16(t, unicode.LittleEndian, unicode.IgnoreBOM, separated("\t")), note: "The file is UTF-16."},
		"utf16_big_endian_unmarked":    {text: utf16(t, unicode.BigEndian, unicode.IgnoreBOM, plain), note: "The file is UTF-16."},
		"windows_1252_that_is_certain": {text: strings.NewReplacer("ü", "\xfc", "Ö", "\xd6").Replace(plain), note: `The file is not UTF-8; it was read as Windows-1252 ("Müller").`},
		"windows_1252_that_is_said":    {text: strings.NewReplacer("ü", "\xfc", "Ö", "\xd6").Replace(plain), options: directory.FileOptions{Encoding: "Windows-1252"}},
		"ibm_850_that_is_said":         {text: strings.NewReplacer("ü", "\x81", "Ö", "\x99").Replace(plain), options: directory.FileOptions{Encoding: "cp850"}},
		"a_second_header_of_labels":    {text: "USER_PRINCIPAL_NAME,LASTNAME,ACCOUNT_ENABLED\nUser Principal Name,Last Name,Account Enabled\n" + strings.SplitAfterN(plain, "\n", 2)[1], note: "Line 2 names the columns once more. It was left out."},
		"words_of_the_file": {
			text: strings.NewReplacer("true", "Primary  Owner", "false", "gone away").Replace(plain), options: directory.FileOptions{EnabledWords: []string{"", " primary owner"}, DisabledWords: []string{"Gone Away "}},
		},
		"a_separator_of_two_bytes":    {text: strings.ReplaceAll(strings.ReplaceAll(plain, ",", "§"), "Müller", "\"Müller\""), options: directory.FileOptions{Separator: "§"}},
		"a_title_above_the_header":    {text: "\"Staff, all of them\",,\n\n" + plain, note: `Above the header: "Staff, all of them". It was left out.`},
		"the_end_of_a_file_of_dos":    {text: plain + "\x1a"},
		"two_byte_order_marks":        {text: "\ufeff\ufeff" + plain},
		"names_with_what_nobody_sees": {text: "\ufeffuserPrincipal\u00adName\u200b,\"Last\nName\",account\u2011enabled\n" + strings.SplitAfterN(plain, "\n", 2)[1]},
		"empty_columns_at_the_end":    {text: strings.ReplaceAll(plain, "\n", ",,\n")},
		"long_rows_of_empty_cells":    {text: strings.ReplaceAll(plain, "true\n", "true,,\n")},
		"names_in_other_letters":      {text: strings.Replace(plain, "userPrincipalName,surname,accountEnabled", "USER_PRINCIPAL_NAME,Last Name,Account enabled", 1)},
		"entra_user_download": {
			text: "userPrincipalName,displayName,surname,mail,givenName,id,userType,accountEnabled,directorySynced,createdDateTime\n" +
				"ada@contoso.example,,Müller,,,3f2b8c1e-5d60-4b7a-9a51-0c7de2f4a9b8,Member,True,FALSE,2024-01-01\nbob@contoso.example,,Öst,,,3f2b8c1e-5d60-4b7a-9a51-0c7de2f4a9b9,Member,False,FALSE,2024-01-01\n",
			note: "Left out, because a user here has nothing of the kind: userType, directorySynced, createdDateTime.",
		},
		"entra_bulk_template": {
			text: "version:v1.0,,,\nUser name [userPrincipalName] Required,Initial password [passwordProfile] Required,Block sign in (Yes/No) [accountEnabled] Required,Last name [surname]\n" +
				"\"Example: chris@contoso.example\",secret,No,Green\nada@contoso.example,secret1,No,Müller\nbob@contoso.example,secret2,Yes,Öst\n",
			note: "Left out, because a user here has nothing of the kind: Initial password [passwordProfile] Required.",
		},
		"columns_that_are_mapped_and_left_out": {
			text:    "Login,Born,Surname,Works here\nada@contoso.example,1815,Müller,yes\nbob@contoso.example,1816,Öst,no\n",
			options: directory.FileOptions{Map: []directory.ColumnMap{{Column: "login", Attribute: "userPrincipalName"}, {Column: "#4", Attribute: "accountEnabled"}}, Ignore: []string{"born"}},
		},
		"unknown_columns_that_are_left_out": {
			text:    strings.Replace(plain, "\n", ",Shoes\n", 1),
			options: directory.FileOptions{IgnoreUnknown: true},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := csv.Open(strings.NewReader(test.text), test.options)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for row, err := range f.Rows {
				if err != nil {
					t.Fatal(err)
				}
				var u directory.User
				if err := u.Set("accountEnabled", row.Values["accountEnabled"]); err != nil {
					t.Error(err)
				}
				got = append(got, row.Values["userPrincipalName"]+" "+row.Values["surname"]+" "+u.Text("accountEnabled"))
			}
			if diff := cmp.Diff(got, []string{"ada@contoso.example Müller true", "bob@contoso.example Öst false"}); diff != "" {
				t.Errorf("-got +want:\n%s", diff)
			}
			if note := strings.Join(f.Notes, " "); note != test.note {
				t.Errorf("got the note %q, want %q", note, test.note)
			}
		})
	}
}

// TestReader_keeps_what_spaces_before_quotes_hold: separators, line ends and doubled quotes inside.
func TestReader_keeps_what_spaces_before_quotes_hold(t *testing.T) {
	t.Parallel()
	r, err := csv.NewReader(strings.NewReader("userPrincipalName, displayName, city\na@contoso.example, \"B, \"\"C\"\" \nD \" , \"\"\nb@contoso.example,\tx, \"y\"\n"), directory.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]string
	for row, err := range r.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, row.Values)
	}
	want := []map[string]string{
		{"userPrincipalName": "a@contoso.example", "displayName": "B, \"C\" \nD ", "city": ""},
		{"userPrincipalName": "b@contoso.example", "displayName": "\tx", "city": "y"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// TestHeader_offers_the_column_that_disables_leavers: a user who takes the flags of the message
// keeps no leaver enabled.
func TestHeader_offers_the_column_that_disables_leavers(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][2]string{
		"Status": {"Aktiv", "Inaktiv"}, "User status": {"Active", "Deactivated"}, "Lifecycle status": {"Employed", "Terminated"},
		"Actif": {"Oui", "Non"}, "Position Status": {"Active", "Terminated"},
	} {
		_, err := csv.NewReader(strings.NewReader("userPrincipalName,"+name+"\na@contoso.example,"+values[0]+"\nb@contoso.example,"+values[1]+"\n"), directory.FileOptions{})
		if want := `--map "` + name + `=accountEnabled"`; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("column %q: got %v, want %s", name, err, want)
		}
	}
}
