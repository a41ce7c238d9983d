package csv

import (
	stdcsv "encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/directory"
)

// Limits of a file. They keep a file with unclosed quotes from filling the memory, and from being
// read many times.
const (
	maxFileBytes = 512 << 20
	maxRowBytes  = 1 << 20
	maxReread    = 16 << 20 // how many bytes may be read again in search of closing quotes that do not exist
	notCSV       = "this does not look like a CSV file"
)

// Reader holds a file that has been read.
type Reader struct {
	columns           []column
	described         []directory.FileColumn
	templates         []template
	suggestedTemplate string // a template for userPrincipalName
	separator         rune
	words             words
	notes             []string
	cutReason         string // why the end of the file seems to be missing; empty if the file seems complete
	records           []record
	readErr           error // the error that ended the reading early, or nil
	example           bool  // whether the file is Entra's bulk template, which has an example line
}

// record is one row of cells, or the error of a row that cannot be read.
type record struct {
	line     int
	cells    []string
	err      error
	unclosed bool // whether the file ends inside a quoted value of this record
}

// NewReader reads the whole file. An error about its columns is a *directory.FileError, which
// names the flags that help.
func NewReader(r io.Reader, o directory.FileOptions) (*Reader, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFileBytes {
		return nil, fileError("the file is larger than %d MiB; split it", maxFileBytes>>20)
	}
	text, note, err := decode(b, o.Encoding)
	if err != nil {
		return nil, err
	}
	text = strings.TrimRight(text, "\x1a\x00") // DOS programs end a file with these bytes
	if !strings.Contains(text, "\n") {
		text = strings.ReplaceAll(text, "\r", "\n")
	}
	rd := &Reader{}
	if note != "" {
		rd.notes = append(rd.notes, note)
	}
	return rd, rd.read(&lines{text: text, separator: ','}, o)
}

// Open reads a file of users.
func Open(r io.Reader, o directory.FileOptions) (directory.File, error) {
	rd, err := NewReader(r, o)
	if err != nil {
		return directory.File{}, err
	}
	f := directory.File{Notes: rd.notes, Rows: rd.Rows(), CutReason: rd.cutReason, Separator: string(rd.separator), Template: rd.suggestedTemplate, Columns: rd.described}
	return f, nil
}

// Rows yields the rows. A *directory.RowError concerns one row. Any other error ends the sequence.
func (r *Reader) Rows() iter.Seq2[directory.Row, error] {
	return func(yield func(directory.Row, error) bool) {
		for _, rec := range r.records {
			row, err := r.row(rec)
			if err == nil && row.Values == nil {
				continue
			}
			if !yield(row, err) {
				return
			}
		}
		if r.readErr != nil {
			yield(directory.Row{}, r.readErr)
		}
	}
}

var (
	separatorLine = regexp.MustCompile(`(?i)^"?sep=(.)"?[,;\t|]*$`)
	typeLine      = regexp.MustCompile(`(?i)^"?#type [\w.]+"?[,;\t|]*$`) // matches the first line of files from PowerShell's Export-Csv
	versionLine   = regexp.MustCompile(`(?i)^"?version:v[0-9.]+"?[,;\t|]*$`)
)

func (r *Reader) read(l *lines, o directory.FileOptions) error {
	separator, err := separatorNamed(o.Separator)
	if err != nil {
		return err
	}
	said := separator != 0
	if said {
		l.separator = separator
	}
	for {
		text, ok := l.peek()
		if !ok {
			return fileError("the file is empty; its first line names the columns, such as userPrincipalName,displayName,accountEnabled")
		}
		if text == "" || strings.Trim(text, ",;|\t \u00a0") == "" {
			l.skip()
			continue
		}
		if m := separatorLine.FindStringSubmatch(strings.TrimSpace(text)); m != nil {
			if !said {
				l.separator, said = []rune(m[1])[0], true
			}
			l.skip()
			continue
		}
		if typeLine.MatchString(strings.TrimSpace(text)) {
			l.skip()
			continue
		}
		if versionLine.MatchString(strings.TrimSpace(text)) {
			r.example = true
			l.skip()
			continue
		}
		if n := l.countTitleLines(text); n > 0 {
			r.notes = append(r.notes, fmt.Sprintf("Above the header: %q. It was left out.", strings.Trim(strings.TrimSpace(text), `",;|`)))
			for range n {
				l.skip()
			}
			continue
		}
		if !said {
			l.separator = detectSeparator(text)
		}
		break
	}
	text, line, err := l.nextRecord()
	if err != nil {
		return err
	}
	names, err := splitRecord(text, l.separator)
	if err != nil {
		return fileError("line %d, the header, cannot be read: %v", line, err)
	}
	if other := detectSeparator(text); o.Separator != "" && len(names) == 1 && other != separator {
		if cells, known := cellsAndMeanings(text); cells > 1 && known > 0 {
			return fileError("the header has no %q between its columns, but %s; leave the separator out, or name that one", string(separator), separatorWord(other))
		}
	}
	r.separator = l.separator
	r.readRecords(l)
	r.dropLabels(names)
	return r.readHeader(names, l, o)
}

