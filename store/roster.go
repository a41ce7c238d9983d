package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// Rosters implements roster.Store.
type Rosters struct{ DB *DB }

// The columns of a resource: documentColumns for scanDocument, and recordColumns for scanRecord.
const (
	documentColumns = `r.id, r.version, r.created, r.modified, r.doc, r.seq, r.active`

	recordColumns = documentColumns + `, r.kind, coalesce(r.user_name, ''), r.external_id, r.display_name, coalesce(r.display, ''), r.role,
		r.last_by, r.last_via, r.last_at, r.last_text, r.active_by, r.active_via, r.active_at,
		r.role_by, r.role_via, r.role_at, r.last_sign_in, r.blocked, r.active_after_block, r.held`
)

// scanDocument reads the documentColumns of a row.
func scanDocument(row scanner) (roster.Document, error) { return newDocumentScan()(row) }

// newDocumentScan returns a function that does the same as scanDocument, for a query with many
// rows. It uses the same variables for each row, which saves several allocations per row.
func newDocumentScan() func(row scanner) (roster.Document, error) {
	var d roster.Document
	var created, modified int64
	dest := []any{&d.ID, &d.Version, &created, &modified, &d.JSON, &d.Position, &d.Active}
	return func(row scanner) (roster.Document, error) {
		err := row.Scan(dest...)
		d.Created, d.Modified = fromMicros(created), fromMicros(modified)
		return d, err
	}
}

// scanRecord reads the recordColumns of a row.
func scanRecord(row scanner) (r roster.Record, err error) {
	var created, modified, last, active, role, signIn int64
	var held string
	err = row.Scan(&r.ID, &r.Version, &created, &modified, &r.JSON, &r.Position, &r.Active,
		&r.Kind, &r.UserName, &r.ExternalID, &r.DisplayName, &r.Display, &r.Role,
		&r.LastChange.Actor, &r.LastChange.Via, &last, &r.LastChange.Text, &r.LastActiveChange.Actor, &r.LastActiveChange.Via, &active,
		&r.LastRoleChange.Actor, &r.LastRoleChange.Via, &role, &signIn, &r.Block.InForce, &r.Block.Active, &held)
	if err == nil && held != "" {
		err = json.Unmarshal([]byte(held), &r.Held)
	}
	r.Created, r.Modified = fromMicros(created), fromMicros(modified)
	r.LastChange.Time, r.LastActiveChange.Time, r.LastRoleChange.Time = fromMicros(last), fromMicros(active), fromMicros(role)
	r.LastSignIn = fromMicros(signIn)
	return r, err
}

// Get returns a resource's document.
func (s Rosters) Get(ctx context.Context, id site.ID, kind scim.TypeName, resource string) (doc roster.Document, err error) {
	err = s.DB.Lane(string(id)).Read(ctx, func(tx *sqldb.Tx) error {
		doc, err = scanDocument(tx.QueryRow(ctx, `
			select `+documentColumns+`
			from resource r
			where r.site = $1 and r.kind = $2 and r.id = $3`, string(id), string(kind), resource))
		return orNotFound(err, refusal.NotFound)
	})
	return doc, err
}

// Record returns a resource's document together with its columns.
func (s Rosters) Record(ctx context.Context, id site.ID, kind scim.TypeName, resource string) (rec roster.Record, err error) {
	err = s.DB.Lane(string(id)).Read(ctx, func(tx *sqldb.Tx) error {
		rec, err = findRecord(ctx, tx, id, kind, resource)
		return err
	})
	return rec, err
}

// RecordByUserName returns the user with this case-folded user name.
func (s Rosters) RecordByUserName(ctx context.Context, id site.ID, folded string) (rec roster.Record, err error) {
	err = s.DB.Lane(string(id)).Read(ctx, func(tx *sqldb.Tx) error {
		rec, err = findRecordByUserName(ctx, tx, id, folded)
		return err
	})
	return rec, err
}

// findRecord returns the record of a resource by its id, or refusal.NotFound.
func findRecord(ctx context.Context, tx *sqldb.Tx, id site.ID, kind scim.TypeName, resource string) (roster.Record, error) {
	rec, err := scanRecord(tx.QueryRow(ctx, `
		select `+recordColumns+`
		from resource r
		where r.site = $1 and r.kind = $2 and r.id = $3`, string(id), string(kind), resource))
	return rec, orNotFound(err, refusal.NotFound)
}

