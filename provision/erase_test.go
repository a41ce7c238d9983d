package provision_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/rollcall-scim/rollcall/erasure"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// stored returns all text that a database has stored: for SQLite the bytes of its files, for
// PostgreSQL the text columns of all tables.
func stored(t *testing.T, url string) []byte {
	t.Helper()
	if sqldb.Kind(url) == sqldb.SQLite {
		var all []byte
		for _, suffix := range []string{"", "-wal"} {
			b, err := os.ReadFile(url + suffix)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		return all
	}
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var union string
	if err := db.QueryRowContext(t.Context(), `
		select string_agg(format('select %L || coalesce(%I::text, '''') from %I', table_name || '.' || column_name || ' ', column_name, table_name), ' union all ')
		from information_schema.columns
		where table_schema = current_schema() and data_type in ('text', 'character varying', 'bytea', 'jsonb', 'json', 'ARRAY')`).Scan(&union); err != nil {
		t.Fatal(err)
	}
	rows, err := db.QueryContext(t.Context(), union)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all bytes.Buffer
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		all.WriteString(text + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all.Bytes()
}

// TestNothingIsLeftOfAnErasedPerson gives a person data at both ends, and erases the person at
// both.
func TestNothingIsLeftOfAnErasedPerson(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx, db := t.Context(), storetest.Open(t, url)
		b := newBothEnds(t, db, site.Full, allActions)
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		rosters := &roster.Rosters{Store: store.Rosters{DB: db}, Now: b.clock.now, NewID: b.newID}
		eraser := &erasure.Eraser{Store: store.Erasures{DB: db}, Rosters: rosters, Now: b.clock.now}

		zeb := b.hire("zebulon.quartz@contoso.com", "Zebulon", "Quartz")
		bob := b.hire("bob@contoso.com", "Bob", "Byte")
		change := func(attributes map[string]any) {
			t.Helper()
			u, err := b.handle.User(ctx, zeb)
			must(err)
			for name, v := range attributes {
				u.Attributes[name] = v
			}
			_, _, err = b.handle.PutUser(ctx, u, "cli")
			must(err)
			b.cycle()
		}
		change(map[string]any{"jobTitle": "Chief Xylophonist", "streetAddress": "Nebelgasse 77", "mobile": "+47 5550 19977"})
		change(map[string]any{"surname": "Hagelstrom", "displayName": "Zebulon Hagelstrom", "userPrincipalName": "zeb.hagelstrom@contoso.com", "mail": "zeb.hagelstrom@contoso.com"})
		account, err := b.roster.PersonByUserName(ctx, "zeb.hagelstrom@contoso.com")
		must(err)
		_, err = b.roster.StartSession(ctx, account.ID, session.Limits{Length: time.Hour}, session.Browser{Address: "20.7.7.7", Agent: "Firefox of zeb.hagelstrom@contoso.com"})
		must(err)
		_, err = (&signin.SignIns{Store: store.SignIns{DB: db}, Rosters: rosters, Now: b.clock.now}).IssueSiteLink(ctx, b.site, "zeb.hagelstrom@contoso.com", "cli")
		must(err)
		// The log entries of other requests also mention the person.
		must(b.requests.Write(ctx, requestlog.Request{Site: b.site.ID, TokenID: "t", Method: "GET", Path: "/Users?filter=userName%20eq%20%22zeb.hagelstrom%40contoso.com%22", Status: 200, Sentence: "1 user"}))
		must(b.requests.Write(ctx, requestlog.Request{Site: b.site.ID, TokenID: "t", Method: "PATCH", Path: "/Groups/g", Status: 200, Subject: "g", Sentence: "Added Zebulon Hagelstrom (zeb.hagelstrom@contoso.com) to Staff."}))
		must(b.roster.AppendEvents(ctx, event.Event{Scope: event.Site(string(b.site.ID)), Name: "group.updated", Actor: "admin:zeb.hagelstrom@contoso.com", Subject: "g", Text: "Staff was updated by Zebulon Hagelstrom"}))
		must(b.requests.Flush(ctx))

		words := []string{"zebulon", "quartz@", "hagelstrom", "xylophonist", "nebelgasse", "5550 19977"}
		before := strings.ToLower(string(stored(t, url)))
		for _, w := range words {
			if !strings.Contains(before, w) {
				t.Errorf("%q is not stored at all", w)
			}
		}
		siteScope, directoryScope := event.Site(string(b.site.ID)), event.Directory(string(b.handle.Directory.ID))
		story := func(scope event.Scope) (all []event.Event) {
			t.Helper()
			all, err := store.Events{DB: db}.Recent(ctx, scope, "", event.Position{}, 1_000)
			must(err)
			return all
		}

		// A person who still has access is not erased.
		if _, err := eraser.FromSite(ctx, b.site, "zeb.hagelstrom@contoso.com", "cli"); !errors.Is(err, erasure.ErrActive) {
			t.Errorf("an active account: got %v", err)
		}
		if _, err := eraser.FromDirectory(ctx, b.handle, zeb, "cli"); !errors.Is(err, erasure.ErrActive) {
			t.Errorf("a user who is there: got %v", err)
		}
		if _, err := eraser.FromSite(ctx, b.site, "nobody@contoso.com", "cli"); !errors.Is(err, erasure.ErrUnknown) {
			t.Errorf("nobody: got %v", err)
		}
		_, err = b.handle.SoftDelete(ctx, zeb, "cli")
		must(err)
		b.cycle()
		must(b.requests.Flush(ctx))
		siteStory, directoryStory := story(siteScope), story(directoryScope)
		bobDoc, _ := b.member("bob@contoso.com")

		report, err := eraser.FromSite(ctx, b.site, "zeb.hagelstrom@contoso.com", "admin:kim")
		must(err)
		if !report.HadAccount || report.ChangedRows == 0 || !report.Complete || len(report.IDs) != 1 || report.IDs[0] != account.ID {
			t.Errorf("the site: got %+v", report)
		}
		if report, err = eraser.FromDirectory(ctx, b.handle, zeb, "cli"); err != nil || !report.HadAccount || !report.Complete {
			t.Errorf("the directory: got %+v, %v", report, err)
		}
		left := func(when string) {
			t.Helper()
			after := strings.ToLower(string(stored(t, url)))
			for _, w := range words {
				if i := strings.Index(after, w); i >= 0 {
					t.Errorf("%s %q is left: …%q…", when, w, after[max(0, i-120):min(len(after), i+60)])
				}
			}
			if !strings.Contains(after, "bob@contoso.com") {
				t.Errorf("%s: nothing is left of others", when)
			}
		}
		left("after the erasure")

		// The audit trail stays true: it has the same events, by the same people, at the same
		// times.
		for scope, was := range map[event.Scope][]event.Event{siteScope: siteStory, directoryScope: directoryStory} {
			now := map[event.Position]event.Event{}
			erased := 0
			for _, e := range story(scope) {
				now[e.Position] = e
				if e.Name == event.UserErased {
					erased++
				}
			}
			if erased != 1 {
				t.Errorf("%v: %d events tell of the erasure", scope, erased)
			}
			for _, e := range was {
				got, found := now[e.Position]
				if !found || got.Name != e.Name || got.Subject != e.Subject || !got.Time.Equal(e.Time) {
					t.Errorf("%+v became %+v", e, got)
				}
				if e.Subject == account.ID && !strings.HasPrefix(got.Text, "erased person "+account.ID+": "+e.Name) {
					t.Errorf("%q became %q", e.Text, got.Text)
				}
				if e.Subject == bob && got.Text != e.Text {
					t.Errorf("about Bob: %q became %q", e.Text, got.Text)
				}
			}
		}
		if now, _ := b.member("bob@contoso.com"); fmt.Sprint(now) != fmt.Sprint(bobDoc) {
			t.Errorf("Bob is %v now", now)
		}
		if _, _, err := b.requests.Page(ctx, b.site.ID, requestlog.Query{}); err != nil {
			t.Errorf("the request log: %v", err)
		}
		if entries, _, err := b.jobs.Logs(ctx, b.key, provision.LogQuery{}); err != nil || len(entries) == 0 {
			t.Errorf("the provisioning log has %d entries, %v", len(entries), err)
		}
		// The following steps do not store the name again. The erasure can be repeated by the id.
		b.cycle()
		left("after the next cycle")
		if report, err := eraser.FromSite(ctx, b.site, account.ID, "cli"); err != nil || report.HadAccount {
			t.Errorf("again: got %+v, %v", report, err)
		}
	})
}

