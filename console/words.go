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

// Timestamp formats a time in UTC, such as 2027-01-31 09:30:00 UTC. For the zero time it returns
// "never".
func Timestamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// agoHTML returns the HTML for the time between now and t, such as "3 minutes ago". The exact time
// appears on hover, and console.js adds it in the user's time zone.
func (c *Console) agoHTML(t time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	utc := t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, //nolint:gosec // made of digits and our own words
		utc.Format(time.RFC3339), Timestamp(utc), RelativeTime(t, c.Options.Now())))
}

// clockHTML returns the HTML for a time, exact to the second. console.js converts it to the user's
// time zone.
func clockHTML(t time.Time) template.HTML {
	utc := t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s" data-clock>%s</time>`, //nolint:gosec // made of digits
		utc.Format(time.RFC3339), Timestamp(utc), utc.Format("2006-01-02 15:04:05")))
}

// RelativeTime says how far t is from now, in the largest unit that fits, such as "3 minutes ago"
// or "in 2 days".
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

// SpellDuration returns a duration in its largest unit, such as "3 minutes". It returns "" for a
// duration of less than a second.
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

// Plural returns a number with a noun that forms its plural with s: "1 call", "2 calls".
func Plural(n int, word string) string {
	return PluralForms(n, word, word+"s")
}

// PeopleCount returns "1 person" or "214 people".
func PeopleCount(n int) string {
	return PluralForms(n, "person", "people")
}

// PluralForms returns a number with the words for one object or the words for many, such as
// "1 entry" and "2 entries".
func PluralForms(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return GroupDigits(n) + " " + many
}

// GroupDigits formats a number with commas between groups of three digits, such as 12,300.
func GroupDigits(n int) string {
	digits := strconv.Itoa(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// Shorten cuts out the middle of a long name, so that sentences stay readable. Do not use it where
// the user must recognize the exact name.
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

// AsSentence makes the first letter a capital and adds a full stop. It does not change the first
// word if that contains a capital already, is quoted, or is an e-mail address.
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

// ActorName returns the name of an actor in words. actor is the label that event.Actor.Label
// returns.
func ActorName(actor string) string { return event.ParseActor(actor).Words() }

// ParticularWords matches the words that can differ between two sentences about the same cause:
// quoted values, e-mail addresses, ids and numbers.
var ParticularWords = regexp.MustCompile(`"[^"]*"|“[^”]*”|\S*@\S*|\S*\d\S*`)

// Sentences for confirmation pages.
const (
	EraseKeepsLogs = "Entries of the logs and of the audit trail stay, with their time, their kind and who did it. They no longer name the person."
	CannotBeUndone = "This cannot be undone."
)
