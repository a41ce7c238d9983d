package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/provision"
)

// errSomethingToDo ends a command with exit code 2, because something is left to do: a plan has
// operations, or there is drift.
var errSomethingToDo = errors.New("something to do")

// keptPlanJSON is a saved plan in --json output.
type keptPlanJSON struct {
	provision.StoredPlan
	SecondApproval bool                 `json:"secondApproval"` // whether only another operator than the maker can approve it
	Counts         provision.PlanCounts `json:"counts"`
}

func newKeptPlanJSON(p provision.StoredPlan, n provision.PlanCounts) keptPlanJSON {
	return keptPlanJSON{StoredPlan: p, SecondApproval: p.NeedsSecondApproval(), Counts: n}
}

// fillPlan completes a plan that was begun, and prints it. The error is errSomethingToDo if the
// plan has operations.
func (c *command) fillPlan(ctx context.Context, s *services, h *directory.Handle, app directory.Application, p provision.StoredPlan) error {
	done := 0
	p, err := s.engine.FillPlan(ctx, p, func(o provision.PlannedObject) error {
		if done++; done%1000 == 0 {
			fmt.Fprintf(peopleWriter{c.stderr}, "%d people so far\n", done)
		}
		return c.showPlanned(o)
	})
	if err != nil {
		return err
	}
	return c.showPlan(h, app, p)
}

// showPlanned prints one object of a plan.
func (c *command) showPlanned(o provision.PlannedObject) error {
	if c.json {
		return c.printLine(o)
	}
	return printPlannedObject(peopleWriter{c.stdout}, o)
}

// showPlan prints the summary of a plan after its objects. The error is errSomethingToDo if the
// plan has operations.
func (c *command) showPlan(h *directory.Handle, app directory.Application, p provision.StoredPlan) (err error) {
	if c.json {
		err = c.printLine(struct {
			provision.PlanReport
			Hash    string          `json:"hash,omitempty"`
			Expires time.Time       `json:"expires,omitzero"`
			Undo    *provision.Undo `json:"undo,omitempty"`
		}{p.Report, p.Hash, p.Expires, p.Undo})
	} else {
		err = printPlanReport(peopleWriter{c.stdout}, p.Report)
		if err == nil && p.Hash != "" && p.Report.SomethingToDo() {
			if p.NeedsSecondApproval() {
				_, err = fmt.Fprintf(peopleWriter{c.stdout}, "This is plan %s, kept until %s. It cannot be approved, because Second approval is on and the command line does not show who you are: make it on its page.\n", p.Short(), c.formatTime(p.Expires))
				return cmp.Or(err, errSomethingToDo)
			}
			_, err = fmt.Fprintf(peopleWriter{c.stdout}, "This is plan %s, kept until %s. To send exactly this: rollcall provision plan approve %s %q %s, then plan apply.\n",
				p.Short(), c.formatTime(p.Expires), h.Directory.Name, app.Name, p.Short())
		}
	}
	if err == nil && p.Report.SomethingToDo() {
		return errSomethingToDo
	}
	return err
}

func (c *command) provisionPlanList() *cobra.Command {
	return &cobra.Command{
		Use: "list DIRECTORY APP", Short: "List the plans that are kept, the newest first", Args: exactArguments("DIRECTORY", "APP"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			plans, err := s.engine.ListPlans(cmd.Context(), jobKey(h, app))
			if err != nil {
				return err
			}
			out := []keptPlanJSON{}
			for _, p := range plans {
				counts, err := s.engine.PlanCounts(cmd.Context(), p)
				if err != nil {
					return err
				}
				out = append(out, newKeptPlanJSON(p, counts))
			}
			return c.print(out, func(w io.Writer) {
				if len(out) == 0 {
					fmt.Fprintln(w, "No plan is kept.")
				}
				for _, p := range out {
					c.printKeptPlan(w, p)
				}
			})
		}),
	}
}

