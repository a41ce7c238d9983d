package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// Directories implements directory.Store.
type Directories struct{ DB *DB }

// Directories returns all directories, ordered by name.
func (s Directories) Directories(ctx context.Context) (all []directory.Directory, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = collect(ctx, tx, scanDirectory, `
			select id, name, created, default_domain
			from directory
			where deleted = 0
			order by name`)
		return err
	})
	return all, err
}

// Directory returns a directory by its id, or refusal.NotFound.
func (s Directories) Directory(ctx context.Context, id directory.ID) (d directory.Directory, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		d, err = scanDirectory(tx.QueryRow(ctx, `
			select id, name, created, default_domain
			from directory
			where id = $1 and deleted = 0`, string(id)))
		return orNotFound(err, refusal.NotFound)
	})
	return d, err
}

// DirectoryByName returns a directory by its name, or refusal.NotFound.
func (s Directories) DirectoryByName(ctx context.Context, name string) (d directory.Directory, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		d, err = scanDirectory(tx.QueryRow(ctx, `
			select id, name, created, default_domain
			from directory
			where name = $1 and deleted = 0`, name))
		return orNotFound(err, refusal.NotFound)
	})
	return d, err
}

// CreateDirectory stores a directory and its event. It returns refusal.Taken if another directory
// has the name.
func (s Directories) CreateDirectory(ctx context.Context, d directory.Directory, e event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		did, err := changesRow(ctx, tx, `
			insert into directory (id, name, created)
			values ($1, $2, $3)
			on conflict (name) do nothing`, string(d.ID), d.Name, micros(d.Created))
		if err != nil {
			return err
		}
		if !did {
			return refusal.Taken
		}
		return appendEvent(ctx, tx, e)
	})
}

// RenameDirectory stores a directory's new name and its event. It returns refusal.NotFound if there
// is no such directory, and refusal.Taken if another directory has the name.
func (s Directories) RenameDirectory(ctx context.Context, id directory.ID, name string, e event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		t := directoryTx{tx: tx, directory: string(id)}
		if err := t.lock(ctx); err != nil {
			return err
		}
		did, err := changesRow(ctx, tx, `
			update directory
			set name = $2
			where id = $1 and not exists (select 1 from directory where name = $2 and id <> $1)`, t.directory, name)
		if err != nil {
			return err
		}
		if !did {
			return refusal.Taken
		}
		return appendEvent(ctx, tx, e)
	})
}

// SetDefaultDomain stores the default domain of a directory and the event of the change. It returns
// refusal.NotFound if there is no such directory.
func (s Directories) SetDefaultDomain(ctx context.Context, id directory.ID, domain string, e event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		t := directoryTx{tx: tx, directory: string(id)}
		if err := t.lock(ctx); err != nil {
			return err
		}
		if err := tx.Send(ctx, `
			update directory
			set default_domain = $2
			where id = $1`, t.directory, domain); err != nil {
			return err
		}
		return appendEvent(ctx, tx, e)
	})
}

// DeleteDirectory hides a directory and its jobs, and schedules the removal of their rows. It
// returns refusal.NotFound if there is no such directory.
func (s Directories) DeleteDirectory(ctx context.Context, id directory.ID, deleted func(directory.Contents) event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		t := directoryTx{tx: tx, directory: string(id)}
		if err := t.lock(ctx); err != nil {
			return err
		}
		gone, err := t.contents(ctx, "")
		if err != nil {
			return err
		}
		jobs, err := jobsOf(ctx, tx, id)
		if err != nil {
			return err
		}
		for _, k := range jobs {
			if err := hideJob(ctx, tx, k); err != nil {
				return err
			}
		}
		if err := hideRow(ctx, tx, directoryRemoval, t.directory); err != nil {
			return err
		}
		if err := noteRemoval(ctx, tx, removal{kind: directoryRemoval, owner: t.directory}); err != nil {
			return err
		}
		return appendEvent(ctx, tx, deleted(gone))
	})
}

// Contents counts the contents of a directory, or of one of its applications.
func (s Directories) Contents(ctx context.Context, d directory.ID, application string) (c directory.Contents, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		c, err = t.contents(ctx, application)
		return err
	})
	return c, err
}

