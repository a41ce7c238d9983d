package expr

import (
	"fmt"
	"strings"
)

// A Node contains its expression twice: as a string, and as a tree of a name, a type and
// parameters. Disagreement is a part of a Node whose string and tree are different expressions.
type Disagreement struct {
	Path string // the path of the part inside the Node, such as "/parameters/0/value"; "" means the whole Node
	Text string // the expression in the part's string
	Tree string // the expression in the part's name, type and parameters
}

func (d Disagreement) String() string {
	return fmt.Sprintf("says %s in expression, and %s in name and parameters: make them the same, or leave expression empty", truncate(d.Text, 300), truncate(d.Tree, 300))
}

// Disagreements returns the parts of a Node whose string and tree differ, in the order of the tree.
// It does not search inside such a part. A part that has only a string or only a tree cannot
// disagree. Disagreements ignores a tree that cannot be read; [FromSource] returns the error for
// it.
func (n *Node) Disagreements() []Disagreement {
	var found []Disagreement
	n.findDisagreements("", 0, &found)
	return found
}

// findDisagreements adds the disagreements in n and its parameters to found. path is the place of n
// in the JSON document.
func (n *Node) findDisagreements(path string, depth int, found *[]Disagreement) {
	if n == nil || depth > MaxDepth {
		return
	}
	if d, differs := n.compareText(depth); differs {
		d.Path = path
		*found = append(*found, d)
		return
	}
	for i, p := range n.Parameters {
		p.Value.findDisagreements(fmt.Sprintf("%s/parameters/%d/value", path, i), depth+1, found)
	}
}

// compareText compares the string of one part with its tree. It returns true if they differ.
func (n *Node) compareText(depth int) (Disagreement, bool) {
	isFunction := strings.EqualFold(string(n.Type), string(TypeFunction))
	switch {
	case n.Expression == "" || n.Name == "" && len(n.Parameters) == 0:
		return Disagreement{}, false
	case strings.EqualFold(string(n.Type), string(TypeConstant)) && n.Expression == n.Name:
		return Disagreement{}, false // the string is a constant without quotation marks
	}
	text, textErr := parsePart(n.Expression)
	if isFunction && len(n.Parameters) == 0 {
		if n.Expression == n.Name || textErr == nil && text.toTree().Name == n.Name && text.graphType() == TypeFunction {
			return Disagreement{}, false // the tree has no arguments, so only the string says what they are
		}
		return Disagreement{Text: n.textMeaning(text, textErr), Tree: n.Name + "()"}, true
	}
	tree, err := n.toNode(depth)
	if err != nil {
		return Disagreement{}, false
	}
	if tree, err = parsePart(printNode(tree)); err != nil {
		return Disagreement{}, false
	}
	if textErr == nil && sameTree(text.toTree(), tree.toTree()) {
		return Disagreement{}, false
	}
	return Disagreement{Text: n.textMeaning(text, textErr), Tree: printNode(tree)}, true
}

// textMeaning returns the expression in a part's string in its normal form, for messages. text and
// err are the result of parsing the string.
func (n *Node) textMeaning(text *node, err error) string {
	if err != nil {
		return n.Expression + " (which cannot be read)"
	}
	return printNode(text)
}

// parsePart parses and checks an expression or an argument. An argument may also be a comparison or
// a bare word.
func parsePart(text string) (*node, error) {
	root, err := parse(text)
	if err != nil {
		return nil, err
	}
	c := checker{text: text, top: root}
	if root.kind == wordNode {
		return root, nil
	}
	return root, c.checkValue(root)
}
