package scim

import (
	"fmt"
	"slices"
)

// Apply returns the resource after the patch. It leaves r unchanged. If one operation cannot be
// applied, Apply returns an error and no resource. Applying the same patch to the result changes
// nothing.
//
// The expected errors are *Error: invalidValue, invalidPath, noTarget and mutability (RFC 7644
// §3.5.2), and 413 if the operations would look at too many values.
func (p *Patch) Apply(rt *ResourceType, r Resource) (PatchResult, error) {
	a := applier{rt: rt, mode: p.mode, working: make(Resource, len(r)+2), copiedMembers: map[string]bool{}, shownForms: p.shownForms}
	for k, v := range r {
		a.working[k] = v
	}
	for _, op := range p.Operations {
		if err := a.applyOperation(op); err != nil {
			return PatchResult{}, withOperationNumber(err, op.index, p.operationCount, op.Op+" "+op.Path.String())
		}
	}
	for _, op := range p.Operations {
		a.removeHollowElements(op.Path, r)
	}
	a.working["schemas"] = rt.schemaURNs(a.working)
	return PatchResult{
		Resource: a.working, Changed: !Equal(r, a.working),
		Fixes: a.fixes, Ignored: append(slices.Clip(p.ignored), a.ignored...),
	}, nil
}

// applier applies the operations of a patch to a copy of a resource.
type applier struct {
	rt            *ResourceType
	mode          Mode
	working       Resource        // the copy of the resource that the operations change
	copiedMembers map[string]bool // the names of the top-level members that have been copied from the caller's resource
	fixes         []Fix
	shownForms    []Resource // the forms in which a GET may show the resource; see SetShownForms

	ignored              []Ignored       // the operations that found nothing to change
	elementsWithLostSubs map[string]bool // the elements from which an operation removed a sub-attribute, by their pointerKey

	stepsTaken int // the number of steps of the operations so far; see maxSteps
}

// maxSteps is the largest number of steps that the operations of one request may take. A step is
// about one comparison with a value. So many steps take about one second.
const maxSteps = 10_000_000

// stepsPerKeyLookup is how many steps it counts to find a value in a list by its identityKey.
const stepsPerKeyLookup = 4

// countSteps adds the steps of an operation to stepsTaken. old is the value of the attribute before
// the operation. It returns 413 above maxSteps.
func (a *applier) countSteps(op Operation, old any) error {
	each := stepsPerKeyLookup
	if op.Path.Filter != nil {
		each = countTerms(op.Path.Filter)
	}
	if a.stepsTaken += each * (lengthOf(old) + lengthOf(op.Value)); a.stepsTaken > maxSteps {
		return PayloadTooLarge("%s: the operations of the request would look at too many values; send fewer at a time", op.Path)
	}
	return nil
}

// lengthOf returns the number of elements of a list, or 1 for any other value.
func lengthOf(v any) int {
	list, ok := v.([]any)
	if !ok {
		return 1
	}
	return len(list)
}

// container returns the map of the working copy that has the attribute at the path: the resource or
// an extension. It creates a missing extension. The caller may change the map.
func (a *applier) container(p *Path) map[string]any {
	if p.URN == "" {
		a.ensureCopied(p.Name)
		return a.working
	}
	a.ensureCopied(p.URN)
	m, ok := a.working[p.URN].(map[string]any)
	if !ok {
		m = map[string]any{}
		a.working[p.URN] = m
	}
	return m
}

// ensureCopied clones a top-level member before its first change, because until then the member is
// shared with the caller's resource.
func (a *applier) ensureCopied(key string) {
	if a.copiedMembers[key] {
		return
	}
	a.copiedMembers[key] = true
	if v, ok := a.working[key]; ok {
		a.working[key] = cloneValue(v)
	}
}

