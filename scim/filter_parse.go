package scim

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// ParseFilter reads a filter. With rt every name must be one of its attributes
// and every comparison must fit the attribute's type; with nil only the
// grammar counts, and names are compared without case.
//
// Beyond the grammar of RFC 7644 §3.4.2.2, runs of blanks, a missing blank
// before a quoted value, $ref and a sub-attribute after a value path are taken
// in both modes; unquoted values, text for booleans and enterprise attributes
// without their URN in Lenient mode only.
func ParseFilter(rt *ResourceType, text string, m Mode) (*Filter, []Fix, error) {
	p := filterParser{s: text, rt: rt, reader: reader{mode: m}}
	root, err := p.whole()
	if err != nil {
		return nil, nil, err
	}
	return &Filter{root}, p.noted(), nil
}

// ParseFilterAnywhere reads a filter for one of several resource types, as a
// query at the root has it: a name that rt lacks is no error and stands for
// something unassigned. RFC 7644 §3.4.2.1.
func ParseFilterAnywhere(rt *ResourceType, text string, m Mode) (*Filter, []Fix, error) {
	p := filterParser{s: text, rt: rt, reader: reader{mode: m}, anywhere: true}
	root, err := p.whole()
	if err != nil {
		return nil, nil, err
	}
	return &Filter{root}, p.noted(), nil
}

type filterParser struct {
	reader
	s     string
	i     int
	rt    *ResourceType
	in    *Attribute // inside a value path: the attribute in front of it, if known
	inner bool       // inside a value path
	terms int
	depth int // of brackets

	anywhere bool // a name that rt lacks is unassigned
	unknown  bool // the error is about a name that rt lacks, not about the grammar
}

func (p *filterParser) whole() (Node, error) {
	if err := checkBounds(p.s); err != nil {
		return nil, err
	}
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.blanks(); p.i < len(p.s) {
		return nil, p.unexpected()
	}
	return n, nil
}

// checkBounds looks at a filter as a whole before anything recurses into it: first at how deep it is, so that one that is
// nested beyond measure is told so, whatever its length.
func checkBounds(s string) error {
	if err := checkDepth(s); err != nil {
		return err
	}
	if len(s) > MaxFilterBytes {
		return InvalidFilter("The filter has %d bytes; at most %d are allowed", len(s), MaxFilterBytes)
	}
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return InvalidFilter("The filter is not valid UTF-8 text")
	}
	return nil
}

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

func (p *filterParser) failf(format string, args ...any) error {
	if p.s == "" {
		return InvalidFilter("The filter is empty")
	}
	at := utf8.RuneCountInString(p.s[:min(p.i, len(p.s))]) + 1
	return InvalidFilter("The filter is wrong at character %d: %s", at, sentence(format, args))
}

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