// separatorWord returns the name of a separator for messages.
func separatorWord(separator rune) string {
	if word, ok := map[rune]string{',': "commas", ';': "semicolons", '\t': "tabs", '|': "pipes"}[separator]; ok {
		return word
	}
	return strconv.Quote(string(separator))
}

// dropLabels removes a second header row. Some programs write the names of their fields into the
// first row and the labels of the columns into the second.
func (r *Reader) dropLabels(names []string) {
	if len(r.records) == 0 || r.records[0].err != nil {
		return
	}
	rec := r.records[0]
	same, other := 0, 0
	for i, cell := range rec.cells[:min(len(rec.cells), len(names))] {
		if strings.TrimSpace(cell) == "" {
			continue
		}
		label, _ := meaningOf(cell)
		field, _ := meaningOf(names[i])
		if label != "" && label == field || squeezeName(cell) == squeezeName(names[i]) {
			same++
		} else {
			other++
		}
	}
	if same < 2 || same < other {
		return
	}
	r.records = r.records[1:]
	r.notes = append(r.notes, fmt.Sprintf("Line %d names the columns once more. It was left out.", rec.line))
}

func (r *Reader) readHeader(names []string, l *lines, o directory.FileOptions) error {
	h, err := newHeader(names, func(yield func([]string) bool) {
		for _, rec := range r.records {
			if !r.isExample(rec) && !yield(rec.cells) {
				return
			}
		}
	}, o)
	var asks *directory.FileError
	if errors.As(err, &asks) {
		asks.Separator = string(r.separator)
	}
	if err != nil {
		return err
	}
	r.columns, r.described, r.templates, r.suggestedTemplate, r.words = h.columns, h.fileColumns(), h.templates, h.suggestedTemplate, h.words
	r.notes = append(r.notes, h.notes...)
	r.findCut(l)
	return nil
}

// findCut sets cutReason if the end of the file seems to be missing. The sign is an incomplete last
// row without a line end.
func (r *Reader) findCut(l *lines) {
	if len(r.records) == 0 || strings.HasSuffix(l.text, "\n") || strings.HasSuffix(l.text, "\r") {
		return
	}
	last, columns := r.records[len(r.records)-1], len(r.columns)
	for columns > 0 && r.columns[columns-1].Name == "" && r.columns[columns-1].Attributes == nil {
		columns--
	}
	switch {
	case last.err != nil && !last.unclosed:
		return
	case last.unclosed:
		r.cutReason = fmt.Sprintf("The last row, line %d, ends inside a value in double quotes. The file was cut off, or a double quote is missing.", last.line)
	case len(last.cells) < columns:
		r.cutReason = fmt.Sprintf("The last row, line %d, has %d of %d columns and no line end. The file may have been cut off.", last.line, len(last.cells), columns)
	case !utf8.ValidString(last.cells[len(last.cells)-1]):
		r.cutReason = fmt.Sprintf("The last row, line %d, ends inside a character. The file was cut off.", last.line)
	default:
		return
	}
	r.notes = append(r.notes, r.cutReason)
}

// countTitleLines returns the number of lines before the header. Reports often begin with a title.
// A title is a single cell that names no attribute, above a line that names at least two
// attributes.
func (l *lines) countTitleLines(text string) int {
	if cells, known := cellsAndMeanings(text); cells != 1 || known > 0 {
		return 0
	}
	ahead := *l
	for n := 1; n <= 10; n++ {
		ahead.skip()
		next, ok := ahead.peek()
		if !ok {
			return 0
		}
		if _, known := cellsAndMeanings(next); known > 1 {
			return n
		}
	}
	return 0
}

