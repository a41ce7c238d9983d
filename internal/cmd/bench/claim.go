package main

import (
	"cmp"
	"fmt"
)

// aim is a limit that the project has set for a measured value: the smallest or the greatest value
// that it accepts. The zero aim means that there is no limit.
type aim struct {
	isMinimum bool    // whether value is the smallest allowed value; otherwise it is the greatest
	value     float64 // the limit
}

// atLeast returns an aim with the smallest allowed value.
func atLeast(value float64) aim { return aim{isMinimum: true, value: value} }

// atMost returns an aim with the greatest allowed value.
func atMost(value float64) aim { return aim{value: value} }

// holds reports whether the value x meets the aim.
func (a aim) holds(x float64) bool {
	if a.isMinimum {
		return x >= a.value
	}
	return x <= a.value
}

// String returns the aim as the report shows it, such as "≥ 0.90".
func (a aim) String() string {
	if a.isMinimum && a.value >= 10 {
		return fmt.Sprintf("≥ %.0f", a.value)
	}
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

// claim is a statement about a row of the report. It compares the row with another row, the
// reference; or it compares the processor time of the row with a budget.
type claim struct {
	reference     *contender // the row to compare with; nil if the claim is about a budget
	words         string     // the words for the reference row after a factor, such as "an empty handler's" in "0.33 × an empty handler's"
	comparesRates bool       // whether the claim compares requests per second; otherwise it compares processor time, including that of PostgreSQL
	factor        float64    // each ratio of rates is multiplied by this number; 0 means 1
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

// values returns the values of the claim for the row c, one for each round. A value is a ratio, or
// a processor time in µs.
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

// verdict says whether the aim of a claim holds, which means that the measured value meets the aim.
type verdict int

const (
	noAim       verdict = iota // the claim has no aim
	aimHolds                   // the value meets the aim
	aimMissed                  // the value does not meet the aim
	notMeasured                // there is no value
)

// String returns the verdict as the report shows it.
func (v verdict) String() string {
	return [...]string{"", "holds", "**missed**", "not measured"}[v]
}

// verdict returns the verdict on the aim of the claim, for the row c.
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

// text returns the claim about the row c in words for the report, with its aim and its verdict.
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

// aimOnSQLite returns the aim a if the sites are on SQLite, and otherwise the zero aim, which sets
// no limit.
func (w *databaseSites) aimOnSQLite(a aim) aim {
	if w.kind == kindSQLite {
		return a
	}
	return aim{}
}

// aimOnPostgres returns the aim a if the sites are on PostgreSQL, and otherwise the zero aim, which
// sets no limit.
func (w *databaseSites) aimOnPostgres(a aim) aim {
	if w.kind == kindPostgres {
		return a
	}
	return aim{}
}

// emptyHandlerMicros is the processor time, in µs, of a request to an empty handler. The time was
// measured with 16 clients on the machine for which the budgets were chosen.
const emptyHandlerMicros = 21

// budgetClaims returns two claims about the processor time of a request on SQLite. The first
// compares the measured time with a budget of micros µs. The second compares it with the time of
// the empty handler in the same rounds. On PostgreSQL it returns no claims.
func (w *databaseSites) budgetClaims(micros float64, empty *contender) []claim {
	if w.kind != kindSQLite {
		return nil
	}
	return []claim{budgetClaim(atMost(micros)), costClaim(empty, "an empty handler's", atMost(micros/emptyHandlerMicros))}
}

// smallerSiteName returns the words for the second largest site in a ratio, such as "that at 1,000
// users".
func (w *databaseSites) smallerSiteName() string {
	return "that at " + withThousandsCommas(w.sites[max(0, len(w.sites)-2)].users()) + " users"
}
