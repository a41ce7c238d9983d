package directory_test

import (
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
)

func importText(t *testing.T, h *directory.Handle, text string, o directory.FileOptions) directory.ImportReport {
	t.Helper()
	file, err := csv.Open(strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	report, err := h.Import(t.Context(), file.Rows, directory.ImportOptions{Columns: file.ColumnNames(), CutReason: file.CutReason})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestImport_of_rows_that_mean_the_same: two spellings of one name in rows that are otherwise the
// same are one user, new or not.
func TestImport_of_rows_that_mean_the_same(t *testing.T) {
	t.Parallel()
	h, m := world(start{"ada", "", ""})
	report := importText(t, h, "userPrincipalName,surname,accountEnabled\neva@contoso.example,Berg,ja\nEva@contoso.example ,Berg,TRUE\nADA@contoso.example,Lund,yes\nada@contoso.example, Lund ,1\n", directory.FileOptions{})
	if report.Created != 1 || report.Updated != 1 || len(report.Errors) != 0 || len(report.Duplicates) != 2 || report.Duplicates[0] != (directory.DuplicateRow{Line: 3, RepeatsLine: 2}) {
		t.Errorf("got %+v", report)
	}
	if got := m.people(); len(got) != 2 {
		t.Errorf("got the users %v, want two", got)
	}
	report = importText(t, h, "userPrincipalName,surname\nnew@contoso.example,Berg\nNew@contoso.example,Lund\n", directory.FileOptions{})
	if report.Created != 0 || len(report.Errors) != 2 {
		t.Errorf("rows that differ: got %+v", report)
	}
}

// TestImport_says_what_a_row_is_that_is_no_user.
func TestImport_says_what_a_row_is_that_is_no_user(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ file, want string }{
		"comment_for_an_employeeId": {"employeeId,userPrincipalName\n# leavers of May\n", `line 2, column employeeId: the row looks like a comment: it has "# leavers of May" here`},
		"comment_for_an_objectId":   {"objectId,userPrincipalName\n3f2b8c1e-5d60-4b7a-9a51-0c7de2f4a9b8,a@contoso.example\n#comment\n", `line 3, column objectId: the row looks like a comment`},
		"comment_for_a_name":        {"userPrincipalName,surname\n#comment, with a comma\n", `line 2, column userPrincipalName: the row looks like a comment`},
		"one_value":                 {"employeeId,userPrincipalName\nTotal 12,\n", "The row has one value only"},
		"bad_boolean": {
			"userPrincipalName,Aktiv\neva@contoso.example,vielleicht\n", `line 2, column Aktiv: accountEnabled is true or false, not "vielleicht". Write true, yes, active or enabled, or false, no, inactive or disabled, or say what the word means with --enabled-words or --disabled-words`,
		},
		"refused_manager": {
			"employeeId,userPrincipalName,accountEnabled,manager\n7,boss@contoso.example,perhaps,\n8,eva@contoso.example,ja,Boss@contoso.example\n9,bo@contoso.example,ja,7\n",
			"line 3, column manager: the row of Boss@contoso.example, line 2, was refused",
		},
		"refused_manager_by_number": {
			"employeeId,userPrincipalName,accountEnabled,manager\n7,boss@contoso.example,perhaps,\n9,bo@contoso.example,ja,7\n", "line 3, column manager: the row of 7, line 2, was refused",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := world()
			o := directory.FileOptions{}
			if name == "bad_boolean" {
				o.Map = []directory.ColumnMap{{Column: "Aktiv", Attribute: "accountEnabled"}}
			}
			if got := said(importText(t, h, test.file, o)); !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}

	// Somebody whose employeeId begins with # is no comment.
	h, _ := world(start{"ada", "#7", ""})
	if report := importText(t, h, "employeeId,surname\n#7,Lund\n", directory.FileOptions{}); report.Updated != 1 || len(report.Errors) != 0 {
		t.Errorf("got %+v", report)
	}
}
