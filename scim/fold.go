package scim

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// Fold gives the form of a text that is compared where case does not matter.
// Two texts are equal without case exactly when their folds are equal; stores
// keep the fold in their own columns, so that the database and the evaluator
// mean the same thing.
//
// RFC 7644 §5, RFC 7613 §3.2.2: nor does it matter whether a letter and its
// accent are one character or two, nor how wide a character is.
func Fold(s string) string {
	i := 0
	for i < len(s) && s[i] < utf8.RuneSelf && (s[i] < 'A' || s[i] > 'Z') {
		i++
	}
	if i == len(s) {
		return s
	}
	if !ascii(s[i:]) {
		s = norm.NFC.String(width.Fold.String(s))
	}
	for {
		s = strings.Map(foldRune, s)
		if ascii(s) || norm.NFC.IsNormalString(s) {
			return s
		}
		s = norm.NFC.String(s) // ſ and an accent become s and an accent, which compose
	}
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// foldRune picks one rune of those that differ in case only: the smallest, in
// lower case when that is an ASCII letter.
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

// equalName compares attribute names, operators and URNs, which are ASCII.
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

// lowerName is the form of a name under which it can be a map key.
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
