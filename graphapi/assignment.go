package graphapi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/refusal"
)

// assignment is Graph's appRoleAssignment, with the properties that Rollcall has. In Rollcall a
// user or group has at most one assignment to an application, so the id of the assignment is the id
// of the user or group.
type assignment struct {
	Context       string  `json:"@odata.context,omitempty"`
	ID            string  `json:"id"`
	Deleted       *string `json:"deletedDateTime"` // always null: there are no deleted assignments
	RoleID        string  `json:"appRoleId"`
	PrincipalName string  `json:"principalDisplayName"`
	PrincipalID   string  `json:"principalId"`
	PrincipalType string  `json:"principalType"` // User or Group
	ResourceName  string  `json:"resourceDisplayName"`
	ResourceID    string  `json:"resourceId"`
}

// assignmentOf returns the assignment of a user or group in Graph's form.
func (c *call) assignmentOf(kind directory.Kind, id, name string, role directory.AppRole) assignment {
	return assignment{
		ID: id, RoleID: role.ID, PrincipalName: name, PrincipalID: id, PrincipalType: string(kind), ResourceName: c.app.Name, ResourceID: c.app.ID,
	}
}

// A skip token says where the next page of a list begins. Those of the list of assignments begin
// with one of these words: the next page begins with a user, or with a group.
const (
	usersNext  = "users:"
	groupsNext = "groups:"
)

// listAssignments answers with a page of the application's direct assignments: first the users,
// then the groups.
func (c *call) listAssignments() error {
	values, err := readQuery(c.r.URL.Query(), "$top", "$skiptoken")
	if err != nil {
		return err
	}
	limit, err := readTop(values.Get("$top"), usualPage, maxPage)
	if err != nil {
		return err
	}
	token := values.Get("$skiptoken")
	if token == "" {
		token = usersNext
	}
	var page []assignment
	next := ""
	if place, found := strings.CutPrefix(token, usersNext); found {
		if page, next, err = c.assignedUsers(place, limit); err != nil {
			return err
		}
		if next == "" {
			token = groupsNext
		}
	}
	if place, found := strings.CutPrefix(token, groupsNext); found {
		if len(page) == limit {
			next = groupsNext
		} else {
			groups, after, err := c.assignedGroups(place, limit-len(page))
			if err != nil {
				return err
			}
			page, next = append(page, groups...), after
		}
	} else if next == "" {
		return refuse(http.StatusBadRequest, codeBadRequest, "Invalid value for $skiptoken. Begin with the first page.")
	}
	out := collection[assignment]{Context: c.odataContext("servicePrincipals('%s')/appRoleAssignedTo", c.app.ID), Value: append([]assignment{}, page...)}
	if next != "" {
		values.Set("$skiptoken", next)
		out.Next = c.rootURL() + "/servicePrincipals/" + c.app.ID + "/appRoleAssignedTo?" + encodeQuery(values)
	}
	return c.answerOK(out)
}

// assignedUsers returns up to limit assignments of users, beginning at the cursor in place. next is
// the skip token of the next page; it is empty after the last user.
func (c *call) assignedUsers(place string, limit int) (all []assignment, next string, err error) {
	after, err := directory.ParseCursor(place)
	if err != nil {
		return nil, "", err
	}
	page, err := c.Assignments(c.r.Context(), c.app.ID, directory.UserQuery{After: after, Limit: limit})
	if err != nil {
		return nil, "", err
	}
	ids := make([]string, len(page.Users))
	for i, u := range page.Users {
		ids[i] = u.ObjectID
	}
	roles, err := c.RolesOf(c.r.Context(), c.app.ID, ids)
	if err != nil {
		return nil, "", err
	}
	for _, u := range page.Users {
		all = append(all, c.assignmentOf(directory.UserKind, u.ObjectID, u.DisplayName(), roles[u.ObjectID]))
	}
	if page.More {
		next = usersNext + page.Next.String()
	}
	return all, next, nil
}

