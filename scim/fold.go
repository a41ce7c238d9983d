package scim

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// Fold returns the form in which strings are compared when case does not matter. Two strings are
// equal without case exactly when their folds are equal. Stores keep folds in separate columns, so
// that the database and the filter evaluator agree.
//
// RFC 7644 §5, RFC 7613 §3.2.2: Fold also ignores whether a letter and its accent are one character
// or two, and how wide a character is.
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
		s = norm.NFC.String(s) // folding turns ſ into s, and s with the accent that follows may form one character
	}
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// foldRune returns the same rune for all runes that differ only in case: the smallest of these
// runes, except that an ASCII letter is returned in lower case.
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

// equalName compares attribute names, operators and URNs without case. All of these are ASCII.
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
