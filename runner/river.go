package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
)

const (
	// jobTimeout is how long River lets a job run. It is longer than SliceLimit, so River ends a
	// slice only if the runner has failed to end it.
	jobTimeout = 30 * time.Second
	// rescueAfter is how long a job may be "running" before River assumes that its process was
	// killed, and runs the job again.
	rescueAfter = 60 * time.Second
	// keepFinishedJobs is how long River keeps the rows of finished jobs.
	keepFinishedJobs = time.Hour
	// migrationLock is the number of the PostgreSQL advisory lock that is held while River's tables
	// are created.
	migrationLock = 7165549823
	// maxDue is the largest number of due keys that get a job at one time. The other keys get a job
	// later.
	maxDue = 500
)

// jobArgs are the arguments of a River job, which does one slice of the work for a key. Jobs are
// unique by both fields, so a job of an old epoch does not prevent a job of a newer epoch.
type jobArgs struct {
	Key   string `json:"key" river:"unique"`
	Epoch int64  `json:"epoch" river:"unique"`
}

// Kind returns the name of this kind of job in River's tables.
func (jobArgs) Kind() string { return "advance" }

// jobWorker runs River's jobs.
type jobWorker struct {
	river.WorkerDefaults[jobArgs]
	runner *Runner
}

// Work runs one slice of the job's key, unless another process has run a slice of that key since
// the job was added.
func (w *jobWorker) Work(ctx context.Context, job *river.Job[jobArgs]) error {
	epoch, err := w.runner.Leases.Epoch(ctx, w.runner.Kind, job.Args.Key)
	if err != nil {
		return fmt.Errorf("epoch of %s %s: %w", w.runner.Kind, job.Args.Key, err)
	}
	if epoch == job.Args.Epoch && w.runner.runSlice(ctx, job.Args.Key) {
		w.runner.LookNow()
	}
	return nil
}

// These constants say how often startRiver tries to reach the database, and how long it waits
// between two tries.
const (
	maxStartTries      = 60
	startRetryInterval = time.Second
)

// startRiver starts River. If the database cannot be reached, it tries again for a while.
func (r *Runner) startRiver(ctx context.Context) (client *river.Client[pgx.Tx], err error) {
	for try := 1; ; try++ {
		client, err = r.tryStartRiver(ctx)
		if err == nil || ctx.Err() != nil || try == maxStartTries || !isTemporary(err) {
			return client, err
		}
		r.log().Warn("River does not start; trying again", "kind", r.Kind, "error", err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(startRetryInterval):
		}
	}
}

// isTemporary reports whether a later try may succeed. This is so if the database server did not
// answer, or refused because of the connection or its own state.
func isTemporary(err error) bool {
	refused, is := errors.AsType[*pgconn.PgError](err)
	return !is || strings.HasPrefix(refused.Code, "57P") || strings.HasPrefix(refused.Code, "53") || strings.HasPrefix(refused.Code, "08")
}

// tryStartRiver creates or updates River's tables, and starts River. It does not try again.
func (r *Runner) tryStartRiver(ctx context.Context) (*river.Client[pgx.Tx], error) {
	driver := riverpgxv5.New(r.Pool)
	log := slog.New(quietHandler{r.log().Handler()})
	if err := migrateRiver(ctx, r.Pool, driver, log); err != nil {
		return nil, fmt.Errorf("make River's tables: %w", err)
	}
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, &jobWorker{runner: r}); err != nil {
		return nil, fmt.Errorf("start River: %w", err)
	}
	client, err := river.NewClient(driver, &river.Config{
		Queues:                      map[string]river.QueueConfig{r.Kind: {MaxWorkers: r.workers()}},
		Workers:                     workers,
		Logger:                      log,
		JobTimeout:                  jobTimeout,
		RescueStuckJobsAfter:        rescueAfter,
		SoftStopTimeout:             r.grace(),
		CompletedJobRetentionPeriod: keepFinishedJobs,
		CancelledJobRetentionPeriod: keepFinishedJobs,
		DiscardedJobRetentionPeriod: keepFinishedJobs,
	})
	if err != nil {
		return nil, fmt.Errorf("start River: %w", err)
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return nil, fmt.Errorf("start River: %w", err)
	}
	return client, nil
}

// runRiver does the work of Run with River: it adds jobs for due keys, and any process can take
// them.
func (r *Runner) runRiver(ctx context.Context) error {
	client, err := r.startRiver(ctx)
	if err != nil {
		return err
	}
	r.lookRegularly(ctx, func() {
		if err := r.insertDue(ctx, client); err != nil && ctx.Err() == nil {
			r.log().Error("look for due work", "kind", r.Kind, "error", err)
		}
	})
	if err := client.Stop(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("stop River: %w", err)
	}
	return nil
}

// insertDue adds a River job for each due key that has no unfinished job of its present epoch.
func (r *Runner) insertDue(ctx context.Context, client *river.Client[pgx.Tx]) error {
	due, err := r.Leases.DueEpochs(ctx, r.Kind, r.now(), maxDue)
	if err != nil || len(due) == 0 {
		return err
	}
	jobs := make([]river.InsertManyParams, 0, len(due))
	for key, epoch := range due {
		jobs = append(jobs, river.InsertManyParams{Args: jobArgs{Key: key, Epoch: epoch}, InsertOpts: &river.InsertOpts{
			Queue: r.Kind,
			// If a slice fails, its lease makes the key due again. River must not repeat the job.
			MaxAttempts: 1,
			UniqueOpts: river.UniqueOpts{ByArgs: true, ByQueue: true, ByState: []rivertype.JobState{
				// "completed" is not in the list, so that a finished job does not prevent a new
				// one.
				rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning,
				rivertype.JobStateRetryable, rivertype.JobStateScheduled,
			}},
		}})
	}
	if _, err := client.InsertMany(ctx, jobs); err != nil {
		return fmt.Errorf("insert River jobs: %w", err)
	}
	return nil
}

// migrateRiver creates or updates River's tables. Only one process at a time does this.
func migrateRiver(ctx context.Context, pool *pgxpool.Pool, driver *riverpgxv5.Driver, log *slog.Logger) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", migrationLock); err != nil {
		return err
	}
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: log})
	if err == nil {
		_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	}
	_, unlock := conn.Exec(context.WithoutCancel(ctx), "select pg_advisory_unlock($1)", migrationLock)
	return errors.Join(err, unlock)
}

// quietHandler passes on only the log lines that a person should read. It drops the lines that
// River writes at every start.
type quietHandler struct{ slog.Handler }

func (q quietHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

func (q quietHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quietHandler{q.Handler.WithAttrs(attrs)}
}

func (q quietHandler) WithGroup(name string) slog.Handler {
	return quietHandler{q.Handler.WithGroup(name)}
}
