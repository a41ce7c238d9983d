package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/phrase"
)

func (c *command) groupImport() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use: "import-groups NAME groups.csv", Short: "Bring groups in from a CSV file", Args: exactArguments("NAME", "groups.csv"),
		Long: `Reads groups.csv (- is standard input). The first line names the columns: displayName,
description, mailNickname, mail and objectId. Entra's download of groups is read as it
is; other columns are left out.

A row is about the group with its objectId, else about the group that has its
displayName; without one it makes a new group. An empty cell clears the attribute, and
a column that is not in the file changes nothing. A row that is a problem is named with
its line and column; it stops nothing else. Groups that are not in the file stay.

Members come with rollcall directory import-members. --dry-run shows what would happen.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, err := s.directories.OpenNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			in, err := c.openInput(args[1])
			if err != nil {
				return err
			}
			defer in.Close()
			f, err := csv.ReadGroups(in)
			if err != nil {
				return fmt.Errorf("%s: %w", args[1], err)
			}
			r, err := h.ImportGroups(cmd.Context(), f, dryRun, actor)
			if err != nil {
				return fmt.Errorf("%s: %w", args[1], err)
			}
			if err := c.print(r, func(w io.Writer) {
				for _, note := range r.Notes {
					fmt.Fprintln(w, note)
				}
				fmt.Fprintf(w, "%s%d created, %d updated, %d restored, %d unchanged, %s.\n", dryRunPrefix(dryRun), r.Created, r.Updated, r.Restored, r.Unchanged, phrase.Count(len(r.Errors), "problem", "problems"))
			}); err != nil {
				return err
			}
			return c.printRowProblems(args[1], r.Errors)
		}),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what would happen, change nothing")
	return cmd
}

func dryRunPrefix(dryRun bool) string {
	if dryRun {
		return "Would be: "
	}
	return ""
}

func (c *command) memberImport() *cobra.Command {
	o := directory.MemberImport{Actor: actor}
	cmd := &cobra.Command{
		Use: "import-members NAME members.csv", Short: "Bring memberships of groups in from a CSV file", Args: exactArguments("NAME", "members.csv"),
		Long: `Reads members.csv (- is standard input), a row for each membership. The first line names
the columns: group, which holds a displayName or objectId, and member, which holds a
userPrincipalName, an objectId, or the displayName of a group. For a file about one
group there is rollcall directory group member add --file.

A row that is a problem is named with its line and column; it stops nothing else.
Members that are not in the file stay. --remove takes the members of the file out of
their groups. --dry-run shows what would happen.`,
		Example: `  rollcall directory import-members contoso members.csv --dry-run`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, err := s.directories.OpenNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			r, err := c.importMembers(cmd.Context(), h, args[1], o)
			if err != nil {
				return err
			}
			if err := c.print(r, func(w io.Writer) {
				for _, note := range r.Notes {
					fmt.Fprintln(w, note)
				}
				did, already := "added", phrase.Noun(r.Already, "was there already", "were there already")
				if o.Remove {
					did, already = "removed", phrase.Noun(r.Already, "was not there", "were not there")
				}
				fmt.Fprintf(w, "%s%s of %s %s, %d %s, %s.\n", dryRunPrefix(o.DryRun), phrase.Count(r.Changed, "membership", "memberships"), phrase.Count(r.Groups, "group", "groups"),
					did, r.Already, already, phrase.Count(len(r.Errors), "problem", "problems"))
			}); err != nil {
				return err
			}
			return c.printRowProblems(args[1], r.Errors)
		}),
	}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "show what would happen, change nothing")
	cmd.Flags().BoolVar(&o.Remove, "remove", false, "remove the members from their groups instead of adding them")
	return cmd
}

func (c *command) importMembers(ctx context.Context, h *directory.Handle, file string, o directory.MemberImport) (directory.MemberReport, error) {
	in, err := c.openInput(file)
	if err != nil {
		return directory.MemberReport{}, err
	}
	defer in.Close()
	f, err := csv.ReadMembers(in, o.Group != "")
	if err != nil {
		return directory.MemberReport{}, fmt.Errorf("%s: %w", file, err)
	}
	r, err := h.ImportMembers(ctx, f, o)
	if err != nil {
		err = fmt.Errorf("%s: %w (%s done before that; import the file again to go on)", file, err, phrase.Count(r.Changed, "membership was", "memberships were"))
	}
	return r, err
}

func (c *command) groupExport() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "export-groups NAME", Short: "Write the groups as CSV, as import-groups reads them", Args: exactArguments("NAME"),
		RunE: c.withOutputFile(&output, exportGroups),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write instead of standard output")
	return cmd
}

func (c *command) memberExport() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "export-members NAME", Short: "Write the direct memberships of all groups as CSV, as import-members reads them", Args: exactArguments("NAME"),
		RunE: c.withOutputFile(&output, exportMembers),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write instead of standard output")
	return cmd
}

// withOutputFile opens the directory and creates the output file. It calls do, which writes to the
// file. Without a file name, do writes to standard output.
func (c *command) withOutputFile(output *string, do func(*cobra.Command, *services, *directory.Handle, io.Writer) error) func(*cobra.Command, []string) error {
	return c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
		h, err := s.directories.OpenNamed(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if *output == "" {
			return do(cmd, s, h, c.stdout)
		}
		f, err := os.OpenFile(*output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		if err := do(cmd, s, h, f); err != nil {
			f.Close()
			return err
		}
		return f.Close()
	})
}

func exportGroups(cmd *cobra.Command, s *services, h *directory.Handle, w io.Writer) error {
	columns, sent := []string{"objectId"}, 0
	for _, a := range directory.GroupAttributes() {
		columns = append(columns, a.Name)
	}
	out, err := csv.NewTableWriter(w, columns...)
	if err != nil {
		return err
	}
	err = h.EachGroup(cmd.Context(), directory.GroupQuery{}, func(g directory.Group) error {
		sent++
		cells := make([]string, len(columns))
		for i, name := range columns {
			cells[i] = g.Text(name)
		}
		return out.Write(cells...)
	})
	return s.recordDirectoryExport(cmd, h, event.ExportGroups, "The list of groups", phrase.Count(sent, "group", "groups"), sent, errors.Join(err, out.Flush()))
}

func exportMembers(cmd *cobra.Command, s *services, h *directory.Handle, w io.Writer) error {
	out, err := csv.NewTableWriter(w, "group", "groupName", "member", "memberName")
	if err != nil {
		return err
	}
	sent := 0
	err = h.EachGroup(cmd.Context(), directory.GroupQuery{}, func(g directory.Group) error {
		return h.EachMember(cmd.Context(), g.ObjectID, directory.MemberQuery{}, func(m directory.Member) error {
			sent++
			name := m.User.UPN()
			if m.Kind == directory.GroupKind {
				name = m.DisplayName()
			}
			return out.Write(g.ObjectID, g.DisplayName(), m.ObjectID(), name)
		})
	})
	return s.recordDirectoryExport(cmd, h, event.ExportGroups, "The list of members of groups", phrase.Count(sent, "membership", "memberships"), sent, errors.Join(err, out.Flush()))
}

// recordDirectoryExport records in the audit trail that someone exported a list of the directory.
func (s *services) recordDirectoryExport(cmd *cobra.Command, h *directory.Handle, name, what, many string, sent int, err error) error {
	return errors.Join(err, s.recordExport(cmd, event.Directory(string(h.Directory.ID)), name, what, many, sent))
}
