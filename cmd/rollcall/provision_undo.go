package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// lastCycle is the value of --cycle for the last cycle that ended.
const lastCycle = "last"

func (c *command) provisionUndo() *cobra.Command {
	var u provision.Undo
	var user string
	var revert bool
	cmd := &cobra.Command{
		Use: "undo DIRECTORY APP", Short: "Make a plan that takes back a cycle, a plan, or one person's last change", Args: exactArguments("DIRECTORY", "APP"),
		Long: `Makes a plan that gives accounts the values that they had before a cycle, before a plan
was applied, or before the last change of one person. It changes nothing: plan show,
plan approve and plan apply do the rest. Applying such a plan pauses provisioning, so
that the next evaluation does not do the same again.

The plan names what made the changes. If that is a change of the mappings that is still
in force, --revert first pauses provisioning and sets the earlier mappings again.

Left as they are, and named in the plan: accounts that were deleted, values that were
not recorded, what somebody changed since, and people who have no access today.
With --json one object per line, and a summary as the last.

Exit codes: 0 if there is nothing to do; 2 if there is something to do; 1 if no plan
can be made.`,
		Example: `  rollcall provision undo contoso Acme --cycle last --revert
  rollcall provision undo contoso Acme --user ada@contoso.example`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			key, ctx := jobKey(h, app), cmd.Context()
			given := 0
			for _, name := range []string{"cycle", "plan", "user"} {
				if cmd.Flags().Changed(name) {
					given++
				}
			}
			if given != 1 {
				return usagef(cmd, "give one of --cycle, --plan and --user")
			}
			if user != "" {
				ids, _, err := namedObjects(ctx, h, []string{user}, nil)
				if err != nil {
					return err
				}
				u.Object = ids[0]
			}
			if u.Cycle == lastCycle {
				report, err := s.jobs.Report(ctx, key)
				if err != nil {
					return err
				}
				if report.State.LastGood == nil {
					return fmt.Errorf("no cycle has ended yet")
				}
				u.Cycle = report.State.LastGood.ID
			}
			if revert {
				found, err := s.engine.FindUndo(ctx, key, u)
				if err != nil {
					return err
				}
				if _, err := s.jobs.RevertCause(ctx, key, found, actor); err != nil {
					return err
				}
				fmt.Fprintf(peopleWriter{c.stderr}, "Provisioning is paused, and the mappings of version %d are in force again.\n", found.Edit.Before)
			}
			p, err := s.engine.BeginUndo(ctx, key, u, actor)
			if err != nil {
				return err
			}
			return c.fillPlan(ctx, s, h, app, p)
		}),
	}
	cmd.Flags().StringVar(&u.Cycle, "cycle", "", "take back this cycle: its id, as provision status --json and provision log --json show it, or last")
	cmd.Flags().StringVar(&u.Plan, "plan", "", "take back this applied plan: its hash, as provision plan list shows it")
	cmd.Flags().StringVar(&user, "user", "", "take back the last change of this person: the userPrincipalName or object id")
	cmd.Flags().BoolVar(&revert, "revert", false, "first pause provisioning and set the mappings again that were in force before the cause")
	return cmd
}
