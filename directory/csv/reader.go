package csv

import (
	"bufio"
	"bytes"
	stdcsv "encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/directory"
)

// Bounds of a file, so that one with unclosed quotes neither fills the memory nor is read again and again.
const (
	maxRowBytes  = 1 << 20
	maxGivenBack = 16 << 20 // bytes that were read in search of closing quotes that are not there
	looksWrong   = "this does not look like a CSV file"
)

// Reader reads users row by row.
type Reader struct {
	lines   *lines
	columns []string
}

// NewReader reads the header. Its error names every unknown column, what was probably meant, and the columns there are.
func NewReader(r io.Reader) (*Reader, error) {
	rd := &Reader{lines: newLines(r)}
	text, line, err := rd.lines.record()
	for err == nil && strings.TrimSpace(text) == "" {
		text, line, err = rd.lines.record()
	}
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the file is empty; its first line names the columns, such as userPrincipalName,displayName,accountEnabled")
	}
	if err != nil {
		return nil, err
	}
	names, err := parse(text, 0)
	if err != nil {
		return nil, fmt.Errorf("line %d, the header, cannot be read: %w", line, err)
	}
	rd.columns, err = checkHeader(names)
	return rd, err
}

// Rows reads the header and gives the rows of a file.
func Rows(r io.Reader) (iter.Seq2[directory.Row, error], error) {
	rd, err := NewReader(r)
	if err != nil {
		return nil, err
	}
	return rd.Rows(), nil
}

// Columns gives the attribute of each column.
func (r *Reader) Columns() []string { return slices.Clone(r.columns) }

// Rows yields the rows once. An error that is no *directory.RowError ends it.
func (r *Reader) Rows() iter.Seq2[directory.Row, error] {
	return func(yield func(directory.Row, error) bool) {
		for {
			row, err := r.next()
			if errors.Is(err, io.EOF) {
				return
			}
			var broken *directory.RowError
			if !yield(row, err) || err != nil && !errors.As(err, &broken) {
				return
			}
		}
	}
}

func (r *Reader) next() (directory.Row, error) {
	for {
		text, line, err := r.lines.record()
		if err != nil {
			return directory.Row{}, err
		}
		if strings.TrimSpace(text) == "" {
			continue
		}
		values, err := parse(text, len(r.columns))
		if err != nil {
			return directory.Row{}, r.rowError(line, err)
		}
		return r.row(line, values)
	}
}

func (r *Reader) row(line int, values []string) (directory.Row, error) {
	if strings.Join(values, "") == "" {
		return directory.Row{}, &directory.RowError{Line: line, Detail: "the row has no values; remove it"}
	}
	if len(values) != len(r.columns) {
		return directory.Row{}, r.countError(line, len(values))
	}
	row := directory.Row{Line: line, Values: make(map[string]string, len(values))}
	for i, v := range values {
		if !utf8.ValidString(v) {
			return directory.Row{}, &directory.RowError{Line: line, Column: r.columns[i], Detail: "the value is not UTF-8 text; save the file as UTF-8"}
		}
		row.Values[r.columns[i]] = revealed(v)
	}
	return row, nil
}

func (r *Reader) countError(line, n int) error {
	e := &directory.RowError{Line: line}
	if n > len(r.columns) {
		e.Detail = fmt.Sprintf("the row has %d values, the header %d columns; put a value that contains a comma in double quotes", n, len(r.columns))
		return e
	}
	e.Column = r.columns[n]
	e.Detail = fmt.Sprintf("the row ends after %d of %d values; write an empty value as two commas", n, len(r.columns))
	return e
}

func (r *Reader) rowError(line int, err error) error {
	e := &directory.RowError{Line: line, Detail: err.Error()}
	var at *quoteError
	if errors.As(err, &at) && at.field < len(r.columns) {
		e.Column = r.columns[at.field]
	}
	return e
}

func checkHeader(names []string) ([]string, error) {
	columns := make([]string, len(names))
	var unknown []string
	for i, name := range names {
		name = strings.TrimSpace(revealed(name))
		a, ok := directory.AttributeNamed(name)
		if !ok {
			unknown = append(unknown, describe(name, i))
			continue
		}
		if slices.Contains(columns, a.Name) {
			return nil, fmt.Errorf("the column %s is there twice; remove one", a.Name)
		}
		columns[i] = a.Name
	}
	if unknown != nil {
		hint := ""
		if len(names) == 1 && strings.ContainsAny(names[0], ";\t") {
			hint = " (columns are separated by commas, not by semicolons or tabs)"
		}
		return nil, fmt.Errorf("unknown column %s%s; known columns are: %s", strings.Join(unknown, ", "), hint, strings.Join(directory.AttributeNames(), ", "))
	}
	if !slices.Contains(columns, "objectId") && !slices.Contains(columns, "userPrincipalName") {
		return nil, errors.New("the file has neither a column objectId nor a column userPrincipalName, by which users are found")
	}
	return columns, nil
}

