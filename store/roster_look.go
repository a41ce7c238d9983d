package store

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// A look (roster.NameLook) describes how a user's name appears to a reader. Its Skeleton is the
// same for all names that look the same. Each look has a row in resource_value, with the value
// "skeleton.name". So the rows of one skeleton are next to each other in the index, sorted by name.
// To find another name with the same skeleton, a query reads the first and the last of these rows.
// A skeleton with different names has a row in look_alike.

// lookValue returns the value under which resource_value stores a look.
func lookValue(l roster.NameLook) string { return l.Skeleton + "." + l.Name }

// lookRange returns the range of the values of a skeleton's rows. from is inclusive, to is
// exclusive.
func lookRange(skeleton string) (from, to string) { return skeleton + ".", skeleton + "/" }

// lockSkeletons makes transactions that write the same skeleton wait for each other, so that the second
// transaction sees the name that the first one wrote.
func lockSkeletons(ctx context.Context, tx *sqldb.Tx, id site.ID, skeletons []string) error {
	if tx.Kind() != sqldb.PostgreSQL {
		return nil // SQLite needs no lock, because it has a single writer
	}
	for _, s := range skeletons {
		if err := tx.Send(ctx, "select pg_advisory_xact_lock(hashtextextended('rollcall look ' || $1::text || ' ' || $2::text, 0))", string(id), s); err != nil {
			return err
		}
	}
	return nil
}

// distinctSkeletons returns the distinct skeletons of looks, in the order in which transactions
// lock them.
func distinctSkeletons(looks ...[]roster.NameLook) []string {
	var all []string
	for _, list := range looks {
		for _, l := range list {
			all = append(all, l.Skeleton)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// putLooks updates those rows of a user's looks that differ between old and next. It also updates
// look_alike, which lists the skeletons that different names share.
func (t rosterTx) putLooks(ctx context.Context, old, next roster.Record) error {
	gone := slices.DeleteFunc(slices.Clone(old.NameLooks), func(l roster.NameLook) bool { return slices.Contains(next.NameLooks, l) })
	come := slices.DeleteFunc(slices.Clone(next.NameLooks), func(l roster.NameLook) bool { return slices.Contains(old.NameLooks, l) })
	if err := lockSkeletons(ctx, t.tx, t.site, distinctSkeletons(gone, come)); err != nil {
		return err
	}
	for _, l := range gone {
		if err := dropLook(ctx, t.tx, t.site, old.ID, l); err != nil {
			return err
		}
	}
	rows := make([]valueRow, len(come))
	for i, l := range come {
		rows[i] = valueRow{next.ID, roster.Value{Path: roster.NameLooksPath, Folded: lookValue(l)}}
	}
	if err := addFewValues(ctx, t.tx, t.site, rows); err != nil {
		return err
	}
	return markLooks(ctx, t.tx, t.site, come)
}

// maxLooksPerMark is the greatest number of looks that one statement of markLooks takes.
const maxLooksPerMark = 16

// markLooks adds the skeletons of new looks to look_alike, if they now have more than one name.
func markLooks(ctx context.Context, tx *sqldb.Tx, id site.ID, looks []roster.NameLook) error {
	for batch := range slices.Chunk(looks, maxLooksPerMark) {
		args := make([]any, 2, 2+4*len(batch))
		args[0], args[1] = string(id), roster.NameLooksPath
		for _, l := range batch {
			from, to := lookRange(l.Skeleton)
			args = append(args, l.Skeleton, from, lookValue(l), to)
		}
		if err := tx.Send(ctx, markStatements[len(batch)], args...); err != nil {
			return err
		}
	}
	return nil
}

// markStatements has the statements of markLooks, by their number of looks.
var markStatements = func() (statements [maxLooksPerMark + 1]string) {
	for n := range statements {
		var looks []string
		for i := range n {
			number := func(k int) string { return "$" + strconv.Itoa(3+4*i+k) }
			looks = append(looks, `
			select $1, `+number(0)+`
			where exists (
				select 1
				from resource_value v
				where v.site = $1 and v.path = $2 and v.value >= `+number(1)+` and v.value < `+number(2)+`)
			or exists (
				select 1
				from resource_value v
				where v.site = $1 and v.path = $2 and v.value > `+number(2)+` and v.value < `+number(3)+`)`)
		}
		statements[n] = `
			insert into look_alike (site, skeleton)` + strings.Join(looks, `
			union all`) + `
			on conflict (site, skeleton) do nothing`
	}
	return statements
}()

// dropLook removes the row of a look. If the skeleton has only one name left, it also removes the
// skeleton from look_alike.
func dropLook(ctx context.Context, tx *sqldb.Tx, id site.ID, resource string, l roster.NameLook) error {
	if err := tx.Send(ctx, `
		delete from resource_value
		where site = $1 and path = $2 and value = $3 and resource = $4 and element = 0`,
		string(id), roster.NameLooksPath, lookValue(l), resource); err != nil {
		return err
	}
	from, to := lookRange(l.Skeleton)
	edge := func(order string) string {
		return `coalesce((
			select v.value
			from resource_value v
			where v.site = $1 and v.path = $3 and v.value >= $4 and v.value < $5
			order by v.value ` + order + `
			limit 1), '')`
	}
	return tx.Send(ctx, `
		delete from look_alike
		where site = $1 and skeleton = $2 and `+edge("asc")+` = `+edge("desc"),
		string(id), l.Skeleton, roster.NameLooksPath, from, to)
}

// hasLookAlike is an SQL condition on a row v of resource_value: another resource has the same
// skeleton under another name.
const hasLookAlike = `(exists (
		select 1
		from resource_value o
		where o.site = v.site and o.path = v.path and o.value >= a.skeleton || '.' and o.value < v.value and o.resource <> v.resource)
	or exists (
		select 1
		from resource_value o
		where o.site = v.site and o.path = v.path and o.value > v.value and o.value < a.skeleton || '/' and o.resource <> v.resource))`

// lookAlikesQuery returns a query for those users of a site that look like another user. The query
// starts from look_alike, which has a row for each of the few skeletons that different names share.
func lookAlikesQuery(site, path string) string {
	return `
		select v.resource
		from look_alike a
		cross join resource_value v
		where a.site = ` + site + ` and v.site = a.site and v.path = ` + path + ` and v.value >= a.skeleton || '.' and v.value < a.skeleton || '/'
			and ` + hasLookAlike
}

// LookAlikes returns, by user id, up to limit other users that look like the user with that id. If
// no users of the site look alike, it reads only the table look_alike.
func (s Rosters) LookAlikes(ctx context.Context, id site.ID, looks map[string][]roster.NameLook, limit int) (found map[string][]roster.Record, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		found = map[string][]roster.Record{}
		var all [][]roster.NameLook
		for _, list := range looks {
			all = append(all, list)
		}
		noted, err := sharedSkeletons(ctx, tx, id, distinctSkeletons(all...))
		if err != nil || len(noted) == 0 {
			return err
		}
		for person, list := range looks {
			for _, l := range list {
				if !slices.Contains(noted, l.Skeleton) {
					continue
				}
				others, err := findAlike(ctx, tx, id, person, l, limit)
				if err != nil {
					return err
				}
				found[person] = appendMissing(found[person], others, limit)
			}
		}
		return nil
	})
	return found, err
}

// appendMissing adds those records of more that the list does not contain, until the list has limit
// records.
func appendMissing(list, more []roster.Record, limit int) []roster.Record {
	for _, rec := range more {
		if len(list) < limit && !slices.ContainsFunc(list, func(has roster.Record) bool { return has.ID == rec.ID }) {
			list = append(list, rec)
		}
	}
	return list
}

// sharedSkeletons returns the given skeletons that have a row in look_alike, because different
// names share them.
func sharedSkeletons(ctx context.Context, tx *sqldb.Tx, id site.ID, skeletons []string) (shared []string, err error) {
	err = inBatches(skeletons, func(batch []string) error {
		args := []any{string(id)}
		for _, s := range batch {
			args = append(args, s)
		}
		some, err := collect(ctx, tx, scanText, `
			select a.skeleton
			from look_alike a
			where a.site = $1 and a.skeleton in (`+placeholders(2, len(batch))+`)`, args...)
		shared = append(shared, some...)
		return err
	})
	return shared, err
}

// findAlike returns users that have the look's skeleton but another name. It leaves out the person
// with the given id.
func findAlike(ctx context.Context, tx *sqldb.Tx, id site.ID, person string, l roster.NameLook, limit int) (others []roster.Record, err error) {
	from, to := lookRange(l.Skeleton)
	for _, part := range [][2]string{{">= $4 and v.value < $5", from}, {"> $5 and v.value < $4", to}} {
		some, err := collect(ctx, tx, scanRecord, `
			select `+recordColumns+`
			from resource_value v
			join resource r on r.site = v.site and r.id = v.resource
			where v.site = $1 and v.path = $2 and v.resource <> $3 and v.value `+part[0]+`
			order by v.value
			limit $6`, string(id), roster.NameLooksPath, person, part[1], lookValue(l), limit)
		if err != nil {
			return nil, err
		}
		others = append(others, some...)
	}
	return others, nil
}

// LooksPending reports whether the index of looks is still being filled. The row that it reads is
// deleted when the index is complete.
func (s Rosters) LooksPending(ctx context.Context, id site.ID) (pending bool, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `
			select exists (
				select 1
				from value_index v
				where v.site = $1 and v.id = $2)`, string(id), roster.NameLooksPath).Scan(&pending)
	})
	return pending, err
}

