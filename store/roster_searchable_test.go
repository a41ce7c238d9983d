package store_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// searchableWorld is a site whose people change while attributes are declared searchable.
type searchableWorld struct {
	*testing.T
	db     *store.DB
	sites  *site.Sites
	people *roster.Roster
	site   site.Site
}

func newSearchableWorld(t *testing.T, db *store.DB) *searchableWorld {
	t.Helper()
	w := &searchableWorld{T: t, db: db}
	var mu sync.Mutex
	n := 0
	newID := func() string {
		mu.Lock()
		defer mu.Unlock()
		n++
		return fmt.Sprintf("id-%06d", n)
	}
	w.sites = &site.Sites{Store: store.Sites{DB: db}, Now: time.Now, NewID: newID}
	made, err := w.sites.Create(t.Context(), "acme", site.Full, "cli")
	if err != nil {
		t.Fatal(err)
	}
	w.site = made
	w.people = (&roster.Rosters{Store: store.Rosters{DB: db}, Now: time.Now, NewID: newID}).Open(made)
	return w
}

// add creates a user with a title.
func (w *searchableWorld) add(ctx context.Context, name, title string) (id string, err error) {
	doc := scim.Resource{"schemas": []any{scim.UserURN}, "userName": name, "title": title}
	out, err := w.people.Create(ctx, roster.User, doc, roster.Change{Actor: "cli", Via: roster.ViaSCIM})
	return out.Document.ID, err
}

// setTitle replaces a user's title; an empty one removes it.
func (w *searchableWorld) setTitle(ctx context.Context, id, title string) error {
	body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":%q}]}`, title)
	p, _, err := scim.DecodePatch(scim.UserType(), []byte(body), scim.Lenient)
	if err == nil {
		_, err = w.people.Patch(ctx, roster.User, id, p, roster.Change{Actor: "cli", Via: roster.ViaSCIM})
	}
	return err
}

// index indexes the resources, step resources at a time, until nothing is left to index.
func (w *searchableWorld) index(ctx context.Context, step int) error {
	epoch, err := store.Leases{DB: w.db}.Claim(ctx, roster.LeaseKind, string(w.site.ID), "test", time.Minute)
	for more := true; more && err == nil; {
		more, err = store.Rosters{DB: w.db}.Index(ctx, w.site.ID, epoch, step)
	}
	return err
}

func (w *searchableWorld) declare(ctx context.Context, on bool) error {
	if !on {
		return w.sites.WithdrawSearchable(ctx, w.site.ID, "User", []string{"title"}, "cli")
	}
	_, err := w.sites.DeclareSearchable(ctx, w.site.ID, "User", []string{"title"}, "cli")
	return err
}

// titled returns how many users a filter on this title finds.
func (w *searchableWorld) titled(ctx context.Context, title string) (int, error) {
	f, _, err := scim.ParseFilter(scim.UserType(), fmt.Sprintf("title eq %q", title), scim.Strict)
	if err != nil {
		return 0, err
	}
	page, err := w.people.List(ctx, roster.Query{Filter: f})
	return page.TotalResults, err
}

type titleRow struct{ path, value, resource string }

// rows returns the value rows of the site. It leaves out the rows of e-mail addresses and of how
// names look.
func (w *searchableWorld) rows() (rows []titleRow) {
	w.Helper()
	err := w.db.View(w.Context(), func(tx *sqldb.Tx) error {
		found, err := tx.Query(w.Context(), `
			select path, value, resource
			from resource_value
			where site = $1 and path not in ($2, $3)
			order by path, value, resource`, string(w.site.ID), roster.EmailPath, roster.NameLooksPath)
		if err != nil {
			return err
		}
		defer found.Close()
		for found.Next() {
			var r titleRow
			if err := found.Scan(&r.path, &r.value, &r.resource); err != nil {
				return err
			}
			rows = append(rows, r)
		}
		return found.Err()
	})
	if err != nil {
		w.Fatal(err)
	}
	return rows
}