func (p *filterParser) blanks() {
	for p.i < len(p.s) && blank(p.s[p.i]) {
		p.i++
	}
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// word is the text up to the next blank, bracket or quote.
func (p *filterParser) word() string {
	j := p.i
	for j < len(p.s) && !blank(p.s[j]) && !strings.ContainsRune(`()[]"`, rune(p.s[j])) {
		j++
	}
	return p.s[p.i:j]
}

// keyword steps over a word of the grammar, in any letter case.
func (p *filterParser) keyword(k string) bool {
	at := p.i
	p.blanks()
	if w := p.word(); equalName(w, k) {
		p.i += len(w)
		return true
	}
	p.i = at
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
	p.blanks()
	if p.peek() == '(' {
		return p.group()
	}
	if p.keyword("not") {
		p.blanks()
		if p.peek() != '(' {
			return nil, p.failf("not needs brackets: not (…)")
		}
		n, err := p.group()
		return Not{n}, err
	}
	p.terms++
	if p.terms > MaxFilterTerms {
		return nil, InvalidFilter("The filter has more than %d terms", MaxFilterTerms)
	}
	return p.expression()
}

func (p *filterParser) group() (Node, error) {
	// checkDepth has counted them already, but where texts stand in single quotes.
	if p.depth++; p.depth > MaxFilterDepth {
		return nil, tooDeep()
	}
	p.i++
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.blanks(); p.peek() != ')' {
		return nil, p.failf(") is expected")
	}
	p.i++
	p.depth--
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
	if p.inner {
		return p.innerExpression(name)
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

func (p *filterParser) attribute(name string) (target, error) {
	t, err := p.resolve(p.rt, name)
	var unknown *unknownError
	switch {
	case errors.As(err, &unknown) && p.anywhere:
		return p.resolve(nil, name)
	case errors.As(err, &unknown):
		return t, p.failf("%s has no attribute %s", p.rt.Name, quote(name))
	case err != nil:
		return t, p.failf("an attribute name is expected, not %s", quote(name))
	case t.Name == "":
		return t, p.failf("%s is a schema; name an attribute of it", quote(name))
	}
	return t, p.secret(t)
}

// secret refuses to compare what is never shown: the answer would tell it.
// RFC 7644 §7.5.2.
func (p *filterParser) secret(t target) error {
	for _, a := range []*Attribute{t.attr, t.sub} {
		if a != nil && hidden(a) {
			return Sensitive("%s cannot be used in a filter", t.AttrPath)
		}
	}
	return nil
}

// innerExpression reads an expression inside a value path, where only
// sub-attribute names stand.
func (p *filterParser) innerExpression(name string) (Node, error) {
	if !validName(name) {
		return nil, p.failf("a sub-attribute name is expected, not %s", quote(name))
	}
	path := AttrPath{Name: name}
	var a *Attribute
	switch {
	case p.in == nil:
	case p.in.Type != Complex:
		if a = p.in; !equalName(name, "value") {
			return nil, p.failf("the values of %s are not complex; compare them as value", p.in.Name)
		}
		path.Name = "value"
	default:
		if a = p.in.Sub(name); a == nil && p.anywhere {
			break
		}
		if a == nil {
			p.unknown = true
			return nil, p.failf("%s has no sub-attribute %s", p.in.Name, quote(name))
		}
		path.Name = a.Name
	}
	if a != nil && hidden(a) {
		return nil, Sensitive("%s.%s cannot be used in a filter", p.in.Name, a.Name)
	}
	p.i += len(name)
	if p.peek() == '[' {
		return nil, p.failf("a value path cannot stand inside another")
	}
	return p.comparison(path, a)
}

// valuePath reads what follows attr: "[filter]", and then, as clients write it,
// a sub-attribute or an operator that goes for the same value.
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
	p.in, p.inner = t.attr, true
	n, err := p.comparison(p.ofElement(t.attr, sub))
	p.in, p.inner = nil, false
	whole.Filter = And{filter, n}
	return whole, err
}

// brackets reads "[filter]".
func (p *filterParser) brackets(a *Attribute) (Node, error) {
	p.i++
	p.in, p.inner = a, true
	n, err := p.or()
	p.in, p.inner = nil, false
	if err != nil {
		return nil, err
	}
	if p.blanks(); p.peek() != ']' {
		return nil, p.failf("] is expected")
	}
	p.i++
	return n, nil
}

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

// ofElement is the path of a sub-attribute, or of the value itself, as seen
// from one element.
func (p *filterParser) ofElement(a *Attribute, sub string) (AttrPath, *Attribute) {
	if sub == "" {
		sub = "value"
	}
	if a == nil || a.Type != Complex {
		return AttrPath{Name: sub}, a
	}
	return AttrPath{Name: sub}, a.Sub(sub)
}

func (p *filterParser) operatorFollows() bool {
	at := p.i
	p.blanks()
	w := p.word()
	p.i = at
	return w != "" && !equalName(w, "and") && !equalName(w, "or")
}

// comparison reads "pr" or an operator and its value.
func (p *filterParser) comparison(path AttrPath, a *Attribute) (Node, error) {
	start := p.i
	p.blanks()
	op := p.word()
	if op == "" || start == p.i {
		return nil, p.failf("an operator is expected after %s", path)
	}
	if equalName(op, "pr") {
		p.i += len(op)
		return Present{path, a}, nil
	}
	known := operator(op)
	if known == "" {
		return nil, p.failf("%s is no operator; there are eq, ne, co, sw, ew, gt, ge, lt, le and pr", quote(op))
	}
	p.i += len(op)
	p.blanks()
	lit, err := p.literal()
	if err != nil {
		return nil, err
	}
	return p.compare(path, a, known, lit)
}

func operator(s string) Op {
	for _, op := range []Op{Eq, Ne, Co, Sw, Ew, Gt, Ge, Lt, Le} {
		if equalName(s, string(op)) {
			return op
		}
	}
	return ""
}

// literal is a compValue as written.
type literal struct {
	value any    // string, number, bool or nil
	text  string // as it stands in the filter, when it is not quoted
	bare  bool   // an unquoted text
}

// RFC 7644 §3.4.2.2: compValue is a JSON string, number, true, false or null.
func (p *filterParser) literal() (literal, error) {
	if p.peek() == '"' {
		return p.quoted()
	}
	if p.peek() == '\'' && p.mode == Lenient {
		return p.singleQuoted()
	}
	j := p.i
	for j < len(p.s) && !blank(p.s[j]) && p.s[j] != ')' && p.s[j] != ']' {
		j++
	}
	text := p.s[p.i:j]
	lit, err := p.unquoted(text)
	if err == nil {
		p.i = j
	}
	return lit, err
}

func (p *filterParser) quoted() (literal, error) {
	sc := scanner{s: p.s, i: p.i}
	s, err := sc.str()
	if err != nil {
		return literal{}, p.failf("the quoted text is not closed or has a broken escape")
	}
	p.i = sc.i
	if c := p.peek(); c != 0 && c != ')' && c != ']' && !blank(c) {
		return literal{}, p.failf("a blank is expected after the quoted text")
	}
	return literal{value: s}, nil
}

// singleQuoted reads 'x', as a widely used client library writes its own paths.
// The text ends at the quote that something can follow, so that O'Brien needs no
// escape.
func (p *filterParser) singleQuoted() (literal, error) {
	for j := p.i + 1; j < len(p.s); j++ {
		if p.s[j] == '\\' && j+1 < len(p.s) && (p.s[j+1] == '\'' || p.s[j+1] == '\\') {
			j++
			continue
		}
		if p.s[j] != '\'' || j+1 < len(p.s) && p.s[j+1] != ')' && p.s[j+1] != ']' && !blank(p.s[j+1]) {
			continue
		}
		text := strings.NewReplacer(`\\`, `\`, `\'`, `'`).Replace(p.s[p.i+1 : j])
		p.fix("single-quotes", "", "%s read as a text in double quotes", p.s[p.i:j+1])
		p.i = j + 1
		return literal{value: text}, nil
	}
	return literal{}, p.failf("the quoted text is not closed")
}

func (p *filterParser) unquoted(text string) (literal, error) {
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
		return lit, p.failf("texts stand in double quotes")
	case strings.ContainsAny(text, `[]{}()"`):
		return lit, p.failf("%s is no value; a text in double quotes, a number, true, false or null is expected", quote(text))
	case p.mode == Strict || equalName(text, "and") || equalName(text, "or") || equalName(text, "not"):
		return lit, p.failf("%s is no value; texts stand in double quotes", quote(text))
	default:
		lit.value, lit.bare = text, true
	}
	return lit, nil
}
