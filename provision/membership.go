package provision

import (
	"strings"
)

// membersMark ends the id of the work on a group's memberships.
const membersMark = "#members"

// membersOf returns the id under which the work list knows the work on a group's memberships. It is
// work of its own, with its own lane and its own failures.
func membersOf(group string) string { return group + membersMark }

// groupOf returns the group if an id on the work list is about memberships.
func groupOf(id string) (group string, is bool) { return strings.CutSuffix(id, membersMark) }

// handOf returns the object that a target must not be asked to change twice at the same time.
func handOf(id string) string {
	group, _ := groupOf(id)
	return group
}
