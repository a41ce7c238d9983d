package expr

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// dateFormat is a custom date format of .NET, split into its items.
type dateFormat struct {
	text  string
	items []formatItem
}

// formatItem is a specifier such as yyyy, or a literal.
type formatItem struct {
	letter  byte   // the letter of a specifier; 0 for a literal
	count   int    // how often the letter of the specifier is repeated
	literal string // the characters of a literal
}

// zone says how the time zone of a parsed date is known. .NET calls this DateTimeKind.
type zone int

const (
	zoneNone  zone = iota // the string has no offset
	zoneUTC               // the string has Z
	zoneLocal             // the string has an offset; .NET converts such a date to local time, which is UTC here
)

// parsedDate is a date parsed from a string, converted to UTC.
type parsedDate struct {
	time.Time
	zone zone
}

// standardFormat returns the custom format that a standard format of one letter stands for in the
// culture en-US, which Microsoft's documents use. It returns "" if there is no such standard
// format.
func standardFormat(letter byte) string {
	switch letter {
	case 'd':
		return "M/d/yyyy"
	case 'D':
		return "dddd, MMMM d, yyyy"
	case 'f':
		return "dddd, MMMM d, yyyy h:mm tt"
	case 'F', 'U':
		return "dddd, MMMM d, yyyy h:mm:ss tt"
	case 'g':
		return "M/d/yyyy h:mm tt"
	case 'G':
		return "M/d/yyyy h:mm:ss tt"
	case 'm', 'M':
		return "MMMM d"
	case 'o', 'O':
		return "yyyy-MM-ddTHH:mm:ss.fffffffK"
	case 'r', 'R':
		return "ddd, dd MMM yyyy HH:mm:ss 'GMT'"
	case 's':
		return "yyyy-MM-ddTHH:mm:ss"
	case 't':
		return "h:mm tt"
	case 'T':
		return "h:mm:ss tt"
	case 'u':
		return "yyyy-MM-dd HH:mm:ss'Z'"
	case 'y', 'Y':
		return "MMMM yyyy"
	default:
		return ""
	}
}

// readFormat splits a format into items. If the format is invalid, problem says why; otherwise it
// is "".
func readFormat(text string) (f dateFormat, problem string) {
	f.text = text
	rest := text
	if len(rest) == 1 {
		if rest = standardFormat(text[0]); rest == "" {
			return f, fmt.Sprintf("%s is not one of .NET's standard formats", quote(text))
		}
	}
	if rest == "" {
		return f, "the format is empty"
	}
	for rest != "" {
		item, length, problem := readFormatItem(rest)
		if problem != "" {
			return f, problem
		}
		rest = rest[length:]
		switch last := len(f.items) - 1; {
		case item.letter == 0 && item.literal == "":
		case item.letter == 0 && last >= 0 && f.items[last].letter == 0:
			f.items[last].literal += item.literal
		default:
			f.items = append(f.items, item)
		}
	}
	return f, ""
}

func readFormatItem(s string) (item formatItem, length int, problem string) {
	switch c := s[0]; {
	case c == '%':
		return formatItem{}, 1, ""
	case c == '\\' && len(s) == 1:
		return item, 1, "the backslash at its end has no character after it"
	case c == '\\':
		return formatItem{literal: s[1:2]}, 2, ""
	case c == '"' || c == '\'':
		return quotedLiteral(s)
	case strings.IndexByte("dfFgHhKMmstyz", c) >= 0:
		for length < len(s) && s[length] == c {
			length++
		}
		if (c == 'f' || c == 'F') && length > 7 {
			return item, length, "a fraction has at most seven digits"
		}
		return formatItem{letter: c, count: length}, length, ""
	default:
		return formatItem{literal: s[:1]}, 1, ""
	}
}

