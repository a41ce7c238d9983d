package expr

import (
	"slices"
	"strings"
)

// FunctionInfo describes one function. The editor's help and the documentation are made from it.
type FunctionInfo struct {
	Name       string
	Parameters []Parameter
	Documented Origin
	Yields     ValueType // AnyType if it depends on the arguments
	Summary    string    // one sentence that says what the function yields
	Details    []string
	Examples   []Example
}

// Origin says which of Microsoft's documents describes a function.
type Origin string

// The documents that describe functions.
const (
	Provisioning Origin = "application provisioning"
	CloudSync    Origin = "cloud sync"
	Graph        Origin = "Microsoft Graph"
)

// Parameter describes an argument. Parameters that repeat are the last ones and repeat together.
type Parameter struct {
	Name      string
	Key       string // the parameter's key in Graph's tree; "" means Name
	Required  bool
	Repeats   bool
	Condition bool      // may be a comparison
	Takes     ValueType // AnyType means every value, including several
	Words     []string  // the bare words that the argument may be
}

func required(name string) Parameter { return Parameter{Name: name, Required: true} }

func optional(name string) Parameter { return Parameter{Name: name} }

func (p Parameter) ofType(t ValueType) Parameter {
	p.Takes = t
	return p
}

// Example is a use of a function that the tests evaluate.
type Example struct {
	Expression string
	Given      map[string]string // attributes that are present
	Taken      string            // a value that the target already has
	Result     string            // the result's text
	Several    bool              // the result is multi-valued
	Null       bool              // the result is null
	NoFlow     bool              // the target attribute is left out
	Fails      string            // there is no result, but this error
}

// attributesOf returns the attributes of an example, from alternating names and values.
func attributesOf(pairs ...string) map[string]string {
	attributes := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		attributes[pairs[i]] = pairs[i+1]
	}
	return attributes
}

// Signature returns the call as documentation writes it: ? marks arguments that may be left out, …
// those that repeat.
func (f FunctionInfo) Signature() string {
	var parts []string
	repeats := false
	for _, p := range f.Parameters {
		name := p.Name
		if !p.Required && !p.Repeats {
			name += "?"
		}
		repeats = repeats || p.Repeats
		parts = append(parts, name)
	}
	if repeats {
		parts = append(parts, "…")
	}
	return f.Name + "(" + strings.Join(parts, ", ") + ")"
}

func (p Parameter) key() string {
	if p.Key == "" {
		return p.Name
	}
	return p.Key
}

// function is a row of the table.
type function struct {
	FunctionInfo
	eval       func(*node, *evaluation) (Value, error)
	arrange    func(*checker, *node) error // changes the arguments into their stored form before they are checked; may be nil
	refuse     func(*checker, *node) error // refuses arguments that have passed the table's checks; may be nil
	advise     func(*checker, *node)       // writes notes afterwards; may be nil
	passes     func(count int) []int       // the positions of the arguments, of count in all, that it may return unchanged; nil means none
	eachValue  bool                        // whether it works on each value of its first argument
	draws      bool                        // whether its value is made once, when an account is created
	readsClock bool                        // whether its value depends on the time
}

// Functions returns all documented functions, ordered by name.
func Functions() []FunctionInfo {
	infos := make([]FunctionInfo, len(functions))
	for i, f := range functions {
		infos[i] = f.FunctionInfo
	}
	slices.SortFunc(infos, func(a, b FunctionInfo) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return infos
}

// fixedCount returns how many parameters do not repeat.
func (f *function) fixedCount() int {
	for i, p := range f.Parameters {
		if p.Repeats {
			return i
		}
	}
	return len(f.Parameters)
}

// parameterAt returns the parameter that argument i belongs to. i counts from 0.
func (f *function) parameterAt(i int) Parameter {
	fixed := f.fixedCount()
	if i < fixed {
		return f.Parameters[i]
	}
	return f.Parameters[fixed+(i-fixed)%(len(f.Parameters)-fixed)]
}

// argumentCounts returns how many arguments a call may have. most is -1 if there is no limit.
func (f *function) argumentCounts() (least, most int) {
	for i, p := range f.Parameters {
		if p.Required {
			least = i + 1
		}
	}
	if f.fixedCount() < len(f.Parameters) {
		return least, -1
	}
	return least, len(f.Parameters)
}

// findKey returns the index of the parameter that has this key when an expression is written as a
// tree, as Graph's "parameters" are, or -1. Case is ignored. "source" also names the first parameter
// of every function.
func (f *function) findKey(key string) int {
	for i, p := range f.Parameters {
		if strings.EqualFold(p.key(), key) {
			return i
		}
	}
	if strings.EqualFold(key, "source") && len(f.Parameters) > 0 {
		return 0
	}
	return -1
}

// findKeyAfter returns the position of the next parameter with the same key as parameter i, -1 if
// there is none.
func (f *function) findKeyAfter(i int) int {
	for j := i + 1; j < len(f.Parameters); j++ {
		if f.Parameters[j].key() == f.Parameters[i].key() {
			return j
		}
	}
	return -1
}

func (f *function) keys() []string {
	var keys []string
	for _, p := range f.Parameters {
		if !slices.Contains(keys, p.key()) {
			keys = append(keys, p.key())
		}
	}
	return keys
}

func findFunction(name string) *function { return functionsByName[name] }

func compareOps() []string { return []string{"<>", ">=", "<=", "=", ">", "<"} }

// bareWords returns the bare words of the language.
func bareWords() []string {
	return []string{"vbTextCompare", "vbBinaryCompare", "Unicode", "ASCII", "UTF8"}
}

func isWord(name string) bool { return slices.Contains(bareWords(), name) }

// functionsTaking returns the names of the functions that take this bare word.
func functionsTaking(word string) []string {
	var names []string
	for _, f := range functions {
		for _, p := range f.Parameters {
			if slices.Contains(p.Words, word) {
				names = append(names, f.Name)
			}
		}
	}
	return names
}

// suggestFunction returns the function that an unknown name probably means.
func suggestFunction(name string) string {
	best, distance := "", 3
	for _, f := range functions {
		if strings.EqualFold(f.Name, name) {
			return "case counts: write " + f.Name
		}
		if d := editDistance(strings.ToLower(f.Name), strings.ToLower(name)); d < distance && d*2 < len(name) {
			best, distance = f.Name, d
		}
	}
	if other := equivalentName(name); other != "" {
		return "write " + other
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "docs/expressions.md lists the functions"
}

// equivalentName returns the name that this language has for a function of another language.
func equivalentName(name string) string {
	switch strings.ToLower(name) {
	case "if", "iff":
		return "IIF"
	case "concat", "concatenate":
		return "Join, with the separator first"
	case "lower", "lcase":
		return "ToLower"
	case "upper", "ucase":
		return "ToUpper"
	case "and":
		return "one IIF in the true branch of another"
	case "or":
		return "one IIF in the false branch of another"
	default:
		return ""
	}
}

// editDistance returns how many characters must be inserted, deleted or replaced to get from a to
// b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
