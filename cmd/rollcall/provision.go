package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/provision"
)

func (c *command) provisionCommand() *cobra.Command {
	return groupCommand("provision", "Provision a directory's users into an application",
		c.provisionTest(), c.provisionPlan(), c.provisionUndo(), c.provisionDrift(), c.provisionDiscover(), c.provisionDiscovered(), c.provisionRun(), c.provisionOnDemand(), c.provisionWhy(), c.provisionConnections(), c.provisionList(), c.provisionStatus(), c.provisionLog(),
		c.provisionHeld(), c.provisionApprove(), c.provisionReject(),
		c.provisionSwitch("start", "Set Provisioning Status to On: the server works on the job", (*provision.Jobs).Start),
		c.provisionSwitch("pause", "Set Provisioning Status to Off: nothing is sent, everything is remembered", (*provision.Jobs).Pause),
		c.provisionSwitch("restart", "Look at everyone again, also at people whose account is gone: clears the watermark, escrow and quarantine, keeps the links; sets Provisioning Status to On", (*provision.Jobs).Restart))
}

func jobKey(h *directory.Handle, app directory.Application) provision.Key {
	return provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
}

func (c *command) provisionTest() *cobra.Command {
	return &cobra.Command{
		Use: "test DIRECTORY APP", Short: "Test Connection with the saved credentials", Args: exactArguments("DIRECTORY", "APP"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			job, err := s.jobs.Get(cmd.Context(), jobKey(h, app))
			if err != nil {
				return err
			}
			found, err := s.jobs.TestConnection(cmd.Context(), job.Key, job.TenantURL, nil)
			if err != nil {
				return err
			}
			return c.print(map[string]any{"connected": true, "tenantUrl": job.TenantURL, "matching": found.Users, "matchingGroups": append([]provision.Searchable{}, found.Groups...), "noGroups": found.NoGroups}, func(w io.Writer) {
				fmt.Fprintf(w, "✓ %s: the supplied credentials are authorized to enable provisioning.\n", job.TenantURL)
				for _, one := range found.Users {
					if one.Proved {
						fmt.Fprintf(w, "✓ The application can be searched by %s.\n", oneLine(one.Path))
					} else {
						fmt.Fprintf(w, "! %s\n", oneLine(one.Note()))
					}
					if note := one.CaseNote(); note != "" {
						fmt.Fprintf(w, "! %s\n", oneLine(note))
					}
				}
				for _, one := range found.Groups {
					if one.Proved {
						fmt.Fprintf(w, "✓ The application can be searched for groups by %s.\n", oneLine(one.Path))
					}
				}
				for _, note := range found.GroupNotes() {
					fmt.Fprintf(w, "! %s\n", oneLine(note))
				}
			})
		}),
	}
}

