package directory

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// identifiers are the attributes by which people and programs tell users apart. Two values that look alike must be alike.
var identifiers = []string{attrUPN, "mail", "mailNickname", "otherMails", "proxyAddresses", attrEmployeeID}

// personNames are shown to people. Persian names need joiners, and some Japanese names a variation selector: those stay.
var personNames = []string{"givenName", "surname", attrDisplayName}

// checkVisible refuses invisible characters in the values that differ from before. RFC 8265 does so for user names; the classes are those of RFC 8264,
// 9.13. A stored value that has them stays, so that it never stands in the way of another change.
func checkVisible(before, after User) error {
	for _, name := range slices.Concat(identifiers, personNames) {
		if err := checkVisibleAttribute(before, after, name); err != nil {
			return err
		}
	}
	return nil
}

func checkVisibleAttribute(before, after User, name string) error {
	text := after.Text(name)
	if text == before.Text(name) {
		return nil
	}
	var refused func(rune) bool
	switch {
	case slices.Contains(identifiers, name):
		refused = func(r rune) bool { return invisible(r) || oddSpace(r) }
	case slices.Contains(personNames, name):
		refused = func(r rune) bool {
			return invisible(r) && r != '\u200c' && r != '\u200d' && !unicode.Is(unicode.Variation_Selector, r)
		}
	default:
		return nil
	}
	i := strings.IndexFunc(text, refused)
	if i < 0 {
		return nil
	}
	bad := []rune(text[i:])[0]
	return invalid(name, "%s contains %s, which nobody can see: %s; remove it", name, describeRune(bad), revealed(text, refused))
}

// invisible says whether a character has no shape of its own: control and format characters, and those that text may ignore.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Zl, unicode.Zp,
		unicode.Noncharacter_Code_Point) || r == '\u2800' // the empty Braille pattern looks like a space
}

// oddSpace says whether a character is a space other than the one on the keyboard.
func oddSpace(r rune) bool { return r != ' ' && unicode.Is(unicode.Zs, r) }

// withoutInvisible is what a reader sees of a text.
func withoutInvisible(text string) string {
	return strings.Map(func(r rune) rune {
		if invisible(r) || oddSpace(r) {
			return -1
		}
		return r
	}, text)
}

// revealed quotes a text with its invisible characters written as numbers.
func revealed(text string, hidden func(rune) bool) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		if hidden(r) {
			fmt.Fprintf(&b, "<U+%04X>", r)
		} else {
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// describeRune names a character in words where it has a common name.
func describeRune(r rune) string {
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
	case oddSpace(r):
		name = "an unusual space"
	default:
		name = "an invisible character"
	}
	return fmt.Sprintf("%s (U+%04X)", name, r)
}
