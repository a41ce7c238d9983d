package sqldb

import (
	"context"
	"time"

	"github.com/rollcall-scim/rollcall/internal/pace"
)

// SliceLane is the lane of work that touches very many rows. Such work runs in slices, which are
// short transactions with pauses, so that other updates wait for at most one of them.
const SliceLane = "slices"

// Slicer does one long piece of work in short transactions.
type Slicer struct {
	pace.Pacer
	db     *DB
	end    time.Time     // when to stop, on the machine's clock; zero means when all is done
	commit time.Duration // the shortest commit so far
}

// Slicer returns a Slicer for work that may take until end; with the zero time, until all is done.
func (db *DB) Slicer(end time.Time) *Slicer {
	return &Slicer{Pacer: pace.ForCleaning(), db: db, end: end}
}

// IsIsOver reports whether the time for this work is over.
func (s *Slicer) IsOver() bool { return !s.end.IsZero() && !time.Now().Before(s.end) }

// Lane returns the lane in which the work reads.
func (s *Slicer) Lane() Lane { return s.db.Lane(SliceLane) }

// Write runs one slice, then pauses.
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
	// Every commit takes some time. If this one took longer than the shortest, its rows caused the
	// difference.
	commit := time.Since(done)
	if s.commit == 0 || commit < s.commit {
		s.commit = commit
	}
	s.RecordWaiting(waited)
	s.RecordTime(took + commit - s.commit)
	return s.Rest(ctx, time.Since(started))
}
