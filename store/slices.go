package store

import (
	"context"
	"time"
)

// Work that touches very many rows is done in slices: short transactions with
// pauses, in a lane of its own, so that others wait for one slice at most.
const (
	sliceLane  = "slices"
	sliceFirst = 100                    // rows of the first slice
	sliceMost  = 2_000                  // rows of a slice at most
	sliceAim   = 8 * time.Millisecond   // how long a slice should take
	slicePause = 3                      // how many times as long as a slice the pause after it is
	pauseLeast = 2 * time.Millisecond   // of a pause
	pauseMost  = 200 * time.Millisecond // of a pause
)

// slicer does one long piece of work. The number of rows of a slice follows
// from how long the slices before have taken.
type slicer struct {
	db   *DB
	rows int
	end  time.Time // on the machine's clock; zero: until all is done
}

func (db *DB) slicer(end time.Time) *slicer {
	return &slicer{db: db, rows: sliceFirst, end: end}
}

// over says whether the time for this work has come to its end.
func (s *slicer) over() bool { return !s.end.IsZero() && !time.Now().Before(s.end) }

func (s *slicer) lane() lane { return s.db.of(sliceLane) }

// write runs one slice, then pauses.
func (s *slicer) write(ctx context.Context, fn func(tx *Tx) error) error {
	var took time.Duration
	err := s.lane().update(ctx, func(tx *Tx) error {
		began := time.Now()
		defer func() { took = time.Since(began) }()
		return fn(tx)
	})
	if err != nil {
		return err
	}
	s.adapt(took)
	pause := time.NewTimer(min(max(slicePause*took, pauseLeast), pauseMost))
	defer pause.Stop()
	select {
	case <-pause.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slicer) adapt(took time.Duration) {
	switch {
	case took < sliceAim/2:
		s.rows = min(2*s.rows, sliceMost)
	case took > 4*sliceAim:
		s.rows = max(s.rows/4, 1)
	case took > sliceAim:
		s.rows = max(s.rows*2/3, 1)
	}
}