// findRecordByUserName returns the record of the user with this folded userName, or
// refusal.NotFound.
func findRecordByUserName(ctx context.Context, tx *sqldb.Tx, id site.ID, folded string) (roster.Record, error) {
	rec, err := scanRecord(tx.QueryRow(ctx, `
		select `+recordColumns+`
		from resource r
		where r.site = $1 and r.kind = $2 and r.user_name = $3`, string(id), string(roster.User), folded))
	return rec, orNotFound(err, refusal.NotFound)
}

// People returns the users whose case-folded user name is greater than after, in the order of these
// names.
func (s Rosters) People(ctx context.Context, id site.ID, q roster.PeopleQuery, after string, limit int) (people []roster.Record, err error) {
	query := `
		select ` + recordColumns + `
		from resource r
		where r.site = $1 and r.kind = $2 and r.user_name > $3`
	args := []any{string(id), string(roster.User), after, limit}
	switch q.Status {
	case roster.StatusActive:
		query += ` and r.active`
	case roster.StatusDeactivated:
		query += ` and not r.active`
	case roster.StatusWaiting:
		query += ` and r.held_waiting`
	case roster.StatusBlocked:
		query += ` and r.blocked`
	case roster.StatusNeverSignedIn:
		query += ` and r.active and r.last_sign_in = 0`
	case roster.StatusLookAlike:
		args = append(args, roster.NameLooksPath)
		query += ` and r.id in (` + lookAlikesQuery("$1", "$"+strconv.Itoa(len(args))) + `)`
	}
	if q.Role != "" {
		args = append(args, string(q.Role))
		query += ` and r.role = $` + strconv.Itoa(len(args))
	}
	if q.Search != "" {
		args = append(args, likePattern(scim.Co, q.Search), roster.EmailPath)
		pattern, path := strconv.Itoa(len(args)-1), strconv.Itoa(len(args))
		query += ` and (r.user_name like $` + pattern + ` escape '\' or r.display_name like $` + pattern + ` escape '\' or r.id in (
			select v.resource
			from resource_value v
			where v.site = $1 and v.path = $` + path + ` and v.value like $` + pattern + ` escape '\'))`
	}
	query += `
		order by r.user_name
		limit $4`
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		if err := tx.PlanForValues(ctx); err != nil {
			return err
		}
		people, err = collect(ctx, tx, scanRecord, query, args...)
		return err
	})
	return people, err
}

