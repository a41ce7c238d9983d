package expr

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of an expression. MaxLength is the largest number of characters, which is the same in
// Entra. MaxDepth is how deep calls may be nested; only Rollcall has this limit.
const (
	MaxLength = 10_000
	MaxDepth  = 200
)

// Expr is a parsed and checked expression. It never changes, so several goroutines may use it at
// once.
type Expr struct {
	text    string // the string that Parse got; positions of errors refer to it
	root    *node
	printed string
	notes   []Note
}

// Type is the type of an expression in Graph. It is the type of the outermost part.
type Type string

// The types of an expression. The pages call them Direct, Constant and Expression.
const (
	TypeAttribute Type = "Attribute"
	TypeConstant  Type = "Constant"
	TypeFunction  Type = "Function"
)

// Note is a hint about a valid part of an expression: Entra refuses this part or treats it
// differently, or it does not work for everyone.
type Note struct {
	Line, Column int
	Message      string
}

// Parse parses and checks an expression. Every error is a *SyntaxError.
func Parse(text string) (*Expr, error) {
	root, err := parse(text)
	if err != nil {
		return nil, err
	}
	c := checker{text: text}
	if err := c.checkTop(root); err != nil {
		return nil, err
	}
	e := &Expr{text: text, root: root, printed: printNode(root), notes: c.notes}
	if n := utf8.RuneCountInString(e.printed); n > MaxLength {
		return nil, &SyntaxError{
			Line: 1, Column: 1,
			Message:    fmt.Sprintf("the expression has %d characters in its stored form, with a space after each comma, and may have at most %d", n, MaxLength),
			Suggestion: "shorten it",
		}
	}
	return e, nil
}

// String returns the normal form of the expression. It has one space after each comma and around
// operators, and no other spaces outside strings. Switch always has its default argument, which may
// be empty. The normal form parses to the same expression.
func (e *Expr) String() string { return e.printed }

// Type returns the type of the expression: one attribute, one constant, or a function call.
func (e *Expr) Type() Type { return e.root.graphType() }

// Attributes returns the names of the source attributes that the expression reads, without
// duplicates and in the order in which they appear.
func (e *Expr) Attributes() []string {
	var names []string
	e.root.walk(func(n *node) {
		if n.kind == attributeNode && !slices.Contains(names, n.text) {
			names = append(names, n.text)
		}
	})
	return names
}

// Draws reports whether the expression draws a value, that is, generates a random or unique value.
// The engine evaluates such an expression only when it creates an account, and stores the value.
func (e *Expr) Draws() bool {
	return e.usesFunctionThat(func(f *function) bool { return f.drawsValue })
}

// AsksTarget reports whether the expression calls SelectUniqueValue, which looks up values in the
// target.
func (e *Expr) AsksTarget() bool {
	return e.usesFunctionThat(func(f *function) bool { return f.Name == "SelectUniqueValue" })
}

// ReadsDefaultDomain reports whether the expression reads the default domain of the source
// directory.
func (e *Expr) ReadsDefaultDomain() bool {
	return e.usesFunctionThat(func(f *function) bool { return f.Name == "DefaultDomain" })
}

// Redacts reports whether the expression calls Redact. Logs then show [Redact] in place of the new
// value and of the old value in the target.
func (e *Expr) Redacts() bool {
	return e.usesFunctionThat(func(f *function) bool { return f.Name == "Redact" })
}

// ReadsClock reports whether the value of the expression depends on the time of the evaluation. The
// engine does not change an account only because time has passed.
func (e *Expr) ReadsClock() bool {
	return e.usesFunctionThat(func(f *function) bool { return f.readsClock })
}

// usesFunctionThat reports whether the expression calls a function with the property.
func (e *Expr) usesFunctionThat(property func(*function) bool) bool {
	found := false
	e.root.walk(func(n *node) { found = found || n.fn != nil && property(n.fn) })
	return found
}

// Notes returns the hints about the expression that do not depend on a mapping. Check returns the
// others.
func (e *Expr) Notes() []Note { return e.notes }

// nodeKind is the kind of a node.
type nodeKind int

const (
	attributeNode nodeKind = iota // text holds the attribute's name
	stringNode                    // text holds the string
	numberNode                    // text holds the number as it was written
	wordNode                      // text holds the word
	callNode                      // text holds the function's name
	compareNode                   // text holds the operator; there are two arguments
	concatNode                    // values joined by &; there are two or more arguments
	emptyNode                     // an argument that is left out
)

// node is a part of a parsed expression. It does not change after the checker has run.
type node struct {
	kind   nodeKind
	offset int // position of the part in bytes from the start
	text   string
	args   []*node
	fn     *function // the function of a call; nil for other parts
	value  Value     // the value of a string or number node

	pattern     *pattern          // the compiled pattern in a call of Replace if it is a constant; otherwise nil
	replacement []replacementPart // the parsed replacement in a call of Replace if the pattern and the replacement are constants; otherwise nil
	formats     [2]*dateFormat    // the parsed input and output format in a call of FormatDateTime; nil for a format that is not a constant
}

// walk calls visit for the node and for all nodes in its arguments.
func (n *node) walk(visit func(*node)) {
	visit(n)
	for _, arg := range n.args {
		arg.walk(visit)
	}
}

// printNode returns the normal form of a part of an expression.
func printNode(n *node) string {
	var b strings.Builder
	n.print(&b)
	return b.String()
}

// print writes the node in the normal form.
func (n *node) print(b *strings.Builder) {
	switch n.kind {
	case attributeNode:
		b.WriteString("[" + n.text + "]")
	case stringNode:
		b.WriteString(quote(n.text))
	case numberNode, wordNode:
		b.WriteString(n.text)
	case compareNode:
		n.args[0].print(b)
		b.WriteString(" " + n.text + " ")
		n.args[1].print(b)
	case concatNode:
		for i, arg := range n.args {
			if i > 0 {
				b.WriteString(" & ")
			}
			arg.print(b)
		}
	case callNode:
		b.WriteString(n.text + "(")
		for i, arg := range n.args {
			if i > 0 {
				b.WriteString(", ")
			}
			arg.print(b)
		}
		b.WriteByte(')')
	}
}

// quote returns s as a string literal of the expression language.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
