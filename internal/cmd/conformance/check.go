package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/rollcall-scim/rollcall/internal/foreign"
)

// verdict is the outcome of a check.
type verdict int

const (
	failed    verdict = iota // the check failed, and explained.go does not explain the failure
	passed                   // the check passed
	explained                // the check failed, and explained.go explains the failure
	notRun                   // the check was not run
)

// check is one check of a suite, with its verdict.
type check struct {
	name    string
	verdict verdict
	details string // the wanted and the actual result of a failed check, or the reason why a check was not run
	reason  string // why the server behaves differently, if the verdict is explained; otherwise empty
}

// pass returns a check that passed.
func pass(name string) check { return check{name: name, verdict: passed} }

// fail returns a check that failed, with the formatted text as details.
func fail(name, format string, args ...any) check {
	return check{name: name, details: foreign.OneLine(fmt.Sprintf(format, args...))}
}

// skip returns a check that was not run, and the reason.
func skip(name, why string) check {
	return check{name: name, verdict: notRun, details: foreign.OneLine(why)}
}

// passIf returns a passed check if ok is true, otherwise a failed check with the formatted text as
// details.
func passIf(ok bool, name, format string, args ...any) check {
	if ok {
		return pass(name)
	}
	return fail(name, format, args...)
}

// suite is a group of checks that run against their own site. It is one row of the table.
type suite struct {
	name        string // the name of the suite in the table
	description string // the subject of the checks, for the table
	site        string // the name of the suite's own site, which is empty at the start
	strict      bool   // whether the suite's site is in strict mode
	token       string // the token of the suite's site
	// run runs the checks. Its error means that the suite ended early.
	run func(context.Context, *client) (report, error)
}

// report holds the results of a suite, and the name and version of the program that produced them.
type report struct {
	program string // the name and version of another project's program; empty if the suite needs none
	checks  []check
}

// result is a suite with its report.
type result struct {
	suite
	report
	notRunReason string // why the whole suite was not run; empty if it was run
}

// explainKnownFailures returns the result of a suite, with the known failures marked as explained.
// The error err, which ended the suite early, counts as a failure too.
func explainKnownFailures(s suite, found report, err error) result {
	r := result{suite: s}
	r.program = found.program
	var m foreign.Missing
	if errors.As(err, &m) {
		r.notRunReason = m.Message
		return r
	}
	for _, c := range found.checks {
		if e, ok := explanationOf(s.name, c); ok {
			c.verdict, c.reason = explained, e.reason
		}
		r.checks = append(r.checks, c)
	}
	if err != nil {
		r.checks = append(r.checks, fail("the run itself", "%v", err))
	} else if len(found.checks) == 0 {
		r.checks = append(r.checks, fail("the run itself", "the suite ended without a single check"))
	}
	return r
}

// count returns how many checks of the suite have a verdict.
func (r result) count(v verdict) (n int) {
	for _, c := range r.checks {
		if c.verdict == v {
			n++
		}
	}
	return n
}

// countUnexplained returns the number of failures without an explanation.
func countUnexplained(results []result) (n int) {
	for _, r := range results {
		n += r.count(failed)
	}
	return n
}
