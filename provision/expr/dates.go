package expr

import (
	"fmt"
	"strings"
	"time"
)

// dateFunctions returns the functions for dates and times. All DateTime values are in UTC.
func dateFunctions() []function {
	return []function{
		{
			FunctionInfo: FunctionInfo{
				Name: "CDate", DocumentedIn: Provisioning, Yields: DateTimeType,
				Parameters: []Parameter{required("expression").ofType(DateTimeType)},
				Summary:    "The instant that a string names, in UTC.",
				Details: []string{
					"It reads ISO 8601 (`2020-03-16`, `2020-03-16-07:00`, `2009-06-15T01:45:30Z`), the forms of .NET (`8/25/2021 5:41:18 PM`, the month first) and names of months (`16 March 2020`). Without an offset, the time counts as UTC.",
					"Null and the empty string give null. A string that names no date is an error; FormatDateTime reads other formats.",
				},
				Examples: []Example{
					{Expression: `CDate([StatusHireDate])`, Given: attributesOf("StatusHireDate", "2020-03-16-07:00"), Result: "3/16/2020 7:00:00 AM"},
					{Expression: `CDate("2013-01-10 4:00 PM -8")`, Result: "1/11/2013 12:00:00 AM"},
				},
			},
			eval: evalCDate,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "DateAdd", DocumentedIn: Provisioning, Yields: DateTimeType,
				Parameters: []Parameter{required("interval").ofType(IntervalType), required("value").ofType(NumberType), required("dateTime").ofType(DateTimeType)},
				Summary:    "An instant some intervals later or, with a negative number, earlier.",
				Details: []string{
					"The interval is `yyyy` for years, `m` for months, `ww` for weeks, `d` for days, `h` for hours, `n` for minutes or `s` for seconds. A month without that day gives its last day.",
					"Entra wants CDate around the date if it is a string; Rollcall reads the string. If the date is null, the result is null.",
				},
				Examples: []Example{
					{Expression: `DateAdd("d", 7, CDate([StatusHireDate]))`, Given: attributesOf("StatusHireDate", "2012-03-16-07:00"), Result: "3/23/2012 7:00:00 AM"},
					{Expression: `DateAdd("m", 1, CDate("2024-01-31"))`, Result: "2/29/2024 12:00:00 AM"},
				},
			},
			eval: evalDateAdd,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "DateDiff", DocumentedIn: Provisioning, Yields: NumberType,
				Parameters: []Parameter{required("interval").ofType(IntervalType), required("date1").ofType(DateTimeType), required("date2").ofType(DateTimeType)},
				Summary:    "How many intervals lie between two instants: positive if the second is later.",
				Details: []string{
					"The intervals are those of DateAdd. Days, hours, minutes and seconds count whole ones. Months and years count changes of the calendar's month and year. Weeks are counted from Sunday to Sunday.",
					"If one date is null, the result is null.",
				},
				Examples: []Example{
					{Expression: `DateDiff("d", CDate("2021-08-18+08:00"), CDate("2021-08-31+08:00"))`, Result: "13"},
					{Expression: `DateDiff("ww", CDate("8/25/2021 5:41:18 PM"), CDate("2012-03-16-07:00"))`, Result: "-493"},
				},
			},
			eval: evalDateDiff,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "DateFromNum", DocumentedIn: Provisioning, Yields: DateTimeType,
				Parameters: []Parameter{required("value").ofType(NumberType)},
				Summary:    "The instant of an Active Directory file time: units of 100 nanoseconds since 1601.",
				Examples:   []Example{{Expression: `DateFromNum(129699324000000000)`, Result: "1/1/2012 11:00:00 PM"}},
			},
			eval: evalDateFromNum,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "FormatDateTime", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{required("source").ofType(TextType), optional("dateTimeStyles").ofType(TextType), required("inputFormat").ofType(TextType), required("outputFormat").ofType(TextType)},
				Summary:    "A date read in one format and written in another.",
				Details: []string{
					"The formats are .NET's: `y`, `M`, `d`, `H`, `h`, `m`, `s`, `f`, `F`, `t`, `z` and `K` in their lengths, strings in quotation marks, `\\` before one literal character, and the standard formats of one letter such as `s`.",
					"dateTimeStyles has names of .NET's DateTimeStyles, separated by commas. If it is not given, white space around the date is ignored. An offset in the source is applied, so that the result is in UTC.",
					"A source that is a DateTime, such as a result of DateAdd, needs no reading: its inputFormat does not matter. The older form with three arguments, without dateTimeStyles, is understood. Null and the empty string give null.",
				},
				Examples: []Example{
					{Expression: `FormatDateTime([extensionAttribute1], , "yyyyMMddHHmmss.fZ", "yyyy-MM-dd")`, Given: attributesOf("extensionAttribute1", "20150123105347.1Z"), Result: "2015-01-23"},
					{Expression: `FormatDateTime(CDate([StatusHireDate]), , "M/d/yyyy hh:mm:ss tt", "dddd, d MMMM yyyy")`, Given: attributesOf("StatusHireDate", "2020-03-16-07:00"), Result: "Monday, 16 March 2020"},
				},
			},
			eval:             evalFormatDateTime,
			arrangeArguments: arrangeFormatDateTime,
			checkArguments:   refuseFormatDateTime,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "Now", DocumentedIn: Provisioning, Yields: DateTimeType,
				Summary: "The time of the evaluation, in UTC.",
				Details: []string{"Time alone changes nothing: an account keeps its value until something else that the expression reads, or the expression itself, changes."},
				Examples: []Example{
					{Expression: `DateDiff("d", Now(), CDate("2026-01-04"))`, Result: "1"},
				},
			},
			eval: func(n *node, r *evaluation) (Value, error) {
				if r.env.Now.IsZero() {
					return Null(), n.errorAt(n, "the time of the evaluation is not known here")
				}
				return DateTime(r.env.Now), nil
			},
			readsClock: true,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "NumFromDate", DocumentedIn: Provisioning, Yields: NumberType,
				Parameters: []Parameter{required("value").ofType(DateTimeType)},
				Summary:    "The Active Directory file time of a date.",
				Details:    []string{"It reads what CDate reads. Null and the empty string give null."},
				Examples: []Example{
					{Expression: `NumFromDate(CDate("2012-01-01 23:00:00"))`, Result: "129699324000000000"},
					{Expression: `NumFromDate(Join("", FormatDateTime([ContractEndDate], , "yyyy-MM-ddzzz", "yyyy-MM-dd"), " 23:59:59-08:00"))`, Given: attributesOf("ContractEndDate", "2020-12-31-08:00"), Result: "132539615990000000"},
				},
			},
			eval: evalNumFromDate,
		},
	}
}

