package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// directoryUser returns the commands that let scripts do the same as the users page.
func (c *command) directoryUser() *cobra.Command {
	return groupCommand("user", "Users of a directory (PERSON is a userPrincipalName or an object id)",
		c.userList(), c.userShow(), c.userAdd(), c.userSet(),
		c.userActionCommand("disable", "Block a user's sign-in", "is disabled", (*directory.Handle).Disable),
		c.userActionCommand("enable", "Let a user sign in again", "is enabled", (*directory.Handle).Enable),
		c.userActionCommand("delete", "Delete a user softly", "is deleted; rollcall directory user restore brings the user back", (*directory.Handle).SoftDelete),
		c.userActionCommand("restore", "Bring back a softly deleted user", "is restored", (*directory.Handle).Restore),
		c.userPurge(), c.userErase(),
	)
}

// withUser opens the directory and finds the user that the first two arguments name. It calls do
// with the other arguments.
func (c *command) withUser(do func(*cobra.Command, *services, *directory.Handle, directory.User, []string) error) func(*cobra.Command, []string) error {
	return c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
		h, err := s.directories.OpenNamed(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		u, err := findUser(cmd.Context(), h, args[1])
		if err != nil {
			return err
		}
		return do(cmd, s, h, u, args[2:])
	})
}

// userActionCommand returns a command that calls do for one user. done says what happened to the
// user.
func (c *command) userActionCommand(use, short, done string, do func(*directory.Handle, context.Context, string, string) (directory.User, error)) *cobra.Command {
	return &cobra.Command{
		Use: use + " DIRECTORY PERSON", Short: short, Args: exactArguments("DIRECTORY", "PERSON"),
		RunE: c.withUser(func(cmd *cobra.Command, _ *services, h *directory.Handle, u directory.User, _ []string) error {
			if _, err := do(h, cmd.Context(), u.ObjectID, actor); err != nil {
				return err
			}
			return c.print(map[string]string{"objectId": u.ObjectID, "userPrincipalName": u.UPN()}, func(w io.Writer) {
				fmt.Fprintf(w, "%s %s.\n", u.UPN(), done)
			})
		}),
	}
}

// findUser finds a user by userPrincipalName or object id. If no current user matches, it looks
// among the softly deleted users.
func findUser(ctx context.Context, h *directory.Handle, name string) (directory.User, error) {
	u, err := h.UserByUPN(ctx, name)
	if !errors.Is(err, refusal.NotFound) {
		return u, err
	}
	if byID, idErr := h.User(ctx, name); !errors.Is(idErr, refusal.NotFound) {
		return byID, idErr
	}
	var deleted []directory.User
	folded := scim.Fold(strings.TrimSpace(name))
	if eachErr := h.EachUser(ctx, directory.UserQuery{Search: name, Status: directory.Deleted}, func(u directory.User) error {
		if u.FoldedUPN() == folded {
			deleted = append(deleted, u)
		}
		return nil
	}); eachErr != nil {
		return directory.User{}, eachErr
	}
	switch len(deleted) {
	case 0:
		return directory.User{}, fmt.Errorf("%w; rollcall directory user list %s shows who is there", err, h.Directory.Name)
	case 1:
		return deleted[0], nil
	}
	ids := make([]string, len(deleted))
	for i, u := range deleted {
		ids[i] = u.ObjectID
	}
	return directory.User{}, fmt.Errorf("%d deleted users had the name %s; name one by its object id: %s", len(deleted), name, strings.Join(ids, ", "))
}

// userJSON returns a user for --json output. The attribute names are those of Entra.
func userJSON(u directory.User) map[string]any {
	out := map[string]any{}
	for name, value := range u.Attributes {
		out[name] = value
	}
	out["objectId"], out["accountEnabled"] = u.ObjectID, u.AccountEnabled
	if u.IsDeleted() {
		out["deletedDateTime"] = formatJSONTime(u.Deleted)
	}
	return out
}

func userState(u directory.User) string {
	switch {
	case u.IsDeleted():
		return "deleted"
	case u.AccountEnabled:
		return "enabled"
	}
	return "disabled"
}

