package directory

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/rollcall-scim/rollcall/internal/visible"
)

// identifierAttributes are the attributes by which people and programs tell users apart. Their
// values must not contain invisible characters; otherwise two different values could look the same.
var identifierAttributes = []string{attrUPN, "mail", "mailNickname", "otherMails", "proxyAddresses", attrEmployeeID}

// personNames are the attributes that hold names of people. Their values may contain two kinds of
// invisible characters: joiners, which Persian names need, and variation selectors, which some
// Japanese names need. All other invisible characters are refused.
var personNames = []string{"givenName", "surname", attrDisplayName}

// checkVisible returns a refusal if a changed value of a user has invisible characters. RFC 8265
// forbids them in user names; the classes of characters are those of RFC 8264, 9.13. An unchanged
// value may keep such characters, so that they do not prevent other changes.
func checkVisible(before, after User) error {
	for _, name := range slices.Concat(identifierAttributes, personNames) {
		if err := checkVisibleAttribute(before, after, name); err != nil {
			return err
		}
	}
	return nil
}

// checkVisibleAttribute returns an error if a changed attribute has an invisible character that the
// attribute must not have.
func checkVisibleAttribute(before, after User, name string) error {
	text := after.Text(name)
	if text == before.Text(name) {
		return nil
	}
	var refused func(rune) bool
	switch {
	case slices.Contains(identifierAttributes, name):
		refused = func(r rune) bool { return visible.IsInvisible(r) || visible.IsOddSpace(r) }
	case slices.Contains(personNames, name):
		refused = func(r rune) bool {
			return visible.IsInvisible(r) && r != '\u200c' && r != '\u200d' && !unicode.Is(unicode.Variation_Selector, r)
		}
	default:
		return nil
	}
	i := strings.IndexFunc(text, refused)
	if i < 0 {
		return nil
	}
	bad := []rune(text[i:])[0]
	return invalid(name, "%s contains %s, which nobody can see: %s", name, visible.Describe(bad), quoteRevealed(text, refused)).Advise("remove it")
}

// withoutInvisible returns a string without its invisible characters and unusual spaces.
func withoutInvisible(text string) string {
	return strings.Map(func(r rune) rune {
		if visible.IsInvisible(r) || visible.IsOddSpace(r) {
			return -1
		}
		return r
	}, text)
}

// quoteRevealed returns a string in double quotes, with its invisible characters as numbers such as
// <U+200B>.
func quoteRevealed(text string, hidden func(rune) bool) string {
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
