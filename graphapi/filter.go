package graphapi

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of a $filter. They limit how much work a hostile client can cause.
const (
	maxFilterBytes = 4096
	maxFilterDepth = 16 // how deep brackets and nots may be nested
	maxFilterTerms = 64 // the largest number of comparisons and functions
)

// fieldKind is the type of a property's values.
type fieldKind int

const (
	textField fieldKind = iota
	numberField
	timeField
	boolField
)

// fieldKinds says which properties a $filter may compare: it maps their paths, in lower case, to
// their types.
type fieldKinds map[string]fieldKind

// filter is a parsed $filter, or a part of it. A nil filter matches every object.
type filter struct {
	op          string // and, or, not, a comparison or a function
	left, right *filter
	path        string // path of the compared property in lower case
	value       any    // the compared value: string, float64, bool, time.Time, or nil for null
}

// readQuery returns the query of a request. Options are the parameters whose names begin with $.
// readQuery returns an error for an option that is not in known, or that occurs twice.
func readQuery(q url.Values, known ...string) (url.Values, error) {
	for name, values := range q {
		if strings.HasPrefix(name, "$") && !slices.Contains(known, name) {
			return nil, refuse(400, codeUnsupported, "The query option %s is not supported here. There are %s.", toPrintable(name), strings.Join(known, ", "))
		}
		if strings.HasPrefix(name, "$") && len(values) > 1 {
			return nil, refuse(400, codeBadRequest, "The query option %s occurs twice.", name)
		}
	}
	return q, nil
}

// The sizes of pages of lists other than the provisioning logs.
const (
	usualPage = 100 // if the request does not say
	maxPage   = 500
)

// readTop returns the page size in the option $top, which is at least 1. It returns most for a
// greater number, and usual if the option is missing.
func readTop(text string, usual, most int) (int, error) {
	if text == "" {
		return usual, nil
	}
	top, err := strconv.Atoi(text)
	if err != nil || top < 1 {
		return 0, refuse(400, codeBadRequest, "Invalid value '%s' for $top. It is a number from 1 to %d.", toPrintable(text), most)
	}
	return min(top, most), nil
}

// parseFilter parses an OData $filter. It supports the operators eq, ne, gt, ge, lt and le, the
// functions contains, startsWith and endsWith, the words and, or and not, and brackets. known says
// which properties may be compared. For an empty string it returns nil.
func parseFilter(text string, known fieldKinds) (*filter, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if len(text) > maxFilterBytes {
		return nil, invalidFilter("it has more than %d bytes", maxFilterBytes)
	}
	p := &filterParser{fieldKinds: known}
	if err := p.splitTokens(text); err != nil {
		return nil, err
	}
	f, err := p.parseOr(0)
	if err == nil && p.position < len(p.tokens) {
		err = invalidFilter("'%s' does not belong there", toPrintable(p.tokens[p.position].text))
	}
	return f, err
}

// invalidFilter returns the error for a $filter that cannot be parsed.
func invalidFilter(why string, args ...any) error {
	return refuse(400, codeBadRequest, "Invalid filter clause: "+why+".", args...)
}

// token is one word, sign or value in a filter.
type token struct {
	text     string
	isQuoted bool
}

// filterParser parses one $filter.
type filterParser struct {
	fieldKinds fieldKinds
	tokens     []token
	position   int // the index of the next token
	termCount  int // the number of comparisons and functions so far
}

// splitTokens splits a filter into tokens.
func (p *filterParser) splitTokens(text string) error {
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == ' ' || c == '\t':
			i++
		case c == '(' || c == ')' || c == ',':
			p.tokens = append(p.tokens, token{text: string(c)})
			i++
		case c == '\'':
			value, length, ok := readQuoted(text[i:])
			if !ok {
				return invalidFilter("a quotation mark is not closed")
			}
			p.tokens = append(p.tokens, token{value, true})
			i += length
		default:
			end := i
			for end < len(text) && !strings.ContainsRune(" \t(),'", rune(text[end])) {
				end++
			}
			p.tokens = append(p.tokens, token{text: text[i:end]})
			i = end
		}
	}
	return nil
}

// readQuoted reads a string in single quotation marks at the beginning of text. Inside the string,
// a quotation mark is doubled. length is the number of bytes read.
func readQuoted(text string) (value string, length int, ok bool) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		if text[i] != '\'' {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return b.String(), i + 1, true
	}
	return "", 0, false
}