// printKeptPlan prints one line that describes a saved plan.
func (c *command) printKeptPlan(w io.Writer, p keptPlanJSON) {
	name := p.Short()
	if name == "" {
		name = "-"
	}
	fmt.Fprintf(w, "%-12s  %-9s  %s by %s  %s", name, p.State, c.formatTime(p.Started), oneLine(event.ParseActor(p.MadeBy).Words()), planOperations(p.Report))
	switch {
	case p.Problem != "":
		fmt.Fprintf(w, "  %s", oneLine(p.Problem))
	case p.State == provision.PlanApplied || p.State == provision.PlanApplying:
		fmt.Fprintf(w, "  %s", planOutcomes(p.Counts))
	case p.State == provision.PlanReady || p.State == provision.PlanApproved:
		fmt.Fprintf(w, "  until %s", c.formatTime(p.Expires))
	}
	switch {
	case p.ApprovedBy != "":
		fmt.Fprintf(w, "  approved by %s", oneLine(event.ParseActor(p.ApprovedBy).Words()))
	case p.SecondApproval && p.State == provision.PlanReady:
		fmt.Fprint(w, "  another operator has to approve it on its page")
	}
	fmt.Fprintln(w)
}

// planOperations says how many operations of each kind a plan has.
func planOperations(r provision.PlanReport) string {
	text := fmt.Sprintf("%d to create, %d to update, %d to disable, %d to delete", r.Creates, r.Updates, r.Disables, r.Deletes)
	if r.OnHold > 0 {
		text += fmt.Sprintf(", %d on hold", r.OnHold)
	}
	if r.NotUndone > 0 {
		text += fmt.Sprintf(", %d left as they are", r.NotUndone)
	}
	if r.MembersAdded+r.MembersRemoved+r.MembersOnHold > 0 {
		text += fmt.Sprintf("; members: %d to add, %d to remove", r.MembersAdded, r.MembersRemoved)
		if r.MembersOnHold > 0 {
			text += fmt.Sprintf(", %d on hold", r.MembersOnHold)
		}
	}
	if r.References > 0 {
		text += fmt.Sprintf("; managers: %d to set or remove", r.References)
	}
	return text
}

// planOutcomes says how many operations of a plan have each outcome.
func planOutcomes(n provision.PlanCounts) string {
	text := fmt.Sprintf("%d sent, %d failed, %d left out", n.Sent, n.Failed, n.LeftOut)
	if n.Due > 0 {
		text += fmt.Sprintf(", %d not sent yet", n.Due)
	}
	if n.MembersSent+n.MembersFailed+n.MembersLeftOut > 0 {
		text += fmt.Sprintf("; members: %d sent, %d failed, %d left out", n.MembersSent, n.MembersFailed, n.MembersLeftOut)
	}
	return text
}

