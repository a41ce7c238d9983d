package roster

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/refusal"
)

// PeopleColumns lists the columns that a file of people may have, in any order. Only userName is
// required.
func PeopleColumns() []string {
	return []string{"userName", "displayName", "givenName", "familyName", "email", "userIdentifier", "role"}
}

// ReadPeople reads a file of people: comma-separated UTF-8, with the names of the columns in the
// first line. For a line that cannot be read, it returns a refusal.Row in place of the ImportRow.
// It returns an error if the first line is missing or wrong.
func ReadPeople(file io.Reader) ([]ImportRow, []*refusal.Row, error) {
	lines := csv.NewReader(skipByteOrderMark(file))
	lines.FieldsPerRecord = -1
	header, err := lines.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil, refusal.New(refusal.Invalid, "", "the file is empty").Advise("its first line must name the columns: %s", strings.Join(PeopleColumns(), ","))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the first line: %w", err)
	}
	if err := checkHeader(header); err != nil {
		return nil, nil, err
	}
	var rows []ImportRow
	var wrong []*refusal.Row
	for {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return rows, wrong, nil
		}
		var unreadable *csv.ParseError
		switch {
		case errors.As(err, &unreadable):
			wrong = append(wrong, ImportRow{Line: unreadable.Line}.refuse(refusal.New(refusal.Invalid, "", "at character %d: %v", unreadable.Column, unreadable.Err).
				Advise("put a value with quotes or commas between quotes and double the quotes in it")))
			continue
		case err != nil:
			return nil, nil, fmt.Errorf("read people: %w", err)
		}
		line, _ := lines.FieldPos(0)
		if len(fields) != len(header) {
			wrong = append(wrong, ImportRow{Line: line}.refuse(refusal.New(refusal.Invalid, "", "this line has %d values and the first line names %d columns", len(fields), len(header)).
				Advise("a value with a comma goes between quotes")))
			continue
		}
		rows = append(rows, importRowOf(line, header, fields))
	}
}

// skipByteOrderMark skips the byte order mark that spreadsheets write at the start.
func skipByteOrderMark(file io.Reader) io.Reader {
	mark := []byte("\ufeff")
	r := bufio.NewReader(file)
	if begin, _ := r.Peek(len(mark)); bytes.Equal(begin, mark) {
		_, _ = r.Discard(len(mark)) // cannot fail, because Peek has read these bytes
	}
	return r
}

// checkHeader corrects the case of the column names in header. It refuses unknown, repeated and
// missing columns.
func checkHeader(header []string) error {
	known := PeopleColumns()
	for i, name := range header {
		at := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, strings.TrimSpace(name)) })
		if at < 0 {
			return refusal.New(refusal.Invalid, "", "the first line names the column %q, which is not one of %s", name, strings.Join(known, ",")).Advise("separate columns with commas")
		}
		if slices.Contains(header[:i], known[at]) {
			return refusal.New(refusal.Invalid, known[at], "the first line names the column %s twice", known[at])
		}
		header[i] = known[at]
	}
	if !slices.Contains(header, "userName") {
		return refusal.New(refusal.Invalid, "userName", "the first line does not name the column userName")
	}
	return nil
}

// importRowOf returns the row with these fields. header names the columns.
func importRowOf(line int, header, fields []string) ImportRow {
	row := ImportRow{Line: line}
	for i, name := range header {
		switch name {
		case "userName":
			row.UserName = fields[i]
		case "displayName":
			row.DisplayName = fields[i]
		case "givenName":
			row.GivenName = fields[i]
		case "familyName":
			row.FamilyName = fields[i]
		case "email":
			row.Email = fields[i]
		case "userIdentifier":
			row.UserIdentifier = fields[i]
		case "role":
			row.Role = Role(fields[i])
		}
	}
	return row
}
