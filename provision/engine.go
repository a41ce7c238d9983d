package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"
)

// Defaults of [Engine].
const (
	// DefaultInterval is the time from one cycle to the next if nothing changes. Entra has the same
	// interval.
	DefaultInterval = 40 * time.Minute
	// DefaultWorkers is the largest number of people that the engine works on at the same time. The
	// engine begins with few, and adapts the number to the speed of the target.
	DefaultWorkers = 64
	// DefaultLeaverPatience is how long an account may wait to be closed before the engine raises
	// an alarm.
	DefaultLeaverPatience = 15 * time.Minute
	// DefaultSettle is how long the target may still be working on a request after it was sent, if
	// the answer was lost.
	DefaultSettle = 5 * time.Second

	sliceLength             = 8 * time.Second     // after this time in a slice, the engine starts no further work on people
	exportGrace             = 3 * time.Second     // how much longer the engine may send changes that it has decided on
	importPage              = 500                 // how many objects, or changes, one page from the source has at most
	recordTimeout           = 10 * time.Second    // how long a write to the store may take
	unmatchedSearchInterval = 24 * time.Hour      // the time between two searches for accounts of people who have none
	goneSearchPeriod        = 30 * 24 * time.Hour // how long the engine searches once a day for an account that is gone
	maxQuarantine           = 28 * 24 * time.Hour // after this time in quarantine, the engine no longer tries again by itself
)

// Engine works on jobs. Several goroutines can use it at the same time, for different jobs.
type Engine struct {
	Store    Store
	Sources  func(ctx context.Context, d SourceID) (Source, error)
	Targets  TargetMaker
	Sealer   Sealer
	Leases   Leases        // used by methods that claim the job themselves, such as RunCycle; the caller of Advance already holds the lease
	Interval time.Duration // 0 means DefaultInterval
	Workers  int           // 0 means DefaultWorkers
	Settle   time.Duration // 0 means DefaultSettle
	// LeaverPatience is how long an account may wait to be closed; 0 means DefaultLeaverPatience.
	LeaverPatience time.Duration
	MembersPage    int // how many members of a group are read and sent together; 0 means 1,000
	Now            func() time.Time
	NewID          func() string
	Log            *slog.Logger

	Plans  PlanStore  // stores the plans
	Drifts DriftStore // stores what the last comparison with the application found
	// Discoveries stores which accounts the application has, and which users they belong to.
	Discoveries DiscoveryStore

	Attributes Catalog // the attributes that mappings can read

	Applications NameApplication // the names of applications, for the sentences of events; may be nil

	// After is time.After. A test with its own clock sets another function.
	After func(d time.Duration) <-chan time.Time
	// Order is nil except in tests that control the order of goroutines.
	Order Order

	mu          sync.Mutex
	memos       map[Key]*memo
	wakeSignals map[Key]chan struct{}
}

// Wake makes a slice of the job that runs in this process check for changes at once.
func (e *Engine) Wake(k Key) {
	select {
	case e.wakeSignal(k) <- struct{}{}:
	default: // a wake-up is already pending
	}
}

// wakeSignal returns the channel by which Wake reaches the slice that works on the job.
func (e *Engine) wakeSignal(k Key) chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.wakeSignals == nil {
		e.wakeSignals = map[Key]chan struct{}{}
	}
	if e.wakeSignals[k] == nil {
		e.wakeSignals[k] = make(chan struct{}, 1)
	}
	return e.wakeSignals[k]
}

// memoOf returns the memo of a job, which this process keeps between slices. After a change of the
// job's connection or mapping, it returns a new, empty memo.
func (e *Engine) memoOf(job Job) *memo {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.memos == nil {
		e.memos = map[Key]*memo{}
	}
	m := e.memos[job.Key]
	if m == nil || m.settings != job.connection() {
		m = newMemo(job.connection(), e.Now())
		e.memos[job.Key] = m
	}
	return m
}

func (e *Engine) after() func(time.Duration) <-chan time.Time {
	if e.After == nil {
		return time.After
	}
	return e.After
}