// skipToken skips the next token if it is this word or sign, and returns true. Otherwise it returns
// false.
func (p *filterParser) skipToken(word string) bool {
	if p.position < len(p.tokens) && !p.tokens[p.position].isQuoted && strings.EqualFold(p.tokens[p.position].text, word) {
		p.position++
		return true
	}
	return false
}

// nextToken returns the next token and skips it. It returns an error at the end of the filter.
func (p *filterParser) nextToken() (token, error) {
	if p.position >= len(p.tokens) {
		return token{}, invalidFilter("it ends too early")
	}
	p.position++
	return p.tokens[p.position-1], nil
}

// parseOr parses terms that are joined by or and and. depth is the number of brackets and nots
// around them.
func (p *filterParser) parseOr(depth int) (*filter, error) {
	left, err := p.parseAnd(depth)
	for err == nil && p.skipToken("or") {
		var right *filter
		right, err = p.parseAnd(depth)
		left = &filter{op: "or", left: left, right: right}
	}
	return left, err
}

// parseAnd parses terms that are joined by and.
func (p *filterParser) parseAnd(depth int) (*filter, error) {
	left, err := p.parseTerm(depth)
	for err == nil && p.skipToken("and") {
		var right *filter
		right, err = p.parseTerm(depth)
		left = &filter{op: "and", left: left, right: right}
	}
	return left, err
}

// parseTerm parses a comparison, a function, a not with its term, or a filter in brackets.
func (p *filterParser) parseTerm(depth int) (*filter, error) {
	if depth > maxFilterDepth {
		return nil, invalidFilter("it is nested more than %d deep", maxFilterDepth)
	}
	if p.termCount++; p.termCount > maxFilterTerms {
		return nil, invalidFilter("it has more than %d terms", maxFilterTerms)
	}
	if p.skipToken("not") {
		inner, err := p.parseTerm(depth + 1)
		return &filter{op: "not", left: inner}, err
	}
	if p.skipToken("(") {
		inner, err := p.parseOr(depth + 1)
		if err == nil && !p.skipToken(")") {
			err = invalidFilter("a bracket is not closed")
		}
		return inner, err
	}
	for _, name := range []string{"contains", "startswith", "endswith"} {
		if p.skipToken(name) {
			return p.parseCall(name)
		}
	}
	return p.parseComparison()
}

// parseCall reads the arguments of the function with this name: the path of a property and a
// string.
func (p *filterParser) parseCall(name string) (*filter, error) {
	if !p.skipToken("(") {
		return nil, invalidFilter("%s needs brackets", name)
	}
	path, kind, err := p.parsePath()
	if err != nil {
		return nil, err
	}
	if kind != textField {
		return nil, invalidFilter("%s takes a string, and %s is none", name, path)
	}
	if !p.skipToken(",") {
		return nil, invalidFilter("%s takes two arguments", name)
	}
	value, err := p.nextToken()
	if err != nil {
		return nil, err
	}
	if !value.isQuoted {
		return nil, invalidFilter("the second argument of %s is a string in quotation marks", name)
	}
	if !p.skipToken(")") {
		return nil, invalidFilter("a bracket is not closed")
	}
	return &filter{op: name, path: path, value: value.text}, nil
}

// parseComparison parses a comparison of a property with a value.
func (p *filterParser) parseComparison() (*filter, error) {
	path, kind, err := p.parsePath()
	if err != nil {
		return nil, err
	}
	op, err := p.nextToken()
	if err != nil {
		return nil, err
	}
	op.text = strings.ToLower(op.text)
	if op.isQuoted || !slices.Contains([]string{"eq", "ne", "gt", "ge", "lt", "le"}, op.text) {
		return nil, invalidFilter("'%s' is not an operator. There are eq, ne, gt, ge, lt and le", toPrintable(op.text))
	}
	literal, err := p.nextToken()
	if err != nil {
		return nil, err
	}
	value, err := parseLiteral(literal, kind)
	if err != nil {
		return nil, err
	}
	return &filter{op: op.text, path: path, value: value}, nil
}

// parsePath reads the path of a property. It returns an error for a property that a filter may not
// compare.
func (p *filterParser) parsePath() (string, fieldKind, error) {
	t, err := p.nextToken()
	if err != nil {
		return "", 0, err
	}
	path := strings.ToLower(t.text)
	kind, known := p.fieldKinds[path]
	if t.isQuoted || !known {
		names := make([]string, 0, len(p.fieldKinds))
		for name := range p.fieldKinds {
			names = append(names, name)
		}
		slices.Sort(names)
		return "", 0, invalidFilter("'%s' cannot be filtered by. There are, in any case: %s", toPrintable(t.text), strings.Join(names, ", "))
	}
	return path, kind, nil
}