// applyOperation applies one operation to the working copy.
func (a *applier) applyOperation(op Operation) error {
	p := op.Path
	if p.Name == "" {
		return a.removeExtension(p)
	}
	if p.isReadOnly() {
		return a.checkReadOnlyUnchanged(op)
	}
	c := a.container(p)
	if err := a.countSteps(op, c[p.Name]); err != nil {
		return err
	}
	v, err := a.valueAfter(op, c[p.Name], cloneValue(op.Value))
	if err != nil {
		return err
	}
	if isUnassigned(v) {
		delete(c, p.Name)
	} else {
		c[p.Name] = v
	}
	if p.URN != "" && len(c) == 0 {
		delete(a.working, p.URN)
	}
	return nil
}

// removeExtension removes the values of an extension, except those of readOnly attributes. It
// returns a mutability error if an immutable attribute has a value.
func (a *applier) removeExtension(p *Path) error {
	a.ensureCopied(p.URN)
	m, _ := a.working[p.URN].(map[string]any)
	for _, attr := range a.rt.Extension(p.URN).Attributes {
		switch {
		case isUnassigned(m[attr.Name]) || attr.Mutability == ReadOnly:
			continue
		case attr.Mutability == Immutable:
			return Mutability("%s:%s cannot be changed once it is set", p.URN, attr.Name)
		}
		delete(m, attr.Name)
	}
	if len(m) == 0 {
		delete(a.working, p.URN)
	}
	return nil
}

// recordIgnored records an operation that was understood but found nothing to change.
func (a *applier) recordIgnored(p *Path, reason string) {
	if len(a.ignored) < maxIgnored {
		a.ignored = append(a.ignored, Ignored{p.String(), reason})
	}
}

// removeHollowElements is called after all operations, for each path of the patch. It removes the
// hollow elements of the attribute: those that have only a type, a display name or the primary
// flag. It keeps those that were in the resource before and that the patch did not change.
func (a *applier) removeHollowElements(p *Path, before Resource) {
	if p.attr == nil || !p.attr.MultiValued || p.attr.Type != Complex || p.isReadOnly() {
		return
	}
	c := p.container(a.working)
	list, _ := c[p.Name].([]any)
	if !slices.ContainsFunc(list, func(e any) bool { return a.shouldRemoveElement(p.attr, e) }) {
		return
	}
	old, _ := p.container(before)[p.Name].([]any)
	kept := make([]any, 0, len(list))
	sent := false // whether the request itself added one of the elements that are removed now
	for _, e := range list {
		switch {
		case !a.shouldRemoveElement(p.attr, e):
			kept = append(kept, e)
		case a.lostSubAttribute(e):
		case slices.ContainsFunc(old, func(o any) bool { return equalValues(o, e) }):
			kept = append(kept, e) // the request did not change this element
		default:
			sent = true
		}
	}
	if sent {
		a.recordIgnored(p, "the request leaves a value without content, which is not kept")
	}
	if len(kept) > 0 {
		c[p.Name] = kept
		return
	}
	delete(c, p.Name)
	if p.URN != "" && len(c) == 0 {
		delete(a.working, p.URN)
	}
}

// shouldRemoveElement reports whether an element must be removed because it is hollow. A role or
// entitlement that has only a display name stays, unless an operation removed a sub-attribute from
// it.
func (a *applier) shouldRemoveElement(attr *Attribute, e any) bool {
	m, ok := e.(map[string]any)
	if !ok || !isHollow(attr, m) {
		return false
	}
	named := !isUnassigned(m["display"]) && grantsRights(attr, AttrPath{Name: attr.Name})
	return !named || a.lostSubAttribute(e)
}

// lostSubAttribute reports whether an operation removed a sub-attribute of the element.
func (a *applier) lostSubAttribute(e any) bool { return a.elementsWithLostSubs[pointerKey(e)] }

// pointerKey returns the memory address of an element as a map key, so that two elements with equal
// content have different keys.
func pointerKey(element any) string { return fmt.Sprintf("%p", element) }

// checkReadOnlyUnchanged returns a mutability error if an operation on a readOnly attribute sends a
// value that differs from the value that a GET shows. RFC 7644 §3.5.2 forbids modifying such an
// attribute, but sending the same value modifies nothing.
func (a *applier) checkReadOnlyUnchanged(op Operation) error {
	if err := a.countSteps(op, memberOf(op.Path.container(a.working), op.Path.Name, false)); err != nil {
		return err
	}
	if op.fromKey && len(listOf(op.Value)) == 0 {
		return nil
	}
	same := slices.ContainsFunc(append(slices.Clip(a.shownForms), a.working), func(r Resource) bool {
		return matchesShown(op, op.Path.Get(r))
	})
	if !same {
		return Mutability("%s cannot be changed by a client", op.Path)
	}
	return nil
}