// fileTimeEpoch is the beginning of Windows file times, 1601-01-01, as a Unix time in seconds.
const fileTimeEpoch = -11644473600

// evalInstant evaluates argument i as an instant. null is true if the argument is null or empty.
func (n *node) evalInstant(r *evaluation, i int) (t time.Time, null bool, err error) {
	v, err := n.evalSingle(r, i)
	if err != nil || v.text == "" {
		return time.Time{}, true, err
	}
	t, ok := v.asTime()
	if !ok {
		return time.Time{}, false, n.errorAt(n.args[i], fmt.Sprintf("%s of %s must be a date such as 2020-03-16 and is %s", n.fn.parameterAt(i).Name, n.text, r.quoteForMessage(v)))
	}
	return t, false, nil
}

// Instant returns the instant of a DateTime, or the instant that a string names, such as
// 2026-01-31T09:00:00Z. It returns false for other values.
func (v Value) Instant() (time.Time, bool) { return v.asTime() }

// asTime is Instant, for use in this package.
func (v Value) asTime() (time.Time, bool) {
	if v.instant != nil {
		return *v.instant, true
	}
	return readDate(v.text)
}

func evalCDate(n *node, r *evaluation) (Value, error) {
	t, null, err := n.evalInstant(r, 0)
	if err != nil || null {
		return Null(), err
	}
	return DateTime(t), nil
}

