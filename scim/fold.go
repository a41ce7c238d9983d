package scim

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// Fold returns the form in which strings are compared when case does not matter: two strings count
// as equal if Fold returns the same for both. Stores keep folded values in separate columns, so
// that the database and Filter.Match find the same resources.
//
// RFC 7644 §5, RFC 7613 §3.2.2: Fold also ignores whether a letter and its accent are one character
// or two, and whether a character is full-width or half-width.
func Fold(s string) string {
	i := 0
	for i < len(s) && s[i] < utf8.RuneSelf && (s[i] < 'A' || s[i] > 'Z') {
		i++
	}
	if i == len(s) {
		return s
	}
	if !isASCII(s[i:]) {
		s = norm.NFC.String(width.Fold.String(s))
	}
	for {
		s = strings.Map(foldRune, s)
		if isASCII(s) || norm.NFC.IsNormalString(s) {
			return s
		}
		s = norm.NFC.String(s) // foldRune turns ſ into s, and this s and a following accent may form one character
	}
}

// isASCII reports whether a string has only ASCII characters.
func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// foldRune returns the same rune for all runes that differ only in case. It is the smallest of
// these runes; if that is an ASCII letter, it is in lower case.
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		if r != 'k' && r != 's' {
			return r
		}
	}
	least := r
	for n := unicode.SimpleFold(r); n != r; n = unicode.SimpleFold(n) {
		least = min(least, n)
	}
	if 'A' <= least && least <= 'Z' {
		return least + 'a' - 'A'
	}
	return least
}

// equalName reports whether two attribute names, operators or URNs are equal if case does not
// matter. All of these are ASCII.
func equalName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if lowerByte(a[i]) != lowerByte(b[i]) {
			return false
		}
	}
	return true
}

// lowerByte returns an ASCII letter in lower case, and any other byte unchanged.
func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// lowerName returns a name in lower case, for use as a map key.
func lowerName(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				b[i] = lowerByte(b[i])
			}
			return string(b)
		}
	}
	return s
}
