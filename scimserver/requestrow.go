package scimserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/internal/web"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// write puts the row on disk, or gathers it while the database takes none. What was done stays done if that fails, so the client is told of it all the same.
func (x *exchange) write() {
	x.row.Duration = x.Now().Sub(x.row.Time)
	// The client may have gone; its row is written nevertheless.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), logTime)
	defer cancel()
	err := x.Sites.Log().Write(ctx, x.row)
	if unavailable(err) {
		x.Sites.Log().Gather(x.row) // it is written when the database takes writes again
		return
	}
	if err != nil {
		x.log().Error("request log row lost", "request", web.RequestID(x.r), "error", err)
	}
}

// nameSubject finds out, for the log, whom a refused request was about.
func (x *exchange) nameSubject() {
	known := (x.row.Status < http.StatusInternalServerError || x.row.Status == http.StatusNotImplemented) && x.row.Status != http.StatusNotFound
	if !known || x.row.UserName != "" || x.row.Subject == "" {
		return
	}
	kind := roster.User
	if x.rt != nil {
		kind = roster.Kind(x.rt.ID)
	}
	if doc, err := x.roster.Get(x.ctx, kind, x.row.Subject); err == nil {
		x.row.UserName = nameOf(kind, doc.JSON)
	}
}

// method is a request's method as the log may show it.
func method(name string) string { return clip(name) }

// fixed notes the tolerances that a request needed.
func (x *exchange) fixed(fixes []scim.Fix) {
	for _, f := range fixes {
		x.row.Fixes = note(x.row.Fixes, labelled(f.Path, f.Text))
	}
}

// ignored notes what was understood and deliberately not applied.
func (x *exchange) ignored(list []scim.Ignored) {
	for _, i := range list {
		x.row.Ignored = note(x.row.Ignored, labelled(i.Path, i.Reason))
	}
}

// note adds a line unless there are so many that one request would fill the log.
func note(lines []string, line string) []string {
	const most = 100
	switch {
	case len(lines) < most:
		return append(lines, line)
	case len(lines) == most:
		return append(lines, "more like these")
	}
	return lines
}

func labelled(path, text string) string {
	if path == "" {
		return text
	}
	return path + ": " + text
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

// lookedEverywhere says in the log row what a query came to.
func (x *exchange) lookedEverywhere(l listing) {
	if l.total == 1 && len(l.entries) == 1 {
		only := l.entries[0]
		x.row.Subject, x.row.UserName = only.doc.ID, nameOf(roster.Kind(only.view.rt.ID), only.doc.JSON)
	}
	switch {
	case !l.q.hasFilter:
		x.row.Sentence = fmt.Sprintf("Listed %d of %d resources of all types", len(l.entries), l.total)
	case l.total == 0:
		x.row.Sentence = "Not found (nothing here matches the filter)"
	case l.total == 1:
		x.row.Sentence = "Found"
	default:
		x.row.Sentence = fmt.Sprintf("Found %d resources of all types", l.total)
	}
}

// endOfText is the length of the quoted text at the beginning of data.
func endOfText(data []byte) int {
	for i := 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}