// wanted returns the value rows that the stored documents should have.
func (w *searchableWorld) wanted() (rows []titleRow) {
	w.Helper()
	declared, err := w.people.Indexing(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	if len(declared) == 0 {
		return nil
	}
	for start := 1; ; start += roster.MaxCount {
		page, err := w.people.List(w.Context(), roster.Query{StartIndex: start, Count: roster.MaxCount})
		if err != nil {
			w.Fatal(err)
		}
		for _, doc := range page.Documents {
			r, err := scim.Parse(doc.JSON)
			if err != nil {
				w.Fatal(err)
			}
			if title := r.String("title"); title != "" {
				rows = append(rows, titleRow{declared[0].ID, title, doc.ID})
			}
		}
		if len(page.Documents) < roster.MaxCount {
			slices.SortFunc(rows, func(a, b titleRow) int {
				return cmp.Or(strings.Compare(a.path, b.path), strings.Compare(a.value, b.value), strings.Compare(a.resource, b.resource))
			})
			return rows
		}
	}
}

func (w *searchableWorld) wantRows(when string) {
	w.Helper()
	if diff := gocmp.Diff(w.rows(), w.wanted(), gocmp.AllowUnexported(titleRow{})); diff != "" {
		w.Errorf("%s: got - want +\n%s", when, diff)
	}
}

func (w *searchableWorld) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func TestValueRowsFollowEveryWrite(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w, ctx := newSearchableWorld(t, db), t.Context()
		var ids []string
		for i := range 20 {
			id, err := w.add(ctx, fmt.Sprintf("early-%d", i), "t")
			w.must(err)
			ids = append(ids, id)
		}
		w.must(w.declare(ctx, true))
		w.must(w.setTitle(ctx, ids[0], "u"))
		w.must(w.setTitle(ctx, ids[1], ""))
		w.must(w.index(ctx, 7))
		w.wantRows("when filled")
		id, err := w.add(ctx, "late", "t")
		w.must(err)
		w.must(w.setTitle(ctx, id, "v"))
		w.must(w.setTitle(ctx, ids[1], "w"))
		w.must(w.setTitle(ctx, ids[2], ""))
		_, err = w.people.Delete(ctx, roster.User, ids[3], roster.Change{Actor: "cli", Via: roster.ViaSCIM})
		w.must(err)
		w.wantRows("after writes")
		report, err := w.people.Import(ctx, []roster.ImportRow{{UserName: "early-5", Email: "five@acme.test"}, {UserName: "imported"}}, roster.Change{Actor: "cli", Via: roster.ViaImport})
		if err != nil || report.Updated != 1 || report.Created != 1 {
			t.Fatalf("%+v, %v", report, err)
		}
		w.wantRows("after an import")

		w.must(w.declare(ctx, false))
		w.must(w.setTitle(ctx, ids[4], "x"))
		if got := len(w.rows()); got == 0 {
			t.Error("withdrawing clears all rows at once, which would be one long transaction")
		}
		w.must(w.index(ctx, 7))
		w.wantRows("after it was withdrawn")
		w.must(w.declare(ctx, true))
		w.must(w.index(ctx, 7))
		w.wantRows("after it was declared again")
	})
}

// TestValueRowsAreCompleteWhileWritesGoOn changes the declarations while writes go on. A filter
// must find the right users all the time. In the end, the rows must be those of the documents.
func TestValueRowsAreCompleteWhileWritesGoOn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w, ctx := newSearchableWorld(t, db), t.Context()
		const fixed, writers, rounds = 40, 4, 4
		for i := range fixed {
			_, err := w.add(ctx, fmt.Sprintf("fixed-%d", i), "fixed")
			w.must(err)
		}
		stop := make(chan struct{})
		var writing sync.WaitGroup
		for n := range writers {
			writing.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(n), 1))
				var mine []string
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					if err := w.write(ctx, rng, fmt.Sprintf("w%d-%d", n, i), &mine); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		writing.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got, err := w.titled(ctx, "fixed"); err != nil || got != fixed {
					t.Errorf("found %d of %d, %v", got, fixed, err)
					return
				}
			}
		})
		err := func() error {
			for range rounds {
				if err := errors.Join(w.declare(ctx, true), w.index(ctx, 7), w.declare(ctx, false), w.declare(ctx, true), w.index(ctx, 7), w.declare(ctx, false)); err != nil {
					return err
				}
			}
			return errors.Join(w.declare(ctx, true), w.index(ctx, 7))
		}()
		close(stop)
		writing.Wait()
		w.must(err)
		w.must(w.index(ctx, 7)) // removes rows of a declaration that was withdrawn meanwhile
		w.wantRows("in the end")
	})
}

