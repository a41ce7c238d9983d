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
	MaxPatternInput = 10_000 // characters of a string that is matched

	// MatchTime is how long the regular expressions of one evaluation may take together.
	MatchTime = 250 * time.Millisecond

	oneMatch      = 50 * time.Millisecond // how long one match may take
	allMatches    = 30 * time.Millisecond // how long all matches but the slowest may take together
	matchTick     = 10 * time.Millisecond // how often the library looks at the clock
	maxBacktracks = 1 << 20               // places that a match may have to come back to
)

// pattern is a regular expression of .NET.
type pattern struct {
	re     *regexp2.Regexp
	groups []string // names and numbers
}

// tickOnce sets the library's clock, which all patterns share, before the first one starts it.
var tickOnce = sync.OnceFunc(func() { regexp2.SetTimeoutCheckPeriod(matchTick) })

// compilePattern reads a regular expression; problem says why it cannot be read.
func compilePattern(text string) (p *pattern, problem string) {
	tickOnce()
	if len(text) > MaxPattern {
		return nil, fmt.Sprintf("it has more than %d bytes", MaxPattern)
	}
	re, err := regexp2.Compile(text, regexp2.OptionMaxBacktrackingStackSize(maxBacktracks))
	if err != nil {
		return nil, strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	}
	re.MatchTimeout = oneMatch
	return &pattern{re: re, groups: re.GetGroupNames()}, ""
}

// match is one match, with the string that it is in.
type match struct {
	*regexp2.Match
	source string
}

// at is where a part of the match begins and ends in the source.
func (m *match) at(c regexp2.Capture) (from, to int) {
	index, length := c.ByteRange()
	return index, index + length
}

// errStop ends matches without an error.
var errStop = errors.New("stop")

// stopwatch adds up the time that matches take. It leaves out the slowest, because a busy machine can stop any match for a while.
type stopwatch struct {
	total, slowest time.Duration
}

func (w *stopwatch) add(since time.Time) {
	took := time.Since(since)
	w.total += took
	w.slowest = max(w.slowest, took)
}

func (w *stopwatch) expired() bool { return w.total-w.slowest > allMatches }

// matches calls do for each match in the text, within the limits of the evaluation.
func (n *node) matches(r *run, p *pattern, text string, do func(*match) error) error {
	if err := n.matched(text); err != nil {
		return err
	}
	var found *regexp2.Match
	for {
		var err error
		if found, err = r.match(p, text, found); err != nil || r.matching.expired() {
			return n.slow(err)
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

// match finds the first match, or the one after another. A match that runs out of time gets a second chance: on a busy machine
// the library's clock can jump past a limit that the match has not used.
func (r *run) match(p *pattern, text string, after *regexp2.Match) (found *regexp2.Match, err error) {
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

// slow explains a pattern that went past a limit. The library's message would show the whole string.
func (n *node) slow(err error) error {
	problem := "took too long"
	if errors.Is(err, regexp2.ErrBacktrackingStackLimit) {
		problem = "needs too much memory"
	}
	return n.failAt(n.args[replacePattern], fmt.Sprintf("the regular expression %s on this string; simplify it, above all repetitions inside repetitions", problem))
}
