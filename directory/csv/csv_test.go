package csv_test

import (
	stdcsv "encoding/csv"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
)

// read returns the rows and the row errors of a file.
func read(t *testing.T, text string) ([]directory.Row, []string) {
	t.Helper()
	r, err := csv.NewReader(strings.NewReader(text), directory.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var rows []directory.Row
	var problems []string
	for row, err := range r.Rows() {
		var broken *directory.RowError
		switch {
		case errors.As(err, &broken):
			problems = append(problems, err.Error())
		case err != nil:
			t.Fatal(err)
		default:
			rows = append(rows, row)
		}
	}
	return rows, problems
}

func row(line int, pairs ...string) directory.Row {
	r := directory.Row{Line: line, Values: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		r.Values[pairs[i]] = pairs[i+1]
	}
	return r
}

func TestReader(t *testing.T) {
	t.Parallel()
	const ada, bob = "ada@contoso.example", "bob@contoso.example"
	tests := map[string]struct {
		text     string
		rows     []directory.Row
		problems []string
	}{
		"reads_plain_rows": {
			text: "userPrincipalName,displayName\nada@contoso.example,Ada\nbob@contoso.example,\n",
			rows: []directory.Row{row(2, "userPrincipalName", ada, "displayName", "Ada"), row(3, "userPrincipalName", bob, "displayName", "")},
		},
		"byte_order_mark_crlf_and_no_line_end_at_the_end": {
			text: "\xef\xbb\xbfUSERPRINCIPALNAME,DisplayName\r\nada@contoso.example,Ada\r\nbob@contoso.example,Bob",
			rows: []directory.Row{row(2, "userPrincipalName", ada, "displayName", "Ada"), row(3, "userPrincipalName", bob, "displayName", "Bob")},
		},
		"byte_order_mark_before_a_quoted_header": {
			text: "\xef\xbb\xbf\"userPrincipalName\"\nada@contoso.example\n",
			rows: []directory.Row{row(2, "userPrincipalName", ada)},
		},
		"quoted_line_ends_commas_and_quotes": {
			text: "userPrincipalName,streetAddress\r\nada@contoso.example,\"1, Main \"\"St\"\"\r\nFloor 2\"\r\nbob@contoso.example,x\r\n",
			rows: []directory.Row{row(2, "userPrincipalName", ada, "streetAddress", "1, Main \"St\"\nFloor 2"), row(4, "userPrincipalName", bob, "streetAddress", "x")},
		},
		"blank_lines_are_skipped_and_counted": {
			text: "\nuserPrincipalName\n\nada@contoso.example\n\n",
			rows: []directory.Row{row(4, "userPrincipalName", ada)},
		},
		"a_stray_quote_names_line_and_column_and_stops_nothing_else": {
			text:     "userPrincipalName,displayName,city\nada@contoso.example,Ada \"the\" first,X\nbob@contoso.example,Bob,Y\n",
			rows:     []directory.Row{row(3, "userPrincipalName", bob, "displayName", "Bob", "city", "Y")},
			problems: []string{`line 2, column displayName: a double quote is out of place; write a value that contains one as "say ""hello"""`},
		},
		"an_unclosed_quote_costs_one_row": {
			text: "userPrincipalName,city\nada@contoso.example,\"Paris\nbob@contoso.example,Bonn\n",
			rows: []directory.Row{row(3, "userPrincipalName", bob, "city", "Bonn")},
			problems: []string{
				`line 2, column city: a double quote is out of place; write a value that contains one as "say ""hello"""`,
			},
		},
		"text_after_a_closing_quote": {
			text:     "userPrincipalName,city\n\"ada@contoso.example\"x,Paris\nbob@contoso.example,Bonn\n",
			rows:     []directory.Row{row(3, "userPrincipalName", bob, "city", "Bonn")},
			problems: []string{`line 2, column userPrincipalName: a double quote is out of place; write a value that contains one as "say ""hello"""`},
		},
		"too_few_and_too_many_values": {
			text: "userPrincipalName,displayName,city\nada@contoso.example,Ada\nbob@contoso.example,Bob,Bonn,1\nada@contoso.example,Ada,\n",
			rows: []directory.Row{row(2, "userPrincipalName", ada, "displayName", "Ada"), row(4, "userPrincipalName", ada, "displayName", "Ada", "city", "")},
			problems: []string{
				"line 3: the row has 4 values, the header 3 columns; put a value that contains the separator in double quotes",
			},
		},
		"bytes_that_are_not_utf8": {
			text: "userPrincipalName,city\nada@contoso.example,M\xfcnchen\nbob@contoso.example,München\n",
			rows: []directory.Row{
				{
					Line: 2, Values: map[string]string{"userPrincipalName": ada},
					Problems: []directory.RowError{{Line: 2, Column: "city", Detail: "the value is not UTF-8 text; save the file as UTF-8"}},
				},
				row(3, "userPrincipalName", bob, "city", "München"),
			},
		},
		"a_row_of_commas": {
			text: "userPrincipalName,city\n,\nbob@contoso.example,Bonn\n",
			rows: []directory.Row{row(3, "userPrincipalName", bob, "city", "Bonn")},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, problems := read(t, test.text)
			if diff := cmp.Diff(rows, test.rows); diff != "" {
				t.Errorf("rows (-got +want):\n%s", diff)
			}
			if diff := cmp.Diff(problems, test.problems); diff != "" {
				t.Errorf("problems (-got +want):\n%s", diff)
			}
		})
	}
}