func (c *command) provisionPlanShow() *cobra.Command {
	var all bool
	var limit, after int
	cmd := &cobra.Command{
		Use: "show DIRECTORY APP [HASH]", Short: "Show a plan that is kept, with what became of each operation", Args: between(2, "DIRECTORY", "APP", "HASH"),
		Long: `Shows a plan: who would change and how, and, once it was applied, what became of
each operation. HASH is the plan's hash, or its first characters; without it, the
newest plan. With --json one object per line, and the plan as the last.

Exit codes: 0 if there is nothing to do, or the plan was applied; 2 if there is
something to do.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			if limit < 1 {
				return usagef(cmd, "--limit is 1 or more, not %d", limit)
			}
			p, err := s.engine.FindPlan(cmd.Context(), jobKey(h, app), append(args, "")[0])
			if err != nil {
				return err
			}
			last, more, err := c.printPlannedRows(cmd.Context(), s, p, provision.PlanFilter{All: all, After: after}, limit)
			if err != nil {
				return err
			}
			counts, err := s.engine.PlanCounts(cmd.Context(), p)
			if err != nil {
				return err
			}
			kept := newKeptPlanJSON(p, counts)
			if c.json {
				err = c.printLine(kept)
			} else {
				w := peopleWriter{c.stdout}
				for _, note := range p.Report.Notes {
					fmt.Fprintf(w, "Note: %s\n", oneLine(note))
				}
				if more {
					fmt.Fprintf(w, "More: add --after %d\n", last)
				}
				c.printKeptPlan(w, kept)
			}
			if err == nil && p.Report.SomethingToDo() && (p.State == provision.PlanReady || p.State == provision.PlanApproved || p.State == provision.PlanApplying) {
				return errSomethingToDo
			}
			return err
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "also people who are skipped")
	cmd.Flags().IntVar(&limit, "limit", 1000, "how many people")
	cmd.Flags().IntVar(&after, "after", 0, "continue after this number, as the page before names it")
	return cmd
}

// shownTogether is how many objects of a plan printPlannedRows reads at once. It is small, because
// an object may be a group with many members, whose names are read, too.
const shownTogether = 20

// printPlannedRows prints up to limit objects of a saved plan. It returns the number of the last
// object that it has printed, and whether more objects follow.
func (c *command) printPlannedRows(ctx context.Context, s *services, p provision.StoredPlan, f provision.PlanFilter, limit int) (last int, more bool, err error) {
	for last = f.After; ; f.After = last {
		f.Limit = min(limit, shownTogether) + 1
		rows, err := s.engine.PlannedRows(ctx, p, f)
		if err != nil {
			return last, false, err
		}
		more = len(rows) == f.Limit
		for _, row := range rows[:min(len(rows), f.Limit-1)] {
			print := c.printPlannedRow
			if c.json {
				print = func(row provision.PlannedRow) error { return c.printLine(row) }
			}
			if err := print(row); err != nil {
				return last, false, err
			}
			last = row.Number
			limit--
		}
		if !more || limit <= 0 {
			return last, more, nil
		}
	}
}

// printPlannedRow prints one object of a saved plan, and the outcome of the object's operation.
func (c *command) printPlannedRow(row provision.PlannedRow) error {
	w := peopleWriter{c.stdout}
	if err := printPlannedObject(w, row.PlannedObject); err != nil {
		return err
	}
	for _, members := range [][]provision.PlannedMember{row.Removed, row.Added} {
		for _, m := range members {
			if m.Outcome == "" || m.Outcome == provision.PlanSent {
				continue
			}
			if _, err := fmt.Fprintf(w, "           %s %s: %s\n", planResultWords(m.Outcome), oneLine(m.DisplayName), oneLine(m.OutcomeText)); err != nil {
				return err
			}
		}
	}
	switch row.Outcome {
	case "":
		return nil
	case provision.PlanDue:
		_, err := fmt.Fprintf(w, "           not sent yet. %s\n", oneLine(row.OutcomeText))
		return err
	case provision.PlanLeftOut:
		if row.OutcomeText == "" { // the members are named above
			return nil
		}
		_, err := fmt.Fprintf(w, "           left out: %s\n", oneLine(row.OutcomeText))
		return err
	}
	_, err := fmt.Fprintf(w, "           %s %s\n", row.Outcome, oneLine(row.OutcomeText))
	return err
}

// planResultWords returns the result of a planned change of a member in words.
func planResultWords(r provision.PlanResult) string {
	if r == provision.PlanLeftOut {
		return "left out"
	}
	return string(r)
}

func (c *command) provisionPlanApprove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "approve DIRECTORY APP HASH", Short: "Approve a plan, so that it can be applied", Args: exactArguments("DIRECTORY", "APP", "HASH"),
		Long: `Approves the operations of a plan, also those that are on hold or would be. Nothing
is sent yet: rollcall provision plan apply does that. Asks first if accounts would be
disabled or deleted, or if memberships of groups end; --yes answers that question.

If Second approval of the application is on, this command is refused: an operator other
than the one who made the plan approves it on its page.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			p, err := s.engine.NamedPlan(cmd.Context(), jobKey(h, app), args[0])
			if err != nil {
				return err
			}
			if err := s.engine.CanApprove(cmd.Context(), p, actor); err != nil {
				return err
			}
			takes, ends := p.Report.Disables+p.Report.Deletes+p.Report.OnHold, p.Report.MembersRemoved+p.Report.MembersOnHold
			if takes+ends > 0 {
				var what []string
				if takes > 0 {
					what = append(what, phrase.Count(takes, "operation that disables or deletes", "operations that disable or delete"))
				}
				if ends > 0 {
					what = append(what, phrase.Count(ends, "removal of a member", "removals of members"))
				}
				question := fmt.Sprintf("Plan %s of %s for %s takes access away: %s.", p.Short(), h.Directory.Name, app.Name, strings.Join(what, ", "))
				if err := c.confirm(cmd, yes, question, p.Hash[:min(6, len(p.Hash))]); err != nil {
					return err
				}
			}
			if p, err = s.engine.ApprovePlan(cmd.Context(), p.Key, p.ID, actor); err != nil {
				return err
			}
			return c.printDecidedPlan(cmd.Context(), s, p, func(w io.Writer) {
				fmt.Fprintf(w, "Plan %s is approved: %s. Apply it with: rollcall provision plan apply %s %q %s\n", p.Short(), planOperations(p.Report), h.Directory.Name, app.Name, p.Short())
			})
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

// printDecidedPlan prints a plan that was approved or cancelled: as JSON, or as the text that the
// function people writes.
func (c *command) printDecidedPlan(ctx context.Context, s *services, p provision.StoredPlan, people func(io.Writer)) error {
	counts, err := s.engine.PlanCounts(ctx, p)
	if err != nil {
		return err
	}
	return c.print(newKeptPlanJSON(p, counts), people)
}

func (c *command) provisionPlanCancel() *cobra.Command {
	return &cobra.Command{
		Use: "cancel DIRECTORY APP HASH", Short: "Cancel a plan: what was not sent yet is not sent", Args: exactArguments("DIRECTORY", "APP", "HASH"),
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			p, err := s.engine.CancelPlan(cmd.Context(), jobKey(h, app), args[0], actor)
			if err != nil {
				return err
			}
			return c.printDecidedPlan(cmd.Context(), s, p, func(w io.Writer) { fmt.Fprintf(w, "Plan %s is cancelled.\n", p.Short()) })
		}),
	}
}

