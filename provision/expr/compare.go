package expr

import "strings"

// evalConcat evaluates the operator &, which joins strings.
func (n *node) evalConcat(r *evaluation) (Value, error) {
	var b strings.Builder
	for i := range n.args {
		v, err := n.evalSingle(r, i)
		if err != nil {
			return Null(), err
		}
		b.WriteString(v.Text())
		if err := n.checkSize(b.Len()); err != nil {
			return Null(), err
		}
	}
	return String(b.String()), nil
}

// evalCompare evaluates a comparison.
func (n *node) evalCompare(r *evaluation) (Value, error) {
	left, err := n.evalSingle(r, 0)
	if err != nil {
		return Null(), err
	}
	right, err := n.evalSingle(r, 1)
	if err != nil {
		return Null(), err
	}
	order := compareValues(left, right)
	switch n.text {
	case "=":
		return Boolean(order == 0), nil
	case "<>":
		return Boolean(order != 0), nil
	case ">":
		return Boolean(order > 0), nil
	case ">=":
		return Boolean(order >= 0), nil
	case "<":
		return Boolean(order < 0), nil
	default:
		return Boolean(order <= 0), nil
	}
}

// compareValues returns a negative number if a is less than b, 0 if they are equal, and otherwise a
// positive number. Two numbers are compared by size. An instant is compared by time with another
// instant or with a string that names an instant. All other values are compared by their
// characters, and case matters. Null counts as the empty string.
func compareValues(a, b Value) int {
	if a.kind == KindDateTime || b.kind == KindDateTime {
		x, xOK := a.asTime()
		y, yOK := b.asTime()
		if xOK && yOK {
			return x.Compare(y)
		}
	}
	if x, ok := parseDecimal(a); ok {
		if y, ok := parseDecimal(b); ok {
			return x.compare(y)
		}
	}
	return strings.Compare(a.Text(), b.Text())
}

// decimal is a number, split into parts so that numbers of any length can be compared.
type decimal struct {
	negative bool
	whole    string // the digits before the point, without leading zeros
	fraction string // the digits after the point, without trailing zeros
}

// parseDecimal parses a number, or a string that is written exactly like the number. Graph's tree
// stores numbers as strings, so a number and its string must compare as equal. "007" and "1.10" do
// not count as numbers; otherwise two different identifiers could be equal.
func parseDecimal(v Value) (decimal, bool) {
	text, negative := strings.CutPrefix(v.text, "-")
	whole, fraction, dotted := strings.Cut(text, ".")
	if !allDigits(whole) || dotted && !allDigits(fraction) {
		return decimal{}, false
	}
	d := decimal{negative: negative, whole: strings.TrimLeft(whole, "0"), fraction: strings.TrimRight(fraction, "0")}
	if d.whole == "" && d.fraction == "" {
		d.negative = false
	}
	return d, v.kind == KindNumber || v.text == d.digits()
}

func (d decimal) digits() string {
	text := d.whole
	if text == "" {
		text = "0"
	}
	if d.fraction != "" {
		text += "." + d.fraction
	}
	if d.negative {
		text = "-" + text
	}
	return text
}

func (d decimal) compare(other decimal) int {
	if d.negative != other.negative {
		if d.negative {
			return -1
		}
		return 1
	}
	order := len(d.whole) - len(other.whole)
	if order == 0 {
		order = strings.Compare(d.whole, other.whole)
	}
	if order == 0 {
		order = strings.Compare(d.fraction, other.fraction)
	}
	if d.negative {
		return -order
	}
	return order
}

func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}
