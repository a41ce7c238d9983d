package csv

import (
	stdcsv "encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/directory"
)

// ReadGroups reads a file of groups. Its first line names the columns: objectId, displayName,
// description, mailNickname and mail, or the names in Entra's download of groups. ReadGroups leaves
// out all other columns and adds a note about them.
func ReadGroups(r io.Reader) (directory.GroupFile, error) {
	t, err := readTable(r)
	if err != nil {
		return directory.GroupFile{}, err
	}
	if err := t.findColumnMeanings(groupColumn); err != nil {
		return directory.GroupFile{}, err
	}
	for _, name := range t.names {
		if slices.Contains([]string{"userprincipalname", "upn", "username", "login"}, squeezeColumnName(name)) {
			return directory.GroupFile{}, fileError("the file has a column %s: it holds users, not groups", strings.TrimSpace(name))
		}
	}
	if !slices.Contains(t.columnMeanings, "displayName") && !slices.Contains(t.columnMeanings, "objectId") {
		return directory.GroupFile{}, fileError("no column names the groups: call it displayName (the columns are %s)", strings.Join(t.names, ", "))
	}
	return t.groupFile(), nil
}

// ReadMembers reads a file of memberships. If oneGroup is true, the file lists the members of a
// single group: one member in each line, with or without a header, or in the form of Entra's
// template for importing members. Otherwise the first line names the columns group and member.
func ReadMembers(r io.Reader, oneGroup bool) (directory.GroupFile, error) {
	t, err := readTable(r)
	if err != nil {
		return directory.GroupFile{}, err
	}
	if oneGroup && len(t.names) == 1 && memberColumn(t.names[0]) == "" {
		// The file has no header: its first line is a member.
		t.records = append([]record{{line: t.headerLine, cells: t.names}}, t.records...)
		t.names, t.columnMeanings = []string{directory.RowMember}, []string{directory.RowMember}
		return t.groupFile(), nil
	}
	if err := t.findColumnMeanings(memberColumn); err != nil {
		return directory.GroupFile{}, err
	}
	has := func(what string) bool { return slices.Contains(t.columnMeanings, what) }
	switch {
	case !has(directory.RowMember):
		return directory.GroupFile{}, fileError("no column names the members: call it member (the columns are %s)", strings.Join(t.names, ", "))
	case !oneGroup && !has(directory.RowGroup):
		return directory.GroupFile{}, fileError("no column names the groups: call it group (the columns are %s)", strings.Join(t.names, ", "))
	}
	return t.groupFile(), nil
}

// groupColumn returns the attribute of groups that a column's name stands for, or "" if there is
// none.
func groupColumn(name string) string {
	switch squeezeColumnName(name) {
	case "objectid", "id", "groupid", "groupobjectid", "objectguid":
		return "objectId"
	case "displayname", "name", "group", "groupname", "groupdisplayname":
		return "displayName"
	case "description", "groupdescription":
		return "description"
	case "mailnickname", "alias", "nickname":
		return "mailNickname"
	case "mail", "email", "groupemail", "emailaddress":
		return "mail"
	}
	return ""
}

// memberColumn returns the meaning of a column's name in a file of memberships: group, member, or
// "" if the name means neither.
func memberColumn(name string) string {
	switch squeezeColumnName(name) {
	case "group", "groupid", "groupname", "groupobjectid", "groupdisplayname":
		return directory.RowGroup
	case "member", "memberid", "memberobjectid", "memberobjectidorupn", "memberobjectidoruserprincipalname", "memberupn", "memberuserprincipalname",
		"objectid", "id", "userid", "user", "userprincipalname", "upn", "username":
		return directory.RowMember
	}
	return ""
}

// squeezeColumnName returns a column's name in lower case without spaces and punctuation. If the
// name has a part in brackets, as in Entra's templates, it uses only this part.
func squeezeColumnName(name string) string {
	if m := bracketPattern.FindStringSubmatch(name); m != nil {
		name = m[1]
	}
	return squeezeName(name)
}

// table is the content of a file of groups or memberships.
type table struct {
	names          []string // the names of the columns as they are written in the file
	columnMeanings []string // an attribute's name, directory.RowGroup or directory.RowMember for each column; "" for a column that is left out
	headerLine     int      // the line number of the header
	records        []record
	notes          []string // sentences for the user about the reading of the file
	hasExampleLine bool     // whether the file is one of Entra's templates, which have an example line
}

