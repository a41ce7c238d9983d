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

// writeRow writes the row to disk, or keeps it in memory while the database is unavailable. A
// failure to write it does not undo the request, so the client still gets its answer.
func (x *exchange) writeRow() {
	x.requestRow.Duration = x.handler.Now().Sub(x.requestRow.Time)
	// Write the row even if the client has disconnected.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), logTime)
	defer cancel()
	err := x.handler.Requests.Write(ctx, x.requestRow)
	if databaseUnavailable(err) {
		x.handler.Requests.Gather(x.requestRow) // Gather keeps the row in memory and writes it when the database accepts writes again
		return
	}
	if err != nil {
		x.handler.log().Error("request log row lost", "request", web.RequestID(x.request), "error", err)
	}
}

// addSubjectName looks up the name of the resource of a refused request, and puts it into the row
// for the log.
func (x *exchange) addSubjectName() {
	mayExist := (x.requestRow.Status < http.StatusInternalServerError || x.requestRow.Status == http.StatusNotImplemented) && x.requestRow.Status != http.StatusNotFound
	if x.requestRow.Status == http.StatusTooManyRequests {
		return // the request was refused because there is no room for reads
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

// loggedMethod returns a request's method in a form that is safe for the log.
func loggedMethod(name string) string { return truncate(name) }

// addFixes records the tolerances that the request needed.
func (x *exchange) addFixes(fixes []scim.Fix) { x.requestRow.AddFixes(fixes...) }

// changeWithRow returns a change for roster that writes the request's row in the transaction of the
// change. status is the status of the answer.
func (x *exchange) changeWithRow(status int) roster.Change {
	row := x.handler.Requests.BeginRow(x.requestRow)
	row.Status = status
	return roster.Change{Actor: x.token.Actor(), Via: roster.ViaSCIM, Request: row}
}

// takeRow keeps the row that was written in the same transaction as a change.
func (x *exchange) takeRow(row requestlog.Request) {
	x.requestRow, x.rowWritten = row, true
	x.handler.Requests.RowWritten(row)
}

// describeQuery sets the row's sentence to the result of a query.
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

// typeNouns returns the words for several resources of a type ("users") and for none ("no user").
func typeNouns(rt *scim.ResourceType) (many, none string) {
	switch rt.ID {
	case roster.User:
		return "users", "no user"
	case roster.Group:
		return "groups", "no group"
	}
	return "resources of type " + rt.Name, "no " + rt.Name
}

// equalityTerm returns the attribute and value of a filter of the form attribute eq "value".
// Identity providers send such a filter to find out whether a resource exists. For any other
// filter, attribute and value are empty.
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

// nameAttribute returns the attribute whose value names a resource in the request log.
func nameAttribute(kind scim.TypeName) string {
	if kind == roster.User {
		return "userName"
	}
	return "displayName"
}

// nameOf returns the name of a stored resource, or "".
func nameOf(kind scim.TypeName, doc []byte) string { return scim.StringOf(doc, nameAttribute(kind)) }

// describeQueryOfAllTypes sets the row's sentence to the result of a query over all types.
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
