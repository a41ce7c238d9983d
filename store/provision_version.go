package store

import (
	"context"
	"fmt"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// keepVersion stores the mappings of a job as a new version, unless the same document is stored
// already. It deletes the oldest versions if there are more than provision.KeptVersions. The
// document contains a number that each change of the mappings replaces, so two changes never have
// the same document.
func keepVersion(ctx context.Context, tx *sqldb.Tx, j provision.Job, document string, e event.Event) error {
	did, err := changesRow(ctx, tx, `
		insert into job_mapping (directory, app, number, at, actor, words, schema_document)
		select cast($1 as text), cast($2 as text), cast($3 as bigint), cast($4 as bigint), cast($5 as text), cast($6 as text), cast($7 as text)
		where not exists (
			select 1
			from job_mapping
			where directory = $1 and app = $2 and schema_document = $7)`,
		string(j.Key.Directory), j.Key.App, j.Version, micros(j.Modified), e.Actor, e.Text, document)
	if err != nil || !did {
		return err
	}
	_, err = tx.Exec(ctx, `
		delete from job_mapping
		where directory = $1 and app = $2 and number <= (
			select number
			from job_mapping
			where directory = $1 and app = $2
			order by number desc
			limit 1 offset $3)`, string(j.Key.Directory), j.Key.App, provision.KeptVersions)
	return err
}

// MappingVersions returns one page of the versions of a job's mappings, newest first. The returned
// versions have no schema.
func (s Provisioning) MappingVersions(ctx context.Context, k provision.Key, before int64, limit int) (list []provision.MappingVersion, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		list, err = collect(ctx, tx, func(row scanner) (provision.MappingVersion, error) {
			var v provision.MappingVersion
			var at int64
			err := row.Scan(&v.Number, &at, &v.Actor, &v.Words)
			v.At = fromMicros(at)
			return v, err
		}, `
			select number, at, actor, words
			from job_mapping
			where directory = $1 and app = $2 and (cast($3 as bigint) = 0 or number < $3)
			order by number desc
			limit $4`, string(k.Directory), k.App, before, limit)
		return err
	})
	return list, err
}

// MappingVersion returns one version of a job's mappings, or provision.ErrNoVersion.
func (s Provisioning) MappingVersion(ctx context.Context, k provision.Key, number int64) (v provision.MappingVersion, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		found, err := collect(ctx, tx, func(row scanner) (provision.MappingVersion, error) {
			var v provision.MappingVersion
			var at int64
			var document string
			err := row.Scan(&v.Number, &at, &v.Actor, &v.Words, &document)
			if err != nil {
				return v, err
			}
			v.At = fromMicros(at)
			if v.Schema, err = provision.ParseSchema([]byte(document)); err != nil {
				return v, fmt.Errorf("version %d of the mappings of %s: %w", v.Number, k, err)
			}
			return v, nil
		}, `
			select number, at, actor, words, schema_document
			from job_mapping
			where directory = $1 and app = $2 and number = $3`, string(k.Directory), k.App, number)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return provision.ErrNoVersion
		}
		v = found[0]
		return nil
	})
	return v, err
}