func evalDateAdd(n *node, r *evaluation) (Value, error) {
	interval, err := n.evalInterval(r)
	if err != nil {
		return Null(), err
	}
	count, err := n.evalRequiredWhole(r, 1)
	if err != nil {
		return Null(), err
	}
	t, null, err := n.evalInstant(r, 2)
	if err != nil || null {
		return Null(), err
	}
	later, ok := addInterval(t, interval, count)
	if !ok {
		return Null(), n.errorAt(n, "the result of DateAdd lies outside of the years 1 to 9999")
	}
	return DateTime(later), nil
}

// evalInterval returns the interval of a call of DateAdd or DateDiff, in lower case.
func (n *node) evalInterval(r *evaluation) (string, error) {
	v, err := n.evalSingle(r, 0)
	if err == nil && !isInterval(v.text) {
		err = n.errorAt(n.args[0], fmt.Sprintf("the interval of %s must be one of %s and is %s", n.text, strings.Join(intervals(), ", "), r.quoteForMessage(v)))
	}
	return strings.ToLower(v.text), err
}

// addInterval adds count intervals to a time. It returns false if the result is outside the
// calendar.
func addInterval(t time.Time, interval string, count int64) (time.Time, bool) {
	const most = 10_000 * 366 * 24 * 3600 // in seconds; adding more always leads out of the calendar
	if count > most || count < -most {
		return t, false
	}
	switch interval {
	case "yyyy":
		if count > 10_000 || count < -10_000 {
			return t, false
		}
		t = addMonths(t, 12*int(count))
	case "m":
		if count > 120_000 || count < -120_000 {
			return t, false
		}
		t = addMonths(t, int(count))
	default:
		seconds := intervalSeconds(interval)
		if count > most/seconds || count < -most/seconds {
			return t, false
		}
		t = time.Unix(t.Unix()+count*seconds, int64(t.Nanosecond())).UTC()
	}
	return t, inCalendar(t)
}

func intervalSeconds(interval string) int64 {
	switch interval {
	case "ww":
		return 7 * 24 * 3600
	case "d":
		return 24 * 3600
	case "h":
		return 3600
	case "n":
		return 60
	default:
		return 1
	}
}

// addMonths adds months and keeps the day of the month. If the new month is too short for this day,
// it returns the month's last day, like .NET's AddMonths.
func addMonths(t time.Time, count int) time.Time {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	first := time.Date(year, month+time.Month(count), 1, hour, minute, second, t.Nanosecond(), time.UTC)
	return first.AddDate(0, 0, min(day, daysIn(first.Year(), first.Month()))-1)
}