func (c *command) provisionPlan() *cobra.Command {
	var with string
	cmd := &cobra.Command{
		Use: "plan DIRECTORY APP", Short: "Show what the next cycle would do, person by person; changes nothing", Args: exactArguments("DIRECTORY", "APP"),
		Long: `Evaluates everybody as a cycle would and prints each person and each attribute
that would change, old and new, and the members that groups would get or lose.
Reads from the application, writes nothing there.
The plan is kept for a day under its hash: plan show shows it again, plan approve and
plan apply send exactly its operations.
With --with it is the plan for the mappings of a file that is not imported yet: a
synchronizationSchema document, as app export-schema prints it. Such a plan is not
kept.
With --json one object per line, and a summary as the last.

Exit codes: 0 if there is nothing to do; 2 if there is something to do; 1 if no plan
can be made.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			schema, notes, err := plannedSchema(cmd.Context(), s, jobKey(h, app), app.Name, with)
			if err != nil {
				return err
			}
			setGarbageLimits() // a plan works as much as a cycle does
			if schema == nil {
				p, err := s.engine.BeginPlan(cmd.Context(), jobKey(h, app), actor)
				if err != nil {
					return err
				}
				return c.fillPlan(cmd.Context(), s, h, app, p)
			}
			report, err := s.engine.PlanWith(cmd.Context(), jobKey(h, app), schema, c.showPlanned)
			if err != nil {
				return err
			}
			report.Notes = append(report.Notes, notes...)
			return c.showPlan(h, app, provision.StoredPlan{Report: report})
		}),
	}
	cmd.Flags().StringVar(&with, "with", "", "file with mappings to plan with, instead of the saved ones")
	cmd.AddCommand(c.provisionPlanList(), c.provisionPlanShow(), c.provisionPlanApprove(), c.provisionPlanApply(), c.provisionPlanCancel())
	return cmd
}

// plannedSchema reads the mappings of --with. The notes name the parts of the file that this
// installation does not know. They also name the people that the mappings would bring into the
// scope or take out of it, with the clause that causes the change. Without --with the schema is
// nil.
func plannedSchema(ctx context.Context, s *services, key provision.Key, app, file string) (schema *provision.Schema, notes []string, err error) {
	if file == "" {
		return nil, nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	if schema, err = provision.ParseSchema(text); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := s.jobs.CheckSchema(schema); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	lost, err := provision.NotTakenOver(text, schema)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, path := range lost {
		notes = append(notes, "Not known here and left out: "+path)
	}
	now, err := s.jobs.Get(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	after := now
	after.Schema = schema
	effect, err := s.jobs.Effect(ctx, now, after)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	notes = append(notes, effect.PlanNotes(app, phrase.Count)...)
	return schema, notes, nil
}

func printPlannedObject(w io.Writer, o provision.PlannedObject) error {
	name := o.UserName
	if name == "" {
		name = o.DisplayName
	}
	if o.Result != provision.Success {
		_, err := fmt.Fprintf(w, "%-8s %s: %s %s\n", o.Result, oneLine(name), oneLine(o.Reason), o.Advice)
		return err
	}
	after := ""
	if o.Follows {
		after = " (after the others)"
	}
	if _, err := fmt.Fprintf(w, "%-8s %s%s\n", o.Action, oneLine(name), after); err != nil {
		return err
	}
	if o.Reason != "" {
		if _, err := fmt.Fprintf(w, "           %s\n", oneLine(o.Reason)); err != nil {
			return err
		}
	}
	if err := printPlannedMembers(w, "+", o.Added); err != nil {
		return err
	}
	if err := printPlannedMembers(w, "-", o.Removed); err != nil {
		return err
	}
	for _, ch := range o.Changes {
		drawn := ""
		if ch.Drawn {
			drawn = " (an example: drawn when the account is created)"
		}
		if _, err := fmt.Fprintf(w, "           %s: %s → %s%s\n", ch.Path, quoteValue(ch.Old), quoteValue(ch.New), drawn); err != nil {
			return err
		}
	}
	return nil
}

// printPlannedMembers prints the members that a plan adds to a group or removes from it.
func printPlannedMembers(w io.Writer, sign string, members []provision.PlannedMember) error {
	for _, m := range members {
		if _, err := fmt.Fprintf(w, "           %s member %s\n", sign, oneLine(m.DisplayName)); err != nil {
			return err
		}
	}
	return nil
}

func printPlanReport(w io.Writer, r provision.PlanReport) error {
	for _, note := range r.Notes {
		if _, err := fmt.Fprintf(w, "Note: %s\n", note); err != nil {
			return err
		}
	}
	if r.OnHold > 0 {
		if _, err := fmt.Fprintf(w, "Note: %d of the skipped are on hold or will be: one cause would disable or delete more accounts than it may. Approve them with rollcall provision approve, or reject them.\n", r.OnHold); err != nil {
			return err
		}
	}
	if r.MembersOnHold > 0 {
		if _, err := fmt.Fprintf(w, "Note: %s on hold or will be. Approve them with rollcall provision approve, or reject them.\n", phrase.Count(r.MembersOnHold, "removal of a member is", "removals of members are")); err != nil {
			return err
		}
	}
	if r.Kind == provision.UndoPlan {
		_, err := fmt.Fprintf(w, "\nOf %s: %d to restore, %d to disable, %d to delete; %d left as they are, %d as before already, %d that cannot be done. Nothing was sent.\n",
			phrase.Count(r.Read, "person or group", "people and groups"), r.Updates, r.Disables, r.Deletes, r.NotUndone, r.Skips-r.OnHold, r.Failures)
		return err
	}
	if r.Kind == provision.DisablePlan {
		_, err := fmt.Fprintf(w, "\nOf %s: %d to disable; %d left as they are, %d disabled already, %d that cannot be done. Nothing was changed.\n",
			phrase.Count(r.Read, "account", "accounts"), r.Disables, r.NotUndone, r.Skips-r.OnHold, r.Failures)
		return err
	}
	if r.Kind == provision.ReassertPlan {
		_, err := fmt.Fprintf(w, "\nOf %s: %d to create, %d to update, %d to disable, %d to delete; %d skipped, %d that cannot be done. Nothing was changed.\n",
			phrase.Count(r.Read, "person or group that differs", "people and groups that differ"), r.Creates, r.Updates, r.Disables, r.Deletes, r.Skips, r.Failures)
		return err
	}
	_, err := fmt.Fprintf(w, "\nThe next cycle (%s) would look at %s: %d to create, %d to update, %d to disable, %d to delete; %d skipped, %d that cannot be done.%s Nothing was changed.\n",
		r.Kind, phrase.Count(r.Read, "person", "people"), r.Creates, r.Updates, r.Disables, r.Deletes, r.Skips, r.Failures, plannedMembersWords(r))
	return err
}

// plannedMembersWords describes how many memberships and references a plan changes. It returns ""
// if the plan changes none.
func plannedMembersWords(r provision.PlanReport) string {
	words := ""
	if r.MembersAdded+r.MembersRemoved > 0 {
		words += fmt.Sprintf(" Members of groups: %d to add, %d to remove.", r.MembersAdded, r.MembersRemoved)
	}
	if r.References > 0 {
		words += fmt.Sprintf(" References such as the manager: %d to set or remove.", r.References)
	}
	return words
}

// quoteValue formats a value for people: in quotation marks, or as "none" if there is no value.
func quoteValue(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case string:
		return strconv.Quote(v)
	default:
		return oneLine(fmt.Sprint(v))
	}
}

func (c *command) provisionRun() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "run DIRECTORY APP", Short: "Do one cycle now, in this process, under the job's lease", Args: exactArguments("DIRECTORY", "APP"),
		Long: `Does one cycle: an initial one the first time and after a restart, else an
incremental one. It prints each person that it changed or could not change. While
another process works on the job, it refuses to run and names that process.
It ends when each person on the work list was tried once. Exit codes: 0 if all is
done; 1 if a person failed; 3 if a person has to wait, if operations are on hold (see
provision held), or if --timeout ended the cycle.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			if timeout < 0 || cmd.Flags().Changed("timeout") && timeout == 0 {
				return usagef(cmd, "--timeout is longer than 0, not %s", timeout)
			}
			ctx, cancel := cmd.Context(), context.CancelFunc(func() {})
			if timeout > 0 {
				ctx, cancel = context.WithTimeoutCause(ctx, timeout, errTimeout)
			}
			defer cancel()
			done := 0
			setGarbageLimits() // a cycle works as much as a server does
			report, err := s.engine.RunWatched(ctx, jobKey(h, app), s.owner, func(e provision.LogEntry) error {
				if done++; done%1000 == 0 {
					fmt.Fprintf(peopleWriter{c.stderr}, "%d people so far\n", done)
				}
				if c.json {
					return c.printLine(e)
				}
				return printLogLine(peopleWriter{c.stdout}, e)
			}, func(r provision.CycleReport, until time.Time, why string) {
				fmt.Fprintf(peopleWriter{c.stderr}, "Waiting until %s, %d looked at so far: %s\n", until.UTC().Format("15:04:05"), r.Read, oneLine(why))
			})
			if err != nil && errors.Is(context.Cause(ctx), errTimeout) {
				fmt.Fprintf(peopleWriter{c.stderr}, "rollcall: stopped after %s; what is left stays on the work list\n", timeout)
				return errLeftWaiting
			}
			if err != nil {
				return err
			}
			if c.json {
				err = c.printLine(report)
			} else {
				_, err = fmt.Fprintf(peopleWriter{c.stdout}, "\n%s cycle: %d looked at; %d created, %d updated, %d disabled, %d deleted, %d skipped, %d failed, %d waiting. %s\n",
					strings.ToUpper(report.Kind[:1])+report.Kind[1:], report.Read, report.Created, report.Updated, report.Disabled, report.Deleted, report.Skipped, report.Failed, report.Waiting, report.Error)
			}
			held := false
			if err == nil {
				held, err = c.noteHeld(cmd.Context(), s, h, app)
			}
			switch {
			case err != nil:
				return err
			case report.State != provision.Succeeded:
				return errAlreadyPrinted
			case report.Waiting > 0 || held:
				return errLeftWaiting
			}
			return nil
		}),
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "stop after this time, as 10m; without it, no limit")
	return cmd
}

