package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// spread is a median with the least and the greatest value beside it.
type spread struct{ Median, Min, Max float64 }

// spreadOf returns the spread of values, zero for none.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	s := spread{Median: sorted[mid], Min: sorted[0], Max: sorted[len(sorted)-1]}
	if len(sorted)%2 == 0 {
		s.Median = (sorted[mid-1] + sorted[mid]) / 2
	}
	return s
}

// ratios divides round by round: both values of a ratio met the same machine.
func ratios(over, under []float64) []float64 {
	var out []float64
	for i := range min(len(over), len(under)) {
		if under[i] != 0 {
			out = append(out, over[i]/under[i])
		}
	}
	return out
}

// sample is what one contender did in one round.
type sample struct {
	Requests int
	Elapsed  time.Duration
	CPU      time.Duration // of the server process alone
}

func (s sample) rate() float64 {
	if s.Elapsed <= 0 {
		return 0
	}
	return float64(s.Requests) / s.Elapsed.Seconds()
}

// cpu is microseconds of the server's processor time per request.
func (s sample) cpu() float64 {
	if s.Requests == 0 {
		return 0
	}
	return float64(s.CPU.Nanoseconds()) / 1e3 / float64(s.Requests)
}

// contender is one of the things that are measured beside each other.
type contender struct {
	Name    string
	run     func(ctx context.Context, d time.Duration) (sample, error)
	samples []sample
}

func (c *contender) rates() []float64 { return c.each(sample.rate) }
func (c *contender) cpus() []float64  { return c.each(sample.cpu) }

func (c *contender) each(f func(sample) float64) []float64 {
	out := make([]float64, len(c.samples))
	for i, s := range c.samples {
		out[i] = f(s)
	}
	return out
}

// interleave warms every contender up, then lets them take turns.
func (b *bench) interleave(ctx context.Context, all ...*contender) error {
	for _, c := range all {
		if _, err := c.run(ctx, b.round/2); err != nil {
			return fmt.Errorf("warm up %s: %w", c.Name, err)
		}
	}
	for round := range b.rounds {
		for _, c := range all {
			s, err := c.run(ctx, b.round)
			if err != nil {
				return fmt.Errorf("%s, round %d: %w", c.Name, round+1, err)
			}
			c.samples = append(c.samples, s)
			b.say("  round %d of %d  %-42s %9.0f/s  %7.1f µs", round+1, b.rounds, c.Name, s.rate(), s.cpu())
		}
	}
	return nil
}
