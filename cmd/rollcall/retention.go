package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/retention"
	"github.com/rollcall-scim/rollcall/store"
)

const foreverWord = "forever"

func (c *command) retentionCommand() *cobra.Command {
	show := &cobra.Command{
		Use: "show", Short: "Show how long logs are kept", Args: exactArguments(),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, _ []string) error {
			policy, err := s.pruner.Policy(cmd.Context())
			if err != nil {
				return err
			}
			return c.printPolicy(policy)
		}),
	}
	return groupCommand("retention", "How long logs are kept", show, c.retentionSet())
}

func (c *command) retentionSet() *cobra.Command {
	given := map[retention.Kind]*string{}
	cmd := &cobra.Command{
		Use: "set", Short: "Change how long logs are kept", Args: exactArguments(),
		Long: `Changes how long the named logs are kept, for the whole installation. A value is a
number of days (30d) or years (7y), or forever. What is older is removed within the
hour by a running server, or at once by rollcall prune; it cannot be brought back.`,
		Example: "  rollcall retention set --reads 90d --events forever",
		RunE: c.withServices(func(cmd *cobra.Command, s *services, _ []string) error {
			change := retention.Policy{}
			for _, k := range retention.Kinds() {
				if !cmd.Flags().Changed(string(k)) {
					continue
				}
				days, err := parseDaysKept(*given[k])
				if err != nil {
					return usagef(cmd, "--%s: %w", k, err)
				}
				change[k] = days
			}
			if len(change) == 0 {
				return usagef(cmd, "nothing to set: give at least one of --reads, --changes, --provisioning, --events, --spent")
			}
			policy, err := s.pruner.Set(cmd.Context(), change, actor)
			if err != nil {
				return err
			}
			return c.printPolicy(policy)
		}),
	}
	for _, k := range retention.Kinds() {
		given[k] = cmd.Flags().String(string(k), "", k.Describe())
	}
	return cmd
}

// parseDaysKept reads a number of days: 30d, 7y or forever.
func parseDaysKept(text string) (int, error) {
	if text == foreverWord {
		return retention.Forever, nil
	}
	bad := fmt.Errorf("%q is not a time such as 30d or 7y; %s keeps everything", text, foreverWord)
	number, years := strings.CutSuffix(text, "y")
	if !years {
		var ok bool
		if number, ok = strings.CutSuffix(text, "d"); !ok {
			return 0, bad
		}
	}
	n, err := strconv.Atoi(number)
	switch {
	case err != nil || n < 0:
		return 0, bad
	case n == 0:
		return 0, fmt.Errorf("the shortest is 1d; %s keeps everything", foreverWord)
	case n > maxDays || years && n > maxDays/365:
		return 0, fmt.Errorf("%q is too long: %d days at most; %s keeps everything", text, maxDays, foreverWord)
	case years:
		return n*365 + (n+1)/4, nil // every four years have one leap day
	}
	return n, nil
}

func (c *command) printPolicy(policy retention.Policy) error {
	out := map[string]any{}
	lines := [][]string{}
	for _, k := range retention.Kinds() {
		out[string(k)] = policy[k]
		if policy[k] == retention.Forever {
			out[string(k)] = foreverWord
		}
		lines = append(lines, []string{string(k), retention.DaysInWords(policy[k]), k.Describe()})
	}
	return c.print(out, func(w io.Writer) {
		printTable(w, "", []string{"Kind", "Kept", "What"}, lines)
	})
}

func (c *command) pruneCommand() *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use: "prune", Short: "Remove what is older than retention keeps (serve does it too)", Args: exactArguments(),
		Long: `Removes entries that are older than "rollcall retention show" says, a few at a time,
so that a running server goes on beside it. A server does the same once an hour.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, _ []string) error {
			prune, sentence := s.pruner.PruneAll, "Removed"
			if dry {
				prune, sentence = s.pruner.Count, "Would remove"
			}
			counts, err := prune(cmd.Context())
			if err != nil {
				return err
			}
			out := map[string]any{"dryRun": dry}
			for _, k := range retention.Kinds() {
				out[string(k)] = counts[k]
			}
			return c.print(out, func(w io.Writer) {
				for _, k := range retention.Kinds() {
					fmt.Fprintf(w, "%s %s (%s)\n", sentence, phrase.Count(counts[k], "entry", "entries"), k.Describe())
				}
			})
		}),
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only count what would be removed")
	return cmd
}

// removalLeaseTime is how long the lease of a removal lasts if the command that holds it does not
// renew it, for example because the command was killed.
const removalLeaseTime = 20 * time.Second

// removeRows removes the rows of a site, directory or application that was just deleted. If a
// server runs, removeRows leaves the work to the server. If removeRows is interrupted, a server or
// the next such command continues.
func (c *command) removeRows(ctx context.Context, s *services) error {
	epoch, err := s.leases.Claim(ctx, retention.RemovalLease, retention.LeaseKey, s.owner, removalLeaseTime)
	if _, held := errors.AsType[store.ErrHeld](err); held {
		return nil
	}
	if err != nil {
		return err
	}
	for done := false; err == nil && !done; {
		if _, done, err = s.pruner.Store.Remove(ctx, time.Now().Add(removalLeaseTime/4)); err == nil {
			err = s.leases.Renew(ctx, retention.RemovalLease, retention.LeaseKey, s.owner, epoch, removalLeaseTime)
		}
	}
	if err == nil {
		_, _, err = s.pruner.Store.Reclaim(ctx, time.Now().Add(removalLeaseTime/2))
	}
	next := time.Time{}
	if err != nil {
		next = c.now()
	}
	release := s.leases.Release(context.WithoutCancel(ctx), retention.RemovalLease, retention.LeaseKey, s.owner, epoch, next)
	if errors.Is(err, store.ErrLeaseLost) || errors.Is(release, store.ErrLeaseLost) {
		return nil // a server or another command removes the rows
	}
	return errors.Join(err, release)
}
