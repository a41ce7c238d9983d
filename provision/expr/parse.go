package expr

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parser parses only the grammar. The checker later checks which functions exist and which
// arguments they accept.
type parser struct {
	text  string // the whole expression
	pos   int    // the position of the next character, in bytes
	depth int    // how many calls contain the current position
}

// parse parses an expression into a tree of nodes that have not been checked.
func parse(text string) (*node, error) {
	p := &parser{text: text}
	if err := p.checkText(); err != nil {
		return nil, err
	}
	p.skipSpaces()
	if p.atEnd() {
		return nil, p.errorAt(p.pos, "the expression is empty", `write an attribute such as [mail], a string such as "Oslo", or a function call`)
	}
	n, err := p.parseArgument()
	if err != nil {
		return nil, err
	}
	p.skipSpaces()
	if !p.atEnd() {
		return nil, p.trailingTextError(n)
	}
	return n, nil
}

// checkText returns an error if the expression is not valid UTF-8, contains NUL, or is too long.
func (p *parser) checkText() error {
	for i, r := range p.text {
		if r == utf8.RuneError && !strings.HasPrefix(p.text[i:], "\uFFFD") {
			return p.errorAt(i, "the expression is not valid UTF-8 here", "type the character again")
		}
		if r == 0 {
			return p.errorAt(i, "the expression holds a NUL character", "remove it")
		}
	}
	if n := utf8.RuneCountInString(p.text); n > MaxLength {
		return p.errorAt(0, fmt.Sprintf("the expression has %d characters and may have at most %d", n, MaxLength), "shorten it")
	}
	return nil
}

// parseArgument parses one argument: an operand, or a comparison of two operands.
func (p *parser) parseArgument() (*node, error) {
	left, err := p.parseOperand()
	if err != nil {
		return nil, err
	}
	p.skipSpaces()
	at := p.pos
	op := p.parseCompareOperator()
	if op == "" {
		return left, nil
	}
	if op == "=" && p.hasPrefix("=") {
		return nil, p.errorAt(at, "== is not an operator", "write =")
	}
	right, err := p.parseOperand()
	if err != nil {
		return nil, err
	}
	p.skipSpaces()
	again := p.pos
	if p.parseCompareOperator() != "" {
		return nil, p.errorAt(again, "a comparison has two sides only", "nest IIF calls for a second comparison")
	}
	return &node{kind: compareNode, offset: at, text: op, args: []*node{left, right}}, nil
}

// parseOperand parses one value, or several values joined by &.
func (p *parser) parseOperand() (*node, error) {
	first, err := p.parseValue()
	if err != nil {
		return nil, err
	}
	var parts []*node
	at := 0
	for {
		p.skipSpaces()
		if !p.hasPrefix("&") {
			break
		}
		if parts == nil {
			at, parts = p.pos, []*node{first}
		}
		p.pos++
		next, err := p.parseValue()
		if err != nil {
			return nil, err
		}
		parts = append(parts, next)
	}
	if parts == nil {
		return first, nil
	}
	return &node{kind: concatNode, offset: at, args: parts}, nil
}

func (p *parser) parseValue() (*node, error) {
	p.skipSpaces()
	if p.atEnd() {
		return nil, p.errorAt(p.pos, "the expression ends where a value is expected", `add an attribute such as [mail], a string such as "Oslo", or a function call`)
	}
	switch c := p.text[p.pos]; {
	case c == '[':
		return p.parseAttribute()
	case c == '"':
		return p.parseString()
	case isDigit(c), c == '-', c == '&':
		return p.parseNumber()
	case isLetter(c):
		return p.parseName()
	default:
		return nil, p.unexpectedCharacterError()
	}
}

// parseAttribute reads [name]. The name ends at the first closing bracket.
func (p *parser) parseAttribute() (*node, error) {
	at := p.pos
	rest := p.text[at+1:]
	end := strings.IndexAny(rest, "[]\r\n")
	if end < 0 || rest[end] != ']' {
		suggestion := "close it with ]"
		if n := wordLength(rest); n > 0 {
			suggestion = "write [" + rest[:n] + "]"
		}
		return nil, p.errorAt(at, "the attribute name that begins here has no closing bracket", suggestion)
	}
	name := rest[:end]
	trimmed := strings.TrimSpace(name)
	if trimmed == "" {
		return nil, p.errorAt(at, "the brackets hold no attribute name", "write a source attribute's name between them, such as [mail]")
	}
	if trimmed != name {
		return nil, p.errorAt(at, "the attribute name has spaces around it", "write ["+trimmed+"]")
	}
	p.pos = at + 1 + end + 1
	return &node{kind: attributeNode, offset: at, text: name}, nil
}