// cellsAndMeanings counts the cells of a line that are not empty, and the cells that name an
// attribute.
func cellsAndMeanings(text string) (cells, known int) {
	names, err := splitRecord(text, detectSeparator(text))
	if err != nil {
		return 0, 0
	}
	for _, name := range names {
		if strings.TrimSpace(name) == "" {
			continue
		}
		cells++
		if a, _ := meaningOf(name); a != "" {
			known++
		}
	}
	return cells, known
}

// readRecords reads the rows that follow the header. It skips rows that have no value.
func (r *Reader) readRecords(l *lines) {
	for {
		text, line, err := l.nextRecord()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			r.readErr = err
			return
		}
		if strings.TrimSpace(text) == "" {
			continue
		}
		cells, err := splitRecord(text, l.separator)
		if err == nil && strings.TrimSpace(strings.Join(cells, "")) == "" {
			continue
		}
		rec := record{line: line, cells: cells, err: err, unclosed: err != nil && l.endsInsideQuotes && l.offset >= len(l.text)}
		var at *quoteError
		if rec.unclosed && errors.As(err, &at) {
			at.detail = "the file ends inside this value, which has a double quote before it and none after it; the file was cut off, or a double quote is missing"
		}
		r.records = append(r.records, rec)
	}
}

// separatorNamed returns the separator that the caller named, or 0 if the reader must find it.
func separatorNamed(name string) (rune, error) {
	known := map[string]rune{"": 0, "comma": ',', "semicolon": ';', "tab": '\t', `\t`: '\t', "pipe": '|', "space": ' ', "colon": ':'}
	if r, ok := known[strings.ToLower(name)]; ok {
		return r, nil
	}
	r, size := utf8.DecodeRuneInString(name)
	if size != len(name) || r == utf8.RuneError || strings.ContainsRune("\"\r\n\ufeff", r) || unicode.IsLetter(r) || unicode.IsDigit(r) {
		return 0, fileError("%q cannot separate columns; use one character, such as a comma or a semicolon, or the word tab", name)
	}
	return r, nil
}

// detectSeparator chooses the separator with which the header has the most columns of a known
// meaning. If several separators are equal, it chooses the separator that gives the most columns.
func detectSeparator(header string) rune {
	best, bestKnown, bestAll := ',', -1, 0
	for _, sep := range ",;\t|" {
		names, err := splitRecord(header, sep)
		if err != nil {
			names = strings.Split(header, string(sep))
		}
		known := 0
		for _, name := range names {
			if _, ok := meaningOf(name); ok {
				known++
			}
		}
		if known > bestKnown || known == bestKnown && len(names) > bestAll {
			best, bestKnown, bestAll = sep, known, len(names)
		}
	}
	return best
}

// isExample reports whether a record is the sample line of Entra's template.
func (r *Reader) isExample(rec record) bool {
	return r.example && len(rec.cells) > 0 && strings.HasPrefix(strings.TrimSpace(rec.cells[0]), "Example:")
}

// row returns a record's values by attribute. It returns no values for a record that is not a user.
// If the row is shorter than the header, the attributes of the missing cells have no values.
func (r *Reader) row(rec record) (directory.Row, error) {
	if rec.err != nil {
		return directory.Row{}, r.rowError(rec)
	}
	if r.isExample(rec) {
		return directory.Row{}, nil
	}
	for i := len(r.columns); i < len(rec.cells); i++ {
		if strings.TrimSpace(rec.cells[i]) != "" {
			return directory.Row{}, &directory.RowError{Line: rec.line, Detail: fmt.Sprintf(
				"the row has %d values, the header %d columns; put a value that contains the separator in double quotes", len(rec.cells), len(r.columns))}
		}
	}
	row := directory.Row{Line: rec.line, Values: make(map[string]string, len(rec.cells))}
	for i, cell := range rec.cells[:min(len(rec.cells), len(r.columns))] {
		for _, name := range r.columns[i].Attributes {
			r.putValue(&row, i, name, cell)
		}
	}
	r.build(&row, rec)
	return row, nil
}

// build fills in the attributes of templates for which the row has no value.
func (r *Reader) build(row *directory.Row, rec record) {
	for _, t := range r.templates {
		if strings.TrimSpace(row.Values[t.attribute]) != "" {
			continue
		}
		value, err := t.build(rec.cells)
		if err != nil {
			row.Problems = append(row.Problems, directory.RowError{Line: row.Line, Column: t.attribute, Detail: err.Error()})
			continue
		}
		if value == "" {
			continue
		}
		row.Values[t.attribute] = value
		if t.attribute == "userPrincipalName" {
			row.BuiltFrom = strings.Join(rec.cells, "\x00")
		}
	}
}

