package expr

import (
	"slices"
	"strings"
)

// FunctionInfo describes one function. The editor's help and the documentation are generated from
// it.
type FunctionInfo struct {
	Name       string
	Parameters []Parameter
	Documented Origin
	Yields     ValueType // type of the result; AnyType if it depends on the arguments
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

// Parameter describes one parameter of a function. Parameters that repeat are the last ones, and
// they repeat together.
type Parameter struct {
	Name      string
	Key       string // the parameter's key in Graph's tree; "" means that Name is the key
	Required  bool
	Repeats   bool
	Condition bool      // may be a comparison
	Takes     ValueType // its type; AnyType allows every value, also several
	Words     []string  // the bare words that the argument may be
}

func required(name string) Parameter { return Parameter{Name: name, Required: true} }

func optional(name string) Parameter { return Parameter{Name: name} }

func (p Parameter) ofType(t ValueType) Parameter {
	p.Takes = t
	return p
}

// Example is a call of a function with its result. The tests evaluate it.
type Example struct {
	Expression string
	Given      map[string]string // values of the attributes that are present
	Taken      string            // a value that an account of the target already has
	Result     string            // the result as a string
	Several    bool              // the result is multi-valued
	Null       bool              // the result is null
	NoFlow     bool              // the result is that the target attribute is left out
	Fails      string            // the error, if the call fails
}

// attributesOf returns a map of attributes from alternating names and values.
func attributesOf(pairs ...string) map[string]string {
	attributes := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		attributes[pairs[i]] = pairs[i+1]
	}
	return attributes
}

// Signature returns the call in the form of the documentation. ? marks arguments that may be left
// out, and … marks arguments that repeat.
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

// function is a row in the table of functions.
type function struct {
	FunctionInfo
	eval       func(*node, *evaluation) (Value, error)
	arrange    func(*checker, *node) error // changes the arguments to their stored form before the checks; may be nil
	refuse     func(*checker, *node) error // refuses arguments that have passed the checks of the table; may be nil
	advise     func(*checker, *node)       // adds notes after the checks; may be nil
	passes     func(count int) []int       // positions of the arguments that the function may return unchanged, if it has count arguments; nil means none
	eachValue  bool                        // whether the function handles each value of its first argument separately
	draws      bool                        // whether its value is generated once, when an account is created
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

// parameterAt returns the parameter for argument i. i counts from 0.
func (f *function) parameterAt(i int) Parameter {
	fixed := f.fixedCount()
	if i < fixed {
		return f.Parameters[i]
	}
	return f.Parameters[fixed+(i-fixed)%(len(f.Parameters)-fixed)]
}

// argumentCounts returns the least and the most arguments that a call may have. most is -1 if there
// is no limit.
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

// findKey returns the index of the parameter with this key in Graph's tree, or -1. It ignores case.
// "source" is also a key for the first parameter of every function.
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

// findKeyAfter returns the index of the next parameter with the same key as parameter i, or -1 if
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

// bareWords returns the words that may stand without quotation marks.
func bareWords() []string {
	return []string{"vbTextCompare", "vbBinaryCompare", "Unicode", "ASCII", "UTF8"}
}

func isWord(name string) bool { return slices.Contains(bareWords(), name) }

// functionsTaking returns the names of the functions that accept this bare word.
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

// equivalentName returns the name of the function here that does the same as one of another
// language.
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

// editDistance returns how many characters to insert, delete or replace to change a into b.
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
