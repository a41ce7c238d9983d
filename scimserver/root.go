package scimserver

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// The functions below answer a query at the base URL, which covers the resources of all types.
//
// RFC 7644 §3.4.2.1: if a type lacks an attribute of the filter, no error is returned; the
// attribute counts as unassigned.

// listAllTypes answers a GET of the base URL.
func (x *exchange) listAllTypes() (answer, error) {
	q, err := parseQuery(x.place.query)
	if err != nil {
		return answer{}, err
	}
	return x.answerQueryOfAllTypes(q)
}

// searchAllTypes answers a POST to .search below the base URL.
func (x *exchange) searchAllTypes() (answer, error) {
	q, err := x.readSearchRequest()
	if err != nil {
		return answer{}, err
	}
	return x.answerQueryOfAllTypes(q)
}

// typeQuery is the part of a query at the base URL that concerns one resource type.
type typeQuery struct {
	view   view
	filter *scim.Filter // selects the resources; nil means all
	order  *scim.Sort   // the sort order; nil means the order of creation
}

// answerQueryOfAllTypes answers a query at the base URL.
func (x *exchange) answerQueryOfAllTypes(q query) (answer, error) {
	if err := q.limitPage(); err != nil {
		return answer{}, err
	}
	parts, err := x.typeQueries(q)
	if err != nil {
		return answer{}, err
	}
	x.addFixes(q.fixes)
	l := listing{query: q}
	switch {
	case q.usesCursor:
		err = x.pageByCursor(&l, parts)
	case q.sortBy != "":
		err = x.pageSorted(&l, parts)
	default:
		err = x.pageByIndex(&l, parts)
	}
	if err != nil {
		return answer{}, err
	}
	x.describeQueryOfAllTypes(l)
	return x.renderListing(l)
}

