package scim

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// Limits of what DecodeStream keeps in memory, in bytes.
const (
	MaxStreamedRestBytes    = 1 << 20  // the largest size of the body without the streamed attribute
	MaxStreamedElementBytes = 64 << 10 // the largest size of one value of the streamed attribute
)

// Stream says which multi-valued core attribute DecodeStream reads value by value. So a body with a
// hundred thousand values needs no more memory than a body with one value.
type Stream struct {
	Name      string // the name of the attribute, such as "members"
	ForCreate bool   // whether the body belongs to a POST
	// Each is called with every value in the order of the body. The value has the form that it has
	// in a Resource: a map for a complex attribute. Each may be called before later attributes of
	// the body are read. If the body has a value twice, Each gets it twice. If Each returns an
	// error, DecodeStream stops and returns that error unchanged.
	Each func(value any) error
}

// DecodeStream is like Decode, or like DecodeNew if s.ForCreate is true, for a body that is read
// from r. It passes the values of one attribute to s.Each and leaves the attribute out of the
// resource. named says whether the body had the attribute, even with an empty list.
//
// If DecodeStream returns an error, the caller must discard the values that Each received. Errors
// of r are returned unchanged.
func DecodeStream(rt *ResourceType, r io.Reader, m Mode, s Stream) (res Resource, named bool, fixes []Fix, err error) {
	a := rt.Schema.Attribute(s.Name)
	if a == nil || !a.MultiValued {
		return nil, false, nil, BadRequest("%s has no list %s that could be read in parts", rt.Name, quote(s.Name))
	}
	d := &streamReader{reader: reader{mode: m, forCreate: s.ForCreate, forReplace: !s.ForCreate}, input: bufio.NewReaderSize(r, 32<<10), attr: a, onValue: s.Each}
	if err := d.splitBody(); err != nil {
		return nil, false, nil, err
	}
	raw, err := scanBody(d.otherParts)
	if err != nil {
		return nil, false, nil, d.withCountingNote(err)
	}
	o, ok := raw.(object)
	if !ok {
		return nil, false, nil, InvalidSyntax("The body must be a JSON object, not %s", describeValue(raw))
	}
	if res, err = d.readResource(rt, o); err != nil {
		return nil, false, nil, err
	}
	// res may have the attribute nevertheless: the reader tolerates a single value in the place of
	// a list, and a list in an object under the core URN. Pass these values too.
	list, _ := res[a.Name].([]any)
	if k, ok := res[a.Name].(keepExisting); ok {
		list = k.list
	}
	for _, v := range list {
		if err := d.passValue(v); err != nil {
			return nil, false, nil, err
		}
	}
	if len(d.unknownNames) > 0 && !d.gaveValue {
		return nil, false, nil, noKnownNamesError(AttrPath{Name: a.Name}, d.unknownNames)
	}
	for _, name := range d.unknownNames {
		d.addFix("unknown-attribute", name, "ignored: no such sub-attribute")
	}
	_, there := o.get(a.Name)
	named = there || res[a.Name] != nil
	delete(res, a.Name)
	return res, named, d.allFixes(), nil
}

// streamReader splits a body into the values of one attribute and the remaining body.
type streamReader struct {
	reader
	input       *bufio.Reader
	attr        *Attribute
	onValue     func(any) error // the function Each of the Stream
	otherParts  []byte          // the body, with an empty list in the place of the streamed list
	sawList     bool            // whether the body has the streamed list
	valueNumber int             // the number of the current value, counted from 1
	valueText   []byte          // the JSON of the current value

	sawPrimary   bool     // whether Each received a primary value
	unknownNames []string // the names in values that have no known name
	gaveValue    bool     // whether Each received a value
}

// splitBody passes the values of the streamed list to Each, and copies the body to otherParts, with
// an empty list in the place of the streamed list. It also copies malformed parts; the mistake is
// reported later, when otherParts is parsed.
func (d *streamReader) splitBody() error {
	depth := 0
	nameMayFollow := false
	for {
		c, err := d.input.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := d.keepByte(c); err != nil {
			return err
		}
		switch c {
		case '{', '[':
			depth++
			nameMayFollow = c == '{'
		case '}', ']':
			depth--
		case ',':
			nameMayFollow = true
		case '"':
			start := len(d.otherParts) - 1
			if err := d.keepStringBytes(); err != nil {
				return err
			}
			if depth == 1 && nameMayFollow && d.isStreamed(d.otherParts[start:]) {
				if err := d.splitList(); err != nil {
					return err
				}
			}
			nameMayFollow = false
		}
	}
}

// keepByte appends a byte to otherParts. It returns 413 above MaxStreamedRestBytes.
func (d *streamReader) keepByte(c byte) error {
	if len(d.otherParts) == MaxStreamedRestBytes {
		return PayloadTooLarge("The body has more than %d bytes without %s", MaxStreamedRestBytes, d.attr.Name)
	}
	d.otherParts = append(d.otherParts, c)
	return nil
}

// keepStringBytes copies the rest of a string to otherParts, up to the closing quote.
func (d *streamReader) keepStringBytes() error {
	for escaped := false; ; {
		c, err := d.input.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := d.keepByte(c); err != nil {
			return err
		}
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			return nil
		}
	}
}