// quotedLiteral reads a literal between quotation marks at the start of s. A backslash before a
// character makes the character literal. length is the number of bytes read.
func quotedLiteral(s string) (item formatItem, length int, problem string) {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == s[0]:
			return item, i + 1, ""
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		item.literal += s[i : i+1]
	}
	return item, len(s), fmt.Sprintf("the literal %s is not closed", s)
}

func (f dateFormat) write(t parsedDate) string {
	b := make([]byte, 0, len(f.text)+16)
	for i, item := range f.items {
		switch item.letter {
		case 0:
			b = append(b, item.literal...)
			// .NET omits the point before a fraction that is zero.
			if i+1 < len(f.items) && f.items[i+1].letter == 'F' && strings.HasSuffix(item.literal, ".") && writeFraction(t.Time, f.items[i+1]) == "" {
				b = b[:len(b)-1]
			}
		default:
			b = append(b, item.write(t)...)
		}
	}
	return string(b)
}

func (i formatItem) write(t parsedDate) string {
	switch i.letter {
	case 'y':
		if i.count <= 2 {
			return padWithZeros(t.Year()%100, i.count)
		}
		return padWithZeros(t.Year(), i.count)
	case 'M':
		return writeNumberOrName(int(t.Month()), i.count, t.Month().String())
	case 'd':
		return i.writeDay(t)
	case 'H':
		return padWithZeros(t.Hour(), min(i.count, 2))
	case 'h':
		return padWithZeros((t.Hour()+11)%12+1, min(i.count, 2))
	case 'm':
		return padWithZeros(t.Minute(), min(i.count, 2))
	case 's':
		return padWithZeros(t.Second(), min(i.count, 2))
	case 'f', 'F':
		return writeFraction(t.Time, i)
	case 't':
		return t.Format("PM")[:min(i.count, 2)]
	case 'g':
		return "A.D."
	case 'z':
		return []string{"+0", "+00", "+00:00"}[min(i.count, 3)-1]
	default: // K is the only remaining specifier
		return []string{"", "Z", "+00:00"}[t.zone]
	}
}

func (i formatItem) writeDay(t parsedDate) string {
	if i.count > 2 {
		return writeNumberOrName(0, i.count, t.Weekday().String())
	}
	return padWithZeros(t.Day(), i.count)
}

// writeNumberOrName returns a number or a name. If count is 1 or 2, it is the number with at least
// that many digits. If count is 3, it is the first three letters of the name, and otherwise the
// whole name.
func writeNumberOrName(number, count int, name string) string {
	switch count {
	case 1, 2:
		return padWithZeros(number, count)
	case 3:
		return name[:3]
	default:
		return name
	}
}

// padWithZeros returns a non-negative number as a string of at least count digits.
func padWithZeros(number, count int) string {
	digits := strconv.Itoa(number)
	if len(digits) < count {
		digits = strings.Repeat("0", count-len(digits)) + digits
	}
	return digits
}

func writeFraction(t time.Time, i formatItem) string {
	digits := padWithZeros(t.Nanosecond(), 9)[:i.count]
	if i.letter == 'F' {
		digits = strings.TrimRight(digits, "0")
	}
	return digits
}

// dateStyles holds the settings from .NET's DateTimeStyles that affect how a date is parsed.
type dateStyles struct {
	ignoresLeading, ignoresTrailing, ignoresInner bool // whether to ignore white space before, after and inside the date
	noDefaultDate                                 bool // whether a time without a date gets 1 January of the year 1 instead of today
	adjustsToUniversal                            bool // whether the zone of the result is zoneUTC
	assumesUniversal                              bool // whether a date without an offset is taken to be in UTC, as if it had the offset 0
}

// defaultStyles are the styles that Entra uses by default: RoundtripKind, AllowLeadingWhite and
// AllowTrailingWhite.
var defaultStyles = dateStyles{ignoresLeading: true, ignoresTrailing: true}

