package store_test

import (
	"testing"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/store"
)

// TestEndSessions fills every table of sessions and of links, and checks that no row is left.
func TestEndSessions(t *testing.T) {
	t.Parallel()
	db := storetest.New(t)
	write(t, db, "insert into site (id, name, profile, scim_enabled, manage_roles, strict, matches, created) values ('s', 'acme', 'full', true, true, false, '', 0)")
	write(t, db, "insert into operator (id, name, name_folded, created, last_sign_in) values ('o', 'Ada', 'ada', 0, 0)")
	write(t, db, "insert into site_session (site, hash, person, created, expires) values ('s', 'h', 'p', 0, 0)")
	write(t, db, "insert into operator_session (hash, operator, created, expires) values ('h', 'o', 0, 0)")
	write(t, db, "insert into signin_link (site, hash, kind, person, created, expires) values ('s', 'h', 'k', 'p', 0, 0)")
	write(t, db, "insert into operator_link (hash, name, name_folded, created, expires) values ('h', 'Ada', 'ada', 0, 0)")
	n, err := store.EndSessions(t.Context(), db, event.Event{Scope: event.Installation(), Name: "database.restored"})
	if err != nil || n != 2 {
		t.Errorf("got %d, %v", n, err)
	}
	tables := 0
	for _, row := range texts(t, db, 1, "select name from sqlite_master where type = 'table' and (name like '%session' or name like '%\\_link' escape '\\')") {
		if row[0] == "job_link" {
			continue // this table has links to accounts of an application
		}
		tables++
		if left := texts(t, db, 1, "select cast(count(*) as text) from "+row[0]); left[0][0] != "0" {
			t.Errorf("%s has %s rows", row[0], left[0][0])
		}
	}
	if tables < 4 {
		t.Errorf("found %d tables", tables)
	}
	if got := texts(t, db, 1, "select name from event where name = 'database.restored'"); len(got) != 1 {
		t.Errorf("got events %v", got)
	}
}
