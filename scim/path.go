package scim

import (
	"errors"
	"strings"
)

// Path selects values in a resource: an attribute, a sub-attribute, the values of an attribute that
// satisfy a filter, or a sub-attribute of those values. RFC 7644 §3.5.2 Figure 7.
type Path struct {
	URN    string // the URN of the extension schema; "" for core and common attributes
	Name   string // the name of the attribute; "" if the path is a whole extension
	Filter Node   // the filter in brackets; nil if there is none
	Sub    string // the name of the sub-attribute; "" if there is none

	attr *Attribute // the attribute; nil if the path was read without a resource type
	sub  *Attribute // the sub-attribute; nil if there is none
}

// ParsePath reads a path. Every name in it must be an attribute of rt. If rt is nil, ParsePath
// checks only the syntax, a URN ends at the last colon, and names match in any case; a SCIM client
// needs this for applications whose schemas it does not know. ParsePath returns invalidPath or
// invalidFilter for a path that it cannot read.
func ParsePath(rt *ResourceType, text string, m Mode) (Path, error) {
	d := reader{mode: m}
	p, err := d.readPath(rt, text)
	var unknown *unknownError
	if errors.As(err, &unknown) {
		return Path{}, InvalidPath("%s: %s has no such attribute", quote(unknown.name), rt.Name)
	}
	return p, err
}

// readPath does the work of ParsePath. It returns an *unknownError if the path is well formed but
// rt lacks an attribute in it.
func (d *reader) readPath(rt *ResourceType, text string) (Path, error) {
	text = strings.TrimSpace(text)
	if d.mode == Lenient {
		text = strings.TrimPrefix(text, "/")
	}
	if text == "" {
		return Path{}, InvalidPath("The path is empty")
	}
	if err := checkBounds(text); err != nil {
		return Path{}, err
	}
	name := text
	index := strings.IndexByte(text, '[')
	if index >= 0 {
		name = text[:index]
	}
	t, err := d.resolve(rt, name)
	var malformed *nameError
	if errors.As(err, &malformed) {
		return Path{}, InvalidPath("%s is not a path", quote(text))
	}
	var unknown *unknownError
	if errors.As(err, &unknown) {
		return Path{}, d.unknownIfWellFormed(text)
	}
	if err != nil {
		return Path{}, err
	}
	p := Path{URN: t.URN, Name: t.Name, Sub: t.Sub, attr: t.attr, sub: t.sub}
	if index < 0 {
		if t.Name == "" && t.URN == "" {
			return Path{}, InvalidPath("%s is the core schema; name an attribute of it", quote(text))
		}
		return p, nil
	}
	return d.readFilterPart(rt, p, text, index)
}

// unknownIfWellFormed returns the error for a path with an unknown name. If the path is also
// malformed, it returns the error about that. Otherwise it returns an *unknownError.
func (d *reader) unknownIfWellFormed(text string) error {
	if _, err := (&reader{mode: d.mode}).readPath(nil, text); err != nil {
		return err
	}
	return &unknownError{text}
}

// readFilterPart adds to p the part of the path that begins with a bracket at index: "[filter]" and
// perhaps a sub-attribute.
func (d *reader) readFilterPart(rt *ResourceType, p Path, text string, index int) (Path, error) {
	if p.Name == "" || p.Sub != "" {
		return Path{}, InvalidPath("%s: only an attribute can have a filter", quote(text))
	}
	if p.attr != nil && p.attr.Type != Complex && !p.attr.MultiValued {
		return Path{}, InvalidPath("%s: %s has a single simple value, which no filter can select", quote(text), p.attr.Name)
	}
	f := filterParser{text: text, pos: index, rt: rt, reader: reader{mode: d.mode}}
	n, err := f.parseBrackets(p.attr)
	if f.unknownName {
		return Path{}, d.unknownIfWellFormed(text)
	}
	var e *Error
	if errors.As(err, &e) && e.ScimType == "sensitive" {
		return Path{}, InvalidPath("%s selects by an attribute that is not kept, so it can select nothing", quote(text))
	}
	if err != nil {
		return Path{}, err
	}
	for _, fix := range f.allFixes() {
		d.addFix(fix.Code, fix.Path, "%s", fix.Text)
	}
	p.Filter = n
	rest := text[f.pos:]
	if rest == "" {
		return p, nil
	}
	sub, dotted := strings.CutPrefix(rest, ".")
	if !dotted || !validName(sub) {
		return Path{}, InvalidPath("%s: .subAttribute or the end is expected after ]", quote(text))
	}
	p.Sub = sub
	if p.attr == nil {
		return p, nil
	}
	if p.sub = p.attr.Sub(sub); p.sub == nil {
		return Path{}, &unknownError{text}
	}
	p.Sub = p.sub.Name
	return p, nil
}

// String returns the path as text. Parsing this text gives the same path.
func (p Path) String() string {
	if p.Name == "" {
		return p.URN
	}
	s := AttrPath{URN: p.URN, Name: p.Name}.String()
	if p.Filter != nil {
		s += "[" + (&Filter{p.Filter}).String() + "]"
	}
	if p.Sub != "" {
		s += "." + p.Sub
	}
	return s
}

