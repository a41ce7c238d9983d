package roster

import (
	"strings"
)

// Role is what a person may do on a site, SCIM's userType.
type Role string

const (
	RoleRegistered Role = "Registered" // everybody's role unless given another
	RoleModerator  Role = "Moderator"
	RoleAdmin      Role = "Admin"
)

// Roles returns every role, the least first.
func Roles() []Role { return []Role{RoleRegistered, RoleModerator, RoleAdmin} }

// ParseRole reads a role in any letter case.
func ParseRole(text string) (Role, bool) {
	for _, r := range Roles() {
		if strings.EqualFold(text, string(r)) {
			return r, true
		}
	}
	return "", false
}
