// Package pace cuts long work into slices, so that others wait for one slice at
// most, and makes a pause after each.
package pace

import (
	"context"
	"slices"
	"time"
)

const (
	first  = 50
	brief  = 4 // how many times shorter slices become while others wait
	most   = 2_000
	longer = 200 * time.Millisecond // than this no pause is
)

// Pacer says how many rows the next slice has.
type Pacer struct {
	Aim   time.Duration // how long a slice should take
	Share float64       // how many times as long as a slice the pause after it is
	Least time.Duration // of a pause

	rows   int
	length time.Duration // of the current slice; 0: Aim
}

// Cleaning is the pace of work that nobody waits for.
func Cleaning() Pacer { return Pacer{Aim: 4 * time.Millisecond, Share: 6, Least: 2 * time.Millisecond} }

// Importing is the pace of work that somebody waits for.
func Importing() Pacer { return Pacer{Aim: 40 * time.Millisecond, Share: 0.25} }

// Rows returns the number of rows of the next slice.
func (p *Pacer) Rows() int {
	if p.rows == 0 {
		p.rows = first
	}
	return p.rows
}

// Took is told how long a slice has kept others waiting. It sets the size of the next.
func (p *Pacer) Took(d time.Duration) {
	switch rows, length := p.Rows(), p.Length(); {
	case d < length/2:
		p.rows = min(2*rows, most)
	case d > 4*length:
		p.rows = max(rows/4, 1)
	case d > length:
		p.rows = max(rows*2/3, 1)
	}
}

// Length returns how long the next slice should take.
func (p *Pacer) Length() time.Duration {
	if p.length == 0 {
		p.length = p.Aim
	}
	return p.length
}

// Waited is told whether somebody waited for the end of a slice. Then the next ones are shorter. They become as long as Aim again
// while nobody waits.
func (p *Pacer) Waited(yes bool) {
	if yes {
		p.length = max(p.Length()/2, p.Aim/brief)
	} else {
		p.length = min(p.Length()+p.Aim/64, p.Aim)
	}
}

// Pause tells how long a slice took and waits before the next.
func (p *Pacer) Pause(ctx context.Context, took time.Duration) error {
	p.Took(took)
	return p.Rest(ctx, took)
}

// Rest waits after a slice that took so long.
func (p *Pacer) Rest(ctx context.Context, took time.Duration) error {
	pause := min(max(time.Duration(p.Share*float64(took)), p.Least), longer)
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

// Slices calls do with a few of all at a time. do may run in a transaction.
func Slices[T any](ctx context.Context, p Pacer, all []T, do func(some []T) error) error {
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