// matchesShown reports whether the values that an operation sends equal the values that a GET
// shows. A sent complex value may have only some of the sub-attributes, and an add may send only
// some of the values.
func matchesShown(op Operation, shown []any) bool {
	leaf := op.Path.attr
	if op.Path.sub != nil {
		leaf = op.Path.sub
	}
	sent := listOf(op.Value)
	if op.Op != "add" && len(sent) != len(shown) {
		return false
	}
	for _, e := range sent {
		if !slices.ContainsFunc(shown, func(s any) bool { return isPartOf(leaf, e, s) }) {
			return false
		}
	}
	return true
}

// isPartOf reports whether the sent value equals the shown value. A sent complex value may have
// only some of the shown sub-attributes.
func isPartOf(attr *Attribute, sent, shown any) bool {
	m, ok := sent.(map[string]any)
	if !ok {
		if attr.Type == DateTime {
			x, _ := sent.(string)
			y, _ := shown.(string)
			sentTime, ok := parseTime(x)
			shownTime, ok2 := parseTime(y)
			return ok && ok2 && sentTime.Equal(shownTime)
		}
		return equalValues(sent, shown)
	}
	s, ok := shown.(map[string]any)
	if !ok {
		return false
	}
	for name, v := range m {
		sub := attr.Sub(name)
		if isUnassigned(v) {
			continue
		}
		if sub == nil || !isPartOf(sub, v, s[sub.Name]) {
			return false
		}
	}
	return true
}

// valueAfter returns the attribute's value after an operation. old is its value before, and value
// the sent value.
func (a *applier) valueAfter(op Operation, old, value any) (any, error) {
	p := op.Path
	if p.attr.Mutability == Immutable && !isUnassigned(old) && (op.Op == "remove" || p.Filter != nil || p.Sub != "" || !sameValue(old, value)) {
		// RFC 7643 §7: an immutable attribute that has a value cannot be changed.
		return nil, Mutability("%s cannot be changed once it is set", p)
	}
	switch {
	case op.Op == "remove" && value != nil:
		return a.removeValues(op, old, value.([]any))
	case p.Filter != nil:
		return a.applyToMatches(op, old, value)
	case op.Op == "remove" && p.Sub == "":
		return nil, nil
	case p.Sub != "":
		return a.setSubEverywhere(op, old, value)
	case p.attr.MultiValued:
		return a.applyToList(op, old, value)
	case p.attr.Type == Complex && value != nil:
		m, _ := old.(map[string]any)
		return a.mergeInto(op, m, value)
	}
	return value, nil
}

// removeValues removes the sent values from the attribute, or from its sub-attribute if the path
// names a sub-attribute.
func (a *applier) removeValues(op Operation, old any, sent []any) (any, error) {
	p := op.Path
	if p.Sub != "" {
		return a.removeSubValues(op, old, sent)
	}
	list, _ := old.([]any)
	kept, missed := withoutValues(p.attr, list, sent)
	switch {
	case len(kept) == len(list):
		a.recordIgnored(p, "the resource has none of the values that were sent, so nothing is removed")
	case missed > 0:
		a.recordIgnored(p, itoa(missed)+" of the values that were sent are not in the resource")
	}
	return kept, nil
}

