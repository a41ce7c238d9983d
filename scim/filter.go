package scim

// Limits of filters.
const (
	MaxFilterBytes = 4096
	MaxFilterDepth = 16 // how deep brackets may be nested
	MaxFilterTerms = 64 // the largest number of comparisons
)

// Op is a comparison operator. RFC 7644 §3.4.2.2 Table 3.
type Op string

// The operators of comparisons. The operator "pr" has its own node, Present.
const (
	Eq Op = "eq"
	Ne Op = "ne"
	Co Op = "co"
	Sw Op = "sw"
	Ew Op = "ew"
	Gt Op = "gt"
	Ge Op = "ge"
	Lt Op = "lt"
	Le Op = "le"
)

// AttrPath names an attribute in its canonical spelling.
type AttrPath struct {
	URN  string // the URN of the extension schema; "" for core and common attributes
	Name string
	Sub  string // the name of the sub-attribute; "" if there is none
}

func (p AttrPath) String() string {
	s := p.Name
	if p.URN != "" {
		s = p.URN + ":" + s
	}
	if p.Sub != "" {
		s += "." + p.Sub
	}
	return s
}

// Filter is a parsed filter expression. RFC 7644 §3.4.2.2.
type Filter struct {
	Root Node
}

// Paths returns the attributes that a node compares. An attribute inside the brackets of a
// ValuePath is returned as a sub-attribute of the attribute before the brackets.
func Paths(n Node) []AttrPath {
	switch n := n.(type) {
	case And:
		return append(Paths(n.Left), Paths(n.Right)...)
	case Or:
		return append(Paths(n.Left), Paths(n.Right)...)
	case Not:
		return Paths(n.Node)
	case Compare:
		return []AttrPath{n.Path}
	case Present:
		return []AttrPath{n.Path}
	case ValuePath:
		inner := Paths(n.Filter)
		for i := range inner {
			inner[i] = AttrPath{URN: n.Path.URN, Name: n.Path.Name, Sub: inner[i].Name}
		}
		return inner
	}
	return nil
}

// Node is one of the types And, Or, Not, Compare, Present and ValuePath.
type Node interface {
	match(v scope) bool // reports whether the node is true for a resource or an element
	// appendText appends the node as filter text. It adds parentheses if the node binds less
	// tightly than the precedence parent, that of the node around it.
	appendText(b []byte, parent int) []byte
}

// And is true when both of its sides are true.
type And struct{ Left, Right Node }

// Or is true when at least one of its sides is true.
type Or struct{ Left, Right Node }

// Not is true when its node is false.
type Not struct{ Node Node }

// Compare is the expression "path op value". If the filter names a complex attribute without a
// sub-attribute, Path.Sub is "value". Inside a ValuePath, the path is only the name of a
// sub-attribute.
type Compare struct {
	Path  AttrPath
	Op    Op
	Value any        // the right side: string (also for times and references), bool, int64, float64 or nil
	Attr  *Attribute // the compared attribute; nil if the filter was parsed without a resource type

	operand operand // Value, prepared for matching
}

// Present is the expression "path pr". It is true if the attribute has a value.
type Present struct {
	Path AttrPath
	Attr *Attribute
}

// ValuePath is the expression "path[filter]". It is true if at least one value of the complex
// attribute satisfies the whole filter.
type ValuePath struct {
	Path   AttrPath
	Attr   *Attribute
	Filter Node
}