func describe(name string, i int) string {
	if name == "" {
		return fmt.Sprintf("without a name (number %d)", i+1)
	}
	if near := directory.Suggest(name); near != "" {
		return fmt.Sprintf("%q (did you mean %s?)", name, near)
	}
	return fmt.Sprintf("%q", name)
}

// quoteError is a misplaced double quote; field counts from zero.
type quoteError struct {
	field  int
	detail string
}

func (e *quoteError) Error() string { return e.detail }

// parse reads one record. want is the number of columns, used to make room.
func parse(text string, want int) ([]string, error) {
	rd := stdcsv.NewReader(strings.NewReader(text))
	rd.FieldsPerRecord = -1
	values, err := rd.Read()
	if err == nil {
		return values, nil
	}
	var at *stdcsv.ParseError
	if errors.As(err, &at) {
		return nil, &quoteError{field: fieldAt(text, want), detail: `a double quote is out of place; write a value that contains one as "say ""hello"""`}
	}
	return nil, err
}

// fieldAt counts the fields of a broken record up to the first misplaced quote.
func fieldAt(text string, most int) int {
	field, start, quoted := 0, true, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '"' && i+1 < len(text) && text[i+1] == '"':
			i++
		case quoted && c == '"':
			quoted = false
			if rest := text[i+1:]; rest != "" && rest[0] != ',' && strings.TrimRight(rest, "\r\n") != "" {
				return field
			}
		case quoted:
		case c == '"' && start:
			quoted, start = true, false
		case c == '"':
			return field
		case c == ',':
			field, start = field+1, true
		default:
			start = false
		}
	}
	return min(field, max(most-1, 0))
}

// lines cuts a file into records: lines, where a quoted line end belongs to its record. It does so without trusting the quotes: a record whose quotes
// are misplaced ends at its first line end, so that the rows after it are not swallowed.
type lines struct {
	r    *bufio.Reader
	line int // of the last line read
	// pending are lines that were read in search of a closing quote and given back.
	pending   []string
	givenBack int // bytes of them, over all records
	err       error
}

func newLines(r io.Reader) *lines {
	b := bufio.NewReaderSize(r, 64<<10)
	if mark, err := b.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = b.Discard(3) // three bytes that Peek has shown
	}
	return &lines{r: b}
}

// record gives the next record and the number of its first line.
func (l *lines) record() (string, int, error) {
	first, err := l.next()
	if err != nil {
		return "", l.line, err
	}
	start, q := l.line, quotes{start: true}
	q.read(first)
	if !q.open {
		return first, start, nil
	}
	size, more := len(first), []string{first}
	for q.open {
		next, err := l.next()
		switch {
		case errors.Is(err, io.EOF) || size > maxRowBytes:
			return first, start, l.giveBack(start, more[1:], next)
		case err != nil:
			return "", l.line, err
		}
		q.read(next)
		size += len(next)
		more = append(more, next)
	}
	return strings.Join(more, ""), start, nil
}

// giveBack ends a record, whose quote is never closed, at its first line.
func (l *lines) giveBack(start int, more []string, next string) error {
	if next != "" {
		more = append(more, next)
	}
	for _, text := range more {
		l.givenBack += len(text)
	}
	if l.givenBack > maxGivenBack {
		return fmt.Errorf("line %d is one of many with a double quote that is never closed; %s", start, looksWrong)
	}
	l.pending = append(more, l.pending...)
	l.line = start
	return nil
}

func (l *lines) next() (string, error) {
	if len(l.pending) > 0 {
		text := l.pending[0]
		l.pending = l.pending[1:]
		l.line++
		return text, nil
	}
	if l.err != nil {
		return "", l.err
	}
	text, err := l.readLine()
	if err != nil {
		l.err = err
	}
	if text == "" && err != nil {
		return "", err
	}
	l.line++
	return text, nil
}

func (l *lines) readLine() (string, error) {
	var b strings.Builder
	for {
		part, err := l.r.ReadSlice('\n')
		b.Write(part)
		if b.Len() > maxRowBytes {
			return "", fmt.Errorf("line %d is longer than %d bytes; %s", l.line+1, maxRowBytes, looksWrong)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		return b.String(), err
	}
}

// quotes follows the quotes of a record, line by line.
type quotes struct {
	start bool // a value may begin here
	open  bool // inside a quoted value
}

func (q *quotes) read(line string) {
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case q.open && c == '"' && i+1 < len(line) && line[i+1] == '"':
			i++
		case q.open && c == '"':
			q.open = false
		case q.open:
		case c == '"' && q.start:
			q.open, q.start = true, false
		default:
			q.start = c == ','
		}
	}
}
