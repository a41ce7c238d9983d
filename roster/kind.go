package roster

import (
	"slices"
	"strconv"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// resourceType is a resource type with the unique attributes of its schemas.
type resourceType struct {
	*scim.ResourceType
	unique []scim.UniqueAttribute // as uniqueOf returns them
}

// typeOf returns the site's resource type of this name, or refusal.NotFound if the site has none.
func (r *Roster) typeOf(kind scim.TypeName) (*resourceType, error) {
	if r.err != nil {
		return nil, r.err
	}
	rt, ok := r.types.ByName(kind)
	if !ok || kind == Group && !r.site.Groups {
		return nil, refusal.New(refusal.NotFound, "", "this site has no resources of the type %q", kind)
	}
	return &resourceType{ResourceType: rt, unique: r.uniqueOf(rt)}, nil
}

// uniqueOf lists the unique attributes whose values have their own rows. It leaves out a user's
// userName, which has its own column, and group names if the site lets groups share a name.
func (r *Roster) uniqueOf(rt *scim.ResourceType) []scim.UniqueAttribute {
	return slices.DeleteFunc(rt.Unique(), func(u scim.UniqueAttribute) bool {
		return rt.ID == User && u.Path == scim.AttrPath{Name: "userName"} ||
			rt.ID == Group && u.Path == scim.AttrPath{Name: "displayName"} && !r.site.GroupNamesUnique()
	})
}

// uniqueValues lists the values of a document that must be unique.
func (rt *resourceType) uniqueValues(doc scim.Resource) []Value {
	var values []Value
	for _, u := range rt.unique {
		from := map[string]any(doc)
		if u.Path.URN != "" {
			from, _ = doc[u.Path.URN].(map[string]any)
		}
		for i, e := range elementsOf(from[u.Path.Name]) {
			if m, isMap := e.(map[string]any); isMap {
				e = m[u.Path.Sub]
			}
			if folded := FoldValue(u.Leaf, e); folded != "" {
				values = append(values, Value{Path: u.Path.String(), Folded: folded, Element: i})
			}
		}
	}
	return values
}

// elementsOf returns the elements of a list, or a list with the value itself if it is not a list.
func elementsOf(value any) []any {
	if list, ok := value.([]any); ok {
		return list
	}
	if value == nil {
		return nil
	}
	return []any{value}
}

// FoldValue returns the form in which a value is compared, or an empty string if the value has no
// such form.
func FoldValue(a *scim.Attribute, value any) string {
	switch value := value.(type) {
	case string:
		if a.CaseExact || a.Type == scim.Binary {
			return value
		}
		return scim.Fold(value)
	case bool:
		return strconv.FormatBool(value)
	case int64:
		return strconv.FormatInt(value, 10)
	case float64:
		return strconv.FormatFloat(value, 'g', -1, 64)
	}
	return ""
}

// nounOf returns the word for a resource in a sentence.
func nounOf(t scim.TypeName) string {
	switch t {
	case User:
		return "user"
	case Group:
		return "group"
	}
	return string(t)
}

// resourceEvents are the names of the events about resources of one type.
type resourceEvents struct{ created, updated, deleted string }

// eventsOf returns the names of the events about resources of a type.
func eventsOf(t scim.TypeName) resourceEvents {
	switch t {
	case User:
		return resourceEvents{event.UserCreated, event.UserUpdated, event.UserDeleted}
	case Group:
		return resourceEvents{event.GroupCreated, event.GroupUpdated, event.GroupDeleted}
	}
	return resourceEvents{event.ResourceCreated, event.ResourceUpdated, event.ResourceDeleted}
}

// nameOf returns the userName or displayName of a resource, or an empty string.
func nameOf(kind scim.TypeName, doc scim.Resource) string {
	if kind == User {
		return doc.String("userName")
	}
	return doc.String("displayName")
}

// nameInSentence returns the name that an event's sentence uses for the resource.
func nameInSentence(rec Record, doc scim.Resource) string {
	name := nameOf(rec.Kind, doc)
	switch {
	case rec.Kind == User:
		return name
	case name == "":
		name = rec.ID
	}
	if rec.Kind == Group {
		return "Group " + name
	}
	return string(rec.Kind) + " " + name
}
