package expr

import (
	"strings"
	"time"
)

// readDate parses a date for CDate. It reads ISO 8601, .NET's forms with the month first, and dates
// with names of months. A date without an offset is in UTC. It returns false if the string is not a
// date.
func readDate(text string) (time.Time, bool) {
	if len(text) > 100 {
		return time.Time{}, false
	}
	d := dateReader{rest: strings.TrimSpace(text)}
	for d.rest != "" {
		if !d.readNext() {
			return time.Time{}, false
		}
	}
	return d.toTime()
}

// dateReader reads a date in one of the usual forms, and holds the parts that it has read.
type dateReader struct {
	rest             string
	year, month, day int
	hour, minute     int
	second, fraction int // fraction is the fraction of the second in nanoseconds
	hasDate, hasTime bool
	hasZone          bool
	offset           int      // seconds east of UTC
	amOrPM           string   // "am", "pm" or ""
	looseNumbers     []string // the numbers before and after the name of a month
}

// readNext reads the next part of the string. It returns false if a date cannot have this part
// here.
func (d *dateReader) readNext() bool {
	switch c := d.rest[0]; {
	case c == ' ' || c == ',', c == '-' && !d.hasDate && (d.month != 0 || len(d.looseNumbers) > 0): // the hyphen is between the parts of a date such as 16-Mar-2020
		d.rest = d.rest[1:]
		return true
	case isDigit(c):
		return d.readDigits()
	case (c == '+' || c == '-') && (d.hasDate || d.hasTime) && !d.hasZone:
		offset, length, ok := readOffset(d.rest)
		d.offset, d.hasZone, d.rest = offset, true, d.rest[length:]
		return ok
	case isLetter(c) && c != '_':
		return d.readWord()
	default:
		return false
	}
}

// readDigits reads a part that starts with a digit: a time such as 5:41:18.5, a date such as
// 2020-03-16 or 3/16/2020, or a number next to the name of a month.
func (d *dateReader) readDigits() bool {
	first := d.readNumber()
	switch {
	case strings.HasPrefix(d.rest, ":") && !d.hasTime:
		return d.readRestOfTime(first)
	case d.rest != "" && strings.IndexByte("-/.", d.rest[0]) >= 0 && !d.hasDate && d.month == 0 && len(d.rest) > 1 && isDigit(d.rest[1]):
		return d.readNumericDate(first)
	case !d.hasDate:
		d.looseNumbers = append(d.looseNumbers, first)
		d.setNamedDate()
		return len(d.looseNumbers) <= 2
	default: // the number can only be an hour, as in 4 PM
		after := strings.ToUpper(strings.TrimLeft(d.rest, " "))
		d.hour, d.hasTime = atoi(first), true
		return strings.HasPrefix(after, "AM") || strings.HasPrefix(after, "PM")
	}
}

func (d *dateReader) readNumber() string {
	length := 0
	for length < len(d.rest) && isDigit(d.rest[length]) {
		length++
	}
	number := d.rest[:length]
	d.rest = d.rest[length:]
	return number
}

// readRestOfTime reads the part of a time after the hour: the minutes, the seconds and their
// fraction.
func (d *dateReader) readRestOfTime(hour string) bool {
	d.hasTime = true
	d.rest = d.rest[1:]
	minute, second := d.readNumber(), "0"
	if strings.HasPrefix(d.rest, ":") {
		d.rest = d.rest[1:]
		second = d.readNumber()
		if len(d.rest) > 1 && d.rest[0] == '.' && isDigit(d.rest[1]) {
			d.rest = d.rest[1:]
			d.fraction = parseNanoseconds(d.readNumber())
		}
	}
	d.hour, d.minute, d.second = atoi(hour), atoi(minute), atoi(second)
	return hasOneOrTwoDigits(hour) && hasOneOrTwoDigits(minute) && hasOneOrTwoDigits(second)
}

func hasOneOrTwoDigits(number string) bool { return number != "" && len(number) <= 2 }

// readNumericDate reads the rest of a date of three numbers, or of only a year and a month. first
// is its first number.
func (d *dateReader) readNumericDate(first string) bool {
	separator := d.rest[0]
	d.rest = d.rest[1:]
	second := d.readNumber()
	third := ""
	if len(d.rest) > 1 && d.rest[0] == separator && isDigit(d.rest[1]) {
		d.rest = d.rest[1:]
		third = d.readNumber()
	}
	d.hasDate = true
	switch {
	case len(first) == 4 && third == "":
		d.year, d.month, d.day = atoi(first), atoi(second), 1
		return hasOneOrTwoDigits(second)
	case len(first) == 4:
		d.year, d.month, d.day = atoi(first), atoi(second), atoi(third)
		return hasOneOrTwoDigits(second) && hasOneOrTwoDigits(third)
	default:
		d.month, d.day, d.year = atoi(first), atoi(second), fullYear(third)
		return hasOneOrTwoDigits(first) && hasOneOrTwoDigits(second) && (len(third) == 2 || len(third) == 4)
	}
}