func (c *command) provisionPlanApply() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "apply DIRECTORY APP HASH", Short: "Send the operations of an approved plan, and nothing else", Args: exactArguments("DIRECTORY", "APP", "HASH"),
		Long: `Sends exactly the operations of an approved plan: people and groups first, then the
managers whose accounts were created, then the members of groups. Each person is
evaluated once more: if something else would be sent now, nothing is sent for that
person, and rollcall provision plan show names them; a member of a group that changed
meanwhile is left out alone. It works whether provisioning is started or paused. If it
is interrupted, the same command goes on.

Exit codes: 0 if all was sent; 1 if an operation failed or was left out; 3 if one has
to wait, or if --timeout ended it.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			if timeout < 0 || cmd.Flags().Changed("timeout") && timeout == 0 {
				return usagef(cmd, "--timeout is longer than 0, not %s", timeout)
			}
			ctx, cancel := cmd.Context(), context.CancelFunc(func() {})
			if timeout > 0 {
				ctx, cancel = context.WithTimeoutCause(ctx, timeout, errTimeout)
			}
			defer cancel()
			shown := time.Now()
			p, counts, err := s.engine.ApplyPlan(ctx, jobKey(h, app), args[0], s.owner, actor, func(n provision.PlanCounts) {
				if time.Since(shown) > 5*time.Second {
					shown = time.Now()
					fmt.Fprintf(peopleWriter{c.stderr}, "%s\n", planOutcomes(n))
				}
			})
			if err != nil && errors.Is(context.Cause(ctx), errTimeout) {
				fmt.Fprintf(peopleWriter{c.stderr}, "rollcall: stopped after %s; what is left stays on the work list\n", timeout)
				return errLeftWaiting
			}
			if err != nil {
				return err
			}
			if err := c.print(newKeptPlanJSON(p, counts), func(w io.Writer) {
				fmt.Fprintf(w, "Plan %s: %s.\n", p.Short(), planOutcomes(counts))
				if counts.Failed+counts.LeftOut+counts.Due+counts.MembersFailed+counts.MembersLeftOut > 0 {
					fmt.Fprintf(w, "See each of them with: rollcall provision plan show %s %q %s\n", h.Directory.Name, app.Name, p.Short())
				}
			}); err != nil {
				return err
			}
			switch {
			case counts.Failed+counts.LeftOut+counts.MembersFailed+counts.MembersLeftOut > 0:
				return errAlreadyPrinted
			case counts.Due > 0:
				return errLeftWaiting
			}
			return nil
		}),
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "stop after this time, as 10m; without it, no limit")
	return cmd
}