func daysIn(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// inCalendar reports whether t is in the range of .NET's DateTime: the years 1 to 9999.
func inCalendar(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 }

func evalDateDiff(n *node, r *evaluation) (Value, error) {
	interval, err := n.evalInterval(r)
	if err != nil {
		return Null(), err
	}
	first, null1, err := n.evalInstant(r, 1)
	if err != nil {
		return Null(), err
	}
	second, null2, err := n.evalInstant(r, 2)
	if err != nil || null1 || null2 {
		return Null(), err
	}
	return numberValue(countIntervals(interval, first, second)), nil
}

// countIntervals counts the intervals from the first to the second time in the same way as Visual
// Basic's DateDiff. The result is negative if the second time is earlier.
func countIntervals(interval string, first, second time.Time) int64 {
	switch interval {
	case "yyyy":
		return int64(second.Year() - first.Year())
	case "m":
		return int64(12*(second.Year()-first.Year()) + int(second.Month()) - int(first.Month()))
	case "ww":
		first, second = first.AddDate(0, 0, -int(first.Weekday())), second.AddDate(0, 0, -int(second.Weekday()))
	}
	seconds := second.Unix() - first.Unix()
	switch nanoseconds := second.Nanosecond() - first.Nanosecond(); {
	case seconds > 0 && nanoseconds < 0:
		seconds--
	case seconds < 0 && nanoseconds > 0:
		seconds++
	}
	return seconds / intervalSeconds(interval)
}

func evalDateFromNum(n *node, r *evaluation) (Value, error) {
	ticks, null, err := n.evalWhole(r, 0)
	if err != nil || null {
		return Null(), err
	}
	t := time.Unix(ticks/1e7+fileTimeEpoch, ticks%1e7*100).UTC()
	if ticks < 0 || !inCalendar(t) {
		return Null(), n.errorAt(n.args[0], fmt.Sprintf("%d is not a file time between the years 1601 and 9999", ticks))
	}
	return DateTime(t), nil
}

func evalNumFromDate(n *node, r *evaluation) (Value, error) {
	t, null, err := n.evalInstant(r, 0)
	if err != nil || null {
		return Null(), err
	}
	seconds := t.Unix() - fileTimeEpoch
	if seconds < 0 {
		return Null(), n.errorAt(n.args[0], "a date before 1601 has no file time")
	}
	return numberValue(seconds*1e7 + int64(t.Nanosecond()/100)), nil
}

// arrangeFormatDateTime adds an empty dateTimeStyles to a call in the older form, which has only
// three arguments.
func arrangeFormatDateTime(_ *checker, n *node) error {
	if len(n.args) == 3 && n.args[1].kind != emptyNode && n.args[2].kind != emptyNode {
		n.args = []*node{n.args[0], {kind: emptyNode, offset: n.args[1].offset}, n.args[1], n.args[2]}
	}
	return nil
}

func refuseFormatDateTime(c *checker, n *node) error {
	if text, ok := n.args[1].constantText(); ok {
		if _, problem := readStyles(text); problem != "" {
			return c.errorAt(n.args[1], problem, "leave the argument empty, or write names of DateTimeStyles such as AssumeUniversal")
		}
	}
	for i := 2; i <= 3; i++ {
		if text, ok := n.args[i].constantText(); ok {
			f, problem := readFormat(text)
			n.formats[i-2] = &f
			if problem != "" {
				return c.errorAt(n.args[i], fmt.Sprintf("%s of FormatDateTime: %s", n.fn.parameterAt(i).Name, problem), `write a format such as "yyyy-MM-dd"`)
			}
		}
	}
	return nil
}

func evalFormatDateTime(n *node, r *evaluation) (Value, error) {
	source, err := n.evalSingle(r, 0)
	if err != nil || source.text == "" {
		return Null(), err
	}
	styles := defaultStyles
	if n.hasArgument(1) {
		v, err := n.evalSingle(r, 1)
		if err != nil {
			return Null(), err
		}
		problem := ""
		if styles, problem = readStyles(v.text); problem != "" {
			return Null(), n.errorAt(n.args[1], problem)
		}
	}
	input, err := n.evalFormat(r, 2)
	if err != nil {
		return Null(), err
	}
	output, err := n.evalFormat(r, 3)
	if err != nil {
		return Null(), err
	}
	var t parsedDate
	if at, ok := source.Time(); ok {
		t = parsedDate{Time: at, zone: zoneUTC}
	} else {
		problem := ""
		if t, problem = input.parse(source.text, styles, r.env.Now); problem != "" {
			return Null(), n.errorAt(n.args[0], fmt.Sprintf("%s does not have the format %s: %s", r.quoteForMessage(source), quote(truncate(input.text, 60)), problem))
		}
	}
	written := output.write(t)
	return String(written), n.checkSize(len(written))
}

// evalFormat evaluates argument i, 2 or 3, as a date format. It uses the format that the checker
// has parsed, if there is one.
func (n *node) evalFormat(r *evaluation, i int) (dateFormat, error) {
	if f := n.formats[i-2]; f != nil && r.trace == nil {
		return *f, nil
	}
	v, err := n.evalSingle(r, i)
	if err != nil {
		return dateFormat{}, err
	}
	f, problem := readFormat(v.text)
	if problem != "" {
		return f, n.errorAt(n.args[i], fmt.Sprintf("%s of %s: %s", n.fn.parameterAt(i).Name, n.text, problem))
	}
	return f, nil
}
