package console

import (
	"fmt"
	"html/template"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/event"
)

// Timestamp is a time as people in every country read it without asking, in UTC.
func Timestamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// ago says how far away t is, with the exact time on hover; the script adds the reader's own time zone.
func (c *Console) ago(t time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	utc := t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, //nolint:gosec // made of digits and our own words
		utc.Format(time.RFC3339), Timestamp(utc), RelativeTime(t, c.Options.Now())))
}

// clock is a time to the second; the script turns it into the reader's own zone.
func clock(t time.Time) template.HTML {
	utc := t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s" data-clock>%s</time>`, //nolint:gosec // made of digits
		utc.Format(time.RFC3339), Timestamp(utc), utc.Format("2006-01-02 15:04:05")))
}

// RelativeTime says how far t is from now in the largest fitting unit.
func RelativeTime(t, now time.Time) string {
	d := now.Sub(t)
	text := SpellDuration(d.Abs())
	switch {
	case text == "":
		return "just now"
	case d < 0:
		return "in " + text
	}
	return text + " ago"
}

func SpellDuration(d time.Duration) string {
	units := []struct {
		size time.Duration
		name string
	}{
		{365 * 24 * time.Hour, "year"},
		{30 * 24 * time.Hour, "month"},
		{24 * time.Hour, "day"},
		{time.Hour, "hour"},
		{time.Minute, "minute"},
		{time.Second, "second"},
	}
	for _, u := range units {
		if n := int(d / u.size); n > 0 {
			return Plural(n, u.name)
		}
	}
	return ""
}

// Plural is "1 person" or "2 persons": words that take an s.
func Plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return GroupDigits(n) + " " + word + "s"
}

// PeopleCount is "1 person" or "214 people".
func PeopleCount(n int) string {
	if n == 1 {
		return "1 person"
	}
	return GroupDigits(n) + " people"
}

// PluralForms is a number with the words for one or for several.
func PluralForms(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return GroupDigits(n) + " " + many
}

// GroupDigits is a number with commas: 12,300.
func GroupDigits(n int) string {
	digits := strconv.Itoa(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// Shorten cuts the middle out of a long name, so that a sentence with it stays a sentence. What is to be decided on is never cut.
func Shorten(name string) string {
	const start, end = 36, 20
	r := []rune(name)
	if len(r) <= start+end+1 {
		return name
	}
	return string(r[:start]) + "…" + string(r[len(r)-end:])
}

func initials(name string) string {
	words := strings.FieldsFunc(name, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) })
	if len(words) == 0 {
		return "?"
	}
	first, _ := utf8.DecodeRuneInString(words[0])
	text := string(unicode.ToUpper(first))
	if last := words[len(words)-1]; len(words) > 1 {
		c, _ := utf8.DecodeRuneInString(last)
		text += string(unicode.ToUpper(c))
	}
	return text
}

// AsSentence begins with a capital letter, unless its first word is a name with capitals in it, and ends with a full stop.
func AsSentence(text string) string {
	if text == "" {
		return ""
	}
	first, rest, _ := strings.Cut(text, " ")
	if strings.ToLower(first) == first && !strings.ContainsAny(first, "\"@") {
		r, size := utf8.DecodeRuneInString(first)
		text = string(unicode.ToUpper(r)) + first[size:]
		if rest != "" {
			text += " " + rest
		}
	}
	if !strings.ContainsAny(text[len(text)-1:], ".?!") {
		text += "."
	}
	return text
}

// ActorName says in words who an event's or a token's actor is.
func ActorName(actor string) string { return event.ParseActor(actor).Words() }

// ParticularWords is what differs between two sentences of one cause: quoted values and names, ids and numbers.
var ParticularWords = regexp.MustCompile(`"[^"]*"|“[^”]*”|\S*@\S*|\S*\d\S*`)

// The words about erasing a person.
const (
	EraseKeepsLogs = "Entries of the logs and of the audit trail stay, with their time, their kind and who did it. They no longer name the person."
	CannotBeUndone = "This cannot be undone."
)