func (r *Reader) putValue(row *directory.Row, i int, name, cell string) {
	if !utf8.ValidString(cell) {
		row.Problems = append(row.Problems, directory.RowError{Line: row.Line, Column: name, Detail: "the value is not UTF-8 text; save the file as UTF-8"})
		return
	}
	value := cellText(cell)
	if word := r.words[wordKey(value)]; word != "" && name == accountEnabled {
		value = word
	} else if r.columns[i].meansBlocked && directory.IsBoolean(value) {
		value = invertBlocked(value)
	}
	if had := row.Values[name]; had != "" && strings.TrimSpace(value) != "" {
		value = had + ";" + value // two columns fill one multi-valued attribute
	} else if had != "" {
		value = had
	}
	row.Values[name] = value
}

// invertBlocked turns a value of "Block sign in" into the value of accountEnabled.
func invertBlocked(value string) string {
	var u directory.User
	if err := u.Set("accountEnabled", value); err != nil || u.AccountEnabled {
		return "false"
	}
	return "true"
}

// cellText returns a cell's value: without an apostrophe that hides a formula, and without the ="…"
// by which spreadsheets keep leading zeros.
func cellText(cell string) string {
	if rest, ok := strings.CutPrefix(cell, `="`); ok && strings.HasSuffix(rest, `"`) {
		return strings.TrimSuffix(rest, `"`)
	}
	return revealFormula(cell)
}

func (r *Reader) rowError(rec record) error {
	e := &directory.RowError{Line: rec.line, Detail: rec.err.Error()}
	var at *quoteError
	if errors.As(rec.err, &at) && at.field < len(r.columns) {
		e.Column = r.columns[at.field].Name
	}
	return e
}

// quoteError is the error for a misplaced double quote. field is the position of its field, counted
// from zero.
type quoteError struct {
	field  int
	detail string
}

func (e *quoteError) Error() string { return e.detail }

var keptTextPattern = regexp.MustCompile(`^="([^"]*)"`)

// splitRecord splits one record into its cells.
func splitRecord(text string, separator rune) ([]string, error) {
	text = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"), "\r")
	text = trimAroundQuotes(text, separator)
	rd := stdcsv.NewReader(strings.NewReader(quoteKeptText(text, separator)))
	rd.FieldsPerRecord = -1
	rd.Comma = separator
	values, err := rd.Read()
	if err == nil {
		return values, nil
	}
	var at *stdcsv.ParseError
	if errors.As(err, &at) {
		return nil, &quoteError{field: misplacedField(text, separator), detail: `a double quote is out of place; write a value that contains one as "say ""hello"""`}
	}
	return nil, err
}

// trimAroundQuotes removes the spaces between a separator and the double quotes of a value, because
// some programs write such spaces: a, "B, C" ,d.
func trimAroundQuotes(text string, separator rune) string {
	if separator == ' ' || !strings.Contains(text, ` "`) && !strings.Contains(text, `" `) {
		return text
	}
	var b strings.Builder
	q := quoteState{mayBegin: true, separator: separator}
	for len(text) > 0 {
		spaces := len(text) - len(strings.TrimLeft(text, " "))
		rest := text[spaces:]
		switch {
		case spaces > 0 && q.mayBegin && strings.HasPrefix(rest, `"`):
			text = rest
		case spaces > 0 && q.afterClosing && (rest == "" || strings.HasPrefix(rest, string(separator))):
			text = rest
		default:
			_, n := utf8.DecodeRuneInString(text)
			if strings.HasPrefix(text, `""`) && q.insideQuotes {
				n = 2
			}
			q.read(text[:n])
			b.WriteString(text[:n])
			text = text[n:]
		}
	}
	return b.String()
}

// quoteKeptText puts quotes around cells that are written as ="00042".
func quoteKeptText(text string, separator rune) string {
	if !strings.Contains(text, `="`) {
		return text
	}
	var b strings.Builder
	start, quoted := true, false
	for i, c := range text {
		if start && !quoted && strings.HasPrefix(text[i:], `="`) {
			if m := keptTextPattern.FindStringSubmatch(text[i:]); m != nil {
				rest := text[i+len(m[0]):]
				if rest == "" || strings.HasPrefix(rest, string(separator)) {
					b.WriteString(`"=""` + m[1] + `"""`)
					return b.String() + quoteKeptText(rest, separator)
				}
			}
		}
		if c == '"' {
			quoted = !quoted
		}
		start = c == separator
		b.WriteRune(c)
	}
	return b.String()
}

