// Command elimity is a SCIM server on github.com/elimity-com/scim, with resources in memory:
//
//	elimity PORT TOKEN
//
// The library reads and checks requests. This program stores, and applies the operations of a PATCH
// as RFC 7644 says, without any of Entra's forms: a path to an element that is not there is refused
// with noTarget, and a removal without a filter removes all values.
//
// It is a module of its own, so that Rollcall does not depend on the library.
package main

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/elimity-com/scim"
	"github.com/elimity-com/scim/errors"
	"github.com/elimity-com/scim/optional"
	"github.com/elimity-com/scim/schema"
	"github.com/scim2/filter-parser/v2"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: elimity PORT TOKEN")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(port, token string) error {
	server, err := scim.NewServer(&scim.ServerArgs{
		ServiceProviderConfig: &scim.ServiceProviderConfig{SupportFiltering: true, SupportPatch: true, MaxResults: 200},
		ResourceTypes: []scim.ResourceType{
			{
				ID: optional.NewString("User"), Name: "User", Endpoint: "/Users", Schema: schema.CoreUserSchema(),
				SchemaExtensions: []scim.SchemaExtension{{Schema: schema.ExtensionEnterpriseUser()}}, Handler: newStorage("userName"),
			},
			{ID: optional.NewString("Group"), Name: "Group", Endpoint: "/Groups", Schema: schema.CoreGroupSchema(), Handler: newStorage("")},
		},
	})
	if err != nil {
		return err
	}
	s := &http.Server{Addr: "127.0.0.1:" + port, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		server.ServeHTTP(w, r)
	})}
	return s.ListenAndServe()
}

// storage holds the resources of one type.
type storage struct {
	unique string // the attribute of which two resources may not have the same value; "" if there is none

	mu    sync.Mutex
	next  int
	order []string
	rows  map[string]row
}

type row struct {
	attributes        scim.ResourceAttributes
	created, modified time.Time
}

func newStorage(unique string) *storage { return &storage{unique: unique, rows: map[string]row{}} }

func (s *storage) resource(id string) scim.Resource {
	r := s.rows[id]
	resource := scim.Resource{ID: id, Attributes: r.attributes, Meta: scim.Meta{Created: &r.created, LastModified: &r.modified}}
	if external, is := r.attributes["externalId"].(string); is {
		resource.ExternalID = optional.NewString(external)
	}
	return resource
}

// put stores a resource, unless another one has its unique value.
func (s *storage) put(id string, r row) error {
	if value, is := r.attributes[s.unique].(string); is {
		for other, stored := range s.rows {
			if has, _ := stored.attributes[s.unique].(string); other != id && strings.EqualFold(has, value) {
				return errors.ScimErrorUniqueness
			}
		}
	}
	r.modified = time.Now().UTC()
	s.rows[id] = r
	return nil
}

func (s *storage) find(id string) (row, error) {
	r, there := s.rows[id]
	if !there {
		return row{}, errors.ScimErrorResourceNotFound(id)
	}
	return r, nil
}

// Create stores a new resource.
func (s *storage) Create(_ *http.Request, attributes scim.ResourceAttributes) (scim.Resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	id := "r" + strconv.Itoa(s.next)
	if err := s.put(id, row{attributes: attributes, created: time.Now().UTC()}); err != nil {
		return scim.Resource{}, err
	}
	s.order = append(s.order, id)
	return s.resource(id), nil
}

// Get returns a resource.
func (s *storage) Get(_ *http.Request, id string) (scim.Resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.find(id); err != nil {
		return scim.Resource{}, err
	}
	return s.resource(id), nil
}

// GetAll returns the resources that pass the filter.
func (s *storage) GetAll(_ *http.Request, params scim.ListRequestParams) (page scim.Page, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// The library panics when a filter compares a complex attribute, such as Entra's members eq "…".
	defer func() {
		if recover() != nil {
			page, err = scim.Page{}, errors.ScimErrorInvalidFilter
		}
	}()
	page = scim.Page{Resources: []scim.Resource{}}
	for _, id := range s.order {
		if params.FilterValidator != nil {
			whole := maps.Clone(s.rows[id].attributes)
			whole["id"] = id
			if params.FilterValidator.PassesFilter(whole) != nil {
				continue
			}
		}
		if page.TotalResults++; page.TotalResults >= params.StartIndex && len(page.Resources) < params.Count {
			page.Resources = append(page.Resources, s.resource(id))
		}
	}
	return page, nil
}

// Replace replaces all attributes of a resource.
func (s *storage) Replace(_ *http.Request, id string, attributes scim.ResourceAttributes) (scim.Resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find(id)
	if err == nil {
		r.attributes = attributes
		err = s.put(id, r)
	}
	if err != nil {
		return scim.Resource{}, err
	}
	return s.resource(id), nil
}

