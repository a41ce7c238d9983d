package roster

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// strandedPerRead is the number of resources that DropStranded reads at a time.
const strandedPerRead = 200

// DropStranded implements site.DropStranded: it removes the stored data that does not fit the new
// schemas, the stranded data. A resource that loses data gets its next version and an event, as
// with any other change. Other resources are not changed. At most strandedPerRead resources are in
// memory at a time.
func (r *Rosters) DropStranded(ctx context.Context, siteTx site.Tx, change site.SchemaChange) error {
	tx, err := r.Store.Join(ctx, siteTx)
	if err != nil {
		return err
	}
	d := strandedDropper{
		roster: r.newRoster(siteTx.Site(), change.Next, nil),
		tx:     tx, change: Change{Actor: change.Actor, Via: ViaAdmin},
	}
	for differences := change.Differences; len(differences) > 0; {
		kind := differences[0].Type
		n := slices.IndexFunc(differences, func(l scim.SchemaDifference) bool { return l.Type != kind })
		if n < 0 {
			n = len(differences)
		}
		if err := d.dropType(ctx, change, kind, differences[:n]); err != nil {
			return fmt.Errorf("drop what the schemas have no more of type %s: %w", kind, err)
		}
		differences = differences[n:]
	}
	return nil
}

// strandedDropper does the work of DropStranded for the resources of one site.
type strandedDropper struct {
	roster *Roster
	tx     Tx
	change Change

	old, next   *resourceType           // the old and new definition of the current type; next is nil if the type is removed
	differences []scim.SchemaDifference // the differences of the current type that strand data
	unique      []string                // the paths of the attributes whose unique values are deleted and written again
}

// dropType removes the stranded data of all resources of one type.
func (d *strandedDropper) dropType(ctx context.Context, change site.SchemaChange, kind scim.TypeName, differences []scim.SchemaDifference) error {
	old, _ := change.Old.ByName(kind) // the type exists, because it loses something
	d.old, d.differences = &resourceType{old, d.roster.uniqueOf(old)}, differences
	if differences[0].AffectsWholeType() {
		return d.eachResource(ctx, kind, d.remove)
	}
	next, _ := change.Next.ByName(kind) // the type exists, because AffectsWholeType is false
	d.next = &resourceType{next, d.roster.uniqueOf(next)}
	d.unique = d.affectedPaths()
	for _, path := range d.unique {
		if err := d.tx.FreeUniqueValues(ctx, kind, path); err != nil {
			return err
		}
	}
	return d.eachResource(ctx, kind, d.dropStrandedValues)
}

// eachResource calls do with every resource of a kind, oldest first.
func (d *strandedDropper) eachResource(ctx context.Context, kind scim.TypeName, do func(context.Context, Record) error) error {
	for after := (Place{}); ; {
		some, err := d.tx.Records(ctx, kind, after, strandedPerRead)
		if err != nil {
			return err
		}
		for _, rec := range some {
			if err := do(ctx, rec); err != nil {
				return fmt.Errorf("%s %s: %w", kind, rec.ID, err)
			}
			after = PlaceOf(rec.Document)
		}
		if len(some) < strandedPerRead {
			return nil
		}
	}
}

// affectedPaths returns the paths of the unique attributes that a difference affects.
func (d *strandedDropper) affectedPaths() (paths []string) {
	for _, u := range slices.Concat(d.old.unique, d.next.unique) {
		about := slices.ContainsFunc(d.differences, func(l scim.SchemaDifference) bool {
			return l.Path.URN == u.Path.URN && (l.Path.Name == "" || l.Path.Name == u.Path.Name) && (l.Path.Sub == "" || l.Path.Sub == u.Path.Sub)
		})
		if path := u.Path.String(); about && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// remove deletes a resource whose type is removed.
func (d *strandedDropper) remove(ctx context.Context, rec Record) error {
	doc, err := d.roster.parse(&rec)
	if err != nil {
		return err
	}
	_, err = d.roster.remove(ctx, d.tx, d.old, rec, doc, d.change)
	return err
}

// dropStrandedValues removes the stranded values of one resource. It also removes a value that must
// be unique if an older resource has the same value.
func (d *strandedDropper) dropStrandedValues(ctx context.Context, rec Record) error {
	was, err := d.roster.parse(&rec)
	if err != nil {
		return err
	}
	doc, dropped := was.Clone(), false
	for _, l := range d.differences {
		dropped = l.DropValues(doc) || dropped
	}
	rec.Values = valuesOf(rec.Kind, was)
	rec.Unique = slices.DeleteFunc(d.old.uniqueValues(was), func(v Value) bool { return slices.Contains(d.unique, v.Path) })
	next := rec
	for {
		next.Unique = d.next.uniqueValues(doc)
		err := d.tx.PutUniqueValues(ctx, rec, next)
		repeated, _ := refusal.DataOf[Value](err)
		switch {
		case errors.Is(err, ErrValueTaken):
			scim.DropElement(doc, d.next.pathOf(repeated.Path), repeated.Element)
			dropped = true
			continue
		case err != nil:
			return err
		case !dropped:
			return nil
		}
		return d.put(ctx, rec, next.Unique, was, doc)
	}
}

// put writes a resource that has lost data.
func (d *strandedDropper) put(ctx context.Context, rec Record, unique []Value, was, doc scim.Resource) error {
	changed := &draft{doc: doc, role: rec.Role}
	if err := d.next.check(changed); err != nil {
		return err
	}
	now := d.roster.nextModified(rec.Modified)
	next := rec
	next.Version++
	next.Modified = now
	d.next.fillRecord(&next, changed)
	rec.Unique, next.Unique = unique, unique // PutUniqueValues has already written the unique values
	setNameLooks(&rec, was, &next, doc)
	story := preparedChange{rec: rec, old: was, draft: changed, next: next, attributes: changedAttributes(was, doc), values: changedValues(was, doc)}.summarize(0, d.change)
	story.stampRecord(&next, d.change, now)
	if err := d.tx.Put(ctx, rec, next); err != nil {
		return err
	}
	for _, e := range story.newEvents(d.roster.site.ID, next, d.change, now) {
		if err := d.tx.AppendEvent(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// pathOf returns the path of the unique attribute whose path in text form is given.
func (rt *resourceType) pathOf(text string) scim.AttrPath {
	for _, u := range rt.unique {
		if u.Path.String() == text {
			return u.Path
		}
	}
	return scim.AttrPath{}
}
