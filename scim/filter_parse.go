package scim

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// ParseFilter reads a filter. With rt, every name must be one of its attributes and every
// comparison must fit the attribute's type. With nil, only the grammar is checked, and names match
// in any case. It returns invalidFilter with the position of the mistake, or sensitive for an
// attribute that is never returned.
//
// Both modes accept a few forms beyond the grammar of RFC 7644 §3.4.2.2: repeated spaces, a missing
// space before a quoted value, $ref, and a sub-attribute after a value path. Lenient mode also
// accepts unquoted values, strings for booleans, and enterprise attributes without their URN.
func ParseFilter(rt *ResourceType, text string, m Mode) (*Filter, []Fix, error) {
	p := filterParser{s: text, rt: rt, reader: reader{mode: m}}
	root, err := p.parse()
	if err != nil {
		return nil, nil, err
	}
	return &Filter{root}, p.allFixes(), nil
}

// ParseFilterAnywhere reads a filter for one of several resource types, as in a query at the root.
// A name that rt lacks is no error; it counts as unassigned. RFC 7644 §3.4.2.1.
func ParseFilterAnywhere(rt *ResourceType, text string, m Mode) (*Filter, []Fix, error) {
	p := filterParser{s: text, rt: rt, reader: reader{mode: m}, allowUnknown: true}
	root, err := p.parse()
	if err != nil {
		return nil, nil, err
	}
	return &Filter{root}, p.allFixes(), nil
}

type filterParser struct {
	reader
	s                  string
	i                  int
	rt                 *ResourceType
	valuePathAttribute *Attribute // inside a value path: the attribute before the brackets, if known
	inValuePath        bool       // inside a value path
	termCount          int
	bracketDepth       int // open brackets

	allowUnknown bool // a name that rt lacks is unassigned, not an error
	unknownName  bool // the error is a name that rt lacks, not the grammar
}

// parse reads the whole filter and checks that nothing follows it.
func (p *filterParser) parse() (Node, error) {
	if err := checkBounds(p.s); err != nil {
		return nil, err
	}
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.skipSpaces(); p.i < len(p.s) {
		return nil, p.unexpected()
	}
	return n, nil
}

// checkBounds checks depth, length and encoding of a filter before any recursion. Depth comes
// first, so that a filter with far too many brackets gets that message whatever its length.
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

// checkDepth counts open brackets outside quoted strings.
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
				return tooDeep()
			}
		case c == ')' || c == ']':
			depth--
		}
	}
	return nil
}

// failf is an invalidFilter error at the current position.
func (p *filterParser) failf(format string, args ...any) error {
	if p.s == "" {
		return InvalidFilter("The filter is empty")
	}
	character := utf8.RuneCountInString(p.s[:min(p.i, len(p.s))]) + 1
	return InvalidFilter("The filter is wrong at character %d: %s", character, formatMessage(format, args))
}

// unexpected is the error for input where the grammar allows none.
func (p *filterParser) unexpected() error {
	switch c := p.peek(); c {
	case 0:
		return p.failf("it ends where an expression is expected")
	case ')', ']':
		return p.failf("%q closes nothing", c)
	}
	return p.failf("and, or or the end of the filter is expected, not %s", quote(p.word()))
}

func (p *filterParser) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

