package scim

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// ParseFilter reads a filter. Every name must be an attribute of rt, and every comparison must fit
// the attribute's type. If rt is nil, ParseFilter checks only the grammar, and the filter then
// matches names in any case. ParseFilter returns invalidFilter with the position of the mistake, or
// the error sensitive for an attribute that is never returned.
//
// Both modes accept a few forms beyond the grammar of RFC 7644 §3.4.2.2: repeated spaces, a missing
// space before a quoted value, $ref, and a sub-attribute after a value path. Lenient mode also
// accepts unquoted values, strings for booleans, and enterprise attributes without their URN.
func ParseFilter(rt *ResourceType, text string, m Mode) (*Filter, []Fix, error) {
	p := filterParser{text: text, rt: rt, reader: reader{mode: m}}
	root, err := p.parse()
	if err != nil {
		return nil, nil, err
	}
	return &Filter{root}, p.allFixes(), nil
}

// ParseFilterAnywhere is like ParseFilter, for a query over several resource types, of which rt is
// one. If rt does not have an attribute in the filter, this is no error: the attribute counts as
// unassigned. RFC 7644 §3.4.2.1.
func ParseFilterAnywhere(rt *ResourceType, text string, m Mode) (*Filter, []Fix, error) {
	p := filterParser{text: text, rt: rt, reader: reader{mode: m}, allowUnknown: true}
	root, err := p.parse()
	if err != nil {
		return nil, nil, err
	}
	return &Filter{root}, p.allFixes(), nil
}

// filterParser parses a filter. pos is the position in text up to which it has parsed.
type filterParser struct {
	reader
	text               string
	pos                int
	rt                 *ResourceType
	valuePathAttribute *Attribute // inside a value path, the attribute before the brackets; nil if it is not known
	inValuePath        bool       // whether the parser is inside a value path
	termCount          int        // how many terms have been read; see MaxFilterTerms
	bracketDepth       int        // how many brackets are open at the current position

	allowUnknown bool // whether a name that rt lacks counts as unassigned instead of being an error
	unknownName  bool // whether the filter is well formed, but has a name that rt lacks
}

// parse reads the whole filter and checks that nothing follows it.
func (p *filterParser) parse() (Node, error) {
	if err := checkBounds(p.text); err != nil {
		return nil, err
	}
	n, err := p.parseOr()
	if err != nil {
		return nil, err
	}
	if p.skipSpaces(); p.pos < len(p.text) {
		return nil, p.unexpectedError()
	}
	return n, nil
}

// checkBounds checks the depth, length and encoding of a filter before the recursive parsing. It
// checks the depth first, so that a filter with too many brackets gets the message about brackets
// even if it is also too long.
func checkBounds(s string) error {
	if err := checkDepth(s); err != nil {
		return err
	}
	if len(s) > MaxFilterBytes {
		return InvalidFilter("The filter has %d bytes; at most %d are allowed", len(s), MaxFilterBytes)
	}
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return InvalidFilter("The filter is not valid UTF-8")
	}
	return nil
}

// checkDepth returns an error if brackets outside quoted strings are nested deeper than
// MaxFilterDepth.
func checkDepth(s string) error {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(' || c == '[':
			depth++
			if depth > MaxFilterDepth {
				return tooDeepError()
			}
		case c == ')' || c == ']':
			depth--
		}
	}
	return nil
}

// failf returns an invalidFilter error that names the current position.
func (p *filterParser) failf(format string, args ...any) error {
	if p.text == "" {
		return InvalidFilter("The filter is empty")
	}
	character := utf8.RuneCountInString(p.text[:min(p.pos, len(p.text))]) + 1
	return InvalidFilter("The filter is wrong at character %d: %s", character, formatMessage(format, args))
}

// unexpectedError returns an error that says what is wrong at the current position.
func (p *filterParser) unexpectedError() error {
	switch c := p.peek(); c {
	case 0:
		return p.failf("it ends where an expression is expected")
	case ')', ']':
		return p.failf("%q closes nothing", c)
	}
	return p.failf("and, or or the end of the filter is expected, not %s", quote(p.nextWord()))
}