// readStyles parses names of DateTimeStyles, separated by commas. If they are invalid, problem says
// why; otherwise it is "".
func readStyles(text string) (s dateStyles, problem string) {
	var kept, turned []string
	for name := range strings.SplitSeq(text, ",") {
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "", "none":
		case "allowleadingwhite":
			s.ignoresLeading = true
		case "allowtrailingwhite":
			s.ignoresTrailing = true
		case "allowinnerwhite":
			s.ignoresInner = true
		case "allowwhitespaces":
			s.ignoresLeading, s.ignoresTrailing, s.ignoresInner = true, true, true
		case "nocurrentdatedefault":
			s.noDefaultDate = true
		case "roundtripkind":
			kept = append(kept, name)
		case "adjusttouniversal":
			s.adjustsToUniversal = true
			turned = append(turned, name)
		case "assumelocal", "assumeuniversal":
			s.assumesUniversal = true
			turned = append(turned, name)
		default:
			return s, fmt.Sprintf("%s is not a name of DateTimeStyles", quote(truncate(name, 60)))
		}
	}
	if len(kept) > 0 && len(turned) > 0 {
		return s, "RoundtripKind cannot stand beside AssumeLocal, AssumeUniversal or AdjustToUniversal"
	}
	if slices.Contains(turned, "assumelocal") && slices.Contains(turned, "assumeuniversal") {
		return s, "AssumeLocal and AssumeUniversal cannot stand together"
	}
	return s, ""
}

// dateFields holds the values that have been parsed from a string so far.
type dateFields struct {
	rest   string                  // the part of the string that has not been parsed yet
	values [len(fieldLetters)]int  // the values by the index of their letter in fieldLetters
	known  [len(fieldLetters)]bool // which of the values have been parsed
	offset int                     // seconds east of UTC
	zone   zone
}

// fieldLetters are the letters of the fields of a date. They are the letters of format specifiers,
// but w stands for the weekday, which has no letter of its own.
const fieldLetters = "yMdwHhmsft"

// field returns the value of the field with this letter of fieldLetters. known is false if the
// value has not been parsed.
func (d *dateFields) field(field byte) (value int, known bool) {
	i := strings.IndexByte(fieldLetters, field)
	return d.values[i], d.known[i]
}

// parse parses a date in this format. If the string has no date or no year, parse takes the date or
// the year from now. If the string does not have this format, problem says why; otherwise it is "".
func (f dateFormat) parse(text string, s dateStyles, now time.Time) (t parsedDate, problem string) {
	if s.ignoresLeading {
		text = strings.TrimLeft(text, " \t\r\n")
	}
	if s.ignoresTrailing {
		text = strings.TrimRight(text, " \t\r\n")
	}
	d := dateFields{rest: text}
	for i, item := range f.items {
		if s.ignoresInner {
			d.rest = strings.TrimLeft(d.rest, " \t\r\n")
		}
		problem := ""
		if item.letter == 0 {
			problem = d.readLiteral(item.literal, i+1 < len(f.items) && f.items[i+1].letter == 'F', s.ignoresInner)
		} else {
			problem = d.readItem(item)
		}
		if problem != "" {
			return t, problem
		}
	}
	if d.rest != "" {
		return t, fmt.Sprintf("%s follows its end", quote(truncate(d.rest, 20)))
	}
	return d.toDate(s, now)
}

// readLiteral reads a literal. If optional is true, a point at the end of the literal may be
// missing, because it belongs to an optional fraction. It returns the problem, or "".
func (d *dateFields) readLiteral(literal string, optional, inner bool) string {
	if inner {
		literal = strings.Trim(literal, " ")
	}
	rest, ok := strings.CutPrefix(d.rest, literal)
	if !ok && optional && strings.HasSuffix(literal, ".") {
		rest, ok = strings.CutPrefix(d.rest, literal[:len(literal)-1])
	}
	if !ok {
		return fmt.Sprintf("%s is missing", quote(literal))
	}
	d.rest = rest
	return ""
}

