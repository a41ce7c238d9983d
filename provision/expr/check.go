package expr

import (
	"fmt"
	"slices"
	"strings"
)

// checker checks a parsed expression. It finds the function of each call, returns an error for a
// part that cannot be evaluated, and changes the tree to its stored form.
type checker struct {
	text  string
	top   *node // the whole expression
	notes []Note
}

// checkTop checks the root of the whole expression. A comparison or a bare word may only be an
// argument.
func (c *checker) checkTop(n *node) error {
	c.top = n
	switch n.kind {
	case compareNode:
		return c.errorAt(n, "a comparison is no value of its own", "write IIF("+printNode(n)+`, "True", "False")`)
	case wordNode:
		return c.errorAt(n, n.text+" is an argument of "+strings.Join(functionsTaking(n.text), " and ")+" only", "remove it")
	}
	return c.checkValue(n)
}

// checkValue checks a part of an expression whose value is used.
func (c *checker) checkValue(n *node) error {
	switch n.kind {
	case callNode:
		return c.checkCall(n)
	case concatNode:
		c.addNote(n, `Entra's application mappings have no & operator; there, write Join("", …)`)
		return c.checkOperands(n)
	case compareNode:
		return c.checkOperands(n)
	case wordNode:
		return c.errorAt(n, n.text+" is an argument of "+strings.Join(functionsTaking(n.text), " and ")+" only", "remove it")
	default:
		return nil
	}
}

func (c *checker) checkOperands(n *node) error {
	for _, arg := range n.args {
		if err := c.checkValue(arg); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) checkCall(n *node) error {
	n.fn = findFunction(n.text)
	if n.fn == nil {
		return c.errorAt(n, "there is no function "+n.text, suggestFunction(n.text))
	}
	if n.fn.arrangeArguments != nil {
		if err := n.fn.arrangeArguments(c, n); err != nil {
			return err
		}
	}
	if err := c.checkArgumentCount(n); err != nil {
		return err
	}
	for i, arg := range n.args {
		if err := c.checkArgument(n, n.fn.parameterAt(i), arg); err != nil {
			return err
		}
	}
	if n.fn.checkArguments != nil {
		if err := n.fn.checkArguments(c, n); err != nil {
			return err
		}
	}
	if n.fn.addNotes != nil {
		n.fn.addNotes(c, n)
	}
	return nil
}

// checkArgumentCount checks that a call has as many arguments as the function takes.
func (c *checker) checkArgumentCount(n *node) error {
	least, most := n.fn.argumentCounts()
	if len(n.args) >= least && (most < 0 || len(n.args) <= most) {
		return nil
	}
	takes := fmt.Sprintf("%d to %d arguments", least, most)
	switch {
	case most < 0:
		takes = fmt.Sprintf("at least %s", countArguments(least))
	case least == most:
		takes = countArguments(least)
	}
	return c.errorAt(n, fmt.Sprintf("%s takes %s and has %d", n.text, takes, len(n.args)), "write "+n.fn.Signature())
}

func (c *checker) checkArgument(call *node, p Parameter, arg *node) error {
	switch arg.kind {
	case emptyNode:
		if p.Required {
			return c.errorAt(arg, fmt.Sprintf("the argument %s of %s is empty", p.Name, call.text), `write it; "" is the empty string`)
		}
		return nil
	case wordNode:
		if slices.Contains(p.Words, arg.text) {
			return nil
		}
	case compareNode:
		if !p.MayBeComparison {
			return c.errorAt(arg, fmt.Sprintf("the argument %s of %s cannot be a comparison", p.Name, call.text), `write a comparison only as the first argument of IIF or the argument of CBool`)
		}
	}
	if len(p.Words) > 0 {
		return c.acceptWord(call, p, arg)
	}
	if err := c.checkValue(arg); err != nil {
		return err
	}
	if problem := describeMismatch(arg, p.Takes, nil); problem != "" {
		return c.errorAt(arg, fmt.Sprintf("the argument %s of %s %s", p.Name, call.text, problem), "write "+call.fn.Signature())
	}
	return nil
}

// acceptWord replaces a string by the bare word that it contains. This is needed for Graph's trees:
// a tree whose parts have no strings stores a bare word in the same way as a string.
func (c *checker) acceptWord(call *node, p Parameter, arg *node) error {
	if arg.kind != stringNode || !slices.Contains(p.Words, arg.text) {
		return c.errorAt(arg, fmt.Sprintf("the argument %s of %s is one of the words %s", p.Name, call.text, strings.Join(p.Words, ", ")), "write "+p.Words[0]+" without quotation marks")
	}
	*arg = node{kind: wordNode, offset: arg.offset, text: arg.text}
	return nil
}

func (c *checker) errorAt(n *node, message, suggestion string) *SyntaxError {
	line, column := position(c.text, n.offset)
	return &SyntaxError{Offset: n.offset, Line: line, Column: column, Message: message, Suggestion: suggestion}
}

func (c *checker) addNote(n *node, message string) {
	line, column := position(c.text, n.offset)
	c.notes = append(c.notes, Note{Line: line, Column: column, Message: message})
}

// dropEmptyArguments returns an arrangeArguments function that removes a call's empty arguments. It
// leaves alone all arguments at indexes below first. It is for functions that take any number of
// arguments and whose result does not depend on empty ones.
func dropEmptyArguments(first int) func(*checker, *node) error {
	return func(_ *checker, n *node) error {
		if len(n.args) > first {
			kept := slices.Clone(n.args[:first])
			for _, arg := range n.args[first:] {
				if arg.kind != emptyNode {
					kept = append(kept, arg)
				}
			}
			n.args = kept
		}
		return nil
	}
}

// arrangeSwitch adds an empty default to a call of Switch that has none. Such a call has an odd
// number of arguments.
func arrangeSwitch(c *checker, n *node) error {
	if len(n.args) < 3 {
		return nil // checkArgumentCount reports the error
	}
	if len(n.args)%2 == 1 {
		omitted := &node{kind: emptyNode, offset: n.args[1].offset}
		n.args = slices.Insert(n.args, 1, omitted)
		c.addNote(n, "Switch has an odd number of arguments, so its default is taken as left out; it is stored as "+printNode(n)+". Entra refuses the short form")
	}
	return nil
}

// adviseSwitch adds a note if the source of a Switch tests whether a value is present.
func adviseSwitch(c *checker, n *node) {
	if test := n.args[0]; isPresenceTest(test) {
		c.addNote(test, `Entra advises against `+test.text+` as the source of Switch; the key "" matches an empty and an absent attribute`)
	}
}

// isPresenceTest reports whether n is a call that tests whether a value is present.
func isPresenceTest(n *node) bool {
	return n.kind == callNode && (n.text == "IsNullOrEmpty" || n.text == "IsNull" || n.text == "IsPresent")
}

// adviseIIF adds a note if the condition of an IIF tests whether a value is present.
func adviseIIF(c *checker, n *node) {
	condition := n.args[0]
	empty := func(n *node) bool { return n.kind == stringNode && n.text == "" }
	test := isPresenceTest(condition) ||
		condition.kind == compareNode && (empty(condition.args[0]) || empty(condition.args[1]))
	if test {
		c.addNote(condition, `in Entra the condition fails when its attribute is empty; there, write Switch([name], [name], "", "Other")`)
	}
}

// adviseUnique adds a note if SelectUniqueValue is inside another function.
func adviseUnique(c *checker, n *node) {
	if c.top != n {
		c.addNote(n, "Entra takes SelectUniqueValue only around the whole expression, not inside another function")
	}
}

func countArguments(n int) string {
	if n == 1 {
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
}