// readTable reads a file of groups or memberships. It does not interpret the names of the columns.
func readTable(r io.Reader) (*table, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFileBytes {
		return nil, fileError("the file is larger than %d MiB; split it", maxFileBytes>>20)
	}
	text, note, err := decode(b, "")
	if err != nil {
		return nil, err
	}
	t := &table{}
	if note != "" {
		t.notes = append(t.notes, note)
	}
	l, said := &recordSplitter{text: text, separator: ','}, false
	for {
		text, ok := l.peek()
		if !ok {
			return nil, fileError("the file is empty; its first line names the columns")
		}
		switch trimmed := strings.TrimSpace(text); {
		case strings.Trim(trimmed, ",;|\t \u00a0") == "" || typeLine.MatchString(trimmed):
		case versionLine.MatchString(trimmed):
			t.hasExampleLine = true
		case separatorLine.MatchString(trimmed):
			l.separator, said = []rune(separatorLine.FindStringSubmatch(trimmed)[1])[0], true
		default:
			if !said {
				l.separator = likelySeparator(text)
			}
			return t, t.read(l)
		}
		l.skipLine()
	}
}

// likelySeparator returns the separator that occurs most often in the header.
func likelySeparator(header string) rune {
	best, most := ',', 0
	for _, sep := range ",;\t|" {
		if n := strings.Count(header, string(sep)); n > most {
			best, most = sep, n
		}
	}
	return best
}

// read reads the header and all records.
func (t *table) read(l *recordSplitter) error {
	text, line, err := l.nextRecord()
	if err != nil {
		return err
	}
	if t.names, err = splitRecord(text, l.separator); err != nil {
		return fileError("line %d, the header, cannot be read: %v", line, err)
	}
	t.headerLine = line
	rd := Reader{}
	rd.readRecords(l)
	t.records = rd.records
	return rd.readErr
}

// findColumnMeanings sets columnMeanings. meaning returns the meaning of one column's name. If
// several columns mean the same, all but the first are left out.
func (t *table) findColumnMeanings(meaning func(string) string) error {
	var out []string
	for _, name := range t.names {
		m := meaning(name)
		if m == "" || slices.Contains(t.columnMeanings, m) {
			m = ""
			if strings.TrimSpace(name) != "" {
				out = append(out, strings.TrimSpace(name))
			}
		}
		t.columnMeanings = append(t.columnMeanings, m)
	}
	if len(out) > 0 {
		t.notes = append(t.notes, "Left out: "+strings.Join(out, ", ")+".")
	}
	return nil
}

// groupFile returns the rows of the table, and the rows that cannot be used with their errors.
func (t *table) groupFile() directory.GroupFile {
	f := directory.GroupFile{Notes: t.notes}
	for _, rec := range t.records {
		switch {
		case rec.err != nil:
			f.Broken = append(f.Broken, directory.RowError{Line: rec.line, Detail: rec.err.Error()})
			continue
		case t.hasExampleLine && len(rec.cells) > 0 && strings.HasPrefix(strings.TrimSpace(rec.cells[0]), "Example:"):
			continue
		case len(rec.cells) > len(t.columnMeanings) && strings.TrimSpace(strings.Join(rec.cells[len(t.columnMeanings):], "")) != "":
			f.Broken = append(f.Broken, directory.RowError{Line: rec.line, Detail: fmt.Sprintf(
				"the row has %d values, the header %d columns; put a value that contains the separator in double quotes", len(rec.cells), len(t.columnMeanings))})
			continue
		}
		row := directory.Row{Line: rec.line, Values: map[string]string{}}
		for i, cell := range rec.cells[:min(len(rec.cells), len(t.columnMeanings))] {
			if m := t.columnMeanings[i]; m != "" {
				row.Values[m] = strings.TrimSpace(cellText(cell))
			}
		}
		f.Rows = append(f.Rows, row)
	}
	return f
}

// TableWriter writes a CSV file that ReadGroups or ReadMembers can read.
type TableWriter struct{ w *stdcsv.Writer }

// NewTableWriter starts a file: it writes the names of the columns as the first line.
func NewTableWriter(w io.Writer, columns ...string) (*TableWriter, error) {
	t := &TableWriter{w: stdcsv.NewWriter(w)}
	return t, t.w.Write(columns)
}

// Write writes one row. Values that a spreadsheet would run as a formula get an apostrophe.
func (t *TableWriter) Write(cells ...string) error {
	for i, cell := range cells {
		cells[i] = hideFormula(cell)
	}
	return t.w.Write(cells)
}

// Flush writes the buffered rows.
func (t *TableWriter) Flush() error {
	t.w.Flush()
	return t.w.Error()
}
