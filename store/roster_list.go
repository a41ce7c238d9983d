package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// bucketSize is the number of list places that share one counter, called a bucket. The place of a
// resource in lists is its seq, which numbers the resources of one kind on a site from 1. Each
// insert or delete updates the count of its bucket. A total is therefore the sum of a few rows, and
// a page at any depth needs a walk through only one bucket.
const bucketSize = 1024 // must be equal to the number in migration 0007

// listColumn returns the value of the column resource.list for a site's resources of one kind. Only
// the index for lists begins with that column.
func listColumn(id site.ID, kind scim.TypeName) string { return string(id) + "/" + string(kind) }

// adjustCount updates the counts that lists use: n is 1 for a resource that was added, and -1 for
// a resource that was removed.
func (t rosterTx) adjustCount(ctx context.Context, kind scim.TypeName, seq int64, n int) error {
	return t.tx.Send(ctx, `
		insert into resource_count (site, kind, bucket, shard, n)
		values ($1, $2, $3, $4, $5)
		on conflict (site, kind, bucket, shard) do update
		set n = resource_count.n + excluded.n`,
		string(t.site), string(kind), seq/bucketSize, t.tx.Shard(), n)
}

// Limits, in bytes, on the documents that are read at once. They apply to a page and to each step
// of a scan. A single document can have two million bytes.
const (
	pageBytes = 4 << 20 // the limit for a page
	scanBytes = 1 << 20 // the limit for a step of a scan
)

// List returns a page of the resources that match a filter, and the total number of matches. It
// returns roster.ErrTooMany if a scan would read more than ScanLimit resources, and
// roster.ErrTooSlow if the work takes too long.
func (s Rosters) List(ctx context.Context, id site.ID, q roster.ListQuery) (found roster.Found, err error) {
	l := newListing(id, q, declaredRows{})
	if l.isLookup() {
		found, all, err := s.answerLookup(ctx, l)
		if err != nil || all {
			return found, err
		}
	}
	if !l.isCostly() {
		return s.list(ctx, l)
	}
	err = s.RunExpensive(ctx, id, func(limited context.Context) error {
		found, err = s.list(limited, l)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return roster.ErrTooSlow
		}
		return err
	})
	return found, err
}

// isCostly reports whether the query may have to read more resources than the page has, so that
// RunExpensive must limit it.
func (l listing) isCostly() bool { return l.Filter != nil || l.Sort != nil && !l.byName }

// list answers the query in one transaction. It uses the value rows of declared attributes if the
// columns of resources cannot answer the filter.
func (s Rosters) list(ctx context.Context, l listing) (found roster.Found, err error) {
	err = s.DB.Lane(string(l.site)).View(ctx, func(tx *sqldb.Tx) error {
		best := l
		if !l.prefilter.exact && !l.prefilter.selective {
			declared, err := findDeclaredRows(ctx, tx, l.site, l.Kind, l.Filter)
			if err != nil {
				return err
			}
			best = newListing(l.site, l.ListQuery, declared)
		}
		if best.hasVaryingCost() {
			if err := tx.PlanForValues(ctx); err != nil {
				return err
			}
		}
		found, err = best.list(ctx, tx)
		return err
	})
	return found, err
}

// documentsOf runs a query for documents. It reads as many documents as fit into room bytes, but at
// least one. cut reports whether there were more.
func documentsOf(ctx context.Context, tx *sqldb.Tx, room int, scan func(scanner) (roster.Document, error), query string, args ...any) (docs []roster.Document, cut bool, err error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	for rows.Next() {
		doc, err := scan(rows)
		if err != nil {
			return nil, false, err
		}
		if room -= len(doc.JSON); room < 0 && len(docs) > 0 {
			return docs, true, rows.Close()
		}
		docs = append(docs, doc)
	}
	return docs, false, rows.Err()
}

// hasVaryingCost reports whether the database should plan the query for its values, because its
// cost depends on them.
func (l listing) hasVaryingCost() bool {
	return l.Filter != nil && l.prefilter.sql != "" || l.Sort != nil && !l.byName
}

