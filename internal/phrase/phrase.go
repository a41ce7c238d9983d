// Package phrase puts numbers and long strings into sentences.
package phrase

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Count returns a number with its noun: "1 person", "2 people".
func Count(n int, one, many string) string {
	return strconv.Itoa(n) + " " + Noun(n, one, many)
}

// Noun returns one, the singular, if n is 1; otherwise it returns many, the plural.
func Noun(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

const ellipsis = "…"

// Cut shortens a string to the limit most, in bytes. It returns a string within the limit
// unchanged. It cuts a longer string between two characters and appends "…"; the result is within
// the limit.
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := max(0, most-len(ellipsis))
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
