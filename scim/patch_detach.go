package scim

// Edit is one change of a multi-valued attribute. Two elements count as the same if their "value"
// is equal.
type Edit struct {
	Op     string // "add", "remove" or "replace"; after a "replace", the attribute has exactly Values
	Values []any  // the elements, without duplicates; for a complex attribute, each is a map[string]any with "value"
}

// DetachAttribute splits a patch in two: edits has the operations on one multi-valued core
// attribute, and rest has all other operations. A store that keeps each value in a row of its own
// can apply the edits without reading the whole list. The caller must apply the edits in order. An
// edit that adds an existing value, or removes a missing one, changes nothing.
//
// ok is false if an operation needs the stored values, because its path has a sub-attribute or a
// filter on something other than "value". Then the caller must apply the whole patch to the whole
// resource.
func (p *Patch) DetachAttribute(name string) (rest *Patch, edits []Edit, ok bool) {
	rest = &Patch{mode: p.mode, ignored: p.ignored, operationCount: p.operationCount, shownForms: p.shownForms}
	for _, op := range p.Operations {
		if op.Path.URN != "" || op.Path.Name != name {
			rest.Operations = append(rest.Operations, op)
			continue
		}
		edit, ok := op.toEdit()
		if !ok {
			return nil, nil, false
		}
		if edit.Op == "replace" || len(edit.Values) > 0 {
			edits = append(edits, edit)
		}
	}
	return rest, edits, true
}

// toEdit converts an operation to an Edit. ok is false if the operation needs the stored values.
func (op Operation) toEdit() (e Edit, ok bool) {
	p := op.Path
	if p.Sub != "" || !p.attr.MultiValued || p.attr.Mutability != ReadWrite {
		return Edit{}, false
	}
	if p.Filter != nil && p.attr.Type != Complex {
		return Edit{}, false
	}
	if p.Filter != nil {
		values, ok := selectedValues(p.Filter)
		return Edit{"remove", values}, ok && op.Op == "remove"
	}
	values, _ := cloneValue(op.Value).([]any)
	if op.Op == "remove" && op.Value == nil {
		return Edit{Op: "replace"}, true
	}
	return Edit{op.Op, values}, true
}

// selectedValues returns the elements that a filter of the form value eq "x" or value eq "y" …
// selects. ok is false for any other filter.
func selectedValues(n Node) (list []any, ok bool) {
	switch n := n.(type) {
	case Or:
		left, leftOK := selectedValues(n.Left)
		right, rightOK := selectedValues(n.Right)
		return append(left, right...), leftOK && rightOK
	case Compare:
		if n.Op == Eq && equalName(n.Path.Name, "value") && n.Path.Sub == "" && !isUnassigned(n.Value) {
			return []any{map[string]any{"value": n.Value}}, true
		}
	}
	return nil, false
}
