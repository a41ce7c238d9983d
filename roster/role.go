package roster

import (
	"strings"
)

// Role says what a person may do on a site. SCIM sends it as userType.
type Role string

const (
	RoleRegistered Role = "Registered" // the default role
	RoleModerator  Role = "Moderator"
	RoleAdmin      Role = "Admin"
)

// Roles returns every role, from the fewest rights to the most.
func Roles() []Role { return []Role{RoleRegistered, RoleModerator, RoleAdmin} }

// ParseRole reads the name of a role, ignoring case.
func ParseRole(text string) (Role, bool) {
	for _, r := range Roles() {
		if strings.EqualFold(text, string(r)) {
			return r, true
		}
	}
	return "", false
}