// parseString reads a string in double quotes. Only \\ and \" are escapes. Any other backslash is
// an ordinary character.
func (p *parser) parseString() (*node, error) {
	at := p.pos
	var b strings.Builder
	for i := at + 1; i < len(p.text); i++ {
		c := p.text[i]
		if c == '"' {
			p.pos = i + 1
			return textNode(at, b.String()), nil
		}
		if c == '\\' && i+1 < len(p.text) && (p.text[i+1] == '"' || p.text[i+1] == '\\') {
			i++
			c = p.text[i]
		}
		b.WriteByte(c)
	}
	suggestion := `add the closing "`
	if strings.HasSuffix(p.text, `\"`) {
		suggestion = `the last " is escaped by the backslash before it: add another ", or write the backslash twice`
	}
	return nil, p.errorAt(at, "the string that begins here has no closing quotation mark", suggestion)
}

func textNode(at int, s string) *node {
	return &node{kind: stringNode, offset: at, text: s, value: String(s)}
}

// parseNumber reads a number such as 12, -3, 1.5 or &HF7.
func (p *parser) parseNumber() (*node, error) {
	at := p.pos
	if p.hasPrefix("&") {
		return p.parseHexadecimal()
	}
	if p.hasPrefix("-") {
		p.pos++
	}
	whole := p.skipDigits()
	fraction := true
	if p.hasPrefix(".") {
		p.pos++
		fraction = p.skipDigits()
	}
	raw := p.text[at:p.pos]
	if !whole || !fraction || !p.atEnd() && (isLetter(p.text[p.pos]) || p.text[p.pos] == '.') {
		word := p.text[at : at+max(1, wordLength(p.text[at:]))]
		return nil, p.errorAt(at, fmt.Sprintf("%s is not a number", word), "write "+quote(word)+" if you mean a string")
	}
	return &node{kind: numberNode, offset: at, text: raw, value: Number(raw)}, nil
}

func (p *parser) parseHexadecimal() (*node, error) {
	at := p.pos
	length := 2
	for at+length < len(p.text) && isHex(p.text[at+length]) {
		length++
	}
	if !p.hasPrefix("&H") || length == 2 {
		return nil, p.errorAt(at, "& stands here without a value before it", `a hexadecimal number is written &H and its digits, such as &HF7; to join strings write Join("", first, second)`)
	}
	raw := p.text[at : at+length]
	n, err := strconv.ParseInt(raw[2:], 16, 64)
	if err != nil {
		return nil, p.errorAt(at, raw+" is too large a number", "at most &H7FFFFFFFFFFFFFFF can be written")
	}
	p.pos += length
	return &node{kind: numberNode, offset: at, text: raw, value: Number(strconv.FormatInt(n, 10))}, nil
}

func (p *parser) skipDigits() bool {
	start := p.pos
	for !p.atEnd() && isDigit(p.text[p.pos]) {
		p.pos++
	}
	return p.pos > start
}

// parseName reads a part that begins with a letter: a function call or a bare word.
func (p *parser) parseName() (*node, error) {
	at := p.pos
	name := p.text[at : at+identifierLength(p.text[at:])]
	p.pos += len(name)
	p.skipSpaces()
	if p.hasPrefix("(") {
		return p.parseCall(at, name)
	}
	p.pos = at + len(name)
	if isWord(name) {
		return &node{kind: wordNode, offset: at, text: name}, nil
	}
	return nil, p.bareNameError(at, name)
}

func (p *parser) parseCall(at int, name string) (*node, error) {
	if p.depth++; p.depth > MaxDepth {
		return nil, p.errorAt(at, fmt.Sprintf("calls are nested more than %d deep", MaxDepth), "simplify the expression")
	}
	defer func() { p.depth-- }()
	n := &node{kind: callNode, offset: at, text: name}
	p.pos++ // the opening parenthesis
	p.skipSpaces()
	if p.hasPrefix(")") {
		p.pos++
		return n, nil
	}
	for {
		arg, err := p.parseArgumentOrEmpty()
		if err != nil {
			return nil, err
		}
		n.args = append(n.args, arg)
		p.skipSpaces()
		switch {
		case p.atEnd():
			return nil, p.errorAt(at, name+" has no closing parenthesis", "add ) where its arguments end")
		case p.hasPrefix(","):
			p.pos++
		case p.hasPrefix(")"):
			p.pos++
			return n, nil
		default:
			return nil, p.missingCommaError(name)
		}
	}
}

func (p *parser) parseArgumentOrEmpty() (*node, error) {
	p.skipSpaces()
	if p.hasPrefix(",") || p.hasPrefix(")") || p.atEnd() {
		return &node{kind: emptyNode, offset: p.pos}, nil
	}
	return p.parseArgument()
}

// parseCompareOperator reads a comparison operator. It returns "" if there is none.
func (p *parser) parseCompareOperator() string {
	for _, op := range compareOperators() {
		if p.hasPrefix(op) {
			p.pos += len(op)
			return op
		}
	}
	return ""
}

// trailingTextError returns the error for text after the complete expression n.
func (p *parser) trailingTextError(n *node) error {
	rest := p.text[p.pos:]
	switch {
	case rest[0] == ')':
		return p.errorAt(p.pos, "this parenthesis closes nothing", "remove it")
	case rest[0] == '[' && n.kind == callNode:
		return p.errorAt(p.pos, "an index cannot follow a call", "use a function that picks one of several values")
	case n.kind == callNode:
		return p.errorAt(p.pos, "the expression is complete before "+p.quoteNextWord(), "remove what follows it")
	default:
		return p.errorAt(p.pos, "the expression is complete before "+p.quoteNextWord(), `to put several values together write Join("", first, second)`)
	}
}

