package main

import (
	"cmp"
	"fmt"
)

// aim is a limit that the project has set for a measured value: the smallest or the greatest value
// that it accepts. The zero aim means that there is no limit.
type aim struct {
	isMinimum bool // whether value is the smallest allowed value; otherwise it is the greatest
	value     float64
}

func atLeast(value float64) aim { return aim{isMinimum: true, value: value} }
func atMost(value float64) aim  { return aim{value: value} }

func (a aim) holds(x float64) bool {
	if a.isMinimum {
		return x >= a.value
	}
	return x <= a.value
}

func (a aim) String() string {
	if a.isMinimum {
		return fmt.Sprintf("≥ %.2f", a.value)
	}
	if a.value >= 10 {
		return fmt.Sprintf("≤ %.0f", a.value)
	}
	if a.value < 0.1 {
		return fmt.Sprintf("≤ %.2f", a.value)
	}
	return fmt.Sprintf("≤ %.1f", a.value)
}

// claim is a statement about a row of the report. It compares the row with another row, or the
// row's processor time with a budget.
type claim struct {
	reference     *contender // the row to compare with; nil if the claim is about a budget
	words         string     // the words for the reference row after a factor, such as "an empty handler's" in "0.33 × an empty handler's"
	comparesRates bool       // whether the claim compares rates; if false, it compares processor time, including PostgreSQL's
	factor        float64    // what each ratio of rates is multiplied by; 0 means 1
	aim           aim
}

// rateClaim returns a claim that compares the contender's requests per second with those of another
// contender.
func rateClaim(than *contender, words string, a aim) claim {
	return claim{reference: than, words: words, comparesRates: true, aim: a}
}

// costClaim returns a claim that compares the contender's processor time for each request with that
// of another contender.
func costClaim(than *contender, words string, a aim) claim {
	return claim{reference: than, words: words, aim: a}
}

// budgetClaim returns a claim about the contender's own processor time for each request.
func budgetClaim(a aim) claim { return claim{aim: a} }

// values returns the value of the claim for each round: a ratio, or a processor time in µs.
func (l claim) values(c *contender) []float64 {
	switch {
	case l.reference == nil:
		return c.totalTimes()
	case l.comparesRates:
		values := ratios(c.rates(), l.reference.rates())
		for i := range values {
			values[i] *= cmp.Or(l.factor, 1)
		}
		return values
	}
	return ratios(c.totalTimes(), l.reference.totalTimes())
}

// verdict says whether the aim of a claim holds.
type verdict int

const (
	noAim verdict = iota
	aimHolds
	aimMissed
	notMeasured // the claim was not measured
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
		return notMeasured
	case l.aim.holds(spreadOf(values).Median):
		return aimHolds
	}
	return aimMissed
}

// text returns the claim in words for the report, with its aim and its verdict.
func (l claim) text(c *contender) string {
	values := l.values(c)
	text := "not measured"
	switch {
	case l.reference == nil:
		return fmt.Sprintf("budget %s µs: %s", l.aim, l.verdict(c))
	case len(values) > 0 && l.comparesRates:
		text = formatRatio(values) + " × " + l.words
	case len(values) > 0:
		text = "CPU " + formatRatio(values) + " × " + l.words
	default:
		text += " beside " + l.words
	}
	if v := l.verdict(c); v == aimHolds || v == aimMissed {
		text += fmt.Sprintf(" (%s: %s)", l.aim, v)
	}
	return text
}

// onSQLite returns the aim a if the sites are on SQLite. On PostgreSQL it returns the zero aim,
// which means no aim.
func (w *databaseSites) onSQLite(a aim) aim {
	if w.kind == kindSQLite {
		return a
	}
	return aim{}
}

// onPostgres returns the aim if the sites are on PostgreSQL, and otherwise no aim.
func (w *databaseSites) onPostgres(a aim) aim {
	if w.kind == kindPostgres {
		return a
	}
	return aim{}
}

// emptyHandlerMicros is the processor time, in µs, of a request to an empty handler. The time was
// measured with 16 clients on the machine for which the budgets were chosen.
const emptyHandlerMicros = 21

// budgetClaims returns two claims about processor time on SQLite. The first compares the measured
// time with the budget, micros µs. The second compares the measured time with that of an empty
// handler in the same rounds.
func (w *databaseSites) budgetClaims(micros float64, empty *contender) []claim {
	if w.kind != kindSQLite {
		return nil
	}
	return []claim{budgetClaim(atMost(micros)), costClaim(empty, "an empty handler's", atMost(micros/emptyHandlerMicros))}
}

// smallerSiteName returns the name of the second largest site in the report.
func (w *databaseSites) smallerSiteName() string {
	return "that at " + withThousandsCommas(w.sites[max(0, len(w.sites)-2)].users()) + " users"
}
