package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// declarationJSON is the stored form of one declared attribute.
type declarationJSON struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	URN  string `json:"urn,omitempty"`
	Name string `json:"name"`
	Sub  string `json:"sub,omitempty"`
}

// encodeSearchable returns the stored form of a site's declared attributes.
func encodeSearchable(list []site.Searchable) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	out := make([]declarationJSON, len(list))
	for i, s := range list {
		out[i] = declarationJSON{s.ID, string(s.Type), s.Path.URN, s.Path.Name, s.Path.Sub}
	}
	b, err := json.Marshal(out)
	return string(b), err
}

// decodeSearchable reads the stored form that encodeSearchable returns.
func decodeSearchable(text string) ([]site.Searchable, error) {
	if text == "" {
		return nil, nil
	}
	var in []declarationJSON
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return nil, fmt.Errorf("read what is declared searchable: %w", err)
	}
	list := make([]site.Searchable, len(in))
	for i, d := range in {
		list[i] = site.Searchable{ID: d.ID, Type: scim.TypeName(d.Type), Path: scim.AttrPath{URN: d.URN, Name: d.Name, Sub: d.Sub}}
	}
	return list, nil
}

// searchableOf returns the attributes that are declared searchable, or site.ErrNotFound.
func searchableOf(ctx context.Context, tx *sqldb.Tx, id site.ID) ([]site.Searchable, error) {
	var text string
	if err := tx.QueryRow(ctx, `
		select s.searchable
		from site s
		where s.id = $1 and s.deleted = 0`, string(id)).Scan(&text); err != nil {
		return nil, orNotFound(err, site.ErrNotFound)
	}
	return decodeSearchable(text)
}

func (t siteTx) Searchable(ctx context.Context) ([]site.Searchable, error) {
	return searchableOf(ctx, t.tx, t.site.ID)
}

// PutSearchable stores the declared attributes of the site. It needs the lock that UpdateSite
// takes: that lock waits for all writes of resources, because every write of a resource holds the
// site.
func (t siteTx) PutSearchable(ctx context.Context, list []site.Searchable) error {
	text, err := encodeSearchable(list)
	if err != nil {
		return err
	}
	if _, err := t.tx.Exec(ctx, `
		update site
		set searchable = $1
		where id = $2`, text, string(t.site.ID)); err != nil {
		return err
	}
	return wakeLease(ctx, t.tx, roster.LeaseKind, string(t.site.ID))
}

// Every write of a resource also updates the rows of the declared attributes. Both a write and a
// change of the declarations lock the site. A write that starts after the change sees the new
// declarations. The change waits for a write that started earlier, and then reads the rows that the
// write stored.

// declaredExpression returns an SQL expression for the returning clause of a write of a resource.
// The expression yields the site's declared attributes. It has two arguments: the schemas that the
// write was checked against, and 1 if group names must be unique, or 0. It yields null if the site
// has other schemas or another rule for group names now. The parameter schemas is the number of the
// first placeholder. The expression reads the site at the start of the statement, which is after
// holdSite.
func declaredExpression(schemas int) string {
	return `(select case when s.schemas = $` + strconv.Itoa(schemas) + ` and case when s.strict or s.shared_group_names then 0 else 1 end = $` + strconv.Itoa(schemas+1) + `
		then s.searchable end from site s where s.id = resource.site)`
}

// putDeclared updates those value rows of declared attributes that differ between old and next.
func (t rosterTx) putDeclared(ctx context.Context, declared string, old, next roster.Record) error {
	if declared == "" {
		return nil
	}
	list, err := decodeSearchable(declared)
	if err != nil {
		return err
	}
	return t.putDeclaredRows(ctx, list, old, next)
}

// putDeclaredRows does what putDeclared does, for the declared attributes in list.
func (t rosterTx) putDeclaredRows(ctx context.Context, list []site.Searchable, old, next roster.Record) (err error) {
	if old.Values, err = old.DeclaredValues(list); err != nil {
		return err
	}
	if next.Values, err = next.DeclaredValues(list); err != nil {
		return err
	}
	return t.putValues(ctx, old, next)
}

// deleteDeclared removes the value rows of declared attributes of a resource that is about to be
// deleted.
func (t rosterTx) deleteDeclared(ctx context.Context, old roster.Record) error {
	list, err := searchableOf(ctx, t.tx, t.site)
	if err != nil {
		return err
	}
	return t.putDeclaredRows(ctx, list, old, roster.Record{})
}

// valueIndex is the progress of indexing one declared attribute.
type valueIndex struct {
	id           string
	kind         scim.TypeName
	complete     bool
	lastPlace    roster.Place // the last resource that the index contains
	indexedCount int          // how many resources the index contains
}