// TestErasureKeepsWordsOfRollcall erases a person whose names are words that Rollcall itself stores.
func TestErasureKeepsWordsOfRollcall(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		b := newBothEnds(t, db, site.Full, allActions)
		eraser := &erasure.Eraser{Store: store.Erasures{DB: db}, Rosters: &roster.Rosters{Store: store.Rosters{DB: db}, Now: b.clock.now, NewID: b.newID}, Now: b.clock.now}
		id := b.hire("x@contoso.com", "daily", "ready")
		b.cycle()
		b.scheduleDrift(provision.DriftDaily, provision.DriftReasserts)
		if _, err := b.handle.SoftDelete(ctx, id, "cli"); err != nil {
			t.Fatal(err)
		}
		b.cycle()
		b.hire("y@contoso.com", "Y", "Z")
		p := b.keptPlan()
		if _, err := eraser.FromDirectory(ctx, b.handle, id, "cli"); err != nil {
			t.Fatal(err)
		}
		if s, err := b.store.DriftSchedule(ctx, b.key); err != nil || s.Every != provision.DriftDaily || s.Policy != provision.DriftReasserts {
			t.Errorf("schedule %+v, %v", s, err)
		}
		if found, err := b.engine.FindPlan(ctx, b.key, p.ID); err != nil || found.State != provision.PlanReady {
			t.Errorf("plan %+v, %v", found, err)
		}
	})
}
