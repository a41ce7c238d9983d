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

// strandedTogether is how many resources are read at once.
const strandedTogether = 200

// DropStranded is site.DropStranded: a resource that loses something is at its next version and is an event, as with any
// other change; one that loses nothing stays as it is. It holds few resources at a time.
func (r *Rosters) DropStranded(ctx context.Context, siteTx site.Tx, change site.SchemaChange) error {
	tx, err := r.Store.Join(ctx, siteTx)
	if err != nil {
		return err
	}
	d := dropper{
		roster: r.handle(siteTx.Site(), change.Next, nil),
		tx:     tx, by: Change{Actor: change.Actor, Via: ViaAdmin},
	}
	for losses := change.Losses; len(losses) > 0; {
		kind := losses[0].Type
		n := slices.IndexFunc(losses, func(l scim.Loss) bool { return l.Type != kind })
		if n < 0 {
			n = len(losses)
		}
		if err := d.drop(ctx, change, Kind(kind), losses[:n]); err != nil {
			return fmt.Errorf("drop what the schemas have no more of type %s: %w", kind, err)
		}
		losses = losses[n:]
	}
	return nil
}

// dropper takes what is stranded out of the resources of a site.
type dropper struct {
	roster *Roster
	tx     Tx
	by     Change

	old, next *resourceType // of the kind at hand
	losses    []scim.Loss
	unique    []string // paths whose unique values are told apart anew
}

func (d *dropper) drop(ctx context.Context, change site.SchemaChange, kind Kind, losses []scim.Loss) error {
	old, _ := change.Old.ByName(string(kind)) // it has the type that loses something
	d.old, d.losses = &resourceType{old, d.roster.uniqueOf(old)}, losses
	if losses[0].Whole() {
		return d.each(ctx, kind, d.remove)
	}
	next, _ := change.Next.ByName(string(kind)) // it goes on
	d.next = &resourceType{next, d.roster.uniqueOf(next)}
	d.unique = d.retold()
	for _, path := range d.unique {
		if err := d.tx.FreeUnique(ctx, kind, path); err != nil {
			return err
		}
	}
	return d.each(ctx, kind, d.strip)
}

// each calls do with the resources of a kind in the order in which they were made.
func (d *dropper) each(ctx context.Context, kind Kind, do func(context.Context, Record) error) error {
	for after := (Place{}); ; {
		some, err := d.tx.Records(ctx, kind, after, strandedTogether)
		if err != nil {
			return err
		}
		for _, rec := range some {
			if err := do(ctx, rec); err != nil {
				return fmt.Errorf("%s %s: %w", kind, rec.ID, err)
			}
			after = PlaceOf(rec.Document)
		}
		if len(some) < strandedTogether {
			return nil
		}
	}
}

// retold lists the paths of unique values that a loss is about.
func (d *dropper) retold() (paths []string) {
	for _, u := range slices.Concat(d.old.unique, d.next.unique) {
		about := slices.ContainsFunc(d.losses, func(l scim.Loss) bool {
			return l.Path.URN == u.Path.URN && (l.Path.Name == "" || l.Path.Name == u.Path.Name) && (l.Path.Sub == "" || l.Path.Sub == u.Path.Sub)
		})
		if path := u.Path.String(); about && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

func (d *dropper) remove(ctx context.Context, rec Record) error {
	doc, err := d.roster.parse(&rec)
	if err != nil {
		return err
	}
	_, err = d.roster.remove(ctx, d.tx, d.old, rec, doc, d.by)
	return err
}

// strip takes out of one resource what is stranded, and of what may not be had twice what one made earlier has.
func (d *dropper) strip(ctx context.Context, rec Record) error {
	was, err := d.roster.parse(&rec)
	if err != nil {
		return err
	}
	doc, dropped := was.Clone(), false
	for _, l := range d.losses {
		dropped = l.Drop(doc) || dropped
	}
	rec.Values = valuesOf(rec.Kind, was)
	rec.Unique = slices.DeleteFunc(d.old.uniqueValues(was), func(v Value) bool { return slices.Contains(d.unique, v.Path) })
	next := rec
	for {
		next.Unique = d.next.uniqueValues(doc)
		err := d.tx.PutUnique(ctx, rec, next)
		repeated, _ := refusal.About[Value](err)
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

// put writes a resource that has lost something.
func (d *dropper) put(ctx context.Context, rec Record, unique []Value, was, doc scim.Resource) error {
	changed := &draft{doc: doc, role: rec.Role}
	if err := d.next.check(changed); err != nil {
		return err
	}
	now := d.roster.after(rec.Modified)
	next := rec
	next.Version++
	next.Modified = now
	d.next.fill(&next, changed)
	rec.Unique, next.Unique = unique, unique // they are written
	setLooks(&rec, was, &next, doc)
	story := tell(rec, next, was, changed, 0, d.by)
	story.stamp(&next, d.by, now)
	if err := d.tx.Put(ctx, rec, next); err != nil {
		return err
	}
	for _, e := range story.events(d.roster.site.ID, next, d.by, now) {
		if err := d.tx.AppendEvent(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// pathOf is the path of a unique attribute by its text.
func (rt *resourceType) pathOf(text string) scim.AttrPath {
	for _, u := range rt.unique {
		if u.Path.String() == text {
			return u.Path
		}
	}
	return scim.AttrPath{}
}
