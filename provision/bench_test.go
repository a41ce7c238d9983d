package provision_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/refusal"
)

// crowd is a source of n people that takes hardly any time to read.
type crowd struct {
	people []provision.Object
	byID   map[string]int
}

func newCrowd(n int) *crowd {
	c := &crowd{byID: make(map[string]int, n)}
	for i := range n {
		id := fmt.Sprintf("p%08d", i)
		upn := fmt.Sprintf("user%08d@contoso.com", i)
		c.byID[id] = i
		c.people = append(c.people, source.User(directory.Object{
			User:     directory.User{ObjectID: id, AccountEnabled: true, Attributes: person(upn, "User", fmt.Sprint(i))},
			Assigned: true,
		}))
	}
	return c
}

func (*crowd) DefaultDomain() string { return "" }

func (c *crowd) Position(context.Context) (provision.Cursor, error) { return place(1), nil }

func (c *crowd) Snapshot(_ context.Context, q provision.SnapshotQuery) ([]provision.Object, error) {
	from := 0
	if i, ok := c.byID[q.After]; ok {
		from = i + 1
	}
	return c.people[from:min(len(c.people), from+q.Limit)], nil
}

func (c *crowd) Changes(_ context.Context, _ string, after provision.Cursor, _ int) (provision.Changed, error) {
	return provision.Changed{Cursor: after}, nil
}

func (c *crowd) Cause(context.Context, string) (provision.CauseInfo, error) {
	return provision.CauseInfo{}, nil
}

func (c *crowd) Object(_ context.Context, _, id string) (provision.Object, error) {
	i, ok := c.byID[id]
	if !ok {
		return provision.Object{}, refusal.NotFound
	}
	return c.people[i], nil
}

func (c *crowd) Objects(_ context.Context, _ string, ids []string) ([]provision.Object, error) {
	var found []provision.Object
	for _, id := range ids {
		if i, ok := c.byID[id]; ok {
			found = append(found, c.people[i])
		}
	}
	return found, nil
}

func benchWorld(b *testing.B, n int) *world {
	b.Helper()
	w := newWorld(b)
	source := newCrowd(n)
	w.engine.Sources = func(context.Context, provision.SourceID) (provision.Source, error) { return source, nil }
	return w
}

// BenchmarkInitialCycle creates 10,000 accounts at an application in the same process. Each person
// needs a search and a create, and each outcome is stored on disk.
func BenchmarkInitialCycle(b *testing.B) {
	const n = 10_000
	for b.Loop() {
		b.StopTimer()
		w := benchWorld(b, n)
		b.StartTimer()
		report, err := w.engine.RunCycle(b.Context(), w.key, "bench", nil)
		if err != nil || report.Created != n {
			b.Fatalf("report %+v, %v", report, err)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "users/s")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n*b.N), "µs/user")
}

// BenchmarkIdleCycle runs an incremental cycle with nothing to do for 10,000 people. The cycle only
// tests the connection.
func BenchmarkIdleCycle(b *testing.B) {
	w := benchWorld(b, 10_000)
	if _, err := w.engine.RunCycle(b.Context(), w.key, "bench", nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := w.engine.RunCycle(b.Context(), w.key, "bench", nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFarTarget is an initial cycle of 1,000 people at an application that answers each request after 50 ms.
func BenchmarkFarTarget(b *testing.B) {
	const n = 1_000
	for b.Loop() {
		b.StopTimer()
		w := benchWorld(b, n)
		w.app.begun = func(*http.Request) { time.Sleep(50 * time.Millisecond) }
		b.StartTimer()
		report, err := w.engine.RunCycle(b.Context(), w.key, "bench", nil)
		if err != nil || report.Created != n {
			b.Fatalf("report %+v, %v", report, err)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "users/s")
}

// BenchmarkIdleJobs does what a server does in one second for 1,000 idle jobs of ten directories:
// it looks for changes twice, and for due jobs once. The metric is the share of one processor that
// this takes.
func BenchmarkIdleJobs(b *testing.B) {
	w := newWorld(b)
	keys := []provision.Key{w.key}
	secret := w.app.token
	for i := range 999 {
		k := provision.Key{Directory: provision.SourceID(fmt.Sprint("directory", i%10)), App: fmt.Sprint("app", i)}
		if _, err := w.jobs.Save(b.Context(), k, provision.Settings{Mode: provision.Automatic, TenantURL: w.app.url(), Secret: &secret, Status: provision.On, Scope: provision.AssignedOnly}, "cli"); err != nil {
			b.Fatal(err)
		}
		keys = append(keys, k)
	}
	for _, w.key = range keys {
		for w.report().State.Last == nil { // each job runs its first cycle, which has no people
			w.slice()
		}
	}
	watch := provision.Watcher{
		Store: w.store, Sources: w.source, NewestPositions: w.store.NewestPositions, Now: w.clock.now, Log: slog.New(slog.DiscardHandler),
		Wake: func(context.Context, provision.Key) error { return nil },
	}
	for b.Loop() {
		for range 2 {
			if err := watch.Look(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		if due, err := w.leases.Due(b.Context(), provision.LeaseKind, w.clock.now(), 10); err != nil || len(due) > 0 {
			b.Fatalf("%v due, %v", due, err)
		}
	}
	b.ReportMetric(100*b.Elapsed().Seconds()/float64(b.N), "%core")
}
