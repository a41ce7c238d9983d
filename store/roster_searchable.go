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

// declarationJSON is something declared searchable, in the column of the site.
type declarationJSON struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	URN  string `json:"urn,omitempty"`
	Name string `json:"name"`
	Sub  string `json:"sub,omitempty"`
}

func encodeSearchable(list []site.Searchable) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	out := make([]declarationJSON, len(list))
	for i, s := range list {
		out[i] = declarationJSON{s.ID, s.Type, s.Path.URN, s.Path.Name, s.Path.Sub}
	}
	b, err := json.Marshal(out)
	return string(b), err
}

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
		list[i] = site.Searchable{ID: d.ID, Type: d.Type, Path: scim.AttrPath{URN: d.URN, Name: d.Name, Sub: d.Sub}}
	}
	return list, nil
}

// searchable reads what is declared. site.ErrNotFound.
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

// PutSearchable relies on UpdateSite, which waits for every transaction that holds the site: one that writes a resource does.
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

// A write keeps the rows of what is declared. No write is missed: one that did not see a declaration holds the site since
// before the declaration was made, and the declaration waits for that.

// declaredUnder is an expression for the returning clause of a write of a resource: what is declared searchable on its
// site, or null where the site has other schemas than the argument of that number says, or other rules for the names of
// groups than the next argument (1: they are unique) says. It is as new as the statement, which is later than holdSite.
func declaredUnder(schemas int) string {
	return `(select case when s.schemas = $` + strconv.Itoa(schemas) + ` and case when s.strict or s.shared_group_names then 0 else 1 end = $` + strconv.Itoa(schemas+1) + `
		then s.searchable end from site s where s.id = resource.site)`
}

// putDeclared writes the rows of what is declared searchable that differ.
func (t rosterTx) putDeclared(ctx context.Context, declared string, old, next roster.Record) error {
	if declared == "" {
		return nil
	}
	list, err := decodeSearchable(declared)
	if err != nil {
		return err
	}
	return t.putListed(ctx, list, old, next)
}

func (t rosterTx) putListed(ctx context.Context, list []site.Searchable, old, next roster.Record) (err error) {
	if old.Values, err = old.DeclaredValues(list); err != nil {
		return err
	}
	if next.Values, err = next.DeclaredValues(list); err != nil {
		return err
	}
	return t.putValues(ctx, old, next)
}

// deleteDeclared removes the rows of a resource that is going to be deleted.
func (t rosterTx) deleteDeclared(ctx context.Context, old roster.Record) error {
	list, err := searchableOf(ctx, t.tx, t.site)
	if err != nil {
		return err
	}
	return t.putListed(ctx, list, old, roster.Record{})
}

// valueIndex says how far the value rows of a declaration are.
type valueIndex struct {
	id       string
	kind     roster.Kind
	complete bool
	at       roster.Place
	done     int
}

func valueIndexes(ctx context.Context, tx *sqldb.Tx, id site.ID) ([]valueIndex, error) {
	return collect(ctx, tx, func(row scanner) (v valueIndex, err error) {
		err = row.Scan(&v.id, &v.kind, &v.complete, &v.at.Position, &v.at.ID, &v.done)
		return v, err
	}, `
		select v.id, v.kind, v.complete, v.seq, v.resource, v.done
		from value_index v
		where v.site = $1`, string(id))
}

// find returns the index of a declaration; false where nothing is done about it yet.
func find(indexes []valueIndex, d site.Searchable) (valueIndex, bool) {
	at := slices.IndexFunc(indexes, func(v valueIndex) bool { return v.id == d.ID })
	if at < 0 {
		return valueIndex{}, false
	}
	return indexes[at], true
}

// declaredRows are the value rows that filters on a kind may use beside those of every site.
type declaredRows struct {
	paths   map[scim.AttrPath]string
	many    map[valueRange]bool // the ranges that have many rows
	crowded map[string]bool     // the paths of which some resource has one row for more values than have their own
	asked   *[]valueRange       // is told the ranges that a filter asks about, unless nil
}

// valueRange are the value rows of a path from a value on and before another.
type valueRange struct {
	path, from, to string
	counts         string // what of them is as often there as resources are
}

// fewRows is how many value rows are found and sorted more cheaply than a list is walked.
const fewRows = 1_000

// declaredRows returns the rows of what is declared searchable in the transaction's snapshot and has all of them there,
// with what has to be known of those that a filter asks about.
func findDeclaredRows(ctx context.Context, tx *sqldb.Tx, id site.ID, kind roster.Kind, f *scim.Filter) (d declaredRows, err error) {
	declared, err := searchableOf(ctx, tx, id)
	if errors.Is(err, site.ErrNotFound) {
		return d, nil // nobody is there to be found
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
		if v, _ := find(indexes, s); v.complete && s.Type == string(kind) {
			d.paths[s.Path] = s.ID
		}
	}
	var asked []valueRange
	d.asked = &asked
	narrow(roster.ListQuery{Kind: kind, Filter: f, Groups: true}, string(id), d, 0)
	d.asked, d.many, d.crowded = nil, map[valueRange]bool{}, map[string]bool{}
	for _, r := range asked {
		if d.many[r], d.crowded[r.path], err = lookAhead(ctx, tx, id, r); err != nil {
			return d, err
		}
	}
	return d, nil
}