// TestReader_reads_no_part_of_a_file_again_and_again: a quoted value of a million lines, and a
// million lines each of which could be the beginning of one, cost what their bytes cost.
func TestReader_reads_no_part_of_a_file_again_and_again(t *testing.T) {
	t.Parallel()
	const head, last = "userPrincipalName,city\n", "bob@contoso.example,Bonn\n"
	t.Run("a_quoted_value_of_many_lines", func(t *testing.T) {
		t.Parallel()
		value := strings.Repeat("\n", 500_000)
		rows, problems := read(t, head+"ada@contoso.example,\""+value+"\"\n"+last)
		want := []directory.Row{row(2, "userPrincipalName", "ada@contoso.example", "city", value), row(500_003, "userPrincipalName", "bob@contoso.example", "city", "Bonn")}
		if diff := cmp.Diff(rows, want); diff != "" || problems != nil {
			t.Errorf("%v (-got +want):\n%.300s", problems, diff)
		}
	})
	t.Run("many_quotes_that_never_close", func(t *testing.T) {
		t.Parallel()
		// Whether a value is open before it or not, it is open after it.
		r, err := csv.NewReader(strings.NewReader(head+strings.Repeat("\"x\",\"\n", 3_000_000)+last), directory.FileOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var ended error
		for _, err := range r.Rows() {
			var broken *directory.RowError
			if err != nil && !errors.As(err, &broken) {
				ended = err
			}
		}
		if ended == nil || !strings.Contains(ended.Error(), "never closed") {
			t.Errorf("got %v, want an end that says why", ended)
		}
	})
}

func TestHeader(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		header string
		want   []string // parts of the error
	}{
		"names_unknown_columns_and_the_flags_that_help": {
			"userPrincipalName,Position,Nickname of dog,\"Kids, names\"\nada@contoso.example,Analyst,Rex,\n",
			[]string{`"Position" (did you mean jobTitle?)`, `"Nickname of dog"`, `Add: --map "Position=jobTitle" --ignore-columns "Kids, names" --ignore-columns "Nickname of dog"`},
		},
		"a_slip_of_the_pen": {"userPrincipalName,departmnt\n", []string{`"departmnt" (did you mean department?)`, `--map "departmnt=department"`}},
		"twice":             {"userPrincipalName,mail,E-Mail\n", []string{`the columns "mail" and "E-Mail" both mean mail`, `--ignore-columns "E-Mail"`}},
		"twice_by_one_name": {"userPrincipalName,mail,mail\n", []string{`the columns "#2" and "#3" both mean mail`, `--ignore-columns "#3"`}},
		"an_email_and_no_name": {
			"Email,First Name\nada@contoso.example,Ada\n", []string{`no column userPrincipalName, but "Email" has addresses`, `Add: --map "Email=userPrincipalName"`},
		},
		"the_address_of_work_goes_before_others": {
			"Personal Email,Work Email,Email\na@b.example,ada@contoso.example,a@c.example\n", []string{`--map "Work Email=userPrincipalName" --map "Work Email=mail" --ignore-columns "Personal Email"`},
		},
		"nothing_to_find_users_by":             {"jobTitle,city\n", []string{"no column says who a row is about", `--map "COLUMN=userPrincipalName"`}},
		"a_column_with_values_without_a_name":  {"userPrincipalName,\nada@contoso.example,x\n", []string{"number 2, which has values and no name", `--ignore-columns "#2"`}},
		"an_id_that_is_no_object_id":           {"id,userPrincipalName\n17,ada@contoso.example\n", []string{`"id" (did you mean employeeId?)`, `--map "id=employeeId"`}},
		"an_objectId_that_is_no_object_id":     {"objectId,userPrincipalName\n17,ada@contoso.example\n", []string{"no object ids, which are GUIDs", `--map "objectId=employeeId"`}},
		"the_same_beside_an_employeeId":        {"objectId,employeeId,userPrincipalName\n17,18,ada@contoso.example\n", []string{`--ignore-columns "objectId"`}},
		"a_workbook":                           {"PK\x03\x04rest", []string{"an Excel workbook", "CSV UTF-8"}},
		"letters_that_encodings_read_in_other": {"userPrincipalName,surname\nd@contoso.example,Dvo\xf8\xe1k\n", []string{`line 2 reads "Dvoøák" as windows-1252, "Dvořák" as windows-1250`, "--encoding windows-1250"}},
		"utf16_that_was_cut":                   {"\xff\xfeu\x00s", []string{"UTF-16", "cut off"}},
		"empty_file":                           {"", []string{"the file is empty"}},
		"blank_file":                           {"\n,,\n\n", []string{"the file is empty"}},
		"header_that_cannot_be_read":           {"userPrincipalName,\"x\n", []string{"line 1, the header, cannot be read"}},
		"a_file_that_is_no_text_at_all":        {strings.Repeat("x", 3<<20), []string{"does not look like a CSV file"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := csv.NewReader(strings.NewReader(test.header), directory.FileOptions{})
			if err == nil {
				t.Fatal("the header was accepted")
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error is %q and lacks %q", err, part)
				}
			}
		})
	}
}

