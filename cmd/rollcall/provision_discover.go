package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/inert"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/provision"
)

func (c *command) provisionDiscover() *cobra.Command {
	var wait, cancel bool
	cmd := &cobra.Command{
		Use: "discover DIRECTORY APP", Short: "Find out whose accounts the application has; changes nothing", Args: exactArguments("DIRECTORY", "APP"),
		Long: `Starts a discovery: it reads all accounts of the application once, and puts them into
Entra's classes. Assigned users match a user who is assigned to the application.
Unassigned users match a user who is not. Local accounts match no user of the directory.
All matching attributes of the mapping count, with their expressions, in their order.
If groups are provisioned, a discovery of the application's groups follows, with the
same classes.

A server works on the discovery in the background, and goes on with it after a restart.
With --wait this command works on it too, and shows the numbers at the end; another
--wait goes on with a discovery that is running. provision discovered lists the accounts,
and provision discovered --groups the groups.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			ctx, key := cmd.Context(), jobKey(h, app)
			if cancel {
				if wait {
					return usagef(cmd, "--cancel and --wait do not go together: choose one")
				}
				if err := s.engine.CancelDiscovery(ctx, key); err != nil {
					return err
				}
				return c.print(map[string]bool{"cancelled": true}, func(w io.Writer) { fmt.Fprintln(w, "The discovery was cancelled. The last complete one stays.") })
			}
			var out startedDiscoveryJSON
			running, err := s.engine.RunningDiscovery(ctx, key)
			if out.Discovery = running; err == nil && !(wait && running.ID != "") {
				out.Discovery, err = s.engine.BeginDiscovery(ctx, key, actor)
			}
			if err != nil {
				return err
			}
			if wait {
				doing := ""
				var groups provision.Discovery
				out.Discovery, groups, err = s.engine.RunDiscovery(ctx, key, s.owner, func(d provision.Discovery) {
					if d.Doing != doing && d.Doing != "" {
						doing = d.Doing
						fmt.Fprintf(peopleWriter{c.stderr}, "%s\n", doing)
					}
				})
				if err != nil {
					return err
				}
				if groups.ID != "" {
					out.Groups = &groups
				}
			}
			err = c.print(out, func(w io.Writer) {
				c.printDiscovery(w, out.Discovery)
				if out.Groups != nil {
					c.printDiscovery(w, *out.Groups)
				}
			})
			if err = errors.Join(err, discoveryProblem(out.Discovery)); out.Groups != nil {
				err = errors.Join(err, discoveryProblem(*out.Groups))
			}
			return err
		}),
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "work on the discovery and wait until it has ended")
	cmd.Flags().BoolVar(&cancel, "cancel", false, "end the discovery that is running")
	return cmd
}

// startedDiscoveryJSON is the output of provision discover with --json.
type startedDiscoveryJSON struct {
	provision.Discovery
	Groups *provision.Discovery `json:"groups,omitempty"` // the discovery of groups, if it has followed
}

// discoveryProblem returns the error with which a discovery has ended, or nil.
func discoveryProblem(d provision.Discovery) error {
	switch d.State {
	case provision.DiscoveryFailed:
		return fmt.Errorf("the discovery of %s failed: %s", discoveredNouns(d.Kind), oneLine(d.Problem))
	case provision.DiscoveryCancelled:
		return fmt.Errorf("the discovery of %s was cancelled", discoveredNouns(d.Kind))
	}
	return nil
}

// discoveredNouns returns the word for what a discovery of this kind finds.
func discoveredNouns(kind provision.ObjectKind) string {
	if kind == provision.GroupKind {
		return "groups"
	}
	return "accounts"
}

func (c *command) printDiscovery(w io.Writer, d provision.Discovery) {
	for _, note := range d.Notes {
		fmt.Fprintf(w, "Note: %s\n", oneLine(note))
	}
	if d.State == provision.DiscoveryRunning {
		fmt.Fprintf(w, "A discovery is running, since %s: %s. A server works on it; so does rollcall provision discover --wait.\n", c.formatTime(d.Started), d.Doing)
		return
	}
	if d.Kind == provision.GroupKind {
		fmt.Fprintf(w, "Discovered %s: %s. Assigned groups: %d. Unassigned groups: %d. Local groups: %d, of which %d nearly match a group of the directory. Ambiguous: %d.\n",
			c.formatTime(d.Started), phrase.Count(d.Accounts, "group", "groups"), d.Assigned, d.Unassigned, d.Local, d.Near, d.Ambiguous)
	} else {
		fmt.Fprintf(w, "Discovered %s: %s. Assigned users: %d. Unassigned users: %d. Local accounts: %d, of which %d nearly match a user. Ambiguous: %d.\n",
			c.formatTime(d.Started), phrase.Count(d.Accounts, "account", "accounts"), d.Assigned, d.Unassigned, d.Local, d.Near, d.Ambiguous)
	}
	if d.Compared {
		fmt.Fprintf(w, "Since the last discovery: %d new, %d gone, %d changed.\n", d.New, d.Gone, d.Changed)
	}
}

// discoveredJSON is the output of provision discovered with --json.
type discoveredJSON struct {
	Discovery provision.Discovery           `json:"discovery"`
	Accounts  []provision.DiscoveredAccount `json:"accounts"`
	Next      string                        `json:"next,omitempty"` // the value of --after for the next page
}

// discoveredGroupsJSON is the output of provision discovered --groups with --json.
type discoveredGroupsJSON struct {
	Discovery provision.Discovery           `json:"discovery"`
	Groups    []provision.DiscoveredAccount `json:"groups"`
	Next      string                        `json:"next,omitempty"`
}

// groupsFlag adds the flag that makes a command work on groups in place of accounts.
func groupsFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("groups", false, "groups of the application, in place of accounts")
}

// discoveredKind returns the kind that the flag of groupsFlag selects.
func discoveredKind(groups *bool) provision.ObjectKind {
	if *groups {
		return provision.GroupKind
	}
	return provision.UserKind
}

func (c *command) provisionDiscovered() *cobra.Command {
	var q provision.DiscoveredQuery
	var class, change, kept string
	var asCSV bool
	var groups *bool
	cmd := &cobra.Command{
		Use: "discovered DIRECTORY APP", Short: "List the accounts that the last complete discovery found", Args: exactArguments("DIRECTORY", "APP"),
		Long: `Lists the accounts that the last complete discovery found, by name, with the users who
match them. For local accounts it also lists users who nearly match, and why. --groups lists
the groups of the application in the same way.
--csv writes every account that the filters select, for a spreadsheet; this is an event of the audit
trail. With --json one document, with each matching attribute and its values.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, _ []string) error {
			if q.Limit < 1 {
				return usagef(cmd, "--limit is 1 or more, not %d", q.Limit)
			}
			if asCSV && cmd.Flags().Changed("json") {
				return usagef(cmd, "--csv and --json do not go together: choose one")
			}
			q.Kind = discoveredKind(groups)
			q.Class, q.Change = provision.IdentityClass(class), provision.IdentityChange(change)
			if class != "" && !q.Class.IsKnown() {
				return usagef(cmd, "--class is %s, not %q", wordList(provision.IdentityClasses()), class)
			}
			if change != "" && q.Change != provision.IdentityNew && q.Change != provision.IdentityChanged && q.Change != provision.IdentityGone {
				return usagef(cmd, "--change is new, changed or gone, not %q", change)
			}
			if q.Kept = provision.KeptFilter(kept); kept != "" && q.Kept != provision.OnlyKept && q.Kept != provision.WithoutKept {
				return usagef(cmd, "--kept is kept or open, not %q", kept)
			}
			if asCSV {
				return c.discoveredCSV(cmd, s, h, app, q)
			}
			complete, err := s.engine.CompleteDiscovery(cmd.Context(), jobKey(h, app), q.Kind) // before the accounts are read, because a discovery may end now
			if err != nil {
				return err
			}
			out := discoveredJSON{Discovery: complete, Accounts: []provision.DiscoveredAccount{}}
			most := q.Limit
			out.Next, err = eachDiscovered(cmd, s, jobKey(h, app), q, most, func(a provision.DiscoveredAccount) error {
				out.Accounts = append(out.Accounts, a)
				return nil
			})
			if err != nil {
				return err
			}
			var document any = out
			if q.Kind == provision.GroupKind {
				document = discoveredGroupsJSON{out.Discovery, out.Accounts, out.Next}
			}
			return c.print(document, func(w io.Writer) { c.printDiscovered(w, out) })
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&class, "class", "", "only this class: local, unassigned or assigned")
	flags.StringVar(&change, "change", "", "only accounts that are new, changed or gone since the discovery before")
	flags.BoolVar(&q.Ambiguous, "ambiguous", false, "only accounts that several users match, or whose user matches several accounts")
	flags.BoolVar(&q.Near, "near", false, "only local accounts that a user nearly matches")
	flags.StringVar(&q.Search, "search", "", "part of a name, an address or an id")
	flags.IntVar(&q.Limit, "limit", 100, "how many accounts")
	flags.StringVar(&q.After, "after", "", "go on where an earlier list ended: its \"next\" in --json")
	flags.BoolVar(&asCSV, "csv", false, "write every account that the filters select as CSV")
	groups = groupsFlag(cmd)
	flags.StringVar(&kept, "kept", "", "kept: only accounts with the mark Keep; open: only the others")
	cmd.AddCommand(c.discoveredAssign(), c.discoveredLink(), c.discoveredKeep(), c.discoveredDisable())
	return cmd
}

