package scimclient

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

// createBody returns the body of a request that creates an account, in Entra's form. The body names
// the enterprise schema even if the account has no enterprise attribute. The attribute meta has
// only the resource type. An account without roles gets an empty list of roles. The work e-mail
// address is primary.
func createBody(paths *pathCache, changes []provision.Change, _ provision.Dialect) ([]byte, error) {
	r, err := resourceOf(paths, changes)
	if err != nil {
		return nil, err
	}
	markPrimary(r)
	completeRoles(r, changes)
	r["schemas"] = schemasOf(r)
	r["meta"] = map[string]any{"resourceType": "User"}
	if _, ok := r["roles"]; !ok {
		r["roles"] = []any{}
	}
	return marshal(r)
}

// schemasOf returns the value of the attribute "schemas" (RFC 7643 §3): the URNs of the core
// schema, of the enterprise extension, and of every other extension that has values in the
// resource.
func schemasOf(r scim.Resource) []any {
	urns := []any{scim.UserURN, scim.EnterpriseURN}
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if strings.Contains(name, ":") && !strings.EqualFold(name, scim.EnterpriseURN) {
			urns = append(urns, name)
		}
	}
	return urns
}

// resourceOf returns a new resource with the new values of the changes.
func resourceOf(paths *pathCache, changes []provision.Change) (scim.Resource, error) {
	r := scim.Resource{}
	for _, ch := range changes {
		p, err := paths.parse(ch.Path)
		if err == nil {
			err = p.Set(r, ch.New)
		}
		if err != nil {
			return nil, unwritableError(ch.Path, err)
		}
	}
	return r, nil
}

// pathCache remembers parsed attribute paths, because every create writes the same attributes.
type pathCache struct {
	mu     sync.Mutex
	parsed map[string]scim.Path
}

// parse returns the parsed path of an attribute.
func (c *pathCache) parse(text string) (scim.Path, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, known := c.parsed[text]; known {
		return p, nil
	}
	p, err := scim.ParsePath(nil, text, scim.Lenient)
	if err != nil {
		return p, err
	}
	if c.parsed == nil {
		c.parsed = map[string]scim.Path{}
	}
	c.parsed[text] = p
	return p, nil
}

// markPrimary marks the first work e-mail address as primary. If the mapping has set "primary" for
// it, markPrimary changes nothing.
func markPrimary(r scim.Resource) {
	emails, _ := r["emails"].([]any)
	for _, e := range emails {
		email, ok := e.(map[string]any)
		if !ok {
			continue
		}
		if kind, _ := email["type"].(string); strings.EqualFold(kind, "work") {
			if _, set := email["primary"]; !set {
				email["primary"] = true
			}
			return
		}
	}
}

// unwritableError is the error for a mapping to an attribute whose path SCIM cannot write.
func unwritableError(path string, err error) *provision.TargetError {
	return &provision.TargetError{
		Kind: provision.Permanent, Code: "SchemaAttributeNotFound", Err: err,
		Detail: fmt.Sprintf("The target attribute %q cannot be written: %v.", path, err),
		Advice: "Correct this target attribute in the mapping.",
	}
}