// Counts counts a site's users.
func (s Rosters) Counts(ctx context.Context, id site.ID) (c roster.Counts, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		if err := tx.PlanForValues(ctx); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			select count(*),
				count(*) filter (where r.active),
				count(*) filter (where not r.active),
				count(*) filter (where r.active and r.last_sign_in = 0),
				count(*) filter (where r.active and r.role = $2),
				(select count(*) from resource b where b.site = $3 and b.blocked),
				(select count(*) from resource h where h.site = $3 and h.held_waiting),
				(select count(distinct l.resource) from (`+lookAlikesQuery("$3", "$4")+`) l)
			from resource r
			where r.list = $1`, listColumn(id, roster.User), string(roster.RoleAdmin), string(id), roster.NameLooksPath).
			Scan(&c.All, &c.Active, &c.Deactivated, &c.NeverSignedIn, &c.Admins, &c.Blocked, &c.Waiting, &c.LookAlike)
	})
	return c, err
}

// SessionPerson returns a session and its user, who must be active.
func (s Rosters) SessionPerson(ctx context.Context, id site.ID, hash secret.Hash) (rec roster.Record, found roster.Session, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		var scan sessionScan
		var o roster.Origin
		rec, err = scanRecord(rowWithSession{tx.QueryRow(ctx, `
			select `+recordColumns+`, x.issuer, x.name_id, x.name_format, x.session_index, `+sessionColumns+`
			from site_session x
			join resource r on r.site = x.site and r.kind = $3 and r.id = x.person
			where x.site = $1 and x.hash = $2 and r.active`,
			string(id), hash.String(), string(roster.User)), append([]any{&o.Issuer, &o.NameID, &o.NameFormat, &o.Index}, scan.destinations()...)})
		found = roster.Session{Hash: hash, Person: rec.ID, Record: scan.record(), Origin: o}
		return orNotFound(err, roster.ErrNoSession)
	})
	return rec, found, err
}

// UseSession records when and where a session was last used.
func (s Rosters) UseSession(ctx context.Context, id site.ID, hash secret.Hash, at time.Time, from session.Browser) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		return tx.Send(ctx, `
			update site_session
			set used = $1, last_address = $2, last_agent = $3
			where site = $4 and hash = $5 and used < $1`,
			micros(at), from.Address, from.Agent, string(id), hash.String())
	})
}

// Sessions returns the sessions of a person.
func (s Rosters) Sessions(ctx context.Context, id site.ID, person string) (all []roster.Session, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = collect(ctx, tx, scanSiteSession, `
			select x.hash, x.person, `+sessionColumns+`
			from site_session x
			where x.site = $1 and x.person = $2`, string(id), person)
		return err
	})
	return all, err
}

// scanSiteSession reads the hash and the person of a session, and sessionColumns.
func scanSiteSession(row scanner) (found roster.Session, err error) {
	var scan sessionScan
	err = row.Scan(append([]any{&found.Hash, &found.Person}, scan.destinations()...)...)
	found.Record = scan.record()
	return found, err
}

// EndSession removes a session.
func (s Rosters) EndSession(ctx context.Context, id site.ID, session secret.Hash, events ...event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		ended, err := tx.Exec(ctx, `
			delete from site_session
			where site = $1 and hash = $2`, string(id), session.String())
		if err != nil {
			return err
		}
		if n, err := ended.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return appendEvents(ctx, tx, events)
	})
}

// HasOneWriter reports whether the database is SQLite, whose write transactions wait for each
// other.
func (s Rosters) HasOneWriter() bool { return s.DB.Kind() == sqldb.SQLite }

// Update runs fn in one write transaction. If the transaction overlapped another one, Update runs
// fn again while no other transaction can write to the site.
func (s Rosters) Update(ctx context.Context, on site.Site, fn func(roster.Tx) error) error {
	alone := false
	return s.DB.Lane(string(on.ID)).Update(ctx, func(tx *sqldb.Tx) error {
		if err := holdSite(ctx, tx, on.ID, alone); err != nil {
			return err
		}
		err := fn(rosterTx{tx: tx, site: on.ID, schemas: string(on.Schemas), uniqueNames: boolToInt(on.GroupNamesUnique())})
		alone = alone || errors.Is(tx.Failed(), sqldb.ErrOverlapped)
		return err
	})
}

// RunExpensive runs costly work for a site, as soon as one of the site's slots for such work is
// free. It cancels fn's context if the work takes too long.
func (s Rosters) RunExpensive(ctx context.Context, id site.ID, fn func(ctx context.Context) error) error {
	return s.DB.RunCostly(ctx, string(id), fn)
}

// holdSite prevents changes to the site until the transaction ends. Call holdSite before the
// transaction takes any other lock. A change of the site waits for transactions that hold the site,
// and such transactions wait for a change of the site. If alone is set, no other transaction can
// hold the site at the same time.
//
// The lock is an advisory lock, not a lock on the site's row. A row lock would give the transaction
// its number. The transaction must get its number only after it has waited for the resource that it
// changes. Otherwise the order of events would not match the order of versions.
func holdSite(ctx context.Context, tx *sqldb.Tx, id site.ID, alone bool) error {
	if tx.Kind() != sqldb.PostgreSQL {
		return nil // SQLite needs no lock, because it has a single writer
	}
	lock := "pg_advisory_xact_lock_shared"
	if alone {
		lock = "pg_advisory_xact_lock"
	}
	return tx.Send(ctx, "select "+lock+"(hashtextextended('rollcall site ' || $1::text, 0))", string(id))
}

// Join returns the site's roster for use in a transaction that changes the site.
func (s Rosters) Join(ctx context.Context, tx site.Tx) (roster.Tx, error) {
	t, ok := tx.(siteTx)
	if !ok {
		return nil, fmt.Errorf("a transaction of another store: %T", tx)
	}
	var schemas string
	var names int64
	err := t.tx.QueryRow(ctx, `
		select s.schemas, case when s.strict or s.shared_group_names then 0 else 1 end
		from site s
		where s.id = $1`, string(t.site.ID)).Scan(&schemas, &names)
	return rosterTx{tx: t.tx, site: t.site.ID, schemas: schemas, uniqueNames: names}, err
}

// rosterTx is one write transaction on one site's roster.
type rosterTx struct {
	tx          *sqldb.Tx
	site        site.ID
	schemas     string // the schemas that writes are checked against
	uniqueNames int64  // 1 if group names must be unique, otherwise 0
}

// Record and the other exported methods of rosterTx are described at roster.Tx.
func (t rosterTx) Record(ctx context.Context, kind scim.TypeName, resource string) (roster.Record, error) {
	return lockedRecord(ctx, t.tx, `
		where r.site = $1 and r.kind = $2 and r.id = $3`, string(t.site), string(kind), resource)
}

func (t rosterTx) RecordByUserName(ctx context.Context, folded string) (roster.Record, error) {
	return lockedRecord(ctx, t.tx, `
		where r.site = $1 and r.kind = $2 and r.user_name = $3`, string(t.site), string(roster.User), folded)
}

// BlockedWith returns a blocked user that has the external id or one of the emails, and the
// attribute that matches. It first asks whether any user is blocked, because usually none is.
func (t rosterTx) BlockedWith(ctx context.Context, externalID string, emails []string) (id, attribute string, err error) {
	err = t.tx.QueryRow(ctx, `
		select r.id
		from resource r
		where r.site = $1 and r.blocked
		limit 1`, string(t.site)).Scan(&id)
	if err != nil {
		return "", "", orNotFound(err, refusal.NotFound)
	}
	err = sql.ErrNoRows
	if externalID != "" {
		err = t.tx.QueryRow(ctx, `
			select r.id
			from resource r
			where r.site = $1 and r.blocked and r.external_id = $2 and r.external_id <> ''
			limit 1`, string(t.site), externalID).Scan(&id)
		attribute = "externalId"
	}
	for i := 0; i < len(emails) && errors.Is(err, sql.ErrNoRows); i++ {
		err = t.tx.QueryRow(ctx, `
			select r.id
			from resource_value v
			join resource r on r.site = v.site and r.id = v.resource
			where v.site = $1 and v.path = $2 and v.value = $3 and r.blocked
			limit 1`, string(t.site), roster.EmailPath, emails[i]).Scan(&id)
		attribute = "e-mail address"
	}
	return id, attribute, orNotFound(err, refusal.NotFound)
}

// lockedRecord reads and locks a resource that the transaction is going to change. It returns
// sqldb.ErrOverlapped if a transaction with a later number has already changed the resource.
// Otherwise the event of this change would sort before the event of that change, although this
// change happened later.
func lockedRecord(ctx context.Context, tx *sqldb.Tx, where string, args ...any) (roster.Record, error) {
	var overlapped bool
	row := tx.QueryRow(ctx, `
		select `+recordColumns+`, `+tx.WrittenLater("r")+`
		from resource r`+where+tx.ForUpdate(), args...)
	rec, err := scanRecord(withExtraColumn{row, &overlapped})
	if err == nil && overlapped {
		err = tx.Fail(sqldb.ErrOverlapped)
	}
	return rec, orNotFound(err, refusal.NotFound)
}

// withExtraColumn is a row with one more column than its scan function expects. The extra column is
// scanned into last.
type withExtraColumn struct {
	row  scanner
	last any
}

// Scan reads the columns into dest, and the extra last column into m.last.
func (m withExtraColumn) Scan(dest ...any) error { return m.row.Scan(append(dest, m.last)...) }

func (t rosterTx) Records(ctx context.Context, kind scim.TypeName, after roster.Place, limit int) ([]roster.Record, error) {
	return collect(ctx, t.tx, scanRecord, `
		select `+recordColumns+`
		from resource r
		where r.list = $1 and (r.seq, r.id) > ($2, $3)
		order by r.seq, r.id
		limit $4`+t.tx.ForUpdate(), listColumn(t.site, kind), after.Position, after.ID, limit)
}

func (t rosterTx) Insert(ctx context.Context, r roster.Record) (seq int64, err error) {
	var declared sql.NullString
	err = t.tx.QueryRow(ctx, `
		insert into resource (site, kind, id, seq, version, user_name, external_id, display_name, active, role, created, modified,
			last_by, last_via, last_at, last_text, active_by, active_via, active_at, role_by, role_via, role_at, last_sign_in, doc, list, display)
		values ($1, $2, $3, 1 + coalesce((select m.seq from resource m where m.list = $24 order by m.seq desc limit 1), 0),
			$4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)
		on conflict (site, user_name) do nothing
		returning seq, `+declaredExpression(26),
		string(t.site), string(r.Kind), r.ID, r.Version, orNull(r.UserName), r.ExternalID, r.DisplayName,
		r.Active, string(r.Role), micros(r.Created), micros(r.Modified),
		r.LastChange.Actor, r.LastChange.Via, micros(r.LastChange.Time), r.LastChange.Text,
		r.LastActiveChange.Actor, r.LastActiveChange.Via, micros(r.LastActiveChange.Time),
		r.LastRoleChange.Actor, r.LastRoleChange.Via, micros(r.LastRoleChange.Time), micros(r.LastSignIn), string(r.JSON),
		listColumn(t.site, r.Kind), r.Display, t.schemas, t.uniqueNames).Scan(&seq, &declared)
	if err != nil {
		return 0, orNotFound(err, roster.ErrUserNameTaken)
	}
	if !declared.Valid {
		return 0, roster.ErrSchemasChanged
	}
	if err := t.adjustCount(ctx, r.Kind, seq, 1); err != nil {
		return 0, err
	}
	if err := t.putUniqueValues(ctx, roster.Record{}, r); err != nil {
		return 0, err
	}
	if err := t.putValues(ctx, roster.Record{}, r); err != nil {
		return 0, err
	}
	if err := t.putLooks(ctx, roster.Record{}, r); err != nil {
		return 0, err
	}
	return seq, t.putDeclared(ctx, declared.String, roster.Record{}, r)
}

// orNull returns NULL for an empty string. A unique index allows any number of NULLs, so it ignores
// resources without a user name.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// Put writes a changed resource. It returns roster.ErrChangedMeanwhile if the stored resource is
// not the old one any more.
func (t rosterTx) Put(ctx context.Context, old, next roster.Record) error {
	query := `
		update resource
		set version = $1, modified = $2, last_by = $3, last_via = $4, last_at = $5, last_text = $6, doc = $7`
	args := []any{
		next.Version, micros(next.Modified), next.LastChange.Actor, next.LastChange.Via, micros(next.LastChange.Time), next.LastChange.Text, string(next.JSON),
		string(t.site), string(old.Kind), old.ID, old.Version, t.schemas, t.uniqueNames,
	}
	// Set only the columns that differ: SQLite rewrites the index of every column in the set
	// clause, even if the value stays the same. Also, an erasure may have removed a name from a
	// column since old was read, and must not be undone.
	set := func(column string, differs bool, value any) {
		if differs {
			args = append(args, value)
			query += `, ` + column + ` = $` + strconv.Itoa(len(args))
		}
	}
	set("user_name", old.UserName != next.UserName, orNull(next.UserName))
	set("external_id", old.ExternalID != next.ExternalID, next.ExternalID)
	set("display_name", old.DisplayName != next.DisplayName, next.DisplayName)
	set("display", old.Display != next.Display, next.Display)
	set("active", old.Active != next.Active, next.Active)
	set("role", old.Role != next.Role, string(next.Role))
	if was, is := old.LastActiveChange, next.LastActiveChange; was != is {
		set("active_by", true, is.Actor)
		set("active_via", true, is.Via)
		set("active_at", true, micros(is.Time))
	}
	if was, is := old.LastRoleChange, next.LastRoleChange; was != is {
		set("role_by", true, is.Actor)
		set("role_via", true, is.Via)
		set("role_at", true, micros(is.Time))
	}
	set("blocked", old.Block.InForce != next.Block.InForce, next.Block.InForce)
	if held := encodeHeld(next.Held); held != encodeHeld(old.Held) {
		set("held", true, held)
		set("held_waiting", true, slices.ContainsFunc(next.Held, roster.HeldChange.Waits))
	}
	set("active_after_block", old.Block.Active != next.Block.Active, next.Block.Active)
	query += `
		where site = $8 and kind = $9 and id = $10 and version = $11`
	if len(old.Held) == 0 {
		query += ` and held = ''`
	}
	var declared sql.NullString
	err := t.tx.QueryRow(ctx, query+`
		returning `+declaredExpression(12), args...).Scan(&declared)
	if columns, taken := sqldb.UniqueViolation(err); taken && columns == "resource(site, user_name)" {
		return fmt.Errorf("%w: %w", roster.ErrUserNameTaken, err)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s %s, version %d: %w", old.Kind, old.ID, old.Version, roster.ErrChangedMeanwhile)
	}
	if err != nil {
		return err
	}
	if !declared.Valid {
		return roster.ErrSchemasChanged
	}
	if old.Display != next.Display {
		if err := t.tx.Send(ctx, `
			update membership
			set display = $1
			where site = $2 and member = $3`, next.Display, string(t.site), old.ID); err != nil {
			return err
		}
	}
	if err := t.putUniqueValues(ctx, old, next); err != nil {
		return err
	}
	if err := t.putValues(ctx, old, next); err != nil {
		return err
	}
	if err := t.putLooks(ctx, old, next); err != nil {
		return err
	}
	return t.putDeclared(ctx, declared.String, old, next)
}

// encodeHeld encodes the changes that an administrator has to decide on as JSON. It returns "" if
// there are none.
func encodeHeld(held []roster.HeldChange) string {
	if len(held) == 0 {
		return ""
	}
	text, _ := json.Marshal(held) // cannot fail: held has only strings, booleans, lists and objects
	return string(text)
}

func (t rosterTx) PutUniqueValues(ctx context.Context, old, next roster.Record) error {
	return t.putUniqueValues(ctx, old, next)
}

// FreeUniqueValues stops keeping the values of an attribute unique.
func (t rosterTx) FreeUniqueValues(ctx context.Context, kind scim.TypeName, path string) error {
	return freeUniqueValues(ctx, t.tx, t.site, kind, path)
}

// freeUniqueValues deletes the rows that keep the values of an attribute unique.
func freeUniqueValues(ctx context.Context, tx *sqldb.Tx, id site.ID, kind scim.TypeName, path string) error {
	_, err := tx.Exec(ctx, `
		delete from resource_unique
		where site = $1 and kind = $2 and path = $3`, string(id), string(kind), path)
	return err
}

// putUniqueValues updates the resource's rows in the table of unique values, where they differ. It
// frees the old values before it takes new ones.
func (t rosterTx) putUniqueValues(ctx context.Context, old, next roster.Record) error {
	of := func(v roster.Value) roster.Value { return roster.Value{Path: v.Path, Folded: v.Folded} }
	for _, v := range valuesMissingFrom(old.Unique, next.Unique, of) {
		if err := t.tx.Send(ctx, `
			delete from resource_unique
			where site = $1 and kind = $2 and path = $3 and value = $4 and resource = $5`,
			string(t.site), string(old.Kind), v.Path, v.Folded, old.ID); err != nil {
			return err
		}
	}
	for _, v := range valuesMissingFrom(next.Unique, old.Unique, of) {
		if err := t.takeUnique(ctx, next, v); err != nil {
			return err
		}
	}
	return nil
}

// valuesMissingFrom returns those of the values whose key is different from the keys of all values
// in from.
func valuesMissingFrom(values, from []roster.Value, key func(roster.Value) roster.Value) (list []roster.Value) {
	if len(from) == 0 {
		return values
	}
	there := make(map[roster.Value]bool, len(from))
	for _, v := range from {
		there[key(v)] = true
	}
	for _, v := range values {
		if !there[key(v)] {
			list = append(list, v)
		}
	}
	return list
}

// takeUnique stores that the resource has a value that no other resource may have.
func (t rosterTx) takeUnique(ctx context.Context, r roster.Record, v roster.Value) error {
	if err := t.tx.Send(ctx, `
		insert into resource_unique (site, kind, path, value, resource, element)
		values ($1, $2, $3, $4, $5, $6)
		on conflict (site, kind, path, value) do nothing`,
		string(t.site), string(r.Kind), v.Path, v.Folded, r.ID, v.Element); err != nil {
		return err
	}
	var owner string
	err := t.tx.QueryRow(ctx, `
		select u.resource
		from resource_unique u
		where u.site = $1 and u.kind = $2 and u.path = $3 and u.value = $4`,
		string(t.site), string(r.Kind), v.Path, v.Folded).Scan(&owner)
	if err == nil && owner != r.ID {
		return roster.ErrValueTaken.WithData(v)
	}
	return err
}

// putValues updates those value rows of a resource that differ between old and next.
func (t rosterTx) putValues(ctx context.Context, old, next roster.Record) error {
	whole := func(v roster.Value) roster.Value { return v }
	for _, v := range valuesMissingFrom(old.Values, next.Values, whole) {
		if err := t.tx.Send(ctx, `
			delete from resource_value
			where site = $1 and path = $2 and value = $3 and resource = $4 and element = $5`,
			string(t.site), v.Path, v.Folded, old.ID, v.Element); err != nil {
			return err
		}
	}
	var rows []valueRow
	for _, v := range valuesMissingFrom(next.Values, old.Values, whole) {
		rows = append(rows, valueRow{next.ID, v})
	}
	return addFewValues(ctx, t.tx, t.site, rows)
}

func (t rosterTx) Delete(ctx context.Context, old roster.Record) error {
	if err := t.putValues(ctx, old, roster.Record{}); err != nil {
		return err
	}
	if err := t.putLooks(ctx, old, roster.Record{}); err != nil {
		return err
	}
	if err := t.putUniqueValues(ctx, old, roster.Record{}); err != nil {
		return err
	}
	if err := t.deleteDeclared(ctx, old); err != nil {
		return err
	}
	if err := t.adjustCount(ctx, old.Kind, old.Position, -1); err != nil {
		return err
	}
	for _, query := range []string{
		`delete from membership where site = $1 and member = $2`,
		`delete from membership where site = $1 and group_id = $2`,
		`delete from identity where site = $1 and person = $2`,
		`delete from site_session where site = $1 and person = $2`,
		`delete from saml_test where site = $1 and person = $2`,
		`delete from recovery_code where site = $1 and person = $2`,
		`delete from saml_conflict where site = $1 and person = $2`,
	} {
		if err := t.tx.Send(ctx, query, string(t.site), old.ID); err != nil {
			return err
		}
	}
	return t.tx.Send(ctx, `
		delete from resource
		where site = $1 and kind = $2 and id = $3`, string(t.site), string(old.Kind), old.ID)
}

// OtherAdmins returns the number of the site's active administrators, without the given person. It
// locks the site's row. If two administrators demote each other at the same time, the second
// transaction waits for that lock and then sees the change of the first.
func (t rosterTx) OtherAdmins(ctx context.Context, person string) (others int, err error) {
	var locked string
	if err := t.tx.QueryRow(ctx, `
		select s.id
		from site s
		where s.id = $1`+t.tx.ForNoKeyUpdate(), string(t.site)).Scan(&locked); err != nil {
		return 0, orNotFound(err, site.ErrNotFound)
	}
	err = t.tx.QueryRow(ctx, `
		select count(*)
		from resource r
		where r.site = $1 and r.kind = $2 and r.role in ('Moderator', 'Admin') and r.role = $3 and r.active and r.id <> $4`,
		string(t.site), string(roster.User), string(roster.RoleAdmin), person).Scan(&others)
	return others, err
}

func (t rosterTx) PersonWithEmail(ctx context.Context, email string) (id string, err error) {
	err = t.tx.QueryRow(ctx, `
		select v.resource
		from resource_value v
		where v.site = $1 and v.path = $2 and v.value = $3
		order by v.resource
		limit 1`, string(t.site), roster.EmailPath, email).Scan(&id)
	return id, orNotFound(err, refusal.NotFound)
}

func (t rosterTx) Identity(ctx context.Context, userIdentifier string) (roster.Identity, error) {
	return scanIdentity(t.tx.QueryRow(ctx, `
		select i.person, i.user_identifier, i.issuer
		from identity i
		where i.site = $1 and i.user_identifier = $2`, string(t.site), userIdentifier))
}

func (t rosterTx) IdentityOf(ctx context.Context, person string) (roster.Identity, error) {
	return identityOf(ctx, t.tx, t.site, person)
}

// IdentityOf returns the person's user identifier, or refusal.NotFound.
func (s Rosters) IdentityOf(ctx context.Context, id site.ID, person string) (found roster.Identity, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		found, err = identityOf(ctx, tx, id, person)
		return err
	})
	return found, err
}

// identityOf returns the identity of a person, or refusal.NotFound.
func identityOf(ctx context.Context, tx *sqldb.Tx, id site.ID, person string) (roster.Identity, error) {
	return scanIdentity(tx.QueryRow(ctx, `
		select i.person, i.user_identifier, i.issuer
		from identity i
		where i.site = $1 and i.person = $2`, string(id), person))
}

// scanIdentity reads the columns person, user_identifier and issuer of an identity.
func scanIdentity(row scanner) (i roster.Identity, err error) {
	err = row.Scan(&i.Person, &i.Identifier, &i.Issuer)
	return i, orNotFound(err, refusal.NotFound)
}

func (t rosterTx) PutIdentity(ctx context.Context, i roster.Identity, at time.Time) error {
	if err := t.tx.Send(ctx, `
		delete from identity
		where site = $1 and person = $2 and user_identifier <> $3`, string(t.site), i.Person, i.Identifier); err != nil {
		return err
	}
	if err := t.tx.Send(ctx, `
		insert into identity (site, user_identifier, person, issuer, created)
		values ($1, $2, $3, $4, $5)
		on conflict (site, user_identifier) do update
		set issuer = excluded.issuer
		where identity.person = excluded.person`, string(t.site), i.Identifier, i.Person, i.Issuer, micros(at)); err != nil {
		return err
	}
	owner, err := t.Identity(ctx, i.Identifier)
	if err == nil && owner.Person != i.Person {
		return roster.ErrIdentityTaken
	}
	return err
}

func (t rosterTx) DropIdentity(ctx context.Context, person string) (bool, error) {
	done, err := t.tx.Exec(ctx, `
		delete from identity
		where site = $1 and person = $2`, string(t.site), person)
	if err != nil {
		return false, err
	}
	n, err := affectedRows(done)
	return n > 0, err
}

func (t rosterTx) UseTicket(ctx context.Context, used roster.Ticket, now time.Time) error {
	return useTicket(ctx, t.tx, t.site, used, now)
}

func (t rosterTx) StartSession(ctx context.Context, s roster.Session) error {
	if err := t.tx.Send(ctx, `
		delete from site_session
		where site = $1 and person = $2 and expires <= $3`, string(t.site), s.Person, micros(s.Created)); err != nil {
		return err
	}
	if err := t.tx.Send(ctx, `
		insert into site_session (site, hash, person, created, expires, idle, used, address, agent, last_address, last_agent, proved,
			issuer, name_id, name_format, session_index)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		append(append([]any{string(t.site), s.Hash.String(), s.Person}, sessionValues(s.Record)...), s.Origin.Issuer, s.Origin.NameID, s.Origin.NameFormat, s.Origin.Index)...); err != nil {
		return err
	}
	return t.tx.Send(ctx, `
		update resource
		set last_sign_in = $1
		where site = $2 and kind = $3 and id = $4`, micros(s.Created), string(t.site), string(roster.User), s.Person)
}

