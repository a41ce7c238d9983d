package scimserver

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// The actions below serve resources of every type. The differences between the types are in their
// schemas.

// getResource answers with one resource.
func (x *exchange) getResource() (answer, error) {
	x.requestRow.Subject = x.resourceID()
	v, err := x.viewFromQuery()
	if err != nil {
		return answer{}, err
	}
	doc, groups, err := v.readForView()
	if err != nil {
		return answer{}, err
	}
	x.requestRow.UserName = nameOf(x.kind(), doc.JSON)
	if !v.ifMatchAllows(doc) { // RFC 9110 §13.1.1: If-Match applies to every method, including GET
		return answer{}, scim.PreconditionFailed("If-Match names another version than the current one, %s.", roster.ETag(doc.Version, groups))
	}
	x.requestRow.Sentence = "Found"
	if v.isUnchanged(doc, groups) {
		x.requestRow.Sentence = "Found, unchanged since the client's copy"
		return answer{status: http.StatusNotModified, location: x.locationOf(x.resourceType, doc.ID), etag: roster.ETag(doc.Version, groups)}, nil
	}
	return v.answerWithGroups(http.StatusOK, doc, groups)
}

// readForView reads the resource that the request names, with its groups if this view shows them.
func (v view) readForView() (doc roster.Document, groups []roster.Membership, err error) {
	if v.showsGroups {
		return v.exchange.roster.GetWithGroups(v.exchange.ctx, v.kind(), v.exchange.resourceID())
	}
	doc, err = v.exchange.roster.Get(v.exchange.ctx, v.kind(), v.exchange.resourceID())
	return doc, nil, err
}

// createResource creates the resource in the body, and answers with it.
func (x *exchange) createResource() (answer, error) {
	v, err := x.viewFromQuery()
	if err != nil {
		return answer{}, err
	}
	doc, members, err := x.decode(scim.DecodeNew)
	if err != nil {
		return answer{}, err
	}
	var out roster.Outcome
	if members != nil {
		out, err = x.roster.CreateGroup(x.ctx, doc, members, x.changeWithRow(http.StatusCreated))
	} else {
		out, err = x.roster.Create(x.ctx, x.kind(), doc, x.changeWithRow(http.StatusCreated))
	}
	if err != nil {
		return answer{}, err
	}
	x.keepWrittenRow(out.Request)
	v.showsGroups = v.showsGroups && !out.Created // a user that was created just now is in no group
	return v.answerWithResource(http.StatusCreated, out.Document)
}

// replaceResource replaces one resource by the one in the body, and answers with it.
func (x *exchange) replaceResource() (answer, error) {
	x.requestRow.Subject = x.resourceID()
	v, err := x.viewFromQuery()
	if err != nil {
		return answer{}, x.preferNotFound(err)
	}
	doc, members, err := x.decode(scim.Decode)
	if err != nil {
		return answer{}, x.preferNotFound(err)
	}
	by, err := v.conditionalChange(http.StatusOK)
	if err != nil {
		return answer{}, err
	}
	by.ShowsGroups = v.showsGroups
	var out roster.Outcome
	if members != nil {
		out, err = x.roster.ReplaceGroup(x.ctx, x.resourceID(), doc, members, by)
	} else {
		out, err = x.roster.Replace(x.ctx, x.kind(), x.resourceID(), doc, by)
	}
	if err != nil {
		return answer{}, err
	}
	x.keepWrittenRow(out.Request)
	return v.answerWithGroups(http.StatusOK, out.Document, out.Groups)
}

