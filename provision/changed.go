package provision

import (
	"bytes"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
)

// changedSettings returns the settings that differ between two versions of a job, with both values,
// for the audit trail. For the Secret Token it says only that it changed.
func changedSettings(before, after Job) []event.Change {
	var changes []event.Change
	text := func(name, was, is string) {
		if was != is {
			changes = append(changes, event.Changed(name, orNone(was), orNone(is)))
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
	text("Provisioning Status", string(before.Status), string(after.Status))
	if before.Schema != after.Schema {
		changes = append(changes, changedMappings(before.Schema, after.Schema)...)
	}
	return changes
}

// changedMappings compares the mappings of two schemas row by row.
func changedMappings(before, after *Schema) []event.Change {
	was, order := mappingParts(before)
	is, more := mappingParts(after)
	for _, name := range more {
		if _, known := was[name]; !known {
			order = append(order, name)
		}
	}
	var changes []event.Change
	for _, name := range order {
		c := event.Changed(name, was[name], is[name])
		if !bytes.Equal(c.Before, c.After) {
			changes = append(changes, c)
		}
	}
	return slices.Clip(changes)
}

// mappingParts returns every part of a schema that a person can change, by name.
func mappingParts(s *Schema) (parts map[string]any, order []string) {
	parts = map[string]any{}
	add := func(name string, value any) {
		parts[name], order = value, append(order, name)
	}
	if s == nil {
		return parts, nil
	}
	for _, rule := range s.SynchronizationRules {
		for _, m := range rule.ObjectMappings {
			add(m.Name+": Enabled", m.Enabled)
			add(m.Name+": Target Object Actions", m.FlowTypes.String())
			add(m.Name+": Exact case", strings.Join(s.ExactCase(&m), ", "))
			if m.Scope != nil {
				add(m.Name+": Source Object Scope", m.Scope)
			}
			for _, row := range m.AttributeMappings {
				add(m.Name+": "+row.TargetAttributeName, row)
			}
		}
	}
	return parts, order
}

func orNone(text string) any {
	if text == "" {
		return nil
	}
	return text
}
