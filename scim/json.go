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

// object is a JSON object with its members in the order they were written. No two names differ only
// in case.
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
	text     string
	pos      int
	depth    int
	asMaps   bool                   // whether to read objects into maps, as a Resource holds them
	isWanted func(name string) bool // which top-level members to read into maps; nil means all
}

// scan reads a request body. It accepts a UTF-8 byte order mark. Its errors are invalidSyntax with
// line and column, or invalidValue for a NUL.
func scan(body []byte) (any, error) {
	sc := scanner{text: string(body)}
	sc.text = strings.TrimPrefix(sc.text, "\ufeff")
	return sc.readDocument()
}

// readDocument reads the one value of a document.
func (sc *scanner) readDocument() (any, error) {
	if !utf8.ValidString(sc.text) {
		return nil, InvalidSyntax("The body is not valid UTF-8")
	}
	sc.skipSpaces()
	if sc.pos == len(sc.text) {
		return nil, InvalidSyntax("The body is empty; a JSON object is expected")
	}
	v, err := sc.readValue()
	if err != nil {
		return nil, err
	}
	return v, sc.expectEnd()
}

// expectEnd returns an error if anything but spaces follows the value.
func (sc *scanner) expectEnd() error {
	if sc.skipSpaces(); sc.pos < len(sc.text) {
		return sc.failf("there is more after the end of the JSON value")
	}
	return nil
}

// failf returns an invalidSyntax error at the current line and column.
func (sc *scanner) failf(format string, args ...any) error {
	end := min(sc.pos, len(sc.text))
	line := 1 + strings.Count(sc.text[:end], "\n")
	column := end - strings.LastIndexByte(sc.text[:end], '\n')
	return InvalidSyntax("The body is not readable JSON at line %d, column %d: %s", line, column, formatMessage(format, args))
}

func (sc *scanner) skipSpaces() {
	for sc.pos < len(sc.text) {
		switch sc.text[sc.pos] {
		case ' ', '\t', '\n', '\r':
			sc.pos++
		default:
			return
		}
	}
}

func (sc *scanner) peek() byte {
	if sc.pos < len(sc.text) {
		return sc.text[sc.pos]
	}
	return 0
}

func (sc *scanner) readValue() (any, error) {
	switch c := sc.peek(); {
	case c == '"':
		return sc.readString()
	case c == '{':
		return sc.readObject()
	case c == '[':
		return sc.readArray()
	case c == '-' || '0' <= c && c <= '9':
		return sc.readNumber()
	case sc.skipLiteral("true"):
		return true, nil
	case sc.skipLiteral("false"):
		return false, nil
	case sc.skipLiteral("null"):
		return nil, nil
	case sc.pos == len(sc.text):
		return nil, sc.failf("it ends too early")
	}
	return nil, sc.failf("a value is expected")
}

// skipLiteral steps over a word such as true or null. It returns false if another word comes next.
func (sc *scanner) skipLiteral(word string) bool {
	if !strings.HasPrefix(sc.text[sc.pos:], word) {
		return false
	}
	sc.pos += len(word)
	return true
}

// enterNested steps into an object or array. It fails above MaxJSONDepth.
func (sc *scanner) enterNested() error {
	sc.depth++
	if sc.depth > MaxJSONDepth {
		return sc.failf("objects and arrays are nested deeper than %d", MaxJSONDepth)
	}
	sc.pos++
	sc.skipSpaces()
	return nil
}

func (sc *scanner) readArray() (any, error) {
	if err := sc.enterNested(); err != nil {
		return nil, err
	}
	list := []any{}
	for sc.peek() != ']' {
		if len(list) > 0 && !sc.skipComma() {
			return nil, sc.failf("a comma or ] is expected")
		}
		v, err := sc.readValue()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		sc.skipSpaces()
	}
	sc.pos++
	sc.depth--
	return list, nil
}

// skipValue steps over a value. It only finds where the value ends and checks nothing inside it.
func (sc *scanner) skipValue() error {
	for depth := 0; sc.pos < len(sc.text); {
		switch sc.text[sc.pos] {
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
				sc.pos++
				return nil
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return nil
			}
		}
		sc.pos++
	}
	return sc.failf("it ends too early")
}

// skipString steps over a string. It reports false when the string is not closed.
func (sc *scanner) skipString() bool {
	for sc.pos++; sc.pos < len(sc.text); sc.pos++ {
		switch sc.text[sc.pos] {
		case '\\':
			sc.pos++
		case '"':
			sc.pos++
			return true
		}
	}
	return false
}

// skipComma steps over a comma and the spaces after it, and reports whether there was one.
func (sc *scanner) skipComma() bool {
	if sc.peek() != ',' {
		return false
	}
	sc.pos++
	sc.skipSpaces()
	return true
}

