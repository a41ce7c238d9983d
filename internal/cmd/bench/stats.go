package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// spread is the median of some values, with the smallest and the largest of them.
type spread struct{ Median, Min, Max float64 }

// spreadOf returns the spread of values, or zero if there are none.
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

// ratios divides each value in over by the value of the same round in under. The two values of a
// round were measured under the same conditions.
func ratios(over, under []float64) []float64 {
	var out []float64
	for i := range min(len(over), len(under)) {
		if under[i] != 0 {
			out = append(out, over[i]/under[i])
		}
	}
	return out
}

// sample is the result of one contender in one round.
type sample struct {
	Requests int           // how many requests the contender has answered
	Elapsed  time.Duration // how long the round took
	CPU      time.Duration // the processor time of the server process alone
	Database time.Duration // the processor time of PostgreSQL's processes
}

// rate returns the requests per second.
func (s sample) rate() float64 {
	if s.Elapsed <= 0 {
		return 0
	}
	return float64(s.Requests) / s.Elapsed.Seconds()
}

// cpuMicros returns the processor time of the server for each request, in µs. databaseMicros
// returns that of PostgreSQL, and totalMicros the sum of both.
func (s sample) cpuMicros() float64      { return s.perRequest(s.CPU) }
func (s sample) databaseMicros() float64 { return s.perRequest(s.Database) }
func (s sample) totalMicros() float64    { return s.perRequest(s.CPU + s.Database) }

// perRequest returns a duration divided by the number of requests, in µs.
func (s sample) perRequest(d time.Duration) float64 {
	if s.Requests == 0 {
		return 0
	}
	return float64(d.Nanoseconds()) / 1e3 / float64(s.Requests)
}

// contender is a server under a certain load. A run compares it with other contenders. It is a row
// of the report.
type contender struct {
	Name    string  // the first cell of the row
	Users   int     // the number of users of the site
	Clients int     // how many clients send requests at the same time
	server  *server // the server that answers, and whose processor time is measured
	// runRound runs one round, which takes the time d.
	runRound func(ctx context.Context, d time.Duration) (requests int, elapsed time.Duration, err error)
	cleanUp  func(ctx context.Context) error // undoes the changes that runRound has made, outside the measured time; may be nil
	claims   []claim                         // the claims about this row
	samples  []sample                        // the results of the rounds so far
	err      error                           // why the contender failed; after a failure it gets no further samples
}

// rates, cpuTimes, databaseTimes and totalTimes return a figure of each sample: the requests per
// second, and the processor time for each request in µs.
func (c *contender) rates() []float64         { return c.mapSamples(sample.rate) }
func (c *contender) cpuTimes() []float64      { return c.mapSamples(sample.cpuMicros) }
func (c *contender) databaseTimes() []float64 { return c.mapSamples(sample.databaseMicros) }
func (c *contender) totalTimes() []float64    { return c.mapSamples(sample.totalMicros) }

// mapSamples returns f of each sample.
func (c *contender) mapSamples(f func(sample) float64) []float64 {
	out := make([]float64, len(c.samples))
	for i, s := range c.samples {
		out[i] = f(s)
	}
	return out
}

// processorTimes is the processor time that a server and its database server have used.
type processorTimes struct{ server, database time.Duration }

// readProcessorTimes returns the processor time that the server and its database server have used
// so far.
func (s *server) readProcessorTimes() (u processorTimes, err error) {
	if u.server, err = s.processorTime(); err != nil || s.database == nil {
		return u, err
	}
	u.database, err = s.database.processorTime()
	return u, err
}

// turn is a round of a contender that has run, but whose processor time is not complete yet. A
// rollcall server writes the log rows of reads up to a second after the round, and this work
// belongs to the round. Meanwhile other servers have their rounds.
type turn struct {
	contender *contender
	sample    sample
	before    processorTimes // the processor times before the round
	ended     time.Time      // when the last answer of the round came
	warmUp    bool           // whether the round is a warm-up, whose sample is discarded
}

// beginTurn reads the processor time and then runs a round of the contender.
func (b *bench) beginTurn(ctx context.Context, c *contender, d time.Duration) (*turn, error) {
	t := &turn{contender: c}
	var err error
	if t.before, err = c.server.readProcessorTimes(); err != nil {
		return nil, err
	}
	if t.sample.Requests, t.sample.Elapsed, err = c.runRound(ctx, d); err != nil {
		select {
		case <-c.server.done():
			err = fmt.Errorf("%w\n%s", err, c.server.process.Tail())
		default:
		}
		return nil, err
	}
	t.ended = time.Now()
	return t, nil
}

// endTurn waits until the round's log rows are written, then reads the processor time.
func (b *bench) endTurn(ctx context.Context, t *turn) (sample, error) {
	select {
	case <-time.After(time.Until(t.ended.Add(b.settleTime))):
	case <-ctx.Done():
		return sample{}, ctx.Err()
	}
	after, err := t.contender.server.readProcessorTimes()
	t.sample.CPU, t.sample.Database = after.server-t.before.server, after.database-t.before.database
	return t.sample, err
}

// runOnce runs a single round of a contender and returns its sample.
func (b *bench) runOnce(ctx context.Context, c *contender, d time.Duration) (sample, error) {
	t, err := b.beginTurn(ctx, c, d)
	if err != nil {
		return sample{}, err
	}
	return b.endTurn(ctx, t)
}

// interleave warms up every contender, and then runs the rounds of all contenders in turns. If a
// contender fails, the report says why, and the others continue without it. Only the end of ctx
// stops all contenders.
func (b *bench) interleave(ctx context.Context, all ...*contender) error {
	open := map[*server]*turn{}
	for round := range b.rounds + 1 {
		for _, c := range all {
			if c.err == nil {
				c.err = b.runTurn(ctx, open, c, round)
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
	}
	for _, c := range all {
		if t := open[c.server]; t != nil {
			b.closeTurn(ctx, open, t)
		}
	}
	return context.Cause(ctx)
}

// runTurn runs one round of a contender. Round 0 is the warm-up. open holds the turns that have not
// ended yet, by their server; before the round, runTurn closes the open turn of the server.
func (b *bench) runTurn(ctx context.Context, open map[*server]*turn, c *contender, round int) error {
	if t := open[c.server]; t != nil {
		b.closeTurn(ctx, open, t)
	}
	d := b.roundDuration
	if round == 0 {
		d /= 2
	}
	t, err := b.beginTurn(ctx, c, d)
	if err != nil {
		b.print("  %s: %v", c.Name, err)
		return err
	}
	t.warmUp = round == 0
	open[c.server] = t
	if !t.warmUp {
		b.print("  round %d of %d  %-58s %9.1f/s", round, b.rounds, c.title(), t.sample.rate())
	}
	if c.cleanUp == nil {
		return nil
	}
	b.closeTurn(ctx, open, t)
	return c.cleanUp(ctx)
}

// closeTurn ends a turn and adds its sample to the contender.
func (b *bench) closeTurn(ctx context.Context, open map[*server]*turn, t *turn) {
	delete(open, t.contender.server)
	s, err := b.endTurn(ctx, t)
	if err != nil {
		t.contender.err = err
		return
	}
	if t.warmUp {
		return
	}
	t.contender.samples = append(t.contender.samples, s)
}

// title returns the name of the row with the numbers of users and clients.
func (c *contender) title() string {
	return fmt.Sprintf("%s, %s users, %s", c.Name, withThousandsCommas(c.Users), clientsText(c.Clients))
}