func (p *filterParser) skipSpaces() {
	for p.i < len(p.s) && isSpace(p.s[p.i]) {
		p.i++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// word returns the characters up to the next space, bracket or double quote.
func (p *filterParser) word() string {
	j := p.i
	for j < len(p.s) && !isSpace(p.s[j]) && !strings.ContainsRune(`()[]"`, rune(p.s[j])) {
		j++
	}
	return p.s[p.i:j]
}

// keyword steps over a word of the grammar, in any case. It reports false, and stays, when another
// word comes.
func (p *filterParser) keyword(k string) bool {
	start := p.i
	p.skipSpaces()
	if w := p.word(); equalName(w, k) {
		p.i += len(w)
		return true
	}
	p.i = start
	return false
}

// or reads term *("or" term). RFC 7644 §3.4.2.2: and binds tighter than or.
func (p *filterParser) or() (Node, error) {
	left, err := p.and()
	for err == nil && p.keyword("or") {
		var right Node
		if right, err = p.and(); err == nil {
			left = Or{left, right}
		}
	}
	return left, err
}

func (p *filterParser) and() (Node, error) {
	left, err := p.factor()
	for err == nil && p.keyword("and") {
		var right Node
		if right, err = p.factor(); err == nil {
			left = And{left, right}
		}
	}
	return left, err
}

func (p *filterParser) factor() (Node, error) {
	p.skipSpaces()
	if p.peek() == '(' {
		return p.group()
	}
	if p.keyword("not") {
		p.skipSpaces()
		if p.peek() != '(' {
			return nil, p.failf("not needs brackets: not (…)")
		}
		n, err := p.group()
		return Not{n}, err
	}
	p.termCount++
	if p.termCount > MaxFilterTerms {
		return nil, InvalidFilter("The filter has more than %d terms", MaxFilterTerms)
	}
	return p.expression()
}

func (p *filterParser) group() (Node, error) {
	// checkDepth counted brackets already, but it does not know strings in single quotes.
	if p.bracketDepth++; p.bracketDepth > MaxFilterDepth {
		return nil, tooDeep()
	}
	p.i++
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.skipSpaces(); p.peek() != ')' {
		return nil, p.failf(") is expected")
	}
	p.i++
	p.bracketDepth--
	return n, nil
}

func tooDeep() error {
	return InvalidFilter("The filter nests brackets deeper than %d", MaxFilterDepth)
}

// expression reads attrPath "pr", attrPath op value, or a value path.
func (p *filterParser) expression() (Node, error) {
	name := p.word()
	if name == "" {
		return nil, p.unexpected()
	}
	if p.inValuePath {
		return p.valuePathExpression(name)
	}
	t, err := p.attribute(name)
	if err != nil {
		return nil, err
	}
	p.i += len(name)
	if p.peek() == '[' {
		return p.valuePath(t)
	}
	return p.comparison(t.AttrPath, t.leaf())
}

// attribute resolves an attribute name at the top level of the filter.
func (p *filterParser) attribute(name string) (target, error) {
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

// checkHidden refuses to compare attributes that are never returned: the result would reveal their
// values. RFC 7644 §7.5.2.
func (p *filterParser) checkHidden(t target) error {
	for _, a := range []*Attribute{t.attr, t.sub} {
		if a != nil && hidden(a) {
			return Sensitive("%s cannot be used in a filter", t.AttrPath)
		}
	}
	return nil
}

// valuePathExpression reads an expression inside a value path, where names are sub-attributes.
func (p *filterParser) valuePathExpression(name string) (Node, error) {
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
	if a != nil && hidden(a) {
		return nil, Sensitive("%s.%s cannot be used in a filter", p.valuePathAttribute.Name, a.Name)
	}
	p.i += len(name)
	if p.peek() == '[' {
		return nil, p.failf("a value path cannot stand inside another")
	}
	return p.comparison(path, a)
}

// valuePath reads the rest of attr[filter]. Some clients add a sub-attribute or an operator after
// the brackets; it applies to the same element.
func (p *filterParser) valuePath(t target) (Node, error) {
	if t.Sub != "" {
		return nil, p.failf("%s cannot have a value path", t.AttrPath)
	}
	filter, err := p.brackets(t.attr)
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
	n, err := p.comparison(p.elementPath(t.attr, sub))
	p.valuePathAttribute, p.inValuePath = nil, false
	whole.Filter = And{filter, n}
	return whole, err
}

// brackets reads "[filter]".
func (p *filterParser) brackets(a *Attribute) (Node, error) {
	p.i++
	p.valuePathAttribute, p.inValuePath = a, true
	n, err := p.or()
	p.valuePathAttribute, p.inValuePath = nil, false
	if err != nil {
		return nil, err
	}
	if p.skipSpaces(); p.peek() != ']' {
		return nil, p.failf("] is expected")
	}
	p.i++
	return n, nil
}

// subAfterBrackets reads ".sub" after the brackets, or returns "".
func (p *filterParser) subAfterBrackets(t target) (string, error) {
	if p.peek() != '.' {
		return "", nil
	}
	p.i++
	name := p.word()
	if !validName(name) {
		return "", p.failf("a sub-attribute name is expected after the dot")
	}
	if t.attr != nil {
		sub := t.attr.Sub(name)
		if sub == nil {
			return "", p.failf("%s has no sub-attribute %s", t.attr.Name, quote(name))
		}
		if hidden(sub) {
			return "", Sensitive("%s.%s cannot be used in a filter", t.attr.Name, sub.Name)
		}
		p.i += len(name)
		return sub.Name, nil
	}
	p.i += len(name)
	return name, nil
}

// elementPath returns the path of a sub-attribute, or of "value", relative to one element.
func (p *filterParser) elementPath(a *Attribute, sub string) (AttrPath, *Attribute) {
	if sub == "" {
		sub = "value"
	}
	if a == nil || a.Type != Complex {
		return AttrPath{Name: sub}, a
	}
	return AttrPath{Name: sub}, a.Sub(sub)
}

// operatorFollows reports whether the next word is neither and nor or.
func (p *filterParser) operatorFollows() bool {
	start := p.i
	p.skipSpaces()
	w := p.word()
	p.i = start
	return w != "" && !equalName(w, "and") && !equalName(w, "or")
}

// comparison reads "pr" or an operator and its value.
func (p *filterParser) comparison(path AttrPath, a *Attribute) (Node, error) {
	start := p.i
	p.skipSpaces()
	op := p.word()
	if op == "" || start == p.i {
		return nil, p.failf("an operator is expected after %s", path)
	}
	if equalName(op, "pr") {
		p.i += len(op)
		return Present{path, a}, nil
	}
	operator := parseOperator(op)
	if operator == "" {
		return nil, p.failf("%s is not an operator; use eq, ne, co, sw, ew, gt, ge, lt, le or pr", quote(op))
	}
	p.i += len(op)
	p.skipSpaces()
	lit, err := p.literal()
	if err != nil {
		return nil, err
	}
	return p.compare(path, a, operator, lit)
}

func parseOperator(s string) Op {
	for _, op := range []Op{Eq, Ne, Co, Sw, Ew, Gt, Ge, Lt, Le} {
		if equalName(s, string(op)) {
			return op
		}
	}
	return ""
}

// literal is a compValue as the filter spells it.
type literal struct {
	value    any    // string, number, bool or nil
	text     string // the word as the filter spells it, if it is not quoted
	unquoted bool   // a string without quotes
}

// RFC 7644 §3.4.2.2: compValue is a JSON string, number, true, false or null.
func (p *filterParser) literal() (literal, error) {
	if p.peek() == '"' {
		return p.readQuoted()
	}
	if p.peek() == '\'' && p.mode == Lenient {
		return p.readSingleQuoted()
	}
	j := p.i
	for j < len(p.s) && !isSpace(p.s[j]) && p.s[j] != ')' && p.s[j] != ']' {
		j++
	}
	text := p.s[p.i:j]
	lit, err := p.readUnquoted(text)
	if err == nil {
		p.i = j
	}
	return lit, err
}

func (p *filterParser) readQuoted() (literal, error) {
	sc := scanner{s: p.s, i: p.i}
	s, err := sc.readString()
	if err != nil {
		return literal{}, p.failf("the quoted string is not closed or has an invalid escape")
	}
	p.i = sc.i
	if c := p.peek(); c != 0 && c != ')' && c != ']' && !isSpace(c) {
		return literal{}, p.failf("a space is expected after the quoted string")
	}
	return literal{value: s}, nil
}

// readSingleQuoted reads 'x', as a widely used client library writes it in paths. The string ends
// at a quote that a bracket, a space or the end of the filter follows, so O'Brien needs no escape.
func (p *filterParser) readSingleQuoted() (literal, error) {
	for j := p.i + 1; j < len(p.s); j++ {
		if p.s[j] == '\\' && j+1 < len(p.s) && (p.s[j+1] == '\'' || p.s[j+1] == '\\') {
			j++
			continue
		}
		if p.s[j] != '\'' || j+1 < len(p.s) && p.s[j+1] != ')' && p.s[j+1] != ']' && !isSpace(p.s[j+1]) {
			continue
		}
		text := strings.NewReplacer(`\\`, `\`, `\'`, `'`).Replace(p.s[p.i+1 : j])
		p.addFix("single-quotes", "", "%s read as a string in double quotes", p.s[p.i:j+1])
		p.i = j + 1
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
		lit.value, lit.unquoted = text, true
	}
	return lit, nil
}
