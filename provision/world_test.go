package provision_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/binary"
	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/templates"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scimclient"
	"github.com/rollcall-scim/rollcall/store"
)

func TestMain(m *testing.M) {
	code := storetest.Main(m)
	os.Exit(max(code, binary.Clean()))
}

// people is a source whose changes all come from the test.
type people struct {
	mu       sync.Mutex
	users    map[string]directory.User
	assigned map[string]bool
	feed     []string // object ids, in the order in which they changed
	domain   string   // the default domain
	changed  func()   // called after a change; may be nil
}

func newPeople() *people {
	return &people{users: map[string]directory.User{}, assigned: map[string]bool{}}
}

// put adds or changes a person, and assigns the person.
func (p *people) put(id string, attributes map[string]any) {
	p.change(id, func() {
		u := directory.User{ObjectID: id, AccountEnabled: true, Attributes: attributes}
		p.users[id], p.assigned[id] = u, true
	})
}

func (p *people) change(id string, fn func()) {
	p.mu.Lock()
	fn()
	p.feed = append(p.feed, id)
	p.mu.Unlock()
	if p.changed != nil {
		p.changed()
	}
}

func (p *people) edit(id string, fn func(u *directory.User)) {
	p.change(id, func() {
		u := p.users[id]
		fn(&u)
		p.users[id] = u
	})
}

func (p *people) set(id, attribute string, value any) {
	p.edit(id, func(u *directory.User) {
		copied := map[string]any{}
		for k, v := range u.Attributes {
			copied[k] = v
		}
		copied[attribute] = value
		u.Attributes = copied
	})
}

func (p *people) enable(id string, on bool) {
	p.edit(id, func(u *directory.User) { u.AccountEnabled = on })
}

func (p *people) assign(id string, on bool) { p.change(id, func() { p.assigned[id] = on }) }

func (p *people) softDelete(id string) {
	p.edit(id, func(u *directory.User) { u.Deleted = epoch })
}

func (p *people) purge(id string) {
	p.change(id, func() {
		delete(p.users, id)
		delete(p.assigned, id)
	})
}

func (p *people) DefaultDomain() string { return p.domain }

func (p *people) Position(context.Context) (provision.Cursor, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return place(len(p.feed)), nil
}

func (p *people) Snapshot(_ context.Context, q provision.SnapshotQuery) ([]provision.Object, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var page []provision.Object
	for id, u := range p.users {
		if id > q.After && (p.assigned[id] || !q.AssignedOnly) {
			page = append(page, source.User(directory.Object{User: u, Assigned: p.assigned[id]}))
		}
	}
	slices.SortFunc(page, func(a, b provision.Object) int { return cmp.Compare(a.ID, b.ID) })
	return page[:min(len(page), q.Limit)], nil
}

func (p *people) Changes(_ context.Context, _ string, after provision.Cursor, limit int) (provision.Changed, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	from, err := event.ParsePosition(string(after))
	if err != nil {
		return provision.Changed{}, err
	}
	end := min(int(from.Seq)+limit, len(p.feed))
	c := provision.Changed{Cursor: place(end), More: end < len(p.feed)}
	for _, id := range p.feed[from.Seq:end] {
		if !slices.Contains(c.IDs, id) {
			c.IDs = append(c.IDs, id)
		}
	}
	return c, nil
}

func (p *people) Object(_ context.Context, _, id string) (provision.Object, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u, ok := p.users[id]
	if !ok {
		return provision.Object{}, fmt.Errorf("object %s: %w", id, refusal.NotFound)
	}
	return source.User(directory.Object{User: u, Assigned: p.assigned[id]}), nil
}

// Cause returns no data, because this source has no imports.
func (p *people) Cause(context.Context, string) (provision.CauseInfo, error) {
	return provision.CauseInfo{}, nil
}

func (p *people) Objects(ctx context.Context, app string, ids []string) ([]provision.Object, error) {
	var found []provision.Object
	for _, id := range ids {
		o, err := p.Object(ctx, app, id)
		if errors.Is(err, refusal.NotFound) {
			continue
		}
		found = append(found, o)
	}
	return found, nil
}

// place returns a position in the feed of people.
func place(n int) provision.Cursor { return source.CursorOf(event.Position{Seq: int64(n)}) }

var epoch = time.Date(2025, 1, 9, 9, 0, 0, 0, time.UTC)

// clock moves forward by a microsecond each time it is read, so that records have an order.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(time.Microsecond)
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// after moves the clock forward, so that nobody has to wait for the time to pass.
func (c *clock) after(d time.Duration) <-chan time.Time {
	c.advance(d)
	ch := make(chan time.Time, 1)
	ch <- c.now()
	return ch
}

// openSeal seals by reversing the bytes. Other tests cover real sealing.
type openSeal struct{}

func (openSeal) Seal(plain []byte, context string) ([]byte, error) {
	return slices.Concat([]byte(context), []byte("|"), reversed(plain)), nil
}

func (openSeal) Open(sealed []byte, context string) ([]byte, error) {
	rest, ok := strings.CutPrefix(string(sealed), context+"|")
	if !ok {
		return nil, errors.New("sealed for another place")
	}
	return reversed([]byte(rest)), nil
}

func reversed(b []byte) []byte {
	b = slices.Clone(b)
	slices.Reverse(b)
	return b
}

// world has a job, its scripted source, and an application.
type world struct {
	t      testing.TB
	db     *store.DB
	store  store.Provisioning
	leases store.Leases
	people *people
	app    *application
	clock  *clock
	jobs   *provision.Jobs
	engine *provision.Engine
	key    provision.Key
	ids    atomic.Int64
}

