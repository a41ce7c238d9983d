package phrase

import "strings"

var (
	smallNumbers = strings.Fields("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
	tens         = strings.Fields("zero ten twenty thirty forty fifty sixty seventy eighty ninety")
)

// Number returns a number from 0 to 999,999,999 in words: 1250 is "one thousand two hundred fifty".
func Number(n int) string {
	switch {
	case n < len(smallNumbers):
		return smallNumbers[max(n, 0)]
	case n < 100:
		return join(tens[n/10], "-", n%10)
	case n < 1_000:
		return join(Number(n/100)+" hundred", " ", n%100)
	case n < 1_000_000:
		return join(Number(n/1_000)+" thousand", " ", n%1_000)
	}
	return join(Number(n/1_000_000)+" million", " ", n%1_000_000)
}

// join appends the rest of a number to its first part, unless the rest is 0.
func join(first, with string, rest int) string {
	if rest == 0 {
		return first
	}
	return first + with + Number(rest)
}

// IsNumber reports whether text is the number in words. It ignores case, hyphens and the word
// "and".
func IsNumber(text string, n int) bool {
	return plainWords(text) == plainWords(Number(n))
}

// plainWords returns a number in words in lower case, without hyphens and the word "and".
func plainWords(text string) string {
	var words []string
	for _, word := range strings.Fields(strings.ReplaceAll(strings.ToLower(text), "-", " ")) {
		if word != "and" {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}
