package provision

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits of the sentence that describes a change in the audit trail.
const (
	maxPartsNamed     = 6   // how many parts of the mappings the sentence names
	maxPartWordsBytes = 120 // the largest length of the words for the old or the new side of a part, in bytes
)

// changeWords says in words how two schemas differ, for the audit trail and the list of versions.
// It returns "" if only metadata differs.
func changeWords(before, after *Schema) string {
	return strings.Join(ChangeWords(before, after, maxPartsNamed), "; ")
}

// ChangeWords says in words how two schemas differ. It returns a string for each part that differs.
// If more than most + 1 parts differ, it returns strings for the first parts only, as many as most
// says, and a last string that says how many more parts differ.
func ChangeWords(before, after *Schema, most int) []string {
	var parts []string
	for _, c := range Compare(before, after) {
		parts = append(parts, partChangeWords(c))
	}
	if more := len(parts) - most; more > 1 {
		return append(parts[:most:most], fmt.Sprintf("and %d more", more))
	}
	return parts
}

// andChanges appends to a sentence the words of changeWords, if there are any.
func andChanges(sentence string, before, after *Schema) string {
	if words := changeWords(before, after); words != "" {
		return sentence + " Changed: " + words + "."
	}
	return sentence
}

// partChangeWords says in words how one part of the mappings changed.
func partChangeWords(c ChangedPart) string {
	was, before := c.Before.(*Filter)
	is, after := c.After.(*Filter)
	if before || after {
		return c.Name + ": " + scopeChangeWords(was, is)
	}
	then, now := clipWords(PartWords(c.Before)), clipWords(PartWords(c.After))
	switch {
	case isPasswordRow(c.Before), isPasswordRow(c.After), then == now:
		return c.Name
	case c.Before == nil:
		return c.Name + " added: " + now
	case c.After == nil:
		return c.Name + " removed"
	}
	return fmt.Sprintf("%s: %s → %s", c.Name, cmp.Or(then, "none"), cmp.Or(now, "none"))
}

func isPasswordRow(part any) bool {
	row, ok := part.(AttributeMapping)
	return ok && isPassword(row.TargetAttributeName)
}

// scopeChangeWords says in words which scoping filters were added, changed and removed.
func scopeChangeWords(before, after *Filter) string {
	was, is := before.groups(), after.groups()
	var words []string
	for _, g := range is {
		i := slices.IndexFunc(was, func(w FilterGroup) bool { return w.Name == g.Name })
		switch {
		case i < 0:
			words = append(words, fmt.Sprintf("filter %q added: %s", g.Name, clipWords(g.Words())))
		case !sameGroup(was[i], g):
			words = append(words, fmt.Sprintf("filter %q: %s → %s", g.Name, clipWords(was[i].Words()), clipWords(g.Words())))
		}
	}
	for _, g := range was {
		if !slices.ContainsFunc(is, func(n FilterGroup) bool { return n.Name == g.Name }) {
			words = append(words, fmt.Sprintf("filter %q removed", g.Name))
		}
	}
	if len(words) == 0 {
		return "the order of the filters"
	}
	return strings.Join(words, ", ")
}

func (f *Filter) groups() []FilterGroup {
	if f == nil {
		return nil
	}
	return f.Groups
}

// PartWords describes one side of a [ChangedPart] in words. It returns "" if this side has no such
// part.
func PartWords(part any) string {
	switch part := part.(type) {
	case nil:
		return ""
	case AttributeMapping:
		return rowWords(part)
	case AttributeDefinition:
		return definitionWords(part)
	case *Filter:
		return part.Words()
	case bool:
		if part {
			return "yes"
		}
		return "no"
	default:
		return fmt.Sprint(part)
	}
}

// rowWords describes a row of a mapping in words.
func rowWords(row AttributeMapping) string {
	words := "None"
	if row.Source != nil {
		words = sourceExpression(row.Source)
	}
	if text, ok := row.Default(); ok {
		words += ", default value " + strconv.Quote(text)
	}
	if row.MatchingPriority > 0 {
		words += ", matching precedence " + strconv.Itoa(row.MatchingPriority)
	}
	switch row.FlowType {
	case "", FlowAlways:
	case FlowObjectAddOnly:
		words += ", only during object creation"
	default:
		words += ", apply " + string(row.FlowType)
	}
	return words
}

// definitionWords describes an attribute of an attribute list in words.
func definitionWords(a AttributeDefinition) string {
	words := string(a.Type)
	for _, p := range []struct {
		has   bool
		words string
	}{{a.Anchor, "primary key"}, {a.Required, "required"}, {a.Multivalued, "multi-value"}, {a.FlowNullValues, "flow null values"}} {
		if p.has {
			words += ", " + p.words
		}
	}
	for _, r := range a.ReferencedObjects {
		words += ", reference to " + r.ReferencedObjectName
		if r.ReferencedProperty != nil {
			words += "." + *r.ReferencedProperty
		}
	}
	if a.DefaultValue != nil && *a.DefaultValue != "" {
		words += ", default value " + strconv.Quote(*a.DefaultValue)
	}
	return words
}

// clipWords shortens the words for one side of a change without splitting a character.
func clipWords(words string) string {
	if len(words) <= maxPartWordsBytes {
		return words
	}
	return strings.ToValidUTF8(words[:maxPartWordsBytes], "") + "…"
}