type option func(*provision.Settings, *provision.FlowTypes)

func everyone(s *provision.Settings, _ *provision.FlowTypes) { s.Scope = provision.Everyone }

func actions(f provision.FlowTypes) option {
	return func(_ *provision.Settings, flows *provision.FlowTypes) { *flows = f }
}

const (
	allActions = provision.FlowAdd | provision.FlowUpdate | provision.FlowDelete
	userRows   = "Provision Azure Active Directory Users"
)

func newWorld(t testing.TB, options ...option) *world {
	t.Helper()
	return newWorldOn(t, storetest.New(t), options...)
}

func newWorldOn(t testing.TB, db *store.DB, options ...option) *world {
	t.Helper()
	w := &world{
		t: t, db: db, store: store.Provisioning{DB: db}, leases: store.Leases{DB: db},
		people: newPeople(), app: newApplication(t), clock: &clock{at: epoch},
		key: provision.Key{Directory: "contoso", App: "acme"},
	}
	w.wire()
	secret := w.app.token
	s := provision.Settings{Mode: provision.Automatic, TenantURL: w.app.url(), Secret: &secret, Status: provision.On, Scope: provision.AssignedOnly}
	flows := allActions
	for _, o := range options {
		o(&s, &flows)
	}
	if _, err := w.jobs.Save(t.Context(), w.key, s, "cli"); err != nil {
		t.Fatal(err)
	}
	w.setActions(flows)
	w.app.asked() // forget the requests with which Save tested the connection
	return w
}

func (w *world) wire() {
	client := outbound.New(outbound.Options{AllowLoopback: true})
	targets := func(tenantURL, secret string) (provision.Target, error) {
		return scimclient.New(tenantURL, secret, scimclient.Options{HTTP: client, Now: w.clock.now, NewID: w.newID})
	}
	w.jobs = &provision.Jobs{Store: w.store, Sealer: openSeal{}, Targets: targets, Template: template, Now: w.clock.now, NewID: w.newID, Sources: w.source, Attributes: source.UserAttributes{}, GroupAttributes: source.GroupAttributes{}}
	w.engine = &provision.Engine{
		Store: w.store, Plans: w.store, Drifts: w.store, Discoveries: w.store, Sources: w.source, Attributes: source.UserAttributes{},
		Targets: targets, Sealer: openSeal{}, Leases: w.leases, Now: w.clock.now, After: w.clock.after, NewID: w.newID, Log: slog.New(slog.DiscardHandler),
	}
	if w.people != nil {
		w.people.changed = func() { w.engine.Wake(w.key) }
	}
}

func (w *world) source(context.Context, provision.SourceID) (provision.Source, error) {
	return w.people, nil
}

func (w *world) newID() string {
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", w.ids.Add(1))
}

func template() (*provision.Schema, error) {
	b, err := templates.Get(templates.Guide)
	if err != nil {
		return nil, err
	}
	return provision.ParseSchema(b)
}

func (w *world) setActions(f provision.FlowTypes) {
	w.t.Helper()
	if _, err := w.jobs.SetMapping(w.t.Context(), w.key, userRows, provision.MappingEdit{Actions: &f}, "cli"); err != nil {
		w.t.Fatal(err)
	}
}

// cycle runs one cycle and returns its log entries by person.
func (w *world) cycle() (provision.CycleReport, map[string]provision.LogEntry) {
	w.t.Helper()
	report, entries, err := w.tryCycle()
	if err != nil {
		w.t.Fatal(err)
	}
	return report, entries
}

func (w *world) tryCycle() (provision.CycleReport, map[string]provision.LogEntry, error) {
	w.t.Helper()
	entries := map[string]provision.LogEntry{}
	report, err := w.engine.RunCycle(w.t.Context(), w.key, "test", func(e provision.LogEntry) error {
		// A person whose change was imported twice is looked at twice.
		if _, had := entries[e.SourceIdentity.ID]; e.SourceIdentity.Type == "User" && !(had && e.Status.Code == "RedundantExport") {
			entries[e.SourceIdentity.ID] = e
		}
		return nil
	})
	return report, entries, err
}

// slice advances the job as the runner would.
func (w *world) slice() time.Time {
	w.t.Helper()
	epoch, err := w.leases.Claim(w.t.Context(), provision.LeaseKind, w.key.String(), "test", time.Minute)
	if err != nil {
		w.t.Fatal(err)
	}
	next, err := w.engine.Advance(w.t.Context(), w.key.String(), epoch)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.leases.Release(w.t.Context(), provision.LeaseKind, w.key.String(), "test", epoch, next); err != nil {
		w.t.Fatal(err)
	}
	return next
}

// rest advances the job until it has nothing to do.
func (w *world) rest() {
	w.t.Helper()
	for range 20 {
		if next := w.slice(); next.IsZero() || next.After(w.clock.now()) {
			return
		}
	}
	w.t.Fatal("the job does not come to rest")
}

func (w *world) report() provision.Report {
	w.t.Helper()
	r, err := w.jobs.Report(w.t.Context(), w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func person(upn, given, family string) map[string]any {
	return map[string]any{
		"userPrincipalName": upn, "displayName": given + " " + family, "givenName": given, "surname": family,
		"mail": upn, "mailNickname": given, "city": "Oslo",
	}
}

var zeroPosition event.Position

func eventScope(k provision.Key) event.Scope { return event.Directory(string(k.Directory)) }

func eventOf(k provision.Key) event.Event {
	return event.Event{Time: epoch, Scope: eventScope(k), Name: "made", Actor: "cli", Subject: k.App, Text: "x"}
}