// patchResource changes one resource. It answers with the whole resource, because administrators
// read it and some clients compare it with the values that they sent. For a group with many
// members, it answers with the status alone.
func (x *exchange) patchResource() (answer, error) {
	x.requestRow.Subject = x.resourceID()
	v, err := x.viewFromQuery()
	if err != nil {
		return answer{}, x.preferNotFound(err)
	}
	requestBody, err := x.readBody(MaxBody)
	if err != nil {
		return answer{}, err
	}
	patch, fixes, err := scim.DecodePatch(x.resourceType, requestBody, x.mode)
	x.addFixes(fixes)
	if err == nil {
		err = x.checkPatchFilters(patch)
	}
	if err != nil {
		return answer{}, x.preferNotFound(err)
	}
	if patch.NeedsShownForms() {
		if err := x.setShownForms(patch); err != nil {
			return answer{}, err
		}
	}
	by, err := v.conditionalChange(http.StatusOK)
	if err != nil {
		return answer{}, err
	}
	by.LargeGroup, by.ShowsGroups = v.largeGroup(), v.showsGroups
	by.Locations = map[scim.TypeName]string{roster.User: v.baseLocation(roster.User), roster.Group: v.baseLocation(roster.Group)}
	out, err := x.roster.Patch(x.ctx, x.kind(), x.resourceID(), patch, by)
	if err != nil {
		return answer{}, err
	}
	x.keepWrittenRow(out.Request)
	if out.Request.Status == http.StatusNoContent {
		return answer{status: http.StatusNoContent, location: x.locationOf(x.resourceType, out.Document.ID), etag: roster.ETag(out.Document.Version, nil)}, nil
	}
	return v.answerWithGroups(http.StatusOK, out.Document, out.Groups)
}

// checkPatchFilters returns invalidPath for a filter on an attribute that is not stored, because
// such a filter can never match.
func (x *exchange) checkPatchFilters(patch *scim.Patch) error {
	for _, op := range patch.Operations {
		if op.Path.Filter == nil {
			continue
		}
		for _, p := range scim.Paths(op.Path.Filter) {
			path := scim.AttrPath{URN: op.Path.URN, Name: op.Path.Name, Sub: p.Name}
			if isAddress(x.resourceType, path) {
				return scim.InvalidPath("%s selects by an address. Addresses are built for each answer and not stored; select by value.", op.Path)
			}
			if x.resourceType.NeverSet(path) {
				return scim.InvalidPath("%s selects by %s, which no resource here has: clients cannot set it, and this server does not.", op.Path, path)
			}
		}
	}
	return nil
}

// setShownForms gives the patch the resource in both forms in which a GET shows it: with groups and
// without groups. If the patch sets a readOnly attribute to the value that one of these forms has,
// the attribute counts as unchanged, so that this is no error.
func (x *exchange) setShownForms(patch *scim.Patch) error {
	all := newQuery()
	without := newQuery()
	without.excludedAttributes = []string{"groups"}
	var shown []scim.Resource
	for _, q := range []query{all, without} {
		v, err := x.viewOf(x.resourceType, q)
		if err != nil {
			return err
		}
		doc, groups, err := v.readForView()
		if err != nil {
			return err
		}
		rendered, err := v.appendResource(nil, doc, groups)
		if err != nil {
			return err
		}
		r, err := scim.Parse(rendered)
		if err != nil {
			return fmt.Errorf("read shown %s %s: %w", x.resourceType.Name, doc.ID, err)
		}
		if shown = append(shown, r); x.kind() != roster.User {
			break
		}
	}
	patch.SetShownForms(shown...)
	return nil
}

// preferNotFound replaces a 400 with 404 if the resource does not exist: a missing resource matters
// more than other mistakes in the request. It returns all other errors unchanged.
func (x *exchange) preferNotFound(err error) error {
	e := toSCIMError(err)
	if e == nil || e.Status != http.StatusBadRequest {
		return err
	}
	if _, missing := x.roster.Get(x.ctx, x.kind(), x.resourceID()); errors.Is(missing, refusal.NotFound) {
		return missing
	}
	return err
}

// smallGroupMembers is the largest number of members of a group for which a PATCH may answer with
// the whole group.
const smallGroupMembers = 100