func (c *command) userList() *cobra.Command {
	var status, after string
	var limit int
	cmd := &cobra.Command{
		Use: "list DIRECTORY [WORD...]", Short: "List users by display name, all or those that the words find", Args: atLeast("DIRECTORY"),
		Long: `Lists users by display name, a page at a time. Each WORD must occur in a name, the mail
address, the employee id, the department or the job title. What is printed at the end
of a page, --after, continues it.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			q := directory.UserQuery{Search: strings.Join(args[1:], " "), Limit: limit}
			if limit < 1 || limit > 500 {
				return usagef(cmd, "--limit is 1 to 500, not %d", limit)
			}
			var err error
			if status != "" {
				if q.Status, err = parseOneOf(cmd, "status", status, directory.Enabled, directory.Disabled, directory.Deleted); err != nil {
					return err
				}
			}
			if q.After, err = directory.ParseCursor(after); err != nil {
				return usagef(cmd, "--after %q is not what a page before printed", after)
			}
			h, err := s.directories.OpenNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			page, err := h.Users(cmd.Context(), q)
			if err != nil {
				return err
			}
			out, lines := []map[string]any{}, [][]string{}
			for _, u := range page.Users {
				out = append(out, userJSON(u))
				lines = append(lines, []string{u.DisplayName(), u.UPN(), userState(u), u.Text("department"), u.ObjectID})
			}
			next := ""
			if page.More {
				next = page.Next.String()
			}
			return c.print(map[string]any{"users": out, "next": next}, func(w io.Writer) {
				printTable(w, "No such user. Bring people in with: rollcall directory import "+h.Directory.Name+" users.csv",
					[]string{"Display name", "User principal name", "State", "Department", "Object id"}, lines)
				if next != "" {
					c.note("There are more: add --after '%s'", next)
				}
			})
		}),
	}
	cmd.Flags().StringVar(&status, "status", "", "only enabled, disabled or deleted; without it everyone who is not deleted")
	cmd.Flags().StringVar(&after, "after", "", "continue after a page, with what it printed")
	cmd.Flags().IntVar(&limit, "limit", 50, "users of a page, at most 500")
	return cmd
}

func (c *command) userShow() *cobra.Command {
	return &cobra.Command{
		Use: "show DIRECTORY PERSON", Short: "Show a user's attributes, groups and applications", Args: exactArguments("DIRECTORY", "PERSON"),
		RunE: c.withUser(func(cmd *cobra.Command, _ *services, h *directory.Handle, u directory.User, _ []string) error {
			return c.printUser(cmd.Context(), h, u)
		}),
	}
}

func (c *command) printUser(ctx context.Context, h *directory.Handle, u directory.User) error {
	out := userJSON(u)
	manager := u.Text("manager")
	if manager != "" {
		if m, err := h.User(ctx, manager); err == nil {
			manager = m.UPN()
		}
		out["managerUserPrincipalName"] = manager
	}
	assigned, err := assignmentLines(ctx, h, u.ObjectID)
	if err != nil {
		return err
	}
	groups, err := groupNamesOf(ctx, h, u.ObjectID)
	if err != nil {
		return err
	}
	out["applications"], out["memberOf"] = assigned, groups
	return c.print(out, func(w io.Writer) {
		for _, a := range directory.Attributes() {
			text := u.Text(a.Name)
			if a.Type == directory.Reference {
				text = manager
			}
			if text != "" {
				fmt.Fprintf(w, "%-28s %s\n", a.Name, oneLine(text))
			}
		}
		if u.IsDeleted() {
			fmt.Fprintf(w, "%-28s %s\n", "deleted", c.formatTime(u.Deleted))
		}
		if len(groups) > 0 {
			fmt.Fprintf(w, "%-28s %s\n", "member of", oneLine(strings.Join(groups, ", ")))
		}
		if len(assigned) > 0 {
			fmt.Fprintf(w, "%-28s %s\n", "applications", oneLine(strings.Join(assigned, ", ")))
		}
	})
}

func (c *command) userAdd() *cobra.Command {
	return &cobra.Command{
		Use: "add DIRECTORY USER-PRINCIPAL-NAME [ATTRIBUTE=VALUE...]", Short: "Make a user", Args: atLeast("DIRECTORY", "USER-PRINCIPAL-NAME"),
		Long: `Creates an enabled user. Attributes have Entra's names. Separate several values of an
attribute by semicolons. The manager is a userPrincipalName or an object id.`,
		Example: `  rollcall directory user add contoso ada@contoso.example displayName="Ada Okonkwo" jobTitle=Engineer manager=bo@contoso.example`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, err := s.directories.OpenNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			u := directory.User{AccountEnabled: true}
			if err := u.Set("userPrincipalName", args[1]); err != nil {
				return err
			}
			if err := setAttributes(cmd, h, &u, args[2:], "userPrincipalName"); err != nil {
				return err
			}
			if u.ObjectID != "" {
				if _, err := h.User(cmd.Context(), u.ObjectID); !errors.Is(err, refusal.NotFound) {
					return errors.Join(err, fmt.Errorf("objectId: a user of directory %s has %s already", h.Directory.Name, u.ObjectID))
				}
			}
			made, _, err := h.PutUser(cmd.Context(), u, actor)
			if err != nil {
				return err
			}
			return c.printUser(cmd.Context(), h, made)
		}),
	}
}

func (c *command) userSet() *cobra.Command {
	return &cobra.Command{
		Use: "set DIRECTORY PERSON ATTRIBUTE=VALUE...", Short: "Change attributes of a user; an empty value clears one", Args: atLeast("DIRECTORY", "PERSON", "ATTRIBUTE=VALUE"),
		Long: `Changes only the attributes that are named. ATTRIBUTE= without a value clears the
attribute. Separate several values of an attribute by semicolons. The manager is a
userPrincipalName or an object id.`,
		Example: "  rollcall directory user set contoso ada@contoso.example jobTitle=Lead mobile=",
		RunE: c.withUser(func(cmd *cobra.Command, _ *services, h *directory.Handle, u directory.User, args []string) error {
			for attempt := 0; ; attempt++ {
				next := u
				next.Attributes = map[string]any{}
				for name, value := range u.Attributes {
					next.Attributes[name] = value
				}
				if err := setAttributes(cmd, h, &next, args, "objectId"); err != nil {
					return err
				}
				after, _, err := h.PutUser(cmd.Context(), next, actor)
				if errors.Is(err, refusal.Stale) && attempt < 5 { // someone else changed the user at the same time, so try again
					if u, err = h.User(cmd.Context(), u.ObjectID); err != nil {
						return err
					}
					continue
				}
				if err != nil {
					return err
				}
				return c.printUser(cmd.Context(), h, after)
			}
		}),
	}
}

// setAttributes applies ATTRIBUTE=VALUE arguments to u. It refuses to change the attribute that
// fixed names.
func setAttributes(cmd *cobra.Command, h *directory.Handle, u *directory.User, args []string, fixed string) error {
	var seen []string
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return usagef(cmd, "%q is not ATTRIBUTE=VALUE, as in jobTitle=Engineer", arg)
		}
		if a, known := directory.AttributeNamed(name); known {
			name = a.Name
		}
		switch {
		case name == fixed && fixed == "objectId":
			return usagef(cmd, "objectId is given once and cannot be changed")
		case name == fixed:
			return usagef(cmd, "%s is the second argument already", fixed)
		case slices.Contains(seen, name):
			return usagef(cmd, "%s is given twice", name)
		}
		seen = append(seen, name)
		if name == "manager" && strings.TrimSpace(value) != "" {
			m, err := findUser(cmd.Context(), h, value)
			if err != nil {
				return fmt.Errorf("manager: %w", err)
			}
			value = m.ObjectID
		}
		if err := u.Set(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (c *command) userPurge() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "purge DIRECTORY PERSON", Short: "Delete a softly deleted user permanently; cannot be undone", Args: exactArguments("DIRECTORY", "PERSON"),
		RunE: c.withUser(func(cmd *cobra.Command, _ *services, h *directory.Handle, u directory.User, _ []string) error {
			if !u.IsDeleted() {
				return fmt.Errorf("%s is not deleted; first: rollcall directory user delete %s %s", u.UPN(), h.Directory.Name, u.UPN())
			}
			apps, err := h.ApplicationsOf(cmd.Context(), u.ObjectID)
			if err != nil {
				return err
			}
			question := fmt.Sprintf("This deletes %s (%s) of %s permanently, with %s. It cannot be restored.",
				u.UPN(), u.DisplayName(), h.Directory.Name, phrase.Count(len(apps), "assignment", "assignments"))
			if err := c.confirm(cmd, yes, question, u.UPN()); err != nil {
				return err
			}
			if err := h.Purge(cmd.Context(), u.ObjectID, actor); err != nil {
				return err
			}
			return c.print(map[string]any{"purged": u.UPN(), "objectId": u.ObjectID, "assigned": len(apps)}, func(w io.Writer) {
				fmt.Fprintf(w, "%s is deleted permanently.\n", u.UPN())
			})
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}
