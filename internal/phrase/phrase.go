// Package phrase puts numbers and long strings into sentences.
package phrase

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Count returns a number with its noun: "1 person", "2 people".
func Count(n int, singular, plural string) string {
	return strconv.Itoa(n) + " " + Noun(n, singular, plural)
}

// Noun returns singular if n is 1, and plural otherwise.
func Noun(n int, singular, plural string) string {
	if n == 1 {
		return singular
	}
	return plural
}

const ellipsis = "…"

// Cut shortens a string to at most limit bytes. It returns a shorter string unchanged. It cuts a
// longer string between two characters and appends "…", which counts towards the limit.
func Cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := max(0, limit-len(ellipsis))
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + ellipsis
}

// Storable returns text in a form that every database can store: NUL and bytes that are not UTF-8
// become U+FFFD.
func Storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
