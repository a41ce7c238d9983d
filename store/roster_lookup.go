package store

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// isLookup reports whether a single query can answer the list. Provisioning starts with such
// lookups, by name or by employee number. An index finds a few candidates, and their documents show
// whether they match.
func (l listing) isLookup() bool {
	first := l.Sort == nil && l.After == nil && l.Before == nil && l.Offset == 0 && l.Count > 0
	return first && l.prefilter.selective && !l.prefilter.skewed && (l.prefilter.exact || !l.readsMembers() && !l.readsGroups())
}

// answerLookup answers a list for which isLookup is true. It needs one query and no transaction.
// all is false if one query was not enough.
func (s Rosters) answerLookup(ctx context.Context, l listing) (found roster.Found, all bool, err error) {
	limit := l.Count // if there are more exact matches than fit on a page, a second query must count them
	if !l.prefilter.exact {
		limit = min(scanStep, l.ScanLimit)
	}
	var docs []roster.Document
	var cut bool
	err = s.DB.Lane(string(l.site)).Read(ctx, func(tx *sqldb.Tx) error {
		docs, cut, err = l.documentsUnordered(ctx, tx, limit+1)
		return err
	})
	if err != nil || cut || len(docs) > limit {
		return found, false, err
	}
	slices.SortFunc(docs, func(a, b roster.Document) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.ID, b.ID))
	})
	if l.prefilter.exact {
		return roster.Found{Documents: docs, Total: len(docs)}, true, nil
	}
	candidates, err := l.parseCandidates(ctx, nil, docs) // parseCandidates gets no transaction, because isLookup is false for queries that read other rows
	if err != nil {
		return found, false, err
	}
	keep := newPageCollector(l.ListQuery)
	for _, c := range candidates {
		if l.Filter.Match(c.resource) {
			keep.add(c)
		}
	}
	return roster.Found{Documents: keep.docs, Total: keep.total, CutShort: keep.incomplete}, true, nil
}

// documentsUnordered reads up to limit documents in no particular order. A sort, even of a single
// row, would take the database as long as the search.
func (l listing) documentsUnordered(ctx context.Context, tx *sqldb.Tx, limit int) (docs []roster.Document, cut bool, err error) {
	args, n := l.withArguments(limit)
	return documentsOf(ctx, tx, pageBytes, newDocumentScan(), `
		select `+documentColumns+`
		from resource r
		where `+l.where+`
		limit $`+strconv.Itoa(n), args...)
}

// firstDocuments reads the first documents of the list, up to limit.
func (l listing) firstDocuments(ctx context.Context, tx *sqldb.Tx, limit int) (docs []roster.Document, cut bool, err error) {
	args, n := l.withArguments(limit)
	return documentsOf(ctx, tx, pageBytes, newDocumentScan(), `
		select `+documentColumns+`
		from resource r
		where `+l.where+`
		order by `+l.placeOrder()+`
		limit $`+strconv.Itoa(n), args...)
}
