package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/provision"
)

// heldCauseJSON is a cause of held operations in the --json output of `provision held`.
type heldCauseJSON struct {
	Cause             string                 `json:"cause"`
	Words             string                 `json:"words"`
	Since             string                 `json:"since"`
	Operations        int                    `json:"count"`
	RemovalsOfMembers int                    `json:"removalsOfMembers"`
	ChangedMeanwhile  int                    `json:"changedMeanwhile"`
	ActiveAccounts    int                    `json:"activeAccounts"`
	RecentlySent      int                    `json:"letThroughIn24Hours"` // operations of other causes that are the reason why these are on hold
	Memberships       int                    `json:"memberships"`
	Reasons           []provision.HeldReason `json:"reasons"`
	First             []string               `json:"first"` // the first people whose operations the cause holds
}

func newHeldCauseJSON(h provision.HeldCause) heldCauseJSON {
	return heldCauseJSON{
		Cause: h.ID, Words: h.Words, Since: formatJSONTime(h.Since), Operations: h.Count, RemovalsOfMembers: h.Members, ChangedMeanwhile: h.Changed, RecentlySent: h.Recent,
		ActiveAccounts: h.Links, Memberships: h.Memberships,
		Reasons: append([]provision.HeldReason{}, h.Reasons...), First: append([]string{}, h.Names...),
	}
}