// User returns a user, deleted or not, or refusal.NotFound.
func (s Directories) User(ctx context.Context, d directory.ID, objectID string) (u directory.User, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		u, err = t.User(ctx, objectID)
		return err
	})
	return u, err
}

// UserByUPN returns a user that is not deleted, or refusal.NotFound.
func (s Directories) UserByUPN(ctx context.Context, d directory.ID, foldedUPN string) (u directory.User, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		u, err = t.UserByUPN(ctx, foldedUPN)
		return err
	})
	return u, err
}

// Users returns users, ordered by sort key and object id.
func (s Directories) Users(ctx context.Context, d directory.ID, q directory.UserQuery) (all []directory.User, err error) {
	query, args := userQuery(d, q)
	err = s.view(ctx, d, func(t directoryTx) error {
		all, err = collect(ctx, t.tx, scanUser, query, args...)
		return err
	})
	return all, err
}

// CountFound counts the users that a query selects. It ignores the query's After and Limit.
func (s Directories) CountFound(ctx context.Context, d directory.ID, q directory.UserQuery) (n int, err error) {
	q.After, q.Limit = directory.Cursor{}, math.MaxInt32
	query, args := userQuery(d, q)
	err = s.view(ctx, d, func(t directoryTx) error {
		return t.tx.QueryRow(ctx, "select count(*) from ("+query+") found", args...).Scan(&n)
	})
	return n, err
}

// userQuery builds the SQL query for a UserQuery. It passes all values from requests as arguments,
// never in the SQL text.
func userQuery(d directory.ID, q directory.UserQuery) (string, []any) {
	args := []any{string(d), q.After.Key, q.After.ObjectID}
	bind := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	var b strings.Builder
	b.WriteString(`
		select ` + userColumns + `
		from directory_user
		where directory = $1
		and (sort_key, object_id) > ($2, $3)`)
	switch q.Status {
	case directory.Enabled:
		b.WriteString(" and deleted = 0 and account_enabled")
	case directory.Disabled:
		b.WriteString(" and deleted = 0 and not account_enabled")
	case directory.Deleted:
		b.WriteString(" and deleted > 0")
	default:
		b.WriteString(" and deleted = 0")
	}
	for word := range strings.FieldsSeq(q.Search) {
		b.WriteString(" and search_text like " + bind("%"+escapeLike(word)+"%") + ` escape '\'`)
	}
	assigned := ` (
			select object_id
			from directory_assignment
			where directory = $1
			and application = `
	if q.AssignedTo != "" {
		b.WriteString(" and object_id in" + assigned + bind(q.AssignedTo) + ")")
	}
	if q.NotAssignedTo != "" {
		b.WriteString(" and object_id not in" + assigned + bind(q.NotAssignedTo) + ")")
	}
	if q.NotMemberOf != "" {
		b.WriteString(" and not exists (select 1 from directory_member m where m.directory = $1 and m.group_id = " + bind(q.NotMemberOf) + " and m.gone = 0 and m.member = object_id" + runForEachRow + ")")
	}
	b.WriteString(`
		order by sort_key, object_id
		limit ` + bind(q.Limit))
	return b.String(), args
}

// CountUsers counts the users by status.
func (s Directories) CountUsers(ctx context.Context, d directory.ID) (c directory.Counts, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		return t.tx.QueryRow(ctx, `
			select
				count(*) filter (where deleted = 0 and account_enabled),
				count(*) filter (where deleted = 0 and not account_enabled),
				count(*) filter (where deleted > 0)
			from directory_user
			where directory = $1`, t.directory).Scan(&c.Enabled, &c.Disabled, &c.Deleted)
	})
	return c, err
}

// Applications returns a directory's applications, ordered by name.
func (s Directories) Applications(ctx context.Context, d directory.ID) (all []directory.Application, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		all, err = t.applications(ctx)
		return err
	})
	return all, err
}

