package expr

import (
	"strings"
	"time"
)

// readDate reads a date as CDate does: ISO 8601, .NET's forms with the month first, and names of months. A date without an
// offset is in UTC.
func readDate(text string) (time.Time, bool) {
	if len(text) > 100 {
		return time.Time{}, false
	}
	d := dateReader{rest: strings.TrimSpace(text)}
	for d.rest != "" {
		if !d.next() {
			return time.Time{}, false
		}
	}
	return d.time()
}

type dateReader struct {
	rest             string
	year, month, day int
	hour, minute     int
	second, fraction int // the fraction in nanoseconds
	dated, timed     bool
	zoned            bool
	offset           int // seconds east
	half             string
	loose            []string // numbers beside the name of a month
}

// next takes one part from the text and reports whether it makes sense there.
func (d *dateReader) next() bool {
	switch c := d.rest[0]; {
	case c == ' ' || c == ',', c == '-' && !d.dated && (d.month != 0 || len(d.loose) > 0): // 16-Mar-2020
		d.rest = d.rest[1:]
		return true
	case isDigit(c):
		return d.digits()
	case (c == '+' || c == '-') && (d.dated || d.timed) && !d.zoned:
		offset, length, ok := readOffset(d.rest)
		d.offset, d.zoned, d.rest = offset, true, d.rest[length:]
		return ok
	case isLetter(c) && c != '_':
		return d.word()
	default:
		return false
	}
}

// digits takes 5:41:18.5, 2020-03-16, 3/16/2020, or a number beside the name of a month.
func (d *dateReader) digits() bool {
	first := d.number()
	switch {
	case strings.HasPrefix(d.rest, ":") && !d.timed:
		return d.clock(first)
	case d.rest != "" && strings.IndexByte("-/.", d.rest[0]) >= 0 && !d.dated && d.month == 0 && len(d.rest) > 1 && isDigit(d.rest[1]):
		return d.numbers(first)
	case !d.dated:
		d.loose = append(d.loose, first)
		d.name()
		return len(d.loose) <= 2
	default: // 4 PM
		after := strings.ToUpper(strings.TrimLeft(d.rest, " "))
		d.hour, d.timed = atoi(first), true
		return strings.HasPrefix(after, "AM") || strings.HasPrefix(after, "PM")
	}
}

func (d *dateReader) number() string {
	length := 0
	for length < len(d.rest) && isDigit(d.rest[length]) {
		length++
	}
	number := d.rest[:length]
	d.rest = d.rest[length:]
	return number
}

// clock takes minutes, seconds and their fraction.
func (d *dateReader) clock(hour string) bool {
	d.timed = true
	d.rest = d.rest[1:]
	minute, second := d.number(), "0"
	if strings.HasPrefix(d.rest, ":") {
		d.rest = d.rest[1:]
		second = d.number()
		if len(d.rest) > 1 && d.rest[0] == '.' && isDigit(d.rest[1]) {
			d.rest = d.rest[1:]
			d.fraction = nanoseconds(d.number())
		}
	}
	d.hour, d.minute, d.second = atoi(hour), atoi(minute), atoi(second)
	return short(hour) && short(minute) && short(second)
}

func short(number string) bool { return number != "" && len(number) <= 2 }

// numbers takes a date of three numbers, or of a year and a month.
func (d *dateReader) numbers(first string) bool {
	separator := d.rest[0]
	d.rest = d.rest[1:]
	second := d.number()
	third := ""
	if len(d.rest) > 1 && d.rest[0] == separator && isDigit(d.rest[1]) {
		d.rest = d.rest[1:]
		third = d.number()
	}
	d.dated = true
	switch {
	case len(first) == 4 && third == "":
		d.year, d.month, d.day = atoi(first), atoi(second), 1
		return short(second)
	case len(first) == 4:
		d.year, d.month, d.day = atoi(first), atoi(second), atoi(third)
		return short(second) && short(third)
	default:
		d.month, d.day, d.year = atoi(first), atoi(second), year(third)
		return short(first) && short(second) && (len(third) == 2 || len(third) == 4)
	}
}

// word takes the name of a month or a weekday, AM and PM, T before a time, and Z.
func (d *dateReader) word() bool {
	length := 0
	for length < len(d.rest) && isLetter(d.rest[length]) {
		length++
	}
	word := strings.ToLower(d.rest[:length])
	d.rest = d.rest[length:]
	switch word {
	case "t":
		return d.dated && !d.timed && d.rest != "" && isDigit(d.rest[0])
	case "z", "gmt", "utc":
		ok := !d.zoned
		d.zoned = true
		return ok
	case "am", "pm":
		ok := d.timed && d.half == ""
		d.half = word
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
			d.name()
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

// name makes a date of the name of a month and the two numbers beside it.
func (d *dateReader) name() {
	if d.month == 0 || len(d.loose) < 2 {
		return
	}
	day, yearText := d.loose[0], d.loose[1]
	if len(day) == 4 {
		day, yearText = yearText, day
	}
	if short(day) && (len(yearText) == 2 || len(yearText) == 4) {
		d.day, d.year, d.dated = atoi(day), year(yearText), true
	}
}

func (d *dateReader) time() (time.Time, bool) {
	if !d.dated || d.year < 1 || d.month < 1 || d.month > 12 || d.day < 1 || d.day > daysIn(d.year, time.Month(d.month)) {
		return time.Time{}, false
	}
	hour, ok := hour24(d.hour, d.half)
	if !ok || hour > 23 || d.minute > 59 || d.second > 59 {
		return time.Time{}, false
	}
	t := time.Date(d.year, time.Month(d.month), d.day, hour, d.minute, d.second-d.offset, d.fraction, time.UTC)
	return t, inCalendar(t)
}

// hour24 turns an hour before or after noon into one of 24.
func hour24(hour int, half string) (int, bool) {
	switch half {
	case "":
		return hour, true
	case "am":
		return hour % 12, hour >= 1 && hour <= 12
	default:
		return hour%12 + 12, hour >= 1 && hour <= 12
	}
}

// readOffset reads +hh:mm, -hhmm, +hh or -h at the start of s, in seconds east of Greenwich.
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

// year reads two digits as a year between 1950 and 2049, as .NET does.
func year(digits string) int {
	y := atoi(digits)
	if len(digits) == 2 {
		if y < 50 {
			return 2000 + y
		}
		return 1900 + y
	}
	return y
}

// nanoseconds reads the digits after a decimal point.
func nanoseconds(digits string) int {
	if len(digits) > 9 {
		digits = digits[:9]
	}
	n := atoi(digits)
	for range 9 - len(digits) {
		n *= 10
	}
	return n
}

// atoi reads at most nine digits; more are too many for every use here.
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
