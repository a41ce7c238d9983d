package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/provision"
)

func (c *command) discoveredDisable() *cobra.Command {
	var all bool
	var number string
	cmd := &cobra.Command{
		Use: "disable DIRECTORY APP [ACCOUNT...]", Short: "Make a plan that disables accounts that no user matches", Args: atLeast("DIRECTORY", "APP"),
		Long: `Makes a plan that disables local accounts of the last discovery. ACCOUNT is the id at
the application; --all takes the whole class, without accounts that a user nearly matches.
Groups cannot be disabled, because a group of SCIM has no such state. Each account is read
again. Left as they are, and named: accounts that are marked Keep,
that have changed since the discovery, that a user has now, the account of the Secret Token
if the application tells which it is, and administrators if no other would be left.

Asks for the number of accounts in words. --number answers that question. Nothing is sent
now: plan approve and plan apply send it, and provision undo takes it back.

Exit codes: 2 if the plan has operations; 0 if it has none; 1 if no plan can be made, for
example because no account can be disabled; 4 if the question was not answered.`,
		Example: "  rollcall provision discovered disable contoso Acme --all --number twelve",
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			if all == (len(args) > 0) {
				return usagef(cmd, "give the ids of accounts, or --all for the whole class")
			}
			if all {
				args = nil
			}
			ctx, key := cmd.Context(), jobKey(h, app)
			ids, left, err := s.engine.AccountsToDisable(ctx, key, args)
			if err != nil {
				return err
			}
			if len(ids) > 0 {
				question := fmt.Sprintf("This makes a plan that disables %s at %s. %s left out.", phrase.Count(len(ids), "account", "accounts"), app.Name, phrase.Count(left, "account is", "accounts are"))
				if err := c.confirmNumber(cmd, number, question, len(ids)); err != nil {
					return err
				}
			}
			p, err := s.engine.BeginDisable(ctx, key, args, actor)
			if err != nil {
				return err
			}
			return c.fillPlan(ctx, s, h, app, p)
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "all local accounts, without those that a user nearly matches")
	cmd.Flags().StringVar(&number, "number", "", "the number of accounts in words, such as twelve, instead of the question")
	return cmd
}

// confirmNumber asks for the number n in words, unless the flag --number has answered already.
func (c *command) confirmNumber(cmd *cobra.Command, number, question string, n int) error {
	switch {
	case number != "" && phrase.IsNumber(number, n):
		return nil
	case number != "":
		return usagef(cmd, "--number is %q, but there %s %s; nothing was changed", number, phrase.Noun(n, "is", "are"), phrase.Count(n, "account", "accounts"))
	case !c.isInteractive:
		return unansweredError{fmt.Sprintf("%s Nothing was changed. To do it, add --number with the number in words", question)}
	}
	return c.confirm(cmd, false, question, phrase.Number(n))
}

// linkedJSON is the output of provision discovered link with --json.
type linkedJSON struct {
	Linked  []provision.FoundLink `json:"linked"`
	LeftOut []provision.LeftOut   `json:"leftOut"`
}

func (c *command) discoveredLink() *cobra.Command {
	var yes bool
	var groups *bool
	cmd := &cobra.Command{
		Use: "link DIRECTORY APP ACCOUNT...", Short: "Link discovered accounts with the users who match or nearly match", Args: atLeast("DIRECTORY", "APP", "ACCOUNT"),
		Long: `Links each account with its user: the only one who matches it or, if none does, the only
one who nearly matches. ACCOUNT is the id at the application. Left out, and named: accounts
that are ambiguous or marked Keep, that another user has, and whose user has an account
already or is not in scope. The accounts do not change now; the next cycle gives them the
values of the directory. With --groups, ACCOUNT is the id of a group, which is linked with
a group of the directory; the next cycle also gives it the members.

Asks first. --yes answers that question.`,
		Example: "  rollcall provision discovered link contoso Acme 2819c223-7f76-453a-919d-413861904646",
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			ctx, key := cmd.Context(), jobKey(h, app)
			kind := discoveredKind(groups)
			links, left, err := s.engine.AccountsToLink(ctx, key, kind, args)
			if err != nil {
				return err
			}
			out := linkedJSON{Linked: []provision.FoundLink{}, LeftOut: append([]provision.LeftOut{}, left...)}
			if len(links) > 0 {
				for _, l := range links {
					if kind == provision.GroupKind {
						c.note("the group %s is linked with the group %s of the directory", oneLine(l.Name), oneLine(l.User))
						continue
					}
					c.note("%s becomes the account of %s", oneLine(l.Name), oneLine(l.User))
				}
				question := fmt.Sprintf("This links %s at %s. The next cycle gives them the values of the directory.", phrase.Count(len(links), "account", "accounts"), app.Name)
				if kind == provision.GroupKind {
					question = fmt.Sprintf("This links %s at %s. The next cycle gives them the values and the members of the directory.", phrase.Count(len(links), "group", "groups"), app.Name)
				}
				if err := c.confirm(cmd, yes, question, "link"); err != nil {
					return err
				}
				linked, failed, err := s.engine.LinkAccounts(ctx, key, s.owner, actor, links)
				if err != nil {
					return err
				}
				out.Linked, out.LeftOut = append(out.Linked, linked...), append(out.LeftOut, failed...)
			}
			return c.print(out, func(w io.Writer) {
				for _, one := range out.LeftOut {
					fmt.Fprintf(w, "%s was left out: %s\n", oneLine(one.Name), oneLine(one.Reason))
				}
				if kind == provision.GroupKind {
					fmt.Fprintf(w, "%s.\n", phrase.Count(len(out.Linked), "group was linked", "groups were linked"))
					return
				}
				fmt.Fprintf(w, "%s.\n", phrase.Count(len(out.Linked), "account was linked", "accounts were linked"))
			})
		}),
	}
	groups = groupsFlag(cmd)
	yesFlag(cmd, &yes)
	return cmd
}
