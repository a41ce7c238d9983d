package sqldb

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// statistician has PostgreSQL look at what is in a table that has doubled. Autovacuum does so too,
// but at most once a minute, which is late for a new database that an identity provider fills: its
// statements were planned for empty tables, where any index of a site looks as good as any other,
// and keep their plans until there are statistics.
type statistician struct {
	conns      *pgxpool.Pool
	log        *slog.Logger
	statements atomic.Int64 // statements of write transactions since the last look
	due        chan struct{}
	stop       context.CancelFunc
	ended      chan struct{}
}

// lookAfter is how many statements write before it looks whether a table has doubled.
const lookAfter = 5_000

func startStatistician(conns *pgxpool.Pool, log *slog.Logger) *statistician {
	ctx, stop := context.WithCancel(context.Background())
	s := &statistician{conns: conns, log: log, due: make(chan struct{}, 1), stop: stop, ended: make(chan struct{})}
	go s.run(ctx)
	return s
}

// ran is told how many statements a write transaction had.
func (s *statistician) ran(statements int) {
	if s.statements.Add(int64(statements)) < lookAfter {
		return
	}
	s.statements.Store(0)
	select {
	case s.due <- struct{}{}:
	default:
	}
}

func (s *statistician) run(ctx context.Context) {
	defer close(s.ended)
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.due:
		}
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("gather statistics of tables that have grown", "error", err)
		}
	}
}

// look analyzes each table that has twice the rows that its statistics are about, unless another
// session is doing so.
func (s *statistician) look(ctx context.Context) error {
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

func (s *statistician) close() {
	s.stop()
	<-s.ended
}