// readItem reads the part of the string for one specifier. It returns the problem, or "".
func (d *dateFields) readItem(i formatItem) string {
	switch i.letter {
	case 'y':
		return d.readYear(i)
	case 'M':
		if i.count > 2 {
			return d.readName(i, 'M', 12, func(n int) string { return time.Month(n).String() })
		}
	case 'd':
		if i.count > 2 {
			return d.readName(i, 'w', 7, func(n int) string { return time.Weekday(n % 7).String() })
		}
	case 't':
		return d.readAMPM(i)
	case 'f', 'F':
		return d.readFraction(i)
	case 'z', 'K':
		return d.readZone(i)
	case 'g':
		rest, ok := strings.CutPrefix(d.rest, "A.D.")
		d.rest = rest
		return problemIfMissing(ok, "the era A.D.")
	}
	least, most := 2, 2
	if i.count == 1 || i.letter == 'h' || i.letter == 'H' { // hh and HH also accept one digit, because examples in Microsoft's documentation need this
		least = 1
	}
	return d.readDigits(i.letter, least, most)
}

// problemIfMissing returns the problem that something is missing, or "" if ok is true.
func problemIfMissing(ok bool, what string) string {
	if ok {
		return ""
	}
	return what + " is missing"
}

// readDigits reads a number of least to most digits as the value of a field. It returns the
// problem, or "" if there is none.
func (d *dateFields) readDigits(field byte, least, most int) string {
	length := 0
	for length < most && length < len(d.rest) && isDigit(d.rest[length]) {
		length++
	}
	if length < least {
		return problemIfMissing(false, fieldName(field))
	}
	number := atoi(d.rest[:length])
	d.rest = d.rest[length:]
	return d.setField(field, number)
}

// setField stores the value of a field. If the string contains the field twice, both values must be
// equal. It returns the problem, or "".
func (d *dateFields) setField(field byte, value int) string {
	if had, known := d.field(field); known && had != value {
		return fieldName(field) + " stands there twice and differs"
	}
	i := strings.IndexByte(fieldLetters, field)
	d.values[i], d.known[i] = value, true
	return ""
}

func fieldName(field byte) string {
	switch field {
	case 'y':
		return "the year"
	case 'M':
		return "the month"
	case 'd':
		return "the day"
	case 'w':
		return "the weekday"
	case 'H', 'h':
		return "the hour"
	case 'm':
		return "the minute"
	case 's':
		return "the second"
	case 'f':
		return "the fraction"
	default:
		return "AM or PM"
	}
}

func (d *dateFields) readYear(i formatItem) string {
	length := max(i.count, 1)
	least := length
	if length == 1 {
		length = 2
	}
	n := 0
	for n < length && n < len(d.rest) && isDigit(d.rest[n]) {
		n++
	}
	if n < least {
		return problemIfMissing(false, "the year")
	}
	number := atoi(d.rest[:n])
	if i.count <= 2 {
		number = fullYear(fmt.Sprintf("%02d", number))
	}
	d.rest = d.rest[n:]
	return d.setField('y', number)
}

// readName reads the name of a month or a day of the week as the value of a field. name returns the
// name of a number between 1 and most. readName returns the problem, or "" if there is none.
func (d *dateFields) readName(i formatItem, field byte, most int, name func(int) string) string {
	for n := 1; n <= most; n++ {
		full := name(n)
		if i.count == 3 {
			full = full[:3]
		}
		if len(d.rest) >= len(full) && strings.EqualFold(d.rest[:len(full)], full) {
			d.rest = d.rest[len(full):]
			return d.setField(field, n)
		}
	}
	return problemIfMissing(false, "the name of "+fieldName(field))
}

func (d *dateFields) readAMPM(i formatItem) string {
	for n, word := range []string{"AM", "PM"} {
		word = word[:min(i.count, 2)]
		if len(d.rest) >= len(word) && strings.EqualFold(d.rest[:len(word)], word) {
			d.rest = d.rest[len(word):]
			return d.setField('t', n)
		}
	}
	return problemIfMissing(false, "AM or PM")
}