func (sc *scanner) readObject() (any, error) {
	if err := sc.enterNested(); err != nil {
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
		if !first && !sc.skipComma() {
			return nil, sc.failf("a comma or } is expected")
		}
		name, err := sc.readName()
		if err != nil {
			return nil, err
		}
		if !sc.asMaps && !names.add(o, name) {
			// Two names that differ only in case are one attribute sent twice.
			return nil, InvalidSyntax("The body names %s twice in one object", quote(name))
		}
		if sc.isWanted != nil && sc.depth == 1 && !sc.isWanted(name) {
			if err := sc.skipValue(); err != nil {
				return nil, err
			}
			sc.skipSpaces()
			continue
		}
		v, err := sc.readValue()
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
	sc.pos++
	sc.depth--
	if sc.asMaps {
		return m, nil
	}
	return o, nil
}

// readName reads a member's name and the colon after it.
func (sc *scanner) readName() (string, error) {
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
	sc.pos++
	sc.skipSpaces()
	return name, nil
}

// uniqueNames finds duplicate names in an object. It searches a small object directly and uses a
// map for a large one, so that the cost stays proportional to the size of the body.
type uniqueNames struct{ seen map[string]bool }

// add remembers a name of the object o and reports whether the name is new in o.
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
	start := sc.pos + 1
	for i := start; i < len(sc.text); i++ {
		switch c := sc.text[i]; {
		case c == '"':
			sc.pos = i + 1
			return sc.text[start:i], nil
		case c == '\\':
			return sc.readEscaped(start, i)
		case c < ' ':
			sc.pos = i
			return "", sc.failf("a control character stands unescaped in a string")
		}
	}
	sc.pos = len(sc.text)
	return "", sc.failf("a string is not closed")
}

// readEscaped reads the rest of a string that begins at start and has its first escape at i.
func (sc *scanner) readEscaped(start, i int) (string, error) {
	b := append(make([]byte, 0, 2*(i-start)+16), sc.text[start:i]...)
	sc.pos = i
	for sc.pos < len(sc.text) {
		switch c := sc.text[sc.pos]; {
		case c == '"':
			sc.pos++
			return string(b), nil
		case c == '\\':
			r, err := sc.readEscape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
		case c < ' ':
			return "", sc.failf("a control character stands unescaped in a string")
		default:
			b = append(b, c)
			sc.pos++
		}
	}
	return "", sc.failf("a string is not closed")
}

func (sc *scanner) readEscape() (rune, error) {
	if sc.pos+1 >= len(sc.text) {
		return 0, sc.failf("a string is not closed")
	}
	c := sc.text[sc.pos+1]
	if c == 'u' {
		return sc.readUnicodeEscape()
	}
	escape := strings.IndexByte(`"\/bfnrt`, c)
	if escape < 0 {
		return 0, sc.failf("\\%s is not a JSON escape", firstRune(sc.text[sc.pos+1:]))
	}
	sc.pos += 2
	return rune("\"\\/\b\f\n\r\t"[escape]), nil
}

func firstRune(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return s[:n]
}

// readUnicodeEscape reads a \u escape, or two that form a surrogate pair.
func (sc *scanner) readUnicodeEscape() (rune, error) {
	r, ok := sc.readHexEscape()
	if ok && utf16.IsSurrogate(r) {
		low, second := sc.readHexEscape()
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

// readHexEscape reads one \uXXXX escape.
func (sc *scanner) readHexEscape() (rune, bool) {
	if sc.pos+6 > len(sc.text) || sc.text[sc.pos] != '\\' || sc.text[sc.pos+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range []byte(sc.text[sc.pos+2 : sc.pos+6]) {
		digit := strings.IndexByte("0123456789abcdef", lowerByte(c))
		if digit < 0 {
			return 0, false
		}
		r = r<<4 | rune(digit)
	}
	sc.pos += 6
	return r, true
}

func (sc *scanner) readNumber() (any, error) {
	start := sc.pos
	n := numberLength(sc.text[start:])
	if n == 0 {
		return nil, sc.failf("a number is malformed")
	}
	sc.pos += n
	text := sc.text[start:sc.pos]
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
	whole := countDigits(s[i:])
	if whole == 0 || whole > 1 && s[i] == '0' {
		return 0
	}
	i += whole
	if i < len(s) && s[i] == '.' {
		fraction := countDigits(s[i+1:])
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
		exponent := countDigits(s[j:])
		if exponent == 0 {
			return 0
		}
		i = j + exponent
	}
	return i
}

// countDigits returns the number of ASCII digits at the start of s.
func countDigits(s string) int {
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
		return append(b, "null"...) // JSON has no infinite numbers and no NaN
	}
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

// maxQuoted is the largest number of bytes of a client's string that a message repeats. It is large
// enough for the URN of an extension followed by an attribute name.
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
