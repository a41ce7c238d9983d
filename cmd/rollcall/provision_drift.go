package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/provision"
)

func (c *command) provisionDrift() *cobra.Command {
	var last, again, adopt bool
	var every, policy string
	cmd := &cobra.Command{
		Use: "drift DIRECTORY APP", Short: "Compare the application with what provisioning wrote last; changes nothing", Args: exactArguments("DIRECTORY", "APP"),
		Long: `Reads all accounts and groups of the application once, and names those that differ from
what provisioning wrote to them last: each attribute with both values, members that
somebody added or removed, and accounts that are gone. It does not compare with what the
mappings say now: provision plan does that. The result is kept until the next comparison.
With --re-assert it also makes a plan that undoes these changes: it also adds members that
somebody removed from a group, and removes those that somebody added. With --adopt the changed
values stay: they are no difference any more, and provisioning leaves them alone until the
mapping yields another value than before. Memberships and gone accounts stay in
the list. So does an account that provisioning blocked, if somebody enabled it again.

--schedule and --policy change when a server compares the application by itself, and what
it does then: report; re-assert, with a plan that it applies at once, while what takes
access away, also from members that somebody added to a group, waits in another plan for a
person; or adopt. Nothing is compared now.
With --json one account or group per line, and the numbers as the last.

Exit codes: 0 if nothing differs; 2 if something does; 1 if the application cannot be
compared.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			ctx, key := cmd.Context(), jobKey(h, app)
			if every != "" || policy != "" {
				if last || again || adopt {
					return usagef(cmd, "--schedule and --policy only change the schedule: leave the other flags out")
				}
				return c.scheduleDrift(cmd, s, key, provision.DriftInterval(every), provision.DriftPolicy(policy))
			}
			if again && adopt {
				return usagef(cmd, "--re-assert and --adopt do not go together: choose one")
			}
			var report provision.DriftReport
			var err error
			if last {
				report, err = c.showLastDrift(cmd, s, key)
			} else {
				report, err = s.engine.FindDrift(ctx, key, actor, c.showDrift)
			}
			if err != nil {
				return err
			}
			if c.json {
				err = c.printLine(report)
			} else {
				err = c.printDriftReport(peopleWriter{c.stdout}, report)
			}
			if err == nil && adopt {
				return c.adoptDrift(cmd, s, key)
			}
			if err == nil && again && report.Changed+report.Gone > 0 {
				p, err := s.engine.BeginReassert(ctx, key, actor)
				if err != nil {
					return err
				}
				return c.fillPlan(ctx, s, h, app, p)
			}
			if err == nil && report.Changed+report.Gone > 0 {
				return errSomethingToDo
			}
			return err
		}),
	}
	cmd.Flags().BoolVar(&again, "re-assert", false, "also make a plan that gives these accounts the values of the mapping again; plan approve and plan apply send it")
	cmd.Flags().BoolVar(&adopt, "adopt", false, "also keep the values that these accounts have at the application")
	cmd.Flags().StringVar(&every, "schedule", "", "compare by itself: off, daily or weekly")
	cmd.Flags().StringVar(&policy, "policy", "", "what a scheduled comparison does: report, re-assert or adopt")
	cmd.Flags().BoolVar(&last, "last", false, "show the last comparison again; the application is not asked")
	return cmd
}

// scheduleDrift changes the schedule of comparisons, and prints it.
func (c *command) scheduleDrift(cmd *cobra.Command, s *services, key provision.Key, every provision.DriftInterval, policy provision.DriftPolicy) error {
	switch {
	case every != "" && every.Words() == "":
		return usagef(cmd, "--schedule is %s, not %q", wordList(provision.DriftIntervals()), every)
	case policy != "" && policy.Words() == "":
		return usagef(cmd, "--policy is %s, not %q", wordList(provision.DriftPolicies()), policy)
	}
	saved, err := s.engine.EditDriftSchedule(cmd.Context(), key, func(now *provision.DriftSchedule) error {
		now.Every, now.Policy = cmp.Or(every, now.Every), cmp.Or(policy, now.Policy)
		return nil
	}, actor)
	if err != nil {
		return err
	}
	return c.print(saved, func(w io.Writer) {
		fmt.Fprintf(w, "Schedule: %s. Policy: %s.\n", saved.Every, saved.Policy)
	})
}

// adoptDrift accepts the values that the last comparison found at the application, so that
// provisioning keeps them. The error is errSomethingToDo if differences are left.
func (c *command) adoptDrift(cmd *cobra.Command, s *services, key provision.Key) error {
	n, err := s.engine.AdoptDrift(cmd.Context(), key, s.owner, actor, nil)
	if err != nil {
		return err
	}
	left, err := s.engine.Drifts.ListDrift(cmd.Context(), key, "", 1)
	if err != nil {
		return err
	}
	if c.json {
		err = c.printLine(map[string]int{"adopted": n})
	} else {
		_, err = fmt.Fprintf(peopleWriter{c.stdout}, "Adopted: %s.\n", phrase.Count(n, "account or group", "accounts and groups"))
	}
	if err == nil && len(left) > 0 {
		return errSomethingToDo
	}
	return err
}

// showLastDrift prints the differences of the last comparison.
func (c *command) showLastDrift(cmd *cobra.Command, s *services, key provision.Key) (provision.DriftReport, error) {
	report, err := s.engine.Drifts.LastDrift(cmd.Context(), key)
	if err != nil {
		return report, err
	}
	if report.ID == "" {
		return report, fmt.Errorf("the application was not compared yet: run the command without --last")
	}
	const page = 500
	for after := ""; ; {
		list, err := s.engine.Drifts.ListDrift(cmd.Context(), key, after, page)
		if err != nil {
			return report, err
		}
		for _, one := range list {
			after = one.ObjectID
			if err := c.showDrift(one); err != nil {
				return report, err
			}
		}
		if len(list) < page {
			return report, nil
		}
	}
}

// showDrift prints one account or group that differs.
func (c *command) showDrift(d provision.Drift) error {
	if c.json {
		return c.printLine(d)
	}
	w := peopleWriter{c.stdout}
	switch {
	case d.Gone:
		_, err := fmt.Fprintf(w, "gone     %s: the application has no account %s any more\n", oneLine(d.Name), oneLine(d.TargetID))
		return err
	case d.Modified != "":
		fmt.Fprintf(w, "changed  %s, at the application at %s\n", oneLine(d.Name), oneLine(d.Modified))
	default:
		fmt.Fprintf(w, "changed  %s\n", oneLine(d.Name))
	}
	for _, v := range d.Values {
		fmt.Fprintf(w, "           %s: wrote %s, now %s\n", v.Path, quoteValue(v.Wrote), quoteValue(v.Now))
	}
	for sign, ids := range map[string][]string{"+": d.Added, "-": d.Removed} {
		if len(ids) > 0 {
			fmt.Fprintf(w, "           %s members: %s\n", sign, oneLine(strings.Join(ids, ", ")))
		}
	}
	return nil
}

func (c *command) printDriftReport(w io.Writer, r provision.DriftReport) error {
	for _, note := range r.Notes {
		fmt.Fprintf(w, "Note: %s\n", oneLine(note))
	}
	_, err := fmt.Fprintf(w, "\nCompared %s: %s and %s, %d of them managed: %d changed, %d gone, %s.\n", c.formatTime(r.Started),
		phrase.Count(r.Accounts, "account", "accounts"), phrase.Count(r.Groups, "group", "groups"), r.Linked, r.Changed, r.Gone, phrase.Count(r.Members, "membership differs", "memberships differ"))
	return err
}
