package scimclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

// entraGroupURN is the second schema that Entra lists when it creates a group.
const entraGroupURN = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"

// groupClient is the client for groups. Its own methods change and look up members; all other
// methods are those of Client.
type groupClient struct{ *Client }

// Groups returns the client for the application's groups.
func (c *Client) Groups() provision.GroupTarget { return groupClient{c.groups} }

// groupBody returns the body of a request that creates a group, in Entra's form: two schemas, meta
// with only the resource type, and no members. If the dialect says that the application refuses the
// second schema, the body lists only the first.
func groupBody(paths *pathCache, changes []provision.Change, d provision.Dialect) ([]byte, error) {
	r, err := resourceOf(paths, changes)
	if err != nil {
		return nil, err
	}
	r["schemas"] = []any{scim.GroupURN, entraGroupURN}
	if d.PlainGroups {
		r["schemas"] = []any{scim.GroupURN}
	}
	r["meta"] = map[string]any{"resourceType": "Group"}
	return marshal(r)
}

// ListWithMembers returns a page of all groups with their members, as far as the application shows
// them.
func (g groupClient) ListWithMembers(ctx context.Context, start, count int) (provision.ObjectPage, error) {
	a, err := g.do(ctx, http.MethodGet, g.resourceType.path, fmt.Sprintf("startIndex=%d&count=%d", start, count), nil)
	if err != nil {
		return provision.ObjectPage{}, err
	}
	return g.readList(a)
}

// AddMembers adds members to a group with one operation that lists all of them. If the application
// refuses Entra's form of the operation, AddMembers tries it without "$ref".
func (g groupClient) AddMembers(ctx context.Context, group string, members []string) error {
	g.removed.Delete(group)
	spoken := g.Dialect()
	a, err := g.patchMembers(ctx, group, []operation{g.addMembersOperation(members, spoken)})
	if err != nil {
		return err
	}
	if a.mayAcceptOtherForm() && !g.compliant && !spoken.BareMembers {
		other := provision.Dialect{BareMembers: true}
		again, err := g.patchMembers(ctx, group, []operation{g.addMembersOperation(members, other)})
		if err != nil {
			return err
		}
		if again.isSuccess() {
			g.addToDialect(other)
		}
		if again.isSuccess() || again.isTransient() {
			return g.checkMemberChange(again, group, members, false)
		}
	}
	return g.checkMemberChange(a, group, members, false)
}

// addMembersOperation returns the operation that adds members. If the Tenant URL has no flag, Entra
// sends each member with "$ref": null.
func (g groupClient) addMembersOperation(members []string, d provision.Dialect) operation {
	if g.compliant {
		return operation{Op: "add", Path: "members", Value: memberValues(members, false)}
	}
	return operation{Op: "Add", Path: "members", Value: memberValues(members, !d.BareMembers)}
}

// memberValues returns the value of an operation on members. refs says whether each member has
// "$ref": null.
func memberValues(members []string, refs bool) []any {
	values := make([]any, len(members))
	for i, id := range members {
		v := map[string]any{"value": id}
		if refs {
			v["$ref"] = nil
		}
		values[i] = v
	}
	return values
}

// RemoveMembers removes members from a group. If the application refuses one form of the
// request, it tries the other form. Both forms name the members to remove. RemoveMembers never
// sends a remove with only the path "members", because that would empty the group (RFC 7644
// §3.5.2.2).
func (g groupClient) RemoveMembers(ctx context.Context, group string, members []string) error {
	if len(members) == 0 {
		return nil
	}
	g.removed.Store(group, members)
	form, other := provision.RemoveByValue, provision.RemoveByFilter
	if g.compliant {
		form, other = other, form
	}
	known := g.Dialect().Removal
	if known == other {
		form, other = other, form
	}
	a, err := g.patchMembers(ctx, group, g.removeOperations(members, form))
	if err != nil {
		return err
	}
	if a.mayAcceptOtherForm() && known == "" {
		again, err := g.patchMembers(ctx, group, g.removeOperations(members, other))
		if err != nil {
			return err
		}
		if again.isSuccess() {
			g.addToDialect(provision.Dialect{Removal: other})
		}
		if again.isSuccess() || again.isTransient() {
			return g.checkMemberChange(again, group, members, true)
		}
	}
	return g.checkMemberChange(a, group, members, true)
}