// listing is a list query in SQL: a condition on resources, and its arguments.
type listing struct {
	roster.ListQuery
	site      site.ID
	where     string
	args      []any
	prefilter prefilter

	byName bool // whether the list walks the index of user names; then the second argument is the folded name to start from
}

// newListing returns the listing for a query. declared has the value rows that its filter can use.
func newListing(id site.ID, q roster.ListQuery, declared declaredRows) listing {
	l := listing{ListQuery: q, site: id, prefilter: newPrefilter(q, string(id), declared, 2)}
	byName := q.Kind == roster.User && q.Sort != nil && q.Sort.Path == scim.AttrPath{Name: "userName"}
	// A selective condition finds the few matches without the list. But if there are many matches,
	// and no document has to be checked, walking the list is cheaper for counting and sorting.
	found := l.prefilter.selective && (l.prefilter.fewResources || !l.prefilter.exact)
	switch {
	case found:
		// Leave out a condition on the column list, because with it a database could decide to walk
		// the whole list.
		l.where, l.args = `r.site = $1 and r.kind = $2`, []any{string(id), string(q.Kind)}
	case byName && l.prefilter.exact:
		l.byName = true
		l.where, l.args = `r.site = $1 and r.user_name >= $2`, []any{string(id), ""} // only users have a user_name
	default:
		// The condition on the column site lets a database look up each resource of a subquery by
		// the primary key. Without this condition, and without statistics, PostgreSQL reads the
		// whole key for each resource.
		l.where, l.args = `r.list = $1 and r.site = $2`, []any{listColumn(id, q.Kind), string(id)}
	}
	l.prefilter.selective = found
	l.args = append(l.args, l.prefilter.args...)
	if l.prefilter.sql != "" {
		l.where += " and " + l.prefilter.sql
	}
	return l
}

// list answers the query in the way that is cheapest for its filter and its order.
func (l listing) list(ctx context.Context, tx *sqldb.Tx) (roster.Found, error) {
	order, sorted := l.sortOrdering()
	switch {
	case l.Filter == nil && l.Sort == nil:
		return l.unfilteredPage(ctx, tx)
	case l.prefilter.exact && l.Sort == nil:
		return l.exactPage(ctx, tx)
	case l.prefilter.exact && sorted:
		return l.sortedPage(ctx, tx, order)
	}
	return l.scanCandidates(ctx, tx)
}

// placeOrder returns the "order by" terms of lists. If the condition is selective, it adds "+ 0".
// This makes the database sort the few matching rows, instead of walking the whole list to find
// them in order.
func (l listing) placeOrder() string {
	if l.prefilter.selective {
		return `r.seq + 0, r.id`
	}
	return `r.seq, r.id`
}

// withArguments returns the listing's arguments followed by more. first is the placeholder number
// of the first argument in more: 3 means $3.
func (l listing) withArguments(more ...any) (args []any, first int) {
	return append(slices.Clone(l.args), more...), len(l.args) + 1
}

// documents reads documents beginning at a place: at most limit documents, and at most room bytes
// in all. cut reports whether it left out documents because they did not fit into room.
func (l listing) documents(ctx context.Context, tx *sqldb.Tx, from roster.Place, limit, room int) (docs []roster.Document, cut bool, err error) {
	args, n := l.withArguments(from.Position, from.ID, limit)
	return documentsOf(ctx, tx, room, newDocumentScan(), `
		select `+documentColumns+`
		from resource r
		where `+l.where+` and (r.seq, r.id) >= ($`+strconv.Itoa(n)+`, $`+strconv.Itoa(n+1)+`)
		order by `+l.placeOrder()+`
		limit $`+strconv.Itoa(n+2), args...)
}

