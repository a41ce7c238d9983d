package main

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/internal/fair"
	"github.com/rollcall-scim/rollcall/internal/metrics"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/retention"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/store"
)

// workKinds returns the kinds of leases that background work holds.
func workKinds() []string {
	return []string{provision.LeaseKind, provision.DriftKind, roster.LeaseKind, retention.PruneLease, retention.RemovalLease, signin.RefreshKind, notification.LeaseKind, notification.WebhookLeaseKind}
}

// metricFamilies returns the metrics that are computed when Prometheus reads them. docs/operations.md
// lists them.
func metricFamilies() []metrics.Family {
	gauge := func(name, help string, labels ...string) metrics.Family {
		return metrics.Family{Name: "rollcall_" + name, Help: help, Labels: labels}
	}
	counter := func(name, help string, labels ...string) metrics.Family {
		return metrics.Family{Name: "rollcall_" + name, Help: help, Labels: labels, Counter: true}
	}
	return []metrics.Family{
		gauge("queue_capacity", "Places of a queue, or bytes.", "queue"),
		gauge("queue_used", "Places taken, or bytes.", "queue"),
		gauge("queue_waiting", "Requests that wait.", "queue"),
		counter("queue_entered_total", "Requests that were let in.", "queue"),
		counter("queue_refused_total", "Requests that were refused: their site used its own share, or the server was overloaded.", "queue", "because"),
		gauge("database_up", "1 while the database does its work, 0 after it could not."),
		counter("database_writes_total", "Transactions that wrote."),
		counter("database_unavailable_total", "Transactions that the database could not do."),
		gauge("database_writes_waiting", "Updates that wait for the writer of a SQLite file."),
		gauge("database_file_bytes", "Size of a SQLite file; 0 for PostgreSQL."),
		gauge("database_wal_bytes", "Size of its write-ahead log."),
		counter("request_log_rows_total", "Rows of sites' request logs.", "result"),
		gauge("request_log_gathered", "Rows in memory that wait to be written."),
		gauge("jobs", "Provisioning jobs.", "state"),
		gauge("jobs_linked", "Users and groups of all jobs whose account or group at the application is known.", "kind"),
		gauge("jobs_members", "Members of groups, of all jobs, that the applications have acknowledged."),
		gauge("jobs_held_operations", "Operations of all jobs that disable or delete an account and wait for an operator to approve or reject them."),
		gauge("jobs_oldest_leaver_seconds", "How long the oldest account of all jobs that are on waits to be closed, failures included; 0 when none does."),
		gauge("jobs_oldest_success_seconds", "Since the last complete cycle of the job that waits longest for one; 0 when every job has none or none is on."),
		gauge("work_due", "Keys of work whose time has come.", "kind"),
		gauge("work_oldest_due_seconds", "How long the oldest of them has waited.", "kind"),
	}
}

// gatherer reads the metrics from the services. It caches the values from the database for a while,
// so that frequent reads do not load the database.
type gatherer struct {
	services *services
	memory   func() fair.Stats // returns how much memory large requests use
	now      func() time.Time

	mu        sync.Mutex
	lastQuery time.Time        // when the database was last queried
	cached    []metrics.Sample // the samples of the last query
}

const (
	databaseQueryInterval = 5 * time.Second // the shortest time between two queries of the database
	databaseTimeout       = 2 * time.Second // how long such a query may take
)

