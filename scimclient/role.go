package scimclient

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

// roleType is the value of "type" that Entra sends with application roles.
const roleType = "WindowsAzureActiveDirectoryRole"

// completeRoles adds the missing sub-attributes to the role in a new account, if the mapping writes
// a single role. As Entra does, it marks the role as primary and gives it a type.
func completeRoles(r scim.Resource, changes []provision.Change) {
	for _, ch := range changes {
		if ch.Roles != provision.SingleRole {
			continue
		}
		roles, _ := r["roles"].([]any)
		for _, e := range roles {
			if role, ok := e.(map[string]any); ok && fmt.Sprint(role["value"]) == fmt.Sprint(ch.New) {
				role["primary"] = true
				if _, set := role["type"]; !set {
					role["type"] = roleType
				}
			}
		}
	}
}

// roleOperation returns the operation that sends the new roles of a change. compliant says whether
// the Tenant URL has compliantFlag. Without this flag, the operation adds each role as a string
// that contains a JSON object, as Entra does.
func roleOperation(ch provision.Change, compliant bool) operation {
	if ch.Roles == provision.AllRoles {
		return operation{Op: "replace", Path: "roles", Value: ch.New}
	}
	var values []any
	for _, role := range newRoles(ch) {
		if compliant {
			values = append(values, role)
			continue
		}
		values = append(values, map[string]any{"value": roleAsJSON(fmt.Sprint(role["value"]), ch.Assigned)})
	}
	if compliant {
		return operation{Op: "add", Path: "roles", Value: values}
	}
	return operation{Op: "Add", Path: "roles", Value: values}
}

// newRoles returns the roles in the change that the account does not have yet.
func newRoles(ch provision.Change) []map[string]any {
	if name, single := ch.New.(string); single {
		return []map[string]any{{"primary": true, "type": roleType, "value": name}}
	}
	list, _ := ch.New.([]any)
	old, _ := ch.Old.([]any)
	var roles []map[string]any
	for _, e := range list {
		role, ok := e.(map[string]any)
		if ok && !slices.ContainsFunc(old, func(had any) bool {
			if m, complexValue := had.(map[string]any); complexValue {
				had = m["value"]
			}
			return fmt.Sprint(had) == fmt.Sprint(role["value"])
		}) {
			roles = append(roles, role)
		}
	}
	return roles
}

// roleAsJSON returns a role as a string that contains a JSON object. It takes the role's details
// from the assigned roles, if one of them has this name.
func roleAsJSON(name string, assigned []provision.AssignedRole) string {
	role := provision.AssignedRole{Value: name, DisplayName: name}
	for _, a := range assigned {
		if a.Name() == name {
			role = a
		}
	}
	text, err := json.Marshal(role)
	if err != nil { // cannot happen: strings always encode
		return name
	}
	return string(text)
}