func TestReader_hands_on_an_error_of_the_file(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	_, err := csv.NewReader(io.MultiReader(strings.NewReader("userPrincipalName\nada@contoso.example\n"), iotest.ErrReader(broken)), directory.FileOptions{})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

func TestWriter_writes_what_the_reader_reads(t *testing.T) {
	t.Parallel()
	values := []string{
		"plain", "=HYPERLINK(\"http://evil.example\")", "+44 20 7946 0018", "+1+cmd|' /C calc'!A0", "-5", "-cmd", "@home", "'=quoted", "''=twice", "'plain", "'", "O'Neil",
		"a,b", "say \"hello\"", "two\nlines", " ", "",
	}
	for _, v := range values {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			w := csv.NewWriter(&b, "userPrincipalName", "department", "otherMails", "accountEnabled", "manager")
			u := directory.User{Attributes: map[string]any{"userPrincipalName": "ada@contoso.example", "department": v, "otherMails": []string{"a@b.example", "c@d.example"}}}
			if err := w.Write(u, "boss@contoso.example"); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			rows, problems := read(t, b.String())
			want := []directory.Row{row(2, "userPrincipalName", "ada@contoso.example", "department", v, "otherMails", "a@b.example;c@d.example", "accountEnabled", "false", "manager", "boss@contoso.example")}
			if diff := cmp.Diff(rows, want); diff != "" || problems != nil {
				t.Errorf("%v (-got +want):\n%s", problems, diff)
			}
		})
	}
}

