package scim

// Mode says which deviations from the RFC are accepted when a request is read.
type Mode int

// Lenient accepts the forms that identity providers send beyond the RFC and reports each one as a
// Fix. Strict refuses them.
const (
	Lenient Mode = iota
	Strict
)

// Fix is a tolerance: one deviation from the RFC that was accepted when a request was read. The
// request log shows it.
type Fix struct {
	Code string // the name of the tolerance, such as "text-boolean"
	Path string // the attribute, such as "active"
	Text string // how the deviation was handled, such as `"False" read as false`
}

// Ignored is a part of a request that was not applied. The request log shows it.
type Ignored struct {
	Path   string // the attribute
	Reason string // why the part was not applied
}

// Resource holds the values of a resource under the canonical attribute names of its schemas.
// Values are string, bool, int64, float64, map[string]any and []any. The attributes of an extension
// are a map under its URN. A Resource has no unassigned values: no nil, no "", no empty list or
// map.
type Resource map[string]any

// String returns a single-valued string attribute, or "" when it is unassigned.
func (r Resource) String(name string) string {
	s, _ := r[name].(string)
	return s
}

// Bool returns the value of a boolean attribute. present is false if the attribute is unassigned.
func (r Resource) Bool(name string) (value, present bool) {
	value, present = r[name].(bool)
	return value, present
}

// Clone returns a deep copy.
func (r Resource) Clone() Resource {
	if r == nil {
		return nil
	}
	return cloneMap(r)
}

// cloneMap returns a deep copy of a map.
func cloneMap(m map[string]any) map[string]any {
	c := make(map[string]any, len(m))
	for k, v := range m {
		c[k] = cloneValue(v)
	}
	return c
}

// cloneValue returns a deep copy of a value.
func cloneValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return cloneMap(v)
	case []any:
		c := make([]any, len(v))
		for i, e := range v {
			c[i] = cloneValue(e)
		}
		return c
	}
	return v
}
