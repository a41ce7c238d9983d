package sqldb

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// analyzer makes PostgreSQL analyze each table that has doubled in size. Autovacuum also does that,
// but at most once a minute. That is too late for a new database that an identity provider is
// filling: PostgreSQL planned the statements for empty tables, for which every index looks equally
// good, and it keeps these plans until it has statistics.
type analyzer struct {
	conns         *pgxpool.Pool
	log           *slog.Logger
	statements    atomic.Int64       // statements of write transactions since the tables were last checked
	checkDue      chan struct{}      // has an element when tables should be checked
	stop          context.CancelFunc // ends the goroutine
	goroutineDone chan struct{}      // closed when the goroutine has ended
}

// analyzeAfter is the number of statements after which the analyzer checks again whether a table
// has doubled in size.
const analyzeAfter = 5_000

// startAnalyzer starts the goroutine of an analyzer.
func startAnalyzer(conns *pgxpool.Pool, log *slog.Logger) *analyzer {
	ctx, stop := context.WithCancel(context.Background())
	s := &analyzer{conns: conns, log: log, checkDue: make(chan struct{}, 1), stop: stop, goroutineDone: make(chan struct{})}
	go s.run(ctx)
	return s
}

// countStatements adds the statements of a write transaction. It wakes the analyzer after
// analyzeAfter statements.
func (s *analyzer) countStatements(statements int) {
	if s.statements.Add(int64(statements)) < analyzeAfter {
		return
	}
	s.statements.Store(0)
	select {
	case s.checkDue <- struct{}{}:
	default:
	}
}

// run analyzes tables whenever a check is due, until ctx ends.
func (s *analyzer) run(ctx context.Context) {
	defer close(s.goroutineDone)
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.checkDue:
		}
		if err := s.analyzeGrown(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("gather statistics of tables that have grown", "error", err)
		}
	}
}

// analyzeGrown analyzes each table that has twice as many rows as its statistics say, unless
// another session analyzes tables at the same time.
func (s *analyzer) analyzeGrown(ctx context.Context) error {
	rows, err := s.conns.Query(ctx, `
		select format('analyze (skip_locked) %I.%I', s.schemaname, s.relname)
		from pg_stat_user_tables s
		join pg_class c on c.oid = s.relid
		where s.schemaname = current_schema() and s.n_live_tup > 100 and s.n_live_tup > 2 * c.reltuples`)
	if err != nil {
		return err
	}
	grown, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, analyze := range grown {
		s.log.Debug(analyze)
		if _, err := s.conns.Exec(ctx, analyze); err != nil {
			return err
		}
	}
	return nil
}

// close ends the goroutine and waits for its end.
func (s *analyzer) close() {
	s.stop()
	<-s.goroutineDone
}