// valueIndexes returns the progress of indexing of each declared attribute of a site.
func valueIndexes(ctx context.Context, tx *sqldb.Tx, id site.ID) ([]valueIndex, error) {
	return collect(ctx, tx, func(row scanner) (v valueIndex, err error) {
		err = row.Scan(&v.id, &v.kind, &v.complete, &v.lastPlace.Position, &v.lastPlace.ID, &v.indexedCount)
		return v, err
	}, `
		select v.id, v.kind, v.complete, v.seq, v.resource, v.done
		from value_index v
		where v.site = $1`, string(id))
}

// findIndex returns the progress of a declaration, or false if indexing has not started.
func findIndex(indexes []valueIndex, d site.Searchable) (valueIndex, bool) {
	at := slices.IndexFunc(indexes, func(v valueIndex) bool { return v.id == d.ID })
	if at < 0 {
		return valueIndex{}, false
	}
	return indexes[at], true
}

// declaredRows describes the value rows of declared attributes that filters on a kind of resource
// can use.
type declaredRows struct {
	paths      map[scim.AttrPath]string // the path of the value rows of each declared attribute
	many       map[valueRange]bool      // the ranges that have many rows
	crowded    map[string]bool          // the paths for which some resource has too many values for separate rows, and so has a single row with an empty value
	usedRanges *[]valueRange            // if not nil, collects the ranges that a filter uses
}

// valueRange is a range of the value rows of one path: from is inclusive, to is exclusive.
type valueRange struct {
	path, from, to string
	countExpr      string // what to count in SQL: count(countExpr) of the rows is the number of resources
}

// fewRows is the number of value rows up to which finding and sorting them is cheaper than walking
// a list.
const fewRows = 1_000

// findDeclaredRows returns the declared attributes whose value rows are complete in the
// transaction's snapshot. For each range that the filter uses, it also finds out whether the range
// has many rows.
func findDeclaredRows(ctx context.Context, tx *sqldb.Tx, id site.ID, kind scim.TypeName, f *scim.Filter) (d declaredRows, err error) {
	declared, err := searchableOf(ctx, tx, id)
	if errors.Is(err, site.ErrNotFound) {
		return d, nil // the site does not exist, so there are no resources to find
	}
	if err != nil || len(declared) == 0 {
		return d, err
	}
	indexes, err := valueIndexes(ctx, tx, id)
	if err != nil {
		return d, err
	}
	d.paths = map[scim.AttrPath]string{}
	for _, s := range declared {
		if v, _ := findIndex(indexes, s); v.complete && s.Type == kind {
			d.paths[s.Path] = s.ID
		}
	}
	var asked []valueRange
	d.usedRanges = &asked
	newPrefilter(roster.ListQuery{Kind: kind, Filter: f, Groups: true}, string(id), d, 0)
	d.usedRanges, d.many, d.crowded = nil, map[valueRange]bool{}, map[string]bool{}
	for _, r := range asked {
		if d.many[r], d.crowded[r.path], err = measureRange(ctx, tx, id, r); err != nil {
			return d, err
		}
	}
	return d, nil
}

// measureRange reports whether a range has more than fewRows rows, and whether its path is crowded
// (see declaredRows).
func measureRange(ctx context.Context, tx *sqldb.Tx, id site.ID, r valueRange) (many, crowded bool, err error) {
	var rows, all int
	err = tx.QueryRow(ctx, `
		select
			(select count(*) from (
				select v.value
				from resource_value v
				where v.site = $1 and v.path = $2 and v.value >= $3 and v.value < $4
				limit $5) found),
			(select count(*) from (
				select v.value
				from resource_value v
				where v.site = $1 and v.path = $2 and v.value = ''
				limit 1) found)`, string(id), r.path, r.from, r.to, fewRows+1).Scan(&rows, &all)
	return rows > fewRows, all > 0, err
}

// Indexing returns each declared attribute with its progress and the number of resources of its
// type.
func (s Rosters) Indexing(ctx context.Context, id site.ID) (all []roster.Indexing, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		declared, err := searchableOf(ctx, tx, id)
		if err != nil || len(declared) == 0 {
			return err
		}
		indexes, err := valueIndexes(ctx, tx, id)
		if err != nil {
			return err
		}
		totals := map[scim.TypeName]int{}
		for _, d := range declared {
			if _, counted := totals[d.Type]; !counted {
				if totals[d.Type], err = countResources(ctx, tx, id, d.Type); err != nil {
					return err
				}
			}
			v, _ := findIndex(indexes, d)
			of := roster.Indexing{Searchable: d, Complete: v.complete, Total: totals[d.Type]}
			of.Done = min(v.indexedCount, of.Total)
			if of.Complete {
				of.Done = of.Total
			}
			all = append(all, of)
		}
		return nil
	})
	return all, err
}