func (e *Engine) goroutines() goroutines { return goroutines{e.Order} }

func (e *Engine) interval() time.Duration { return orDefault(e.Interval, DefaultInterval) }
func (e *Engine) workers() int            { return orDefault(e.Workers, DefaultWorkers) }
func (e *Engine) membersPage() int        { return orDefault(e.MembersPage, membersPage) }
func (e *Engine) settle() time.Duration   { return orDefault(e.Settle, DefaultSettle) }

func orDefault[T int | time.Duration](v, d T) T {
	if v <= 0 {
		return d
	}
	return v
}

// Advance does one bounded slice of a job's work and returns when to call it again. A zero time
// means that there is nothing to do until the job is woken. The caller must hold the job's lease
// with this epoch. Advance returns only errors of this installation, such as those of its database.
// Failures of the target are recorded in the job's state.
func (e *Engine) Advance(ctx context.Context, key string, epoch int64) (next time.Time, err error) {
	k, err := ParseKey(key)
	if err != nil {
		return time.Time{}, err
	}
	r, err := e.open(ctx, k, epoch)
	switch {
	case errors.Is(err, ErrNoJob):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, err
	case r.job.Mode != Automatic || r.job.Status != On:
		return time.Time{}, nil
	}
	return r.advance(ctx)
}

// run holds what the engine needs while it works on one job.
type run struct {
	e        *Engine
	fence    Fence
	job      Job
	state    State
	m        *mapping // the mapping of users; nil before connect
	source   Source
	reader   *reader              // reads objects from the source
	target   Target               // nil before connect
	groups   *groups              // groups of the source and the target; nil if the job does not provision groups
	sliceEnd time.Time            // when the slice ends
	forced   bool                 // whether a person asked for a cycle now, regardless of the schedule
	visit    func(LogEntry) error // gets each log entry after it is recorded; nil if no one watches

	newcomers newcomers // the users who have changed since the last complete discovery

	origins map[string]Origin // the origins of the changes that a plan has read, by object id

	importing           lock // held while changes are imported
	hasMoreGroupChanges bool // whether there are changes of groups that importGroupNews has not read yet; protected by importing
	hasMoreChanges      bool // whether there are changes that importNews has not read yet; protected by importing

	shows sync.Mutex // held while a log entry is shown, so that entries are shown one at a time
	write lock       // held while data is written together with the state
	mu    sync.Mutex // protects state, because parts of a slice run at the same time
}

// open reads a job and its state, and opens the directory. It does not connect to the target; see
// connect.
func (e *Engine) open(ctx context.Context, k Key, epoch int64) (*run, error) {
	job, err := e.Store.Job(ctx, k)
	if err != nil {
		return nil, err
	}
	state, err := e.Store.State(ctx, k)
	if err != nil {
		return nil, err
	}
	source, err := e.Sources(ctx, k.Directory)
	if err != nil {
		return nil, fmt.Errorf("open directory of %s: %w", k, err)
	}
	return &run{e: e, fence: Fence{Key: k, Epoch: epoch}, job: job, state: state, source: source, reader: &reader{source: source, app: k.App, goroutines: e.goroutines()}, sliceEnd: e.Now().Add(sliceLength), importing: newLock(), write: newLock()}, nil
}

// connect compiles the mapping and opens the target. If the mapping or the credentials cannot be
// used, connect returns an error that puts the job into quarantine.
func (r *run) connect() error {
	m, err := compileMapping(r.job.Schema, r.e.Attributes)
	if err != nil {
		return &TargetError{
			Kind: Incompatible, Code: "InvalidSchema", Err: err,
			Detail: "The mapping cannot be used, so nothing was sent: " + err.Error() + ".", Advice: "Correct the mapping, or restore the default mappings.",
		}
	}
	m.now, m.domain = r.e.Now, r.source.DefaultDomain()
	target, err := r.e.openTarget(r.job)
	if err != nil {
		return err
	}
	if r.state.Dialect.For != r.job.ForgetLinks {
		r.state.Dialect = Dialect{For: r.job.ForgetLinks}
	}
	target.Speak(r.state.Dialect)
	r.m, r.target = m, target
	return r.connectGroups()
}