// lookAhead reports whether a range has more than a few rows, and whether its path is crowded.
func lookAhead(ctx context.Context, tx *sqldb.Tx, id site.ID, r valueRange) (many, crowded bool, err error) {
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

// Indexing reads what is declared, how far its rows are, and how many resources there are of each type.
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
		totals := map[string]int{}
		for _, d := range declared {
			if _, counted := totals[d.Type]; !counted {
				if totals[d.Type], err = countResources(ctx, tx, id, roster.Kind(d.Type)); err != nil {
					return err
				}
			}
			v, _ := find(indexes, d)
			of := roster.Indexing{Searchable: d, Complete: v.complete, Total: totals[d.Type]}
			of.Done = min(v.done, of.Total)
			if of.Complete {
				of.Done = of.Total
			}
			all = append(all, of)
		}
		return nil
	})
	return all, err
}

// resources counts the resources of a kind.
func countResources(ctx context.Context, tx *sqldb.Tx, id site.ID, kind roster.Kind) (n int, err error) {
	err = tx.QueryRow(ctx, `
		select cast(coalesce(sum(c.n), 0) as bigint)
		from resource_count c
		where c.site = $1 and c.kind = $2`, string(id), string(kind)).Scan(&n)
	return n, err
}

// Index takes the site before the lease, as a declaration does that wakes it.
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
		if err := step.begin(ctx); err != nil {
			return err
		}
		if at := slices.IndexFunc(step.indexes, func(v valueIndex) bool { return !v.complete }); at >= 0 {
			more = true
			return step.fill(ctx, step.indexes[at])
		}
		if step.looks != nil {
			more = true
			return step.fillLooks(ctx, *step.looks)
		}
		more, err = step.clear(ctx)
		return err
	})
	return more, err
}

// indexStep is one step of Index.
type indexStep struct {
	tx       *sqldb.Tx
	site     site.ID
	limit    int
	declared []site.Searchable
	indexes  []valueIndex // of each that is declared, in the same order
	looks    *valueIndex  // of the looks, while it is being filled
}

// begin brings the indexes after what is declared.
func (s *indexStep) begin(ctx context.Context) error {
	old, err := valueIndexes(ctx, s.tx, s.site)
	if err != nil {
		return err
	}
	for _, d := range s.declared {
		v, known := find(old, d)
		if !known {
			v = valueIndex{id: d.ID, kind: roster.Kind(d.Type)}
			if _, err := s.tx.Exec(ctx, `
				insert into value_index (site, id, kind, complete, seq, resource, done)
				values ($1, $2, $3, false, 0, '', 0)`, string(s.site), v.id, string(v.kind)); err != nil {
				return err
			}
		}
		s.indexes = append(s.indexes, v)
	}
	for _, v := range old {
		if v.id == roster.LooksPath {
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

// fill writes the rows of the next resources, for everything that is as far as the first: what is declared together is
// filled together. It holds those resources, so that no write comes between reading one and writing its rows.
func (s *indexStep) fill(ctx context.Context, first valueIndex) error {
	var together []site.Searchable
	for i, v := range s.indexes {
		if !v.complete && v.kind == first.kind && v.at == first.at {
			together = append(together, s.declared[i])
		}
	}
	next := first
	next.complete = true
	var rows []valueRow
	err := s.resources(ctx, first, func(rec roster.Record) (enough bool, err error) {
		values, err := rec.DeclaredValues(together)
		for _, v := range values {
			rows = append(rows, valueRow{rec.ID, v})
		}
		next.at = roster.Place{Position: rec.Position, ID: rec.ID}
		next.done++
		next.complete = false
		return len(rows) >= rowsTogether, err
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
			next.complete, next.at.Position, next.at.ID, next.done, string(s.site), d.ID); err != nil {
			return err
		}
	}
	return nil
}

// What one step writes and reads at most, give or take a resource.
const (
	rowsTogether  = 1_000
	bytesTogether = 4 << 20
)

// resources visits the next resources, held until the transaction ends, until there is enough for one step.
func (s *indexStep) resources(ctx context.Context, from valueIndex, visit func(roster.Record) (enough bool, err error)) (err error) {
	rows, err := s.tx.Query(ctx, `
		select r.id, r.seq, r.doc
		from resource r
		where r.list = $1 and (r.seq, r.id) > ($2, $3)
		order by r.seq, r.id
		limit $4`+s.tx.ForShare(), listOf(s.site, from.kind), from.at.Position, from.at.ID, s.limit)
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
		if enough, err := visit(rec); err != nil || enough || read >= bytesTogether {
			return err
		}
	}
	return rows.Err()
}

// valueRow is a value of a resource.
type valueRow struct {
	resource string
	roster.Value
}

// addValues writes value rows; those that are there stay.
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

// clearTogether is how many times more rows than resources one step takes: there is less to do about each.
const clearTogether = 10

// clear removes rows that belong to nothing that is declared. A write that knew a declaration when it was withdrawn may
// leave some behind even later: nobody reads them, since no id is given twice, and the next run finds them.
func (s *indexStep) clear(ctx context.Context) (more bool, err error) {
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
			limit $3)`, string(s.site), path, s.limit*clearTogether)
	return true, err
}

// undeclaredPath finds a path that has value rows although no declaration has it. It steps from
// path to path in the index.
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
		if path != roster.EmailPath && path != roster.LooksPath && !slices.ContainsFunc(s.declared, func(d site.Searchable) bool { return d.ID == path }) {
			return path, true, nil
		}
	}
}
