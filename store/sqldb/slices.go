package sqldb

import (
	"context"
	"time"

	"github.com/rollcall-scim/rollcall/internal/pace"
)

// SliceLane is the lane of work that touches very many rows. Such work runs in slices, which are
// short transactions with pauses between them, so that other updates wait for at most one slice.
const SliceLane = "slices"

// Slicer does one long piece of work in short transactions.
type Slicer struct {
	pace.Pacer
	db             *DB
	end            time.Time     // when to stop, on the machine's clock; the zero time means no limit
	shortestCommit time.Duration // the duration of the shortest commit so far
}

// Slicer returns a Slicer for work that must stop at the time end. The zero time means no limit.
func (db *DB) Slicer(end time.Time) *Slicer {
	return &Slicer{Pacer: pace.ForCleaning(), db: db, end: end}
}

// IsOver reports whether the time end has come.
func (s *Slicer) IsOver() bool { return !s.end.IsZero() && !time.Now().Before(s.end) }

// Lane returns the lane in which the work reads.
func (s *Slicer) Lane() Lane { return s.db.Lane(SliceLane) }

// Write runs fn as one slice, in one transaction. Then it pauses, so that other updates can run.
func (s *Slicer) Write(ctx context.Context, fn func(tx *Tx) error) error {
	var took time.Duration
	var waited bool
	var done time.Time
	started := time.Now()
	err := s.Lane().Update(ctx, func(tx *Tx) error {
		began := time.Now()
		defer func() {
			done = time.Now()
			took, waited = done.Sub(began), s.db.hasWaitingWrites()
		}()
		return fn(tx)
	})
	if err != nil {
		return err
	}
	// Every commit takes some time, even if it writes nothing. The rows of this slice took as long
	// as this commit exceeds the shortest commit so far.
	commit := time.Since(done)
	if s.shortestCommit == 0 || commit < s.shortestCommit {
		s.shortestCommit = commit
	}
	s.RecordWaiting(waited)
	s.RecordTime(took + commit - s.shortestCommit)
	return s.Rest(ctx, time.Since(started))
}
