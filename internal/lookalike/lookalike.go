package lookalike

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/rollcall-scim/rollcall/internal/visible"
)

// confusables is the content of confusables.txt: a character and its prototype on each line.
//
//go:embed confusables.txt
var confusables string

// prototypes returns the prototype of each character that has one.
var prototypes = sync.OnceValue(func() map[rune]string {
	table := make(map[rune]string, strings.Count(confusables, "\n"))
	for line := range strings.Lines(confusables) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		from, to, _ := strings.Cut(strings.TrimSpace(line), " ")
		var text strings.Builder
		for code := range strings.FieldsSeq(to) {
			text.WriteRune(parseCharacter(code))
		}
		table[parseCharacter(from)] = text.String()
	}
	return table
})

// parseCharacter reads a code point of confusables.txt. It panics if the code point is invalid. A
// test reads the whole file, so this cannot happen in use.
func parseCharacter(hex string) rune {
	code, err := strconv.ParseUint(hex, 16, 32)
	if err != nil || code > unicode.MaxRune {
		panic(fmt.Sprintf("internal/lookalike: confusables.txt: no code point %q", hex))
	}
	return rune(code)
}

// Skeleton returns the same string for all strings that look the same. The result is useful only
// for comparisons. Skeleton ignores invisible characters, and spaces at both ends.
func Skeleton(text string) string {
	for range maxRounds {
		next := replaceCharacters(text)
		if next == text || isASCII(next) {
			return next
		}
		text = next
	}
	return text
}

// maxRounds is how many times Skeleton replaces characters by their prototypes. The standard
// replaces each character only once. But some prototypes have prototypes themselves: the prototype
// of ǆ is dž, and the accent in it has a prototype too.
const maxRounds = 5

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// replaceCharacters replaces each character by its prototype, if the character has one.
func replaceCharacters(text string) string {
	ascii := asciiReplacements()
	var b strings.Builder
	b.Grow(len(text) + 8)
	for _, r := range norm.NFD.String(strings.TrimSpace(text)) {
		if r < utf8.RuneSelf {
			b.WriteString(ascii[r])
		} else {
			b.WriteString(replaceCharacter(r))
		}
	}
	return norm.NFD.String(strings.TrimSpace(b.String()))
}

// replaceCharacter returns the prototype of a character, or the character itself if it has none. An
// invisible character becomes "".
func replaceCharacter(r rune) string {
	if r != ' ' && visible.IsInvisible(r) {
		return ""
	}
	if to, has := prototypes()[r]; has {
		return to
	}
	return string(r)
}

// asciiReplacements returns what replaceCharacter returns for each ASCII character.
var asciiReplacements = sync.OnceValue(func() *[utf8.RuneSelf]string {
	all := new([utf8.RuneSelf]string)
	for r := range all {
		all[r] = replaceCharacter(rune(r))
	}
	return all
})

// Skeletons returns the skeletons of a name whose case does not matter: one of the name as it is
// written, and one of the name in lower case. Two names look the same if they share a skeleton.
// "Ian" and "lan" look the same as written, but not in lower case.
func Skeletons(text string) []string {
	written, lower := Skeleton(text), Skeleton(strings.ToLower(text))
	if written == lower {
		return []string{written}
	}
	return []string{written, lower}
}

// maxListedCharacters is the largest number of characters that Difference lists.
const maxListedCharacters = 3

// Difference describes the characters of text that do not occur in other, such as "а (U+0430,
// Cyrillic)". It returns "" if there are none.
func Difference(text, other string) string {
	var descriptions []string
	for _, r := range text {
		if strings.ContainsRune(other, r) {
			continue
		}
		name := describeRune(r)
		if slices.Contains(descriptions, name) {
			continue
		}
		if len(descriptions) == maxListedCharacters {
			descriptions = append(descriptions, "others")
			break
		}
		descriptions = append(descriptions, name)
	}
	if n := len(descriptions); n > 1 {
		return strings.Join(descriptions[:n-1], ", ") + " and " + descriptions[n-1]
	}
	return strings.Join(descriptions, "")
}

// describeRune returns a visible character with its code point and script, such as "а (U+0430,
// Cyrillic)". For a hidden character, it returns the name of the character instead.
func describeRune(r rune) string {
	if visible.IsHidden(r) {
		return visible.Describe(r)
	}
	name := string(r)
	if unicode.In(r, unicode.Mn, unicode.Me) {
		name = "◌" + name
	}
	code := fmt.Sprintf("U+%04X", r)
	switch script := scriptOf(r); {
	case unicode.IsDigit(r) && r < utf8.RuneSelf:
		return name + " (" + code + ", the digit)"
	case script != "":
		return name + " (" + code + ", " + script + ")"
	}
	return name + " (" + code + ")"
}

// scriptOf returns the script of a letter; it returns "" for a character without a script.
func scriptOf(r rune) string {
	for name, table := range unicode.Scripts {
		if name != "Common" && name != "Inherited" && unicode.Is(table, r) {
			return strings.ReplaceAll(name, "_", " ")
		}
	}
	return ""
}
