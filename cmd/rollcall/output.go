package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/internal/visible"
)

// formatJSONTime returns a time as a string for JSON output; "" for the zero time.
func formatJSONTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// formatTime returns a time as a string for people; "never" for the zero time.
func (c *command) formatTime(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// printLink prints a user's one-time sign-in link, and the time until the link expires.
func (c *command) printLink(who, url string, expires time.Time) error {
	return c.print(map[string]string{"for": who, "url": url, "expires": formatJSONTime(expires)}, func(w io.Writer) {
		fmt.Fprintln(w, url)
		c.note("Signs in %s, once, within %s.", who, formatMinutes(expires.Sub(c.now())))
		c.warnNoServer()
	})
}

// atMost allows the arguments that want lists, and no others. None of them is required.
func atMost(want ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > len(want) {
			return usagef(cmd, "%q is one argument too many", args[len(want)])
		}
		return nil
	}
}

// between requires the first n of the arguments that want lists, and allows the others.
func between(n int, want ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return exactArguments(want[:n]...)(cmd, args)
		}
		return atMost(want...)(cmd, args)
	}
}

// parseOneOf reads a flag's value that must be one of the choices. It ignores case.
func parseOneOf[T ~string](cmd *cobra.Command, flag, text string, choices ...T) (T, error) {
	shown := make([]string, len(choices))
	for i, choice := range choices {
		if strings.EqualFold(string(choice), text) {
			return choice, nil
		}
		shown[i] = string(choice)
	}
	return "", usagef(cmd, "--%s is %s, not %q", flag, strings.Join(shown, " or "), text)
}

// formatMinutes returns a duration in words, to the minute: "15 minutes", "1 hour and 30 minutes".
func formatMinutes(d time.Duration) string {
	minutes := int(d.Round(time.Minute) / time.Minute)
	hours := minutes / 60
	if minutes %= 60; hours == 0 {
		return phrase.Count(minutes, "minute", "minutes")
	}
	text := phrase.Count(hours, "hour", "hours")
	if minutes > 0 {
		text += " and " + phrase.Count(minutes, "minute", "minutes")
	}
	return text
}

// controlsTerminal reports whether a terminal would obey a character instead of showing it.
// Terminals obey control characters, and characters that change the direction of text.
func controlsTerminal(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r)
}

// peopleWriter writes text to a terminal. It replaces characters that could control the terminal,
// because names and messages may come from other people.
type peopleWriter struct{ io.Writer }

func (w peopleWriter) Write(b []byte) (int, error) {
	return writeReplacing(w.Writer, b, visible.Reveal)
}

// jsonWriter writes JSON. It escapes the characters that could control a terminal. They occur only
// inside JSON strings, so the meaning of the JSON stays the same.
type jsonWriter struct{ io.Writer }

func (w jsonWriter) Write(b []byte) (int, error) {
	return writeReplacing(w.Writer, b, func(r string) string { return fmt.Sprintf(`\u%04x`, []rune(r)[0]) })
}

// writeReplacing writes b. It replaces each character that could control a terminal with the result
// of show.
func writeReplacing(w io.Writer, b []byte, show func(string) string) (int, error) {
	var clean strings.Builder
	for _, r := range string(b) {
		if controlsTerminal(r) {
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

// oneLine joins the lines of a message from other people into one line.
func oneLine(text string) string {
	return strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\u2028", " ", "\u2029", " ").Replace(text)
}

// printLine prints v as JSON on one line.
func (c *command) printLine(v any) error {
	enc := json.NewEncoder(jsonWriter{c.stdout})
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