// countResources returns the number of resources of a kind.
func countResources(ctx context.Context, tx *sqldb.Tx, id site.ID, kind scim.TypeName) (n int, err error) {
	err = tx.QueryRow(ctx, `
		select cast(coalesce(sum(c.n), 0) as bigint)
		from resource_count c
		where c.site = $1 and c.kind = $2`, string(id), string(kind)).Scan(&n)
	return n, err
}

// Index does one step of indexing. It locks the site before the site's lease. A change of the
// declarations uses the same order, so that the two cannot deadlock.
func (s Rosters) Index(ctx context.Context, id site.ID, epoch int64, limit int) (more bool, err error) {
	err = s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		step := indexStep{tx: tx, site: id, limit: limit}
		if err := holdSite(ctx, tx, id, false); err != nil {
			return err
		}
		if step.declared, err = searchableOf(ctx, tx, id); err != nil {
			return err
		}
		if err := checkLease(ctx, tx, roster.LeaseKind, string(id), epoch); err != nil {
			return err
		}
		if err := step.syncIndexes(ctx); err != nil {
			return err
		}
		if at := slices.IndexFunc(step.indexes, func(v valueIndex) bool { return !v.complete }); at >= 0 {
			more = true
			return step.fillIndexes(ctx, step.indexes[at])
		}
		if step.looks != nil {
			more = true
			return step.fillLooks(ctx, *step.looks)
		}
		more, err = step.clearUndeclared(ctx)
		return err
	})
	return more, err
}

// indexStep does one step of indexing for Rosters.Index.
type indexStep struct {
	tx       *sqldb.Tx
	site     site.ID
	limit    int // the largest number of resources that this step indexes
	declared []site.Searchable
	indexes  []valueIndex // one for each declaration, in the same order
	looks    *valueIndex  // the progress of indexing how names look (see roster_look.go); nil once that is complete
}

// syncIndexes adds an index for each new declaration. It removes the indexes of withdrawn
// declarations.
func (s *indexStep) syncIndexes(ctx context.Context) error {
	old, err := valueIndexes(ctx, s.tx, s.site)
	if err != nil {
		return err
	}
	for _, d := range s.declared {
		v, known := findIndex(old, d)
		if !known {
			v = valueIndex{id: d.ID, kind: d.Type}
			if _, err := s.tx.Exec(ctx, `
				insert into value_index (site, id, kind, complete, seq, resource, done)
				values ($1, $2, $3, false, 0, '', 0)`, string(s.site), v.id, string(v.kind)); err != nil {
				return err
			}
		}
		s.indexes = append(s.indexes, v)
	}
	for _, v := range old {
		if v.id == roster.NameLooksPath {
			s.looks = &v
			continue
		}
		if slices.Contains(s.indexes, v) {
			continue
		}
		if _, err := s.tx.Exec(ctx, `
			delete from value_index
			where site = $1 and id = $2`, string(s.site), v.id); err != nil {
			return err
		}
	}
	return nil
}

// fillIndexes writes the value rows of the next resources. Attributes that were declared together
// are indexed together: fillIndexes includes every declaration with the same progress as first. It
// locks the resources, so that no write happens between reading a resource and writing its rows.
func (s *indexStep) fillIndexes(ctx context.Context, first valueIndex) error {
	var together []site.Searchable
	for i, v := range s.indexes {
		if !v.complete && v.kind == first.kind && v.lastPlace == first.lastPlace {
			together = append(together, s.declared[i])
		}
	}
	next := first
	next.complete = true
	var rows []valueRow
	err := s.visitResources(ctx, first, func(rec roster.Record) (enough bool, err error) {
		values, err := rec.DeclaredValues(together)
		for _, v := range values {
			rows = append(rows, valueRow{rec.ID, v})
		}
		next.lastPlace = roster.Place{Position: rec.Position, ID: rec.ID}
		next.indexedCount++
		next.complete = false
		return len(rows) >= maxRowsPerStep, err
	})
	if err != nil {
		return err
	}
	if err := addValues(ctx, s.tx, s.site, rows); err != nil {
		return err
	}
	for _, d := range together {
		if _, err := s.tx.Exec(ctx, `
			update value_index
			set complete = $1, seq = $2, resource = $3, done = $4
			where site = $5 and id = $6`,
			next.complete, next.lastPlace.Position, next.lastPlace.ID, next.indexedCount, string(s.site), d.ID); err != nil {
			return err
		}
	}
	return nil
}

// Limits of one step: the rows that it writes, and the bytes of documents that it reads. The last
// resource of a step may exceed them.
const (
	maxRowsPerStep  = 1_000
	maxBytesPerStep = 4 << 20
)

