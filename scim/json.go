package scim

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxJSONDepth bounds how deep objects and arrays may nest in a body.
const MaxJSONDepth = 16

// object is a JSON object with its members in the order they were written. No two names are equal
// without case.
type object []member

type member struct {
	name  string
	value any
}

func (o object) get(name string) (any, bool) {
	for _, m := range o {
		if equalName(m.name, name) {
			return m.value, true
		}
	}
	return nil, false
}

// number is a JSON number as it was written, so that no digit is lost before the attribute's type
// is known.
type number string

// scanner reads JSON strictly: one value, no duplicate names, valid UTF-8 and surrogate pairs, no
// NUL, bounded depth. Values are nil, bool, string, number, []any and object. With asMaps, they are
// the types that a Resource holds.
type scanner struct {
	s        string
	i        int
	depth    int
	asMaps   bool
	isWanted func(name string) bool // with asMaps: which top-level members to read; nil for all
}

// scan reads a request body. It accepts a UTF-8 byte order mark. Its errors are invalidSyntax with
// line and column, or invalidValue for a NUL.
func scan(body []byte) (any, error) {
	sc := scanner{s: string(body)}
	sc.s = strings.TrimPrefix(sc.s, "\ufeff")
	return sc.document()
}

// document reads the one value of a document.
func (sc *scanner) document() (any, error) {
	if !utf8.ValidString(sc.s) {
		return nil, InvalidSyntax("The body is not valid UTF-8")
	}
	sc.skipSpaces()
	if sc.i == len(sc.s) {
		return nil, InvalidSyntax("The body is empty; a JSON object is expected")
	}
	v, err := sc.value()
	if err != nil {
		return nil, err
	}
	return v, sc.end()
}

// end refuses anything but spaces after the value.
func (sc *scanner) end() error {
	if sc.skipSpaces(); sc.i < len(sc.s) {
		return sc.failf("there is more after the end of the JSON value")
	}
	return nil
}

// failf is an invalidSyntax error at the current line and column.
func (sc *scanner) failf(format string, args ...any) error {
	end := min(sc.i, len(sc.s))
	line := 1 + strings.Count(sc.s[:end], "\n")
	column := end - strings.LastIndexByte(sc.s[:end], '\n')
	return InvalidSyntax("The body is not readable JSON at line %d, column %d: %s", line, column, formatMessage(format, args))
}

func (sc *scanner) skipSpaces() {
	for sc.i < len(sc.s) {
		switch sc.s[sc.i] {
		case ' ', '\t', '\n', '\r':
			sc.i++
		default:
			return
		}
	}
}

func (sc *scanner) peek() byte {
	if sc.i < len(sc.s) {
		return sc.s[sc.i]
	}
	return 0
}

func (sc *scanner) value() (any, error) {
	switch c := sc.peek(); {
	case c == '"':
		return sc.readString()
	case c == '{':
		return sc.object()
	case c == '[':
		return sc.array()
	case c == '-' || '0' <= c && c <= '9':
		return sc.number()
	case sc.literal("true"):
		return true, nil
	case sc.literal("false"):
		return false, nil
	case sc.literal("null"):
		return nil, nil
	case sc.i == len(sc.s):
		return nil, sc.failf("it ends too early")
	}
	return nil, sc.failf("a value is expected")
}

// literal steps over a word of JSON and reports whether it was there.
func (sc *scanner) literal(word string) bool {
	if !strings.HasPrefix(sc.s[sc.i:], word) {
		return false
	}
	sc.i += len(word)
	return true
}

// enter steps into an object or array. It fails above MaxJSONDepth.
func (sc *scanner) enter() error {
	sc.depth++
	if sc.depth > MaxJSONDepth {
		return sc.failf("objects and arrays are nested deeper than %d", MaxJSONDepth)
	}
	sc.i++
	sc.skipSpaces()
	return nil
}

func (sc *scanner) array() (any, error) {
	if err := sc.enter(); err != nil {
		return nil, err
	}
	list := []any{}
	for sc.peek() != ']' {
		if len(list) > 0 && !sc.comma() {
			return nil, sc.failf("a comma or ] is expected")
		}
		v, err := sc.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		sc.skipSpaces()
	}
	sc.i++
	sc.depth--
	return list, nil
}