// isStreamed reports whether a name in double quotes is the streamed attribute. It also recognises
// the name if it is written with escapes.
func (d *streamReader) isStreamed(quoted []byte) bool {
	sc := scanner{text: string(quoted)}
	name, err := sc.readString()
	return err == nil && equalName(name, d.attr.Name)
}

// splitList is called after the name of the streamed attribute. It reads ": [ values ]" and passes
// the values on. If the attribute is not a list, it leaves the value to splitBody.
func (d *streamReader) splitList() error {
	for _, want := range []byte{':', '['} {
		c, err := d.nextNonSpace()
		if err != nil {
			return ignoreEOF(err)
		}
		if c != want {
			return d.input.UnreadByte()
		}
		if want == ':' {
			if err := d.keepByte(c); err != nil {
				return err
			}
		}
	}
	if d.sawList {
		return InvalidSyntax("The body names %s twice in one object", quote(d.attr.Name))
	}
	d.otherParts = append(d.otherParts, '[', ']')
	d.sawList = true
	return d.readValues()
}

// ignoreEOF returns nil for io.EOF, and any other error unchanged.
func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// nextNonSpace returns the next byte that is not white space.
func (d *streamReader) nextNonSpace() (byte, error) {
	for {
		c, err := d.input.ReadByte()
		if err != nil || !isSpace(c) {
			return c, err
		}
	}
}

// readValues reads the values of the list, up to and including the closing bracket.
func (d *streamReader) readValues() error {
	for {
		c, err := d.nextNonSpace()
		if err == nil && c == ']' && d.valueNumber == 0 {
			return nil
		}
		if err != nil {
			return d.endError(err)
		}
		if err := d.input.UnreadByte(); err != nil {
			return err
		}
		d.valueNumber++
		if err := d.readListValue(); err != nil {
			return err
		}
		switch c, err := d.nextNonSpace(); {
		case err != nil:
			return d.endError(err)
		case c == ']':
			return nil
		case c != ',':
			return d.malformedError("a comma or ] is expected")
		}
	}
}

// endError returns invalidSyntax for io.EOF, which means that the body ends too early. It returns
// other errors unchanged.
func (d *streamReader) endError(err error) error {
	if errors.Is(err, io.EOF) {
		return d.malformedError("it ends too early")
	}
	return err
}

// malformedError returns an invalidSyntax error about the current value.
func (d *streamReader) malformedError(what string) error {
	return InvalidSyntax("The body is not readable JSON at value %d of %s: %s", d.valueNumber, d.attr.Name, what)
}

// readListValue reads one value of the list.
func (d *streamReader) readListValue() error {
	if err := d.cutValue(); err != nil {
		return err
	}
	if len(d.valueText) == 0 {
		return d.malformedError("a value is expected")
	}
	sc := scanner{text: string(d.valueText), depth: 2}
	raw, err := sc.readDocument()
	var e *Error
	if errors.As(err, &e) {
		return InvalidSyntax("Value %d of %s: %s", d.valueNumber, d.attr.Name, e.Detail)
	}
	if _, nested := raw.([]any); nested {
		return InvalidValue("%s: a list inside the list", d.attr.Name)
	}
	if d.attr.Mutability == ReadOnly || isHidden(d.attr) {
		return nil
	}
	path := AttrPath{Name: d.attr.Name}
	v, err := d.readElement(d.attr, path, raw, d.valueNumber)
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
		return nil
	case notUnderstood:
		if len(d.unknownNames) < maxFixes {
			d.unknownNames = append(d.unknownNames, v.names...)
		}
		return nil
	}
	return d.passValue(v)
}

// passValue checks that at most one value is primary and calls Each with the value.
func (d *streamReader) passValue(v any) error {
	if m, ok := v.(map[string]any); ok && m["primary"] == true {
		if d.sawPrimary {
			return InvalidValue("%s: two values are primary; at most one may be", d.attr.Name)
		}
		d.sawPrimary = true
	}
	d.gaveValue = true
	return d.onValue(v)
}

// cutValue reads the bytes of the next value into valueText. The value ends before a comma or the
// closing bracket of the list.
func (d *streamReader) cutValue() error {
	d.valueText = d.valueText[:0]
	depth, quoted, escaped := 0, false, false
	for {
		c, err := d.input.ReadByte()
		if err != nil {
			return d.endError(err)
		}
		if !quoted && depth == 0 && (c == ',' || c == ']') {
			return d.input.UnreadByte()
		}
		if len(d.valueText) == MaxStreamedElementBytes {
			return PayloadTooLarge("Value %d of %s has more than %d bytes", d.valueNumber, d.attr.Name, MaxStreamedElementBytes)
		}
		d.valueText = append(d.valueText, c)
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
}

// withCountingNote returns an error about otherParts with a note. The note says that the line and
// column in the error do not count the streamed values.
func (d *streamReader) withCountingNote(err error) error {
	var e *Error
	if d.valueNumber == 0 || !errors.As(err, &e) {
		return err
	}
	return InvalidSyntax("%s (counted without the values of %s)", strings.TrimSuffix(e.Detail, "."), d.attr.Name)
}
