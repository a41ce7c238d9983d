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

// Limits of a file. Without them, a file with unclosed quotes could fill the memory or be read many
// times.
const (
	maxFileBytes   = 512 << 20
	maxRowBytes    = 1 << 20
	maxRereadBytes = 16 << 20 // how many bytes may be read twice in all, because a search for a closing quote failed

	notCSV = "this does not look like a CSV file" // part of the errors about a file above a limit
)

// Reader holds the content of a file of users.
type Reader struct {
	columns           []column
	fileColumns       []directory.FileColumn
	templates         []template
	suggestedTemplate string // a template for userPrincipalName that the user may choose; "" if there is none
	separator         rune
	booleanWords      booleanWords
	notes             []string // sentences for the user about the reading of the file
	cutReason         string   // why the end of the file seems to be missing; "" if the file seems complete
	records           []record
	readErr           error // the error that ended the reading early, or nil
	hasExampleLine    bool  // whether the file is Entra's bulk template, which has an example line
}

// record is one row of cells. If the row cannot be read, err says why.
type record struct {
	line         int
	cells        []string
	err          error
	endsUnclosed bool // whether the file ends inside a quoted value of this record
}

// NewReader reads the whole file. An error about the columns is a *directory.FileError, which names
// the command-line flags that solve the problem.
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
	return rd, rd.read(&recordSplitter{text: text, separator: ','}, o)
}

// Open reads a file of users. Its errors are those of NewReader.
func Open(r io.Reader, o directory.FileOptions) (directory.File, error) {
	rd, err := NewReader(r, o)
	if err != nil {
		return directory.File{}, err
	}
	f := directory.File{Notes: rd.notes, Rows: rd.Rows(), CutReason: rd.cutReason, Separator: string(rd.separator), Template: rd.suggestedTemplate, Columns: rd.fileColumns}
	return f, nil
}

// Rows yields the rows. A *directory.RowError means that one row cannot be read; more rows may
// follow. Any other error ends the sequence.
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
	separatorLine = regexp.MustCompile(`(?i)^"?sep=(.)"?[,;\t|]*$`)          // matches a first line that names the separator, such as sep=;
	typeLine      = regexp.MustCompile(`(?i)^"?#type [\w.]+"?[,;\t|]*$`)     // matches the first line of files from PowerShell's Export-Csv
	versionLine   = regexp.MustCompile(`(?i)^"?version:v[0-9.]+"?[,;\t|]*$`) // matches the first line of Entra's bulk templates
)

// read reads the header and all records of the file.
func (r *Reader) read(l *recordSplitter, o directory.FileOptions) error {
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
			l.skipLine()
			continue
		}
		if m := separatorLine.FindStringSubmatch(strings.TrimSpace(text)); m != nil {
			if !said {
				l.separator, said = []rune(m[1])[0], true
			}
			l.skipLine()
			continue
		}
		if typeLine.MatchString(strings.TrimSpace(text)) {
			l.skipLine()
			continue
		}
		if versionLine.MatchString(strings.TrimSpace(text)) {
			r.hasExampleLine = true
			l.skipLine()
			continue
		}
		if n := l.countTitleLines(text); n > 0 {
			r.notes = append(r.notes, fmt.Sprintf("Above the header: %q. It was left out.", strings.Trim(strings.TrimSpace(text), `",;|`)))
			for range n {
				l.skipLine()
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
		if cells, known := countHeaderCells(text); cells > 1 && known > 0 {
			return fileError("the header has no %q between its columns, but %s; leave the separator out, or name that one", string(separator), separatorWord(other))
		}
	}
	r.separator = l.separator
	r.readRecords(l)
	r.dropSecondHeader(names)
	return r.readHeader(names, l, o)
}

// separatorWord returns the name of a separator for messages.
func separatorWord(separator rune) string {
	if word, ok := map[rune]string{',': "commas", ';': "semicolons", '\t': "tabs", '|': "pipes"}[separator]; ok {
		return word
	}
	return strconv.Quote(string(separator))
}