// Delete removes a resource.
func (s *storage) Delete(_ *http.Request, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.find(id); err != nil {
		return err
	}
	delete(s.rows, id)
	s.order = slices.DeleteFunc(s.order, func(other string) bool { return other == id })
	return nil
}

// Patch applies operations, all or none.
func (s *storage) Patch(_ *http.Request, id string, operations []scim.PatchOperation) (scim.Resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find(id)
	if err != nil {
		return scim.Resource{}, err
	}
	r.attributes = copyOf(map[string]any(r.attributes)).(map[string]any)
	for _, op := range operations {
		if err := apply(r.attributes, op); err != nil {
			return scim.Resource{}, err
		}
	}
	if err := s.put(id, r); err != nil {
		return scim.Resource{}, err
	}
	return s.resource(id), nil
}

func copyOf(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, inner := range v {
			m[key] = copyOf(inner)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, inner := range v {
			list[i] = copyOf(inner)
		}
		return list
	}
	return v
}

// apply carries out one operation on a resource.
func apply(resource map[string]any, op scim.PatchOperation) error {
	if op.Path == nil {
		values, is := op.Value.(map[string]any)
		if !is {
			return errors.ScimErrorInvalidValue
		}
		merge(resource, values, op.Op)
		return nil
	}
	path, holder := op.Path, resource
	if uri := path.AttributePath.URI(); strings.Contains(uri, ":extension:") {
		inner, is := resource[uri].(map[string]any)
		if !is {
			inner = map[string]any{}
			resource[uri] = inner
		}
		holder = inner
	}
	name := path.AttributePath.AttributeName
	switch {
	case path.ValueExpression != nil:
		return applyToElements(holder, name, path, op)
	case path.AttributePath.SubAttribute != nil:
		inner, is := holder[name].(map[string]any)
		if !is {
			inner = map[string]any{}
			holder[name] = inner
		}
		set(inner, *path.AttributePath.SubAttribute, op)
	default:
		set(holder, name, op)
	}
	return nil
}

// merge adds or replaces several attributes.
func merge(holder, values map[string]any, op string) {
	for name, value := range values {
		has, isMap := holder[name].(map[string]any)
		if more, is := value.(map[string]any); is && isMap {
			merge(has, more, op)
			continue
		}
		set(holder, name, scim.PatchOperation{Op: op, Value: value})
	}
}

// set gives an attribute a value, adds to its values, or removes it.
func set(holder map[string]any, name string, op scim.PatchOperation) {
	if op.Op == scim.PatchOperationRemove {
		delete(holder, name)
		return
	}
	list, isList := holder[name].([]any)
	more, several := op.Value.([]any)
	if op.Op == scim.PatchOperationAdd && (isList || several) {
		if !several {
			more = []any{op.Value}
		}
		for _, element := range more {
			if !slices.ContainsFunc(list, func(has any) bool { return sameValue(has, element) }) {
				list = append(list, element)
			}
		}
		holder[name] = list
		return
	}
	holder[name] = op.Value
}

func sameValue(a, b any) bool {
	x, isX := a.(map[string]any)
	y, isY := b.(map[string]any)
	return isX && isY && x["value"] != nil && x["value"] == y["value"] && x["type"] == y["type"]
}

// applyToElements changes the elements that the path's filter selects.
func applyToElements(holder map[string]any, name string, path *filter.Path, op scim.PatchOperation) error {
	condition, is := path.ValueExpression.(*filter.AttributeExpression)
	if !is || condition.Operator != filter.EQ {
		return errors.ScimErrorInvalidFilter
	}
	selected := func(e any) bool {
		element, _ := e.(map[string]any)
		has, there := element[condition.AttributePath.AttributeName]
		return there && strings.EqualFold(fmt.Sprint(has), fmt.Sprint(condition.CompareValue))
	}
	list, _ := holder[name].([]any)
	if !slices.ContainsFunc(list, selected) {
		if op.Op == scim.PatchOperationRemove {
			return nil
		}
		return errors.ScimErrorNoTarget // RFC 7644 §3.5.2.3
	}
	if op.Op == scim.PatchOperationRemove && path.SubAttribute == nil {
		holder[name] = slices.DeleteFunc(list, selected)
		return nil
	}
	for _, e := range list {
		element, _ := e.(map[string]any)
		values, whole := op.Value.(map[string]any)
		switch {
		case !selected(e):
		case path.SubAttribute != nil:
			set(element, *path.SubAttribute, op)
		case whole:
			merge(element, values, op.Op)
		default:
			return errors.ScimErrorInvalidValue
		}
	}
	return nil
}
