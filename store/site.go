package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// Sites implements site.Store.
type Sites struct{ DB *DB }

// tokenColumns are the columns of a token that scanToken reads.
const tokenColumns = `t.site, t.id, t.name, t.last4, t.created_by, t.created, t.expires, t.revoked,
		t.replaces_on_use, t.last_used, t.last_from`

// settingColumns are the columns of site.SettingsTable, in its order.
var settingColumns = columnsOf(site.SettingsTable)

// columnsOf returns the column of each setting: the setting's name in snake case. The setting
// "groups" has the column groups_on, because groups is a keyword in SQL.
func columnsOf(settings []site.Setting) []string {
	columns := make([]string, len(settings))
	for i, x := range settings {
		var b strings.Builder
		for _, r := range x.Name {
			if unicode.IsUpper(r) {
				b.WriteByte('_')
			}
			b.WriteRune(unicode.ToLower(r))
		}
		if columns[i] = b.String(); columns[i] == "groups" {
			columns[i] = "groups_on"
		}
	}
	return columns
}

// The columns of a site's settings, and all columns of a site that scanSite reads.
var (
	siteSettings = "s." + strings.Join(settingColumns, ", s.")
	siteColumns  = "s.id, s.name, s.matches, s.created, s.schemas, s.setup_locked, " + siteSettings
)

// settingFields returns pointers to a site's settings, in the order of settingColumns.
func settingFields(s *site.Settings) []any {
	fields := make([]any, len(site.SettingsTable))
	for i, x := range site.SettingsTable {
		fields[i] = x.Pointer(s)
	}
	return fields
}

// settingValues returns the values of a site's settings, in the order of settingColumns.
func settingValues(s site.Settings) []any {
	values := make([]any, len(site.SettingsTable))
	for i, x := range site.SettingsTable {
		values[i] = x.Get(s)
	}
	return values
}

// scanSite reads the siteColumns of a row.
func scanSite(row scanner) (s site.Site, err error) {
	var created int64
	var schemas string
	err = row.Scan(append([]any{&s.ID, &s.Name, &s.MatchesUserName, &created, &schemas, &s.SetUpLocked}, settingFields(&s.Settings)...)...)
	s.Created = fromMicros(created)
	if schemas != "" {
		s.Schemas = []byte(schemas)
	}
	return s, err
}

// scanToken reads the tokenColumns of a row.
func scanToken(row scanner) (t site.Token, err error) {
	var created, expires, revoked, used int64
	err = row.Scan(&t.Site, &t.ID, &t.Name, &t.Last4, &t.CreatedBy, &created, &expires, &revoked,
		&t.ReplacesOnUse, &used, &t.LastFrom)
	t.Created, t.Expires = fromMicros(created), fromMicros(expires)
	t.Revoked, t.LastUsed = fromMicros(revoked), fromMicros(used)
	return t, err
}

// Sites returns every site, ordered by name.
func (s Sites) Sites(ctx context.Context) (all []site.Site, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = collect(ctx, tx, scanSite, `
			select `+siteColumns+`
			from site s
			where s.deleted = 0
			order by s.name`)
		return err
	})
	return all, err
}

// Site returns a site by its id, or site.ErrNotFound.
func (s Sites) Site(ctx context.Context, id site.ID) (found site.Site, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		found, err = scanSite(tx.QueryRow(ctx, `
			select `+siteColumns+`
			from site s
			where s.id = $1 and s.deleted = 0`, string(id)))
		return orNotFound(err, site.ErrNotFound)
	})
	return found, err
}

// SiteByName returns a site by its name, or site.ErrNotFound.
func (s Sites) SiteByName(ctx context.Context, name string) (found site.Site, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		found, err = scanSite(tx.QueryRow(ctx, `
			select `+siteColumns+`
			from site s
			where s.name = $1 and s.deleted = 0`, name))
		return orNotFound(err, site.ErrNotFound)
	})
	return found, err
}

// credential is a site with one of its tokens.
type credential struct {
	site  site.Site
	token site.Token
}

// Credential returns the site with this name and its token with this hash, or site.ErrUnauthorized.
// Every request starts with this one query. The token has only the fields that decide whether it is
// valid. The site has every field except its creation time.
func (s Sites) Credential(ctx context.Context, name string, hash secret.Hash) (site.Site, site.Token, error) {
	hashed := hash.String()
	found, err := sqldb.ReadCached(ctx, s.DB, "credential "+name+" "+hashed, func(tx *sqldb.Tx) (credential, error) {
		return findCredential(ctx, tx, name, hashed)
	})
	return found.site, found.token, err
}