// parseLiteral converts a token to a value for a property of this kind. As in Graph, times and
// numbers may have quotation marks or not.
func parseLiteral(t token, kind fieldKind) (any, error) {
	if !t.isQuoted && strings.EqualFold(t.text, "null") {
		return nil, nil
	}
	switch kind {
	case numberField:
		if n, err := strconv.ParseFloat(t.text, 64); err == nil {
			return n, nil
		}
		return nil, invalidFilter("'%s' is not a number", toPrintable(t.text))
	case timeField:
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", time.DateOnly} {
			if at, err := time.Parse(layout, t.text); err == nil {
				return at.UTC(), nil
			}
		}
		return nil, invalidFilter("'%s' is not a time such as 2027-01-31T09:00:00Z", toPrintable(t.text))
	case boolField:
		if b, err := strconv.ParseBool(strings.ToLower(t.text)); err == nil {
			return b, nil
		}
		return nil, invalidFilter("'%s' is neither true nor false", toPrintable(t.text))
	}
	if !t.isQuoted {
		return nil, invalidFilter("the text %s needs quotation marks", toPrintable(t.text))
	}
	return t.text, nil
}

// matches reports whether an object matches the filter. object has the values of its properties by
// path in lower case. As in Graph, case matters when strings are compared.
func (f *filter) matches(object map[string]any) bool {
	if f == nil {
		return true
	}
	switch f.op {
	case "and":
		return f.left.matches(object) && f.right.matches(object)
	case "or":
		return f.left.matches(object) || f.right.matches(object)
	case "not":
		return !f.left.matches(object)
	}
	has := object[f.path]
	if f.value == nil || has == nil || has == "" {
		return f.matchesNull(has == nil || has == "")
	}
	text, _ := has.(string)
	word, _ := f.value.(string)
	switch f.op {
	case "contains":
		return strings.Contains(text, word)
	case "startswith":
		return strings.HasPrefix(text, word)
	case "endswith":
		return strings.HasSuffix(text, word)
	}
	order, comparable := compare(has, f.value)
	switch {
	case !comparable:
		return f.op == "ne"
	case f.op == "eq":
		return order == 0
	case f.op == "ne":
		return order != 0
	case f.op == "gt":
		return order > 0
	case f.op == "ge":
		return order >= 0
	case f.op == "lt":
		return order < 0
	default:
		return order <= 0
	}
}

// matchesNull reports whether a comparison is true if the filter compares with null, or if the
// property has no value. missing says whether the property has no value. A filter that compares with
// an empty string means null, too.
func (f *filter) matchesNull(missing bool) bool {
	same := missing && (f.value == nil || f.value == "")
	switch f.op {
	case "eq", "ge", "le":
		return same
	case "ne":
		return !same
	default:
		return f.op != "gt" && f.op != "lt" && same
	}
}

// compare returns a negative number, 0 or a positive number if a is less than, equal to, or greater
// than b. comparable is false if they have different types.
func compare(a, b any) (order int, comparable bool) {
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		return strings.Compare(a, b), ok
	case float64:
		b, ok := b.(float64)
		switch {
		case a < b:
			return -1, ok
		case a > b:
			return 1, ok
		}
		return 0, ok
	case time.Time:
		b, ok := b.(time.Time)
		return a.Compare(b), ok
	case bool:
		b, ok := b.(bool)
		if a == b {
			return 0, ok
		}
		return 1, ok
	}
	return 0, false
}

// conditions returns the comparisons that must all be true if the filter matches. whole says
// whether the opposite holds too: the filter matches if all of them are true.
func (f *filter) conditions() (all []*filter, whole bool) {
	switch {
	case f == nil:
		return nil, true
	case f.op == "and":
		left, leftWhole := f.left.conditions()
		right, rightWhole := f.right.conditions()
		return append(left, right...), leftWhole && rightWhole
	case f.op == "or" || f.op == "not":
		return nil, false
	}
	return []*filter{f}, true
}

// principalFields returns the properties of service principals that a $filter may compare.
func principalFields() fieldKinds {
	return fieldKinds{"id": textField, "appid": textField, "displayname": textField}
}
