package main

import "fmt"

// aim is a bound that the project means to keep; the zero value is none.
type aim struct {
	least bool // at least value, or at most
	value float64
}

func atLeast(value float64) aim { return aim{least: true, value: value} }
func atMost(value float64) aim  { return aim{value: value} }

func (a aim) holds(x float64) bool {
	if a.least {
		return x >= a.value
	}
	return x <= a.value
}

func (a aim) String() string {
	if a.least {
		return fmt.Sprintf("≥ %.2f", a.value)
	}
	if a.value >= 10 {
		return fmt.Sprintf("≤ %.0f", a.value)
	}
	return fmt.Sprintf("≤ %.1f", a.value)
}

// claim is what a row says of itself: a ratio to another row, or its processor time beside a budget.
type claim struct {
	than  *contender // nil: a budget
	words string     // what than is, as a factor: "0.33 × words"
	rate  bool       // of rates; else of processor time, PostgreSQL's included
	aim   aim
}

func rateOf(than *contender, words string, a aim) claim {
	return claim{than: than, words: words, rate: true, aim: a}
}

func costOf(than *contender, words string, a aim) claim {
	return claim{than: than, words: words, aim: a}
}

func costs(a aim) claim { return claim{aim: a} }

// values are the claim's, one for each round.
func (l claim) values(c *contender) []float64 {
	switch {
	case l.than == nil:
		return c.totals()
	case l.rate:
		return ratios(c.rates(), l.than.rates())
	}
	return ratios(c.totals(), l.than.totals())
}

// verdict is whether a claim with an aim holds.
type verdict int

const (
	noAim verdict = iota
	holds
	missed
	unknown // not measured
)

func (v verdict) String() string {
	return [...]string{"", "holds", "**missed**", "not measured"}[v]
}

func (l claim) verdict(c *contender) verdict {
	values := l.values(c)
	switch {
	case l.aim == aim{}:
		return noAim
	case len(values) == 0:
		return unknown
	case l.aim.holds(spreadOf(values).Median):
		return holds
	}
	return missed
}

// String is the claim in words, with its aim and whether it holds.
func (l claim) text(c *contender) string {
	values := l.values(c)
	text := "not measured"
	switch {
	case l.than == nil:
		return fmt.Sprintf("budget %s µs: %s", l.aim, l.verdict(c))
	case len(values) > 0 && l.rate:
		text = ratio(values) + " × " + l.words
	case len(values) > 0:
		text = "CPU " + ratio(values) + " × " + l.words
	default:
		text += " beside " + l.words
	}
	if v := l.verdict(c); v == holds || v == missed {
		text += fmt.Sprintf(" (%s: %s)", l.aim, v)
	}
	return text
}

// sqlite is an aim that is about SQLite only, postgres about PostgreSQL only.
func (w *world) sqlite(a aim) aim {
	if w.kind == kindSQLite {
		return a
	}
	return aim{}
}

func (w *world) postgres(a aim) aim {
	if w.kind == kindPostgres {
		return a
	}
	return aim{}
}

// emptyWhereBudgeted is the processor time in µs of an empty handler's request at 16 clients on the machine where the
// budgets were set.
const emptyWhereBudgeted = 21

// budget is processor time in µs, on SQLite, as it stands and by the measure of an empty handler in the same rounds.
func (w *world) budget(micros float64, nothing *contender) []claim {
	if w.kind != kindSQLite {
		return nil
	}
	return []claim{costs(atMost(micros)), costOf(nothing, "an empty handler's", atMost(micros/emptyWhereBudgeted))}
}

// smaller names the site before the largest.
func (w *world) smaller() string {
	return "that at " + count(w.sites[max(0, len(w.sites)-2)].users()) + " users"
}