// withoutValues returns the list without the sent values. missed is the number of sent values that
// were not in the list. A sent value with "value" but no type removes every element with that
// "value". A sent value without "value" removes every element that has all sub-attributes of the
// sent value.
func withoutValues(attr *Attribute, list, sent []any) (kept []any, missed int) {
	type selector struct {
		subs  map[string]any
		found bool
	}
	// foundByKey has the keys of the elements to remove. Its values say whether an element with the
	// key has been found.
	foundByKey := make(map[string]bool, len(sent))
	var selectors []*selector
	for _, e := range sent {
		byValue, byType := removalKeys(attr, e)
		m, isMap := e.(map[string]any)
		switch {
		case byType != "":
			foundByKey[byType] = false
		case byValue != "":
			foundByKey[byValue] = false
		case isMap:
			selectors = append(selectors, &selector{subs: m})
		default:
			foundByKey["whole "+identityOrContent(attr, e)] = false
		}
	}
	for _, e := range list {
		remove := false
		byValue, byType := removalKeys(attr, e)
		for _, key := range []string{byType, byValue} {
			if _, named := foundByKey[key]; named && key != "" {
				foundByKey[key], remove = true, true
			}
		}
		if byValue == "" && len(foundByKey) > 0 {
			if key := "whole " + identityOrContent(attr, e); !remove {
				if _, named := foundByKey[key]; named {
					foundByKey[key], remove = true, true
				}
			}
		}
		for _, s := range selectors {
			if hasAllSubs(attr, e, s.subs) {
				s.found, remove = true, true
			}
		}
		if !remove {
			kept = append(kept, e)
		}
	}
	for _, found := range foundByKey {
		if !found {
			missed++
		}
	}
	for _, s := range selectors {
		if !s.found {
			missed++
		}
	}
	return kept, missed
}

// hasAllSubs reports whether an element has every sub-attribute in part, with an equal value.
func hasAllSubs(attr *Attribute, e any, part map[string]any) bool {
	m, ok := e.(map[string]any)
	if !ok {
		return false
	}
	for name, v := range part {
		sub := attr.Sub(name)
		switch {
		case isUnassigned(v):
		case sub.MultiValued:
			if !equalValues(v, m[name]) {
				return false
			}
		case isUnassigned(m[name]) || scalarKey(sub, v) != scalarKey(sub, m[name]):
			return false
		}
	}
	return true
}

// removeSubValues removes the sent values from the path's sub-attribute, in the elements that the
// path selects.
func (a *applier) removeSubValues(op Operation, old any, sent []any) (any, error) {
	p := op.Path
	list, isList := old.([]any)
	if !isList && !isUnassigned(old) {
		list = []any{old}
	}
	remove := make(map[string]bool, len(sent))
	for _, v := range sent {
		remove[scalarKey(p.sub, v)] = true
	}
	removed := false
	for _, e := range list {
		m, ok := e.(map[string]any)
		if !ok || p.Filter != nil && !p.Filter.match(elementScope(e)) {
			continue
		}
		var kept []any
		have := listOf(m[p.Sub])
		for _, v := range have {
			if !remove[scalarKey(p.sub, v)] {
				kept = append(kept, v)
			}
		}
		if len(kept) == len(have) {
			continue
		}
		removed = true
		var rest any
		if len(kept) > 0 {
			rest = kept
		}
		if err := a.setSub(op, m, p.sub, rest); err != nil {
			return nil, err
		}
	}
	if !removed {
		a.recordIgnored(p, "the resource has none of the values that were sent, so nothing is removed")
	}
	if isList {
		return listOf(list), nil
	}
	return old, nil
}

// removalKeys returns the keys by which a remove finds an element: byValue contains the
// sub-attribute "value", and byType contains "value" and "type". A key is "" if the element lacks a
// sub-attribute that it contains. byType is also "" if "value" is immutable, because "value" alone
// then identifies the element.
func removalKeys(attr *Attribute, e any) (byValue, byType string) {
	m, ok := e.(map[string]any)
	sub := attr.Sub("value")
	if !ok || sub == nil || isUnassigned(m[sub.Name]) {
		return "", ""
	}
	byValue = "value " + scalarKey(sub, m[sub.Name])
	if typ := attr.Sub("type"); typ != nil && sub.Mutability != Immutable && !isUnassigned(m[typ.Name]) {
		byType = byValue + "\x00" + scalarKey(typ, m[typ.Name])
	}
	return byValue, byType
}

