// Package visible decides which characters are invisible, and makes them visible. RFC 8265 refuses
// invisible characters in user names; RFC 8264 §9.13 defines their classes.
package visible

import (
	"fmt"
	"strings"
	"unicode"
)

// IsInvisible reports whether a character shows nothing: control characters, format characters, and
// characters that programs may ignore.
func IsInvisible(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Zl, unicode.Zp,
		unicode.Noncharacter_Code_Point) || r == '\u2800' // the empty Braille pattern looks like a space
}

// IsOddSpace reports whether a character is a space other than U+0020.
func IsOddSpace(r rune) bool { return r != ' ' && unicode.Is(unicode.Zs, r) }

// IsHidden reports whether a character is invisible, or is a space other than U+0020.
func IsHidden(r rune) bool { return IsInvisible(r) || IsOddSpace(r) }

// Reveal returns the string with hidden characters written in the form ⟨U+200B⟩, and leading and
// trailing spaces as ⟨space⟩.
func Reveal(text string) string {
	trimmed := strings.Trim(text, " ")
	if trimmed == text && !strings.ContainsFunc(text, IsHidden) {
		return text
	}
	before := len(text) - len(strings.TrimLeft(text, " "))
	var b strings.Builder
	b.WriteString(strings.Repeat("⟨space⟩", before))
	for _, r := range trimmed {
		if IsHidden(r) {
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		} else {
			b.WriteRune(r)
		}
	}
	if trimmed != "" {
		b.WriteString(strings.Repeat("⟨space⟩", len(text)-before-len(trimmed)))
	}
	return b.String()
}

// Describe names a character in words: by its common name if it has one, otherwise by its class.
func Describe(r rune) string {
	name := map[rune]string{
		'\u00a0': "a no-break space", '\u00ad': "a soft hyphen", '\u200b': "a zero-width space", '\u200c': "a zero-width non-joiner", '\u200d': "a zero-width joiner",
		'\u2060': "a word joiner", '\ufeff': "a byte order mark", '\t': "a tab", '\n': "a line break", '\r': "a line break",
	}[r]
	switch {
	case name != "":
	case unicode.Is(unicode.Bidi_Control, r):
		name = "a character that turns the direction of the text"
	case unicode.IsControl(r):
		name = "a control character"
	case IsOddSpace(r):
		name = "an unusual space"
	default:
		name = "an invisible character"
	}
	return fmt.Sprintf("%s (U+%04X)", name, r)
}
