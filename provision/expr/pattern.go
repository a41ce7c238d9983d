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
	MaxPatternBytes      = 2_000  // how many bytes a pattern may have
	MaxPatternInputChars = 10_000 // how many characters a string may have if a pattern is searched in it

	// MatchTime is about how long all regular expressions of one evaluation may take together.
	MatchTime = 250 * time.Millisecond

	singleMatchTimeLimit  = 50 * time.Millisecond // the time limit of a single match
	otherMatchesTimeLimit = 30 * time.Millisecond // the time limit of all matches of an evaluation together, without the slowest match
	matchTick             = 10 * time.Millisecond // the interval at which the library updates its clock
	maxBacktracks         = 1 << 20               // how many positions for backtracking a match may store
)

// pattern is a regular expression in .NET's syntax.
type pattern struct {
	regexp *regexp2.Regexp
	groups []string // the names and numbers of the groups
}

// setTickOnce sets the interval at which the library updates its clock. All patterns share this
// clock, so setTickOnce must be called before the first pattern is compiled.
var setTickOnce = sync.OnceFunc(func() { regexp2.SetTimeoutCheckPeriod(matchTick) })

// compilePattern compiles a regular expression. If it is invalid, problem says why; otherwise it is
// "".
func compilePattern(text string) (p *pattern, problem string) {
	setTickOnce()
	if len(text) > MaxPatternBytes {
		return nil, fmt.Sprintf("it has more than %d bytes", MaxPatternBytes)
	}
	re, err := regexp2.Compile(text, regexp2.OptionMaxBacktrackingStackSize(maxBacktracks))
	if err != nil {
		return nil, strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	}
	re.MatchTimeout = singleMatchTimeLimit
	return &pattern{regexp: re, groups: re.GetGroupNames()}, ""
}

// match is one match of a pattern, together with the string in which it was found.
type match struct {
	*regexp2.Match
	source string
}

// rangeOf returns where a part of the match begins and ends in the source string, in bytes.
func (m *match) rangeOf(c regexp2.Capture) (from, to int) {
	index, length := c.ByteRange()
	return index, index + length
}

// errStop makes eachMatch stop without an error.
var errStop = errors.New("stop")

// matchStopwatch adds up how long the matches of one evaluation take. The limit does not count the
// slowest match, because a busy machine can interrupt any match for a while.
type matchStopwatch struct {
	total, slowest time.Duration
}

// add adds the time of a match that began at the time since.
func (w *matchStopwatch) add(since time.Time) {
	took := time.Since(since)
	w.total += took
	w.slowest = max(w.slowest, took)
}

// expired reports whether all matches but the slowest took too long.
func (w *matchStopwatch) expired() bool { return w.total-w.slowest > otherMatchesTimeLimit }

// eachMatch calls do for each match in the string. It stops without an error if do returns errStop.
// It returns an error if a limit is exceeded.
func (n *node) eachMatch(r *evaluation, p *pattern, text string, do func(*match) error) error {
	if err := n.checkLength(text); err != nil {
		return err
	}
	var found *regexp2.Match
	for {
		var err error
		if found, err = r.nextMatch(p, text, found); err != nil || r.matchTime.expired() {
			return n.limitError(err)
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

// nextMatch finds the next match in the string: the first match if after is nil, and otherwise the
// match that follows the match in after. found is nil if there is no further match. If the search
// runs out of time, nextMatch tries it once more: on a busy machine, the library's clock can jump
// past the limit although the search has not used the time.
func (r *evaluation) nextMatch(p *pattern, text string, after *regexp2.Match) (found *regexp2.Match, err error) {
	for range 2 {
		start := time.Now()
		if after == nil {
			found, err = p.regexp.FindStringMatch(text)
		} else {
			found, err = p.regexp.FindNextMatch(after)
		}
		r.matchTime.add(start)
		if err == nil || errors.Is(err, regexp2.ErrBacktrackingStackLimit) {
			break
		}
	}
	return found, err
}

// limitError returns the error for a pattern that exceeded a limit. It does not contain the
// library's message, because that shows the whole string.
func (n *node) limitError(err error) error {
	return n.errorAt(n.args[patternArgument], limitMessage(err))
}

// limitMessage returns a sentence that says which limit a pattern exceeded, and what to do.
func limitMessage(err error) string {
	problem := "took too long"
	if errors.Is(err, regexp2.ErrBacktrackingStackLimit) {
		problem = "needs too much memory"
	}
	return fmt.Sprintf("the regular expression %s on this string; simplify it, above all repetitions inside repetitions", problem)
}

// Pattern is a regular expression in .NET's syntax, for uses outside expressions such as scoping
// filters. It has the same limits as a regular expression in an expression.
type Pattern struct{ compiled *pattern }

// CompilePattern compiles a regular expression. It returns an error that says why the regular
// expression is invalid.
func CompilePattern(text string) (*Pattern, error) {
	p, problem := compilePattern(text)
	if problem != "" {
		return nil, errors.New(problem)
	}
	return &Pattern{p}, nil
}

// Matches reports whether the pattern matches somewhere in a string. It returns an error that says
// which limit was exceeded.
func (p *Pattern) Matches(text string) (bool, error) {
	if isTooLong(text) {
		return false, errors.New(tooLongMessage)
	}
	var r evaluation
	found, err := r.nextMatch(p.compiled, text, nil)
	if err != nil {
		return false, errors.New(limitMessage(err))
	}
	return found != nil, nil
}
