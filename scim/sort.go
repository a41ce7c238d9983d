package scim

import (
	"cmp"
	"math"
	"strings"
	"time"
)

// Sort says by which attribute to sort resources, and in which direction. RFC 7644 §3.4.2.3.
type Sort struct {
	Path       AttrPath
	Attr       *Attribute // the attribute or sub-attribute whose values are compared
	Descending bool
}

// ParseSort reads the parameters sortBy and sortOrder. If sortOrder is "", the order is ascending.
// ParseSort returns invalidValue for an unknown attribute, and the error sensitive for an attribute
// that is never returned.
func ParseSort(rt *ResourceType, by, order string) (Sort, error) {
	descending := equalName(order, "descending")
	if order != "" && !descending && !equalName(order, "ascending") {
		return Sort{}, InvalidValue("sortOrder must be ascending or descending, not %s", quote(order))
	}
	t, err := (&reader{}).resolve(rt, by)
	if err != nil || t.Name == "" {
		return Sort{}, InvalidValue("sortBy: %s has no attribute %s", rt.Name, quote(by))
	}
	if isHidden(t.attr) || t.sub != nil && isHidden(t.sub) {
		return Sort{}, Sensitive("%s cannot be sorted by", t.AttrPath)
	}
	a := t.leaf()
	if a.Type == Complex {
		sub := a.Sub("value")
		if sub == nil {
			return Sort{}, InvalidValue("sortBy: %s is complex; name one of its sub-attributes", t.AttrPath)
		}
		t.Sub, a = sub.Name, sub
	}
	return Sort{t.AttrPath, a, descending}, nil
}

// Compare returns a negative number if a comes before b, a positive number if a comes after b, and
// 0 if the attribute does not distinguish them. Resources without the attribute come last in
// ascending order, and first in descending order.
func (s Sort) Compare(a, b Resource) int { return s.CompareKeys(s.Key(a), s.Key(b)) }

// CompareKeys is like Compare, for the sort keys of two resources.
func (s Sort) CompareKeys(a, b string) int {
	order := cmp.Compare(a, b)
	if (a == "") != (b == "") {
		order = -order // RFC 7644 §3.4.2.3: resources without a value come last in ascending order
	}
	if s.Descending {
		return -order
	}
	return order
}

// MaxSortKeyBytes is how many bytes of a string are used for sorting. Strings that differ only
// after these bytes sort as equal. So a key is short enough for a cursor.
const MaxSortKeyBytes = 1000

// Key returns the sort key of a resource. Comparing the bytes of two keys gives the same result as
// comparing the values of the attribute. A key starts with the kind of the value, such as
// numberKind, because an attribute may have had another type when some of its values were stored.
// The key of a resource without the attribute is "".
func (s Sort) Key(r Resource) string {
	v := s.sortValue(r)
	if isUnassigned(v) {
		return ""
	}
	switch v := v.(type) {
	case int64, float64:
		return numberKey(v)
	case string:
		if s.Attr.Type == DateTime {
			if t, ok := parseTime(v); ok {
				return TimeKey(t)
			}
		}
	}
	text := scalarKey(s.Attr, v)
	return TextKey(text[:min(len(text), MaxSortKeyBytes)])
}

// Kinds of keys. Keys of different kinds sort in the order of these letters.
const (
	numberKind = "n"
	textKind   = "s"
	timeKind   = "t"
)

// TextKey returns the sort key of a string. The string must be folded if case does not matter. The
// key of "" is "".
func TextKey(folded string) string {
	if folded == "" {
		return ""
	}
	return textKind + folded
}

// TimeKey returns the sort key of a time.
func TimeKey(t time.Time) string {
	return timeKind + orderedBytes(t.Unix()) + bigEndian(uint64(t.Nanosecond()))
}

// KeyText returns the string from which TextKey made a key. ok is false for other keys.
func KeyText(key string) (folded string, ok bool) {
	folded, ok = strings.CutPrefix(key, textKind)
	return folded, ok || key == ""
}

// KeyTime returns the time from which TimeKey made a key. ok is false for other keys.
func KeyTime(key string) (t time.Time, ok bool) {
	b, ok := strings.CutPrefix(key, timeKind)
	if !ok || len(b) != 16 {
		return time.Time{}, false
	}
	return time.Unix(int64(fromBigEndian(b[:8])^signBit), int64(fromBigEndian(b[8:]))).UTC(), true
}

// signBit is the bit of a 64-bit number that is set for negative numbers.
const signBit = 1 << 63

// orderedBytes encodes a number as 8 bytes. Comparing the bytes of two numbers gives the same
// result as comparing the numbers.
func orderedBytes(n int64) string { return bigEndian(uint64(n) ^ signBit) }

// bigEndian returns the bytes of a number, the most significant byte first.
func bigEndian(n uint64) string {
	var b [8]byte
	for i := range b {
		b[i] = byte(n >> (56 - 8*i))
	}
	return string(b[:])
}

// fromBigEndian returns the number with these bytes.
func fromBigEndian(b string) (n uint64) {
	for i := range len(b) {
		n = n<<8 | uint64(b[i])
	}
	return n
}

// numberKey returns the sort key of a number. It sorts by the float64 value. Large whole numbers
// that are equal as float64 sort by their exact value.
func numberKey(v any) string {
	f, _ := asFloat(v)
	whole, isWhole := v.(int64)
	if !isWhole {
		whole = toInt64(f)
	}
	bits := math.Float64bits(f + 0) // turns -0 into 0
	if bits&signBit != 0 {
		bits = ^bits
	} else {
		bits |= signBit
	}
	return numberKind + bigEndian(bits) + orderedBytes(whole)
}

// toInt64 converts a number to int64. It drops the fraction, and limits the result to the range of
// int64.
func toInt64(f float64) int64 {
	switch {
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return int64(f)
}

// sortValue returns the value by which a resource is sorted. For a multi-valued attribute it is the
// primary value, or the first value if none is primary.
func (s Sort) sortValue(r Resource) any {
	found := scope{members: r}.lookUp(s.Path.URN, s.Path.Name, false)
	if list, ok := found.([]any); ok {
		found = nil
		for i, e := range list {
			m, _ := e.(map[string]any)
			if i == 0 || m["primary"] == true {
				found = e
			}
		}
	}
	if m, ok := found.(map[string]any); ok {
		return m[s.Path.Sub]
	}
	return found
}
