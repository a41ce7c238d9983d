package scimserver

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// writeRow writes the row of the request to the request log in the database. While the database is
// unavailable, it keeps the row in memory. If it fails, the client still gets its answer, because
// the request has already been carried out.
func (x *exchange) writeRow() {
	x.requestRow.Duration = x.handler.Now().Sub(x.requestRow.Time)
	// WithoutCancel: write the row even if the client has disconnected.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), logTimeout)
	defer cancel()
	err := x.handler.Requests.Write(ctx, x.requestRow)
	if isDatabaseUnavailable(err) {
		x.handler.Requests.Gather(x.requestRow) // Gather keeps the row in memory until the database accepts writes again
		return
	}
	if err != nil {
		x.handler.log().Error("request log row lost", "request", web.RequestID(x.request), "error", err)
	}
}

// addSubjectName looks up the name of the resource that a refused request was about, and puts the
// name into the row. It does nothing if the resource cannot exist, or if the request was refused to
// save work.
func (x *exchange) addSubjectName() {
	mayExist := (x.requestRow.Status < http.StatusInternalServerError || x.requestRow.Status == http.StatusNotImplemented) && x.requestRow.Status != http.StatusNotFound
	if x.requestRow.Status == http.StatusTooManyRequests {
		return // the server refused the request to save work, so it must not cause another read
	}
	if !mayExist || x.requestRow.UserName != "" || x.requestRow.Subject == "" {
		return
	}
	kind := roster.User
	if x.resourceType != nil {
		kind = x.resourceType.ID
	}
	if doc, err := x.roster.Get(x.ctx, kind, x.requestRow.Subject); err == nil {
		x.requestRow.UserName = nameOf(kind, doc.JSON)
	}
}

// loggedMethod returns a request's method for the log. It cuts a long one, because a client can
// send any string.
func loggedMethod(name string) string { return truncate(name) }

// addFixes adds the deviations from SCIM that were tolerated in the request to the row.
func (x *exchange) addFixes(fixes []scim.Fix) { x.requestRow.AddFixes(fixes...) }

// changeWithRow returns a roster.Change that writes the request's row in the same transaction as
// the change itself. status is the status of the answer.
func (x *exchange) changeWithRow(status int) roster.Change {
	row := x.handler.Requests.BeginRow(x.requestRow)
	row.Status = status
	return roster.Change{Actor: x.token.Actor(), Via: roster.ViaSCIM, Request: row}
}

// keepWrittenRow records that the request's row was written in the transaction of a change, so that
// it is not written again. row is the row as it was written.
func (x *exchange) keepWrittenRow(row requestlog.Request) {
	x.requestRow, x.rowWritten = row, true
	x.handler.Requests.RowWritten(row)
}

// describeQuery puts a sentence about the result of a query into the row. If the query found one
// resource, it also adds the id and name of the resource.
func (x *exchange) describeQuery(filter *scim.Filter, page roster.Page) {
	attribute, value := equalityTerm(filter)
	if attribute == nameAttribute(x.kind()) {
		x.requestRow.UserName = value
	}
	if page.TotalResults == 1 && len(page.Documents) == 1 {
		x.requestRow.Subject = page.Documents[0].ID
		x.requestRow.UserName = nameOf(x.kind(), page.Documents[0].JSON)
	}
	many, none := typeNouns(x.resourceType)
	switch {
	case filter == nil:
		x.requestRow.Sentence = fmt.Sprintf("Listed %d of %d %s", len(page.Documents), page.TotalResults, many)
	case page.TotalResults == 1:
		x.requestRow.Sentence = "Found"
	case page.TotalResults > 1:
		x.requestRow.Sentence = fmt.Sprintf("Found %d %s", page.TotalResults, many)
	case attribute != "":
		x.requestRow.Sentence = fmt.Sprintf("Not found (%s here has this %s)", none, attribute)
	default:
		x.requestRow.Sentence = fmt.Sprintf("Not found (%s here matches the filter)", none)
	}
}

// typeNouns returns the words for many resources of a type, such as "users", and for none, such as
// "no user".
func typeNouns(rt *scim.ResourceType) (many, none string) {
	switch rt.ID {
	case roster.User:
		return "users", "no user"
	case roster.Group:
		return "groups", "no group"
	}
	return "resources of type " + rt.Name, "no " + rt.Name
}

// equalityTerm returns the attribute and value of a filter of the form: attribute eq "value".
// Identity providers send this form to find out whether a resource exists. For any other filter,
// attribute and value are "".
func equalityTerm(filter *scim.Filter) (attribute, value string) {
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

// nameAttribute returns the attribute whose value is the name of a resource in the request log.
func nameAttribute(kind scim.TypeName) string {
	if kind == roster.User {
		return "userName"
	}
	return "displayName"
}

// nameOf returns the name of a stored resource for the request log, or "" if it has none. doc is
// its stored JSON.
func nameOf(kind scim.TypeName, doc []byte) string { return scim.StringOf(doc, nameAttribute(kind)) }

// describeQueryOfAllTypes is like describeQuery, for a query over all resource types.
func (x *exchange) describeQueryOfAllTypes(l listing) {
	if l.total == 1 && len(l.entries) == 1 {
		only := l.entries[0]
		x.requestRow.Subject, x.requestRow.UserName = only.doc.ID, nameOf(only.view.resourceType.ID, only.doc.JSON)
	}
	switch {
	case !l.query.hasFilter:
		x.requestRow.Sentence = fmt.Sprintf("Listed %d of %d resources of all types", len(l.entries), l.total)
	case l.total == 0:
		x.requestRow.Sentence = "Not found (nothing here matches the filter)"
	case l.total == 1:
		x.requestRow.Sentence = "Found"
	default:
		x.requestRow.Sentence = fmt.Sprintf("Found %d resources of all types", l.total)
	}
}
