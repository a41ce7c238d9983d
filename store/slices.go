package store

import (
	"context"
	"time"

	"github.com/rollcall-scim/rollcall/internal/pace"
)

// sliceLane is the lane of work that touches very many rows. It is done in
// slices, short transactions with pauses, so that others wait for one at most.
const sliceLane = "slices"

// slicer does one long piece of work.
type slicer struct {
	pace.Pacer
	db     *DB
	end    time.Time     // on the machine's clock; zero: until all is done
	commit time.Duration // the shortest commit so far
}

func (db *DB) slicer(end time.Time) *slicer {
	return &slicer{Pacer: pace.Cleaning(), db: db, end: end}
}

// over says whether the time for this work has come to its end.
func (s *slicer) over() bool { return !s.end.IsZero() && !time.Now().Before(s.end) }

func (s *slicer) lane() lane { return s.db.of(sliceLane) }

// write runs one slice, then pauses.
func (s *slicer) write(ctx context.Context, fn func(tx *Tx) error) error {
	var took time.Duration
	var waited bool
	var done time.Time
	started := time.Now()
	err := s.lane().update(ctx, func(tx *Tx) error {
		began := time.Now()
		defer func() {
			done = time.Now()
			took, waited = done.Sub(began), s.db.writesWait()
		}()
		return fn(tx)
	})
	if err != nil {
		return err
	}
	// Every commit takes some time. What this one took longer, its rows have caused.
	commit := time.Since(done)
	if s.commit == 0 || commit < s.commit {
		s.commit = commit
	}
	s.Waited(waited)
	s.Took(took + commit - s.commit)
	return s.Rest(ctx, time.Since(started))
}