// fillLooks writes the rows of looks for the next users that the index does not have yet. It locks
// the users before the skeletons, in the same order as a change of a user does.
func (s *indexStep) fillLooks(ctx context.Context, at valueIndex) error {
	next, done := at, true
	var rows []valueRow
	var looks []roster.NameLook
	err := s.visitResources(ctx, at, func(rec roster.Record) (enough bool, err error) {
		of, err := rec.StoredNameLooks()
		for _, l := range of {
			rows = append(rows, valueRow{rec.ID, roster.Value{Path: roster.NameLooksPath, Folded: lookValue(l)}})
		}
		looks = append(looks, of...)
		next.lastPlace = roster.Place{Position: rec.Position, ID: rec.ID}
		next.indexedCount++
		done = false
		return len(rows) >= maxRowsPerStep, err
	})
	if err != nil {
		return err
	}
	if done {
		_, err := s.tx.Exec(ctx, `
			delete from value_index
			where site = $1 and id = $2`, string(s.site), roster.NameLooksPath)
		return err
	}
	if err := lockSkeletons(ctx, s.tx, s.site, distinctSkeletons(looks)); err != nil {
		return err
	}
	if err := addValues(ctx, s.tx, s.site, rows); err != nil {
		return err
	}
	if err := markLooks(ctx, s.tx, s.site, looks); err != nil {
		return err
	}
	_, err = s.tx.Exec(ctx, `
		update value_index
		set seq = $1, resource = $2, done = $3
		where site = $4 and id = $5`, next.lastPlace.Position, next.lastPlace.ID, next.indexedCount, string(s.site), roster.NameLooksPath)
	return err
}
