package main

import (
	"encoding/json"
	"slices"
	"strings"
)

// URNs of schemas and messages.
const (
	userURN       = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupURN      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	patchURN      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

// normalizeResource returns a form of a resource in which equivalent resources are equal. Names are
// in lower case, and arrays are sorted. It drops unassigned values (RFC 7643 §2.5), "primary" if it
// is false, values that the server sets itself, and values that a server may add to a reference.
func normalizeResource(resource map[string]any) map[string]any {
	doc, _ := normalize("", resource).(map[string]any)
	if doc == nil {
		return map[string]any{}
	}
	// A server may keep the extension's URN even if the extension has no values left.
	if list, ok := doc["schemas"].([]any); ok && doc[strings.ToLower(enterpriseURN)] == nil {
		doc["schemas"] = slices.DeleteFunc(list, func(urn any) bool {
			text, _ := urn.(string)
			return strings.EqualFold(text, enterpriseURN)
		})
	}
	return doc
}

// isSetByServer reports whether the server sets a value itself, so that comparisons must ignore it.
// at is the name of the attribute that contains the value; it is empty for a whole resource.
func isSetByServer(at, name string, value any) bool {
	switch {
	case name == "primary" && value == false:
		return true
	case at == "":
		return name == "id" || name == "meta" || name == "groups"
	case at == "members":
		return name == "$ref" || name == "display" || name == "type"
	case at == "manager":
		return name == "$ref" || name == "displayname"
	}
	return false
}

// normalize returns the normalized form of a value, or nil if the value is dropped. at is the name
// of the attribute that contains the value; it is empty for a whole resource.
func normalize(at string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			name = strings.ToLower(name)
			if isSetByServer(at, name, value) {
				continue
			}
			if value = normalize(name, value); value != nil {
				out[name] = value
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		var out []any
		for _, e := range v {
			if e = normalize(at, e); e != nil {
				out = append(out, e)
			}
		}
		slices.SortFunc(out, func(a, b any) int { return strings.Compare(asJSON(a), asJSON(b)) })
		if len(out) == 0 {
			return nil
		}
		return out
	}
	return v
}

// dropDerived removes values from got that the server derived, if want does not have them: a
// default for active, and the formatted name.
func dropDerived(want, got map[string]any) {
	if _, asked := want["active"]; !asked && got["active"] == true {
		delete(got, "active")
	}
	wanted, _ := want["name"].(map[string]any)
	name, _ := got["name"].(map[string]any)
	if wanted["formatted"] == nil && name != nil {
		delete(name, "formatted")
		if len(name) == 0 {
			delete(got, "name")
		}
	}
}

// asJSON returns a value as JSON. The names in objects are sorted.
func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
