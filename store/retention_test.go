package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/retention"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

const day = 24 * time.Hour

// write runs several statements in one transaction.
func write(t *testing.T, db *store.DB, statements ...string) {
	t.Helper()
	if err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(t.Context(), s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestPruneRemovesWhatIsOlderThanEachKindIsKept(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, now := t.Context(), time.Date(2030, 5, 1, 9, 0, 0, 0, time.UTC)
		sites := store.Sites{DB: db}
		pruner := &retention.Pruner{Store: store.Retention{DB: db}, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
		for _, id := range []site.ID{"acme", "beta"} {
			if err := sites.CreateSite(ctx, site.Site{ID: id, Name: string(id)}, event.Event{Time: now.Add(-8 * 365 * day), Scope: event.Site(string(id)), Name: "made"},
				event.Event{Time: now.Add(-6 * 365 * day), Scope: event.Site(string(id)), Name: "set"}); err != nil {
				t.Fatal(err)
			}
			var rows []requestlog.Request
			add := func(n int, age time.Duration, sentence, token, method string, status int) {
				for i := range n {
					at := now.Add(-age + time.Duration(i)*time.Second)
					rows = append(rows, requestlog.Request{Site: id, ID: fmt.Sprint(sentence, i), Time: at, TokenID: token, Method: method, Path: "/Users", Status: status, Sentence: sentence})
				}
			}
			add(250, 40*day, "old read", "t", "GET", 200)
			add(20, 40*day, "old change", "t", "PATCH", 200)
			add(20, 40*day, "old refusal", "t", "PATCH", 400)
			add(20, 40*day, "old stranger", "", "PATCH", 401)
			add(30, 400*day, "very old change", "t", "PATCH", 200)
			add(30, 20*day, "new read", "t", "GET", 200)
			add(30, 20*day, "new stranger", "", "GET", 401)
			if err := (store.RequestLogs{DB: db}).AppendRequests(ctx, rows, nil); err != nil {
				t.Fatal(err)
			}
		}
		old, ancient := now.Add(-10*day).UnixMicro(), now.Add(-400*day).UnixMicro()
		write(t, db,
			`insert into job (directory, app, mode, tenant_url, secret, status, scope, schema_document, version, revision, credentials, restarts, target_no, created, modified)
			values ('contoso', 'crm', 'Manual', '', '', 'Off', '', '', 1, 1, 1, 1, 1, 1, 1)`,
			fmt.Sprintf(`insert into provisioning_log (directory, app, time, id, object_id, cycle, action, status, search_text, entry)
			values ('contoso', 'crm', %d, 'a', '', '', '', '', '', ''), ('contoso', 'crm', %d, 'b', '', '', '', '', '', '')`, ancient, old),
			fmt.Sprintf(`insert into token_form (site, number, used) values ('acme', 'old', %d), ('acme', 'new', %d)`, old, now.UnixMicro()),
			fmt.Sprintf(`insert into signin_link (site, hash, kind, person, created, expires) values ('acme', 'old', '', '', 1, %d), ('acme', 'new', '', '', 1, %d)`, old, now.UnixMicro()),
			fmt.Sprintf(`insert into site_session (site, hash, person, created, expires) values ('acme', 'old', '', 1, %d), ('acme', 'new', '', 1, %d)`, old, now.UnixMicro()),
			fmt.Sprintf(`insert into operator_link (hash, name, name_folded, created, expires) values ('old', '', '', 1, %d), ('new', '', '', 1, %d)`, old, now.UnixMicro()),
		)
		want := map[retention.Kind]int{retention.Reads: 2 * 270, retention.Changes: 2 * 30, retention.Provisioning: 1, retention.Events: 2, retention.Spent: 4}
		counted, err := pruner.Count(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, counted); diff != "" {
			t.Errorf("counted (-want +got):\n%s", diff)
		}
		kept, err := pruner.RetentionOf(ctx, retention.Reads, "acme")
		if err != nil || kept.Days != 30 || !kept.Since.IsZero() {
			t.Errorf("before: got %+v, %v", kept, err)
		}
		removed, err := pruner.PruneAll(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, removed); diff != "" {
			t.Errorf("removed (-want +got):\n%s", diff)
		}
		rows := texts(t, db, 3, `
			select site, sentence, cast(count(*) as text)
			from request_log
			group by site, sentence
			order by site, sentence`)
		wantRows := [][]string{}
		for _, id := range []string{"acme", "beta"} {
			for _, is := range [][]string{{"new read", "30"}, {"new stranger", "30"}, {"old change", "20"}, {"old refusal", "20"}} {
				wantRows = append(wantRows, append([]string{id}, is...))
			}
		}
		if diff := cmp.Diff(wantRows, rows); diff != "" {
			t.Errorf("the request log (-want +got):\n%s", diff)
		}
		left := texts(t, db, 1, `
			select id from provisioning_log
			union all select number from token_form
			union all select hash from signin_link
			union all select hash from site_session
			union all select hash from operator_link
			union all select name from event where scope_kind = 'site'`)
		if diff := cmp.Diff([][]string{{"b"}, {"new"}, {"new"}, {"new"}, {"new"}, {"set"}, {"set"}}, left); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}
		if kept, err = pruner.RetentionOf(ctx, retention.Reads, "acme"); err != nil || !kept.Since.Equal(now.Add(-30*day)) {
			t.Errorf("afterwards: got %+v, %v", kept, err)
		}
		if again, err := pruner.PruneAll(ctx); err != nil || len(again) != 0 {
			t.Errorf("again: removed %v, %v", again, err)
		}
		// A later pruning removes the entries that have become too old since. It removes no entries
		// of a kind that is kept forever.
		if _, err := pruner.Set(ctx, retention.Policy{retention.Changes: retention.Forever}, "cli"); err != nil {
			t.Fatal(err)
		}
		now = now.Add(400 * day)
		if removed, err = pruner.PruneAll(ctx); err != nil || removed[retention.Reads] != 120 || removed[retention.Changes] != 0 {
			t.Errorf("later: removed %v, %v", removed, err)
		}
	})
}

