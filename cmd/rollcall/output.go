package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/internal/visible"
)

// stamp is a time in JSON output; empty for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// when is a time for people; "never" for none.
func (c *command) when(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// printLink prints a one-time sign-in link.
func (c *command) printLink(who, url string, expires time.Time) error {
	return c.print(map[string]string{"for": who, "url": url, "expires": stamp(expires)}, func(w io.Writer) {
		fmt.Fprintln(w, url)
		c.note("Signs in %s, once, within %s.", who, inMinutes(expires.Sub(c.now())))
		c.noteNobodyServes()
	})
}

// atMost allows the listed arguments, all optional.
func atMost(want ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > len(want) {
			return usagef(cmd, "%q is one argument too many", args[len(want)])
		}
		return nil
	}
}

// between demands the first n of the listed arguments and allows the rest.
func between(n int, want ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return names(want[:n]...)(cmd, args)
		}
		return atMost(want...)(cmd, args)
	}
}

// oneOf reads a value that must be one of a few words, case ignored.
func oneOf[T ~string](cmd *cobra.Command, flag, text string, choices ...T) (T, error) {
	shown := make([]string, len(choices))
	for i, choice := range choices {
		if strings.EqualFold(string(choice), text) {
			return choice, nil
		}
		shown[i] = string(choice)
	}
	return "", usagef(cmd, "--%s is %s, not %q", flag, strings.Join(shown, " or "), text)
}

// plural is "1 person", "2 people".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// inMinutes is a time span for people, to the minute: "15 minutes", "1 hour and 30 minutes".
func inMinutes(d time.Duration) string {
	minutes := int(d.Round(time.Minute) / time.Minute)
	hours := minutes / 60
	if minutes %= 60; hours == 0 {
		return plural(minutes, "minute", "minutes")
	}
	text := plural(hours, "hour", "hours")
	if minutes > 0 {
		text += " and " + plural(minutes, "minute", "minutes")
	}
	return text
}

// these is the word for one or for many.
func these(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// steers says whether a character acts on the terminal instead of being shown: controls, and those that turn the direction of text.
func steers(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r)
}

// forPeople writes text that people read in a terminal: what somebody else wrote into a name or a message does not steer it.
type forPeople struct{ io.Writer }

func (w forPeople) Write(b []byte) (int, error) { return writeSteering(w.Writer, b, visible.Reveal) }

// forPrograms writes JSON. In JSON such characters stand inside strings only, so an escape means the same.
type forPrograms struct{ io.Writer }

func (w forPrograms) Write(b []byte) (int, error) {
	return writeSteering(w.Writer, b, func(r string) string { return fmt.Sprintf(`\u%04x`, []rune(r)[0]) })
}

// writeSteering writes text with each character that steers a terminal replaced.
func writeSteering(w io.Writer, b []byte, show func(string) string) (int, error) {
	var clean strings.Builder
	for _, r := range string(b) {
		if steers(r) {
			clean.WriteString(show(string(r)))
		} else {
			clean.WriteRune(r)
		}
	}
	if _, err := io.WriteString(w, clean.String()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// oneLine keeps a name or a message of somebody else in the line in which it is shown.
func oneLine(text string) string {
	return strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\u2028", " ", "\u2029", " ").Replace(text)
}

// line prints one JSON object on a line of its own.
func (c *command) line(v any) error {
	enc := json.NewEncoder(forPrograms{c.stdout})
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
