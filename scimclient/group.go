package scimclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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

// groupBody returns the body for a new group in Entra's form: two schemas, meta with only the
// resource type, and no members. If the application is known to refuse the second schema, the body
// lists only the first.
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

// AddMembers adds members to a group. It sends one operation that lists all of them. If the
// application refuses Entra's form, AddMembers tries the plain form.
func (g groupClient) AddMembers(ctx context.Context, group string, members []string) error {
	spoken := g.Dialect()
	a, err := g.patchMembers(ctx, group, []operation{g.addMembersOperation(members, spoken)})
	if err != nil {
		return err
	}
	if a.mayRefuseForm() && !g.compliant && !spoken.BareMembers {
		other := provision.Dialect{BareMembers: true}
		again, err := g.patchMembers(ctx, group, []operation{g.addMembersOperation(members, other)})
		if err != nil {
			return err
		}
		if again.isSuccess() {
			g.addToDialect(other)
		}
		if again.isSuccess() || again.isTransient() {
			return g.checkMemberChange(again, group)
		}
	}
	return g.checkMemberChange(a, group)
}

// addMembersOperation returns the operation that adds members. Without the flag, Entra sends each
// member with "$ref": null.
func (g groupClient) addMembersOperation(members []string, d provision.Dialect) operation {
	if g.compliant {
		return operation{Op: "add", Path: "members", Value: memberValues(members, false)}
	}
	return operation{Op: "Add", Path: "members", Value: memberValues(members, !d.BareMembers)}
}

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
	if a.mayRefuseForm() && known == "" {
		again, err := g.patchMembers(ctx, group, g.removeOperations(members, other))
		if err != nil {
			return err
		}
		if again.isSuccess() {
			g.addToDialect(provision.Dialect{Removal: other})
		}
		if again.isSuccess() || again.isTransient() {
			return g.checkMemberChange(again, group)
		}
	}
	return g.checkMemberChange(a, group)
}

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
// was carried out. If a successful answer has a body, the body must be this group. The list of
// members in it is not checked, because it may be large.
func (g groupClient) checkMemberChange(a answer, group string) error {
	if !a.isSuccess() {
		return g.refusedWrite(a)
	}
	_, err := a.patchedAccount(group)
	return err
}

// HasMember reports whether a group has a member. It does this in the same way as Entra: it
// searches for a group with this id and this member. If the application does not support this
// search, it reads the group instead.
func (g groupClient) HasMember(ctx context.Context, group, member string) (bool, error) {
	has, err := g.searchMember(ctx, group, member)
	var te *provision.TargetError
	if !errors.As(err, &te) || te.Kind != provision.Unsearchable {
		return has, err
	}
	path, err := g.pathOf(group)
	if err != nil {
		return false, err
	}
	a, err := g.do(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return false, err
	}
	o, err := a.readAccount()
	if !a.isSuccess() || err != nil {
		return false, te
	}
	members, _ := o.Resource["members"].([]any)
	for _, m := range members {
		if m, ok := m.(map[string]any); ok && strings.EqualFold(fmt.Sprint(m["value"]), member) {
			g.listsMembers.Store(true)
			return true, nil
		}
	}
	if len(members) >= minListedMembers || !g.listsMembers.Load() {
		return false, te // the application may list only some of the members, or none
	}
	return false, nil
}

// minListedMembers is the assumed minimum number of members that an application lists if it lists
// members at all. So a list with fewer members is complete.
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
