package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// world carries out the first part of the program: one directory is provisioned into all targets.
type world struct {
	options options // the flags of the command
	*company
	source   *source      // changes and provisions the directory
	runs     []*targetRun // the targets, with their results
	month    *month       // plays the steps
	progress io.Writer    // gets lines about the progress
	began    time.Time    // when the program began
}

// targetRun is a target with the results of the month.
type targetRun struct {
	target
	server             *server             // the running target
	recorder           *recorder           // the recorder in front of the target
	failures           map[string]*failure // the log entries that are not successes, grouped by error code
	logTexts           map[string][]string // the texts of the log entries about an object, by object id
	comparison         *comparison         // the result of comparing the target with the company
	namedDifferences   []difference        // the differences that the log names
	unnamedDifferences []difference        // the differences that the log does not name
	requests           int                 // the number of requests in the month, without the second run
	writes             int                 // the number of requests in the month that write
	secondRequests     int                 // the number of requests in the second run
	secondWrites       int                 // the number of requests in the second run that write
	notes              []string            // the deviations of the target that Rollcall has found
	hasFailure         map[string]bool     // whether the log has a failure of an object, by object id
	approvedCount      int                 // the number of approved operations, which had been on hold
}

// failure counts the log entries with one error code.
type failure struct {
	count           int    // the number of entries
	reason, example string // the reason in one of the entries, and the name of that entry's object
}

// printProgress prints a line that begins with the time since the start.
func (w *world) printProgress(format string, args ...any) {
	fmt.Fprintf(w.progress, "%6.1fs  %s\n", time.Since(w.began).Seconds(), fmt.Sprintf(format, args...))
}

// install starts a target and its recorder.
func (w *world) install(ctx context.Context, t target, dir string) error {
	w.printProgress("%s: %s …", t.name, t.description)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	s, err := t.start(ctx, dir, w.options.binary)
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	e := &targetRun{target: t, server: s, failures: map[string]*failure{}, logTexts: map[string][]string{}, hasFailure: map[string]bool{}}
	w.runs = append(w.runs, e)
	e.recorder, err = startRecorder(s.base)
	return err
}

// stop ends all targets and their recorders.
func (w *world) stop() (err error) {
	for _, e := range w.runs {
		if e.recorder != nil {
			err = errors.Join(err, e.recorder.stop())
		}
		err = errors.Join(err, e.server.stop())
	}
	return err
}

// tenantURL returns the Tenant URL of the application: the address of the recorder, with the path
// and the flag of the target.
func (e *targetRun) tenantURL() string {
	_, rest, _ := strings.Cut(e.server.base, "://")
	return "http://" + e.recorder.addr + rest[strings.IndexByte(rest, '/'):] + e.flag
}

// play loads the company into the directory and plays the month. On each day it plays some steps
// and then provisions every application.
func (w *world) play(ctx context.Context) error {
	w.printProgress("%d people and %d groups", len(w.people), len(w.groups))
	if err := w.source.loadCompany(ctx, w.company); err != nil {
		return err
	}
	w.month = &month{company: w.company, source: w.source, touched: map[*person]bool{}, timesPlayed: map[string]int{}}
	for _, e := range w.runs {
		if err := w.source.createApplication(ctx, w.company, e.name, e.tenantURL(), e.server.token); err != nil {
			return err
		}
		w.month.applications = append(w.month.applications, e.name)
	}
	if err := w.provision(ctx); err != nil {
		return err
	}
	played := 0
	for day := 1; day <= w.options.days; day++ {
		switch day {
		case 1 + w.options.days/3:
			if err := w.month.editFilter(ctx, departmentName(0)); err != nil {
				return err
			}
		case 1 + 2*w.options.days/3:
			if err := w.month.editFilter(ctx, ""); err != nil {
				return err
			}
		}
		for ; played < w.options.steps*day/w.options.days; played++ {
			if err := w.month.play(ctx); err != nil {
				return err
			}
		}
		if err := w.provision(ctx); err != nil {
			return err
		}
		w.printProgress("day %d: %d steps", day, played)
	}
	return w.retryFailures(ctx)
}

// keepFiles copies all files of the directory's installation into the folder that -keep names. It
// does nothing without -keep.
func (w *world) keepFiles() error {
	if w.options.keep == "" {
		return nil
	}
	return os.CopyFS(w.options.keep, os.DirFS(w.source.installation.Dir))
}

// provision provisions each application once, and approves the operations on hold.
func (w *world) provision(ctx context.Context) error {
	clear(w.month.touched)
	for _, e := range w.runs {
		c, err := w.source.run(ctx, e.name)
		if err != nil {
			return err
		}
		e.recordLog(c)
		for range 5 { // approve the operations on hold; other operations may become due after that
			if c.exitCode != exitWaiting {
				break
			}
			approved, err := w.source.approve(ctx, e.name)
			if err != nil {
				return err
			}
			e.approvedCount += approved
			if c, err = w.source.run(ctx, e.name); err != nil {
				return err
			}
			e.recordLog(c)
		}
	}
	w.recordRun()
	return nil
}