func TestWriter_lets_no_formula_begin_a_cell(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"=1+1": "'=1+1", "@x": "'@x", "+1+cmd": "'+1+cmd", "-x": "'-x", "+44 20 7946-0018": "+44 20 7946-0018", "-5": "-5", "'=x": "''=x", "x=1": "x=1",
		"\n=1": "\"'\n=1\"", "＝1+1": "'＝1+1", "＋cmd": "'＋cmd", "－5": "－5",
	}
	for value, want := range tests {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			w := csv.NewWriter(&b, "department")
			if err := errors.Join(w.Write(directory.User{Attributes: map[string]any{"department": value}}, ""), w.Flush()); err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSuffix(strings.TrimPrefix(b.String(), "department\n"), "\n"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestWriter_writes_the_header_without_users(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := csv.NewWriter(&b).Flush(); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.TrimSuffix(b.String(), "\n"), strings.Join(directory.AttributeNames(), ","); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzReader(f *testing.F) {
	f.Add("userPrincipalName,city\nada@contoso.example,\"a\nb\"\n")
	f.Add("userPrincipalName,city\n\"\"\"\n\",\"\n")
	f.Add("userPrincipalName,city,mail\n\"x\",\"\n\"x\",\"\nada@contoso.example,Bonn,a@b\n")
	f.Add("\xef\xbb\xbfmail,objectId\r\n,\"\r\n\"\"")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := csv.NewReader(strings.NewReader(text), directory.FileOptions{})
		if err != nil {
			return
		}
		last := 0
		for row, err := range r.Rows() {
			var broken *directory.RowError
			line := row.Line
			if errors.As(err, &broken) {
				line = broken.Line
			} else if err != nil {
				t.Fatal(err)
			}
			if line <= last || line > strings.Count(text, "\n")+strings.Count(text, "\r")+1 {
				t.Fatalf("line %d after %d in %q", line, last, text)
			}
			last = line
			if err == nil {
				checkWrittenAndRead(t, row)
			}
		}
	})
}

// checkWrittenAndRead writes the values of a row as an export does: no cell is a formula, and
// reading gives the values back.
func checkWrittenAndRead(t *testing.T, row directory.Row) {
	t.Helper()
	// What is written is one value of each user; ="x" is read as x, and spaces around a value do
	// not count.
	columns := slices.DeleteFunc(slices.Sorted(maps.Keys(row.Values)), func(name string) bool {
		return name == "accountEnabled" || name == "objectId" || strings.TrimSpace(row.Values[name]) == ""
	})
	u := directory.User{Attributes: map[string]any{}}
	for _, name := range columns {
		u.Attributes[name] = row.Values[name]
	}
	columns = append(columns, "objectId")
	u.ObjectID = "3f2b8c1e-5d60-4b7a-9a51-0c7de2f4a9b8"
	var b strings.Builder
	w := csv.NewWriter(&b, columns...)
	if err := errors.Join(w.Write(u, row.Values["manager"]), w.Flush()); err != nil {
		t.Fatal(err)
	}
	cells, err := stdcsv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, cell := range cells[1] {
		if strings.ContainsAny(cell[:min(1, len(cell))], "=@\t\r\n") {
			t.Errorf("the cell %q is a formula", cell)
		}
	}
	again, problems := read(t, b.String())
	if len(again) != 1 || problems != nil {
		t.Fatalf("%q was written as %q and read as %v, %v", row.Values, b.String(), again, problems)
	}
	for _, name := range columns[:len(columns)-1] {
		// RFC 4180 readers take CRLF inside quotes for LF.
		if got, want := again[0].Values[name], strings.ReplaceAll(row.Values[name], "\r\n", "\n"); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
