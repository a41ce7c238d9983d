package expr

import (
	"slices"
	"strings"
)

// FunctionInfo describes one function. The help in the editor and the documentation are generated
// from it.
type FunctionInfo struct {
	Name         string
	Parameters   []Parameter
	DocumentedIn Origin
	Yields       ValueType // the type of the result; AnyType if it depends on the arguments
	Summary      string    // one sentence about the result of the function
	Details      []string  // further paragraphs, in Markdown
	Examples     []Example
}

// Origin is the part of Microsoft's documentation that describes a function.
type Origin string

// The parts of Microsoft's documentation that describe functions.
const (
	Provisioning Origin = "application provisioning"
	CloudSync    Origin = "cloud sync"
	Graph        Origin = "Microsoft Graph"
)

// Parameter describes one parameter of a function. Parameters that repeat are the last parameters,
// and they repeat as a group.
type Parameter struct {
	Name            string
	Key             string // the parameter's key in Graph's tree; "" means that Name is the key
	Required        bool
	Repeats         bool
	MayBeComparison bool      // whether the argument may be a comparison
	Takes           ValueType // the type of the argument; AnyType allows every value, even several values
	Words           []string  // the bare words that the argument may be; empty if it is not a bare word
}

func required(name string) Parameter { return Parameter{Name: name, Required: true} }

func optional(name string) Parameter { return Parameter{Name: name} }

func (p Parameter) ofType(t ValueType) Parameter {
	p.Takes = t
	return p
}

// Example is a call of a function with its result. A test evaluates all examples.
type Example struct {
	Expression     string
	Given          map[string]string // the values of the attributes that the source object has
	Taken          string            // a value that an account of the target has already; "" if there is none
	Result         string            // the result as a string
	ResultIsList   bool              // whether the result is multi-valued
	ResultIsNull   bool              // whether the result is null
	ResultIsNoFlow bool              // whether the result is that the target attribute is left out
	ErrorText      string            // a part of the error message if the call fails; otherwise ""
}

// attributesOf makes a map of attributes from a list of alternating names and values.
func attributesOf(pairs ...string) map[string]string {
	attributes := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		attributes[pairs[i]] = pairs[i+1]
	}
	return attributes
}

// Signature returns the form of a call with the names of the parameters. ? marks arguments that may
// be left out, and … means that the last arguments may be repeated.
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

// key returns the parameter's key in Graph's tree.
func (p Parameter) key() string {
	if p.Key == "" {
		return p.Name
	}
	return p.Key
}

// function is an entry in the table of functions.
type function struct {
	FunctionInfo
	eval               func(*node, *evaluation) (Value, error)
	arrangeArguments   func(*checker, *node) error // changes the arguments of a call to their stored form before the checks; may be nil
	checkArguments     func(*checker, *node) error // returns an error for wrong arguments that the general checks do not find; may be nil
	addNotes           func(*checker, *node)       // adds notes about a call that has passed the checks; may be nil
	passedArguments    func(count int) []int       // returns the indexes of the arguments whose value may become the result, for a call with count arguments; nil if no argument can
	appliesToEachValue bool                        // whether the function handles each value of its first argument separately
	drawsValue         bool                        // whether the value is drawn: generated once, when an account is created
	readsClock         bool                        // whether the value depends on the time
}

// Functions returns all functions, sorted by name.
func Functions() []FunctionInfo {
	infos := make([]FunctionInfo, len(functions))
	for i, f := range functions {
		infos[i] = f.FunctionInfo
	}
	slices.SortFunc(infos, func(a, b FunctionInfo) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return infos
}

// fixedCount returns how many parameters of the function do not repeat.
func (f *function) fixedCount() int {
	for i, p := range f.Parameters {
		if p.Repeats {
			return i
		}
	}
	return len(f.Parameters)
}

// parameterAt returns the parameter to which argument i of a call belongs. The first argument is 0.
func (f *function) parameterAt(i int) Parameter {
	fixed := f.fixedCount()
	if i < fixed {
		return f.Parameters[i]
	}
	return f.Parameters[fixed+(i-fixed)%(len(f.Parameters)-fixed)]
}

// argumentCounts returns how many arguments a call must have at least and may have at most. most is
// -1 if there is no limit.
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

// findKey returns the index of the parameter with this key in Graph's tree, in any case, or -1 if
// there is none. "source" is also a key of the first parameter of every function.
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

// keys returns the different keys of the parameters, in their order.
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

func compareOperators() []string { return []string{"<>", ">=", "<=", "=", ">", "<"} }

// bareWords returns the words that an argument may be without quotation marks.
func bareWords() []string {
	return []string{"vbTextCompare", "vbBinaryCompare", "Unicode", "ASCII", "UTF8"}
}

// isWord reports whether name is a bare word.
func isWord(name string) bool { return slices.Contains(bareWords(), name) }

// functionsTaking returns the names of the functions that accept this bare word as an argument.
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

// suggestFunction returns the suggestion for an unknown function name. It names the function that
// is probably meant, if there is one.
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
	if other := equivalentFunction(name); other != "" {
		return "write " + other
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "docs/expressions.md lists the functions"
}

// equivalentFunction returns the function to use in place of a function that exists only in other
// languages, such as IF. It returns "" for other names.
func equivalentFunction(name string) string {
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

// editDistance returns how many bytes must be inserted, deleted or replaced to change a into b.
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