// findCredential does what Credential does, in a transaction. hash is the text of the token's hash.
func findCredential(ctx context.Context, tx *sqldb.Tx, name, hash string) (c credential, err error) {
	var expires, revoked int64
	var schemas string
	err = tx.QueryRow(ctx, `
		select s.id, s.matches, s.schemas, t.id, t.last4, t.expires, t.revoked, t.replaces_on_use, `+siteSettings+`
		from site s
		join token t on t.site = s.id
		where s.name = $1 and s.deleted = 0 and t.hash = $2`, name, hash).Scan(append([]any{
		&c.site.ID, &c.site.MatchesUserName, &schemas, &c.token.ID, &c.token.Last4, &expires, &revoked, &c.token.ReplacesOnUse,
	}, settingFields(&c.site.Settings)...)...)
	if err != nil {
		return credential{}, orNotFound(err, site.ErrUnauthorized)
	}
	c.site.Name, c.token.Site = name, c.site.ID
	c.token.Expires, c.token.Revoked = fromMicros(expires), fromMicros(revoked)
	if schemas != "" {
		c.site.Schemas = []byte(schemas)
	}
	return c, nil
}

// CreateSite stores a new site and its events. It returns site.ErrNameTaken if another site has the
// name.
func (s Sites) CreateSite(ctx context.Context, made site.Site, events ...event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		done, err := tx.Exec(ctx, `
			insert into site (id, name, matches, created, schemas, setup_locked, `+strings.Join(settingColumns, ", ")+`)
			values ($1, $2, $3, $4, $5, $6, `+placeholders(7, len(settingColumns))+`)
			on conflict (name) do nothing`,
			append([]any{string(made.ID), made.Name, made.MatchesUserName, micros(made.Created), string(made.Schemas), made.SetUpLocked}, settingValues(made.Settings)...)...)
		if err != nil {
			return err
		}
		n, err := affectedRows(done)
		if err != nil {
			return err
		}
		if n == 0 {
			return site.ErrNameTaken
		}
		for _, e := range events {
			if err := appendEvent(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// UpdateSite locks the site and runs fn on it in one transaction. It returns site.ErrNotFound if
// there is no such site.
func (s Sites) UpdateSite(ctx context.Context, id site.ID, fn func(site.Tx) error) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := holdSite(ctx, tx, id, true); err != nil {
			return err
		}
		current, err := scanSite(tx.QueryRow(ctx, `
			select `+siteColumns+`
			from site s
			where s.id = $1 and s.deleted = 0`+tx.ForUpdate(), string(id)))
		if err != nil {
			return orNotFound(err, site.ErrNotFound)
		}
		return fn(siteTx{tx: tx, site: current})
	})
}

// Tokens returns a site's tokens, newest first.
func (s Sites) Tokens(ctx context.Context, id site.ID) (all []site.Token, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = tokensOf(ctx, tx, id)
		return err
	})
	return all, err
}

// tokensOf returns the tokens of a site, newest first.
func tokensOf(ctx context.Context, tx *sqldb.Tx, id site.ID) ([]site.Token, error) {
	return collect(ctx, tx, scanToken, `
		select `+tokenColumns+`
		from token t
		where t.site = $1
		order by t.created desc, t.id`, string(id))
}

// siteTx is a transaction that has locked a site.
type siteTx struct {
	tx   *sqldb.Tx
	site site.Site
}

// Site and the other exported methods of siteTx are described at site.Tx.
func (t siteTx) Site() site.Site { return t.site }

func (t siteTx) PutSite(ctx context.Context, s site.Site) error {
	var set strings.Builder
	for i, column := range settingColumns {
		fmt.Fprintf(&set, ", %s = $%d", column, i+5)
	}
	_, err := t.tx.Exec(ctx, `
		update site
		set matches = $2, schemas = $3, setup_locked = $4`+set.String()+`
		where id = $1`,
		append([]any{string(t.site.ID), s.MatchesUserName, string(s.Schemas), s.SetUpLocked}, settingValues(s.Settings)...)...)
	return err
}

func (t siteTx) RenameSite(ctx context.Context, name string) error {
	did, err := changesRow(ctx, t.tx, `
		update site
		set name = $2
		where id = $1 and not exists (select 1 from site where name = $2 and id <> $1)`, string(t.site.ID), name)
	if err != nil {
		return err
	}
	if !did {
		return site.ErrNameTaken
	}
	if _, err := t.tx.Exec(ctx, `
		delete from site_session
		where site = $1`, string(t.site.ID)); err != nil {
		return err
	}
	return t.forgetLinks(ctx)
}

