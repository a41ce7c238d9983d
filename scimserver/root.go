package scimserver

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// A query at the base is about the resources of all types.
//
// RFC 7644 §3.4.2.1: an attribute that a type does not have does not match there; it is no error.

func (x *exchange) listAll() (answer, error) {
	q, err := parseQuery(x.place.query)
	if err != nil {
		return answer{}, err
	}
	return x.findAll(q)
}

func (x *exchange) searchAll() (answer, error) {
	q, err := x.searchRequest()
	if err != nil {
		return answer{}, err
	}
	return x.findAll(q)
}

// typed is what a query at the base asks of one type.
type typed struct {
	view   view
	filter *scim.Filter // nil: all
	order  *scim.Sort   // nil: by creation
}

func (x *exchange) findAll(q query) (answer, error) {
	if err := q.page(); err != nil {
		return answer{}, err
	}
	parts, err := x.typedParts(q)
	if err != nil {
		return answer{}, err
	}
	x.fixed(q.fixes)
	l := listing{q: q}
	switch {
	case q.byCursor:
		err = x.pageByCursor(&l, parts)
	case q.sortBy != "":
		err = x.pageSorted(&l, parts)
	default:
		err = x.pageByIndex(&l, parts)
	}
	if err != nil {
		return answer{}, err
	}
	x.lookedEverywhere(l)
	return x.listed(l)
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

func (x *exchange) typedParts(q query) (parts []typed, err error) {
	var unsortable error
	sortable := q.sortBy == ""
	for _, rt := range x.types() {
		var p typed
		if p.view, err = x.viewOf(rt, q); err != nil {
			return nil, err
		}
		var fixes []scim.Fix
		if p.filter, fixes, err = q.parseFilterWith(scim.ParseFilterAnywhere, rt, x.mode); err != nil {
			return nil, err
		}
		if len(parts) == 0 {
			x.fixed(fixes)
		}
		if p.order, err = q.order(rt); err == nil {
			sortable = true
		} else if unsortable == nil {
			unsortable = err
		}
		parts = append(parts, p)
	}
	if !sortable {
		return nil, unsortable
	}
	return parts, nil
}

func (x *exchange) part(p typed, start, count int) (roster.Page, error) {
	return x.roster.List(x.ctx, roster.Query{Kind: roster.Kind(p.view.rt.ID), Filter: p.filter, StartIndex: start, Count: count, SortBy: p.order})
}

// pageByIndex fills the page from one type after the other.
func (x *exchange) pageByIndex(l *listing, parts []typed) error {
	skip, need := l.q.startIndex-1, l.q.count
	for _, p := range parts {
		page, err := x.part(p, skip+1, need)
		if err != nil {
			return err
		}
		l.total += page.TotalResults
		l.add(p.view, page.Documents...)
		need -= len(page.Documents)
		if page.Cut {
			need = 0 // of the types that follow only the totals
		}
		skip = max(skip-page.TotalResults, 0)
	}
	return nil
}

// maxSorted is how far into a list of all types, sorted, a page may reach: the types are merged from the beginning.
const maxSorted = 5_000

// pageSorted merges the sorted lists of the types.
func (x *exchange) pageSorted(l *listing, parts []typed) error {
	reach := l.q.startIndex - 1 + l.q.count
	if reach > maxSorted {
		return scim.TooMany("A sorted list of all types is served up to its resource %d; ask for one type, as /Users is, or without sortBy.", maxSorted)
	}
	order := parts[slices.IndexFunc(parts, func(p typed) bool { return p.order != nil })].order
	var all []sorted
	for _, p := range parts {
		some, total, err := x.firstSorted(p, reach)
		if err != nil {
			return err
		}
		if p.order == nil { // this type does not have the attribute
			none := order.Key(scim.Resource{})
			for i := range some {
				some[i].key = none
			}
		}
		l.total += total
		all = append(all, some...)
	}
	slices.SortStableFunc(all, func(a, b sorted) int { return order.CompareKeys(a.key, b.key) })
	for _, s := range all[min(l.q.startIndex-1, len(all)):min(reach, len(all))] {
		doc, err := x.roster.Get(x.ctx, roster.Kind(s.view.rt.ID), s.id)
		if errors.Is(err, refusal.NotFound) {
			continue // deleted since the list was read
		}
		if err != nil {
			return err
		}
		if l.bytes+len(doc.JSON) > largestPage && len(l.entries) > 0 {
			return nil
		}
		l.add(s.view, doc)
	}
	return nil
}

// largestPage is how many bytes of documents a page of all types may have.
const largestPage = 4 << 20

// sorted is a resource in a list of all types. The documents of the page alone are read again: a list may reach far, and the
// documents may be large.
type sorted struct {
	view view
	id   string
	key  string // what it is sorted by
}

func (x *exchange) firstSorted(p typed, reach int) (all []sorted, total int, err error) {
	for {
		page, err := x.part(p, len(all)+1, min(reach-len(all), maxCount))
		if err != nil {
			return nil, 0, err
		}
		for _, doc := range page.Documents {
			all = append(all, sorted{view: p.view, id: doc.ID, key: doc.SortKey})
		}
		if len(page.Documents) == 0 || len(all) >= min(reach, page.TotalResults) {
			return all, page.TotalResults, nil
		}
	}
}

// pageByCursor takes a page from one type; the cursor says from which.
//
// RFC 9865 §2: a page may be shorter than count and still have a successor.
func (x *exchange) pageByCursor(l *listing, parts []typed) error {
	at, inner := 0, ""
	if l.q.cursor != "" {
		number, rest, found := strings.Cut(l.q.cursor, "-")
		n, err := strconv.Atoi(number)
		if err != nil || !found || n < 0 || n >= len(parts) {
			return scim.InvalidCursor("This cursor is not one that this query was answered with; begin again with an empty cursor.")
		}
		at, inner = n, rest
	}
	for i, p := range parts {
		var page roster.Page
		var err error
		if i != at || l.q.count == 0 {
			page, err = x.part(p, 1, 0)
		} else {
			page, err = x.roster.List(x.ctx, roster.Query{
				Kind: roster.Kind(p.view.rt.ID), Filter: p.filter, Count: l.q.count, SortBy: p.order, ByCursor: true, Cursor: inner,
			})
		}
		if err != nil {
			return err
		}
		l.total += page.TotalResults
		if i != at || l.q.count == 0 {
			continue
		}
		l.add(p.view, page.Documents...)
		switch {
		case page.NextCursor != "":
			l.next = cursorOf(i, page.NextCursor)
		case i+1 < len(parts):
			l.next = cursorOf(i+1, "")
		}
		if page.PreviousCursor != "" {
			l.previous = cursorOf(i, page.PreviousCursor)
		}
	}
	return nil
}

func cursorOf(part int, inner string) string { return strconv.Itoa(part) + "-" + inner }