// retryFailures provisions three more times, so that Rollcall tries failed operations again.
func (w *world) retryFailures(ctx context.Context) error {
	for range 3 {
		if err := w.provision(ctx); err != nil {
			return err
		}
	}
	return nil
}

// recordLog records the entries of a cycle's log.
func (e *targetRun) recordLog(c cycle) {
	for _, entry := range c.entries {
		var words []string
		if entry.Status.Status == "failure" {
			e.hasFailure[entry.Source.ID] = true
		}
		if entry.Status.Status != "success" {
			if e.failures[entry.Status.ErrorCode] == nil {
				e.failures[entry.Status.ErrorCode] = &failure{reason: entry.Status.Reason, example: entry.Source.DisplayName}
			}
			e.failures[entry.Status.ErrorCode].count++
			words = append(words, entry.Status.Reason, entry.Status.RecommendedAction)
		}
		for _, s := range entry.Steps {
			words = append(words, s.Description)
		}
		e.logTexts[entry.Source.ID] = append(e.logTexts[entry.Source.ID], words...)
	}
}

// compareTargets compares each target with the company. Then it provisions the application again,
// which is the second run.
func (w *world) compareTargets(ctx context.Context) error {
	for _, e := range w.runs {
		var err error
		if e.comparison, err = compare(ctx, e.server, w.company); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		e.requests, e.writes = e.recorder.count()
		if _, err := w.source.run(ctx, e.name); err != nil {
			return err
		}
		all, writes := e.recorder.count()
		e.secondRequests, e.secondWrites = all-e.requests, writes-e.writes
		if e.notes, err = w.source.notes(ctx, e.name); err != nil {
			return err
		}
		e.splitDifferences()
		w.printProgress("%s: %d of %d people, %d of %d groups, %d of %d memberships; %d requests, %d of them writes; the second run sent %d, %d of them writes",
			e.name, e.comparison.peopleOK, e.comparison.people, e.comparison.groupsOK, e.comparison.groups, e.comparison.membersOK, e.comparison.memberships, e.requests, e.writes, e.secondRequests, e.secondWrites)
		w.printFailures(e)
	}
	return nil
}

// splitDifferences separates the differences that the log names from the others.
func (e *targetRun) splitDifferences() {
	for _, d := range e.comparison.differences {
		if e.logNames(d) {
			e.namedDifferences = append(e.namedDifferences, d)
		} else {
			e.unnamedDifferences = append(e.unnamedDifferences, d)
		}
	}
}

// logNames reports whether the log names a difference. If the whole object differs, the log must
// have a failure of the object. Otherwise an entry about the object must contain the name of the
// attribute.
func (e *targetRun) logNames(d difference) bool {
	if d.attribute == "" {
		return e.hasFailure[d.objectID]
	}
	attribute := strings.TrimSuffix(d.attribute, ".value")
	return slices.ContainsFunc(e.logTexts[d.objectID], func(words string) bool { return strings.Contains(words, attribute) })
}

// printFailures prints the failures in the log of a target, and the notes about the target.
func (w *world) printFailures(e *targetRun) {
	for code, f := range e.failures {
		w.printProgress("  log: %d × %s, such as %s: %s", f.count, code, f.example, f.reason)
	}
	for _, note := range e.notes {
		w.printProgress("  note: %s", note)
	}
	for i, d := range e.unnamedDifferences {
		if i == 30 {
			w.printProgress("  … %d more", len(e.unnamedDifferences)-i)
			break
		}
		w.printProgress("  not in the log: %s", d)
	}
	for i, d := range e.namedDifferences {
		if i == 10 {
			w.printProgress("  … %d more", len(e.namedDifferences)-i)
			break
		}
		w.printProgress("  in the log: %s", d)
	}
}

// checkResults returns an error if a target has a difference that the log does not name, or if the
// second run of an application sent more than one search.
func (w *world) checkResults() error {
	var problems []error
	for _, e := range w.runs {
		if n := len(e.unnamedDifferences); n > 0 {
			problems = append(problems, fmt.Errorf("%s: %d differences that the log does not name, such as: %s", e.name, n, e.unnamedDifferences[0]))
		}
		if e.secondWrites > 0 || e.secondRequests > 1 {
			problems = append(problems, fmt.Errorf("%s: the second run sent %d requests, %d of them writes", e.name, e.secondRequests, e.secondWrites))
		}
	}
	return errors.Join(problems...)
}