func (d *dateFields) readFraction(i formatItem) string {
	length := 0
	for length < i.count && length < len(d.rest) && isDigit(d.rest[length]) {
		length++
	}
	if i.letter == 'f' && length < i.count {
		return problemIfMissing(false, fmt.Sprintf("a fraction of %d digits", i.count))
	}
	digits := d.rest[:length]
	d.rest = d.rest[length:]
	return d.setField('f', parseNanoseconds(digits))
}

func (d *dateFields) readZone(i formatItem) string {
	if rest, ok := strings.CutPrefix(d.rest, "Z"); ok {
		d.rest, d.zone = rest, zoneUTC
		return ""
	}
	if d.rest == "" || d.rest[0] != '+' && d.rest[0] != '-' {
		return problemIfMissing(i.letter == 'K', "the offset")
	}
	offset, length, ok := readOffset(d.rest)
	if !ok {
		return "the offset is not one such as +02:00"
	}
	d.rest, d.offset, d.zone = d.rest[length:], offset, zoneLocal
	return ""
}

// toDate makes a date from the fields. Missing fields get .NET's default values: if there is only a
// time, the date is today; otherwise missing fields are this year, January and the first day of the
// month.
func (d *dateFields) toDate(s dateStyles, now time.Time) (t parsedDate, problem string) {
	year, hasYear := d.field('y')
	month, hasMonth := d.field('M')
	day, hasDay := d.field('d')
	switch {
	case hasYear:
	case s.noDefaultDate && !hasMonth && !hasDay:
		year = 1
	case now.IsZero():
		return t, "it has no year, and the time of the evaluation is not known here"
	case hasMonth || hasDay:
		year = now.Year()
	default:
		year, month, day = now.Year(), int(now.Month()), now.Day()
	}
	month, day = max(month, 1-boolToInt(hasMonth)), max(day, 1-boolToInt(hasDay))
	minute, _ := d.field('m')
	second, _ := d.field('s')
	fraction, _ := d.field('f')
	hour, problem := d.hourOfDay()
	switch {
	case problem != "":
		return t, problem
	case year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, time.Month(month)):
		return t, "there is no such day"
	case hour > 23 || minute > 59 || second > 59:
		return t, "there is no such time"
	}
	at := time.Date(year, time.Month(month), day, hour, minute, second, fraction, time.UTC)
	if weekday, known := d.field('w'); known && at.Weekday() != time.Weekday(weekday%7) {
		return t, "the day is another weekday"
	}
	at = at.Add(-time.Duration(d.offset) * time.Second)
	if !inCalendar(at) {
		return t, "it lies outside of the years 1 to 9999"
	}
	return parsedDate{Time: at, zone: d.zoneKind(s)}, ""
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// zoneKind returns which time zone the result has, after the styles are applied.
func (d *dateFields) zoneKind(s dateStyles) zone {
	if d.zone == zoneNone && !s.assumesUniversal {
		return zoneNone
	}
	if s.adjustsToUniversal {
		return zoneUTC
	}
	if d.zone == zoneNone {
		return zoneLocal
	}
	return d.zone
}

func (d *dateFields) hourOfDay() (hour int, problem string) {
	half, hasHalf := d.field('t')
	twelve, has12 := d.field('h')
	hour, has24 := d.field('H')
	switch {
	case has24 && has12 && hour%12 != twelve%12:
		return 0, "the hour stands there twice and differs"
	case has24 && hasHalf && half != hour/12:
		return 0, "the hour does not fit AM or PM"
	case has24:
		return hour, ""
	case has12 && (twelve < 1 || twelve > 12):
		return 0, "there is no such hour before or after noon"
	}
	return twelve%12 + 12*half, ""
}