func (t rosterTx) EndOriginSessions(ctx context.Context, issuer, nameID string, indexes []string, now time.Time) (map[string]int, error) {
	live := map[string]int{}
	end := func(condition string, args ...any) error {
		ended, err := collect(ctx, t.tx, scanSiteSession, `
			delete from site_session
			where site = $1 and name_id = $2 and issuer = $3`+condition+`
			returning hash, person, `+bareSessionColumns, append([]any{string(t.site), nameID, issuer}, args...)...)
		for _, e := range ended {
			if e.IsLive(now) {
				live[e.Person]++
			}
		}
		return err
	}
	if len(indexes) == 0 {
		return live, end("")
	}
	for _, index := range indexes {
		if err := end(" and session_index = $4", index); err != nil {
			return nil, err
		}
	}
	return live, nil
}

func (t rosterTx) EndSessions(ctx context.Context, person string, now time.Time) (live int, err error) {
	ended, err := collect(ctx, t.tx, scanSiteSession, `
		delete from site_session
		where site = $1 and person = $2
		returning hash, person, `+bareSessionColumns, string(t.site), person)
	for _, e := range ended {
		if e.IsLive(now) {
			live++
		}
	}
	return live, err
}

func (t rosterTx) AppendRequest(ctx context.Context, row requestlog.Request) error {
	return appendRequests(ctx, t.tx, []requestlog.Request{row})
}

func (t rosterTx) AppendEvent(ctx context.Context, e event.Event) error {
	return appendEvent(ctx, t.tx, e)
}