// TestADeclarationMissesNoWriteThatIsUnderWay ends a transaction after an attribute was declared
// that the transaction does not know. In the end, the resources that it wrote must have their rows.
func TestADeclarationMissesNoWriteThatIsUnderWay(t *testing.T) {
	t.Parallel()
	record := func(id, title string, version int64) roster.Record {
		doc := fmt.Sprintf(`{"schemas":[%q],"id":%q,"userName":%q,"title":%q}`, scim.UserURN, id, id, title)
		return roster.Record{Kind: roster.User, UserName: id, Document: roster.Document{ID: id, Version: version, JSON: []byte(doc), Active: true}}
	}
	for name, write := range map[string]func(ctx context.Context, tx roster.Tx) error{
		"insert": func(ctx context.Context, tx roster.Tx) error {
			_, err := tx.Insert(ctx, record("new", "t", 1))
			return err
		},
		"change": func(ctx context.Context, tx roster.Tx) error {
			old, err := tx.Record(ctx, roster.User, "old")
			if err != nil {
				return err
			}
			return tx.Put(ctx, old, record("old", "u", 2))
		},
		"delete": func(ctx context.Context, tx roster.Tx) error {
			old, err := tx.Record(ctx, roster.User, "old")
			if err != nil {
				return err
			}
			return tx.Delete(ctx, old)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				w, ctx := newSearchableWorld(t, db), t.Context()
				rosters := store.Rosters{DB: db}
				w.must(rosters.Update(ctx, w.site, func(tx roster.Tx) error {
					_, err := tx.Insert(ctx, record("old", "t", 1))
					return err
				}))
				written, end := make(chan struct{}), make(chan struct{})
				var work sync.WaitGroup
				work.Go(func() {
					err := rosters.Update(ctx, w.site, func(tx roster.Tx) error {
						if err := write(ctx, tx); err != nil {
							return err
						}
						close(written)
						<-end
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				})
				<-written
				indexed := make(chan error, 1)
				go func() { indexed <- errors.Join(w.declare(ctx, true), w.index(ctx, 7)) }()
				select {
				case err := <-indexed:
					t.Error("it did not wait")
					indexed <- err
				case <-time.After(200 * time.Millisecond): // the indexing waits by now, or it must wait later
				}
				close(end)
				w.must(<-indexed)
				work.Wait()
				w.wantRows("in the end")
			})
		})
	}
}

// write creates, changes or deletes a user.
func (w *searchableWorld) write(ctx context.Context, rng *rand.Rand, name string, mine *[]string) error {
	title := fmt.Sprintf("title %d", rng.IntN(5))
	if len(*mine) == 0 || rng.IntN(3) == 0 {
		id, err := w.add(ctx, name, title)
		*mine = append(*mine, id)
		return err
	}
	at := rng.IntN(len(*mine))
	id := (*mine)[at]
	if rng.IntN(4) == 0 {
		*mine = slices.Delete(*mine, at, at+1)
		_, err := w.people.Delete(ctx, roster.User, id, roster.Change{Actor: "cli", Via: roster.ViaSCIM})
		return err
	}
	return w.setTitle(ctx, id, title)
}

// TestAWalkLooksResourcesUpByTheWholeKey checks the plan of a query that once took a second for
// 5,000 people on PostgreSQL, and more on a busy machine. Without statistics, PostgreSQL expected a
// single match, and looked the resource up by only the second column of the primary key. So it read
// the whole index for each match.
func TestAWalkLooksResourcesUpByTheWholeKey(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		if db.Kind() != sqldb.PostgreSQL {
			return // SQLite reads the list in its order, and keeps the matches in a temporary table
		}
		w, ctx := newSearchableWorld(t, db), t.Context()
		var people []roster.ImportRow
		for i := range 2_000 {
			people = append(people, roster.ImportRow{UserName: fmt.Sprintf("u%d", i), GivenName: "Ann"})
		}
		_, err := w.people.Import(ctx, people, roster.Change{Actor: "cli", Via: roster.ViaImport})
		w.must(err)
		_, err = w.sites.DeclareSearchable(ctx, w.site.ID, "User", []string{"name.givenName"}, "cli")
		w.must(err)
		w.must(w.index(ctx, 1_000))
		declared, err := w.people.Indexing(ctx)
		w.must(err)
		f, _, err := scim.ParseFilter(scim.UserType(), `name.givenName sw "a"`, scim.Strict)
		w.must(err)
		lines, err := store.PlanOfWalk(ctx, db, w.site.ID, roster.ListQuery{Kind: roster.User, Filter: f}, scim.AttrPath{Name: "name", Sub: "givenName"}, declared[0].ID)
		w.must(err)
		plan := strings.Join(lines, "\n")
		if !strings.Contains(plan, "resource_value") || strings.Contains(plan, "Index Cond: (id = ") {
			t.Error(plan)
		}
	})
}