// samples returns the current values of all metrics.
func (g *gatherer) samples() []metrics.Sample {
	var all []metrics.Sample
	add := func(name string, value float64, labels ...string) {
		all = append(all, metrics.Sample{Name: "rollcall_" + name, Value: value, Labels: labels})
	}
	db := g.services.db.Stats()
	for name, q := range map[string]fair.Stats{"database connections": db.Connections, "costly work": db.Work, "memory": g.memory()} {
		add("queue_capacity", float64(q.Capacity), name)
		add("queue_used", float64(q.Used), name)
		add("queue_waiting", float64(q.Waiting), name)
		add("queue_entered_total", float64(q.Entered), name)
		add("queue_refused_total", float64(q.RefusedByKeyLimit), name, "own share")
		add("queue_refused_total", float64(q.RefusedOverloaded), name, "overloaded")
	}
	up := 1.0
	if db.Down {
		up = 0
	}
	add("database_up", up)
	add("database_writes_total", float64(db.Writes))
	add("database_unavailable_total", float64(db.Unavailable))
	add("database_writes_waiting", float64(db.WaitingUpdates))
	add("database_file_bytes", float64(db.FileBytes))
	add("database_wal_bytes", float64(db.LogBytes))
	log := g.services.requests.Counts()
	add("request_log_rows_total", float64(log.Written), "written")
	add("request_log_rows_total", float64(log.WithChange), "with a change")
	add("request_log_rows_total", float64(log.Unlisted), "reads counted")
	add("request_log_rows_total", float64(log.Refused), "strangers dropped")
	add("request_log_rows_total", float64(log.Lost), "lost")
	add("request_log_gathered", float64(log.Gathered))
	return append(all, g.storedSamples()...)
}

// storedSamples returns the samples that come from the database. If a query fails, it returns the
// samples of the last successful query.
func (g *gatherer) storedSamples() []metrics.Sample {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); now.Sub(g.lastQuery) < databaseQueryInterval {
		return g.cached
	}
	ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
	defer cancel()
	found, err := g.querySamples(ctx)
	if err != nil {
		g.services.log.Warn("metrics of jobs could not be read", "error", err)
	} else {
		g.cached = found
	}
	g.lastQuery = time.Now()
	return g.cached
}

// querySamples returns the values of the metrics that come from the database.
func (g *gatherer) querySamples(ctx context.Context) (all []metrics.Sample, err error) {
	add := func(name string, value float64, labels ...string) {
		all = append(all, metrics.Sample{Name: "rollcall_" + name, Value: value, Labels: labels})
	}
	jobs, err := g.services.jobs.List(ctx, "")
	if err != nil {
		return nil, err
	}
	watched, err := g.services.engine.Store.WatchedStates(ctx)
	if err != nil {
		return nil, err
	}
	now, states, oldest := g.now(), map[string]int{"off": len(jobs) - len(watched), "idle": 0, "running": 0, "quarantined": 0}, 0.0
	for _, state := range watched {
		switch {
		case state.Quarantine != nil:
			states["quarantined"]++
		case state.Phase != provision.Idle:
			states["running"]++
		default:
			states["idle"]++
		}
		if state.LastGood != nil {
			oldest = max(oldest, now.Sub(state.LastGood.Ended).Seconds())
		}
	}
	for state, n := range states {
		add("jobs", float64(n), state)
	}
	add("jobs_oldest_success_seconds", oldest)
	since, err := store.Provisioning{DB: g.services.db}.OldestLeaver(ctx)
	if err != nil {
		return nil, err
	}
	waits := 0.0
	if !since.IsZero() {
		waits = now.Sub(since).Seconds()
	}
	add("jobs_oldest_leaver_seconds", waits)
	people, groups, members, err := store.Provisioning{DB: g.services.db}.CountLinked(ctx)
	if err != nil {
		return nil, err
	}
	add("jobs_linked", float64(people), "user")
	add("jobs_linked", float64(groups), "group")
	add("jobs_members", float64(members))
	held, err := store.Provisioning{DB: g.services.db}.HeldOperations(ctx)
	if err != nil {
		return nil, err
	}
	add("jobs_held_operations", float64(held))
	for _, kind := range workKinds() {
		due, since, err := g.services.leases.Overdue(ctx, kind, now)
		if err != nil {
			return nil, err
		}
		waited := 0.0
		if due > 0 {
			waited = now.Sub(since).Seconds()
		}
		add("work_due", float64(due), kind)
		add("work_oldest_due_seconds", waited, kind)
	}
	return all, nil
}

// listenMetrics opens the listener for metrics; nil if the address is empty.
func listenMetrics(address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	return net.Listen("tcp", address)
}