func printLogLine(w io.Writer, e provision.LogEntry) error {
	name := e.SourceIdentity.DisplayName
	if name == "" {
		name = e.SourceIdentity.ID
	}
	text := e.Status.Reason
	if e.Status.RecommendedAction != "" {
		text += " " + e.Status.RecommendedAction
	}
	if e.Status.Status == provision.Success {
		paths := make([]string, 0, len(e.Modified))
		for _, m := range e.Modified {
			paths = append(paths, m.DisplayName)
		}
		text = strings.Join(paths, ", ")
	}
	_, err := fmt.Fprintf(w, "%-8s %-8s %s: %s\n", e.Status.Status, e.Action, oneLine(name), oneLine(text))
	return err
}

func (c *command) provisionStatus() *cobra.Command {
	var check bool
	var late time.Duration
	cmd := &cobra.Command{
		Use: "status DIRECTORY APP", Short: "Show how the job is going", Args: exactArguments("DIRECTORY", "APP"),
		Long: `Shows how the job is going: who is linked, who waits for what and since when,
who fails why. With --check the exit code is 1 if the job is in quarantine, or if
an account waits to be closed for longer than it may.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			if late <= 0 {
				return usagef(cmd, "--leaver-alarm is a time such as 15m, not %s", late)
			}
			s.jobs.LeaverPatience = late
			r, err := s.jobs.Report(cmd.Context(), jobKey(h, app))
			if err != nil {
				return err
			}
			var oldest struct {
				Change *time.Time `json:"change"`
				Leaver *time.Time `json:"leaver"`
				Late   bool       `json:"late"`
			}
			if !r.OldestChange.IsZero() {
				oldest.Change = &r.OldestChange
			}
			if !r.OldestLeaver.IsZero() {
				oldest.Leaver = &r.OldestLeaver
			}
			oldest.Late = r.LeaverLate
			err = c.print(map[string]any{
				"waiting": append([]provision.Waits{}, r.Waits...), "failing": append([]provision.Failing{}, r.Failing...), "oldest": oldest,
				"code": r.Code, "tenantUrl": r.Job.TenantURL, "scope": r.Job.Scope, "status": r.Job.Status, "state": r.State,
				"linked": r.Linked, "lost": r.Lost, "held": r.KeptBlocked, "escrowed": r.Escrowed, "unmatched": r.Unmatched, "pending": r.Pending, "onHold": r.OnHold, "rejected": r.Rejected, "groups": r.Groups, "members": r.Members, "notes": r.Notes,
			}, func(w io.Writer) { c.printStatus(w, r) })
			if err == nil && check && (r.LeaverLate || r.State.Quarantine != nil) {
				return errAlreadyPrinted
			}
			return err
		}),
	}
	cmd.Flags().DurationVar(&late, "leaver-alarm", provision.DefaultLeaverPatience, "how long an account may wait to be closed before that is an alarm")
	cmd.Flags().BoolVar(&check, "check", false, "exit with 1 if the job is in quarantine or a leaver's account waits too long")
	return cmd
}

func (c *command) printStatus(w io.Writer, r provision.Report) {
	fmt.Fprintf(w, "Status          %s\nTenant URL      %s\nScope           %s\nLinked people   %d\nAccount gone    %d\nKept blocked    %d\nWithout match   %d\nTo be retried   %d\nWaiting         %d\n",
		statusWords(r.Code), r.Job.TenantURL, r.Job.Scope, r.Linked, r.Lost, r.KeptBlocked, r.Unmatched, r.Escrowed, r.Pending)
	if r.Groups > 0 {
		fmt.Fprintf(w, "Linked groups   %d, with %s\n", r.Groups, phrase.Count(r.Members, "member", "members"))
	}
	if r.OnHold > 0 {
		fmt.Fprintf(w, "On hold         %d (see rollcall provision held)\n", r.OnHold)
	}
	if r.Rejected > 0 {
		fmt.Fprintf(w, "Rejected        %d\n", r.Rejected)
	}
	for _, one := range r.Waits {
		fmt.Fprintf(w, "                %d since %s: %s\n", one.Count, c.formatTime(one.Since), oneLine(one.Reason))
	}
	for _, one := range r.Failing {
		fmt.Fprintf(w, "Failing         %d since %s, %s, such as: %s\n", one.Count, c.formatTime(one.Since), one.Code, oneLine(one.Reason))
	}
	if !r.OldestChange.IsZero() {
		fmt.Fprintf(w, "Oldest change   not done since %s\n", c.formatTime(r.OldestChange))
	}
	if !r.OldestLeaver.IsZero() {
		late := ""
		if r.LeaverLate {
			late = ", too long"
		}
		fmt.Fprintf(w, "Oldest leaver   account to be closed since %s%s\n", c.formatTime(r.OldestLeaver), late)
	}
	if last := r.State.Last; last != nil {
		fmt.Fprintf(w, "Last cycle      %s, %s, ended %s: %d created, %d updated, %d disabled, %d skipped, %d failed\n",
			last.Kind, cycleWords(last.State), c.formatTime(last.Ended), last.Created, last.Updated, last.Disabled, last.Skipped, last.Failed)
		if last.Redundant > 0 {
			fmt.Fprintf(w, "                %d of the skipped were unchanged; the log counts them and does not list them\n", last.Redundant)
		}
	}
	if q := r.State.Quarantine; q != nil {
		fmt.Fprintf(w, "Quarantine      since %s, %s: %s\n                %s\n                Tried again %s\n", c.formatTime(q.Since), q.Code, oneLine(q.Message), q.Advice, c.formatTime(q.NextAttempt))
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "Note            %s\n", oneLine(note))
	}
}

// cycleWords returns how a cycle ended, in the words that the pages use.
func cycleWords(state string) string {
	switch state {
	case provision.Succeeded:
		return "completed"
	case provision.EntryLevelErrors:
		return "completed with errors"
	case provision.Failed:
		return "stopped"
	}
	return state
}

func (c *command) provisionLog() *cobra.Command {
	var status, action, since, until, cycle string
	var limit int
	cmd := &cobra.Command{
		Use: "log DIRECTORY APP [PERSON]", Short: "Show the provisioning logs, newest first", Args: between(2, "DIRECTORY", "APP", "PERSON"),
		Long: `Shows the provisioning logs, newest first. PERSON is a name or a part of one, an id of the
directory or of the application, or an error code.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			if limit < 1 {
				return usagef(cmd, "--limit is 1 or more, not %d", limit)
			}
			q := provision.LogQuery{Limit: min(limit, 500), Cycle: cycle}
			var err error
			if q.From, err = readMoment(cmd, "since", since, 0); err != nil {
				return err
			}
			if q.Until, err = readMoment(cmd, "until", until, 1); err != nil {
				return err
			}
			if !q.From.IsZero() && !q.Until.IsZero() && !q.From.Before(q.Until) {
				return usagef(cmd, "--since %s is not before --until %s", since, until)
			}
			if status != "" {
				if q.Status, err = parseOneOf(cmd, "status", status, provision.Success, provision.Warning, provision.Failure, provision.Skipped); err != nil {
					return err
				}
			}
			if action != "" {
				if q.Action, err = parseOneOf(cmd, "action", action, provision.Create, provision.Update, provision.Disable, provision.Delete, provision.Other); err != nil {
					return err
				}
			}
			if len(args) > 0 {
				q.Search = args[0]
			}
			entries := []provision.LogEntry{}
			for len(entries) < limit {
				page, next, err := s.jobs.Logs(cmd.Context(), jobKey(h, app), q)
				if err != nil {
					return err
				}
				entries = append(entries, page...)
				if q.Before = next; next == "" {
					break
				}
			}
			entries = entries[:min(limit, len(entries))]
			return c.print(entries, func(w io.Writer) {
				if len(entries) == 0 {
					fmt.Fprintln(w, "The provisioning logs have no such entry.")
				}
				for _, e := range entries {
					fmt.Fprintf(w, "%s  ", c.formatTime(e.ActivityTime))
					if err := printLogLine(w, e); err != nil {
						return
					}
				}
			})
		}),
	}
	cmd.Flags().StringVar(&status, "status", "", "only success, warning, failure or skipped")
	cmd.Flags().StringVar(&action, "action", "", "only create, update, disable, delete or other")
	cmd.Flags().StringVar(&since, "since", "", "only entries from this day (2026-11-29, in UTC) or time (2026-11-29T08:00:00Z) on")
	cmd.Flags().StringVar(&until, "until", "", "only entries up to this day, with the day itself, or before this time")
	cmd.Flags().StringVar(&cycle, "cycle-id", "", "only entries of the cycle with this id, as --json shows it")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many entries")
	return cmd
}

// provisionSwitch returns a command that calls do to change the status of a job.
func (c *command) provisionSwitch(use, short string, do func(*provision.Jobs, context.Context, provision.Key, string) (provision.Job, error)) *cobra.Command {
	return &cobra.Command{
		Use: use + " DIRECTORY APP", Short: short, Args: exactArguments("DIRECTORY", "APP"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			job, err := do(s.jobs, cmd.Context(), jobKey(h, app), actor)
			if err != nil {
				return err
			}
			return c.print(map[string]any{"status": job.Status}, func(w io.Writer) {
				fmt.Fprintf(w, "%s: Provisioning Status %s.\n", app.Name, job.Status)
			})
		}),
	}
}