// countAssignments subtracts the assignments of deleted users from all assignments. So it reads two
// indexes and no user rows. SQLite runs a cross join in the written order, so it reads the deleted
// users first.
const countAssignments = `
			select (
				select count(*)
				from directory_assignment
				where directory = $1 and application = $2
			) - (
				select count(*)
				from directory_user u
				cross join directory_assignment a
				where u.directory = $1 and u.deleted > 0
				and a.directory = $1 and a.application = $2 and a.object_id = u.object_id
			)`

// CountAssignments counts the users that are assigned directly to an application and not deleted.
func (s Directories) CountAssignments(ctx context.Context, d directory.ID, application string) (n int, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		return t.tx.QueryRow(ctx, countAssignments, t.directory, application).Scan(&n)
	})
	return n, err
}

// userColumns are the columns of a user that scanUser reads.
const userColumns = `object_id, account_enabled, deleted, version, created, modified, attributes`

// Events returns the directory's events after a position, oldest first.
func (s Directories) Events(ctx context.Context, d directory.ID, after event.Position, limit int) ([]event.Event, error) {
	return Events(s).Read(ctx, event.Directory(string(d)), after, limit)
}

// LastEvent returns the position of the last event that Events would return now.
func (s Directories) LastEvent(ctx context.Context, d directory.ID) (event.Position, error) {
	return Events(s).Last(ctx, event.Directory(string(d)))
}

// History returns the events about one object, newest first.
func (s Directories) History(ctx context.Context, d directory.ID, subject string, before event.Position, limit int) ([]event.Event, error) {
	return Events(s).Recent(ctx, event.Directory(string(d)), subject, before, limit)
}

// Update runs fn in one write transaction. It locks the directory's row first, so that writers of
// the directory run one after the other, and no other transaction changes the rows that fn has
// read. It returns refusal.NotFound if there is no such directory.
func (s Directories) Update(ctx context.Context, d directory.ID, fn func(tx directory.Tx) error) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		t := directoryTx{tx: tx, directory: string(d)}
		if err := t.lock(ctx); err != nil {
			return err
		}
		t.appended = new(int)
		if err := fn(t); err != nil {
			return err
		}
		return t.noteCause(ctx)
	})
}

// view calls fn in a transaction that only reads.
func (s Directories) view(ctx context.Context, d directory.ID, fn func(t directoryTx) error) error {
	return s.DB.View(ctx, func(tx *sqldb.Tx) error { return fn(directoryTx{tx: tx, directory: string(d)}) })
}

// directoryTx implements directory.Tx.
type directoryTx struct {
	tx        *sqldb.Tx
	directory string
	appended  *int // how many events the transaction has written so far
}

// lock locks the directory's row until the transaction ends. It returns refusal.NotFound if there
// is no such directory.
func (t directoryTx) lock(ctx context.Context) error {
	var id string
	err := t.tx.QueryRow(ctx, `
		select id
		from directory
		where id = $1 and deleted = 0`+t.tx.ForUpdate(), t.directory).Scan(&id)
	return orNotFound(err, refusal.NotFound)
}

// User and the other exported methods of directoryTx are described at directory.Tx.
func (t directoryTx) User(ctx context.Context, objectID string) (directory.User, error) {
	u, err := scanUser(t.tx.QueryRow(ctx, `
		select `+userColumns+`
		from directory_user
		where directory = $1 and object_id = $2`, t.directory, objectID))
	return u, orNotFound(err, refusal.NotFound)
}

func (t directoryTx) UserByUPN(ctx context.Context, foldedUPN string) (directory.User, error) {
	u, err := scanUser(t.tx.QueryRow(ctx, `
		select `+userColumns+`
		from directory_user
		where directory = $1 and upn_folded = $2 and deleted = 0`, t.directory, foldedUPN))
	return u, orNotFound(err, refusal.NotFound)
}

func (t directoryTx) DeletedByUPN(ctx context.Context, foldedUPN string) (directory.User, error) {
	u, err := scanUser(t.tx.QueryRow(ctx, `
		select `+userColumns+`
		from directory_user
		where directory = $1 and upn_folded = $2 and deleted > 0
		order by deleted desc, object_id
		limit 1`, t.directory, foldedUPN))
	return u, orNotFound(err, refusal.NotFound)
}