// ignoresCase reports whether names match in any case. They do if the path was read without a
// resource type.
func (p Path) ignoresCase() bool { return p.attr == nil }

// container returns the map that has the attribute: r or one of its extensions. It returns nil if r
// does not have the extension.
func (p Path) container(r map[string]any) map[string]any {
	if p.URN == "" {
		return r
	}
	m, _ := memberOf(r, p.URN, p.ignoresCase()).(map[string]any)
	return m
}

// Get returns the values that the path selects. A list is returned as its elements, and an
// unassigned attribute as no value. The values are parts of r, not copies.
func (p Path) Get(r Resource) []any {
	if p.Name == "" {
		return listOf(memberOf(r, p.URN, true))
	}
	found := listOf(memberOf(p.container(r), p.Name, p.ignoresCase()))
	if p.Filter == nil && p.Sub == "" {
		return found
	}
	var out []any
	for _, e := range found {
		if p.Filter != nil && !p.Filter.match(elementScope(e)) {
			continue
		}
		if p.Sub == "" {
			out = append(out, e)
			continue
		}
		out = append(out, listOf(p.subValue(e))...)
	}
	return out
}

// First returns the first of the values that Get returns, or nil if there are none.
func (p Path) First(r Resource) any {
	if p.Name == "" {
		return firstOf(memberOf(r, p.URN, true))
	}
	found := memberOf(p.container(r), p.Name, p.ignoresCase())
	if p.Filter == nil && p.Sub == "" {
		return firstOf(found)
	}
	list, ok := found.([]any)
	if !ok {
		list = []any{found}
	}
	for _, e := range list {
		if isUnassigned(e) || p.Filter != nil && !p.Filter.match(elementScope(e)) {
			continue
		}
		if p.Sub == "" {
			return e
		}
		if v := firstOf(p.subValue(e)); v != nil {
			return v
		}
	}
	return nil
}

// subValue returns the path's sub-attribute of one value, or nil. If the value is not complex, it
// counts as the sub-attribute "value".
func (p Path) subValue(e any) any {
	if m, ok := e.(map[string]any); ok {
		return memberOf(m, p.Sub, p.ignoresCase())
	}
	if equalName(p.Sub, "value") {
		return e
	}
	return nil
}

// Set sets the values that the path selects. It creates missing parts: the extension, the complex
// attribute, and an element for a filter such as type eq "work" and primary eq true. If value is
// nil, "" or an empty list, Set removes the values. value may also be an int, []string or
// map[string]string.
//
// It returns noTarget if a filter matches nothing and does not describe an element to create, and
// invalidValue if the value does not fit the path.
func (p Path) Set(r Resource, value any) error {
	value = canonicalValue(value)
	if isUnassigned(value) {
		p.Clear(r)
		return nil
	}
	if p.Name == "" {
		m, ok := value.(map[string]any)
		if !ok {
			return InvalidValue("%s must be an object", p.URN)
		}
		r[keyOf(r, p.URN)] = m
		return nil
	}
	c := p.makeContainer(r)
	key := p.Name
	if p.ignoresCase() {
		key = keyOf(c, key)
	}
	v, err := p.valueAfterSet(c[key], value)
	if err != nil {
		return err
	}
	c[key] = v
	return nil
}

// makeContainer returns the map that has the attribute. It creates a missing extension.
func (p Path) makeContainer(r Resource) map[string]any {
	if p.URN == "" {
		return r
	}
	key := p.URN
	if p.ignoresCase() {
		key = keyOf(r, key)
	}
	m, ok := r[key].(map[string]any)
	if !ok {
		m = map[string]any{}
		r[key] = m
	}
	return m
}

// valueAfterSet returns the attribute's value after Set.
func (p Path) valueAfterSet(old, value any) (any, error) {
	switch {
	case p.Filter != nil:
		return p.valueAfterFilteredSet(old, value)
	case p.Sub == "":
		return p.shapeValue(value), nil
	}
	list, isList := old.([]any)
	if !isList {
		if m, ok := old.(map[string]any); ok {
			p.setSub(m, value)
			return m, nil
		}
		m := map[string]any{p.Sub: value}
		if p.attr != nil && p.attr.MultiValued {
			return []any{m}, nil
		}
		return m, nil
	}
	found := false
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			p.setSub(m, value)
			found = true
		}
	}
	if !found {
		list = append(list, map[string]any{p.Sub: value})
	}
	return list, nil
}

// shapeValue returns a value in the form that the attribute needs: a list for a multi-valued
// attribute, an object for a complex attribute.
func (p Path) shapeValue(value any) any {
	if p.attr == nil {
		return value
	}
	list, isList := value.([]any)
	if !p.attr.MultiValued {
		return p.wrapValue(value)
	}
	if !isList {
		return []any{p.wrapValue(value)}
	}
	for i, e := range list {
		list[i] = p.wrapValue(e)
	}
	return list
}