func (c *command) provisionHeld() *cobra.Command {
	var rejected bool
	var limit int
	var after string
	cmd := &cobra.Command{
		Use: "held DIRECTORY APP [CAUSE]", Short: "List operations on hold, by cause; with CAUSE, each of them", Args: between(2, "DIRECTORY", "APP", "CAUSE"),
		Long: `Lists the operations that wait for a decision: they disable or delete accounts or
groups, or remove members from groups. One import, or one change of the settings that
looks at everyone, is one cause. If it would take away more than 10 % of the active
accounts, or of the memberships (at least 5, at most 500), all of these operations
wait; what was let through in the last 24 hours counts, too. Everything else goes on.

With CAUSE it lists the operations. rollcall provision approve sends them, rollcall
provision reject leaves accounts and groups as they are.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			if limit < 1 {
				return usagef(cmd, "--limit is 1 or more, not %d", limit)
			}
			verdict := provision.OnHold
			if rejected {
				verdict = provision.Rejected
			}
			if len(args) > 0 {
				return c.listHeld(cmd.Context(), s, jobKey(h, app), args[0], verdict, after, limit)
			}
			if after != "" {
				return usagef(cmd, "--after continues the list of one cause: name the CAUSE too")
			}
			all, err := s.jobs.Held(cmd.Context(), jobKey(h, app), verdict)
			if err != nil {
				return err
			}
			out := []heldCauseJSON{}
			for _, one := range all {
				out = append(out, newHeldCauseJSON(one))
			}
			return c.print(out, func(w io.Writer) {
				if len(all) == 0 {
					fmt.Fprintln(w, "Nothing is on hold.")
				}
				for _, one := range all {
					c.printHeldCause(w, one)
				}
			})
		}),
	}
	cmd.Flags().BoolVar(&rejected, "rejected", false, "list what was rejected instead")
	cmd.Flags().IntVar(&limit, "limit", 100, "how many operations of a cause")
	cmd.Flags().StringVar(&after, "after", "", "continue after this operation, as the page before names it")
	return cmd
}

func (c *command) printHeldCause(w io.Writer, h provision.HeldCause) {
	fmt.Fprintf(w, "%s\n  %s, since %s: %s\n", h.ID, oneLine(h.Words), c.formatTime(h.Since), h.Extent(", of"))
	for _, r := range h.Reasons {
		fmt.Fprintf(w, "  %d: %s\n", r.Count, oneLine(r.Reason))
	}
	if h.Changed > 0 {
		fmt.Fprintf(w, "  %d more changed meanwhile and are no longer on hold\n", h.Changed)
	}
	names := oneLine(strings.Join(h.Names, ", "))
	if h.Count > len(h.Names) {
		names += ", …"
	}
	fmt.Fprintf(w, "  %s\n", names)
}

// findHeldCause returns the cause whose id is name, or the only cause whose id begins with name.
func findHeldCause(ctx context.Context, s *services, k provision.Key, name string, v provision.Verdict) (provision.HeldCause, error) {
	all, err := s.jobs.Held(ctx, k, v)
	if err != nil {
		return provision.HeldCause{}, err
	}
	var found []provision.HeldCause
	for _, h := range all {
		if h.ID == name {
			return h, nil
		}
		if strings.HasPrefix(h.ID, name) {
			found = append(found, h)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return provision.HeldCause{}, fmt.Errorf("nothing of a cause %q is on hold; rollcall provision held shows what is", name)
	}
	return provision.HeldCause{}, fmt.Errorf("%d causes begin with %q; write more of the id", len(found), name)
}

// listHeld prints a page of the operations of one cause that are on hold or rejected. name is the
// id of the cause, or its beginning.
func (c *command) listHeld(ctx context.Context, s *services, k provision.Key, name string, v provision.Verdict, after string, limit int) error {
	h, err := findHeldCause(ctx, s, k, name, v)
	if err != nil {
		return err
	}
	page, next, err := s.jobs.HeldObjects(ctx, k, h.ID, v, after, limit)
	if err != nil {
		return err
	}
	return c.print(map[string]any{"cause": newHeldCauseJSON(h), "operations": append([]provision.HeldObject{}, page...), "next": next}, func(w io.Writer) {
		var lines [][]string
		for _, o := range page {
			lines = append(lines, []string{oneLine(o.Name), o.ObjectID, oneLine(o.Reason), c.formatTime(o.Since)})
		}
		printTable(w, "No operation follows.", []string{"Account", "Object id", "Why", "Since"}, lines)
		if next != "" {
			fmt.Fprintf(w, "More follow: --after %s\n", next)
		}
	})
}

func (c *command) provisionApprove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "approve DIRECTORY APP CAUSE", Short: "Send the operations of a cause that are on hold", Args: exactArguments("DIRECTORY", "APP", "CAUSE"),
		Long: `Sends exactly the operations that are on hold. A person who has changed since is
not among them any more. rollcall provision held lists causes and operations.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			held, err := findHeldCause(cmd.Context(), s, jobKey(h, app), args[0], provision.OnHold)
			if err != nil {
				return err
			}
			if err := c.confirm(cmd, yes, "This "+effectOf(held)+" at "+app.Name+".", app.Name); err != nil {
				return err
			}
			did, err := s.jobs.Approve(cmd.Context(), jobKey(h, app), held.ID, held.Batch, actor)
			if err != nil {
				return err
			}
			return c.print(newHeldCauseJSON(did), func(w io.Writer) {
				fmt.Fprintf(w, "Approved: %s at %s.%s\n", phrase.Count(did.Count, "operation", "operations"), app.Name, changedMeanwhile(did))
			})
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

func (c *command) provisionReject() *cobra.Command {
	return &cobra.Command{
		Use: "reject DIRECTORY APP CAUSE", Short: "Leave the accounts of a cause as they are", Args: exactArguments("DIRECTORY", "APP", "CAUSE"),
		Long: `Sends nothing for the operations of a cause that are on hold. They stay rejected until
the person changes again, or another import or change of the settings concerns them.
rollcall provision held --rejected lists them.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			held, err := findHeldCause(cmd.Context(), s, jobKey(h, app), args[0], provision.OnHold)
			if err != nil {
				return err
			}
			did, err := s.jobs.Reject(cmd.Context(), jobKey(h, app), held.ID, held.Batch, actor)
			if err != nil {
				return err
			}
			return c.print(newHeldCauseJSON(did), func(w io.Writer) {
				fmt.Fprintf(w, "Rejected: %s at %s. The accounts stay as they are until their people change again.%s\n", phrase.Count(did.Count, "operation", "operations"), app.Name, changedMeanwhile(did))
			})
		}),
	}
}

// effectOf describes the effect of a cause's operations.
func effectOf(h provision.HeldCause) string {
	var parts []string
	if accounts := h.Count - h.Members; accounts > 0 {
		parts = append(parts, "disables or deletes "+phrase.Count(accounts, "account", "accounts"))
	}
	if h.Members > 0 {
		parts = append(parts, "removes "+phrase.Count(h.Members, "member of a group", "members of groups"))
	}
	return strings.Join(parts, " and ")
}

// changedMeanwhile says how many operations are left out of a cause because their people changed
// while the operations were on hold. It returns "" if there are none.
func changedMeanwhile(h provision.HeldCause) string {
	if h.Changed == 0 {
		return ""
	}
	if h.Changed == 1 {
		return " 1 more has changed meanwhile and is left out."
	}
	return fmt.Sprintf(" %d more have changed meanwhile and are left out.", h.Changed)
}

// noteHeld prints to standard error how many operations are on hold. It reports whether any
// operations are on hold.
func (c *command) noteHeld(ctx context.Context, s *services, h *directory.Handle, app directory.Application) (bool, error) {
	all, err := s.jobs.Held(ctx, jobKey(h, app), provision.OnHold)
	if err != nil || len(all) == 0 {
		return false, err
	}
	n := 0
	for _, one := range all {
		n += one.Count
	}
	c.note("%s on hold and not sent: they take away more than one change may. rollcall provision held %s %s shows them.",
		phrase.Count(n, "operation is", "operations are"), h.Directory.Name, app.Name)
	return true, nil
}

// causeIDs returns the ids of the causes that hold operations.
func (s *services) causeIDs(ctx context.Context, directoryName, appName string) (names []string, err error) {
	h, err := s.directories.OpenNamed(ctx, directoryName)
	if err != nil {
		return nil, err
	}
	app, err := h.Application(ctx, appName)
	if err != nil {
		return nil, err
	}
	all, err := s.jobs.Held(ctx, jobKey(h, app), provision.OnHold)
	for _, one := range all {
		names = append(names, one.ID)
	}
	return names, err
}