// assignedGroups is like assignedUsers, for groups.
func (c *call) assignedGroups(place string, limit int) (all []assignment, next string, err error) {
	after, err := directory.ParseCursor(place)
	if err != nil {
		return nil, "", err
	}
	page, err := c.Groups(c.r.Context(), directory.GroupQuery{AssignedTo: c.app.ID, After: after, Limit: limit})
	if err != nil {
		return nil, "", err
	}
	ids := make([]string, len(page.Groups))
	for i, g := range page.Groups {
		ids[i] = g.ObjectID
	}
	roles, err := c.RolesOf(c.r.Context(), c.app.ID, ids)
	if err != nil {
		return nil, "", err
	}
	for _, g := range page.Groups {
		all = append(all, c.assignmentOf(directory.GroupKind, g.ObjectID, g.DisplayName(), roles[g.ObjectID]))
	}
	if page.More {
		next = groupsNext + page.Next.String()
	}
	return all, next, nil
}

// createAssignment assigns a user or group to the application. As in Graph, it answers with an
// error if the assignment exists already.
func (c *call) createAssignment() error {
	var body struct {
		PrincipalID string `json:"principalId"`
		ResourceID  string `json:"resourceId"`
		RoleID      string `json:"appRoleId"`
	}
	if err := c.readJSON(&body, false); err != nil {
		return err
	}
	if body.PrincipalID == "" || body.ResourceID == "" || body.RoleID == "" {
		return refuse(http.StatusBadRequest, codeMissing, "principalId, resourceId and appRoleId are needed: the ids of the user or group, of this service principal, and of one of its roles. The id of Default Access is %s.", directory.DefaultAccess.ID)
	}
	if !strings.EqualFold(body.ResourceID, c.app.ID) {
		return invalid("resourceId is '%s', but the address names the service principal '%s'.", toPrintable(body.ResourceID), c.app.ID)
	}
	ctx := c.r.Context()
	role, err := c.Role(ctx, c.app, body.RoleID)
	if err != nil || !strings.EqualFold(role.ID, body.RoleID) { // Role also finds a role by its name, and Graph does not
		if err != nil && !errors.Is(err, refusal.NotFound) {
			return err
		}
		return invalid("Permission being assigned was not found on application '%s'.", c.app.ID)
	}
	kind, id, name, err := c.findPrincipal(body.PrincipalID)
	if err != nil {
		return err
	}
	assigned, err := c.RolesOf(ctx, c.app.ID, []string{id})
	if err != nil {
		return err
	}
	if _, has := assigned[id]; has {
		return invalid("Permission being assigned already exists on the object. Delete the assignment first to give another role.")
	}
	if _, err := c.AssignRole(ctx, c.app.ID, role.ID, []string{id}, c.actor()); err != nil {
		return err
	}
	out := c.assignmentOf(kind, id, name, role)
	out.Context = c.odataContext("servicePrincipals('%s')/appRoleAssignedTo/$entity", c.app.ID)
	return c.answerCreated(out)
}

// findPrincipal returns the kind, id and name of the user or group with this object id.
func (c *call) findPrincipal(id string) (kind directory.Kind, objectID, name string, err error) {
	u, err := c.User(c.r.Context(), id)
	if err == nil {
		return directory.UserKind, u.ObjectID, u.DisplayName(), nil
	}
	if !errors.Is(err, refusal.NotFound) {
		return "", "", "", err
	}
	g, err := c.Group(c.r.Context(), id)
	if errors.Is(err, refusal.NotFound) {
		return "", "", "", noResource(id)
	}
	return directory.GroupKind, g.ObjectID, g.DisplayName(), err
}

// deleteAssignment removes the assignment whose id is in the path.
func (c *call) deleteAssignment() error {
	_, id, _, err := c.findPrincipal(c.params["appRoleAssignment"])
	if err != nil {
		return err
	}
	n, err := c.Unassign(c.r.Context(), c.app.ID, []string{id}, c.actor())
	if err != nil {
		return err
	}
	if n == 0 {
		return notFound("The application has no assignment '%s'.", toPrintable(c.params["appRoleAssignment"]))
	}
	return c.answerNoContent()
}