// skip steps over a value. It only finds where the value ends and checks nothing inside it.
func (sc *scanner) skip() error {
	for depth := 0; sc.i < len(sc.s); {
		switch sc.s[sc.i] {
		case '"':
			if !sc.skipString() {
				return sc.failf("a string is not closed")
			}
			if depth == 0 {
				return nil
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return nil
			}
			if depth--; depth == 0 {
				sc.i++
				return nil
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return nil
			}
		}
		sc.i++
	}
	return sc.failf("it ends too early")
}

// skipString steps over a string. It reports false when the string is not closed.
func (sc *scanner) skipString() bool {
	for sc.i++; sc.i < len(sc.s); sc.i++ {
		switch sc.s[sc.i] {
		case '\\':
			sc.i++
		case '"':
			sc.i++
			return true
		}
	}
	return false
}

// comma steps over a comma and the spaces after it, and reports whether there was one.
func (sc *scanner) comma() bool {
	if sc.peek() != ',' {
		return false
	}
	sc.i++
	sc.skipSpaces()
	return true
}

func (sc *scanner) object() (any, error) {
	if err := sc.enter(); err != nil {
		return nil, err
	}
	var names uniqueNames
	var o object
	var m map[string]any
	if sc.asMaps {
		m = map[string]any{}
	} else {
		o = make(object, 0, 4)
	}
	for first := true; sc.peek() != '}'; first = false {
		if !first && !sc.comma() {
			return nil, sc.failf("a comma or } is expected")
		}
		name, err := sc.name()
		if err != nil {
			return nil, err
		}
		if !sc.asMaps && !names.add(o, name) {
			// Two names that differ only in case are one attribute sent twice.
			return nil, InvalidSyntax("The body names %s twice in one object", quote(name))
		}
		if sc.isWanted != nil && sc.depth == 1 && !sc.isWanted(name) {
			if err := sc.skip(); err != nil {
				return nil, err
			}
			sc.skipSpaces()
			continue
		}
		v, err := sc.value()
		if err != nil {
			return nil, err
		}
		if sc.asMaps {
			m[name] = v
		} else {
			o = append(o, member{name, v})
		}
		sc.skipSpaces()
	}
	sc.i++
	sc.depth--
	if sc.asMaps {
		return m, nil
	}
	return o, nil
}

// name reads a member's name and the colon after it.
func (sc *scanner) name() (string, error) {
	if sc.peek() != '"' {
		return "", sc.failf("a name in double quotes is expected")
	}
	name, err := sc.readString()
	if err != nil {
		return "", err
	}
	sc.skipSpaces()
	if sc.peek() != ':' {
		return "", sc.failf("a colon is expected after the name")
	}
	sc.i++
	sc.skipSpaces()
	return name, nil
}

// uniqueNames finds duplicate names in an object. It searches a small object directly and uses a
// map for a large one, so that the cost stays proportional to the size of the body.
type uniqueNames struct{ seen map[string]bool }

// add reports whether name is new in o.
func (u *uniqueNames) add(o object, name string) bool {
	const small = 24
	if len(o) < small {
		_, twice := o.get(name)
		return !twice
	}
	if u.seen == nil {
		u.seen = make(map[string]bool, 2*small)
		for _, m := range o {
			u.seen[lowerName(m.name)] = true
		}
	}
	key := lowerName(name)
	if u.seen[key] {
		return false
	}
	u.seen[key] = true
	return true
}

// readString reads a string. A string without escapes shares the memory of the input.
func (sc *scanner) readString() (string, error) {
	start := sc.i + 1
	for i := start; i < len(sc.s); i++ {
		switch c := sc.s[i]; {
		case c == '"':
			sc.i = i + 1
			return sc.s[start:i], nil
		case c == '\\':
			return sc.escaped(start, i)
		case c < ' ':
			sc.i = i
			return "", sc.failf("a control character stands unescaped in a string")
		}
	}
	sc.i = len(sc.s)
	return "", sc.failf("a string is not closed")
}

