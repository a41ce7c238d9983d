package scim

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxJSONDepth is how deep objects and arrays may be nested in a body.
const MaxJSONDepth = 16

// object is a JSON object with its members in the order they were written. No two names differ only
// in case.
type object []member

// member is one member of an object, with its decoded value.
type member struct {
	name  string
	value any
}

// get returns the value of the member with a name, in any case.
func (o object) get(name string) (any, bool) {
	for _, m := range o {
		if equalName(m.name, name) {
			return m.value, true
		}
	}
	return nil, false
}

// number is the text of a JSON number. It is not converted until the attribute's type is known, so
// that no digit is lost.
type number string

// scanner reads JSON strictly. It refuses text after the value, duplicate names, invalid UTF-8 or
// surrogate pairs, NUL, and values that are nested too deep. The values that it returns are nil,
// bool, string, number, []any and object. If asMaps is true, they have the types that a Resource
// has, and duplicate names are not checked.
type scanner struct {
	text     string
	pos      int
	depth    int
	asMaps   bool                   // whether to return values of the types that a Resource has
	isWanted func(name string) bool // says which top-level members to read; the others are skipped; nil means all are read
}

// scanBody reads a request body. It accepts a UTF-8 byte order mark. It returns invalidSyntax with
// line and column, or invalidValue for a NUL.
func scanBody(body []byte) (any, error) {
	sc := scanner{text: string(body)}
	sc.text = strings.TrimPrefix(sc.text, "\ufeff")
	return sc.readDocument()
}

// readDocument reads a document, which must be one value.
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

// expectEnd returns an error if something other than spaces follows the value.
func (sc *scanner) expectEnd() error {
	if sc.skipSpaces(); sc.pos < len(sc.text) {
		return sc.syntaxErrorf("there is more after the end of the JSON value")
	}
	return nil
}

// syntaxErrorf returns an invalidSyntax error at the current line and column.
func (sc *scanner) syntaxErrorf(format string, args ...any) error {
	end := min(sc.pos, len(sc.text))
	line := 1 + strings.Count(sc.text[:end], "\n")
	column := end - strings.LastIndexByte(sc.text[:end], '\n')
	return InvalidSyntax("The body is not readable JSON at line %d, column %d: %s", line, column, formatMessage(format, args))
}

// skipSpaces moves past white space.
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

// peek returns the next byte without moving past it, or 0 at the end.
func (sc *scanner) peek() byte {
	if sc.pos < len(sc.text) {
		return sc.text[sc.pos]
	}
	return 0
}

// readValue reads a value of any type.
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
		return nil, sc.syntaxErrorf("it ends too early")
	}
	return nil, sc.syntaxErrorf("a value is expected")
}

// skipLiteral moves past a word such as true or null and returns true. If the text does not
// continue with this word, it returns false.
func (sc *scanner) skipLiteral(word string) bool {
	if !strings.HasPrefix(sc.text[sc.pos:], word) {
		return false
	}
	sc.pos += len(word)
	return true
}

// enterNested moves past the opening bracket of an object or array. It returns an error above
// MaxJSONDepth.
func (sc *scanner) enterNested() error {
	sc.depth++
	if sc.depth > MaxJSONDepth {
		return sc.syntaxErrorf("objects and arrays are nested deeper than %d", MaxJSONDepth)
	}
	sc.pos++
	sc.skipSpaces()
	return nil
}