// applyToList applies an add or replace to a whole multi-valued attribute.
func (a *applier) applyToList(op Operation, old, value any) (any, error) {
	sent, _ := value.([]any)
	if op.Op == "replace" {
		return sent, a.clearOtherPrimaries(op.Path, sent, primaryIndexes(sent))
	}
	have, _ := old.([]any)
	indexByKey := make(map[string]int, len(have)+len(sent))
	for i, e := range have {
		if key := identityOrContent(op.Path.attr, e); key != "" {
			indexByKey[key] = i
		}
	}
	var made []int
	for _, e := range sent {
		key := identityOrContent(op.Path.attr, e)
		i, there := indexByKey[key]
		if !there {
			i = len(have)
			indexByKey[key] = i
			have = append(have, e)
		} else {
			a.addToElement(op, have[i], e)
		}
		if m, ok := e.(map[string]any); ok && m["primary"] == true {
			made = append(made, i)
		}
	}
	return have, a.clearOtherPrimaries(op.Path, have, made)
}

// addToElement is called for an add of a value that the list already has as an element. It copies
// the sub-attributes of the sent value into that element, except immutable sub-attributes that the
// element already has.
func (a *applier) addToElement(op Operation, element, value any) {
	m, ok := element.(map[string]any)
	if !ok {
		return
	}
	for k, v := range value.(map[string]any) {
		sub := op.Path.attr.Sub(k)
		if sub.Mutability == Immutable && !isUnassigned(m[k]) || scalarKey(sub, m[k]) == scalarKey(sub, v) {
			continue
		}
		m[k] = v
	}
}

