package provision

import (
	"fmt"
	"strings"
)

// FlowTypes is the set of Target Object Actions of an object mapping, as bit flags.
type FlowTypes int

// The flow types. The pages call them Create, Update and Delete.
const (
	FlowAdd    FlowTypes = 1
	FlowUpdate FlowTypes = 2
	FlowDelete FlowTypes = 4
)

// Has reports whether all the given flags are set.
func (f FlowTypes) Has(flags FlowTypes) bool { return f&flags == flags }

// With returns f with these flags set or cleared.
func (f FlowTypes) With(flags FlowTypes, on bool) FlowTypes {
	if on {
		return f | flags
	}
	return f &^ flags
}

// String returns the flags in Graph's form: "Add,Update,Delete", or "None".
func (f FlowTypes) String() string {
	var names []string
	for _, flag := range []FlowTypes{FlowAdd, FlowUpdate, FlowDelete} {
		if f.Has(flag) {
			names = append(names, flag.name())
		}
	}
	if len(names) == 0 {
		return "None"
	}
	return strings.Join(names, ",")
}

// name returns the word for a single flow type.
func (f FlowTypes) name() string {
	switch f {
	case FlowAdd:
		return "Add"
	case FlowUpdate:
		return "Update"
	default:
		return "Delete"
	}
}

// ParseFlowTypes parses the form that String returns. It ignores spaces around the words, and case.
func ParseFlowTypes(text string) (FlowTypes, error) {
	var f FlowTypes
	for word := range strings.SplitSeq(text, ",") {
		switch strings.ToLower(strings.TrimSpace(word)) {
		case "add":
			f |= FlowAdd
		case "update":
			f |= FlowUpdate
		case "delete":
			f |= FlowDelete
		case "none", "":
		default:
			return 0, fmt.Errorf("%q is no flow type: write Add, Update and Delete, separated by commas, or None", strings.TrimSpace(word))
		}
	}
	return f, nil
}

// MarshalText writes the form that String returns.
func (f FlowTypes) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText parses the form that String returns.
func (f *FlowTypes) UnmarshalText(text []byte) error {
	parsed, err := ParseFlowTypes(string(text))
	if err != nil {
		return err
	}
	*f = parsed
	return nil
}
