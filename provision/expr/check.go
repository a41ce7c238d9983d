package expr

import (
	"fmt"
	"slices"
	"strings"
)

// checker gives calls their functions, refuses what cannot be evaluated, and brings the tree into its stored form.
type checker struct {
	text  string
	top   *node // the whole expression
	notes []Note
}

// check is for the outermost part: a comparison or a bare word is an argument, never an expression of its own.
func (c *checker) check(n *node) error {
	c.top = n
	switch n.kind {
	case compareNode:
		return c.fail(n, "a comparison is no value of its own", "write IIF("+printNode(n)+`, "True", "False")`)
	case wordNode:
		return c.fail(n, n.text+" is an argument of "+strings.Join(takers(n.text), " and ")+" only", "remove it")
	}
	return c.value(n)
}

func (c *checker) value(n *node) error {
	switch n.kind {
	case callNode:
		return c.call(n)
	case concatNode:
		c.note(n, `Entra's application mappings have no & operator; there, write Join("", …)`)
		return c.operands(n)
	case compareNode:
		return c.operands(n)
	case wordNode:
		return c.fail(n, n.text+" is an argument of "+strings.Join(takers(n.text), " and ")+" only", "remove it")
	default:
		return nil
	}
}

func (c *checker) operands(n *node) error {
	for _, arg := range n.args {
		if err := c.value(arg); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) call(n *node) error {
	n.fn = findFunction(n.text)
	if n.fn == nil {
		return c.fail(n, "there is no function "+n.text, suggestFunction(n.text))
	}
	if n.fn.arrange != nil {
		if err := n.fn.arrange(c, n); err != nil {
			return err
		}
	}
	if err := c.count(n); err != nil {
		return err
	}
	for i, arg := range n.args {
		if err := c.argument(n, n.fn.parameter(i), arg); err != nil {
			return err
		}
	}
	if n.fn.refuse != nil {
		if err := n.fn.refuse(c, n); err != nil {
			return err
		}
	}
	if n.fn.advise != nil {
		n.fn.advise(c, n)
	}
	return nil
}

func (c *checker) count(n *node) error {
	least, most := n.fn.counts()
	if len(n.args) >= least && (most < 0 || len(n.args) <= most) {
		return nil
	}
	takes := fmt.Sprintf("%d to %d arguments", least, most)
	switch {
	case most < 0:
		takes = fmt.Sprintf("at least %s", plural(least))
	case least == most:
		takes = plural(least)
	}
	return c.fail(n, fmt.Sprintf("%s takes %s and has %d", n.text, takes, len(n.args)), "write "+n.fn.Signature())
}

func (c *checker) argument(call *node, p Parameter, arg *node) error {
	switch arg.kind {
	case emptyNode:
		if p.Required {
			return c.fail(arg, fmt.Sprintf("the argument %s of %s is empty", p.Name, call.text), `write it; "" is the empty string`)
		}
		return nil
	case wordNode:
		if slices.Contains(p.Words, arg.text) {
			return nil
		}
	case compareNode:
		if !p.Condition {
			return c.fail(arg, fmt.Sprintf("the argument %s of %s cannot be a comparison", p.Name, call.text), `write a comparison only as the first argument of IIF or the argument of CBool`)
		}
	}
	if len(p.Words) > 0 {
		return c.word(call, p, arg)
	}
	if err := c.value(arg); err != nil {
		return err
	}
	if problem := mismatch(arg, p.Takes, nil); problem != "" {
		return c.fail(arg, fmt.Sprintf("the argument %s of %s %s", p.Name, call.text, problem), "write "+call.fn.Signature())
	}
	return nil
}

// word reads a bare word that stands between quotation marks, as a tree without texts has it.
func (c *checker) word(call *node, p Parameter, arg *node) error {
	if arg.kind != stringNode || !slices.Contains(p.Words, arg.text) {
		return c.fail(arg, fmt.Sprintf("the argument %s of %s is one of the words %s", p.Name, call.text, strings.Join(p.Words, ", ")), "write "+p.Words[0]+" without quotation marks")
	}
	*arg = node{kind: wordNode, at: arg.at, text: arg.text}
	return nil
}

func (c *checker) fail(n *node, message, suggestion string) *SyntaxError {
	line, column := position(c.text, n.at)
	return &SyntaxError{Offset: n.at, Line: line, Column: column, Message: message, Suggestion: suggestion}
}

func (c *checker) note(n *node, message string) {
	line, column := position(c.text, n.at)
	c.notes = append(c.notes, Note{Line: line, Column: column, Message: message})
}

// dropEmpty removes arguments that are not given where any number may be given: they contribute nothing.
func dropEmpty(first int) func(*checker, *node) error {
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

// arrangeSwitch adds the default argument that an odd number of arguments leaves out, as the guide prints it.
func arrangeSwitch(c *checker, n *node) error {
	if len(n.args) < 3 {
		return nil // the count says what is wrong
	}
	if len(n.args)%2 == 1 {
		omitted := &node{kind: emptyNode, at: n.args[1].at}
		n.args = slices.Insert(n.args, 1, omitted)
		c.note(n, "Switch has an odd number of arguments, so its default is taken as left out; it is stored as "+printNode(n)+". Entra refuses the short form")
	}
	return nil
}

func adviseSwitch(c *checker, n *node) {
	if test := n.args[0]; asksForPresence(test) {
		c.note(test, `Entra advises against `+test.text+` as the source of Switch; the key "" matches an empty and an absent attribute`)
	}
}

func asksForPresence(n *node) bool {
	return n.kind == callNode && (n.text == "IsNullOrEmpty" || n.text == "IsNull" || n.text == "IsPresent")
}

func adviseIIF(c *checker, n *node) {
	condition := n.args[0]
	empty := func(n *node) bool { return n.kind == stringNode && n.text == "" }
	test := asksForPresence(condition) ||
		condition.kind == compareNode && (empty(condition.args[0]) || empty(condition.args[1]))
	if test {
		c.note(condition, `in Entra the condition fails when its attribute is empty; there, write Switch([name], [name], "", "Other")`)
	}
}

func adviseUnique(c *checker, n *node) {
	if c.top != n {
		c.note(n, "Entra takes SelectUniqueValue only around the whole expression, not inside another function")
	}
}

func plural(n int) string {
	if n == 1 {
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
}
