package directory_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
)

// importBuilt imports a file whose userPrincipalNames are built from the names of people.
func importBuilt(t *testing.T, h *directory.Handle, text string, o directory.ImportOptions) directory.ImportReport {
	t.Helper()
	file, err := csv.Open(strings.NewReader(text), directory.FileOptions{
		IgnoreUnknown: true, Make: []directory.Template{{Attribute: "userPrincipalName", Text: "{First}.{Last}@contoso.example"}},
		Map: []directory.ColumnMap{{Column: "First", Attribute: "givenName"}, {Column: "Last", Attribute: "surname"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Columns, o.CutReason = file.ColumnNames(), file.CutReason
	report, err := h.Import(t.Context(), file.Rows, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func said(r directory.ImportReport) string {
	var lines []string
	for _, e := range r.Errors {
		lines = append(lines, e.Error())
	}
	return strings.Join(lines, "\n")
}

// TestImport_of_built_names_never_takes_one_person_for_another: rows whose built names are the same
// name each other, whatever else they say.
func TestImport_of_built_names_never_takes_one_person_for_another(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		file    string
		created int
		said    []string // the errors contain
	}{
		"with_employeeIds": {
			"First,Last,employeeId\nJohn,Smith,1\nAda,Berg,2\nJOHN,Smíth,3\n", 1,
			[]string{"line 2, column userPrincipalName: line 4 has userPrincipalName john.smith@contoso.example as well", "line 4, column userPrincipalName: line 2 has", "the employee number"},
		},
		"that_differ_in_a_column_that_is_left_out": {
			"First,Last,Born\nJohn,Smith,1970\nAda,Berg,1980\nJohn,Smith,1990\n", 1,
			[]string{"line 2, column userPrincipalName: line 4 has", "line 4, column userPrincipalName: line 2 has"},
		},
		"that_are_the_same_row_twice": {"First,Last,Born\nJohn,Smith,1970\nJohn,Smith,1970\n", 1, nil},
		"where_one_has_a_name_of_its_own": {
			"First,Last,employeeId,userPrincipalName\nJohn,Smith,1,\nJohn,Smith,3,john2@contoso.example\n", 2, nil,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := world()
			report := importBuilt(t, h, test.file, directory.ImportOptions{})
			if report.Created != test.created || (len(report.Errors) == 0) != (test.said == nil) {
				t.Errorf("got %d created and %q", report.Created, said(report))
			}
			for _, part := range test.said {
				if !strings.Contains(said(report), part) {
					t.Errorf("got %q, which lacks %q", said(report), part)
				}
			}
			again := importBuilt(t, h, test.file, directory.ImportOptions{})
			if test.said == nil && again.Unchanged != test.created {
				t.Errorf("again: got %+v", again)
			}
		})
	}
}

// TestImport_of_built_names_meets_people_who_are_there: someone found by the employeeId keeps the
// name, and a name is never shared.
func TestImport_of_built_names_meets_people_who_are_there(t *testing.T) {
	t.Parallel()
	h, m := world(start{"ada", "E1", ""}, start{"john.smith", "E2", ""})
	report := importBuilt(t, h, "First,Last,employeeId\nAda,Lund,E1\nJohn,Smith,E9\nEve,New,E3\n", directory.ImportOptions{})
	if report.Updated != 1 || report.Created != 1 || !strings.Contains(said(report), "line 3, column userPrincipalName: userPrincipalName john.smith@contoso.example belongs to Person 2") || !strings.Contains(said(report), "The name was built") {
		t.Errorf("got %+v, %s", report, said(report))
	}
	if got := m.people(); !strings.HasPrefix(got[0], "1 ada E1") {
		t.Errorf("got %v", got)
	}

	// Without a key beside the name, two rows may be about the one who is there or not: neither is
	// written.
	h, m = world(start{"john.smith", "", ""})
	before := m.people()
	report = importBuilt(t, h, "First,Last,Born\nJohn,Smith,1970\nJohn,Smith,1990\n", directory.ImportOptions{})
	if report.Updated+report.Created+report.Unchanged != 0 || !strings.Contains(said(report), "and of line 3 as well") || !strings.Contains(said(report), "and of line 2 as well") {
		t.Errorf("got %+v, %s", report, said(report))
	}
	if diff := cmp.Diff(m.people(), before); diff != "" {
		t.Errorf("-got +want:\n%s", diff)
	}
}

// TestImport_of_a_cut_file_deletes_nobody, unless that is forced.
func TestImport_of_a_cut_file_deletes_nobody(t *testing.T) {
	t.Parallel()
	people := []start{{"ada", "E1", ""}}
	for range 20 {
		people = append(people, start{"p" + string(rune('a'+len(people))), "", ""})
	}
	h, _ := world(people...)
	text := "First,Last,employeeId\n,,E1\n,X"
	report := importBuilt(t, h, text, directory.ImportOptions{Absent: directory.AbsentSoftDelete})
	if report.SoftDeleted != 0 || !strings.Contains(report.Refused, "the file may have been cut off") {
		t.Errorf("got %d deleted, %q", report.SoftDeleted, report.Refused)
	}
	if report = importBuilt(t, h, text, directory.ImportOptions{Absent: directory.AbsentSoftDelete, Force: true}); report.SoftDeleted != 20 {
		t.Errorf("forced: got %d deleted, %q", report.SoftDeleted, report.Refused)
	}
}