// DeleteSite hides the site and schedules the removal of its rows.
func (t siteTx) DeleteSite(ctx context.Context) error {
	if err := forgetLease(ctx, t.tx, roster.LeaseKind, string(t.site.ID)); err != nil {
		return err
	}
	if err := hideRow(ctx, t.tx, siteRemoval, string(t.site.ID)); err != nil {
		return err
	}
	return noteRemoval(ctx, t.tx, removal{kind: siteRemoval, owner: string(t.site.ID)})
}

// forgetLinks removes the site's sign-in links. No foreign key ties them to the site.
func (t siteTx) forgetLinks(ctx context.Context) error {
	_, err := t.tx.Exec(ctx, `
		delete from signin_link
		where site = $1`, string(t.site.ID))
	return err
}

func (t siteTx) Tokens(ctx context.Context) ([]site.Token, error) {
	return tokensOf(ctx, t.tx, t.site.ID)
}

func (t siteTx) InsertToken(ctx context.Context, made site.Token, hash secret.Hash) error {
	_, err := t.tx.Exec(ctx, `
		insert into token (site, id, hash, name, last4, created_by, created, expires, revoked, replaces_on_use, last_used, last_from)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		string(t.site.ID), made.ID, hash.String(), made.Name, made.Last4, made.CreatedBy, micros(made.Created),
		micros(made.Expires), micros(made.Revoked), made.ReplacesOnUse, micros(made.LastUsed), made.LastFrom)
	return err
}

func (t siteTx) PutToken(ctx context.Context, changed site.Token) error {
	_, err := t.tx.Exec(ctx, `
		update token
		set revoked = $1, replaces_on_use = $2
		where site = $3 and id = $4`,
		micros(changed.Revoked), changed.ReplacesOnUse, string(t.site.ID), changed.ID)
	return err
}

func (t siteTx) UseFormNumber(ctx context.Context, number string, at time.Time) error {
	done, err := t.tx.Exec(ctx, `
		insert into token_form (site, number, used)
		values ($1, $2, $3)
		on conflict (site, number) do nothing`, string(t.site.ID), number, micros(at))
	if err != nil {
		return err
	}
	n, err := affectedRows(done)
	if err == nil && n == 0 {
		return site.ErrFormUsed
	}
	return err
}

func (t siteTx) AppendEvent(ctx context.Context, e event.Event) error {
	return appendEvent(ctx, t.tx, e)
}

func (t siteTx) Resources(ctx context.Context, name scim.TypeName, visit func(doc []byte) error) (err error) {
	rows, err := t.tx.Query(ctx, `
		select r.doc
		from resource r
		where r.list = $1
		order by r.seq, r.id`, listColumn(t.site.ID, name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var doc []byte
	for rows.Next() {
		if err := rows.Scan(&doc); err != nil {
			return err
		}
		if err := visit(doc); err != nil {
			return err
		}
	}
	return rows.Err()
}

// MakeGroupNamesUnique makes the names of a site's groups unique from now on. It compares the
// case-folded names in the column display_name. It returns site.ErrNameShared if several groups
// have the same name.
func (t siteTx) MakeGroupNamesUnique(ctx context.Context) error {
	var name string
	err := t.tx.QueryRow(ctx, `
		select min(r.doc)
		from resource r
		where r.list = $1
		group by r.display_name
		having count(*) > 1
		limit 1`, listColumn(t.site.ID, roster.Group)).Scan(&name)
	switch {
	case err == nil:
		doc, err := scim.Parse([]byte(name))
		if err != nil {
			return err
		}
		return site.ErrNameShared.Because("several groups have one name: %q", doc.String("displayName"))
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	_, err = t.tx.Exec(ctx, `
		insert into resource_unique (site, kind, path, value, resource, element)
		select r.site, r.kind, 'displayName', r.display_name, r.id, 0
		from resource r
		where r.list = $1 and r.display_name <> ''`, listColumn(t.site.ID, roster.Group))
	return err
}

// FreeUniqueValues stops keeping the values of an attribute unique.
func (t siteTx) FreeUniqueValues(ctx context.Context, name scim.TypeName, path string) error {
	return freeUniqueValues(ctx, t.tx, t.site.ID, name, path)
}
