package roster_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/store"
)

// thousands is the number of people of the site. Each request must read only a few of them.
const thousands = 3_000

// TestRequestsOnPostgreSQLReadFewRows counts the rows that PostgreSQL reads for requests of every
// kind. Tests run without autovacuum, so only the program and the test itself analyze tables.
func TestRequestsOnPostgreSQLReadFewRows(t *testing.T) {
	t.Parallel()
	t.Run("with_statistics", func(t *testing.T) {
		t.Parallel()
		url := storetest.PostgresURL(t)
		preparing, asking, looking := storetest.Open(t, url), storetest.Open(t, url), storetest.Open(t, url)
		f := newFixture(t, preparing)
		few, all := f.thousands(t)
		exec(t, preparing, "vacuum analyze")
		f.readsFew(t, preparing, asking, looking, few, all)
	})
	// A connection keeps its query plans. Here the connection plans while the tables are almost
	// empty and every index looks equally good.
	t.Run("planned_before_anybody_was_there", func(t *testing.T) {
		t.Parallel()
		url := storetest.PostgresURL(t)
		preparing, asking, looking := storetest.Open(t, url), storetest.Open(t, url), storetest.Open(t, url)
		f := newFixture(t, preparing)
		nobody := f.user(t, f.full, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"nobody"}`)
		few, all := f.group(t, f.full, "first"), f.group(t, f.full, "second")
		for range 10 {
			f.requests(t, asking, nobody, few, all)
		}
		few, all = f.thousands(t)
		for n, deadline := 0, time.Now().Add(time.Minute); number(t, looking, "select cast(reltuples as bigint) from pg_class where relname = 'membership'") < thousands; n++ {
			if time.Now().After(deadline) {
				t.Fatal("membership was not analyzed")
			}
			f.user(t, f.full, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"late%d"}`, n))
		}
		f.readsFew(t, preparing, asking, looking, few, all)
	})
}

// thousands imports the people and creates two groups: few with ten of them, and all with
// everybody.
func (f fixture) thousands(t *testing.T) (few, all string) {
	t.Helper()
	rows := make([]roster.ImportRow, thousands)
	for i := range rows {
		// Ten people share each display name.
		rows[i] = roster.ImportRow{UserName: thousandName(i), DisplayName: fmt.Sprintf("Name %d", i/10), Email: thousandName(i)}
	}
	if report, err := f.people(f.full).Import(t.Context(), rows, byFile); err != nil || report.Created != thousands {
		t.Fatalf("%+v, %v", report, err)
	}
	everyone := f.everyone(t, f.full)
	return f.group(t, f.full, "few", everyone[:10]...), f.group(t, f.full, "all", everyone...)
}

func thousandName(n int) string { return fmt.Sprintf("u%05d@acme.test", n) }

// readsFew sends requests and compares the row counts of the tables before and after. PostgreSQL
// counts the reads of a connection when the connection closes, at the latest.
func (f fixture) readsFew(t *testing.T, preparing, asking, looking *store.DB, few, all string) {
	t.Helper()
	person, err := f.people(f.full).PersonByUserName(t.Context(), thousandName(7))
	if err != nil {
		t.Fatal(err)
	}
	if err := preparing.Close(); err != nil {
		t.Fatal(err)
	}
	tables := []string{"resource", "resource_value", "resource_unique", "resource_count", "membership"}
	rows := func(table string) int64 {
		return number(t, looking, "select seq_tup_read + idx_tup_fetch from pg_stat_user_tables where relname = '"+table+"'")
	}
	before := map[string]int64{}
	for _, table := range tables {
		before[table] = rows(table)
	}
	const rounds = 4
	for range rounds {
		f.requests(t, asking, person.ID, few, all)
	}
	if err := asking.Close(); err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if each := (rows(table) - before[table]) / rounds; each > thousands/2 {
			t.Errorf("each time %d rows of %s were read", each, table)
		}
	}
}

// requests sends one request of each kind that an index can answer.
func (f fixture) requests(t *testing.T, db *store.DB, person, few, all string) {
	t.Helper()
	rosters := &roster.Rosters{Store: store.Rosters{DB: db}, Now: f.clock.Now, NewID: f.rosters.NewID}
	r, ctx := rosters.Open(f.full), t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	doc, err := r.Get(ctx, roster.User, person)
	check(err)
	_, err = r.Groups(ctx, person)
	check(err)
	_, err = r.Get(ctx, roster.Group, all)
	check(err)
	name := parsed(t, doc).String("userName")
	for _, text := range []string{
		`userName eq "` + name + `"`, `externalId eq "1"`, `emails[type eq "work"].value eq "` + name + `"`, `displayName eq "Name 5"`, `id eq "` + person + `"`,
		`emails.value eq "` + name + `" or externalId eq "1"`, `groups.value eq "` + few + `"`,
	} {
		for _, count := range []int{1, 100} {
			_, err = r.List(ctx, roster.Query{Filter: filter(t, text), Count: count})
			check(err)
		}
	}
	teams, _, err := scim.ParseFilter(scim.GroupType(), `displayName eq "few"`, scim.Lenient)
	check(err)
	_, err = r.List(ctx, roster.Query{Kind: roster.Group, Filter: teams, Count: 100})
	check(err)
	for _, start := range []int{1, 1_000, 1_500, 2_040, 2_990} {
		_, err = r.List(ctx, roster.Query{StartIndex: start, Count: 10})
		check(err)
	}
	page, err := r.List(ctx, roster.Query{ByCursor: true, Count: 10})
	check(err)
	if page.NextCursor != "" {
		_, err = r.List(ctx, roster.Query{ByCursor: true, Cursor: page.NextCursor, Count: 10})
		check(err)
	}
	_, err = r.List(ctx, roster.Query{SortBy: sortBy(t, scim.UserType(), "userName", ""), Count: 10})
	check(err)
	for _, active := range []string{"false", "true"} {
		_, err = r.Patch(ctx, roster.User, person, replace(t, "active", active), bySCIM)
		check(err)
	}
	for _, group := range []string{few, all} {
		_, err = r.Patch(ctx, roster.Group, group, groupPatch(t, `{"op":"remove","path":"members[value eq \"`+person+`\"]"}`), bySCIM)
		check(err)
		_, err = r.Patch(ctx, roster.Group, group, groupPatch(t, `{"op":"add","path":"members","value":`+values(person)+`}`), bySCIM)
		check(err)
	}
	out, err := r.Create(ctx, roster.User, decode(t, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"new","emails":[{"value":"new@acme.test"}]}`), bySCIM)
	check(err)
	_, err = r.Delete(ctx, roster.User, out.Document.ID, bySCIM)
	check(err)
}

func exec(t *testing.T, db *store.DB, query string) {
	t.Helper()
	pool, err := db.Pool(t.Context())
	if err == nil {
		_, err = pool.Exec(t.Context(), query)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func number(t *testing.T, db *store.DB, query string) (n int64) {
	t.Helper()
	pool, err := db.Pool(t.Context())
	if err == nil {
		err = pool.QueryRow(t.Context(), query).Scan(&n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}