// removeOperations returns the operations that remove members, in one of the two forms: one
// operation with a list of the members, or one operation for each member, whose path names it.
func (g groupClient) removeOperations(members []string, form provision.RemovalForm) []operation {
	op := "Remove"
	if g.compliant {
		op = "remove"
	}
	if form == provision.RemoveByValue {
		return []operation{{Op: op, Path: "members", Value: memberValues(members, false)}}
	}
	ops := make([]operation, len(members))
	for i, id := range members {
		ops[i] = operation{Op: op, Path: "members[value eq " + quoteJSON(id) + "]"}
	}
	return ops
}

// patchMembers sends operations on the members of a group.
func (g groupClient) patchMembers(ctx context.Context, group string, ops []operation) (answer, error) {
	path, err := g.pathOf(group)
	if err != nil {
		return answer{}, err
	}
	body, err := marshal(patchMessage{Schemas: []string{scim.PatchOpURN}, Operations: ops})
	if err != nil {
		return answer{}, err
	}
	return g.do(ctx, http.MethodPatch, path, "", body)
}

// checkMemberChange returns the error for an answer to a change of members, or nil if the change
// was carried out. If a successful answer has a body, the body must be this group. If the body
// lists members, they must not contradict the change.
func (g groupClient) checkMemberChange(a answer, group string, members []string, removed bool) error {
	if !a.isSuccess() {
		return g.refusedWrite(a)
	}
	o, err := a.patchedAccount(group)
	if err != nil {
		return err
	}
	if id := contradictingMember(o.Resource, members, removed); id != "" {
		what := "to a change of members with a group that does not have the new member " + id
		if removed {
			what = "to a change of members with a group that still has the removed member " + id
		}
		te := a.notSCIMError("answered " + what)
		te.Sent, te.Unchanged = true, true
		te.Advice = "The members were not changed. This is tried again. Ask the makers of the application why it ignores the change."
		return te
	}
	return nil
}

// contradictingMember returns the id of a changed member that shows that the change was not made:
// the group still lists a removed member, or does not list an added member. It returns "" if there
// is no such member, or if the group may list only some of its members.
func contradictingMember(r scim.Resource, members []string, removed bool) string {
	listed, known := listedMembers(r)
	if !known || !removed && len(listed) >= minListedMembers {
		return ""
	}
	for _, id := range members {
		if listed[strings.ToLower(id)] == removed {
			return id
		}
	}
	return ""
}

// listedMembers returns the ids of the members that a group lists, in lower case. known is false if
// it lists none.
func listedMembers(r scim.Resource) (ids map[string]bool, known bool) {
	members, _ := r["members"].([]any)
	ids = make(map[string]bool, len(members))
	for _, m := range members {
		if m, ok := m.(map[string]any); ok {
			ids[strings.ToLower(fmt.Sprint(m["value"]))] = true
		}
	}
	return ids, len(ids) > 0
}

// memberSearch says whether the application can be searched for one member of a group.
type memberSearch int32

// States of the search for one member.
const (
	searchUntested memberSearch = iota // it is not known yet whether the application answers correctly
	searchProved                       // the application has found a member, and has not found a random id that no member has
	searchBroken                       // an answer was wrong, so the search is no longer used
)

