package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

func (c *command) provisionOnDemand() *cobra.Command {
	var groups []string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "on-demand DIRECTORY APP [PERSON...]", Short: "Provision people or groups now, and show each step", Args: atLeast("DIRECTORY", "APP"),
		Long: `Provisions the people and groups that are named, ahead of everybody else, and shows
what each step saw. Of a group, its direct members are provisioned too; it may have up to
500. The rules are those of a cycle. It works whether provisioning is started or paused, and while a
server works on the job. Each account is read and compared, also if nothing changed.

Exit codes: 0 if all is done; 1 if a person or group failed; 3 if one has to wait, if an
operation is on hold (see provision held), or if --timeout ended it. What was asked
for then stays on the work list.`,
		Example: `  rollcall provision on-demand contoso Acme ada@contoso.example
  rollcall provision on-demand contoso Acme --group Sales`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, people []string) error {
			if len(people)+len(groups) == 0 {
				return usagef(cmd, "PERSON is missing: name people, or give --group")
			}
			if timeout <= 0 {
				return usagef(cmd, "--timeout is longer than 0, not %s", timeout)
			}
			users, groupIDs, err := namedObjects(cmd.Context(), h, people, groups)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), timeout, errTimeout)
			defer cancel()
			results, err := s.engine.OnDemand(ctx, jobKey(h, app), s.owner, actor, slices.Concat(groupIDs, users))
			if err != nil && errors.Is(context.Cause(ctx), errTimeout) {
				fmt.Fprintf(peopleWriter{c.stderr}, "rollcall: stopped after %s; what is left stays on the work list\n", timeout)
				return errLeftWaiting
			}
			if err != nil {
				return err
			}
			if err := c.print(results, func(w io.Writer) {
				for _, one := range results {
					c.printDemanded(w, one)
				}
			}); err != nil {
				return err
			}
			return outcomeOfDemand(results)
		}),
	}
	cmd.Flags().StringArrayVar(&groups, "group", nil, "a group, by display name or object id (repeat it for more)")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "stop waiting after this time")
	return cmd
}

// outcomeOfDemand returns an error that determines the command's exit code. It returns nil for
// success.
func outcomeOfDemand(results []provision.DemandResult) error {
	waits := false
	for _, one := range results {
		for _, e := range one.Entries {
			if e.Status.Status == provision.Failure {
				return errAlreadyPrinted
			}
		}
		waits = waits || one.Waits != ""
	}
	if waits {
		return errLeftWaiting
	}
	return nil
}

// printDemanded prints the steps of provisioning one person or group on demand.
func (c *command) printDemanded(w io.Writer, r provision.DemandResult) {
	for _, e := range r.Entries {
		_ = printLogLine(w, e) //nolint:errcheck // w remembers its first error, which print returns
		for _, s := range e.Steps {
			fmt.Fprintf(w, "  %-8s %-11s %s\n", s.Status, s.Type, oneLine(s.Description))
			if s.Type == provision.ScopingStep {
				for _, name := range slices.Sorted(maps.Keys(s.Details)) {
					fmt.Fprintf(w, "             %s: %s\n", oneLine(name), oneLine(s.Details[name]))
				}
			}
		}
		for _, m := range e.Modified {
			fmt.Fprintf(w, "           %s: %s → %s\n", oneLine(m.DisplayName), quotedOrNone(m.OldValue), quotedOrNone(m.NewValue))
		}
	}
	if r.Waits == "" {
		return
	}
	until := ""
	if !r.Until.IsZero() {
		until = " Tried again " + c.formatTime(r.Until) + "."
	}
	fmt.Fprintf(w, "waits    %s: %s%s\n", oneLine(r.Name), oneLine(r.Waits), until)
}

// quotedOrNone formats a value of a modified property for people: in quotation marks, or as "none"
// if there is no value.
func quotedOrNone(v *string) string {
	if v == nil {
		return "none"
	}
	return quoteValue(*v)
}
