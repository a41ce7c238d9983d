package scim

import (
	"math"
	"strconv"
	"strings"
)

// integer gives the value of a JSON number that is whole and fits 64 bits.
func integer(text string) (int64, bool) {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 || !sameDigits(text, f) {
		return 0, false
	}
	return int64(f), true
}

// decimal gives the value of a JSON number as int64 or float64, if one of them
// holds it with all its digits: nothing is stored that differs from what was sent.
func decimal(text string) (any, bool) {
	if i, ok := integer(text); ok {
		return i, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !sameDigits(text, f) {
		return nil, false
	}
	return f, true
}

func sameDigits(text string, f float64) bool {
	a, aExp := significantDigits(text)
	b, bExp := significantDigits(strconv.FormatFloat(f, 'e', -1, 64))
	return a == b && aExp == bExp
}

// significantDigits gives the digits of a number without zeros around them, and the
// power of ten of the first one.
func significantDigits(text string) (digits string, exponent int) {
	text = strings.TrimLeft(text, "+-")
	mantissa, exp := text, 0
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		mantissa = text[:at]
		exp, _ = strconv.Atoi(text[at+1:]) // out of range: clamped, and then unequal
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return "", 0
	}
	exp += len(whole) - (len(whole+fraction) - len(digits))
	return strings.TrimRight(digits, "0"), exp
}
