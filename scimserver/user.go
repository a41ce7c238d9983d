package scimserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

func (x *exchange) getUser() (answer, error) {
	q, err := parseQuery(x.place.query)
	if err != nil {
		return answer{}, err
	}
	x.row.Subject = x.id()
	doc, err := x.roster.Get(x.ctx, roster.User, x.id())
	if err != nil {
		return answer{}, err
	}
	x.row.UserName = userName(doc.JSON)
	x.row.Sentence = "Found"
	if x.knows(doc) {
		x.row.Sentence = "Found, unchanged since the client's copy"
		return answer{status: http.StatusNotModified, etag: etag(doc)}, nil
	}
	return x.resource(http.StatusOK, doc, q)
}

func (x *exchange) createUser() (answer, error) {
	q, body, err := x.input()
	if err != nil {
		return answer{}, err
	}
	res, fixes, err := scim.Decode(x.userType(), body, x.mode)
	x.fixed(fixes)
	if err != nil {
		return answer{}, err
	}
	x.row.UserName = res.String("userName")
	out, err := x.roster.Create(x.ctx, roster.User, res, x.change())
	if err != nil {
		return answer{}, err
	}
	x.did(out)
	return x.resource(http.StatusCreated, out.Document, q)
}

func (x *exchange) replaceUser() (answer, error) {
	q, body, err := x.input()
	if err != nil {
		return answer{}, err
	}
	res, fixes, err := scim.Decode(x.userType(), body, x.mode)
	x.fixed(fixes)
	if err != nil {
		return answer{}, err
	}
	x.row.UserName = res.String("userName")
	by, err := x.conditional()
	if err != nil {
		return answer{}, err
	}
	out, err := x.roster.Replace(x.ctx, roster.User, x.id(), res, by)
	if err != nil {
		return answer{}, err
	}
	x.did(out)
	return x.resource(http.StatusOK, out.Document, q)
}

// patchUser answers with the whole resource: administrators and clients that compare read it, the others the status.
func (x *exchange) patchUser() (answer, error) {
	q, body, err := x.input()
	if err != nil {
		return answer{}, err
	}
	patch, fixes, err := scim.DecodePatch(x.userType(), body, x.mode)
	x.fixed(fixes)
	if err != nil {
		return answer{}, err
	}
	by, err := x.conditional()
	if err != nil {
		return answer{}, err
	}
	out, err := x.roster.Patch(x.ctx, roster.User, x.id(), patch, by)
	if err != nil {
		return answer{}, err
	}
	x.did(out)
	return x.resource(http.StatusOK, out.Document, q)
}

func (x *exchange) deleteUser() (answer, error) {
	x.row.Subject = x.id()
	by, err := x.conditional()
	if err != nil {
		return answer{}, err
	}
	out, err := x.roster.Delete(x.ctx, roster.User, x.id(), by)
	if err != nil {
		return answer{}, err
	}
	x.did(out)
	return answer{status: http.StatusNoContent}, nil
}

func (x *exchange) listUsers() (answer, error) {
	q, err := parseQuery(x.place.query)
	if err != nil {
		return answer{}, err
	}
	return x.queryUsers(q)
}

func (x *exchange) searchUsers() (answer, error) {
	body, err := readBody(x.w, x.r)
	if err != nil {
		return answer{}, err
	}
	q, err := parseSearch(body, x.mode)
	if err != nil {
		return answer{}, err
	}
	return x.queryUsers(q)
}

func (x *exchange) queryUsers(q query) (answer, error) {
	q.clamp()
	rt := x.userType()
	filter, fixes, err := q.parseFilter(rt, x.mode)
	x.fixed(fixes)
	if err != nil {
		return answer{}, err
	}
	show, err := q.projection(rt)
	if err != nil {
		return answer{}, err
	}
	x.fixed(q.fixes)
	x.unsorted(q)
	page, err := x.roster.List(x.ctx, roster.Query{Kind: roster.User, Filter: filter, StartIndex: q.startIndex, Count: q.count})
	if err != nil {
		return answer{}, err
	}
	list := scim.ListResponse{TotalResults: page.TotalResults, StartIndex: page.StartIndex, ItemsPerPage: len(page.Documents)}
	for _, doc := range page.Documents {
		shown, err := x.project(doc, show)
		if err != nil {
			return answer{}, err
		}
		list.Resources = append(list.Resources, shown)
	}
	x.looked(filter, page)
	return answer{status: http.StatusOK, body: list.Encode()}, nil
}

