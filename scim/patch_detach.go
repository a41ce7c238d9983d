package scim

// Edit is one change of a multi-valued attribute. It identifies the elements by their "value"
// alone.
type Edit struct {
	Op     string // "add", "remove" or "replace"; after "replace", the list is exactly Values
	Values []any  // elements, as map[string]any with "value" for a complex attribute; distinct
}

// DetachAttribute splits a patch in two: the operations on one multi-valued core attribute become
// edits, and rest holds the other operations. A store that keeps the values as rows can apply edits
// at a cost that depends on the number of values named, not on the size of the list. Apply the
// edits in order. Adding a value that exists changes nothing. Removing a value that does not exist
// changes nothing either.
//
// ok is false when an operation needs the stored values: a filter on anything but "value", or a
// sub-attribute. Then the caller must apply the whole patch to the whole resource.
func (p *Patch) DetachAttribute(name string) (rest *Patch, edits []Edit, ok bool) {
	rest = &Patch{mode: p.mode, ignored: p.ignored, operationCount: p.operationCount, shownAs: p.shownAs}
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

// toEdit turns an operation into an Edit. ok is false when the operation needs the stored values.
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

// selectedValues reads a filter of the form value eq "x" (or …). ok is false for any other filter.
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
