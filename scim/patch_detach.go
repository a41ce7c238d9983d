package scim

// Edit is one step on a multi-valued attribute that is told by values alone.
type Edit struct {
	Op     string // "add", "remove", or "replace": the list becomes exactly Values
	Values []any  // elements, as map[string]any with "value" for a complex attribute; distinct
}

// Detach takes the operations on a multi-valued core attribute out of a patch,
// for a store that keeps its values as rows: a patch then costs as many rows as
// it names, whatever the size of the list. Edits are to be applied in order;
// adding what is there and removing what is not changes nothing.
//
// It reports false when an operation can only be applied to the stored values
// (a filter on something else than value, a sub-attribute); then the whole
// patch has to be applied to the whole resource.
func (p *Patch) Detach(name string) (rest *Patch, edits []Edit, ok bool) {
	rest = &Patch{mode: p.mode, ignored: p.ignored, operationCount: p.operationCount, shownAs: p.shownAs}
	for _, op := range p.Operations {
		if op.Path.URN != "" || op.Path.Name != name {
			rest.Operations = append(rest.Operations, op)
			continue
		}
		edit, ok := op.edit()
		if !ok {
			return nil, nil, false
		}
		if edit.Op == "replace" || len(edit.Values) > 0 {
			edits = append(edits, edit)
		}
	}
	return rest, edits, true
}

func (op Operation) edit() (Edit, bool) {
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

// selectedValues reads a filter of the form value eq "x" (or …).
func selectedValues(n Node) ([]any, bool) {
	switch n := n.(type) {
	case Or:
		left, ok := selectedValues(n.Left)
		right, ok2 := selectedValues(n.Right)
		return append(left, right...), ok && ok2
	case Compare:
		if n.Op == Eq && equalName(n.Path.Name, "value") && n.Path.Sub == "" && !empty(n.Value) {
			return []any{map[string]any{"value": n.Value}}, true
		}
	}
	return nil, false
}