// readArray reads an array.
func (sc *scanner) readArray() (any, error) {
	if err := sc.enterNested(); err != nil {
		return nil, err
	}
	list := []any{}
	for sc.peek() != ']' {
		if len(list) > 0 && !sc.skipComma() {
			return nil, sc.syntaxErrorf("a comma or ] is expected")
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

// skipValue moves past a value. It only searches for the end of the value and checks nothing inside
// it.
func (sc *scanner) skipValue() error {
	for depth := 0; sc.pos < len(sc.text); {
		switch sc.text[sc.pos] {
		case '"':
			if !sc.skipString() {
				return sc.syntaxErrorf("a string is not closed")
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
	return sc.syntaxErrorf("it ends too early")
}

// skipString moves past a string. It returns false if the string is not closed.
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

// skipComma moves past a comma and the spaces after it. It returns false if there is no comma.
func (sc *scanner) skipComma() bool {
	if sc.peek() != ',' {
		return false
	}
	sc.pos++
	sc.skipSpaces()
	return true
}

// readObject reads an object.
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
			return nil, sc.syntaxErrorf("a comma or } is expected")
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
		return "", sc.syntaxErrorf("a name in double quotes is expected")
	}
	name, err := sc.readString()
	if err != nil {
		return "", err
	}
	sc.skipSpaces()
	if sc.peek() != ':' {
		return "", sc.syntaxErrorf("a colon is expected after the name")
	}
	sc.pos++
	sc.skipSpaces()
	return name, nil
}

// uniqueNames finds duplicate names in an object. It searches a small object directly and uses a
// map for a large one, so that the cost stays proportional to the size of the body.
type uniqueNames struct{ seen map[string]bool }

// add records the next name of the object o. It returns false if o already has this name, in any
// case. o has the members before this name.
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

// readString reads a string. If the string has no escapes, the result shares memory with the input.
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
			return "", sc.syntaxErrorf("a control character stands unescaped in a string")
		}
	}
	sc.pos = len(sc.text)
	return "", sc.syntaxErrorf("a string is not closed")
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
			return "", sc.syntaxErrorf("a control character stands unescaped in a string")
		default:
			b = append(b, c)
			sc.pos++
		}
	}
	return "", sc.syntaxErrorf("a string is not closed")
}

// readEscape reads one escape in a string, which begins with a backslash.
func (sc *scanner) readEscape() (rune, error) {
	if sc.pos+1 >= len(sc.text) {
		return 0, sc.syntaxErrorf("a string is not closed")
	}
	c := sc.text[sc.pos+1]
	if c == 'u' {
		return sc.readUnicodeEscape()
	}
	escape := strings.IndexByte(`"\/bfnrt`, c)
	if escape < 0 {
		return 0, sc.syntaxErrorf("\\%s is not a JSON escape", firstRune(sc.text[sc.pos+1:]))
	}
	sc.pos += 2
	return rune("\"\\/\b\f\n\r\t"[escape]), nil
}

// firstRune returns the first character of a string.
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
		return 0, sc.syntaxErrorf("a \\u escape is broken or half of a surrogate pair")
	}
	if r == 0 {
		return 0, InvalidValue("A string holds the character NUL (\\u0000), which cannot be stored; send the string without it")
	}
	return r, nil
}

// readHexEscape reads one \uXXXX escape. It returns false if there is none.
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

// readNumber reads a number.
func (sc *scanner) readNumber() (any, error) {
	start := sc.pos
	n := numberLength(sc.text[start:])
	if n == 0 {
		return nil, sc.syntaxErrorf("a number is malformed")
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
		return nil, sc.syntaxErrorf("a number is out of range")
	}
	return f, nil
}

// numberLength returns the length of the JSON number at the start of s, or 0 if there is none. RFC
// 8259 §6: no leading zeros, and digits on both sides of the decimal point.
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
	return append(AppendStringPart(append(b, '"'), s), '"')
}

// AppendStringPart is like AppendString, but without the quotes, for a JSON string that is written
// in several parts.
func AppendStringPart(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
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
	return append(b, s[from:]...)
}

// appendFloat appends a number as JSON.
func appendFloat(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(b, "null"...) // JSON has no infinite numbers and no NaN
	}
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

// maxQuotedBytes is the largest number of bytes of a client's string that a message repeats. It is
// large enough for the URN of an extension followed by an attribute name.
const maxQuotedBytes = 128

// quote returns a client's string in double quotes for a message. It cuts a long string.
func quote(s string) string {
	if short := truncate(s); short != s {
		return strconv.Quote(short) + "…"
	}
	return strconv.Quote(s)
}

// truncate cuts a string to maxQuotedBytes bytes at a character boundary.
func truncate(s string) string {
	if len(s) <= maxQuotedBytes {
		return s
	}
	cut := maxQuotedBytes
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
