package expr

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Node is Microsoft Graph's attributeMappingSource: an expression as a tree. Each part of the tree
// also has its expression as a string. Each argument has a key that names its parameter. An
// argument that is left out has no entry in Parameters.
type Node struct {
	Expression string          `json:"expression"`
	Name       string          `json:"name"`
	Type       Type            `json:"type"`
	Parameters []NodeParameter `json:"parameters"`
}

// NodeParameter is one argument of a function in a tree. Arguments of a repeated parameter have the
// same key.
type NodeParameter struct {
	Key   string `json:"key"`
	Value *Node  `json:"value"`
}

// MarshalJSON returns the node in Graph's form, in which a node without parameters has an empty
// list instead of null.
func (n Node) MarshalJSON() ([]byte, error) {
	type plain Node
	if n.Parameters == nil {
		n.Parameters = []NodeParameter{}
	}
	return json.Marshal(plain(n))
}

// Source returns the expression as Graph's tree, with strings in the normal form. FromSource
// converts the tree back to the same expression.
func (e *Expr) Source() *Node {
	n := e.root.toTree()
	n.Expression = e.printed
	return n
}

// graphType returns the type that Graph's form gives the node.
func (n *node) graphType() Type {
	switch n.kind {
	case attributeNode:
		return TypeAttribute
	case callNode, compareNode, concatNode:
		return TypeFunction
	default:
		return TypeConstant
	}
}

// toTree returns Graph's tree of a part. As in Graph, a number becomes a string of its digits.
// Graph has no form for comparisons and &, so they become functions whose name is the operator.
func (n *node) toTree() *Node {
	out := &Node{Name: n.text, Type: n.graphType(), Expression: printNode(n), Parameters: []NodeParameter{}}
	if n.kind == numberNode {
		out.Expression = quote(n.text)
	}
	if n.kind == concatNode {
		out.Name = "&"
	}
	for i, arg := range n.args {
		if arg.kind != emptyNode {
			out.Parameters = append(out.Parameters, NodeParameter{Key: n.keyOf(i), Value: arg.toTree()})
		}
	}
	return out
}

// keyOf returns the key of argument i in Graph's tree.
func (n *node) keyOf(i int) string {
	switch {
	case n.kind == compareNode && i == 0:
		return "left"
	case n.kind == compareNode:
		return "right"
	case n.kind == concatNode:
		return "source"
	default:
		return n.fn.parameterAt(i).key()
	}
}

// FromSource parses Graph's tree. It parses the string of the tree if there are no parameters, or
// if string and parameters are the same expression. Otherwise it ignores the string and uses the
// parameters. An attribute or a constant may have only a name and a type.
func FromSource(n *Node) (*Expr, error) {
	if n == nil {
		return nil, fmt.Errorf("the source is missing: write an attribute, a constant or a function")
	}
	if n.Expression != "" {
		e, err := Parse(n.Expression)
		switch {
		case err == nil && sameTree(e.root.toTree(), n):
			return e, nil
		case len(n.Parameters) == 0 && err == nil && strings.EqualFold(string(e.Type()), string(n.Type)):
			return e, nil
		case len(n.Parameters) == 0 && (strings.EqualFold(string(n.Type), string(TypeFunction)) || n.Name == ""):
			return e, err
		}
	}
	root, err := n.toNode(0)
	if err != nil {
		return nil, err
	}
	return Parse(printNode(root))
}

// sameTree reports whether two trees are the same expression. It does not compare the field
// Expression.
func sameTree(a, b *Node) bool {
	if b == nil || !strings.EqualFold(string(a.Type), string(b.Type)) || a.Name != b.Name || len(a.Parameters) != len(b.Parameters) {
		return false
	}
	for i, p := range a.Parameters {
		if !strings.EqualFold(p.Key, b.Parameters[i].Key) || !sameTree(p.Value, b.Parameters[i].Value) {
			return false
		}
	}
	return true
}