// missingCommaError returns the error for text after an argument where a comma or a closing
// parenthesis is expected. name is the function.
func (p *parser) missingCommaError(name string) error {
	rest := p.text[p.pos:]
	switch c := rest[0]; {
	case c == ';':
		return p.errorAt(p.pos, "arguments are separated by commas, not by semicolons", "write , instead of ;")
	case strings.HasPrefix(rest, "!="):
		return p.errorAt(p.pos, "!= is not an operator", "write <>")
	case strings.ContainsRune("+-*/", rune(c)):
		return p.errorAt(p.pos, "the language has no operator "+string(c), `to join strings write Join("", first, second)`)
	case startsWithWord(rest, "and") || startsWithWord(rest, "or"):
		return p.errorAt(p.pos, "the language has no AND and no OR", "nest IIF: in the true branch for AND, in the false branch for OR")
	case c == '"':
		return p.errorAt(p.pos, "a comma is missing before this string", `write , before it, or \" if the quotation mark belongs to the string before it`)
	default:
		return p.errorAt(p.pos, fmt.Sprintf("%s has %s where a comma or ) is expected", name, p.quoteNextWord()), "separate arguments by commas")
	}
}

// bareNameError returns the error for a name that has neither brackets nor quotation marks nor
// arguments.
func (p *parser) bareNameError(at int, name string) error {
	if strings.EqualFold(name, "true") || strings.EqualFold(name, "false") {
		return p.errorAt(at, name+" is not a value of its own", `booleans are strings: write "True" or "False"`)
	}
	for _, word := range bareWords() {
		if strings.EqualFold(word, name) {
			return p.errorAt(at, "case counts in "+name, "write "+word)
		}
	}
	if f := findFunction(name); f != nil {
		return p.errorAt(at, name+" is a function and has no arguments here", "write "+f.Signature())
	}
	return p.errorAt(at, name+" is neither an attribute nor a string", fmt.Sprintf("write [%s] for the attribute or %s for the string", name, quote(name)))
}

// unexpectedCharacterError returns the error for a character with which no value begins.
func (p *parser) unexpectedCharacterError() error {
	r, _ := utf8.DecodeRuneInString(p.text[p.pos:])
	switch r {
	case '\'':
		return p.errorAt(p.pos, "strings stand between double quotation marks", `write " instead of '`)
	case '“', '”', '„', '«', '»', '‘', '’':
		return p.errorAt(p.pos, fmt.Sprintf("%c is a typographic quotation mark", r), `write the plain " instead`)
	case ',':
		return p.errorAt(p.pos, "a comma stands where a value is expected", "remove the comma, or write the value before it")
	case ')':
		return p.errorAt(p.pos, "a parenthesis closes where a value is expected", "write the value before it")
	case '(':
		return p.errorAt(p.pos, "a parenthesis opens without a function's name before it", "write the function's name, or remove the parentheses")
	case ']':
		return p.errorAt(p.pos, "this bracket closes nothing", "attribute names are written [name]")
	case '=', '<', '>':
		return p.errorAt(p.pos, "the comparison has no left side", "write a value before the operator")
	default:
		return p.errorAt(p.pos, fmt.Sprintf("%q begins no value", r), `values are [attribute], "text", a number or a function call`)
	}
}

func (p *parser) errorAt(offset int, message, suggestion string) error {
	line, column := position(p.text, offset)
	return &SyntaxError{Offset: offset, Line: line, Column: column, Message: message, Suggestion: suggestion}
}

// quoteNextWord returns the next word or sign of the expression in quotes, for a message.
func (p *parser) quoteNextWord() string {
	rest := p.text[p.pos:]
	length := max(wordLength(rest), 1)
	if r, size := utf8.DecodeRuneInString(rest); r >= utf8.RuneSelf {
		length = size
	}
	return strconv.Quote(rest[:length])
}

func (p *parser) atEnd() bool { return p.pos >= len(p.text) }

func (p *parser) hasPrefix(prefix string) bool { return strings.HasPrefix(p.text[p.pos:], prefix) }

func (p *parser) skipSpaces() {
	for !p.atEnd() && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
}

// identifierLength returns the length of the name at the start of s: letters, digits and
// underscores.
func identifierLength(s string) int {
	n := 0
	for n < len(s) && (isLetter(s[n]) || isDigit(s[n])) {
		n++
	}
	return n
}

// wordLength returns the length of the word at the start of s. Unlike a name, a word may contain
// dots and begin with a hyphen.
func wordLength(s string) int {
	n := 0
	for n < len(s) && (isLetter(s[n]) || isDigit(s[n]) || s[n] == '.' || s[n] == '-' && n == 0) {
		n++
	}
	return n
}

// startsWithWord reports whether s begins with the identifier word, in any case.
func startsWithWord(s, word string) bool {
	return identifierLength(s) == len(word) && strings.EqualFold(s[:len(word)], word)
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
func isHex(c byte) bool    { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
