// Package pace splits long work on many rows into slices, with a pause after each slice. A slice is
// the work on some of the rows. Other work waits for one slice at most.
package pace

import (
	"context"
	"slices"
	"time"
)

const (
	firstRows     = 50                     // the number of rows of the first slice
	maxShortening = 4                      // if other work waits, slices get shorter, down to Aim divided by this number
	maxRows       = 2_000                  // the largest number of rows of a slice
	maxPause      = 200 * time.Millisecond // the longest pause
)

// Pacer decides the number of rows of the next slice, and the length of the pause after the slice.
type Pacer struct {
	Aim         time.Duration // how long a slice should take
	PauseFactor float64       // the length of a pause, as a multiple of the time that the slice took
	MinPause    time.Duration // the shortest pause

	rows   int           // the number of rows of the next slice; 0 means firstRows
	length time.Duration // how long the next slice should take; 0 means Aim
}

// ForCleaning returns a Pacer for background work, such as removing old rows.
func ForCleaning() Pacer {
	return Pacer{Aim: 4 * time.Millisecond, PauseFactor: 6, MinPause: 2 * time.Millisecond}
}

// ForImporting returns a Pacer for work that a person waits for, such as an import.
func ForImporting() Pacer { return Pacer{Aim: 40 * time.Millisecond, PauseFactor: 0.25} }

// Rows returns how many rows the next slice should have.
func (p *Pacer) Rows() int {
	if p.rows == 0 {
		p.rows = firstRows
	}
	return p.rows
}

// RecordTime records the time that a slice took, or the part of that time in which other work had
// to wait for the slice. It adjusts the number of rows of the next slice to that time.
func (p *Pacer) RecordTime(d time.Duration) {
	switch rows, length := p.Rows(), p.Length(); {
	case d < length/2:
		p.rows = min(2*rows, maxRows)
	case d > 4*length:
		p.rows = max(rows/4, 1)
	case d > length:
		p.rows = max(rows*2/3, 1)
	}
}

// Length returns how long the next slice should take. This is a duration, not a number of rows.
func (p *Pacer) Length() time.Duration {
	if p.length == 0 {
		p.length = p.Aim
	}
	return p.length
}

// RecordWaiting records whether other work had to wait for the slice. If it had to wait, the next
// slices become shorter. If it did not, they become longer again, up to Aim.
func (p *Pacer) RecordWaiting(yes bool) {
	if yes {
		p.length = max(p.Length()/2, p.Aim/maxShortening)
	} else {
		p.length = min(p.Length()+p.Aim/64, p.Aim)
	}
}

// Pause records how long a slice took, and waits before the next slice. It returns ctx's error if
// ctx ends first.
func (p *Pacer) Pause(ctx context.Context, took time.Duration) error {
	p.RecordTime(took)
	return p.Rest(ctx, took)
}

// Rest waits before the next slice, like Pause, but does not record how long the slice took.
func (p *Pacer) Rest(ctx context.Context, took time.Duration) error {
	pause := min(max(time.Duration(p.PauseFactor*float64(took)), p.MinPause), maxPause)
	if pause == 0 {
		return ctx.Err()
	}
	wait := time.NewTimer(pause)
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ForEachSlice divides the elements of all into slices, calls the function do for each slice, and
// pauses between the calls. Each call of do may be one transaction. ForEachSlice stops at the first
// error of do, and returns it.
func ForEachSlice[T any](ctx context.Context, p Pacer, all []T, do func(some []T) error) error {
	for len(all) > 0 {
		n := min(p.Rows(), len(all))
		began := time.Now()
		if err := do(slices.Clip(all[:n])); err != nil {
			return err
		}
		took := time.Since(began)
		if all = all[n:]; len(all) == 0 {
			return nil
		}
		if err := p.Pause(ctx, took); err != nil {
			return err
		}
	}
	return nil
}