// wrapValue converts a simple value for a complex attribute to an object with this "value". It
// returns any other value unchanged.
func (p Path) wrapValue(value any) any {
	if _, ok := value.(map[string]any); ok || p.attr == nil || p.attr.Type != Complex {
		return value
	}
	if p.attr.Sub("value") == nil {
		return value
	}
	return map[string]any{"value": value}
}

// setSub sets the path's sub-attribute of one complex value.
func (p Path) setSub(m map[string]any, value any) {
	key := p.Sub
	if p.ignoresCase() {
		key = keyOf(m, key)
	}
	m[key] = value
}

// valueAfterFilteredSet is the part of Set for a path with a filter. old is the attribute's value. It
// returns the attribute's value in which each element that the filter selects has the new value. If
// the filter selects no element, it adds the element that the filter describes.
func (p Path) valueAfterFilteredSet(old, value any) (any, error) {
	list, isList := old.([]any)
	if !isList && !isUnassigned(old) {
		list = []any{old}
	}
	found := false
	for i, e := range list {
		if !p.Filter.match(elementScope(e)) {
			continue
		}
		found = true
		list[i] = p.changedElement(e, value)
	}
	if !found {
		e, ok := elementOf(p.Filter)
		if !ok {
			return nil, NoTarget("%s selects nothing, and its filter does not describe an element that could be created", p)
		}
		list = append(list, p.changedElement(e, value))
	}
	if !isList && len(list) == 1 && p.attr != nil && !p.attr.MultiValued {
		return list[0], nil
	}
	return list, nil
}

// changedElement returns an element after the value has been put into it, for Set.
func (p Path) changedElement(e, value any) any {
	m, ok := e.(map[string]any)
	if !ok {
		return value
	}
	if p.Sub != "" {
		p.setSub(m, value)
		return m
	}
	given, ok := value.(map[string]any)
	if !ok {
		given = map[string]any{"value": value}
	}
	for k, v := range given {
		if p.ignoresCase() {
			k = keyOf(m, k)
		}
		m[k] = v
	}
	return m
}

// elementOf returns a new element that satisfies the filter. ok is false unless the filter has only
// comparisons with eq, joined by "and".
func elementOf(filter Node) (element map[string]any, ok bool) {
	m := map[string]any{}
	if !describeElement(filter, m) || !filter.match(scope{members: m}) {
		return nil, false
	}
	return m, true
}

// describeElement puts the values that a filter of this form compares with into the element. It
// returns false for a filter of another form.
func describeElement(n Node, into map[string]any) bool {
	switch n := n.(type) {
	case And:
		return describeElement(n.Left, into) && describeElement(n.Right, into)
	case Compare:
		if n.Op != Eq || isUnassigned(n.Value) || n.Path.Sub != "" {
			return false
		}
		if n.Attr != nil && n.Attr.MultiValued {
			values, _ := into[n.Path.Name].([]any)
			into[n.Path.Name] = append(values, n.Value)
			return true
		}
		into[n.Path.Name] = n.Value
		return true
	}
	return false
}

// Clear removes the values that the path selects, and elements, attributes and extensions that
// become empty.
func (p Path) Clear(r Resource) {
	if p.Name == "" {
		delete(r, keyOf(r, p.URN))
		return
	}
	c := p.container(r)
	if c == nil {
		return
	}
	key := p.Name
	if p.ignoresCase() {
		key = keyOf(c, key)
	}
	v, ok := c[key]
	if !ok {
		return
	}
	if v = p.valueAfterClear(v); isUnassigned(v) {
		delete(c, key)
	} else {
		c[key] = v
	}
	if p.URN != "" && len(c) == 0 {
		delete(r, keyOf(r, p.URN))
	}
}

// valueAfterClear returns the attribute's value v without the parts that the path selects.
func (p Path) valueAfterClear(v any) any {
	if p.Filter == nil && p.Sub == "" {
		return nil
	}
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	kept := make([]any, 0, len(list))
	for _, e := range list {
		m, isMap := e.(map[string]any)
		switch {
		case p.Filter != nil && !p.Filter.match(elementScope(e)):
		case p.Sub == "":
			continue
		case isMap:
			key := p.Sub
			if p.ignoresCase() {
				key = keyOf(m, key)
			}
			delete(m, key)
		case equalName(p.Sub, "value"):
			continue
		}
		if !isUnassigned(e) {
			kept = append(kept, e)
		}
	}
	if isList {
		return kept
	}
	if len(kept) == 0 {
		return nil
	}
	return kept[0]
}

// canonicalValue converts a Go value to the types of a Resource.
func canonicalValue(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case []string:
		list := make([]any, len(v))
		for i, s := range v {
			list[i] = s
		}
		return list
	case map[string]string:
		m := make(map[string]any, len(v))
		for k, s := range v {
			m[k] = s
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = canonicalValue(e)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = canonicalValue(e)
		}
		return m
	}
	return v
}