// looked says in the log row what a query came to.
func (x *exchange) looked(filter *scim.Filter, page roster.Page) {
	attribute, value := sought(filter)
	if attribute == "userName" {
		x.row.UserName = value
	}
	if page.TotalResults == 1 && len(page.Documents) == 1 {
		x.row.Subject = page.Documents[0].ID
		x.row.UserName = userName(page.Documents[0].JSON)
	}
	switch {
	case filter == nil:
		x.row.Sentence = fmt.Sprintf("Listed %d of %d users", len(page.Documents), page.TotalResults)
	case page.TotalResults == 1:
		x.row.Sentence = "Found"
	case page.TotalResults > 1:
		x.row.Sentence = fmt.Sprintf("Found %d users", page.TotalResults)
	case attribute != "":
		x.row.Sentence = fmt.Sprintf("Not found (nobody here has this %s)", attribute)
	default:
		x.row.Sentence = "Not found (nobody here matches the filter)"
	}
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

// unsorted says that sorting was asked for and not done, as ServiceProviderConfig announces.
func (x *exchange) unsorted(q query) {
	if q.sortBy != "" {
		x.ignored([]scim.Ignored{{Path: "sortBy", Reason: "sorting is not offered; the order is that of creation"}})
	}
}

// resource answers with one resource.
func (x *exchange) resource(status int, doc roster.Document, q query) (answer, error) {
	x.fixed(q.fixes)
	show, err := q.projection(x.userType())
	if err != nil {
		return answer{}, err
	}
	body, err := x.project(doc, show)
	if err != nil {
		return answer{}, err
	}
	return answer{status: status, body: body, location: x.location(doc), etag: etag(doc)}, nil
}

// project is the document as it is shown. Without a projection the stored bytes go out as they are.
func (x *exchange) project(doc roster.Document, show scim.Projection) ([]byte, error) {
	if show.IsDefault() {
		return scim.Splice(doc.JSON, x.location(doc), nil), nil
	}
	res, err := scim.Parse(doc.JSON)
	if err != nil {
		return nil, fmt.Errorf("read stored user %s: %w", doc.ID, err)
	}
	rt := x.userType()
	shown := scim.Encode(rt, show.Apply(rt, res))
	if show.Wants("meta.location") {
		shown = scim.Splice(shown, x.location(doc), nil)
	}
	return shown, nil
}

// input reads the query and the body of a write. A projection that cannot be read fails before anything is written.
func (x *exchange) input() (query, []byte, error) {
	if len(x.place.rest) > 0 {
		x.row.Subject = x.id()
	}
	q, err := parseQuery(x.place.query)
	if err != nil {
		return q, nil, err
	}
	if _, err := q.projection(x.userType()); err != nil {
		return q, nil, err
	}
	body, err := readBody(x.w, x.r)
	return q, body, err
}

// did takes over into the log row what a change came to.
func (x *exchange) did(out roster.Outcome) {
	x.row.Subject = out.Document.ID
	x.row.UserName = out.UserName
	x.row.Sentence = out.Sentence
	x.fixed(out.Fixes)
	x.ignored(out.Ignored)
}

func (x *exchange) change() roster.Change {
	return roster.Change{Actor: x.token.Actor(), Via: roster.ViaSCIM}
}

// conditional is the change that If-Match allows.
//
// RFC 7644 §3.14: a version that is not the current one is 412.
func (x *exchange) conditional() (roster.Change, error) {
	by := x.change()
	tags, anyTag := tagsOf(x.r.Header.Values("If-Match"))
	if anyTag || len(tags) == 0 {
		return by, nil
	}
	doc, err := x.roster.Get(x.ctx, roster.User, x.id())
	if err != nil {
		return by, err
	}
	current := strconv.FormatInt(doc.Version, 10)
	for _, tag := range tags {
		if tag == current {
			by.IfVersion = doc.Version
			return by, nil
		}
	}
	return by, scim.PreconditionFailed("If-Match names another version than the current one, %s; read the resource again and repeat the change.", etag(doc))
}

// knows reports whether the client has this version already.
func (x *exchange) knows(doc roster.Document) bool {
	tags, anyTag := tagsOf(x.r.Header.Values("If-None-Match"))
	if anyTag {
		return true
	}
	current := strconv.FormatInt(doc.Version, 10)
	for _, tag := range tags {
		if tag == current {
			return true
		}
	}
	return false
}

func (x *exchange) id() string { return x.place.rest[0] }

func (x *exchange) location(doc roster.Document) string { return x.base + "/Users/" + doc.ID }

func etag(doc roster.Document) string { return roster.ETag(doc.Version) }

// userName reads a stored document just as far as its userName, which stands near its beginning.
func userName(doc []byte) string {
	d := json.NewDecoder(bytes.NewReader(doc))
	if _, err := d.Token(); err != nil {
		return ""
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return ""
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return ""
		}
		if key == "userName" {
			var text string
			if json.Unmarshal(value, &text) != nil {
				return ""
			}
			return text
		}
	}
	return ""
}