func (t directoryTx) DirectReports(ctx context.Context, objectID string) ([]directory.User, error) {
	return collect(ctx, t.tx, scanUser, `
		select `+userColumns+`
		from directory_user
		where directory = $1 and manager = $2 and manager > ''
		order by object_id`, t.directory, objectID)
}

func (t directoryTx) PutUser(ctx context.Context, u directory.User) error {
	attributes, err := json.Marshal(u.Attributes)
	if err != nil {
		return fmt.Errorf("encode user %s: %w", u.ObjectID, err)
	}
	_, err = t.tx.Exec(ctx, `
		insert into directory_user (directory, object_id, upn_folded, sort_key, search_text, account_enabled, deleted, manager, version, created, modified, attributes)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		on conflict (directory, object_id) do update set
			upn_folded = excluded.upn_folded,
			sort_key = excluded.sort_key,
			search_text = excluded.search_text,
			account_enabled = excluded.account_enabled,
			deleted = excluded.deleted,
			manager = excluded.manager,
			version = excluded.version,
			modified = excluded.modified,
			attributes = excluded.attributes`,
		t.directory, u.ObjectID, u.FoldedUPN(), u.SortKey(), u.SearchText(), u.AccountEnabled, micros(u.Deleted), u.Text("manager"),
		u.Version, micros(u.Created), micros(u.Modified), string(attributes))
	return err
}

func (t directoryTx) RemoveUser(ctx context.Context, objectID string) error {
	if _, err := t.tx.Exec(ctx, `
		delete from directory_assignment
		where directory = $1 and object_id = $2`, t.directory, objectID); err != nil {
		return err
	}
	if _, err := t.tx.Exec(ctx, `
		delete from directory_member
		where directory = $1 and member = $2`, t.directory, objectID); err != nil {
		return err
	}
	_, err := t.tx.Exec(ctx, `
		delete from directory_user
		where directory = $1 and object_id = $2`, t.directory, objectID)
	return err
}

// applications returns the directory's applications, ordered by name.
func (t directoryTx) applications(ctx context.Context) ([]directory.Application, error) {
	return collect(ctx, t.tx, scanApplication, `
		select id, name, created
		from directory_application
		where directory = $1
		order by name_folded`, t.directory)
}

func (t directoryTx) Application(ctx context.Context, id string) (directory.Application, error) {
	a, err := scanApplication(t.tx.QueryRow(ctx, `
		select id, name, created
		from directory_application
		where directory = $1 and id = $2`, t.directory, id))
	return a, orNotFound(err, refusal.NotFound)
}

func (t directoryTx) CreateApplication(ctx context.Context, a directory.Application) error {
	did, err := changesRow(ctx, t.tx, `
		insert into directory_application (directory, id, name, name_folded, created)
		values ($1, $2, $3, $4, $5)
		on conflict (directory, name_folded) do nothing`, t.directory, a.ID, a.Name, a.FoldedName(), micros(a.Created))
	if err == nil && !did {
		return refusal.Taken
	}
	return err
}

func (t directoryTx) RenameApplication(ctx context.Context, a directory.Application) error {
	did, err := changesRow(ctx, t.tx, `
		update directory_application
		set name = $3, name_folded = $4
		where directory = $1 and id = $2
			and not exists (select 1 from directory_application where directory = $1 and name_folded = $4 and id <> $2)`,
		t.directory, a.ID, a.Name, a.FoldedName())
	if err == nil && !did {
		return refusal.Taken
	}
	return err
}

// DeleteApplication deletes an application and its job, and schedules the removal of the rows of
// both.
func (t directoryTx) DeleteApplication(ctx context.Context, id string) (directory.Contents, error) {
	gone, err := t.contents(ctx, id)
	if err != nil {
		return gone, err
	}
	if err := hideJob(ctx, t.tx, provision.Key{Directory: provision.SourceID(t.directory), App: id}); err != nil {
		return gone, err
	}
	if err := noteRemoval(ctx, t.tx, removal{directoryRemoval, t.directory, id}); err != nil {
		return gone, err
	}
	_, err = t.tx.Exec(ctx, `
		delete from directory_application
		where directory = $1 and id = $2`, t.directory, id)
	return gone, err
}

