package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// A drawn value is a random or unique value that was generated for one account.

// Drawn returns the drawn values of an object's account.
func (s Provisioning) Drawn(ctx context.Context, k provision.Key, objectID string) (drawn []provision.Drawn, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		drawn, err = collect(ctx, tx, func(row scanner) (provision.Drawn, error) {
			var path, value, inputs string
			if err := row.Scan(&path, &value, &inputs); err != nil {
				return provision.Drawn{}, err
			}
			return provision.ReadDrawn(path, value, inputs)
		}, `
			select path, value, inputs
			from job_drawn
			where directory = $1 and app = $2 and object_id = $3 and value <> ''
			order by path`, string(k.Directory), k.App, objectID)
		return err
	})
	return drawn, err
}

// Drawer returns the id of the object for which this value of a target attribute was generated, or
// "" if there is none. path is the path of the attribute; value must be folded.
func (s Provisioning) Drawer(ctx context.Context, k provision.Key, path, value string) (objectID string, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		err := tx.QueryRow(ctx, `
			select object_id
			from job_drawn
			where directory = $1 and app = $2 and path = $3 and folded = $4
			order by object_id
			limit 1`, string(k.Directory), k.App, path, value).Scan(&objectID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return objectID, err
}

// putDrawn stores the drawn values that a create is about to send.
func (t jobTx) putDrawn(ctx context.Context, o *provision.Op) error {
	for _, d := range o.Drawn {
		if err := t.exec(ctx, `
			insert into job_drawn (directory, app, object_id, path, value, folded, inputs)
			values ($1, $2, $3, $4, $5, $6, $7)
			on conflict (directory, app, object_id, path) do update
			set value = excluded.value, folded = excluded.folded, inputs = excluded.inputs`,
			o.ObjectID, d.Path, d.Text(), d.Folded(), d.Inputs); err != nil {
			return err
		}
	}
	return nil
}

// dropDrawn deletes the values that were generated for an object, because it no longer has an
// account.
func (t jobTx) dropDrawn(ctx context.Context, objectID string) error {
	return t.exec(ctx, `
		delete from job_drawn
		where directory = $1 and app = $2 and object_id = $3`, objectID)
}

// passDrawn gives the values that were generated for the object from to the object to, which takes
// over its account.
func (t jobTx) passDrawn(ctx context.Context, from, to string) error {
	if err := t.dropDrawn(ctx, to); err != nil {
		return err
	}
	return t.exec(ctx, `
		update job_drawn
		set object_id = $4
		where directory = $1 and app = $2 and object_id = $3`, from, to)
}
