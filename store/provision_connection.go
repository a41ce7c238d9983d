package store

import (
	"context"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// The API and the console call a link a connection.

// connectionColumns are the columns that scanConnection reads.
const connectionColumns = "object_id, target_id, name, kind, state, how, since, updated"

// scanConnection reads the connectionColumns of a row.
func scanConnection(row scanner) (c provision.Connection, err error) {
	var since, updated int64
	err = row.Scan(&c.ObjectID, &c.TargetID, &c.Name, &c.Kind, &c.State, &c.How, &since, &updated)
	c.Since, c.Updated = fromMicros(since), fromMicros(updated)
	return c, err
}

// Connections returns a page of connections, ordered by object id. If kind is not empty, it returns
// only connections of that kind of object.
func (s Provisioning) Connections(ctx context.Context, k provision.Key, kind provision.ObjectKind, after string, limit int) (all []provision.Connection, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = collect(ctx, tx, scanConnection, `
			select `+connectionColumns+`
			from job_link
			where directory = $1 and app = $2 and object_id > $3 and ($4 = '' or kind = $4)
			order by object_id
			limit $5`, string(k.Directory), k.App, after, string(kind), limit)
		return err
	})
	return all, err
}

// Connection returns the connection whose object has this id. If there is none, it returns the
// connection whose account at the target has this id. If there is none either, it returns
// provision.ErrNoConnection.
func (s Provisioning) Connection(ctx context.Context, k provision.Key, id string) (c provision.Connection, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		found, err := collect(ctx, tx, scanConnection, `
			select `+connectionColumns+`
			from job_link
			where directory = $1 and app = $2 and object_id = $3`, string(k.Directory), k.App, id)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			found, err = collect(ctx, tx, scanConnection, `
				select `+connectionColumns+`
				from job_link
				where directory = $1 and app = $2 and kind in ($4, $5) and target_id = $3
				order by kind desc`, string(k.Directory), k.App, id, string(provision.UserKind), string(provision.GroupKind))
			if err != nil {
				return err
			}
		}
		if len(found) == 0 {
			return provision.ErrNoConnection
		}
		c = found[0]
		return nil
	})
	return c, err
}

// RecordConnection records that an administrator connected an object with an account, or removed a
// connection. It also puts the objects in listed on the work list, and appends the event.
func (s Provisioning) RecordConnection(ctx context.Context, f provision.Fence, o provision.Outcome, listed []provision.Listed, e event.Event) error {
	return s.updateUnderFence(ctx, f, func(t jobTx) error {
		if err := t.removeLink(ctx, o); err != nil {
			return err
		}
		if err := t.recordOutcome(ctx, o); err != nil {
			return err
		}
		now := micros(t.tx.Now())
		for _, l := range listed {
			if err := t.putOnWorkList(ctx, l, now); err != nil {
				return err
			}
		}
		return appendEvent(ctx, t.tx, e)
	})
}
