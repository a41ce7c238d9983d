package csv

import (
	stdcsv "encoding/csv"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/directory"
)

// Writer writes users to a CSV file. The file is complete only after Flush.
type Writer struct {
	w             *stdcsv.Writer
	columns       []string
	headerWritten bool // whether the header line was written
}

// NewWriter returns a Writer that writes to w. It writes the attributes in columns, or all
// attributes if columns is empty.
func NewWriter(w io.Writer, columns ...string) *Writer {
	if len(columns) == 0 {
		columns = directory.AttributeNames()
	}
	return &Writer{w: stdcsv.NewWriter(w), columns: columns}
}

// Write writes one user. manager is the userPrincipalName of the user's manager.
func (w *Writer) Write(u directory.User, manager string) error {
	if err := w.writeHeader(); err != nil {
		return err
	}
	values := make([]string, len(w.columns))
	for i, name := range w.columns {
		v := u.Text(name)
		if name == "manager" {
			v = manager
		}
		values[i] = hideFormula(v)
	}
	return w.w.Write(values)
}

func (w *Writer) writeHeader() error {
	if w.headerWritten {
		return nil
	}
	w.headerWritten = true
	return w.w.Write(w.columns)
}

// Flush writes the buffered rows. If no user was written, it writes the header.
func (w *Writer) Flush() error {
	if err := w.writeHeader(); err != nil {
		return err
	}
	w.w.Flush()
	return w.w.Error()
}

// hideFormula puts an apostrophe before a value that a spreadsheet would run as a formula, and
// before a value from which revealFormula would remove an apostrophe.
func hideFormula(v string) string {
	if isFormula(v) || v != revealFormula(v) {
		return "'" + v
	}
	return v
}

// revealFormula removes the apostrophe that hideFormula added.
func revealFormula(v string) string {
	rest, ok := strings.CutPrefix(v, "'")
	if ok && isFormula(strings.TrimLeft(rest, "'")) {
		return rest
	}
	return v
}

// isFormula reports whether a spreadsheet would run the value as a formula, because of a first
// character such as = or @. Spreadsheets in East Asian languages also accept the full-width forms
// of these characters.
func isFormula(v string) bool {
	first, n := utf8.DecodeRuneInString(v)
	switch first {
	case '=', '@', '\t', '\r', '\n', '＝', '＠':
		return true
	case '+', '-', '＋', '－':
		return strings.Trim(v[n:], "0123456789 ()./-") != ""
	}
	return false
}
