package scim

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// Member is one member of a JSON object. Value is the JSON that the client sent.
type Member struct {
	Name  string
	Value json.RawMessage
}

// Members are the members of a JSON object in the order they were written.
type Members []Member

// ParseMembers reads the members of a JSON object. It checks the syntax of the values but does not
// decode them, so that the caller can decode each in its own way. It accepts a UTF-8 byte order
// mark.
//
// It returns invalidSyntax if the body is not one JSON object. It also returns invalidSyntax if two
// names differ only in case, because they name the same attribute (RFC 7643 §2.1).
func ParseMembers(body []byte) (Members, error) {
	sc := scanner{text: strings.TrimPrefix(string(body), "\ufeff")}
	if !utf8.ValidString(sc.text) {
		return nil, InvalidSyntax("The body is not valid UTF-8")
	}
	sc.skipSpaces()
	if sc.peek() != '{' {
		return nil, InvalidSyntax("The body must be a JSON object")
	}
	list, err := sc.readMembers()
	if err != nil {
		return nil, err
	}
	return list, sc.expectEnd()
}

// readMembers reads an object and returns its members with undecoded values.
func (sc *scanner) readMembers() (Members, error) {
	if err := sc.enterNested(); err != nil {
		return nil, err
	}
	var list Members
	names := map[string]bool{}
	for first := true; sc.peek() != '}'; first = false {
		if !first && !sc.skipComma() {
			return nil, sc.syntaxErrorf("a comma or } is expected")
		}
		name, err := sc.readName()
		if err != nil {
			return nil, err
		}
		if names[lowerName(name)] {
			return nil, InvalidSyntax("The body names %s twice in one object", quote(name))
		}
		names[lowerName(name)] = true
		start := sc.pos
		if err := sc.skipValue(); err != nil {
			return nil, err
		}
		value := json.RawMessage(sc.text[start:sc.pos])
		if !json.Valid(value) {
			return nil, InvalidSyntax("The value of %s is not readable JSON", quote(name))
		}
		list = append(list, Member{name, value})
		sc.skipSpaces()
	}
	sc.pos++
	sc.depth--
	return list, nil
}

// Get returns the value of the member with a name, in any case. It returns nil if there is no such
// member.
func (m Members) Get(name string) json.RawMessage {
	i := slices.IndexFunc(m, func(e Member) bool { return equalName(e.Name, name) })
	if i < 0 {
		return nil
	}
	return m[i].Value
}

// Encode writes the members as a JSON object.
func (m Members) Encode() json.RawMessage {
	b := []byte{'{'}
	for i, e := range m {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendString(b, e.Name)
		b = append(b, ':')
		b = append(b, e.Value...)
	}
	return append(b, '}')
}

// firstReadBytes is how many bytes of a document StringOf searches first. Usually these are enough,
// because the attributes that name a resource are near the beginning.
const firstReadBytes = 512

// StringOf returns the string of the top-level member with a name, or "" if there is none. doc must
// come from Encode, and the name must have its canonical spelling. StringOf does not read the whole
// document if it finds the member earlier.
func StringOf(doc []byte, name string) string {
	if value, ok := stringOf(string(doc[:min(len(doc), firstReadBytes)]), name); ok || len(doc) <= firstReadBytes {
		return value
	}
	value, _ := stringOf(string(doc), name)
	return value
}

// stringOf does the work of StringOf on the beginning of a document. ok is false if the beginning
// does not contain the member.
func stringOf(doc, name string) (value string, ok bool) {
	sc := scanner{text: doc, pos: 1}
	for sc.peek() == '"' {
		found, err := sc.readName()
		if err != nil {
			return "", false
		}
		if found == name && sc.peek() == '"' {
			value, err := sc.readString()
			return value, err == nil
		}
		if sc.skipValue() != nil || !sc.skipComma() {
			return "", false
		}
	}
	return "", false
}

// RewriteStrings calls change with every string of a JSON value, including names, and replaces the
// string with the result. All other bytes stay the same, and so do the bytes of a string that
// cannot be read or that change returns unchanged.
func RewriteStrings(data []byte, change func(string) string) []byte {
	sc := scanner{text: string(data)}
	out := make([]byte, 0, len(data))
	copied := 0
	for {
		next := strings.IndexByte(sc.text[sc.pos:], '"')
		if next < 0 {
			return append(out, sc.text[copied:]...)
		}
		sc.pos += next
		start := sc.pos
		if !sc.skipString() {
			return append(out, sc.text[copied:]...)
		}
		reader := scanner{text: sc.text[:sc.pos], pos: start}
		before, err := reader.readString()
		if err != nil {
			continue
		}
		if after := change(before); after != before {
			out = append(out, sc.text[copied:start]...)
			out = AppendString(out, after)
			copied = sc.pos
		}
	}
}

// SplitBeforeMeta splits a document from Encode in two, before its last member, meta. If there is
// no meta, it splits before the closing brace. So the caller can write members that are not stored
// between the two parts.
func SplitBeforeMeta(doc []byte) (before, after []byte) {
	index := bytes.LastIndex(doc, []byte(`,"meta":{`))
	if index < 0 {
		index = max(len(doc)-1, 0)
	}
	return doc[:index], doc[index:]
}
