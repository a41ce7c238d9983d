package provision

import (
	"bytes"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
)

// changedSettings returns the settings that differ between two versions of a job, with both values,
// for the audit trail. For the Secret Token it returns no values, only that it changed.
func changedSettings(before, after Job) []event.Change {
	var changes []event.Change
	text := func(name, was, is string) {
		if was != is {
			changes = append(changes, event.Changed(name, nilIfEmpty(was), nilIfEmpty(is)))
		}
	}
	text("Provisioning Mode", string(before.Mode), string(after.Mode))
	text("Tenant URL", before.TenantURL, after.TenantURL)
	if !bytes.Equal(before.SealedSecret, after.SealedSecret) {
		changes = append(changes, event.SecretChanged("Secret Token"))
	}
	text("Scope", string(before.Scope), string(after.Scope))
	text("Re-hire", string(before.Rehire), string(after.Rehire))
	text("Swapped names", string(before.Swaps), string(after.Swaps))
	text(fieldRules, before.Rules.Words(), after.Rules.Words())
	text(fieldThreshold, strconv.Itoa(before.DeleteThreshold), strconv.Itoa(after.DeleteThreshold))
	text("Nested groups", onOrOff(before.Nested), onOrOff(after.Nested))
	text(fieldSecondApproval, onOrOff(before.SecondApproval), onOrOff(after.SecondApproval))
	text("Provisioning Status", string(before.Status), string(after.Status))
	if before.Schema != after.Schema {
		changes = append(changes, changedMappings(before.Schema, after.Schema)...)
	}
	return changes
}

// changedMappings compares the mappings of two schemas part by part, for the audit trail.
func changedMappings(before, after *Schema) []event.Change {
	parts := Compare(before, after)
	changes := make([]event.Change, len(parts))
	for i, p := range parts {
		changes[i] = event.Changed(p.Name, p.Before, p.After)
	}
	return changes
}

// ChangedPart is a part of the mappings that differs: a row, the scoping filters, a setting of a
// mapping, or an attribute of an attribute list. Before or After is nil if that schema has no such
// part.
type ChangedPart struct {
	Name   string `json:"name"`
	Before any    `json:"before,omitempty"`
	After  any    `json:"after,omitempty"`
}

// Compare returns the differences between two schemas, part by part.
func Compare(before, after *Schema) []ChangedPart {
	was, order := mappingParts(before)
	is, more := mappingParts(after)
	for _, name := range more {
		if _, known := was[name]; !known {
			order = append(order, name)
		}
	}
	changes := movedRows(before, after)
	for _, name := range order {
		if !reflect.DeepEqual(was[name], is[name]) {
			changes = append(changes, ChangedPart{name, was[name], is[name]})
		}
	}
	return changes
}

// mappingParts returns every part of a schema that a person can change, by the part's name. order
// lists the names in the order of the schema.
func mappingParts(s *Schema) (parts map[string]any, order []string) {
	parts = map[string]any{}
	add := func(name string, value any) {
		parts[name], order = value, append(order, name)
	}
	if s == nil {
		return parts, nil
	}
	for _, m := range s.ObjectMappings() {
		add(m.Name+": Enabled", m.Enabled)
		add(m.Name+": Target Object Actions", m.FlowTypes.String())
		add(m.Name+": Exact case", strings.Join(s.ExactCase(m), ", "))
		if m.Scope != nil {
			add(m.Name+": Source Object Scope", m.Scope)
		}
		for _, row := range m.AttributeMappings {
			add(m.Name+": "+row.TargetAttributeName, row)
		}
	}
	for _, d := range s.Directories {
		for _, o := range d.Objects {
			for _, a := range o.Attributes {
				a.CaseExact = false // the part "Exact case" of the mapping shows a change of CaseExact
				add("Attribute list of "+d.Name+", "+o.Name+": "+a.Name, a)
			}
		}
	}
	return parts, order
}

// movedRows returns the mappings whose rows have a different order in the two schemas. It ignores
// rows that only one of the schemas has.
func movedRows(before, after *Schema) []ChangedPart {
	var changes []ChangedPart
	if before == nil || after == nil {
		return nil
	}
	for _, is := range after.ObjectMappings() {
		was, err := before.ObjectMapping(is.Name)
		if err != nil {
			continue
		}
		old, now := was.commonTargets(is), is.commonTargets(was)
		if !slices.Equal(old, now) {
			changes = append(changes, ChangedPart{is.Name + ": Order", strings.Join(old, ", "), strings.Join(now, ", ")})
		}
	}
	return changes
}

// commonTargets returns the target attributes that both mappings write, in the order of m.
func (m *ObjectMapping) commonTargets(other *ObjectMapping) []string {
	var targets []string
	for _, row := range m.AttributeMappings {
		if i, err := other.rowIndex(row.TargetAttributeName); err == nil && i >= 0 {
			targets = append(targets, row.TargetAttributeName)
		}
	}
	return targets
}

func nilIfEmpty(text string) any {
	if text == "" {
		return nil
	}
	return text
}
