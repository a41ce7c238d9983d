package scimserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// What can be done with resources, whatever their type: their schemas decide the rest.

func (x *exchange) get() (answer, error) {
	x.row.Subject = x.id()
	v, err := x.view()
	if err != nil {
		return answer{}, err
	}
	doc, groups, err := v.read()
	if err != nil {
		return answer{}, err
	}
	x.row.UserName = nameOf(x.kind(), doc.JSON)
	if !v.matches(doc) { // RFC 9110 §13.1.1: whatever the method is
		return answer{}, scim.PreconditionFailed("If-Match names another version than the current one, %s.", roster.ETag(doc.Version, groups))
	}
	x.row.Sentence = "Found"
	if v.known(doc, groups) {
		x.row.Sentence = "Found, unchanged since the client's copy"
		return answer{status: http.StatusNotModified, location: x.locationOf(x.rt, doc.ID), etag: roster.ETag(doc.Version, groups)}, nil
	}
	return v.oneWith(http.StatusOK, doc, map[string][]roster.Membership{doc.ID: groups})
}

// read reads the resource that the request names, with its groups where this view shows them.
func (v view) read() (doc roster.Document, groups []roster.Membership, err error) {
	if v.groups {
		return v.roster.GetWithGroups(v.ctx, v.kind(), v.id())
	}
	doc, err = v.roster.Get(v.ctx, v.kind(), v.id())
	return doc, nil, err
}

func (x *exchange) create() (answer, error) {
	v, err := x.view()
	if err != nil {
		return answer{}, err
	}
	doc, members, err := x.decode(scim.DecodeNew)
	if err != nil {
		return answer{}, err
	}
	var out roster.Outcome
	if members != nil {
		out, err = x.roster.CreateGroup(x.ctx, doc, members, x.change(always(http.StatusCreated)))
	} else {
		out, err = x.roster.Create(x.ctx, x.kind(), doc, x.change(always(http.StatusCreated)))
	}
	if err != nil {
		return answer{}, err
	}
	v.groups = v.groups && !out.Created // nobody is in a group when they are made
	return v.one(http.StatusCreated, out.Document)
}

func (x *exchange) replace() (answer, error) {
	x.row.Subject = x.id()
	v, err := x.view()
	if err != nil {
		return answer{}, x.missingFirst(err)
	}
	doc, members, err := x.decode(scim.Decode)
	if err != nil {
		return answer{}, x.missingFirst(err)
	}
	by, err := v.conditional(always(http.StatusOK))
	if err != nil {
		return answer{}, err
	}
	var out roster.Outcome
	if members != nil {
		out, err = x.roster.ReplaceGroup(x.ctx, x.id(), doc, members, by)
	} else {
		out, err = x.roster.Replace(x.ctx, x.kind(), x.id(), doc, by)
	}
	if err != nil {
		return answer{}, err
	}
	return v.one(http.StatusOK, out.Document)
}

// patch answers with the whole resource, which administrators and clients that compare read, or for a group with its
// status alone, as its members may be many.
func (x *exchange) patch() (answer, error) {
	x.row.Subject = x.id()
	v, err := x.view()
	if err != nil {
		return answer{}, x.missingFirst(err)
	}
	text, err := x.readBody(MaxBody)
	if err != nil {
		return answer{}, err
	}
	patch, fixes, err := scim.DecodePatch(x.rt, text, x.mode)
	x.fixed(fixes)
	if err == nil {
		err = x.selects(patch)
	}
	if err != nil {
		return answer{}, x.missingFirst(err)
	}
	if patch.AsksShown() {
		if err := x.compareWithShown(patch); err != nil {
			return answer{}, err
		}
	}
	by, err := v.conditional(v.patched)
	if err != nil {
		return answer{}, err
	}
	by.At = func(kind roster.Kind, id string) string { return v.at(kind) + id }
	by.CountMembers = smallGroup + 1
	out, err := x.roster.Patch(x.ctx, x.kind(), x.id(), patch, by)
	if err != nil {
		return answer{}, err
	}
	if v.patched(out) == http.StatusNoContent {
		return answer{status: http.StatusNoContent, location: x.locationOf(x.rt, out.Document.ID), etag: roster.ETag(out.Document.Version, nil)}, nil
	}
	return v.one(http.StatusOK, out.Document)
}

