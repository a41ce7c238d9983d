package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// siteID is the id of the only site in the database.
const siteID = "0123456789abcdef0123456789abcdef"

// tableStatements create the tables that the statements below use, with the same indexes as in the
// product.
var tableStatements = []string{
	`create table resource (
		site text not null, kind text not null, id text not null, seq bigint not null, version bigint not null,
		user_name text, external_id text not null, display_name text not null, active boolean not null, role text not null,
		modified bigint not null, last_text text not null, doc text not null, list text not null,
		primary key (site, id))`,
	`create unique index resource_user_name on resource (site, user_name)`,
	`create index resource_list on resource (list, seq, id, active, role)`,
	`create index resource_external_id on resource (site, external_id) where external_id <> ''`,
	`create table membership (
		site text not null, group_id text not null, member text not null, member_kind text not null, added bigint not null,
		primary key (site, group_id, member))`,
	`create index membership_member on membership (site, member, group_id)`,
	`create table event (seq integer primary key, site text not null, time bigint not null, name text not null, text text not null)`,
	`create index event_site on event (site, seq)`,
	`create table request (site text not null, time bigint not null, id text not null, path text not null, status bigint not null, sentence text not null,
		primary key (site, time, id))`,
}

// The statements that every way runs. The placeholders have numbers, because readStatement uses
// some of its arguments twice.
const (
	// readStatement reads a user and their groups. The first column is 0 for the user, and 1 for a
	// group.
	readStatement = `
		select 0, r.id, r.version, r.modified, r.doc, r.seq, r.active
		from resource r
		where r.site = ?1 and r.kind = ?2 and r.id = ?3
		union all
		select 1, g.id, 0, 0, g.doc, 0, 0
		from membership m
		join resource g on g.site = m.site and g.id = m.group_id
		where m.site = ?1 and m.member = ?3`
	// oldRowStatement reads a user before the update.
	oldRowStatement = `
		select r.id, r.version, r.modified, r.doc, r.seq, r.active, r.role
		from resource r
		where r.site = ?1 and r.kind = ?2 and r.id = ?3`
	// updateStatement changes a user.
	updateStatement = `
		update resource
		set version = version + 1, active = ?1, modified = ?2, last_text = ?3, doc = ?4
		where site = ?5 and kind = ?6 and id = ?7`
	// eventStatement adds an event.
	eventStatement = `
		insert into event (site, time, name, text)
		values (?1, ?2, ?3, ?4)`
	// requestStatement adds a row to the request log.
	requestStatement = `
		insert into request (site, time, id, path, status, sentence)
		values (?1, ?2, ?3, ?4, ?5, ?6)`
)

// userKind is the value of the column kind for users.
const userKind = "User"

// change holds the values that a write stores.
type change struct {
	active    int64  // whether the user is active: 1 or 0
	at        int64  // the time of the change
	text      string // the text of the event
	doc       string // the new document of the user
	requestID string // the id of the row of the request log
}

// changeOf returns a change whose values are computed from the number n, so that each number gives
// other values.
func changeOf(n uint64) change {
	return change{active: int64(n % 2), at: int64(n >> 12), text: "somebody changed active", doc: document(int(n % 1_000_000)), requestID: fmt.Sprintf("%016x", n)}
}

// userID returns the id of the user with the number n.
func userID(n int) string { return fmt.Sprintf("%032x", uint64(n+1)*0x9e3779b97f4a7c15) }

// groupID returns the id of the group with the number n.
func groupID(n int) string { return fmt.Sprintf("9%031x", n) }

// document returns the document of the user or group with the number n. It has 1,400 bytes, the
// size of a user in the benchmark.
func document(n int) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"user%06d@contoso.example","about":"%s"}`, n, strings.Repeat("0123456789", 130))
}

// fill creates a database with users, each in one of a hundred groups.
func fill(ctx context.Context, file string, users int) error {
	db, err := sqldb.Open(ctx, file, sqldb.Schema{}, sqldb.Options{})
	if err != nil {
		return err
	}
	if err := db.Update(ctx, func(tx *sqldb.Tx) error {
		for _, statement := range tableStatements {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		for i := range 100 {
			if err := insertResource(ctx, tx, "Group", groupID(i), nil, i); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for begin := 0; begin < users; begin += 1_000 {
		if err := db.Update(ctx, func(tx *sqldb.Tx) error {
			for i := begin; i < min(begin+1_000, users); i++ {
				if err := insertResource(ctx, tx, userKind, userID(i), fmt.Sprintf("user%06d@contoso.example", i), i); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, `
					insert into membership (site, group_id, member, member_kind, added)
					values ($1, $2, $3, 'User', 0)`, siteID, groupID(i%100), userID(i)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return db.Close()
}

// insertResource adds a user or group to the database.
func insertResource(ctx context.Context, tx *sqldb.Tx, kind, id string, userName any, seq int) error {
	_, err := tx.Exec(ctx, `
		insert into resource (site, kind, id, seq, version, user_name, external_id, display_name, active, role, modified, last_text, doc, list)
		values ($1, $2, $3, $4, 1, $5, $6, '', true, 'User', 0, '', $7, $8)`,
		siteID, kind, id, seq, userName, kind+id, document(seq), siteID+"/"+kind)
	return err
}