// typeQueries splits a query at the base URL into one query for each resource type. It returns an
// error about sortBy only if no type can be sorted by that attribute.
func (x *exchange) typeQueries(q query) (parts []typeQuery, err error) {
	var unsortable error
	sortable := q.sortBy == ""
	for _, rt := range x.offeredTypes() {
		var p typeQuery
		if p.view, err = x.viewOf(rt, q); err != nil {
			return nil, err
		}
		var fixes []scim.Fix
		if p.filter, fixes, err = q.parseFilterWith(scim.ParseFilterAnywhere, rt, x.mode); err != nil {
			return nil, err
		}
		if len(parts) == 0 {
			x.addFixes(fixes)
		}
		if p.order, err = q.parseOrder(rt); err == nil {
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

// listType reads up to count resources of one type, beginning at position start. The first position
// is 1.
func (x *exchange) listType(p typeQuery, start, count int) (roster.Page, error) {
	return x.roster.List(x.ctx, roster.Query{Kind: p.view.resourceType.ID, Filter: p.filter, StartIndex: start, Count: count, SortBy: p.order})
}

// pageByIndex fills the page that begins at startIndex. The list has the resources of one type after
// those of the other.
func (x *exchange) pageByIndex(l *listing, parts []typeQuery) error {
	skip, need := l.query.startIndex-1, l.query.count
	for _, p := range parts {
		page, err := x.listType(p, skip+1, need)
		if err != nil {
			return err
		}
		l.total += page.TotalResults
		l.add(p.view, page.Documents...)
		need -= len(page.Documents)
		if page.CutShort {
			need = 0 // from the remaining types, read only the totals
		}
		skip = max(skip-page.TotalResults, 0)
	}
	return nil
}

// maxSortedPosition is the last position that a page of a sorted list of all types may contain. To
// make the list, the lists of the types are merged from their beginning, so the cost grows with the
// position.
const maxSortedPosition = 5_000

// pageSorted fills the page from the merged sorted lists of all types.
func (x *exchange) pageSorted(l *listing, parts []typeQuery) error {
	reach := l.query.startIndex - 1 + l.query.count
	if reach > maxSortedPosition {
		return scim.TooMany("A sorted list of all types ends at resource %d; ask for one type, such as /Users, or leave sortBy out.", maxSortedPosition)
	}
	order := parts[slices.IndexFunc(parts, func(p typeQuery) bool { return p.order != nil })].order
	var all []sortedResource
	for _, p := range parts {
		some, total, err := x.readFirstSorted(p, reach)
		if err != nil {
			return err
		}
		if p.order == nil { // resources of this type do not have the attribute that the query sorts by
			none := order.Key(scim.Resource{})
			for i := range some {
				some[i].key = none
			}
		}
		l.total += total
		all = append(all, some...)
	}
	slices.SortStableFunc(all, func(a, b sortedResource) int { return order.CompareKeys(a.key, b.key) })
	for _, s := range all[min(l.query.startIndex-1, len(all)):min(reach, len(all))] {
		doc, err := x.roster.Get(x.ctx, s.view.resourceType.ID, s.id)
		if errors.Is(err, refusal.NotFound) {
			continue // the resource was deleted after the list was read
		}
		if err != nil {
			return err
		}
		if l.storedBytes+len(doc.JSON) > maxPageBytes && len(l.entries) > 0 {
			return nil
		}
		l.add(s.view, doc)
	}
	return nil
}

// maxPageBytes is the largest size of all documents on a page of a sorted list of all types.
const maxPageBytes = 4 << 20

// sortedResource is a resource in a sorted list of all types, without its document. The list may be
// long and the documents large, so only the documents of the requested page are read.
type sortedResource struct {
	view view
	id   string
	key  string // the key by which the resource is sorted
}

// readFirstSorted returns the first reach resources of one type in sorted order, and the number of
// all resources of the type that match the query.
func (x *exchange) readFirstSorted(p typeQuery, reach int) (all []sortedResource, total int, err error) {
	for {
		page, err := x.listType(p, len(all)+1, min(reach-len(all), maxCount))
		if err != nil {
			return nil, 0, err
		}
		for _, doc := range page.Documents {
			all = append(all, sortedResource{view: p.view, id: doc.ID, key: doc.SortKey})
		}
		if len(page.Documents) == 0 || len(all) >= min(reach, page.TotalResults) {
			return all, page.TotalResults, nil
		}
	}
}

// pageByCursor fills the page with resources of one type, which the cursor names. The next page
// continues with the next type when the resources of this type end.
//
// RFC 9865 §2: a page may be shorter than count and still have a next page.
func (x *exchange) pageByCursor(l *listing, parts []typeQuery) error {
	current, inner := 0, ""
	if l.query.cursor != "" {
		number, rest, found := strings.Cut(l.query.cursor, "-")
		n, err := strconv.Atoi(number)
		if err != nil || !found || n < 0 || n >= len(parts) {
			return scim.InvalidCursor("This cursor was not issued for this query; begin again with an empty cursor.")
		}
		current, inner = n, rest
	}
	for i, p := range parts {
		var page roster.Page
		var err error
		if i != current || l.query.count == 0 {
			page, err = x.listType(p, 1, 0)
		} else {
			page, err = x.roster.List(x.ctx, roster.Query{
				Kind: p.view.resourceType.ID, Filter: p.filter, Count: l.query.count, SortBy: p.order, ByCursor: true, Cursor: inner,
			})
		}
		if err != nil {
			return err
		}
		l.total += page.TotalResults
		if i != current || l.query.count == 0 {
			continue
		}
		l.add(p.view, page.Documents...)
		switch {
		case page.NextCursor != "":
			l.nextCursor = joinCursor(i, page.NextCursor)
		case i+1 < len(parts):
			l.nextCursor = joinCursor(i+1, "")
		}
		if page.PreviousCursor != "" {
			l.previousCursor = joinCursor(i, page.PreviousCursor)
		}
	}
	return nil
}

// joinCursor makes a cursor from the position of a type in the list of types and the cursor within
// this type.
func joinCursor(position int, inner string) string { return strconv.Itoa(position) + "-" + inner }