// dropSecondHeader removes the first record if it names the columns once more. Some programs write
// field names into the first row and column labels into the second.
func (r *Reader) dropSecondHeader(names []string) {
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

// readHeader finds the attribute of each column, with the options of the caller.
func (r *Reader) readHeader(names []string, l *recordSplitter, o directory.FileOptions) error {
	h, err := newHeader(names, func(yield func([]string) bool) {
		for _, rec := range r.records {
			if !r.isExampleLine(rec) && !yield(rec.cells) {
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
	r.columns, r.fileColumns, r.templates, r.suggestedTemplate, r.booleanWords = h.columns, h.fileColumns(), h.templates, h.suggestedTemplate, h.booleanWords
	r.notes = append(r.notes, h.notes...)
	r.findCutReason(l)
	return nil
}

// findCutReason sets cutReason if the end of the file seems to be missing. The end seems to be
// missing if the last row is incomplete and has no line end.
func (r *Reader) findCutReason(l *recordSplitter) {
	if len(r.records) == 0 || strings.HasSuffix(l.text, "\n") || strings.HasSuffix(l.text, "\r") {
		return
	}
	last, columns := r.records[len(r.records)-1], len(r.columns)
	for columns > 0 && r.columns[columns-1].Name == "" && r.columns[columns-1].Attributes == nil {
		columns--
	}
	switch {
	case last.err != nil && !last.endsUnclosed:
		return
	case last.endsUnclosed:
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

// countTitleLines returns the number of lines from the current line to the header, or 0 if the
// current line is no title. Reports often begin with a title: a single cell that names no
// attribute, at most ten lines above a line that names at least two attributes.
func (l *recordSplitter) countTitleLines(text string) int {
	if cells, known := countHeaderCells(text); cells != 1 || known > 0 {
		return 0
	}
	ahead := *l
	for n := 1; n <= 10; n++ {
		ahead.skipLine()
		next, ok := ahead.peek()
		if !ok {
			return 0
		}
		if _, known := countHeaderCells(next); known > 1 {
			return n
		}
	}
	return 0
}

// countHeaderCells counts two things in a line: cells that are not empty (cells), and cells that
// name an attribute (known).
func countHeaderCells(text string) (cells, known int) {
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
func (r *Reader) readRecords(l *recordSplitter) {
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
		rec := record{line: line, cells: cells, err: err, endsUnclosed: err != nil && l.endsInsideQuotes && l.offset >= len(l.text)}
		var at *quoteError
		if rec.endsUnclosed && errors.As(err, &at) {
			at.detail = "the file ends inside this value, which has a double quote before it and none after it; the file was cut off, or a double quote is missing"
		}
		r.records = append(r.records, rec)
	}
}

// separatorNamed returns the separator that the caller named, or 0 if the caller named none and the
// reader must detect it.
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

// detectSeparator chooses the separator that splits the header into the most columns of a known
// meaning. If several separators give the same number of such columns, it chooses the separator
// that gives the most columns in all.
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

// isExampleLine reports whether a record is the example line of Entra's template.
func (r *Reader) isExampleLine(rec record) bool {
	return r.hasExampleLine && len(rec.cells) > 0 && strings.HasPrefix(strings.TrimSpace(rec.cells[0]), "Example:")
}

// row returns a record's values by attribute. For the example line of a template, the values are
// nil. If the row is shorter than the header, the attributes of the missing cells have no values.
func (r *Reader) row(rec record) (directory.Row, error) {
	if rec.err != nil {
		return directory.Row{}, r.rowError(rec)
	}
	if r.isExampleLine(rec) {
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
	r.applyTemplates(&row, rec)
	return row, nil
}

// applyTemplates uses the templates to fill in attributes for which the row has no value.
func (r *Reader) applyTemplates(row *directory.Row, rec record) {
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

// putValue puts the value of a cell in column i into the row, or adds a problem to the row.
func (r *Reader) putValue(row *directory.Row, i int, name, cell string) {
	if !utf8.ValidString(cell) {
		row.Problems = append(row.Problems, directory.RowError{Line: row.Line, Column: name, Detail: "the value is not UTF-8 text; save the file as UTF-8"})
		return
	}
	value := cellText(cell)
	if word := r.booleanWords[wordKey(value)]; word != "" && name == accountEnabled {
		value = word
	} else if r.columns[i].meansBlocked && directory.IsBoolean(value) {
		value = invertBlocked(value)
	}
	if had := row.Values[name]; had != "" && strings.TrimSpace(value) != "" {
		value = had + ";" + value // an earlier column has already filled this multi-valued attribute
	} else if had != "" {
		value = had
	}
	row.Values[name] = value
}

// invertBlocked turns a value of "Block sign in" into the opposite value, which is the value of
// accountEnabled.
func invertBlocked(value string) string {
	var u directory.User
	if err := u.Set("accountEnabled", value); err != nil || u.AccountEnabled {
		return "false"
	}
	return "true"
}

// cellText returns a cell's value. It removes an apostrophe that hides a formula, and the ="…" with
// which spreadsheets keep leading zeros.
func cellText(cell string) string {
	if rest, ok := strings.CutPrefix(cell, `="`); ok && strings.HasSuffix(rest, `"`) {
		return strings.TrimSuffix(rest, `"`)
	}
	return revealFormula(cell)
}

// rowError returns the error for a record that cannot be read, with its line and column.
func (r *Reader) rowError(rec record) error {
	e := &directory.RowError{Line: rec.line, Detail: rec.err.Error()}
	var at *quoteError
	if errors.As(rec.err, &at) && at.fieldIndex < len(r.columns) {
		e.Column = r.columns[at.fieldIndex].Name
	}
	return e
}

// quoteError is the error for a misplaced double quote. fieldIndex is the index of the field with
// this quote.
type quoteError struct {
	fieldIndex int
	detail     string
}

func (e *quoteError) Error() string { return e.detail }

// textFormulaPattern matches the beginning of a cell such as ="00042". Spreadsheets write this
// formula to keep leading zeros.
var textFormulaPattern = regexp.MustCompile(`^="([^"]*)"`)

// splitRecord splits one record into its cells.
func splitRecord(text string, separator rune) ([]string, error) {
	text = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"), "\r")
	text = trimAroundQuotes(text, separator)
	rd := stdcsv.NewReader(strings.NewReader(quoteTextFormulas(text, separator)))
	rd.FieldsPerRecord = -1
	rd.Comma = separator
	values, err := rd.Read()
	if err == nil {
		return values, nil
	}
	var at *stdcsv.ParseError
	if errors.As(err, &at) {
		return nil, &quoteError{fieldIndex: misplacedQuoteField(text, separator), detail: `a double quote is out of place; write a value that contains one as "say ""hello"""`}
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
	q := quoteState{mayBeginValue: true, separator: separator}
	for len(text) > 0 {
		spaces := len(text) - len(strings.TrimLeft(text, " "))
		rest := text[spaces:]
		switch {
		case spaces > 0 && q.mayBeginValue && strings.HasPrefix(rest, `"`):
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

// quoteTextFormulas puts double quotes around cells such as ="00042", so that the CSV reader
// accepts them.
func quoteTextFormulas(text string, separator rune) string {
	if !strings.Contains(text, `="`) {
		return text
	}
	var b strings.Builder
	start, quoted := true, false
	for i, c := range text {
		if start && !quoted && strings.HasPrefix(text[i:], `="`) {
			if m := textFormulaPattern.FindStringSubmatch(text[i:]); m != nil {
				rest := text[i+len(m[0]):]
				if rest == "" || strings.HasPrefix(rest, string(separator)) {
					b.WriteString(`"=""` + m[1] + `"""`)
					return b.String() + quoteTextFormulas(rest, separator)
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

// misplacedQuoteField returns the index of the field that has the first misplaced double quote.
func misplacedQuoteField(text string, separator rune) int {
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

// recordSplitter splits the text of a file into records. A record is a line, or several lines if a
// quoted value contains line ends. A record with misplaced quotes ends at its first line end, so
// that the rows after it are not lost.
type recordSplitter struct {
	text             string
	separator        rune
	offset           int  // where the next line begins
	line             int  // the number of the last line that was read
	endsInsideQuotes bool // whether the last record has a quoted value that is never closed
	rereadBytes      int  // bytes read twice because a quote was never closed, over all records
}

// peek returns the next line without reading past it. It returns false at the end of the file.
func (l *recordSplitter) peek() (string, bool) {
	if l.offset >= len(l.text) {
		return "", false
	}
	return strings.TrimRight(l.text[l.offset:l.lineEnd(l.offset)], "\r\n"), true
}

func (l *recordSplitter) skipLine() { l.offset, l.line = l.lineEnd(l.offset), l.line+1 }

// lineEnd returns the offset right after the line that begins at an offset. The line includes its
// LF, CRLF or CR.
func (l *recordSplitter) lineEnd(at int) int {
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

// nextRecord returns the next record and the number of its first line. It returns io.EOF at the end
// of the file.
func (l *recordSplitter) nextRecord() (string, int, error) {
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
	q := quoteState{mayBeginValue: true, separator: l.separator}
	q.read(l.text[begin:first])
	l.endsInsideQuotes = false
	end := first
	for q.insideQuotes {
		if end >= len(l.text) || end-begin > maxRowBytes {
			// The quote is never closed, so the record ends at its first line end.
			if l.rereadBytes += end - first; l.rereadBytes > maxRereadBytes {
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

// quoteState says where a reader is in a record with double quotes: inside or outside a quoted
// value. The method read updates it with the next piece of the record.
type quoteState struct {
	separator     rune
	mayBeginValue bool // whether a quoted value may begin at the current position
	insideQuotes  bool // whether the current position is inside a quoted value
	afterClosing  bool // whether the current position is right after a quoted value
}

// read updates the state with the next piece of the record.
func (q *quoteState) read(line string) {
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case q.insideQuotes && c == '"' && i+1 < len(line) && line[i+1] == '"':
			i++
		case q.insideQuotes && c == '"':
			q.insideQuotes, q.afterClosing = false, true
		case q.insideQuotes:
		case c == '"' && q.mayBeginValue:
			q.insideQuotes, q.mayBeginValue = true, false
		case c == ' ' && q.mayBeginValue && q.separator != ' ': // a quoted value may follow the space
		default:
			if q.mayBeginValue, q.afterClosing = strings.HasPrefix(line[i:], string(q.separator)), false; q.mayBeginValue {
				i += utf8.RuneLen(q.separator) - 1
			}
		}
	}
}
