package scim

import (
	"cmp"
	"math"
	"strings"
	"time"
)

// Sort is an order of resources. RFC 7644 §3.4.2.3.
type Sort struct {
	Path       AttrPath
	Attr       *Attribute // what is compared
	Descending bool
}

// ParseSort reads sortBy and sortOrder ("" is ascending).
func ParseSort(rt *ResourceType, by, order string) (Sort, error) {
	descending := equalName(order, "descending")
	if order != "" && !descending && !equalName(order, "ascending") {
		return Sort{}, InvalidValue("sortOrder must be ascending or descending, not %s", quote(order))
	}
	t, err := (&reader{}).resolve(rt, by)
	if err != nil || t.Name == "" {
		return Sort{}, InvalidValue("sortBy: %s has no attribute %s", rt.Name, quote(by))
	}
	if hidden(t.attr) || t.sub != nil && hidden(t.sub) {
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

// Compare orders two resources; 0 when the attribute does not tell them apart.
// A resource without the attribute comes last, in descending order first.
func (s Sort) Compare(a, b Resource) int { return s.CompareKeys(s.Key(a), s.Key(b)) }

// CompareKeys orders two resources by their keys.
func (s Sort) CompareKeys(a, b string) int {
	order := cmp.Compare(a, b)
	if (a == "") != (b == "") {
		order = -order // RFC 7644 §3.4.2.3: last in ascending order
	}
	if s.Descending {
		return -order
	}
	return order
}

// MaxSortKey is how many bytes of a text count. Texts that begin with the same
// ones are not told apart, so that a place among them can be carried.
const MaxSortKey = 1000

// Key is what a resource is sorted by, as bytes that compare like the values of
// the attribute: first the kind of value, so that all values have one order,
// also where an attribute's type was another when some were stored. It is empty
// for a resource without the attribute.
func (s Sort) Key(r Resource) string {
	v := s.value(r)
	if empty(v) {
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
	return TextKey(text[:min(len(text), MaxSortKey)])
}

// The kinds of keys. The order of their letters is the order of the kinds.
const (
	numberKind = "n"
	textKind   = "s"
	timeKind   = "t"
)

// TextKey is the key of a text that is folded where letter case does not count;
// empty for the empty text.
func TextKey(folded string) string {
	if folded == "" {
		return ""
	}
	return textKind + folded
}

// TimeKey is the key of a time.
func TimeKey(t time.Time) string {
	return timeKind + orderedBytes(t.Unix()) + bigEndian(uint64(t.Nanosecond()))
}

// KeyText is the text of a key; false for the key of anything else.
func KeyText(key string) (folded string, ok bool) {
	folded, ok = strings.CutPrefix(key, textKind)
	return folded, ok || key == ""
}

// KeyTime is the time of a key; false for the key of anything else.
func KeyTime(key string) (time.Time, bool) {
	b, ok := strings.CutPrefix(key, timeKind)
	if !ok || len(b) != 16 {
		return time.Time{}, false
	}
	return time.Unix(int64(fromBigEndian(b[:8])^signBit), int64(fromBigEndian(b[8:]))).UTC(), true
}

const signBit = 1 << 63

// orderedBytes is a number in bytes that compare as it does.
func orderedBytes(n int64) string { return bigEndian(uint64(n) ^ signBit) }

func bigEndian(n uint64) string {
	var b [8]byte
	for i := range b {
		b[i] = byte(n >> (56 - 8*i))
	}
	return string(b[:])
}

func fromBigEndian(b string) (n uint64) {
	for i := range len(b) {
		n = n<<8 | uint64(b[i])
	}
	return n
}

// numberKey orders numbers by their value as float64, and whole ones that are
// the same there, as large ones can be, by their own.
func numberKey(v any) string {
	f, _ := asFloat(v)
	whole, isWhole := v.(int64)
	if !isWhole {
		whole = nearestWhole(f)
	}
	bits := math.Float64bits(f + 0) // of -0, too, 0
	if bits&signBit != 0 {
		bits = ^bits
	} else {
		bits |= signBit
	}
	return numberKind + bigEndian(bits) + orderedBytes(whole)
}

// nearestWhole is the whole part of a number, the nearest there is of one too large.
func nearestWhole(f float64) int64 {
	switch {
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return int64(f)
}

// value is what a resource is sorted by: of several values the primary one, else
// the first.
func (s Sort) value(r Resource) any {
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