// misplacedField counts the fields of a broken record up to the first misplaced quote.
func misplacedField(text string, separator rune) int {
	field, start, quoted := 0, true, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '"' && i+1 < len(text) && text[i+1] == '"':
			i++
		case quoted && c == '"':
			quoted = false
			if rest := text[i+1:]; rest != "" && !strings.HasPrefix(rest, string(separator)) && strings.TrimRight(rest, "\r\n") != "" {
				return field
			}
		case quoted:
		case c == '"' && start:
			quoted, start = true, false
		case c == '"':
			return field
		case strings.HasPrefix(text[i:], string(separator)):
			field, start = field+1, true
			i += utf8.RuneLen(separator) - 1
		default:
			start = false
		}
	}
	return field
}

// lines splits a file into records. A record is a line, or several lines if a quoted value contains
// line ends. A record with misplaced quotes ends at its first line end, so that the rows after it
// are still read.
type lines struct {
	text             string
	separator        rune
	offset           int  // where the next line begins
	line             int  // the number of the last line that was read
	endsInsideQuotes bool // whether the last record has a quoted value that is never closed
	rereadBytes      int  // bytes read twice because a quote was never closed, over all records
}

// peek returns the next line without moving to the line after it.
func (l *lines) peek() (string, bool) {
	if l.offset >= len(l.text) {
		return "", false
	}
	return strings.TrimRight(l.text[l.offset:l.lineEnd(l.offset)], "\r\n"), true
}

func (l *lines) skip() { l.offset, l.line = l.lineEnd(l.offset), l.line+1 }

// lineEnd returns the end of the line that begins at a position. The end is after LF, CRLF or CR.
func (l *lines) lineEnd(at int) int {
	i := strings.IndexAny(l.text[at:], "\r\n")
	if i < 0 {
		return len(l.text)
	}
	i += at
	if l.text[i] == '\r' && i+1 < len(l.text) && l.text[i+1] == '\n' {
		i++
	}
	return i + 1
}

// nextRecord returns the next record and the number of its first line.
func (l *lines) nextRecord() (string, int, error) {
	if l.offset >= len(l.text) {
		return "", l.line, io.EOF
	}
	begin := l.offset
	first := l.lineEnd(begin)
	l.line++
	start := l.line
	if first-begin > maxRowBytes {
		return "", start, fileError("line %d is longer than %d bytes; %s", start, maxRowBytes, notCSV)
	}
	q := quoteState{mayBegin: true, separator: l.separator}
	q.read(l.text[begin:first])
	l.endsInsideQuotes = false
	end := first
	for q.insideQuotes {
		if end >= len(l.text) || end-begin > maxRowBytes {
			// The quote is never closed, so the record ends at its first line end.
			if l.rereadBytes += end - first; l.rereadBytes > maxReread {
				return "", start, fileError("line %d is one of many with a double quote that is never closed; %s", start, notCSV)
			}
			end, l.line, l.endsInsideQuotes = first, start, true
			break
		}
		next := l.lineEnd(end)
		q.read(l.text[end:next])
		end = next
		l.line++
	}
	l.offset = end
	return l.text[begin:end], start, nil
}

// quoteState tracks the double quotes of a record, line by line.
type quoteState struct {
	separator    rune
	mayBegin     bool // whether a value may begin at the current position
	insideQuotes bool // whether the current position is inside a quoted value
	afterClosing bool // whether the current position is right after a quoted value
}

func (q *quoteState) read(line string) {
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case q.insideQuotes && c == '"' && i+1 < len(line) && line[i+1] == '"':
			i++
		case q.insideQuotes && c == '"':
			q.insideQuotes, q.afterClosing = false, true
		case q.insideQuotes:
		case c == '"' && q.mayBegin:
			q.insideQuotes, q.mayBegin = true, false
		case c == ' ' && q.mayBegin && q.separator != ' ': // a quoted value may follow the space
		default:
			if q.mayBegin, q.afterClosing = strings.HasPrefix(line[i:], string(q.separator)), false; q.mayBegin {
				i += utf8.RuneLen(q.separator) - 1
			}
		}
	}
}