// readWord reads a word: the name of a month or weekday, AM, PM, the T before a time, or Z. It
// returns false for any other word.
func (d *dateReader) readWord() bool {
	length := 0
	for length < len(d.rest) && isLetter(d.rest[length]) {
		length++
	}
	word := strings.ToLower(d.rest[:length])
	d.rest = d.rest[length:]
	switch word {
	case "t":
		return d.hasDate && !d.hasTime && d.rest != "" && isDigit(d.rest[0])
	case "z", "gmt", "utc":
		ok := !d.hasZone
		d.hasZone = true
		return ok
	case "am", "pm":
		ok := d.hasTime && d.amOrPM == ""
		d.amOrPM = word
		return ok
	}
	d.rest = strings.TrimPrefix(d.rest, ".")
	if len(word) < 3 {
		return false
	}
	for month := time.January; month <= time.December; month++ {
		if name := strings.ToLower(month.String()); word == name || word == name[:3] {
			ok := d.month == 0
			d.month = int(month)
			d.setNamedDate()
			return ok
		}
	}
	for day := time.Sunday; day <= time.Saturday; day++ {
		if name := strings.ToLower(day.String()); word == name || word == name[:3] {
			return true
		}
	}
	return false
}

// setNamedDate sets the date from the name of a month and the two numbers next to it. It does
// nothing until all three have been read.
func (d *dateReader) setNamedDate() {
	if d.month == 0 || len(d.looseNumbers) < 2 {
		return
	}
	day, yearText := d.looseNumbers[0], d.looseNumbers[1]
	if len(day) == 4 {
		day, yearText = yearText, day
	}
	if hasOneOrTwoDigits(day) && (len(yearText) == 2 || len(yearText) == 4) {
		d.day, d.year, d.hasDate = atoi(day), fullYear(yearText), true
	}
}

func (d *dateReader) toTime() (time.Time, bool) {
	if !d.hasDate || d.year < 1 || d.month < 1 || d.month > 12 || d.day < 1 || d.day > daysIn(d.year, time.Month(d.month)) {
		return time.Time{}, false
	}
	hour, ok := to24Hours(d.hour, d.amOrPM)
	if !ok || hour > 23 || d.minute > 59 || d.second > 59 {
		return time.Time{}, false
	}
	t := time.Date(d.year, time.Month(d.month), d.day, hour, d.minute, d.second-d.offset, d.fraction, time.UTC)
	return t, inCalendar(t)
}

// to24Hours converts an hour with "am" or "pm" to the 24-hour clock. If half is "", the hour stays
// the same. The second result is false if the hour is invalid.
func to24Hours(hour int, half string) (int, bool) {
	switch half {
	case "":
		return hour, true
	case "am":
		return hour % 12, hour >= 1 && hour <= 12
	default:
		return hour%12 + 12, hour >= 1 && hour <= 12
	}
}

// readOffset reads an offset such as +hh:mm, -hhmm, +hh or -h at the start of s. offset is in
// seconds east of UTC. length is the number of bytes read.
func readOffset(s string) (offset, length int, ok bool) {
	digits := func(from int) int {
		n := 0
		for from+n < len(s) && isDigit(s[from+n]) {
			n++
		}
		return n
	}
	hours := digits(1)
	length = 1 + hours
	minutes := "0"
	switch {
	case hours == 4:
		minutes = s[3:5]
		hours = 2
	case hours < 1 || hours > 2:
		return 0, length, false
	case length < len(s) && s[length] == ':' && digits(length+1) == 2:
		minutes = s[length+1 : length+3]
		length += 3
	}
	h, m := atoi(s[1:1+hours]), atoi(minutes)
	offset = h*3600 + m*60
	if s[0] == '-' {
		offset = -offset
	}
	return offset, length, m < 60 && h*60+m <= 14*60
}

// fullYear returns the year that digits mean. As in .NET, two digits mean a year between 1950 and
// 2049.
func fullYear(digits string) int {
	y := atoi(digits)
	if len(digits) == 2 {
		if y < 50 {
			return 2000 + y
		}
		return 1900 + y
	}
	return y
}

// parseNanoseconds converts the digits after the decimal point of seconds to nanoseconds.
func parseNanoseconds(digits string) int {
	if len(digits) > 9 {
		digits = digits[:9]
	}
	n := atoi(digits)
	for range 9 - len(digits) {
		n *= 10
	}
	return n
}

// atoi converts digits to a number. For more than nine digits it returns a number that is too large
// for every use here.
func atoi(digits string) int {
	if len(digits) > 9 {
		return 1 << 30
	}
	n := 0
	for i := range len(digits) {
		n = n*10 + int(digits[i]-'0')
	}
	return n
}