// HasMember reports whether a group has a member. Like Entra, it searches for a group with this id
// and this member. If the application does not support this search, it reads the group instead.
// Some applications ignore the part of the filter about the member, and so find every member. So if
// a member is found that was just removed, HasMember also searches for a random id that no member
// has. If that is found too, it no longer uses the search.
func (g groupClient) HasMember(ctx context.Context, group, member string) (bool, error) {
	if memberSearch(g.memberSearch.Load()) == searchBroken {
		return g.listsMember(ctx, group, member)
	}
	has, err := g.searchMember(ctx, group, member)
	var te *provision.TargetError
	switch {
	case errors.As(err, &te) && te.Kind == provision.Unsearchable:
		return g.listsMember(ctx, group, member)
	case te != nil && te.Status == http.StatusInternalServerError:
		if lists, err := g.listsMember(ctx, group, member); err == nil {
			return lists, nil
		}
		return false, te
	case err != nil, memberSearch(g.memberSearch.Load()) == searchProved:
		return has, err
	case has && !g.justRemoved(group, member):
		return true, nil
	case has:
		nobody, err := g.searchMember(ctx, group, g.newID())
		switch {
		case err != nil:
			return false, err
		case nobody: // the application ignores which member the filter names
			g.memberSearch.Store(int32(searchBroken))
			return g.listsMember(ctx, group, member)
		}
		g.memberSearch.Store(int32(searchProved))
		return true, nil
	case g.justRemoved(group, member):
		return false, nil
	}
	if lists, err := g.listsMember(ctx, group, member); err == nil && lists {
		g.memberSearch.Store(int32(searchBroken)) // the search does not find a member that the group lists
		return true, nil
	}
	return false, nil
}

// justRemoved reports whether the last request that removed members from a group removed this one.
func (g groupClient) justRemoved(group, member string) bool {
	ids, _ := g.removed.Load(group)
	removed, _ := ids.([]string)
	return slices.Contains(removed, member)
}

// listsMember reports whether a group lists a member. It returns an error of kind Unsearchable if
// the group may list only some of its members, or none.
func (g groupClient) listsMember(ctx context.Context, group, member string) (bool, error) {
	path, err := g.pathOf(group)
	if err != nil {
		return false, err
	}
	a, err := g.do(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return false, err
	}
	if !a.isSuccess() {
		return false, a.toError() // a gateway's answer, for example, proves nothing
	}
	o, err := a.readAccount()
	if err != nil {
		return false, memberSearchError(a, err.Error())
	}
	listed, shows := listedMembers(o.Resource)
	if shows {
		g.listsMembers.Store(true)
	}
	if listed[strings.ToLower(member)] {
		return true, nil
	}
	if len(listed) >= minListedMembers || !g.listsMembers.Load() {
		return false, memberSearchError(a, "It may list only some of the members.")
	}
	return false, nil
}

// minListedMembers is the number of members of a group that an application is assumed to list at
// least, if it lists members at all. So a list with fewer members is complete.
const minListedMembers = 50

// searchMember searches for a group with this id and this member. It returns an error of kind
// Unsearchable if the application does not support such a search.
func (g groupClient) searchMember(ctx context.Context, group, member string) (bool, error) {
	filter := "id eq " + quoteJSON(group) + " and members eq " + quoteJSON(member)
	a, err := g.do(ctx, http.MethodGet, g.resourceType.path, "filter="+url.QueryEscape(filter)+"&attributes=id", nil)
	switch {
	case err != nil:
		return false, err
	case a.status == http.StatusBadRequest, a.status == http.StatusNotFound, a.status == http.StatusNotImplemented, a.status == http.StatusMethodNotAllowed:
		return false, memberSearchError(a, fmt.Sprintf("It answered %d.", a.status))
	case !a.isSuccess():
		return false, a.toError()
	}
	var list struct {
		TotalResults json.Number      `json:"totalResults"`
		Resources    *json.RawMessage `json:"Resources"`
	}
	if err := json.Unmarshal(a.body, &list); err != nil || list.Resources == nil && list.TotalResults == "" {
		return false, memberSearchError(a, "Its answer is not a SCIM list.")
	}
	if list.Resources == nil {
		return false, nil
	}
	found, _, err := decodeObjects(*list.Resources)
	switch {
	case err != nil:
		return false, memberSearchError(a, err.Error())
	case len(found) == 0:
		return false, nil
	case len(found) > 1 || !strings.EqualFold(found[0].ID, group):
		return false, memberSearchError(a, "It answered with other groups.")
	}
	return true, nil
}

// memberSearchError is the error for an application that does not support a search for one member
// of a group.
func memberSearchError(a answer, why string) *provision.TargetError {
	return &provision.TargetError{
		Kind: provision.Unsearchable, Code: codeIncompatible, Status: a.status, Request: a.request,
		Detail: "The application cannot be asked whether a group has a member. " + why,
	}
}