// TestAFollowerOfTheFeedIsToldWhatItMissed reads events from positions before pruned events.
func TestAFollowerOfTheFeedIsToldWhatItMissed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, now, scope := t.Context(), time.Date(2030, 5, 1, 9, 0, 0, 0, time.UTC), event.Site("acme")
		events := store.Events{DB: db}
		appendAt := func(age time.Duration) {
			t.Helper()
			if err := db.Update(ctx, func(tx *sqldb.Tx) error {
				return store.AppendEvent(ctx, tx, event.Event{Time: now.Add(-age), Scope: scope, Name: "x"})
			}); err != nil {
				t.Fatal(err)
			}
		}
		appendAt(20 * day)
		all, err := events.Read(ctx, scope, event.Position{}, 10)
		if err != nil || len(all) != 1 {
			t.Fatalf("got %v, %v", all, err)
		}
		first := all[0].Position
		appendAt(19 * day)
		if _, _, err := (store.Retention{DB: db}).Prune(ctx, retention.Events, now.Add(-10*day), time.Time{}); err != nil {
			t.Fatal(err)
		}
		for _, at := range []event.Position{{}, first} {
			if _, err := events.Read(ctx, scope, at, 10); err != event.ErrPruned { // Read returns this value itself
				t.Errorf("from %v: got %v", at, err)
			}
		}
		last, err := events.Last(ctx, scope)
		if err != nil || !last.After(first) {
			t.Errorf("the last position is %v, %v", last, err)
		}
		appendAt(day)
		if got, err := events.Read(ctx, scope, last, 10); err != nil || len(got) != 1 {
			t.Errorf("from the last position: got %v, %v", got, err)
		}
		if got, err := events.Read(ctx, event.Site("beta"), event.Position{}, 10); err != nil || len(got) != 0 {
			t.Errorf("another feed: got %v, %v", got, err)
		}
	})
}

// TestPruningEndsInTimeAndGoesOn interrupts the pruning at once, several times, until nothing is
// left to prune.
func TestPruningEndsInTimeAndGoesOn(t *testing.T) {
	t.Parallel()
	db := storetest.New(t)
	now := time.Now()
	s := store.Retention{DB: db}
	if err := (store.Sites{DB: db}).CreateSite(t.Context(), site.Site{ID: "acme", Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	write(t, db, `
		insert into request_log (site, time, id, token, token_last4, method, path, status, duration, user_name, subject, sentence, fixes, ignored, remote, result, change)
		with recursive n (i) as (select 1 union all select i + 1 from n where i < 12000)
		select 'acme', i, 'r' || i, 't', '', 'GET', '', 200, 0, '', '', '', '', '', '', 'done', i % 40 = 0 from n`)
	if n, done, err := s.Prune(t.Context(), retention.Reads, now, now.Add(-time.Second)); n != 0 || done || err != nil {
		t.Errorf("no time at all: got %d, %v, %v", n, done, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if n, done, err := s.Prune(ctx, retention.Reads, now, time.Time{}); n != 0 || done || err == nil {
		t.Errorf("stopped: got %d, %v, %v", n, done, err)
	}
	n, done, err := s.Prune(t.Context(), retention.Reads, now, time.Time{})
	if n != 11_700 || !done || err != nil {
		t.Errorf("got %d, %v, %v", n, done, err)
	}
	if left := texts(t, db, 1, "select cast(count(*) as text) from request_log"); left[0][0] != "300" {
		t.Errorf("left %v", left)
	}
}