// test tests the connection by searching the target by matching attributes, and records the
// results. In an initial cycle it tests all matching attributes, and finds out for which of them
// the target compares case. In an incremental cycle it tests one attribute, as Entra does, and the
// attributes by which the target could not be searched before.
func (r *run) test(ctx context.Context) error {
	var known, cases []Searchable
	again := r.state.Searches.isCurrentFor(r.job)
	switch {
	case again:
		cases = r.state.Searches.All
	case r.job.Searches.isCurrentFor(r.job):
		cases = r.job.Searches.All
	}
	if r.state.Ready && again {
		known = r.state.Searches.All
	}
	all, err := testSearches(ctx, r.target, r.m, known)
	if err == nil && known == nil {
		learnCases(ctx, r.target, r.m, all, cases)
	}
	for i := range all {
		all[i].Case = cmp.Or(all[i].Case, caseOf(cases, all[i].Path))
	}
	if all != nil {
		r.state.Searches = &Searches{For: r.job.connection(), At: r.e.Now(), All: all}
	}
	if err != nil {
		return err
	}
	return r.testGroups(ctx)
}

// testAgain tests the connection in the middle of a cycle. It searches by one attribute by which
// the target can be searched, as an earlier test has shown.
func (r *run) testAgain(ctx context.Context) error {
	r.mu.Lock()
	searches := r.state.Searches
	r.mu.Unlock()
	for _, one := range searches.All {
		if one.Proved {
			row := r.m.rowFor(one.Path)
			return r.target.Test(ctx, row.Target, row.Type)
		}
	}
	_, err := testSearches(ctx, r.target, r.m, nil)
	return err
}

func (e *Engine) openTarget(job Job) (Target, error) {
	secret, err := openSecret(e.Sealer, job)
	if err != nil {
		return nil, err
	}
	return e.Targets(job.TenantURL, secret)
}

func (r *run) pass() *pass {
	p := &pass{
		job: r.job, m: r.m, target: r.target, searcher: newSearcher(r.target, r.state.Searches, r.e.goroutines()), goroutines: r.e.goroutines(), firstCheckLock: newLock(),
		readsEveryAccount: r.state.Cycle.Reads, settle: r.e.settle(), claims: &claims{}, listed: r.e.memoOf(r.job).users, listedSince: r.e.Now().Add(-time.Minute),
		doubt: newDoubts(r.state.InFlight, r.state.UnsureSince), closing: newDoubts(nil, nil), unsureAttributes: maps.Clone(r.state.UnsureAttributes),
		otherObjects: knowledge{
			read:    r.reader.read,
			known:   func(ctx context.Context, id string) (Pending, error) { return r.e.Store.KnownAbout(ctx, r.job.Key, id) },
			holder:  func(ctx context.Context, k MatchKey) (string, error) { return r.e.Store.Holder(ctx, r.job.Key, k) },
			awaited: func(ctx context.Context, id string) (*Awaited, error) { return r.e.Store.Awaited(ctx, r.job.Key, id) },
			drawn:   func(ctx context.Context, id string) ([]Drawn, error) { return r.e.Store.Drawn(ctx, r.job.Key, id) },
			drawer: func(ctx context.Context, path, value string) (string, error) {
				return r.e.Store.Drawer(ctx, r.job.Key, path, value)
			},
		},
		owner: func(ctx context.Context, id string) (string, error) {
			return r.e.Store.Owner(ctx, r.job.Key, UserKind, id)
		},
		openCreates: func(ctx context.Context) ([]Op, error) { return r.e.Store.OpenCreates(ctx, r.job.Key, UserKind) },
	}
	if r.state.Phase != Idle {
		p.listedSince = r.state.Cycle.Started
	}
	p.groups = r.groupPass(p)
	return p
}

// lost reports whether an error means that another process has taken over the job.
func lost(err error) bool {
	var l interface{ LeaseLost() bool }
	return errors.Is(err, ErrLeaseLost) || errors.As(err, &l) && l.LeaseLost()
}
