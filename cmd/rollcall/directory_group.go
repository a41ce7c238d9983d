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
)

// directoryGroup returns the commands that let scripts do the same as the groups page.
func (c *command) directoryGroup() *cobra.Command {
	return groupCommand("group", "Groups of a directory (GROUP is a display name or an object id)",
		c.groupList(), c.groupCreate(), c.groupShow(), c.groupSet(), c.groupDelete(), c.groupRestore(), c.groupPurge(), c.groupMember())
}

// withGroup opens the directory and finds the group that the first two arguments name. It calls do
// with the other arguments.
func (c *command) withGroup(do func(*cobra.Command, *services, *directory.Handle, directory.Group, []string) error) func(*cobra.Command, []string) error {
	return c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
		h, err := s.directories.OpenNamed(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		g, err := findGroup(cmd.Context(), h, args[1])
		if err != nil {
			return err
		}
		return do(cmd, s, h, g, args[2:])
	})
}

func findGroup(ctx context.Context, h *directory.Handle, name string) (directory.Group, error) {
	g, err := h.GroupNamed(ctx, name)
	if errors.Is(err, refusal.NotFound) {
		return g, fmt.Errorf("%w; rollcall directory group list %s shows the groups", err, h.Directory.Name)
	}
	return g, err
}

// groupJSON returns a group for --json output. The attribute names are those of Entra.
func groupJSON(g directory.Group) map[string]any {
	out := map[string]any{"objectId": g.ObjectID}
	for name, text := range g.Attributes {
		out[name] = text
	}
	if g.IsDeleted() {
		out["deletedDateTime"] = formatJSONTime(g.Deleted)
	}
	return out
}

// pageFlags are the flags of a command that lists objects page by page.
type pageFlags struct {
	after string
	limit int
}

// register adds the flags to a command. what names the entries of the list.
func (f *pageFlags) register(cmd *cobra.Command, what string) {
	cmd.Flags().StringVar(&f.after, "after", "", "continue after a page, with what it printed")
	cmd.Flags().IntVar(&f.limit, "limit", 50, what+" of a page, at most 500")
}

// cursor returns the cursor that --after gives, after a check of --limit.
func (f *pageFlags) cursor(cmd *cobra.Command) (directory.Cursor, error) {
	if f.limit < 1 || f.limit > 500 {
		return directory.Cursor{}, usagef(cmd, "--limit is 1 to 500, not %d", f.limit)
	}
	at, err := directory.ParseCursor(f.after)
	if err != nil {
		return at, usagef(cmd, "--after %q is not what a page before printed", f.after)
	}
	return at, nil
}

