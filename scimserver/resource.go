package scimserver

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// These handlers serve resources of every type. The schemas define the differences between types.

func (x *exchange) getResource() (answer, error) {
	x.requestRow.Subject = x.resourceID()
	v, err := x.viewFromQuery()
	if err != nil {
		return answer{}, err
	}
	doc, groups, err := v.readShown()
	if err != nil {
		return answer{}, err
	}
	x.requestRow.UserName = nameOf(x.kind(), doc.JSON)
	if !v.ifMatchAllows(doc) { // RFC 9110 §13.1.1: If-Match applies to every method, so also to GET
		return answer{}, scim.PreconditionFailed("If-Match names another version than the current one, %s.", roster.ETag(doc.Version, groups))
	}
	x.requestRow.Sentence = "Found"
	if v.isUnchanged(doc, groups) {
		x.requestRow.Sentence = "Found, unchanged since the client's copy"
		return answer{status: http.StatusNotModified, location: x.locationOf(x.resourceType, doc.ID), etag: roster.ETag(doc.Version, groups)}, nil
	}
	return v.answerWithGroups(http.StatusOK, doc, map[string][]roster.Membership{doc.ID: groups})
}

// readShown reads the resource of the request, with its groups if this view shows them.
func (v view) readShown() (doc roster.Document, groups []roster.Membership, err error) {
	if v.showsGroups {
		return v.exchange.roster.GetWithGroups(v.exchange.ctx, v.kind(), v.exchange.resourceID())
	}
	doc, err = v.exchange.roster.Get(v.exchange.ctx, v.kind(), v.exchange.resourceID())
	return doc, nil, err
}

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
	x.takeRow(out.Request)
	v.showsGroups = v.showsGroups && !out.Created // a new user is in no group
	return v.answerWith(http.StatusCreated, out.Document)
}

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
	var out roster.Outcome
	if members != nil {
		out, err = x.roster.ReplaceGroup(x.ctx, x.resourceID(), doc, members, by)
	} else {
		out, err = x.roster.Replace(x.ctx, x.kind(), x.resourceID(), doc, by)
	}
	if err != nil {
		return answer{}, err
	}
	x.takeRow(out.Request)
	return v.answerWith(http.StatusOK, out.Document)
}

// patchResource answers with the whole resource, because administrators read it and some clients
// compare it with what they sent. For a group with many members, it answers with the status alone.
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
	by.LargeGroup = v.largeGroup()
	by.Locations = map[scim.TypeName]string{roster.User: v.baseLocation(roster.User), roster.Group: v.baseLocation(roster.Group)}
	out, err := x.roster.Patch(x.ctx, x.kind(), x.resourceID(), patch, by)
	if err != nil {
		return answer{}, err
	}
	x.takeRow(out.Request)
	if out.Request.Status == http.StatusNoContent {
		return answer{status: http.StatusNoContent, location: x.locationOf(x.resourceType, out.Document.ID), etag: roster.ETag(out.Document.Version, nil)}, nil
	}
	return v.answerWith(http.StatusOK, out.Document)
}

// checkPatchFilters returns invalidPath for filters on attributes that are not stored, because such
// filters could never match.
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

// setShownForms tells the patch both forms in which a GET shows the resource: with groups and
// without. A readOnly value that equals the value in one of the forms counts as unchanged.
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
		doc, groups, err := v.readShown()
		if err != nil {
			return err
		}
		rendered, err := v.renderWithGroups(map[string][]roster.Membership{doc.ID: groups}, doc)
		if err != nil {
			return err
		}
		r, err := scim.Parse(rendered[0])
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

// preferNotFound returns 404 in place of a 400 when the resource does not exist, even if the
// request has other mistakes. Other errors come back unchanged.
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

// smallGroup is the largest number of members with which a PATCH answers with the whole group.
const smallGroup = 100

// largeGroup returns the number of members from which a group counts as large. A PATCH of a large
// group is answered with 204 and no body, any other PATCH with 200 and the resource.
//
// RFC 7644 §3.5.2: the resource may be left out, but not when the client names attributes. Entra
// advises against returning a group's members and reads only the status. A client whose Accept
// header names JSON gets a group of up to smallGroup members.
func (v view) largeGroup() roster.LargeGroup {
	switch {
	case v.kind() != roster.Group || v.projectionGiven:
		return roster.LargeGroup{}
	case v.exchange.acceptsJSON:
		return roster.LargeGroup{Members: smallGroup + 1, Status: http.StatusNoContent}
	}
	return roster.LargeGroup{Members: 0, Status: http.StatusNoContent}
}

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
	x.takeRow(out.Request)
	return answer{status: http.StatusNoContent}, nil
}

// decode reads the body of a POST or PUT with the given function. members is nil unless the body is
// a group.
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

func (x *exchange) listResources() (answer, error) {
	q, err := parseQuery(x.place.query)
	if err != nil {
		return answer{}, err
	}
	return x.answerQuery(q)
}

func (x *exchange) searchResources() (answer, error) {
	q, err := x.readSearchRequest()
	if err != nil {
		return answer{}, err
	}
	return x.answerQuery(q)
}

func (x *exchange) readSearchRequest() (query, error) {
	text, err := x.readBody(MaxBody)
	if err != nil {
		return query{}, err
	}
	return x.parseSearch(text)
}

// answerQuery answers a query over one resource type.
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
		SortBy: order, ByCursor: q.byCursor, Cursor: q.cursor,
	})
	if err != nil {
		return answer{}, err
	}
	x.describeQuery(filter, page)
	l := listing{query: q, total: page.TotalResults, nextCursor: page.NextCursor, previousCursor: page.PreviousCursor}
	l.add(v, page.Documents...)
	return x.renderListing(l)
}
