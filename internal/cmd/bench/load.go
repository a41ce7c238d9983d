package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// loadConnections is the number of connections over which the requests of a rising load are sent.
// It is more than the requests that a server has under way while it answers in time.
const loadConnections = 256

// The steps of a rising load. The rate of each step is loadGrowth times the rate before. The load
// ends after the second step in which too many answers come late.
const (
	firstLoadRate = 1_000 // the requests per second of the first step
	loadGrowth    = 1.2
	lastLoadRate  = 100_000
)

// numberBeforeLoad is the number before that of the first user that a rising load creates. The
// users of all other parts of the benchmark have smaller numbers, so all user names of the load are
// new.
const numberBeforeLoad = 5_000_000

// lateAnswer is how long an answer may take, in milliseconds. A rate is held if 99 of 100 answers
// take no longer.
const lateAnswer = 50.0

// loadStep has the results of one rate.
type loadStep struct {
	rate   int       // how many requests are due each second
	times  latencies // the latencies of the requests
	sample sample    // the requests and the processor time of the step
}

// isHeld reports whether 99 of 100 requests were answered in time.
func (s loadStep) isHeld() bool { return s.times.quantile(0.99) < lateAnswer }

// heldRate returns the highest rate that was held, with all lower rates. It returns 0 if there is
// none.
func heldRate(steps []loadStep) int {
	held := 0
	for _, s := range steps {
		if !s.isHeld() {
			break
		}
		held = s.rate
	}
	return held
}

// measureLoad sends requests to the largest site at rising rates, until answers come late.
func (b *bench) measureLoad(ctx context.Context, w *runningSites, s *section) error {
	site, server := w.largest(), w.servers[len(w.servers)-1]
	requests, err := site.newMixedLoad()
	if err != nil {
		return err
	}
	duration := time.Duration(b.rounds) * b.roundDuration
	late := 0
	for rate := firstLoadRate; rate <= lastLoadRate && late < 2; rate = nextLoadRate(rate) {
		step, err := b.runLoadStep(ctx, server, requests, rate, duration)
		if err != nil {
			return err
		}
		s.Steps = append(s.Steps, step)
		b.print("  %s requests/s: p50 %.1f ms, p99 %.1f ms, %.0f µs of processor time for each request",
			withThousandsCommas(rate), step.times.quantile(0.5), step.times.quantile(0.99), step.sample.totalMicros())
		if !step.isHeld() {
			late++
		}
		if b.quick {
			break
		}
	}
	return nil
}

// nextLoadRate returns the rate of the step after the one with this rate, a multiple of 100.
func nextLoadRate(rate int) int { return int(float64(rate)*loadGrowth+50) / 100 * 100 }

// runLoadStep sends requests at one rate.
func (b *bench) runLoadStep(ctx context.Context, server *server, requests func(n int) [][]byte, rate int, d time.Duration) (loadStep, error) {
	step := loadStep{rate: rate}
	c := &contender{Name: fmt.Sprintf("%d requests/s", rate), server: server}
	c.runRound = func(ctx context.Context, d time.Duration) (int, time.Duration, error) {
		due := requests(max(1, int(float64(rate)*d.Seconds())))
		began := time.Now()
		var err error
		step.times, err = sendAtRate(ctx, server.addr, loadConnections, rate, due, expectSuccess)
		return len(step.times), time.Since(began), err
	}
	var err error
	step.sample, err = b.runOnce(ctx, c, d)
	return step, err
}

// newMixedLoad returns a function that makes n requests: GETs by id, lookups by userName, PATCHes
// of active and creates, a quarter each.
func (s *population) newMixedLoad() (func(n int) [][]byte, error) {
	number := numberBeforeLoad
	creating, err := s.createLoad("", 1, func() int { number++; return number })
	if err != nil {
		return nil, err
	}
	changing := s.activationLoad("", 1)
	rng := rand.New(rand.NewPCG(1, 2))
	return func(n int) [][]byte {
		all := make([][]byte, n)
		for i := range all {
			at := rng.IntN(len(s.ids))
			switch i % 4 {
			case 0:
				all[i] = s.appendRequest(nil, http.MethodGet, "/Users/"+s.ids[at], nil)
			case 1:
				all[i] = changing.buildRequest(0, rng, nil)
			case 2:
				all[i] = s.appendRequest(nil, http.MethodGet, lookupPath(personOf(at).userName()), nil)
			default:
				all[i] = creating.buildRequest(0, rng, nil)
			}
		}
		return all
	}, nil
}

// expectSuccess returns an error unless the request was answered with success.
func expectSuccess(status int, body []byte) error {
	if status < 200 || status > 299 {
		return unexpectedAnswer(status, body)
	}
	return nil
}

// loadAim is the aim for the requests per second that are held.
func (s *section) loadAim() aim {
	if s.Kind == kindSQLite {
		return atLeast(5_000)
	}
	return aim{}
}

// formatSteps returns the text and the table of a rising load.
func (s *section) formatSteps() string {
	rows := [][]string{{"requests/s", "requests", "p50, ms", "p99, ms", "longest, ms", "server CPU, µs"}}
	if s.Kind == kindPostgres {
		rows[0] = append(rows[0], "PostgreSQL's CPU, µs")
	}
	for _, step := range s.Steps {
		row := []string{
			withThousandsCommas(step.rate), withThousandsCommas(len(step.times)), fmt.Sprintf("%.1f", step.times.quantile(0.5)),
			fmt.Sprintf("%.1f", step.times.quantile(0.99)), fmt.Sprintf("%.1f", step.times.quantile(1)), formatWhole([]float64{step.sample.cpuMicros()}),
		}
		if s.Kind == kindPostgres {
			row = append(row, formatWhole([]float64{step.sample.databaseMicros()}))
		}
		rows = append(rows, row)
	}
	held := "Not one rate was held"
	if rate := heldRate(s.Steps); rate > 0 {
		held = fmt.Sprintf("**%s requests a second are held**", withThousandsCommas(rate))
	}
	if a := s.loadAim(); a != (aim{}) {
		held += fmt.Sprintf(" (aim %s)", a)
	}
	return held + ".\n\n" + formatTable(rows)
}