// documentsBefore reads the last limit documents before a place.
func (l listing) documentsBefore(ctx context.Context, tx *sqldb.Tx, place roster.Place, limit int) (docs []roster.Document, cut bool, err error) {
	args, n := l.withArguments(place.Position, place.ID, limit)
	docs, cut, err = documentsOf(ctx, tx, pageBytes, newDocumentScan(), `
		select `+documentColumns+`
		from resource r
		where `+l.where+` and (r.seq, r.id) < ($`+strconv.Itoa(n)+`, $`+strconv.Itoa(n+1)+`)
		order by r.seq desc, r.id desc
		limit $`+strconv.Itoa(n+2), args...)
	slices.Reverse(docs)
	return docs, cut, err
}

// pageNextToPlace reads the page after l.After or before l.Before. ok is false if the query has
// neither.
func (l listing) pageNextToPlace(ctx context.Context, tx *sqldb.Tx, total int) (found roster.Found, ok bool, err error) {
	found.Total = total
	switch {
	case l.After != nil:
		found.Documents, found.CutShort, err = l.documents(ctx, tx, placeAfter(*l.After), l.Count, pageBytes)
	case l.Before != nil:
		found.Documents, found.CutShort, err = l.documentsBefore(ctx, tx, *l.Before, l.Count)
	default:
		return found, false, nil
	}
	return found, true, err
}

// placeAfter returns the smallest place after p.
func placeAfter(p roster.Place) roster.Place {
	return roster.Place{Position: p.Position, ID: p.ID + "\x01"}
}

// placeBucket is a bucket of places in a list, with the number of resources in it.
type placeBucket struct{ bucket, count int64 }

func (s placeBucket) begin() int64 { return s.bucket * bucketSize }
func (s placeBucket) end() int64   { return s.begin() + bucketSize }

// unfilteredPage returns the page of a list without a filter.
func (l listing) unfilteredPage(ctx context.Context, tx *sqldb.Tx) (found roster.Found, err error) {
	counted, err := l.countBuckets(ctx, tx)
	if err != nil {
		return found, err
	}
	var total, skipped int64
	var first placeBucket // the bucket with the first resource of the page; skipped resources of the bucket come before it
	end := int64(math.MaxInt64)
	for _, s := range counted {
		if at := int64(l.Offset) - total; at >= 0 && at < s.count {
			first, skipped = s, at
		}
		if full := int64(l.Offset + l.Count); total < full && total+s.count >= full {
			end = s.end()
		}
		total += s.count
	}
	found.Total = int(total)
	if l.Count == 0 || int64(l.Offset) >= total {
		return found, nil
	}
	if page, ok, err := l.pageNextToPlace(ctx, tx, found.Total); ok {
		return page, err
	}
	found.Documents, found.CutShort, err = l.documentsAfter(ctx, tx, first, skipped, end)
	return found, err
}