// selects refuses a PATCH whose filters ask for what is nowhere stored: they could never match.
func (x *exchange) selects(patch *scim.Patch) error {
	for _, op := range patch.Operations {
		if op.Path.Filter == nil {
			continue
		}
		for _, p := range scim.Paths(op.Path.Filter) {
			at := scim.AttrPath{URN: op.Path.URN, Name: op.Path.Name, Sub: p.Name}
			if addressOnly(x.rt, at) {
				return scim.InvalidPath("%s selects by an address, which is made for each answer; select by value.", op.Path)
			}
			if x.rt.NeverSet(at) {
				return scim.InvalidPath("%s selects by %s, which nothing here has: a client cannot set it, and neither does this server.", op.Path, at)
			}
		}
	}
	return nil
}

// compareWithShown tells a patch how a GET shows the resource, with groups and without: a readOnly value that is the same is
// no change.
func (x *exchange) compareWithShown(patch *scim.Patch) error {
	all := newQuery()
	without := newQuery()
	without.excluded = []string{"groups"}
	var shown []scim.Resource
	for _, q := range []query{all, without} {
		v, err := x.viewOf(x.rt, q)
		if err != nil {
			return err
		}
		doc, groups, err := v.read()
		if err != nil {
			return err
		}
		texts, err := v.renderWith(map[string][]roster.Membership{doc.ID: groups}, doc)
		if err != nil {
			return err
		}
		r, err := scim.Parse(texts[0])
		if err != nil {
			return fmt.Errorf("read shown %s %s: %w", x.rt.Name, doc.ID, err)
		}
		if shown = append(shown, r); x.kind() != roster.User {
			break
		}
	}
	patch.Shown(shown...)
	return nil
}

// missingFirst is the error of a request that is wrong: 404 where the resource does not exist, whatever else is wrong with it.
func (x *exchange) missingFirst(err error) error {
	e := refused(err)
	if e == nil || e.Status != http.StatusBadRequest {
		return err
	}
	if _, missing := x.roster.Get(x.ctx, x.kind(), x.id()); errors.Is(missing, refusal.NotFound) {
		return missing
	}
	return err
}

// smallGroup is how many members a group may have to be sent whole in answer to a PATCH.
const smallGroup = 100

// patched is the status of the answer to a PATCH: 200 with the resource or 204 without.
//
// RFC 7644 §3.5.2: it may be left out, but not for a client that names attributes. Entra advises against a group's members
// there and reads the status alone; a client that asks for JSON by its name gets a group that is small.
func (v view) patched(out roster.Outcome) int {
	if v.kind() != roster.Group || v.asked || v.namesJSON && out.Members <= smallGroup {
		return http.StatusOK
	}
	return http.StatusNoContent
}

func (x *exchange) remove() (answer, error) {
	x.row.Subject = x.id()
	v, err := x.viewOf(x.rt, newQuery())
	if err != nil {
		return answer{}, err
	}
	by, err := v.conditional(always(http.StatusNoContent))
	if err != nil {
		return answer{}, err
	}
	if _, err := x.roster.Delete(x.ctx, x.kind(), x.id(), by); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, nil
}

// decode reads the body of a POST or PUT as read says; members is not nil for a group.
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
		doc, fixes, err = read(x.rt, text, x.mode)
		x.fixed(fixes)
	}
	if err != nil {
		return nil, nil, err
	}
	x.row.UserName = doc.String(nameAttribute(x.kind()))
	return doc, members, nil
}

func (x *exchange) list() (answer, error) {
	q, err := parseQuery(x.place.query)
	if err != nil {
		return answer{}, err
	}
	return x.find(q)
}

func (x *exchange) search() (answer, error) {
	q, err := x.searchRequest()
	if err != nil {
		return answer{}, err
	}
	return x.find(q)
}

func (x *exchange) searchRequest() (query, error) {
	text, err := x.readBody(MaxBody)
	if err != nil {
		return query{}, err
	}
	return x.parseSearch(text)
}

// find answers a query about one type.
func (x *exchange) find(q query) (answer, error) {
	if err := q.page(); err != nil {
		return answer{}, err
	}
	filter, fixes, err := q.parseFilter(x.rt, x.mode)
	x.fixed(fixes)
	if err != nil {
		return answer{}, err
	}
	v, err := x.viewOf(x.rt, q)
	if err != nil {
		return answer{}, err
	}
	order, err := q.order(x.rt)
	if err != nil {
		return answer{}, err
	}
	x.fixed(q.fixes)
	page, err := x.roster.List(x.ctx, roster.Query{
		Kind: x.kind(), Filter: filter, StartIndex: q.startIndex, Count: q.count,
		SortBy: order, ByCursor: q.byCursor, Cursor: q.cursor,
	})
	if err != nil {
		return answer{}, err
	}
	x.looked(filter, page)
	l := listing{q: q, total: page.TotalResults, next: page.NextCursor, previous: page.PreviousCursor}
	l.add(v, page.Documents...)
	return x.listed(l)
}

