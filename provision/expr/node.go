package expr

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Node is Microsoft Graph's attributeMappingSource: an expression as a tree, each part with its text. Keys name the
// parameters; an argument that is not given has no parameter.
type Node struct {
	Expression string          `json:"expression"`
	Name       string          `json:"name"`
	Type       Type            `json:"type"`
	Parameters []NodeParameter `json:"parameters"`
}

// NodeParameter is one argument of a function in a tree. A key repeats for parameters that repeat.
type NodeParameter struct {
	Key   string `json:"key"`
	Value *Node  `json:"value"`
}

// MarshalJSON writes the members in Graph's form: without parameters an empty list, never null.
func (n Node) MarshalJSON() ([]byte, error) {
	type plain Node
	if n.Parameters == nil {
		n.Parameters = []NodeParameter{}
	}
	return json.Marshal(plain(n))
}

// Source is the expression as Graph's tree, with the normal form as its text. FromSource reads it back to the same
// expression.
func (e *Expr) Source() *Node {
	n := e.root.tree()
	n.Expression = e.print
	return n
}

func (n *node) sourceType() Type {
	switch n.kind {
	case attributeNode:
		return TypeAttribute
	case callNode, compareNode, concatNode:
		return TypeFunction
	default:
		return TypeConstant
	}
}

// tree makes the part's tree. A number becomes the string of its digits, as Graph has it; comparisons and & have no form of
// their own there and become functions named by their operator.
func (n *node) tree() *Node {
	out := &Node{Name: n.text, Type: n.sourceType(), Expression: printNode(n), Parameters: []NodeParameter{}}
	if n.kind == numberNode {
		out.Expression = quote(n.text)
	}
	if n.kind == concatNode {
		out.Name = "&"
	}
	for i, arg := range n.args {
		if arg.kind != emptyNode {
			out.Parameters = append(out.Parameters, NodeParameter{Key: n.key(i), Value: arg.tree()})
		}
	}
	return out
}

// key is the name of argument i in a tree.
func (n *node) key(i int) string {
	switch {
	case n.kind == compareNode && i == 0:
		return "left"
	case n.kind == compareNode:
		return "right"
	case n.kind == concatNode:
		return "source"
	default:
		return n.fn.parameter(i).key()
	}
}

// FromSource reads a tree. Its text is used if there are no parameters or if both agree, else the parameters decide.
// For an attribute or a constant, name and type are enough.
func FromSource(n *Node) (*Expr, error) {
	if n == nil {
		return nil, fmt.Errorf("the source is missing: write an attribute, a constant or a function")
	}
	if n.Expression != "" {
		e, err := Parse(n.Expression)
		switch {
		case err == nil && sameTree(e.root.tree(), n):
			return e, nil
		case len(n.Parameters) == 0 && err == nil && strings.EqualFold(string(e.Type()), string(n.Type)):
			return e, nil
		case len(n.Parameters) == 0 && (strings.EqualFold(string(n.Type), string(TypeFunction)) || n.Name == ""):
			return e, err
		}
	}
	root, err := n.node(0)
	if err != nil {
		return nil, err
	}
	return Parse(printNode(root))
}

// sameTree compares what two trees say, not how their texts are written.
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

// node turns a tree into an unchecked expression.
func (n *Node) node(depth int) (*node, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("the source is nested more than %d deep: simplify it", MaxDepth)
	}
	switch {
	case strings.EqualFold(string(n.Type), string(TypeAttribute)):
		return &node{kind: attributeNode, text: n.Name}, nil
	case strings.EqualFold(string(n.Type), string(TypeConstant)):
		return n.constant(depth)
	case strings.EqualFold(string(n.Type), string(TypeFunction)):
		return n.function(depth)
	default:
		return nil, fmt.Errorf("the source %q has the type %q: write Attribute, Constant or Function", n.Name, n.Type)
	}
}

func (n *Node) constant(depth int) (*node, error) {
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
	if parsed.sourceType() != TypeConstant {
		return nil, fmt.Errorf("the constant has the expression %s: write it between quotation marks", n.Expression)
	}
	return parsed, nil
}

func (n *Node) function(depth int) (*node, error) {
	args := make([]*node, len(n.Parameters))
	for i, p := range n.Parameters {
		if p.Value == nil {
			return nil, fmt.Errorf("the parameter %s of %s has no value: remove it or give it one", p.Key, n.Name)
		}
		arg, err := p.Value.node(depth + 1)
		if err != nil {
			return nil, err
		}
		args[i] = arg
	}
	switch {
	case slices.Contains(compareOps(), n.Name):
		return n.operator(compareNode, args, 2, 2)
	case n.Name == "&":
		return n.operator(concatNode, args, 2, len(args))
	}
	call := &node{kind: callNode, text: n.Name, args: args}
	fn := findFunction(n.Name)
	if fn == nil {
		return call, nil // the parser's error has a suggestion
	}
	placed, err := n.place(fn, args)
	if err != nil {
		return nil, err
	}
	call.args = placed
	return call, nil
}

func (n *Node) operator(kind nodeKind, args []*node, least, most int) (*node, error) {
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

// place puts parameters where their keys belong; those that repeat keep their order.
func (n *Node) place(fn *function, args []*node) ([]*node, error) {
	fixed := fn.fixed()
	placed := make([]*node, fixed)
	for i, p := range n.Parameters {
		at := fn.find(p.Key)
		if at >= 0 && at < fixed && placed[at] != nil {
			at = fn.findAfter(at)
		}
		switch {
		case at < 0:
			if fn.find(p.Key) >= 0 {
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