// countBuckets returns the buckets of the list in their order. It adds up the rows of a bucket
// itself, because a database takes much longer to group them.
func (l listing) countBuckets(ctx context.Context, tx *sqldb.Tx) (all []placeBucket, err error) {
	rows, err := tx.Query(ctx, `
		select c.bucket, c.n
		from resource_count c
		where c.site = $1 and c.kind = $2
		order by c.bucket`, string(l.site), string(l.Kind))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var s placeBucket
	for rows.Next() {
		if err := rows.Scan(&s.bucket, &s.count); err != nil {
			return nil, err
		}
		if last := len(all) - 1; last >= 0 && all[last].bucket == s.bucket {
			all[last].count += s.count
			continue
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// documentsAfter reads a page. The page starts in the bucket that is passed as first, and skips the
// given number of resources of that bucket. The page ends before the position end. These two bounds
// are near each other, so that the database walks the index instead of sorting. The subquery finds
// the start of the page. It counts from the nearer end of the bucket and reads only the index.
func (l listing) documentsAfter(ctx context.Context, tx *sqldb.Tx, first placeBucket, skipped, end int64) (docs []roster.Document, cut bool, err error) {
	args, n := l.withArguments(first.begin(), end, l.Count)
	from := ""
	if skipped > 0 {
		direction, walked := "", skipped
		if left := first.count - skipped; left <= skipped {
			direction, walked = " desc", left-1
		}
		args = append(args, first.end(), walked)
		// This condition must come first, because SQLite uses the first bound that it finds.
		from = ` and (r.seq, r.id) >= (
			select r.seq, r.id
			from resource r
			where ` + l.where + ` and r.seq >= $` + strconv.Itoa(n) + ` and r.seq < $` + strconv.Itoa(n+3) + `
			order by r.seq` + direction + `, r.id` + direction + `
			limit 1
			offset $` + strconv.Itoa(n+4) + `)`
	}
	return documentsOf(ctx, tx, pageBytes, newDocumentScan(), `
		select `+documentColumns+`
		from resource r
		where `+l.where+from+` and r.seq >= $`+strconv.Itoa(n)+` and r.seq < $`+strconv.Itoa(n+1)+`
		order by `+l.placeOrder()+`
		limit $`+strconv.Itoa(n+2), args...)
}

// skipResources walks past the first n resources of the list, using only the index. It returns the
// place of the next resource.
func (l listing) skipResources(ctx context.Context, tx *sqldb.Tx, n int) (at roster.Place, found bool, err error) {
	if n == 0 {
		return at, true, nil
	}
	args, first := l.withArguments(n)
	places, err := collect(ctx, tx, scanPlace, `
		select r.seq, r.id
		from resource r
		where `+l.where+`
		order by `+l.placeOrder()+`
		limit 1
		offset $`+strconv.Itoa(first), args...)
	if err != nil || len(places) == 0 {
		return at, false, err
	}
	return places[0], true, nil
}

// exactPage returns the page of a query whose prefilter is exact, which means that the indexes
// alone decide which resources match. If all matches fit on the first page, it runs only one query.
func (l listing) exactPage(ctx context.Context, tx *sqldb.Tx) (found roster.Found, err error) {
	if l.Count > 0 && l.Offset == 0 && l.After == nil && l.Before == nil {
		return l.firstPage(ctx, tx)
	}
	if found.Total, err = l.countPrefiltered(ctx, tx); err != nil || l.Count == 0 || l.Offset >= found.Total {
		return found, err
	}
	if page, ok, err := l.pageNextToPlace(ctx, tx, found.Total); ok {
		return page, err
	}
	from, ok, err := l.skipResources(ctx, tx, l.Offset)
	if err != nil || !ok {
		return found, err
	}
	found.Documents, found.CutShort, err = l.documents(ctx, tx, from, l.Count, pageBytes)
	return found, err
}

// firstPage returns the first page of a query whose prefilter is exact. It counts the matches only
// if they do not all fit on the page.
func (l listing) firstPage(ctx context.Context, tx *sqldb.Tx) (found roster.Found, err error) {
	docs, cut, err := l.firstDocuments(ctx, tx, l.Count+1)
	if err != nil || !cut && len(docs) <= l.Count {
		return roster.Found{Documents: docs, Total: len(docs)}, err
	}
	found = roster.Found{Documents: docs[:min(len(docs), l.Count)], CutShort: len(docs) < l.Count}
	found.Total, err = l.countPrefiltered(ctx, tx)
	return found, err
}

// countPrefiltered returns the number of resources that satisfy the prefilter.
func (l listing) countPrefiltered(ctx context.Context, tx *sqldb.Tx) (total int, err error) {
	if l.prefilter.count != "" {
		err = tx.QueryRow(ctx, l.prefilter.count, l.prefilter.args...).Scan(&total)
		return total, err
	}
	err = tx.QueryRow(ctx, `
		select count(*)
		from resource r
		where `+l.where, l.args...).Scan(&total)
	return total, err
}

// sortedPage returns the page of a query that sorts by columns. It reads only the documents of the
// page.
func (l listing) sortedPage(ctx context.Context, tx *sqldb.Tx, order ordering) (found roster.Found, err error) {
	if found.Total, err = l.countMatches(ctx, tx); err != nil || l.Count == 0 || l.Offset >= found.Total {
		return found, err
	}
	if l, err = l.continueFrom(order); err != nil {
		return found, err
	}
	args, n := l.withArguments(l.Count, l.Offset, string(l.site))
	// If the documents do not all fit on the page, leave out the first ones of a page before a
	// place, and the last ones of any other page.
	back := l.Before != nil
	found.Documents, found.CutShort, err = documentsOf(ctx, tx, pageBytes, order.scan, `
		select `+documentColumns+`, `+order.textExpression+`
		from (
			select r.id as page_id
			from resource r
			where `+l.where+`
			order by `+order.orderClause(l.Before != nil)+`
			limit $`+strconv.Itoa(n)+`
			offset $`+strconv.Itoa(n+1)+`
		) page
		join resource r on r.site = $`+strconv.Itoa(n+2)+` and r.id = page.page_id
		order by `+order.orderClause(back), args...)
	if back {
		slices.Reverse(found.Documents)
	}
	return found, err
}

// countMatches returns the number of matching resources, for a query whose prefilter is exact or
// that has no filter.
func (l listing) countMatches(ctx context.Context, tx *sqldb.Tx) (int, error) {
	if l.Filter != nil {
		return l.countPrefiltered(ctx, tx)
	}
	l.Count = 0
	found, err := l.unfilteredPage(ctx, tx)
	return found.Total, err
}

// scanStep is how many candidates a scan reads at once.
const scanStep = 200

// candidate is a document that the filter may match, with its parsed attributes.
type candidate struct {
	doc      roster.Document
	resource scim.Resource
}

// scanCandidates reads all candidates. The filter's evaluator decides which ones match and how they
// are ordered.
func (l listing) scanCandidates(ctx context.Context, tx *sqldb.Tx) (found roster.Found, err error) {
	if l.prefilter.sql == "" {
		// The scan will read the whole list. The counts show in advance whether the list is too
		// long.
		all := l
		all.Count, all.Filter = 0, nil
		if whole, err := all.unfilteredPage(ctx, tx); err != nil || whole.Total > l.ScanLimit {
			return found, cmp.Or[error](err, roster.ErrTooMany)
		}
	}
	keep := newPageCollector(l.ListQuery)
	read := 0
	for from := (roster.Place{}); ; {
		limit := min(scanStep, l.ScanLimit-read+1)
		some, cut, err := l.documents(ctx, tx, from, limit, scanBytes)
		if err != nil {
			return found, err
		}
		if read += len(some); read > l.ScanLimit {
			return found, roster.ErrTooMany
		}
		if err := l.collectMatches(ctx, tx, some, keep); err != nil {
			return found, err
		}
		if len(some) < limit && !cut {
			return l.collectedPage(ctx, tx, keep)
		}
		last := some[len(some)-1]
		from = placeAfter(roster.Place{Position: last.Position, ID: last.ID})
		if l.prefilter.selective {
			return l.scanPlaces(ctx, tx, from, read, keep)
		}
		runtime.Gosched() // let other requests run first
	}
}

// scanPlaces continues a scan when an index has found many candidates. It first reads the places of
// all candidates. Otherwise the database would sort all candidates again for every step.
func (l listing) scanPlaces(ctx context.Context, tx *sqldb.Tx, from roster.Place, read int, keep *pageCollector) (found roster.Found, err error) {
	args, n := l.withArguments(from.Position, from.ID, l.ScanLimit-read+1)
	places, err := collect(ctx, tx, scanPlace, `
		select r.seq, r.id
		from resource r
		where `+l.where+` and (r.seq, r.id) >= ($`+strconv.Itoa(n)+`, $`+strconv.Itoa(n+1)+`)
		limit $`+strconv.Itoa(n+2), args...)
	if err != nil {
		return found, err
	}
	if len(places) > l.ScanLimit-read {
		return found, roster.ErrTooMany
	}
	slices.SortFunc(places, func(a, b roster.Place) int { return a.Compare(b, nil) })
	for len(places) > 0 {
		docs, err := l.documentsAt(ctx, tx, places[:min(scanStep, len(places))], scanBytes)
		if err != nil {
			return found, err
		}
		if err := l.collectMatches(ctx, tx, docs, keep); err != nil {
			return found, err
		}
		places = places[len(docs):]
		runtime.Gosched() // let other requests run first
	}
	return l.collectedPage(ctx, tx, keep)
}

// scanPlace reads the columns seq and id of a resource, which are its place in lists.
func scanPlace(row scanner) (p roster.Place, err error) {
	err = row.Scan(&p.Position, &p.ID)
	return p, err
}

// documentsAt reads the documents at some places, in the order of the places. It reads as many as
// fit into room bytes, but at least one.
func (l listing) documentsAt(ctx context.Context, tx *sqldb.Tx, places []roster.Place, room int) ([]roster.Document, error) {
	sizes := make(map[string]int, len(places))
	err := inBatches(places, func(batch []roster.Place) error {
		rows, err := collect(ctx, tx, func(row scanner) (d roster.Document, err error) {
			err = row.Scan(&d.ID, &d.Version)
			return d, err
		}, `
			select r.id, length(r.doc)
			from resource r
			where r.site = $1 and r.id in (`+placeholders(2, len(batch))+`)`, l.placeArguments(batch)...)
		for _, row := range rows {
			sizes[row.ID] = int(row.Version)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, p := range places {
		if room -= sizes[p.ID]; room < 0 && i > 0 {
			places = places[:i]
			break
		}
	}
	found := make(map[string]roster.Document, len(places))
	err = inBatches(places, func(batch []roster.Place) error {
		docs, err := collect(ctx, tx, newDocumentScan(), `
			select `+documentColumns+`
			from resource r
			where r.site = $1 and r.id in (`+placeholders(2, len(batch))+`)`, l.placeArguments(batch)...)
		for _, doc := range docs {
			found[doc.ID] = doc
		}
		return err
	})
	docs := make([]roster.Document, 0, len(places))
	for _, p := range places {
		docs = append(docs, found[p.ID])
	}
	return docs, err
}

// placeArguments returns the arguments of a query for the resources at some places.
func (l listing) placeArguments(places []roster.Place) []any {
	args := []any{string(l.site)}
	for _, p := range places {
		args = append(args, p.ID)
	}
	return args
}

// collectMatches adds the documents that match the filter to the collector keep.
func (l listing) collectMatches(ctx context.Context, tx *sqldb.Tx, docs []roster.Document, keep *pageCollector) error {
	candidates, err := l.parseCandidates(ctx, tx, docs)
	if err != nil {
		return err
	}
	for _, c := range candidates {
		if l.Filter == nil || l.Filter.Match(c.resource) {
			keep.add(c)
		}
	}
	return nil
}

// parseCandidates parses the attributes that the query uses. It adds the attributes that documents
// do not store, such as members.
func (l listing) parseCandidates(ctx context.Context, tx *sqldb.Tx, docs []roster.Document) ([]candidate, error) {
	list := make([]candidate, len(docs))
	ids := make([]string, len(docs))
	names := l.readAttributes()
	for i, doc := range docs {
		resource, err := scim.ParseAttributes(doc.JSON, names)
		if err != nil {
			return nil, fmt.Errorf("read stored resource %s: %w", doc.ID, err)
		}
		if l.Kind == roster.User {
			resource["active"] = doc.Active // a stored document lacks active if a client removed the attribute
		}
		list[i], ids[i] = candidate{doc, resource}, doc.ID
	}
	switch {
	case l.readsMembers():
		return list, l.addMembers(ctx, tx, list)
	case l.readsGroups():
		return list, l.addGroups(ctx, tx, list, ids)
	}
	return list, nil
}

// readAttributes returns the attributes and extensions that the filter and the sort order read.
func (l listing) readAttributes() []string {
	var paths []scim.AttrPath
	if l.Filter != nil {
		paths = scim.Paths(l.Filter.Root)
	}
	if l.Sort != nil {
		paths = append(paths, l.Sort.Path)
	}
	var names []string
	for _, p := range paths {
		if name := cmp.Or(p.URN, p.Name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// readsMembers reports whether the filter or the sort order reads the members of groups.
func (l listing) readsMembers() bool {
	return l.Kind == roster.Group && l.readsAttribute(scim.AttrPath{Name: "members"})
}

// readsMemberNames reports whether the filter or the sort order reads the names of members.
func (l listing) readsMemberNames() bool {
	if l.Sort != nil && l.Sort.Path == memberNamesPath {
		return true
	}
	return l.Filter != nil && slices.Contains(scim.Paths(l.Filter.Root), memberNamesPath)
}

// readsGroups reports whether the filter or the sort order needs the groups of users. The attribute
// meta.version does, because the version of a user changes with the groups.
func (l listing) readsGroups() bool {
	return l.Kind == roster.User && l.Groups && (l.readsAttribute(scim.AttrPath{Name: "groups"}) || l.readsAttribute(scim.AttrPath{Name: "meta", Sub: "version"}))
}

// readsAttribute reports whether the filter or the sort order uses the wanted core attribute or
// sub-attribute.
func (l listing) readsAttribute(wanted scim.AttrPath) bool {
	if l.Sort != nil && pathsOverlap(l.Sort.Path, wanted) {
		return true
	}
	return l.Filter != nil && mentionsAttribute(l.Filter.Root, wanted)
}

// mentionsAttribute reports whether a node of a filter uses the wanted attribute.
func mentionsAttribute(node scim.Node, wanted scim.AttrPath) bool {
	path := scim.AttrPath{}
	switch node := node.(type) {
	case scim.And:
		return mentionsAttribute(node.Left, wanted) || mentionsAttribute(node.Right, wanted)
	case scim.Or:
		return mentionsAttribute(node.Left, wanted) || mentionsAttribute(node.Right, wanted)
	case scim.Not:
		return mentionsAttribute(node.Node, wanted)
	case scim.Compare:
		path = node.Path
	case scim.Present:
		path = node.Path
	case scim.ValuePath:
		path = node.Path
	}
	return pathsOverlap(path, wanted)
}

// pathsOverlap reports whether path reads the wanted attribute, one of its sub-attributes, or the
// attribute that contains it.
func pathsOverlap(path, wanted scim.AttrPath) bool {
	return path.URN == "" && path.Name == wanted.Name && (path.Sub == "" || wanted.Sub == "" || path.Sub == wanted.Sub)
}

// membersPerRead is how many members of a group the scan reads at once for the filter's
// evaluator.
const membersPerRead = 1000

// addMembers adds the attribute members to the candidates.
func (l listing) addMembers(ctx context.Context, tx *sqldb.Tx, list []candidate) error {
	named := l.readsMemberNames()
	for _, c := range list {
		var elements []any
		for after := ""; ; {
			page, err := membersOf(ctx, tx, l.site, c.doc.ID, after, membersPerRead, named)
			if err != nil {
				return err
			}
			for _, m := range page {
				e := map[string]any{"value": m.ID, "type": string(m.Kind)}
				if m.Display != "" {
					e["display"] = m.Display
				}
				elements = append(elements, e)
			}
			if len(page) < membersPerRead {
				break
			}
			after = page[len(page)-1].ID
		}
		if len(elements) > 0 {
			c.resource["members"] = elements
		}
	}
	return nil
}

// addGroups adds the attribute groups to the candidates, which have these ids.
func (l listing) addGroups(ctx context.Context, tx *sqldb.Tx, list []candidate, ids []string) error {
	groups, err := membershipsOf(ctx, tx, l.site, ids)
	if err != nil {
		return err
	}
	for _, c := range list {
		var elements []any
		for _, g := range groups[c.doc.ID] {
			elements = append(elements, map[string]any{"value": g.Group, "display": g.Display, "type": "direct"})
		}
		if len(elements) == 0 {
			continue
		}
		c.resource["groups"] = elements
		if meta, ok := c.resource["meta"].(map[string]any); ok {
			meta["version"] = roster.ETag(c.doc.Version, groups[c.doc.ID])
		}
	}
	return nil
}

// pageCollector collects one page of matches, in the order of the query.
type pageCollector struct {
	roster.ListQuery
	total      int
	docs       []roster.Document // the matches so far; for a sorted list only those that the page may need, without their JSON
	bytes      int               // the size of docs, in bytes
	incomplete bool              // whether matches were left out because the page had no room
}

// newPageCollector returns a collector for the page of a query.
func newPageCollector(q roster.ListQuery) *pageCollector { return &pageCollector{ListQuery: q} }

// add counts a match, and collects its document if the page may need it.
func (k *pageCollector) add(c candidate) {
	k.total++
	if k.Sort != nil {
		c.doc.SortKey = k.Sort.Key(c.resource)
	}
	place := roster.PlaceOf(c.doc)
	switch {
	case k.Count == 0,
		k.After != nil && place.Compare(*k.After, k.Sort) <= 0,
		k.Before != nil && place.Compare(*k.Before, k.Sort) >= 0:
	case k.Sort != nil:
		k.addSorted(c.doc)
	case k.Before != nil:
		k.addLast(c.doc)
	case k.After != nil || k.total > k.Offset:
		k.addFirst(c.doc)
	}
}

// addFirst adds the document if the page has room for it. It is used for pages that keep the first
// matches.
func (k *pageCollector) addFirst(doc roster.Document) {
	if k.incomplete || len(k.docs) == k.Count {
		return
	}
	if k.bytes += len(doc.JSON); k.bytes > pageBytes && len(k.docs) > 0 {
		k.incomplete = true
		return
	}
	k.docs = append(k.docs, doc)
}

// addLast adds the document and drops the earliest documents that no longer fit. It is used for
// pages that keep the last matches.
func (k *pageCollector) addLast(doc roster.Document) {
	k.docs = append(k.docs, doc)
	for k.bytes += len(doc.JSON); len(k.docs) > k.Count || k.bytes > pageBytes && len(k.docs) > 1; {
		k.incomplete = len(k.docs) <= k.Count
		k.bytes -= len(k.docs[0].JSON)
		k.docs = slices.Delete(k.docs, 0, 1)
	}
}

// addSorted adds the document. When the collector has about twice as many documents as the page
// needs, it drops the documents that the page cannot need.
func (k *pageCollector) addSorted(doc roster.Document) {
	doc.JSON = nil
	k.docs = append(k.docs, doc)
	if len(k.docs) >= 2*(k.Offset+k.Count)+scanStep {
		k.sortAndTrim()
	}
}

// sortAndTrim sorts the documents and keeps only those that the page needs. For a page before a
// place, it keeps the last documents, and otherwise the first ones.
func (k *pageCollector) sortAndTrim() {
	slices.SortFunc(k.docs, func(a, b roster.Document) int { return roster.PlaceOf(a).Compare(roster.PlaceOf(b), k.Sort) })
	surplus := max(len(k.docs)-k.Offset-k.Count, 0)
	if k.Before != nil {
		k.docs = slices.Delete(k.docs, 0, surplus)
	} else {
		k.docs = slices.Delete(k.docs, len(k.docs)-surplus, len(k.docs))
	}
}

// collectedPage returns the collected page. For a sorted page it reads the documents again, because
// the collector kept only their order.
func (l listing) collectedPage(ctx context.Context, tx *sqldb.Tx, k *pageCollector) (found roster.Found, err error) {
	found = roster.Found{Documents: k.docs, Total: k.total, CutShort: k.incomplete}
	if k.Sort == nil {
		return found, nil
	}
	k.sortAndTrim()
	page := k.docs[min(k.Offset, len(k.docs)):]
	back := l.Before != nil // if the page ends before a place, the documents nearest to that place have priority
	if back {
		slices.Reverse(page)
	}
	places := make([]roster.Place, len(page))
	for i, doc := range page {
		places[i] = roster.PlaceOf(doc)
	}
	docs, err := l.documentsAt(ctx, tx, places, pageBytes)
	for i := range docs {
		docs[i].SortKey = page[i].SortKey
	}
	if back {
		slices.Reverse(docs)
	}
	found.Documents, found.CutShort = docs, len(docs) < len(page)
	return found, err
}
