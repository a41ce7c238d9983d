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
	db  *DB
	end time.Time // on the machine's clock; zero: until all is done
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
	started := time.Now()
	err := s.lane().update(ctx, func(tx *Tx) error {
		began := time.Now()
		defer func() { took, waited = time.Since(began), s.db.writesWait() }()
		return fn(tx)
	})
	if err != nil {
		return err
	}
	s.Waited(waited)
	s.Took(took)
	return s.Rest(ctx, time.Since(started)) // the commit counts
}