// largeGroup returns the number of members from which on a group counts as large, and the status of
// the answer to a PATCH of a large group, which is 204, without a body. The answer to any other
// PATCH is 200 with the resource.
//
// RFC 7644 §3.5.2: the server may leave the resource out, but not if the client names attributes.
// Entra advises against returning a group's members and reads only the status. So every group
// counts as large, unless the client's Accept header names JSON; then those of up to
// smallGroupMembers members do not.
func (v view) largeGroup() roster.LargeGroupStatus {
	switch {
	case v.kind() != roster.Group || v.projectionGiven:
		return roster.LargeGroupStatus{}
	case v.exchange.acceptsJSON:
		return roster.LargeGroupStatus{MinMembers: smallGroupMembers + 1, Status: http.StatusNoContent}
	}
	return roster.LargeGroupStatus{MinMembers: 0, Status: http.StatusNoContent}
}

// deleteResource deletes one resource.
func (x *exchange) deleteResource() (answer, error) {
	x.requestRow.Subject = x.resourceID()
	v, err := x.viewOf(x.resourceType, newQuery())
	if err != nil {
		return answer{}, err
	}
	by, err := v.conditionalChange(http.StatusNoContent)
	if err != nil {
		return answer{}, err
	}
	out, err := x.roster.Delete(x.ctx, x.kind(), x.resourceID(), by)
	if err != nil {
		return answer{}, err
	}
	x.keepWrittenRow(out.Request)
	return answer{status: http.StatusNoContent}, nil
}

// decode reads the body of a POST or PUT with the function read. For a group, which may have many
// members, it uses decodeGroup instead. members is nil if the body is not a group.
func (x *exchange) decode(read func(*scim.ResourceType, []byte, scim.Mode) (scim.Resource, []scim.Fix, error)) (doc scim.Resource, members *roster.MemberList, err error) {
	if x.kind() == roster.Group {
		members = new(roster.MemberList)
		doc, err = x.decodeGroup(members)
	} else {
		var text []byte
		var fixes []scim.Fix
		if text, err = x.readBody(MaxBody); err != nil {
			return nil, nil, err
		}
		doc, fixes, err = read(x.resourceType, text, x.mode)
		x.addFixes(fixes)
	}
	if err != nil {
		return nil, nil, err
	}
	x.requestRow.UserName = doc.String(nameAttribute(x.kind()))
	return doc, members, nil
}

// listResources answers a GET of the endpoint.
func (x *exchange) listResources() (answer, error) {
	q, err := parseQuery(x.place.query)
	if err != nil {
		return answer{}, err
	}
	return x.answerQuery(q)
}

// searchResources answers a POST to the endpoint's .search.
func (x *exchange) searchResources() (answer, error) {
	q, err := x.readSearchRequest()
	if err != nil {
		return answer{}, err
	}
	return x.answerQuery(q)
}

// readSearchRequest reads the query in the body of a POST to .search.
func (x *exchange) readSearchRequest() (query, error) {
	text, err := x.readBody(MaxBody)
	if err != nil {
		return query{}, err
	}
	return x.parseSearch(text)
}

// answerQuery answers a query over the resource type of the endpoint.
func (x *exchange) answerQuery(q query) (answer, error) {
	if err := q.limitPage(); err != nil {
		return answer{}, err
	}
	filter, fixes, err := q.parseFilter(x.resourceType, x.mode)
	x.addFixes(fixes)
	if err != nil {
		return answer{}, err
	}
	v, err := x.viewOf(x.resourceType, q)
	if err != nil {
		return answer{}, err
	}
	order, err := q.parseOrder(x.resourceType)
	if err != nil {
		return answer{}, err
	}
	x.addFixes(q.fixes)
	page, err := x.roster.List(x.ctx, roster.Query{
		Kind: x.kind(), Filter: filter, StartIndex: q.startIndex, Count: q.count,
		SortBy: order, ByCursor: q.usesCursor, Cursor: q.cursor,
	})
	if err != nil {
		return answer{}, err
	}
	x.describeQuery(filter, page)
	l := listing{query: q, total: page.TotalResults, nextCursor: page.NextCursor, previousCursor: page.PreviousCursor}
	l.add(v, page.Documents...)
	return x.renderListing(l)
}