func (c *command) discoveredAssign() *cobra.Command {
	var all, yes bool
	var groups *bool
	cmd := &cobra.Command{
		Use: "assign DIRECTORY APP [ACCOUNT...]", Short: "Assign the users who own discovered accounts", Args: atLeast("DIRECTORY", "APP"),
		Long: `Assigns the users who own accounts of the class unassigned. ACCOUNT is the id at
the application; --all takes the whole class. Left out are ambiguous accounts, those with
the mark Keep, those of deleted users, and those that provisioning managed and that are
disabled. Nothing is sent now: a cycle, or a plan, then connects the accounts with their users.
With --groups, ACCOUNT is the id of a group, and groups of the directory are assigned.
The members of an assigned group are in scope, too.

Asks first. --yes answers that question.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			if all == (len(args) > 0) {
				return usagef(cmd, "give the ids of accounts, or --all for the whole class")
			}
			if all {
				args = nil
			}
			kind := discoveredKind(groups)
			ids, left, err := s.engine.ObjectsToAssign(cmd.Context(), jobKey(h, app), kind, args)
			if err != nil {
				return err
			}
			done := 0
			if len(ids) > 0 {
				question := fmt.Sprintf("This assigns %s to %s. The next cycle gives their accounts the values of the directory.", phrase.Count(len(ids), "user", "users"), app.Name)
				if kind == provision.GroupKind {
					question = fmt.Sprintf("This assigns %s to %s. Their members are in scope then, and get accounts. The next cycle gives the groups of the application the values and the members of the directory.", phrase.Count(len(ids), "group", "groups"), app.Name)
				}
				if err := c.confirm(cmd, yes, question, "assign"); err != nil {
					return err
				}
				if done, err = h.Assign(cmd.Context(), app.ID, ids, actor); err != nil {
					return err
				}
			}
			return c.print(map[string]int{"assigned": done, "leftOut": left}, func(w io.Writer) {
				if kind == provision.GroupKind {
					fmt.Fprintf(w, "%s. %s left out: ambiguous, marked Keep, of another class, or deleted in the directory. The next discovery shows it.\n", phrase.Count(done, "group was assigned", "groups were assigned"), phrase.Count(left, "group was", "groups were"))
					return
				}
				fmt.Fprintf(w, "%s. %s left out: ambiguous, marked Keep, of another class, disabled and managed before, or of a deleted user. The next discovery shows it.\n", phrase.Count(done, "user was assigned", "users were assigned"), phrase.Count(left, "account was", "accounts were"))
			})
		}),
	}
	groups = groupsFlag(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all accounts of the class unassigned")
	yesFlag(cmd, &yes)
	return cmd
}

func (c *command) discoveredKeep() *cobra.Command {
	var off bool
	var groups *bool
	cmd := &cobra.Command{
		Use: "keep DIRECTORY APP ACCOUNT...", Short: "Mark accounts that stay as they are, such as service accounts", Args: atLeast("DIRECTORY", "APP", "ACCOUNT"),
		Long: `Marks accounts of the last discovery with Keep: a person has looked at them and wants
them to stay as they are. The mark stays through later discoveries. --off removes it.
ACCOUNT is the id at the application; with --groups it is the id of a group.`,
		RunE: c.withApp(func(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, args []string) error {
			changed, err := s.engine.KeepAccounts(cmd.Context(), jobKey(h, app), discoveredKind(groups), args, !off, actor)
			if err != nil {
				return err
			}
			return c.print(map[string]int{"changed": changed}, func(w io.Writer) {
				fmt.Fprintf(w, "%s.\n", phrase.Count(changed, "mark was changed", "marks were changed"))
			})
		}),
	}
	groups = groupsFlag(cmd)
	cmd.Flags().BoolVar(&off, "off", false, "remove the mark")
	return cmd
}

// wordList returns words in the form "a, b or c".
func wordList[T ~string](words []T) string {
	var b strings.Builder
	for i, word := range words {
		switch {
		case i > 0 && i == len(words)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(string(word))
	}
	return b.String()
}

// eachDiscovered calls visit for up to most accounts. next is the cursor after the last of them; ""
// at the end of the list.
func eachDiscovered(cmd *cobra.Command, s *services, key provision.Key, q provision.DiscoveredQuery, most int, visit func(provision.DiscoveredAccount) error) (next string, err error) {
	for {
		q.Limit = min(most, 500)
		page, next, err := s.engine.Discovered(cmd.Context(), key, q)
		if err != nil {
			return "", err
		}
		for _, a := range page {
			if err := visit(a); err != nil {
				return "", err
			}
		}
		if most -= len(page); most <= 0 || next == "" {
			return next, nil
		}
		q.After = next
	}
}

// discoveredCSV writes all accounts that the query selects as CSV, and records the export.
func (c *command) discoveredCSV(cmd *cobra.Command, s *services, h *directory.Handle, app directory.Application, q provision.DiscoveredQuery) error {
	most := int(^uint(0) >> 1)
	if cmd.Flags().Changed("limit") {
		most = q.Limit
	}
	if _, err := s.engine.CompleteDiscovery(cmd.Context(), jobKey(h, app), q.Kind); err != nil {
		return err
	}
	nouns := discoveredNouns(q.Kind)
	out, sent := csv.NewWriter(peopleWriter{c.stdout}), 0
	err := out.Write(provision.DiscoveredColumns())
	if err == nil {
		_, err = eachDiscovered(cmd, s, jobKey(h, app), q, most, func(a provision.DiscoveredAccount) error {
			sent++
			return out.Write(inert.Cells(a.Cells()))
		})
	}
	out.Flush()
	return s.recordDirectoryExport(cmd, h, event.ExportAccounts, "The list of discovered "+nouns+" of "+app.Name, phrase.Count(sent, strings.TrimSuffix(nouns, "s"), nouns), sent, errors.Join(err, out.Error()))
}

func (c *command) printDiscovered(w io.Writer, out discoveredJSON) {
	if len(out.Accounts) == 0 {
		fmt.Fprintf(w, "No %s fits.\n", strings.TrimSuffix(discoveredNouns(out.Discovery.Kind), "s"))
	}
	for _, a := range out.Accounts {
		fmt.Fprintf(w, "%-10s  %s%s\n", a.Class, oneLine(a.Name()), oneLine(a.Remarks()))
		fmt.Fprintf(w, "              id %s\n", oneLine(a.ID))
		for _, m := range a.Matches {
			fmt.Fprintf(w, "              %s, by %s\n", oneLine(m.Name), m.By)
		}
		for _, m := range a.Near {
			if len(a.Matches) == 0 {
				fmt.Fprintf(w, "              nearly %s: %s\n", oneLine(m.Name), oneLine(m.Reason))
			}
		}
	}
	if out.Next != "" {
		fmt.Fprintln(w, "There are more: raise --limit, or add --after with the \"next\" that --json shows.")
	}
	c.printDiscovery(w, out.Discovery)
}