// toNode converts Graph's tree to a node that has not been checked.
func (n *Node) toNode(depth int) (*node, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("the source is nested more than %d deep: simplify it", MaxDepth)
	}
	switch {
	case strings.EqualFold(string(n.Type), string(TypeAttribute)):
		return &node{kind: attributeNode, text: n.Name}, nil
	case strings.EqualFold(string(n.Type), string(TypeConstant)):
		return n.constantNode(depth)
	case strings.EqualFold(string(n.Type), string(TypeFunction)):
		return n.functionNode(depth)
	default:
		return nil, fmt.Errorf("the source %q has the type %q: write Attribute, Constant or Function", n.Name, n.Type)
	}
}

func (n *Node) constantNode(depth int) (*node, error) {
	if depth > 0 && isWord(n.Name) && n.Expression == n.Name {
		return &node{kind: wordNode, text: n.Name}, nil
	}
	if n.Name != "" || n.Expression == "" {
		return textNode(0, n.Name), nil
	}
	parsed, err := parse(n.Expression)
	if err != nil {
		return nil, err
	}
	if parsed.graphType() != TypeConstant {
		return nil, fmt.Errorf("the constant has the expression %s: write it between quotation marks", n.Expression)
	}
	return parsed, nil
}

func (n *Node) functionNode(depth int) (*node, error) {
	args := make([]*node, len(n.Parameters))
	for i, p := range n.Parameters {
		if p.Value == nil {
			return nil, fmt.Errorf("the parameter %s of %s has no value: remove it or give it one", p.Key, n.Name)
		}
		arg, err := p.Value.toNode(depth + 1)
		if err != nil {
			return nil, err
		}
		args[i] = arg
	}
	switch {
	case slices.Contains(compareOperators(), n.Name):
		return n.operatorNode(compareNode, args, 2, 2)
	case n.Name == "&":
		return n.operatorNode(concatNode, args, 2, len(args))
	}
	call := &node{kind: callNode, text: n.Name, args: args}
	fn := findFunction(n.Name)
	if fn == nil {
		return call, nil // the checker returns the error for this name, with a suggestion
	}
	placed, err := n.placeParameters(fn, args)
	if err != nil {
		return nil, err
	}
	call.args = placed
	return call, nil
}

// operatorNode returns the node for an operator with these arguments. least and most are how many
// arguments it takes.
func (n *Node) operatorNode(kind nodeKind, args []*node, least, most int) (*node, error) {
	if len(args) < least || len(args) > most {
		return nil, fmt.Errorf("the operator %s has %d parameters: write two", n.Name, len(args))
	}
	for _, arg := range args {
		if arg.kind == compareNode || arg.kind == concatNode && kind == concatNode {
			return nil, fmt.Errorf("the operator %s has another operator inside: nest function calls instead", n.Name)
		}
	}
	return &node{kind: kind, text: n.Name, args: args}, nil
}

// placeParameters returns the arguments in the order of the function's parameters, according to
// their keys. A missing argument becomes an empty node. Arguments of repeated parameters keep their
// order.
func (n *Node) placeParameters(fn *function, args []*node) ([]*node, error) {
	fixed := fn.fixedCount()
	placed := make([]*node, fixed)
	for i, p := range n.Parameters {
		at := fn.findKey(p.Key)
		if at >= 0 && at < fixed && placed[at] != nil {
			at = fn.findKeyAfter(at)
		}
		switch {
		case at < 0:
			if fn.findKey(p.Key) >= 0 {
				return nil, fmt.Errorf("%s has the parameter %q twice: remove one", fn.Name, p.Key)
			}
			return nil, fmt.Errorf("%s has no parameter %q: its parameters are %s", fn.Name, p.Key, strings.Join(fn.keys(), ", "))
		case at >= fixed:
			placed = append(placed, args[i])
		default:
			placed[at] = args[i]
		}
	}
	if group := len(fn.Parameters) - fixed; group > 0 && (len(placed)-fixed)%group != 0 {
		return nil, fmt.Errorf("%s has %d values of %s: write them in pairs, and a default as defaultValue", fn.Name, len(placed)-fixed, fn.Parameters[fixed].key())
	}
	last := 0
	for i, arg := range placed {
		if arg == nil {
			placed[i] = &node{kind: emptyNode}
			continue
		}
		last = i + 1
	}
	return placed[:last], nil
}