// escaped reads the rest of a string whose first escape is at i.
func (sc *scanner) escaped(start, i int) (string, error) {
	b := append(make([]byte, 0, 2*(i-start)+16), sc.s[start:i]...)
	sc.i = i
	for sc.i < len(sc.s) {
		switch c := sc.s[sc.i]; {
		case c == '"':
			sc.i++
			return string(b), nil
		case c == '\\':
			r, err := sc.escape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
		case c < ' ':
			return "", sc.failf("a control character stands unescaped in a string")
		default:
			b = append(b, c)
			sc.i++
		}
	}
	return "", sc.failf("a string is not closed")
}

func (sc *scanner) escape() (rune, error) {
	if sc.i+1 >= len(sc.s) {
		return 0, sc.failf("a string is not closed")
	}
	c := sc.s[sc.i+1]
	if c == 'u' {
		return sc.unicode()
	}
	escape := strings.IndexByte(`"\/bfnrt`, c)
	if escape < 0 {
		return 0, sc.failf("\\%s is not a JSON escape", firstRune(sc.s[sc.i+1:]))
	}
	sc.i += 2
	return rune("\"\\/\b\f\n\r\t"[escape]), nil
}

func firstRune(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return s[:n]
}

// unicode reads a \u escape, or two that form a surrogate pair.
func (sc *scanner) unicode() (rune, error) {
	r, ok := sc.hex()
	if ok && utf16.IsSurrogate(r) {
		low, second := sc.hex()
		r = utf16.DecodeRune(r, low)
		ok = second && r != utf8.RuneError
	}
	if !ok {
		return 0, sc.failf("a \\u escape is broken or half of a surrogate pair")
	}
	if r == 0 {
		return 0, InvalidValue("A string holds the character NUL (\\u0000), which cannot be stored; send the string without it")
	}
	return r, nil
}

// hex reads one \uXXXX escape.
func (sc *scanner) hex() (rune, bool) {
	if sc.i+6 > len(sc.s) || sc.s[sc.i] != '\\' || sc.s[sc.i+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range []byte(sc.s[sc.i+2 : sc.i+6]) {
		digit := strings.IndexByte("0123456789abcdef", lowerByte(c))
		if digit < 0 {
			return 0, false
		}
		r = r<<4 | rune(digit)
	}
	sc.i += 6
	return r, true
}

func (sc *scanner) number() (any, error) {
	start := sc.i
	n := numberLength(sc.s[start:])
	if n == 0 {
		return nil, sc.failf("a number is malformed")
	}
	sc.i += n
	text := sc.s[start:sc.i]
	if !sc.asMaps {
		return number(text), nil
	}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, sc.failf("a number is out of range")
	}
	return f, nil
}

// numberLength returns the length of the JSON number at the start of s, or 0 when there is none.
// RFC 8259 §6: no leading zeros, and digits on both sides of the decimal point.
func numberLength(s string) int {
	i := 0
	if i < len(s) && s[i] == '-' {
		i++
	}
	whole := digits(s[i:])
	if whole == 0 || whole > 1 && s[i] == '0' {
		return 0
	}
	i += whole
	if i < len(s) && s[i] == '.' {
		fraction := digits(s[i+1:])
		if fraction == 0 {
			return 0
		}
		i += 1 + fraction
	}
	if i < len(s) && lowerByte(s[i]) == 'e' {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		exponent := digits(s[j:])
		if exponent == 0 {
			return 0
		}
		i = j + exponent
	}
	return i
}

// digits returns the number of ASCII digits at the start of s.
func digits(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}

// AppendString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func AppendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[from:i]...), "\ufffd"...)
				from = i + 1
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[from:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}

func appendFloat(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(b, "null"...) // JSON has no such number
	}
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

// maxQuoted is how many bytes of a client's string a message repeats. The URN of an extension with
// an attribute name must fit.
const maxQuoted = 128

// quote quotes a client's string for a message and shortens a long one.
func quote(s string) string {
	if short := truncate(s); short != s {
		return strconv.Quote(short) + "…"
	}
	return strconv.Quote(s)
}

// truncate cuts a string to maxQuoted bytes at a character boundary.
func truncate(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	cut := maxQuoted
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
