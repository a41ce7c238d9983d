package expr

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/dlclark/regexp2/v2"
)

// Limits of regular expressions.
const (
	MaxPattern      = 2_000  // bytes of a pattern
	MaxPatternInput = 10_000 // characters of a string to search

	// MatchTime is the time limit for all regular expressions of one evaluation together.
	MatchTime = 250 * time.Millisecond

	maxMatchTime      = 50 * time.Millisecond // time limit of a single match
	maxOtherMatchTime = 30 * time.Millisecond // time limit of all matches together, without the slowest one
	matchTick         = 10 * time.Millisecond // how often the library checks the clock
	maxBacktracks     = 1 << 20               // how many backtracking positions a match may keep
)

// pattern is a regular expression in .NET's syntax.
type pattern struct {
	re     *regexp2.Regexp
	groups []string // names and numbers of the groups
}

// tickOnce sets how often the library's clock ticks. All patterns share that clock, so tickOnce
// must be called before the first pattern starts the clock.
var tickOnce = sync.OnceFunc(func() { regexp2.SetTimeoutCheckPeriod(matchTick) })

// compilePattern compiles a regular expression. If it is invalid, problem says why.
func compilePattern(text string) (p *pattern, problem string) {
	tickOnce()
	if len(text) > MaxPattern {
		return nil, fmt.Sprintf("it has more than %d bytes", MaxPattern)
	}
	re, err := regexp2.Compile(text, regexp2.OptionMaxBacktrackingStackSize(maxBacktracks))
	if err != nil {
		return nil, strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	}
	re.MatchTimeout = maxMatchTime
	return &pattern{re: re, groups: re.GetGroupNames()}, ""
}

// match is one match, together with the string in which it was found.
type match struct {
	*regexp2.Match
	source string
}

// rangeOf returns the start and end of a part of the match in the source string.
func (m *match) rangeOf(c regexp2.Capture) (from, to int) {
	index, length := c.ByteRange()
	return index, index + length
}

// errStop makes eachMatch stop without an error.
var errStop = errors.New("stop")

// stopwatch adds up the time that matches take. It leaves out the slowest match, because a busy
// machine can pause any match for a while.
type stopwatch struct {
	total, slowest time.Duration
}

func (w *stopwatch) add(since time.Time) {
	took := time.Since(since)
	w.total += took
	w.slowest = max(w.slowest, took)
}

func (w *stopwatch) expired() bool { return w.total-w.slowest > maxOtherMatchTime }

// eachMatch calls do for each match in the string, within the time limits of the evaluation.
func (n *node) eachMatch(r *evaluation, p *pattern, text string, do func(*match) error) error {
	if err := n.checkLength(text); err != nil {
		return err
	}
	var found *regexp2.Match
	for {
		var err error
		if found, err = r.nextMatch(p, text, found); err != nil || r.matching.expired() {
			return n.explainLimit(err)
		}
		if found == nil {
			return nil
		}
		if err := do(&match{found, text}); err != nil {
			if errors.Is(err, errStop) {
				return nil
			}
			return err
		}
	}
}

// nextMatch finds the first match, or the match that follows after. If a match runs out of time,
// nextMatch tries it once more. On a busy machine, the library's clock can jump past a limit
// although the match has not used the time.
func (r *evaluation) nextMatch(p *pattern, text string, after *regexp2.Match) (found *regexp2.Match, err error) {
	for range 2 {
		start := time.Now()
		if after == nil {
			found, err = p.re.FindStringMatch(text)
		} else {
			found, err = p.re.FindNextMatch(after)
		}
		r.matching.add(start)
		if err == nil || errors.Is(err, regexp2.ErrBacktrackingStackLimit) {
			break
		}
	}
	return found, err
}

// explainLimit returns the error for a pattern that exceeded a limit. It does not use the library's
// message, which would show the whole string.
func (n *node) explainLimit(err error) error {
	return n.failAt(n.args[replacePattern], limitWords(err))
}

// limitWords says which limit a pattern exceeded, and what to do about it.
func limitWords(err error) string {
	problem := "took too long"
	if errors.Is(err, regexp2.ErrBacktrackingStackLimit) {
		problem = "needs too much memory"
	}
	return fmt.Sprintf("the regular expression %s on this string; simplify it, above all repetitions inside repetitions", problem)
}

// Pattern is a regular expression in .NET's syntax outside an expression, for example in a scoping
// filter. It has the same limits as in expressions.
type Pattern struct{ compiled *pattern }

// CompilePattern compiles a regular expression. The error says why it is invalid.
func CompilePattern(text string) (*Pattern, error) {
	p, problem := compilePattern(text)
	if problem != "" {
		return nil, errors.New(problem)
	}
	return &Pattern{p}, nil
}

// Matches reports whether the pattern matches anywhere in a string. The error says which limit was
// exceeded.
func (p *Pattern) Matches(text string) (bool, error) {
	if isTooLong(text) {
		return false, errors.New(tooLongWords)
	}
	var r evaluation
	found, err := r.nextMatch(p.compiled, text, nil)
	if err != nil {
		return false, errors.New(limitWords(err))
	}
	return found != nil, nil
}
