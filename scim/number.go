package scim

import (
	"math"
	"strconv"
	"strings"
)

// parseInteger returns the value of a JSON number. ok is false if the number is not whole or does
// not fit in 64 bits.
func parseInteger(text string) (value int64, ok bool) {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 || !sameDigits(text, f) {
		return 0, false
	}
	return int64(f), true
}

// parseDecimal returns the value of a JSON number as int64 or float64. ok is false if neither type
// can hold all its digits. So a stored number never differs from the number that the client sent.
func parseDecimal(text string) (value any, ok bool) {
	if i, ok := parseInteger(text); ok {
		return i, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !sameDigits(text, f) {
		return nil, false
	}
	return f, true
}

// sameDigits reports whether f has exactly the value of the number in text.
func sameDigits(text string, f float64) bool {
	a, aExp := significantDigits(text)
	b, bExp := significantDigits(strconv.FormatFloat(f, 'e', -1, 64))
	return a == b && aExp == bExp
}

// significantDigits returns the digits of a number without leading and trailing zeros, and the
// position of the decimal point: the number is 0.digits times ten to the power of exponent.
func significantDigits(text string) (digits string, exponent int) {
	text = strings.TrimLeft(text, "+-")
	mantissa, exp := text, 0
	if index := strings.IndexAny(text, "eE"); index >= 0 {
		mantissa = text[:index]
		exp, _ = strconv.Atoi(text[index+1:]) // for an exponent out of range, Atoi returns the nearest int, and the comparison of digits fails
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return "", 0
	}
	exp += len(whole) - (len(whole+fraction) - len(digits))
	return strings.TrimRight(digits, "0"), exp
}
