package expr

import (
	"slices"
	"strings"
)

// FunctionInfo describes one function: the editor's help and the documentation are made from it.
type FunctionInfo struct {
	Name       string
	Parameters []Parameter
	Documented Origin
	Yields     ValueType // AnyType if it depends on the arguments
	Summary    string    // one sentence: what it yields
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
	Key       string // in Graph's tree; "" means Name
	Required  bool
	Repeats   bool
	Condition bool      // may be a comparison
	Takes     ValueType // AnyType: everything, several values too
	Words     []string  // bare words it may be
}

func need(name string) Parameter { return Parameter{Name: name, Required: true} }

func may(name string) Parameter { return Parameter{Name: name} }

func (p Parameter) takes(t ValueType) Parameter {
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

// given makes the attributes of an example, from names and values in turn.
func given(pairs ...string) map[string]string {
	attributes := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		attributes[pairs[i]] = pairs[i+1]
	}
	return attributes
}

// Signature is the call as documentation writes it: ? marks what may be left out, … what repeats.
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
	eval    func(*node, *run) (Value, error)
	arrange func(*checker, *node) error // changes the arguments into their stored form before they are checked; may be nil
	refuse  func(*checker, *node) error // refuses arguments that have passed the table's checks; may be nil
	advise  func(*checker, *node)       // writes notes afterwards; may be nil
	passes  func(count int) []int       // which of so many arguments it may yield unchanged; nil: none
	each    bool                        // it changes each value of its first argument
	draws   bool                        // its value is drawn when an account is created
	clock   bool                        // its value depends on the time
}

// Functions are all documented functions by name.
func Functions() []FunctionInfo {
	infos := make([]FunctionInfo, len(functions))
	for i, f := range functions {
		infos[i] = f.FunctionInfo
	}
	slices.SortFunc(infos, func(a, b FunctionInfo) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return infos
}

// fixed is how many parameters do not repeat.
func (f *function) fixed() int {
	for i, p := range f.Parameters {
		if p.Repeats {
			return i
		}
	}
	return len(f.Parameters)
}

// parameter describes argument i, counted from 0.
func (f *function) parameter(i int) Parameter {
	fixed := f.fixed()
	if i < fixed {
		return f.Parameters[i]
	}
	return f.Parameters[fixed+(i-fixed)%(len(f.Parameters)-fixed)]
}

// counts is how many arguments a call has; most is -1 for any number.
func (f *function) counts() (least, most int) {
	for i, p := range f.Parameters {
		if p.Required {
			least = i + 1
		}
	}
	if f.fixed() < len(f.Parameters) {
		return least, -1
	}
	return least, len(f.Parameters)
}

// find is the position of the parameter with that key in a tree, -1 if there is none. Case does not count there,
// and source is understood as the first parameter of every function.
func (f *function) find(key string) int {
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

// findAfter is the position of the next parameter with the key of the one at position i, -1 if there is none.
func (f *function) findAfter(i int) int {
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

// words are the bare words of the language.
func words() []string {
	return []string{"vbTextCompare", "vbBinaryCompare", "Unicode", "ASCII", "UTF8"}
}

func isWord(name string) bool { return slices.Contains(words(), name) }

// takers are the functions that take a bare word.
func takers(word string) []string {
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

// suggestFunction finds what an unknown name was meant to be.
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
	if other := otherDialect(name); other != "" {
		return "write " + other
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "docs/expressions.md lists the functions"
}

// otherDialect is what the function of another language is called here.
func otherDialect(name string) string {
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

// editDistance counts the characters to insert, delete or replace.
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