// visitResources calls visit for the next resources that the index in the argument from does not
// contain, until visit reports that the step has enough. The resources stay locked until the
// transaction ends.
func (s *indexStep) visitResources(ctx context.Context, from valueIndex, visit func(roster.Record) (enough bool, err error)) (err error) {
	rows, err := s.tx.Query(ctx, `
		select r.id, r.seq, r.doc
		from resource r
		where r.list = $1 and (r.seq, r.id) > ($2, $3)
		order by r.seq, r.id
		limit $4`+s.tx.ForShare(), listColumn(s.site, from.kind), from.lastPlace.Position, from.lastPlace.ID, s.limit)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	read := 0
	for rows.Next() {
		rec := roster.Record{Kind: from.kind}
		if err := rows.Scan(&rec.ID, &rec.Position, &rec.JSON); err != nil {
			return err
		}
		read += len(rec.JSON)
		if enough, err := visit(rec); err != nil || enough || read >= maxBytesPerStep {
			return err
		}
	}
	return rows.Err()
}

// valueRow is a row of resource_value: a value of a resource.
type valueRow struct {
	resource string
	roster.Value
}

// addValues writes value rows. It skips rows that exist already.
func addValues(ctx context.Context, tx *sqldb.Tx, id site.ID, rows []valueRow) error {
	return inBatches(rows, func(batch []valueRow) error {
		args := []any{string(id)}
		var values []string
		for _, v := range batch {
			values = append(values, "($1, "+placeholders(len(args)+1, 4)+")")
			args = append(args, v.Path, v.Folded, v.resource, v.Element)
		}
		_, err := tx.Exec(ctx, `
			insert into resource_value (site, path, value, resource, element)
			values `+strings.Join(values, ", ")+`
			on conflict (site, path, value, resource, element) do nothing`, args...)
		return err
	})
}

// maxValuesPerInsert is the greatest number of value rows that one statement of addFewValues writes.
const maxValuesPerInsert = 16

// addFewValues is addValues for the rows of one resource. It has a statement for each number of rows,
// because repeating a row would take as long as writing another one.
func addFewValues(ctx context.Context, tx *sqldb.Tx, id site.ID, rows []valueRow) error {
	for batch := range slices.Chunk(rows, maxValuesPerInsert) {
		args := make([]any, 1, 1+4*len(batch))
		args[0] = string(id)
		for _, v := range batch {
			args = append(args, v.Path, v.Folded, v.resource, v.Element)
		}
		if err := tx.Send(ctx, insertValues[len(batch)], args...); err != nil {
			return err
		}
	}
	return nil
}

// insertValues has the statements that insert value rows, by their number of rows.
var insertValues = func() (statements [maxValuesPerInsert + 1]string) {
	for n := range statements {
		var rows []string
		for i := range n {
			rows = append(rows, "($1, "+placeholders(2+4*i, 4)+")")
		}
		statements[n] = `
			insert into resource_value (site, path, value, resource, element)
			values ` + strings.Join(rows, ", ") + `
			on conflict (site, path, value, resource, element) do nothing`
	}
	return statements
}()

// clearedPerResource is how many rows clearUndeclared may delete for each resource that fillIndexes
// may read. It is greater than 1, because deleting a row takes less work than indexing a resource.
const clearedPerResource = 10

// clearUndeclared removes value rows that belong to no declaration. A write that saw a declaration
// just before it was withdrawn can still add rows afterwards. No query reads those rows, because
// ids are never reused, and the next run removes them.
func (s *indexStep) clearUndeclared(ctx context.Context) (more bool, err error) {
	path, found, err := s.undeclaredPath(ctx)
	if err != nil || !found {
		return false, err
	}
	_, err = s.tx.Exec(ctx, `
		delete from resource_value
		where site = $1 and path = $2 and (value, resource, element) in (
			select v.value, v.resource, v.element
			from resource_value v
			where v.site = $1 and v.path = $2
			limit $3)`, string(s.site), path, s.limit*clearedPerResource)
	return true, err
}

// undeclaredPath finds a path that has value rows but no declaration. It reads the index from one
// path to the next and skips the rows in between.
func (s *indexStep) undeclaredPath(ctx context.Context) (path string, found bool, err error) {
	for {
		next, err := collect(ctx, s.tx, scanText, `
			select v.path
			from resource_value v
			where v.site = $1 and v.path > $2
			order by v.path
			limit 1`, string(s.site), path)
		if err != nil || len(next) == 0 {
			return "", false, err
		}
		path = next[0]
		if path != roster.EmailPath && path != roster.NameLooksPath && !slices.ContainsFunc(s.declared, func(d site.Searchable) bool { return d.ID == path }) {
			return path, true, nil
		}
	}
}