// contents counts the contents of one application, or of the whole directory if application is
// empty.
func (t directoryTx) contents(ctx context.Context, application string) (c directory.Contents, err error) {
	if application == "" {
		err = t.tx.QueryRow(ctx, `
			select
				(select count(*) from directory_user where directory = $1),
				(select count(*) from directory_group where directory = $1 and purged = 0),
				(select count(*) from directory_application where directory = $1),
				(select count(*) from directory_assignment a where a.directory = $1 and exists (select 1 from directory_application p where p.directory = $1 and p.id = a.application))
					+ (select count(*) from directory_group_assignment a where a.directory = $1 and a.gone = 0 and exists (select 1 from directory_application p where p.directory = $1 and p.id = a.application)),
				(select count(*) from job_link l where l.directory = $1 and exists (select 1 from directory_application p where p.directory = $1 and p.id = l.app))`, t.directory).Scan(&c.Users, &c.Groups, &c.Applications, &c.Assigned, &c.Linked)
		return c, err
	}
	err = t.tx.QueryRow(ctx, `
		select
			(select count(*) from directory_assignment where directory = $1 and application = $2)
				+ (select count(*) from directory_group_assignment where directory = $1 and application = $2 and gone = 0),
			(select count(*) from job_link where directory = $1 and app = $2)`, t.directory, application).Scan(&c.Assigned, &c.Linked)
	return c, err
}

func (t directoryTx) AppendEvent(ctx context.Context, e event.Event) error {
	*t.appended++
	return appendEvent(ctx, t.tx, e)
}

// scanDirectory reads the columns id, name, created and default_domain of a directory.
func scanDirectory(row scanner) (directory.Directory, error) {
	var d directory.Directory
	var id string
	var created int64
	err := row.Scan(&id, &d.Name, &created, &d.DefaultDomain)
	d.ID, d.Created = directory.ID(id), fromMicros(created)
	return d, err
}

// scanApplication reads the columns id, name and created of an application.
func scanApplication(row scanner) (directory.Application, error) {
	var a directory.Application
	var created int64
	err := row.Scan(&a.ID, &a.Name, &created)
	a.Created = fromMicros(created)
	return a, err
}

// scanUser reads the userColumns of a row.
func scanUser(row scanner) (directory.User, error) {
	var r userRow
	if err := row.Scan(r.fields()...); err != nil {
		return directory.User{}, err
	}
	return r.user()
}

// userRow is a row in the order of userColumns.
type userRow struct {
	objectID                            string
	accountEnabled                      bool
	deleted, version, created, modified int64
	attributes                          string
}

// fields returns pointers to the fields, in the order of userColumns.
func (r *userRow) fields() []any {
	return []any{&r.objectID, &r.accountEnabled, &r.deleted, &r.version, &r.created, &r.modified, &r.attributes}
}

// user returns the user that the row stores.
func (r *userRow) user() (directory.User, error) {
	attributes, err := decodeAttributes(r.attributes)
	if err != nil {
		return directory.User{}, fmt.Errorf("decode user %s: %w", r.objectID, err)
	}
	return directory.User{
		ObjectID: r.objectID, AccountEnabled: r.accountEnabled, Attributes: attributes, Version: r.version,
		Deleted: fromMicros(r.deleted), Created: fromMicros(r.created), Modified: fromMicros(r.modified),
	}, nil
}

// decodeAttributes decodes attributes whose values are strings or lists of strings.
func decodeAttributes(text string) (map[string]any, error) {
	var decoded any // encoding/json decodes into this type without reflection, which is faster
	if err := json.Unmarshal([]byte(text), &decoded); err != nil {
		return nil, err
	}
	if decoded == nil {
		return map[string]any{}, nil
	}
	values, ok := decoded.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the attributes are a %T", decoded)
	}
	for name, v := range values {
		list, ok := v.([]any)
		if !ok {
			continue
		}
		texts := make([]string, len(list))
		for i, e := range list {
			if texts[i], ok = e.(string); !ok {
				return nil, fmt.Errorf("attribute %s holds a %T", name, e)
			}
		}
		values[name] = texts
	}
	return values, nil
}