// peek returns the next byte without moving the position, or 0 at the end.
func (p *filterParser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

// skipSpaces moves past white space.
func (p *filterParser) skipSpaces() {
	for p.pos < len(p.text) && isSpace(p.text[p.pos]) {
		p.pos++
	}
}

// isSpace reports whether a byte is white space in JSON.
func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// nextWord returns the characters from the current position to the next space, bracket or double
// quote. It does not move the position.
func (p *filterParser) nextWord() string {
	j := p.pos
	for j < len(p.text) && !isSpace(p.text[j]) && !strings.ContainsRune(`()[]"`, rune(p.text[j])) {
		j++
	}
	return p.text[p.pos:j]
}

// skipKeyword skips the keyword k, in any case, and returns true. If another word comes next, it
// skips nothing and returns false.
func (p *filterParser) skipKeyword(k string) bool {
	start := p.pos
	p.skipSpaces()
	if w := p.nextWord(); equalName(w, k) {
		p.pos += len(w)
		return true
	}
	p.pos = start
	return false
}

// parseOr reads term *("or" term). RFC 7644 §3.4.2.2: "and" binds tighter than "or".
func (p *filterParser) parseOr() (Node, error) {
	left, err := p.parseAnd()
	for err == nil && p.skipKeyword("or") {
		var right Node
		if right, err = p.parseAnd(); err == nil {
			left = Or{left, right}
		}
	}
	return left, err
}

// parseAnd reads factor *("and" factor).
func (p *filterParser) parseAnd() (Node, error) {
	left, err := p.parseFactor()
	for err == nil && p.skipKeyword("and") {
		var right Node
		if right, err = p.parseFactor(); err == nil {
			left = And{left, right}
		}
	}
	return left, err
}

// parseFactor reads a filter in parentheses, with or without "not", or one expression.
func (p *filterParser) parseFactor() (Node, error) {
	p.skipSpaces()
	if p.peek() == '(' {
		return p.parseGroup()
	}
	if p.skipKeyword("not") {
		p.skipSpaces()
		if p.peek() != '(' {
			return nil, p.failf("not needs brackets: not (…)")
		}
		n, err := p.parseGroup()
		return Not{n}, err
	}
	p.termCount++
	if p.termCount > MaxFilterTerms {
		return nil, InvalidFilter("The filter has more than %d terms", MaxFilterTerms)
	}
	return p.parseExpression()
}

// parseGroup reads a filter in parentheses.
func (p *filterParser) parseGroup() (Node, error) {
	// checkDepth has checked the depth already, but it does not recognise strings in single quotes.
	if p.bracketDepth++; p.bracketDepth > MaxFilterDepth {
		return nil, tooDeepError()
	}
	p.pos++
	n, err := p.parseOr()
	if err != nil {
		return nil, err
	}
	if p.skipSpaces(); p.peek() != ')' {
		return nil, p.failf(") is expected")
	}
	p.pos++
	p.bracketDepth--
	return n, nil
}

// tooDeepError is the error for brackets that are nested too deeply.
func tooDeepError() error {
	return InvalidFilter("The filter nests brackets deeper than %d", MaxFilterDepth)
}

// parseExpression reads an expression that begins with the name of an attribute: an attribute and
// "pr", a comparison, or a value path.
func (p *filterParser) parseExpression() (Node, error) {
	name := p.nextWord()
	if name == "" {
		return nil, p.unexpectedError()
	}
	if p.inValuePath {
		return p.parseInsideValuePath(name)
	}
	t, err := p.resolveAttribute(name)
	if err != nil {
		return nil, err
	}
	p.pos += len(name)
	if p.peek() == '[' {
		return p.parseValuePath(t)
	}
	return p.parseComparison(t.AttrPath, t.leaf())
}

// resolveAttribute finds the attribute for a name that is not inside a value path.
func (p *filterParser) resolveAttribute(name string) (target, error) {
	t, err := p.resolve(p.rt, name)
	var unknown *unknownError
	switch {
	case errors.As(err, &unknown) && p.allowUnknown:
		return p.resolve(nil, name)
	case errors.As(err, &unknown):
		return t, p.failf("%s has no attribute %s", p.rt.Name, quote(name))
	case err != nil:
		return t, p.failf("an attribute name is expected, not %s", quote(name))
	case t.Name == "":
		return t, p.failf("%s is a schema; name an attribute of it", quote(name))
	}
	return t, p.checkHidden(t)
}

// checkHidden returns the error sensitive for an attribute that is never returned, because
// comparing it would reveal its value. RFC 7644 §7.5.2.
func (p *filterParser) checkHidden(t target) error {
	for _, a := range []*Attribute{t.attr, t.sub} {
		if a != nil && isHidden(a) {
			return Sensitive("%s cannot be used in a filter", t.AttrPath)
		}
	}
	return nil
}

// parseInsideValuePath reads an expression inside a value path, where names are sub-attributes.
func (p *filterParser) parseInsideValuePath(name string) (Node, error) {
	if !validName(name) {
		return nil, p.failf("a sub-attribute name is expected, not %s", quote(name))
	}
	path := AttrPath{Name: name}
	var a *Attribute
	switch {
	case p.valuePathAttribute == nil:
	case p.valuePathAttribute.Type != Complex:
		if a = p.valuePathAttribute; !equalName(name, "value") {
			return nil, p.failf("the values of %s are not complex; name them value", p.valuePathAttribute.Name)
		}
		path.Name = "value"
	default:
		if a = p.valuePathAttribute.Sub(name); a == nil && p.allowUnknown {
			break
		}
		if a == nil {
			p.unknownName = true
			return nil, p.failf("%s has no sub-attribute %s", p.valuePathAttribute.Name, quote(name))
		}
		path.Name = a.Name
	}
	if a != nil && isHidden(a) {
		return nil, Sensitive("%s.%s cannot be used in a filter", p.valuePathAttribute.Name, a.Name)
	}
	p.pos += len(name)
	if p.peek() == '[' {
		return nil, p.failf("a value path cannot stand inside another")
	}
	return p.parseComparison(path, a)
}

// parseValuePath reads the rest of a value path, attribute[filter], after the attribute. Some
// clients write a sub-attribute or a comparison after the brackets; it applies to the elements that
// the filter selects.
func (p *filterParser) parseValuePath(t target) (Node, error) {
	if t.Sub != "" {
		return nil, p.failf("%s cannot have a value path", t.AttrPath)
	}
	filter, err := p.parseBrackets(t.attr)
	if err != nil {
		return nil, err
	}
	whole := ValuePath{t.AttrPath, t.attr, filter}
	sub, err := p.subAfterBrackets(t)
	if err != nil {
		return nil, err
	}
	if sub == "" && !p.operatorFollows() {
		return whole, nil
	}
	p.valuePathAttribute, p.inValuePath = t.attr, true
	n, err := p.parseComparison(p.elementPath(t.attr, sub))
	p.valuePathAttribute, p.inValuePath = nil, false
	whole.Filter = And{filter, n}
	return whole, err
}

// parseBrackets reads "[filter]". The filter is about the elements of the attribute a.
func (p *filterParser) parseBrackets(a *Attribute) (Node, error) {
	p.pos++
	p.valuePathAttribute, p.inValuePath = a, true
	n, err := p.parseOr()
	p.valuePathAttribute, p.inValuePath = nil, false
	if err != nil {
		return nil, err
	}
	if p.skipSpaces(); p.peek() != ']' {
		return nil, p.failf("] is expected")
	}
	p.pos++
	return n, nil
}

// subAfterBrackets reads ".sub" after the brackets and returns the name. It returns "" if there is
// no dot.
func (p *filterParser) subAfterBrackets(t target) (string, error) {
	if p.peek() != '.' {
		return "", nil
	}
	p.pos++
	name := p.nextWord()
	if !validName(name) {
		return "", p.failf("a sub-attribute name is expected after the dot")
	}
	if t.attr != nil {
		sub := t.attr.Sub(name)
		if sub == nil {
			return "", p.failf("%s has no sub-attribute %s", t.attr.Name, quote(name))
		}
		if isHidden(sub) {
			return "", Sensitive("%s.%s cannot be used in a filter", t.attr.Name, sub.Name)
		}
		p.pos += len(name)
		return sub.Name, nil
	}
	p.pos += len(name)
	return name, nil
}

// elementPath returns the path and the definition of a sub-attribute inside one element of the
// attribute a. If sub is "", it means "value".
func (p *filterParser) elementPath(a *Attribute, sub string) (AttrPath, *Attribute) {
	if sub == "" {
		sub = "value"
	}
	if a == nil || a.Type != Complex {
		return AttrPath{Name: sub}, a
	}
	return AttrPath{Name: sub}, a.Sub(sub)
}

// operatorFollows reports whether the next word may be an operator, because it is neither "and" nor
// "or".
func (p *filterParser) operatorFollows() bool {
	start := p.pos
	p.skipSpaces()
	w := p.nextWord()
	p.pos = start
	return w != "" && !equalName(w, "and") && !equalName(w, "or")
}

// parseComparison reads the rest of an expression after the attribute: "pr", or an operator and a
// value.
func (p *filterParser) parseComparison(path AttrPath, a *Attribute) (Node, error) {
	start := p.pos
	p.skipSpaces()
	op := p.nextWord()
	if op == "" || start == p.pos {
		return nil, p.failf("an operator is expected after %s", path)
	}
	if equalName(op, "pr") {
		p.pos += len(op)
		return Present{path, a}, nil
	}
	operator := parseOperator(op)
	if operator == "" {
		return nil, p.failf("%s is not an operator; use eq, ne, co, sw, ew, gt, ge, lt, le or pr", quote(op))
	}
	p.pos += len(op)
	p.skipSpaces()
	lit, err := p.parseLiteral()
	if err != nil {
		return nil, err
	}
	return p.newCompare(path, a, operator, lit)
}

// parseOperator returns the operator with this name, in any case, or "".
func parseOperator(s string) Op {
	for _, op := range []Op{Eq, Ne, Co, Sw, Ew, Gt, Ge, Lt, Le} {
		if equalName(s, string(op)) {
			return op
		}
	}
	return ""
}

// literal is a value in a filter (compValue in the grammar).
type literal struct {
	value      any    // the value: a string, number, bool or nil
	text       string // the spelling in the filter; "" for a quoted value
	isUnquoted bool   // whether the value is a string without quotes
}

// parseLiteral reads the value of a comparison. RFC 7644 §3.4.2.2: compValue is a JSON string,
// number, true, false or null.
func (p *filterParser) parseLiteral() (literal, error) {
	if p.peek() == '"' {
		return p.readQuoted()
	}
	if p.peek() == '\'' && p.mode == Lenient {
		return p.readSingleQuoted()
	}
	j := p.pos
	for j < len(p.text) && !isSpace(p.text[j]) && p.text[j] != ')' && p.text[j] != ']' {
		j++
	}
	text := p.text[p.pos:j]
	lit, err := p.readUnquoted(text)
	if err == nil {
		p.pos = j
	}
	return lit, err
}

// readQuoted reads a string in double quotes.
func (p *filterParser) readQuoted() (literal, error) {
	sc := scanner{text: p.text, pos: p.pos}
	s, err := sc.readString()
	if err != nil {
		return literal{}, p.failf("the quoted string is not closed or has an invalid escape")
	}
	p.pos = sc.pos
	if c := p.peek(); c != 0 && c != ')' && c != ']' && !isSpace(c) {
		return literal{}, p.failf("a space is expected after the quoted string")
	}
	return literal{value: s}, nil
}

// readSingleQuoted reads a string in single quotes, which a widely used client library writes in
// paths. The string ends at the first quote that is followed by a closing bracket, a space or the
// end of the filter. So O'Brien needs no escape.
func (p *filterParser) readSingleQuoted() (literal, error) {
	for j := p.pos + 1; j < len(p.text); j++ {
		if p.text[j] == '\\' && j+1 < len(p.text) && (p.text[j+1] == '\'' || p.text[j+1] == '\\') {
			j++
			continue
		}
		if p.text[j] != '\'' || j+1 < len(p.text) && p.text[j+1] != ')' && p.text[j+1] != ']' && !isSpace(p.text[j+1]) {
			continue
		}
		text := strings.NewReplacer(`\\`, `\`, `\'`, `'`).Replace(p.text[p.pos+1 : j])
		p.addFix("single-quotes", "", "%s read as a string in double quotes", p.text[p.pos:j+1])
		p.pos = j + 1
		return literal{value: text}, nil
	}
	return literal{}, p.failf("the quoted string is not closed")
}

// readUnquoted reads a number, true, false or null. In Lenient mode, any other word is a string
// without quotes.
func (p *filterParser) readUnquoted(text string) (literal, error) {
	lit := literal{text: text}
	switch {
	case text == "":
		return lit, p.failf("a value is expected")
	case text == "true" || text == "false":
		lit.value = text == "true"
	case text == "null":
	case numberLength(text) == len(text):
		lit.value = number(text)
	case text[0] == '\'':
		return lit, p.failf("put strings in double quotes")
	case strings.ContainsAny(text, `[]{}()"`):
		return lit, p.failf("%s is not a value; a string in double quotes, a number, true, false or null is expected", quote(text))
	case p.mode == Strict || equalName(text, "and") || equalName(text, "or") || equalName(text, "not"):
		return lit, p.failf("%s is not a value; put strings in double quotes", quote(text))
	default:
		lit.value, lit.isUnquoted = text, true
	}
	return lit, nil
}