// looked says in the log row what a query came to.
func (x *exchange) looked(filter *scim.Filter, page roster.Page) {
	attribute, value := sought(filter)
	if attribute == nameAttribute(x.kind()) {
		x.row.UserName = value
	}
	if page.TotalResults == 1 && len(page.Documents) == 1 {
		x.row.Subject = page.Documents[0].ID
		x.row.UserName = nameOf(x.kind(), page.Documents[0].JSON)
	}
	many, none := nouns(x.rt)
	switch {
	case filter == nil:
		x.row.Sentence = fmt.Sprintf("Listed %d of %d %s", len(page.Documents), page.TotalResults, many)
	case page.TotalResults == 1:
		x.row.Sentence = "Found"
	case page.TotalResults > 1:
		x.row.Sentence = fmt.Sprintf("Found %d %s", page.TotalResults, many)
	case attribute != "":
		x.row.Sentence = fmt.Sprintf("Not found (%s here has this %s)", none, attribute)
	default:
		x.row.Sentence = fmt.Sprintf("Not found (%s here matches the filter)", none)
	}
}

// nouns are what a sentence calls several resources of a type, and none.
func nouns(rt *scim.ResourceType) (many, none string) {
	switch roster.Kind(rt.ID) {
	case roster.User:
		return "users", "nobody"
	case roster.Group:
		return "groups", "no group"
	}
	return "resources of type " + rt.Name, "no " + rt.Name
}

// sought is the attribute and value of a filter that looks for one of them, as identity providers do before anything else.
func sought(filter *scim.Filter) (attribute, value string) {
	if filter == nil {
		return "", ""
	}
	c, ok := filter.Root.(scim.Compare)
	if !ok || c.Op != scim.Eq {
		return "", ""
	}
	value, _ = c.Value.(string)
	return strings.TrimSuffix(c.Path.Name+"."+c.Path.Sub, "."), value
}

// change is a change that this request asks for, and that is answered with that status. The row of the request is written
// with it.
func (x *exchange) change(status func(roster.Outcome) int) roster.Change {
	asked := x.row
	return roster.Change{Actor: x.token.Actor(), Via: roster.ViaSCIM, Log: func(out roster.Outcome) site.Request {
		x.row = asked
		x.row.Subject, x.row.UserName, x.row.Sentence = out.Document.ID, out.UserName, out.Sentence
		x.row.Fixes, x.row.Ignored = slices.Clone(asked.Fixes), slices.Clone(asked.Ignored)
		x.fixed(out.Fixes)
		x.ignored(out.Ignored)
		x.row.Status = status(out)
		x.row.Duration = x.Now().Sub(x.row.Time)
		x.logged = true
		return x.Sites.Log().Row(x.row)
	}}
}

func always(status int) func(roster.Outcome) int {
	return func(roster.Outcome) int { return status }
}

func (x *exchange) id() string { return x.place.rest[0] }

func (x *exchange) kind() roster.Kind { return roster.Kind(x.rt.ID) }

// locationOf is the address of a resource.
//
// RFC 7643 §3.1: meta.location is absolute; it spells the endpoint as discovery does, whatever the client wrote.
func (x *exchange) locationOf(rt *scim.ResourceType, id string) string {
	return x.base + rt.Endpoint + "/" + id
}

// nameAttribute is what a resource is called by in the request log.
func nameAttribute(kind roster.Kind) string {
	if kind == roster.User {
		return "userName"
	}
	return "displayName"
}

// nameOf is what a stored resource is called. The attribute stands near the beginning of its document, of which no more is
// read than that.
func nameOf(kind roster.Kind, doc []byte) string {
	want := nameAttribute(kind)
	for at := 1; at < len(doc) && doc[at] == '"'; {
		key := doc[at : at+endOfText(doc[at:])]
		at += len(key) + 1 // and the colon
		if at >= len(doc) {
			return ""
		}
		value := doc[at : at+endOfValue(doc[at:])]
		if len(key) == len(want)+2 && string(key[1:len(key)-1]) == want {
			var name string
			if json.Unmarshal(value, &name) != nil {
				return ""
			}
			return name
		}
		at += len(value) + 1 // and the comma
	}
	return ""
}

// endOfValue is the length of the JSON value at the beginning of data, which has no blanks.
func endOfValue(data []byte) int {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i += endOfText(data[i:]) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		case ',':
			if depth == 0 {
				return i
			}
			continue
		}
		if depth < 0 {
			return i
		}
	}
	return len(data)
}