func (c *command) groupList() *cobra.Command {
	var page pageFlags
	var deleted bool
	cmd := &cobra.Command{
		Use: "list DIRECTORY [WORD...]", Short: "List groups by display name, all or those that the words find", Args: atLeast("DIRECTORY"),
		Long: `Lists groups by display name, a page at a time. Each WORD must occur in the name, the
description, the mail nickname or the mail address. What is printed at the end of a
page, --after, continues it.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			at, err := page.cursor(cmd)
			if err != nil {
				return err
			}
			h, err := s.directories.OpenNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			found, err := h.Groups(cmd.Context(), directory.GroupQuery{Search: strings.Join(args[1:], " "), Deleted: deleted, After: at, Limit: page.limit})
			if err != nil {
				return err
			}
			out, lines := []map[string]any{}, [][]string{}
			for _, g := range found.Groups {
				n, err := h.CountMembers(cmd.Context(), g.ObjectID)
				if err != nil {
					return err
				}
				one := groupJSON(g)
				one["memberCount"] = n.Total()
				out = append(out, one)
				lines = append(lines, []string{g.DisplayName(), fmt.Sprint(n.Total()), g.Text("description"), g.ObjectID})
			}
			next := ""
			if found.More {
				next = found.Next.String()
			}
			return c.print(map[string]any{"groups": out, "next": next}, func(w io.Writer) {
				printTable(w, "No such group. Make one with: rollcall directory group create "+h.Directory.Name+" NAME", []string{"Display name", "Members", "Description", "Object id"}, lines)
				if next != "" {
					c.note("There are more: add --after '%s'", next)
				}
			})
		}),
	}
	cmd.Flags().BoolVar(&deleted, "deleted", false, "the softly deleted groups instead of the others")
	page.register(cmd, "groups")
	return cmd
}

// setGroupAttributes applies ATTRIBUTE=VALUE arguments to g. It refuses to change the attribute
// that fixed names.
func setGroupAttributes(cmd *cobra.Command, g *directory.Group, args []string, fixed string) error {
	var seen []string
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return usagef(cmd, "%q is not ATTRIBUTE=VALUE, as in description=Sales", arg)
		}
		if a, known := directory.GroupAttributeNamed(name); known {
			name = a.Name
		}
		switch {
		case strings.EqualFold(name, fixed) && fixed == "objectId":
			return usagef(cmd, "objectId is given once and cannot be changed")
		case strings.EqualFold(name, fixed):
			return usagef(cmd, "%s is the second argument already", fixed)
		case slices.Contains(seen, name):
			return usagef(cmd, "%s is given twice", name)
		}
		seen = append(seen, name)
		if err := g.Set(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (c *command) groupCreate() *cobra.Command {
	return &cobra.Command{
		Use: "create DIRECTORY NAME [ATTRIBUTE=VALUE...]", Short: "Make a group without members", Args: atLeast("DIRECTORY", "NAME"),
		Long: `Makes a group. Attributes have Entra's names: displayName, description, mailNickname
and mail. Two groups may have one name, as in Entra; a warning says so, because most
applications find groups by name.`,
		Example: `  rollcall directory group create contoso Sales description="Who sells"`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, err := s.directories.OpenNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			var g directory.Group
			if err := g.Set("displayName", args[1]); err != nil {
				return err
			}
			if err := setGroupAttributes(cmd, &g, args[2:], "displayName"); err != nil {
				return err
			}
			if g.ObjectID != "" {
				if _, err := h.Group(cmd.Context(), g.ObjectID); !errors.Is(err, refusal.NotFound) {
					return errors.Join(err, fmt.Errorf("objectId: a group of directory %s has %s already", h.Directory.Name, g.ObjectID))
				}
			}
			made, _, err := h.PutGroup(cmd.Context(), g, actor)
			if err != nil {
				return err
			}
			return c.printGroup(cmd.Context(), h, made, true)
		}),
	}
}

func (c *command) groupSet() *cobra.Command {
	return &cobra.Command{
		Use: "set DIRECTORY GROUP ATTRIBUTE=VALUE...", Short: "Rename a group or change other attributes; an empty value clears one", Args: atLeast("DIRECTORY", "GROUP", "ATTRIBUTE=VALUE"),
		Example: "  rollcall directory group set contoso Sales displayName=\"Sales Europe\" description=",
		RunE: c.withGroup(func(cmd *cobra.Command, _ *services, h *directory.Handle, g directory.Group, args []string) error {
			for attempt := 0; ; attempt++ {
				next := g
				next.Attributes = map[string]string{}
				for name, value := range g.Attributes {
					next.Attributes[name] = value
				}
				if err := setGroupAttributes(cmd, &next, args, "objectId"); err != nil {
					return err
				}
				after, _, err := h.PutGroup(cmd.Context(), next, actor)
				if errors.Is(err, refusal.Stale) && attempt < 5 { // someone else changed the group at the same time, so try again
					if g, err = h.Group(cmd.Context(), g.ObjectID); err != nil {
						return err
					}
					continue
				}
				if err != nil {
					return err
				}
				return c.printGroup(cmd.Context(), h, after, after.DisplayName() != g.DisplayName())
			}
		}),
	}
}

func (c *command) groupShow() *cobra.Command {
	return &cobra.Command{
		Use: "show DIRECTORY GROUP", Short: "Show a group: its attributes, members by number, groups and applications", Args: exactArguments("DIRECTORY", "GROUP"),
		RunE: c.withGroup(func(cmd *cobra.Command, _ *services, h *directory.Handle, g directory.Group, _ []string) error {
			return c.printGroup(cmd.Context(), h, g, false)
		}),
	}
}

// printGroup prints a group. named is true if the group has a new name. In that case printGroup
// also warns of other groups with the same name.
func (c *command) printGroup(ctx context.Context, h *directory.Handle, g directory.Group, named bool) error {
	out := groupJSON(g)
	n, err := h.CountMembers(ctx, g.ObjectID)
	if err != nil {
		return err
	}
	apps, err := assignmentLines(ctx, h, g.ObjectID)
	if err != nil {
		return err
	}
	parents, err := groupNamesOf(ctx, h, g.ObjectID)
	if err != nil {
		return err
	}
	out["memberUsers"], out["memberGroups"], out["applications"], out["memberOf"] = n.Users, n.Groups, apps, parents
	warning := ""
	if named {
		if warning, err = h.NameWarning(ctx, g); err != nil {
			return err
		}
	}
	if warning != "" {
		out["warning"] = warning
	}
	return c.print(out, func(w io.Writer) {
		fmt.Fprintf(w, "%-28s %s\n", "objectId", g.ObjectID)
		for _, a := range directory.GroupAttributes() {
			if text := g.Text(a.Name); text != "" {
				fmt.Fprintf(w, "%-28s %s\n", a.Name, oneLine(text))
			}
		}
		fmt.Fprintf(w, "%-28s %s, %s\n", "direct members", phrase.Count(n.Users, "user", "users"), phrase.Count(n.Groups, "group", "groups"))
		if g.IsDeleted() {
			fmt.Fprintf(w, "%-28s %s\n", "deleted", c.formatTime(g.Deleted))
		}
		printLines(w, "member of", parents)
		printLines(w, "applications", apps)
		if warning != "" {
			c.note("%s", warning)
		}
	})
}

// printLines prints each line after the label.
func printLines(w io.Writer, label string, lines []string) {
	for _, line := range lines {
		fmt.Fprintf(w, "%-28s %s\n", label, oneLine(line))
	}
}

// assignmentLines describes each assignment of a user or group: "Acme", "Acme as Editor", "Acme
// through Sales".
func assignmentLines(ctx context.Context, h *directory.Handle, objectID string) ([]string, error) {
	all, err := h.AssignmentsOf(ctx, objectID)
	lines := []string{}
	for _, a := range all {
		line := a.Application.Name
		if a.Role.ID != directory.DefaultAccess.ID {
			line += " as " + a.Role.DisplayName
		}
		if !a.IsDirect() {
			line += " through " + a.Through.DisplayName()
		}
		lines = append(lines, line)
	}
	return lines, err
}

// groupNamesOf returns the names of the groups in which the user or group with this object id is a
// direct member.
func groupNamesOf(ctx context.Context, h *directory.Handle, objectID string) ([]string, error) {
	names := []string{}
	err := h.EachGroup(ctx, directory.GroupQuery{HasMember: objectID}, func(g directory.Group) error {
		names = append(names, g.DisplayName())
		return nil
	})
	return names, err
}

func (c *command) groupDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete DIRECTORY GROUP", Short: "Delete a group softly; its members stay", Args: exactArguments("DIRECTORY", "GROUP"),
		Long: `Deletes a group softly: rollcall directory group restore brings it back with its
members. People who are in scope of an application through this group alone are out
of scope until then, and are disabled there.

Asks first if the group is assigned to an application. --yes answers that question.`,
		RunE: c.withGroup(func(cmd *cobra.Command, _ *services, h *directory.Handle, g directory.Group, _ []string) error {
			apps, err := h.ApplicationsOf(cmd.Context(), g.ObjectID)
			if err != nil {
				return err
			}
			if len(apps) > 0 && !g.IsDeleted() {
				n, err := h.CountMembers(cmd.Context(), g.ObjectID)
				if err != nil {
					return err
				}
				question := fmt.Sprintf("This deletes the group %s of %s, which is assigned to %s. %s of it %s the scope unless assigned in another way.",
					g.DisplayName(), h.Directory.Name, phrase.Count(len(apps), "application", "applications"), phrase.Count(n.Users, "direct member", "direct members"), phrase.Noun(n.Users, "leaves", "leave"))
				if err := c.confirm(cmd, yes, question, g.DisplayName()); err != nil {
					return err
				}
			}
			if _, err := h.SoftDeleteGroup(cmd.Context(), g.ObjectID, actor); err != nil {
				return err
			}
			return c.printGroupDone(g, "is deleted; rollcall directory group restore brings it back with its members")
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

func (c *command) printGroupDone(g directory.Group, done string) error {
	return c.print(map[string]string{"objectId": g.ObjectID, "displayName": g.DisplayName()}, func(w io.Writer) {
		fmt.Fprintf(w, "Group %s %s.\n", oneLine(g.DisplayName()), done)
	})
}

func (c *command) groupRestore() *cobra.Command {
	return &cobra.Command{
		Use: "restore DIRECTORY GROUP", Short: "Bring back a softly deleted group with its members", Args: exactArguments("DIRECTORY", "GROUP"),
		RunE: c.withGroup(func(cmd *cobra.Command, _ *services, h *directory.Handle, g directory.Group, _ []string) error {
			if _, err := h.RestoreGroup(cmd.Context(), g.ObjectID, actor); err != nil {
				return err
			}
			return c.printGroupDone(g, "is restored")
		}),
	}
}

func (c *command) groupPurge() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "purge DIRECTORY GROUP", Short: "Delete a softly deleted group permanently; cannot be undone", Args: exactArguments("DIRECTORY", "GROUP"),
		RunE: c.withGroup(func(cmd *cobra.Command, _ *services, h *directory.Handle, g directory.Group, _ []string) error {
			if !g.IsDeleted() {
				return fmt.Errorf("group %s is not deleted; first: rollcall directory group delete %s %q", g.DisplayName(), h.Directory.Name, g.DisplayName())
			}
			n, err := h.CountMembers(cmd.Context(), g.ObjectID)
			if err != nil {
				return err
			}
			question := fmt.Sprintf("This deletes the group %s of %s permanently, with its %s. It cannot be restored.",
				g.DisplayName(), h.Directory.Name, phrase.Count(n.Total(), "membership", "memberships"))
			if err := c.confirm(cmd, yes, question, g.DisplayName()); err != nil {
				return err
			}
			if err := h.PurgeGroup(cmd.Context(), g.ObjectID, actor); err != nil {
				return err
			}
			return c.printGroupDone(g, "is deleted permanently")
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

func (c *command) groupMember() *cobra.Command {
	return groupCommand("member", "Direct members of a group (MEMBER is a userPrincipalName, an object id, or the name of a group)",
		c.memberList(), c.memberAdd(), c.memberRemove())
}

// memberJSON is a member in --json output.
type memberJSON struct {
	Kind        string `json:"kind"`
	ObjectID    string `json:"objectId"`
	DisplayName string `json:"displayName"`
	UPN         string `json:"userPrincipalName,omitempty"`
}

func (c *command) memberList() *cobra.Command {
	var page pageFlags
	cmd := &cobra.Command{
		Use: "list DIRECTORY GROUP [WORD...]", Short: "List the direct members, all or those that the words find", Args: atLeast("DIRECTORY", "GROUP"),
		RunE: c.withGroup(func(cmd *cobra.Command, _ *services, h *directory.Handle, g directory.Group, search []string) error {
			at, err := page.cursor(cmd)
			if err != nil {
				return err
			}
			found, err := h.Members(cmd.Context(), g.ObjectID, directory.MemberQuery{Search: strings.Join(search, " "), After: at, Limit: page.limit})
			if err != nil {
				return err
			}
			out, lines := []memberJSON{}, [][]string{}
			for _, m := range found.Members {
				out = append(out, memberJSON{string(m.Kind), m.ObjectID(), m.DisplayName(), m.User.UPN()})
				about := m.User.UPN()
				if m.Kind == directory.GroupKind {
					about = m.Group.Text("description")
				}
				lines = append(lines, []string{m.DisplayName(), string(m.Kind), about, m.ObjectID()})
			}
			next := ""
			if found.More {
				next = found.Next.String()
			}
			return c.print(map[string]any{"members": out, "next": next}, func(w io.Writer) {
				printTable(w, fmt.Sprintf("No such member. Add some with: rollcall directory group member add %s %q MEMBER...", h.Directory.Name, g.DisplayName()),
					[]string{"Display name", "Kind", "User principal name or description", "Object id"}, lines)
				if next != "" {
					c.note("There are more: add --after '%s'", next)
				}
			})
		}),
	}
	page.register(cmd, "members")
	return cmd
}

func (c *command) memberAdd() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "add DIRECTORY GROUP [MEMBER...]", Short: "Add users and groups to a group", Args: atLeast("DIRECTORY", "GROUP"),
		Long: `Adds users and groups to a group. --file names them in a file: one in each line, or
Entra's template for importing members. A line that is a problem is named and stops
nothing else.

People who are direct members of a group are in scope of the applications it is
assigned to. Members of a group within it are not, as in Entra.`,
		Example: `  rollcall directory group member add contoso Sales ada@contoso.example "Sales Europe"
  rollcall directory group member add contoso Sales --file GroupImportMembers.csv`,
		RunE: c.changeMembers(&file, false),
	}
	cmd.Flags().StringVar(&file, "file", "", "file with the members, one in each line; - is standard input")
	return cmd
}

func (c *command) memberRemove() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "remove DIRECTORY GROUP [MEMBER...]", Short: "Remove users and groups from a group", Args: atLeast("DIRECTORY", "GROUP"),
		RunE: c.changeMembers(&file, true),
	}
	cmd.Flags().StringVar(&file, "file", "", "file with the members, one in each line; - is standard input")
	return cmd
}

// changeMembers returns the function of a command that adds or removes members. The members are
// given as arguments, or listed in a file.
func (c *command) changeMembers(file *string, remove bool) func(*cobra.Command, []string) error {
	return c.withGroup(func(cmd *cobra.Command, _ *services, h *directory.Handle, g directory.Group, members []string) error {
		ctx := cmd.Context()
		switch {
		case len(members) == 0 && *file == "":
			return usagef(cmd, "MEMBER is missing: name users or groups, or give --file")
		case len(members) > 0 && *file != "":
			return usagef(cmd, "name the members or give --file, not both")
		case g.IsDeleted():
			return fmt.Errorf("group %s is deleted; first: rollcall directory group restore %s %q", g.DisplayName(), h.Directory.Name, g.DisplayName())
		}
		o := directory.MemberImport{Group: g.ObjectID, Remove: remove, Actor: actor}
		if *file != "" {
			report, err := c.importMembers(ctx, h, *file, o)
			if err != nil {
				return err
			}
			return c.printMembersChanged(ctx, h, g, report, *file, remove)
		}
		var ids []string
		for _, name := range members {
			m, err := h.MemberNamed(ctx, name)
			if err != nil {
				return err
			}
			ids = append(ids, m.ObjectID())
		}
		slices.Sort(ids)
		ids = slices.Compact(ids)
		do := h.AddMembers
		if remove {
			do = h.RemoveMembers
		}
		n, err := do(ctx, g.ObjectID, ids, actor)
		if err != nil {
			return err
		}
		return c.printMembersChanged(ctx, h, g, directory.MemberReport{Rows: len(ids), Changed: n, Already: len(ids) - n, Groups: 1, Errors: []directory.RowError{}}, "", remove)
	})
}

// printMembersChanged prints the changes of one group's members.
func (c *command) printMembersChanged(ctx context.Context, h *directory.Handle, g directory.Group, r directory.MemberReport, file string, remove bool) error {
	did, already := "added to", phrase.Noun(r.Already, "was a member already", "were members already")
	if remove {
		did, already = "removed from", phrase.Noun(r.Already, "was not a member", "were not members")
	} else if warning, err := h.NestingWarning(ctx, g.ObjectID); err != nil {
		return err
	} else if warning != "" {
		r.Notes = append(r.Notes, warning)
	}
	if err := c.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "%s %s %s", phrase.Count(r.Changed, "member", "members"), did, oneLine(g.DisplayName()))
		if r.Already > 0 {
			fmt.Fprintf(w, "; %d %s", r.Already, already)
		}
		fmt.Fprintln(w, ".")
		for _, note := range r.Notes {
			c.note("%s", note)
		}
	}); err != nil {
		return err
	}
	return c.printRowProblems(file, r.Errors)
}

// printRowProblems prints the problems with rows of a file.
func (c *command) printRowProblems(file string, list []directory.RowError) error {
	problems := make([]string, 0, len(list))
	for _, e := range list {
		problems = append(problems, e.Error())
	}
	return c.printProblems(file, problems)
}