// mergeInto puts the sent sub-attributes into the complex value m, and returns it. RFC 7644
// §3.5.2.3: sub-attributes that the operation does not name stay unchanged.
func (a *applier) mergeInto(op Operation, m map[string]any, value any) (any, error) {
	given, ok := value.(map[string]any)
	if !ok {
		return nil, InvalidValue("%s needs an object", op.Path)
	}
	if m == nil {
		m = map[string]any{}
	}
	// Set the sub-attributes in schema order, where "value" is first. Setting "value" drops the
	// sub-attributes that described the old reference, so the new ones must be set afterwards.
	for _, sub := range op.Path.attr.SubAttributes {
		v, named := given[sub.Name]
		if !named {
			continue
		}
		if err := a.setSub(op, m, sub, v); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// setSub sets a sub-attribute of the complex value m; nil removes it. If the sub-attribute is a
// "value" that refers to another resource, and it changes, setSub also removes the sub-attributes
// that described the old resource.
func (a *applier) setSub(op Operation, m map[string]any, sub *Attribute, v any) error {
	p := op.Path
	old, had := m[sub.Name]
	if sub.MultiValued && op.Op == "add" {
		have, _ := old.([]any)
		sent, _ := v.([]any)
		v = withoutDuplicates(sub, slices.Concat(have, sent))
	}
	if had && !isUnassigned(old) && sub.Mutability == Immutable && !sameValue(old, v) {
		return Mutability("%s.%s cannot be changed once it is set", p.Name, sub.Name)
	}
	if sub.Name == "value" && had && p.attr.Sub("$ref") != nil && !sameValue(old, v) {
		for _, other := range p.attr.SubAttributes {
			if other.Name == "$ref" || other.Mutability == ReadOnly {
				delete(m, other.Name)
			}
		}
	}
	if isUnassigned(v) {
		delete(m, sub.Name)
		if a.elementsWithLostSubs == nil {
			a.elementsWithLostSubs = map[string]bool{}
		}
		a.elementsWithLostSubs[pointerKey(m)] = true
	} else {
		m[sub.Name] = v
	}
	return nil
}

// setSubEverywhere applies an operation whose path is a sub-attribute without a filter. It changes
// the sub-attribute of the single value, or of every value of a list.
func (a *applier) setSubEverywhere(op Operation, old, value any) (any, error) {
	p := op.Path
	if !p.attr.MultiValued {
		m, _ := old.(map[string]any)
		if m == nil {
			m = map[string]any{}
		}
		return m, a.setSub(op, m, p.sub, value)
	}
	list, _ := old.([]any)
	if len(list) == 0 && value != nil {
		list = append(list, map[string]any{})
	}
	return a.setInElements(op, list, allIndexes(list), value)
}

// allIndexes returns the indexes of all elements of a list.
func allIndexes(list []any) []int {
	indexes := make([]int, len(list))
	for i := range list {
		indexes[i] = i
	}
	return indexes
}

// setInElements sets the path's sub-attribute in the elements at the given indexes.
func (a *applier) setInElements(op Operation, list []any, indexes []int, value any) (any, error) {
	for _, i := range indexes {
		m, ok := list[i].(map[string]any)
		if !ok {
			return nil, InvalidPath("%s: the values are not complex", op.Path)
		}
		if err := a.setSub(op, m, op.Path.sub, value); err != nil {
			return nil, err
		}
	}
	if op.Path.sub.Name == "primary" && value == true {
		return list, a.clearOtherPrimaries(op.Path, list, indexes)
	}
	if value == nil {
		return listOf(list), nil // leave out elements that have no sub-attribute left
	}
	return list, nil
}

// applyToMatches applies an operation whose path has a filter to the elements that match the
// filter.
func (a *applier) applyToMatches(op Operation, old, value any) (any, error) {
	p := op.Path
	list, isList := old.([]any)
	if !isList && !isUnassigned(old) {
		list = []any{old} // Entra selects the manager by manager[value eq "…"]
	}
	var matched []int
	for i, e := range list {
		if p.Filter.match(elementScope(e)) {
			matched = append(matched, i)
		}
	}
	if len(matched) == 0 {
		if op.Op == "remove" || value == nil {
			a.recordIgnored(p, "no value of the resource matches the filter, so nothing is removed")
			return old, nil // RFC 7644 §3.5.2.2: a remove that finds nothing to remove succeeds.
		}
		extended, err := a.createElement(op, list, value)
		if err != nil || len(extended) == len(list) {
			return old, err
		}
		list, matched = extended, []int{len(list)}
	}
	v, err := a.changeMatched(op, list, matched, value)
	if err != nil || p.attr.MultiValued {
		return v, err
	}
	if list, _ = v.([]any); len(list) > 0 {
		return list[0], nil
	}
	return nil, nil
}

// countTerms returns the number of comparisons in a filter.
func countTerms(n Node) int {
	switch n := n.(type) {
	case And:
		return countTerms(n.Left) + countTerms(n.Right)
	case Or:
		return countTerms(n.Left) + countTerms(n.Right)
	case Not:
		return countTerms(n.Node)
	}
	return 1
}

// changeMatched applies an operation to the elements at the matched indexes.
func (a *applier) changeMatched(op Operation, list []any, matched []int, value any) (any, error) {
	p := op.Path
	switch {
	case p.Sub != "":
		return a.setInElements(op, list, matched, value)
	case op.Op == "remove" || value == nil:
		return withoutIndexes(list, matched), nil
	case p.attr.Type != Complex:
		for _, i := range matched {
			list[i] = value
		}
		return withoutDuplicates(p.attr, list), nil
	}
	for _, i := range matched {
		e, err := a.elementAfter(op, list[i].(map[string]any), value)
		if err != nil {
			return nil, err
		}
		list[i] = e
	}
	if given, _ := value.(map[string]any); given["primary"] == true {
		return list, a.clearOtherPrimaries(p, list, matched)
	}
	return list, nil
}

// elementAfter returns the new form of an element m that the filter selected. An add merges the
// sent value into the element. A replace puts the sent value in the place of the element.
func (a *applier) elementAfter(op Operation, m map[string]any, value any) (any, error) {
	if op.Op == "add" {
		return a.mergeInto(op, m, cloneValue(value))
	}
	// RFC 7644 §3.5.2.3: a replace puts the sent value in the place of each matching value.
	next, _ := cloneValue(value).(map[string]any)
	for k, v := range next {
		if isUnassigned(v) {
			delete(next, k)
		}
	}
	if described, ok := elementOf(op.Path.Filter); ok && a.mode == Lenient {
		for k, v := range described {
			// If {"value": …} replaces emails[type eq "work"], the element keeps the type "work".
			if _, named := next[k]; !named {
				next[k] = v
			}
		}
	}
	if op.Path.attr.MultiValued && isHollow(op.Path.attr, next) {
		// A value such as {"display": "Work"} only describes the element, so it must not erase the
		// other sub-attributes. But {"value": null} must erase them.
		return a.mergeInto(op, m, cloneValue(value))
	}
	for _, sub := range op.Path.attr.SubAttributes {
		if old := m[sub.Name]; sub.Mutability == Immutable && !isUnassigned(old) {
			if v, named := next[sub.Name]; named && !sameValue(old, v) {
				return nil, Mutability("%s.%s cannot be changed once it is set", op.Path.Name, sub.Name)
			}
			next[sub.Name] = old
		}
	}
	return next, nil
}

// withoutIndexes returns the list without the elements at the given indexes. The indexes must be in
// ascending order.
func withoutIndexes(list []any, gone []int) []any {
	var kept []any
	for i, e := range list {
		if len(gone) > 0 && gone[0] == i {
			gone = gone[1:]
			continue
		}
		kept = append(kept, e)
	}
	return kept
}

// createElement adds the element that the filter describes to the list. It is called if no element
// matches the filter. For example, Entra sets emails[type eq "work"].value on users that have no
// address. For a replace, RFC 7644 §3.5.2.3 demands noTarget instead; only Strict mode follows
// this.
//
// createElement returns the list unchanged if the same operation seems to have been applied before,
// so that the filter no longer matches the element that the operation changed. An example is a
// replace of emails[value eq "old"].value.
func (a *applier) createElement(op Operation, list []any, value any) ([]any, error) {
	p := op.Path
	noTarget := NoTarget("%s selects no value", p)
	e, ok := elementOf(p.Filter)
	if !ok || !p.attr.MultiValued || op.Op == "replace" && a.mode == Strict {
		return nil, noTarget
	}
	for k := range e {
		if sub := p.attr.Sub(k); sub == nil || sub.Mutability == Immutable {
			return nil, noTarget // a filter must not create an element that can never be changed, such as a group's member
		}
	}
	if after := elementWith(p, e, value); !p.Filter.match(scope{members: after}) {
		if a.mode == Lenient && hasElement(list, after) {
			return list, nil
		}
		return nil, noTarget
	}
	if a.mode == Lenient {
		a.fixes = append(a.fixes, Fix{"created-value", p.String(), "no value matched; one was created"})
	}
	list = append(list, e)
	if e["primary"] == true {
		return list, a.clearOtherPrimaries(p, list, []int{len(list) - 1})
	}
	return list, nil
}

// elementWith returns a copy of the element e with the value at the path.
func elementWith(p *Path, e map[string]any, value any) map[string]any {
	after := cloneMap(e)
	if p.Sub != "" {
		after[p.Sub] = value
	} else if given, ok := value.(map[string]any); ok {
		for k, v := range given {
			after[k] = v
		}
	}
	return after
}

// hasElement reports whether an element of the list has all sub-attributes of part, with equal
// values.
func hasElement(list []any, part map[string]any) bool {
	return anyElement(list, func(e any) bool {
		m, ok := e.(map[string]any)
		for k, v := range part {
			ok = ok && equalValues(v, m[k])
		}
		return ok
	})
}

// primaryIndexes returns the indexes of the elements with "primary": true.
func primaryIndexes(list []any) []int {
	var found []int
	for i, e := range list {
		if m, ok := e.(map[string]any); ok && m["primary"] == true {
			found = append(found, i)
		}
	}
	return found
}

// clearOtherPrimaries is called after an operation; made has the indexes of the elements that the
// operation made primary. If there is one, clearOtherPrimaries sets "primary" of all other elements
// to false (RFC 7644 §3.5.2). If there are several, it returns invalidValue.
func (a *applier) clearOtherPrimaries(p *Path, list []any, made []int) error {
	if len(made) == 0 {
		return nil
	}
	if len(made) > 1 {
		return InvalidValue("%s: the operation makes two values primary; at most one may be", AttrPath{URN: p.URN, Name: p.Name})
	}
	for i, e := range list {
		if m, ok := e.(map[string]any); ok && i != made[0] && m["primary"] == true {
			m["primary"] = false
		}
	}
	return nil
}
