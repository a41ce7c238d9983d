package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/provision"
)

func (c *command) directoryCommand() *cobra.Command {
	return groupCommand("directory", "Directories: the company's end",
		c.directoryCreate(), c.directoryList(), c.directoryShow(), c.directorySet(), c.directoryRename(), c.directoryDelete(), c.directoryImport(), c.directoryExport(), c.directoryUser(),
		c.directoryGroup(), c.directoryKey(), c.groupImport(), c.groupExport(), c.memberImport(), c.memberExport())
}

// directoryJSON is a directory in --json output.
type directoryJSON struct {
	Name          string `json:"name"`
	ID            string `json:"id"`
	Created       string `json:"created"`
	EnabledUsers  int    `json:"enabledUsers"`
	DisabledUsers int    `json:"disabledUsers"`
	DeletedUsers  int    `json:"deletedUsers"`
	Groups        int    `json:"groups"`
	DefaultDomain string `json:"defaultDomain"`
}

func (c *command) directoryCreate() *cobra.Command {
	return &cobra.Command{
		Use: "create NAME", Short: "Make an empty directory", Args: exactArguments("NAME"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			d, err := s.directories.Create(cmd.Context(), args[0], actor)
			if err != nil {
				return err
			}
			return c.print(directoryJSON{Name: d.Name, ID: string(d.ID), Created: formatJSONTime(d.Created)}, func(w io.Writer) {
				fmt.Fprintf(w, "Directory %s was made. Bring people in with: rollcall directory import %s users.csv\n", d.Name, d.Name)
			})
		}),
	}
}

func (c *command) directoryList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the directories", Args: exactArguments(),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, _ []string) error {
			all, err := s.directories.List(cmd.Context())
			if err != nil {
				return err
			}
			out := []directoryJSON{}
			lines := [][]string{}
			for _, d := range all {
				n, err := s.directories.Open(d).Counts(cmd.Context())
				if err != nil {
					return err
				}
				groups, err := s.directories.Open(d).CountGroups(cmd.Context(), directory.GroupQuery{})
				if err != nil {
					return err
				}
				out = append(out, directoryJSON{d.Name, string(d.ID), formatJSONTime(d.Created), n.Enabled, n.Disabled, n.Deleted, groups, d.DefaultDomain})
				lines = append(lines, []string{d.Name, fmt.Sprint(n.Enabled), fmt.Sprint(n.Disabled), fmt.Sprint(n.Deleted), fmt.Sprint(groups), c.formatTime(d.Created)})
			}
			return c.print(out, func(w io.Writer) {
				printTable(w, "No directory yet. Make one with: rollcall directory create NAME", []string{"Name", "Enabled", "Disabled", "Deleted", "Groups", "Since"}, lines)
			})
		}),
	}
}

func (c *command) directoryShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a directory: its users and groups by number, and its applications", Args: exactArguments("NAME"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			h, err := s.directories.OpenNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			d := h.Directory
			n, err := h.Counts(cmd.Context())
			if err != nil {
				return err
			}
			groups, err := h.CountGroups(cmd.Context(), directory.GroupQuery{})
			if err != nil {
				return err
			}
			apps, lines, err := c.applications(cmd.Context(), s, h)
			if err != nil {
				return err
			}
			out := struct {
				directoryJSON
				Applications []appJSON `json:"applications"`
			}{directoryJSON{d.Name, string(d.ID), formatJSONTime(d.Created), n.Enabled, n.Disabled, n.Deleted, groups, d.DefaultDomain}, apps}
			return c.print(out, func(w io.Writer) {
				fmt.Fprintf(w, "Directory      %s\nObject id      %s\nSince          %s\nUsers          %d enabled, %d disabled, %d deleted\nGroups         %d\nDefault domain %s\nApplications   %d\n\n",
					d.Name, d.ID, c.formatTime(d.Created), n.Enabled, n.Disabled, n.Deleted, groups, cmp.Or(d.DefaultDomain, "none"), len(apps))
				printApplications(w, h, lines)
			})
		}),
	}
}

func (c *command) directoryExport() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "export NAME", Short: "Write the users as CSV, as import reads them", Args: exactArguments("NAME"),
		RunE: c.withOutputFile(&output, exportUsers),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write instead of standard output")
	return cmd
}

// exportUsers writes the users as CSV, and records the export in the audit trail.
func exportUsers(cmd *cobra.Command, s *services, h *directory.Handle, w io.Writer) error {
	out, sent := csv.NewWriter(w), 0
	err := h.Export(cmd.Context(), func(u directory.User, manager string) error {
		sent++
		return out.Write(u, manager)
	})
	if err == nil {
		err = out.Flush()
	}
	return s.recordDirectoryExport(cmd, h, event.ExportUsers, "The list of users", phrase.Count(sent, "user", "users"), sent, err)
}

func (c *command) directorySet() *cobra.Command {
	var domain string
	var yes bool
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Change a directory's settings", Args: exactArguments("NAME"),
		Long: `Changes the settings that are named.

--default-domain is what the expression function DefaultDomain() yields. The next
cycle of each application whose mapping reads it looks at everybody. Asks first when
people or groups then get other values; --yes answers that question.`,
		Example: "  rollcall directory set contoso --default-domain contoso.com",
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			if !cmd.Flags().Changed("default-domain") {
				return usagef(cmd, "nothing to set: give --default-domain")
			}
			d, err := s.directories.ByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if domain == "none" {
				domain = ""
			}
			question, err := domainHarm(cmd.Context(), s, d, domain)
			if err != nil {
				return err
			}
			if question != "" {
				if err := c.confirm(cmd, yes, question, d.Name); err != nil {
					return err
				}
			}
			if d, err = s.directories.SetDefaultDomain(cmd.Context(), d, domain, actor); err != nil {
				return err
			}
			return c.print(map[string]string{"name": d.Name, "defaultDomain": d.DefaultDomain}, func(w io.Writer) {
				if d.DefaultDomain == "" {
					fmt.Fprintf(w, "Directory %s has no default domain.\n", d.Name)
					return
				}
				fmt.Fprintf(w, "The default domain of directory %s is %s.\n", d.Name, d.DefaultDomain)
			})
		}),
	}
	cmd.Flags().StringVar(&domain, "default-domain", "", `the domain that DefaultDomain() yields, as contoso.com, or "none"`)
	yesFlag(cmd, &yes)
	return cmd
}

// domainHarm describes how a new default domain of the directory would affect each application. The
// description is "" if the new domain has no effect.
func domainHarm(ctx context.Context, s *services, d directory.Directory, domain string) (string, error) {
	domain, err := directory.NormalDomain(domain)
	if err != nil {
		return "", err
	}
	jobs, err := s.jobs.List(ctx, provision.SourceID(d.ID))
	if err != nil {
		return "", err
	}
	var said []string
	for _, job := range jobs {
		if domain == d.DefaultDomain || !job.ReadsDefaultDomain() {
			continue
		}
		app, err := s.directories.Open(d).Application(ctx, job.Key.App)
		if err != nil {
			return "", err
		}
		e, err := s.jobs.DomainEffect(ctx, job, domain)
		switch {
		case isInputError(err): // the job's mapping cannot be used, so the job sends nothing
		case err != nil:
			return "", err
		case e.Matters():
			said = append(append(said, e.ValueSentences(app.Name, phrase.Count)...), e.Sentences(app.Name, phrase.Count)...)
		}
	}
	return strings.Join(said, " "), nil
}

func (c *command) directoryRename() *cobra.Command {
	return &cobra.Command{
		Use: "rename NAME NEW-NAME", Short: "Give a directory another name", Args: exactArguments("NAME", "NEW-NAME"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			d, err := s.directories.ByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			renamed, err := s.directories.Rename(cmd.Context(), d, args[1], actor)
			if err != nil {
				return err
			}
			return c.print(map[string]string{"name": renamed.Name, "before": d.Name}, func(w io.Writer) {
				fmt.Fprintf(w, "Directory %s is now %s. Its pages are at %s/d/%s.\n", d.Name, renamed.Name, c.baseURL(), renamed.Name)
			})
		}),
	}
}

func (c *command) directoryDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete NAME", Short: "Delete a directory with its users, groups and applications; cannot be undone", Args: exactArguments("NAME"),
		Long: `Deletes a directory with its users, its groups, its applications and their provisioning. Nothing
is sent to the applications: the accounts that people have there stay as they are,
and Rollcall no longer changes them.

Asks first, with the numbers. --yes answers that question.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			d, err := s.directories.ByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			held, err := s.directories.Open(d).Contents(cmd.Context())
			if err != nil {
				return err
			}
			question := fmt.Sprintf("This deletes the directory %s with %s, %s and %s. %s at applications will stay as %s, and Rollcall will no longer change %s.",
				d.Name, phrase.Count(held.Users, "user", "users"), phrase.Count(held.Groups, "group", "groups"), phrase.Count(held.Applications, "application", "applications"),
				phrase.Count(held.Linked, "linked account", "linked accounts"), phrase.Noun(held.Linked, "it is", "they are"), phrase.Noun(held.Linked, "it", "them"))
			if err := c.confirm(cmd, yes, question, d.Name); err != nil {
				return err
			}
			gone, err := s.directories.Delete(cmd.Context(), d, actor)
			if err != nil {
				return err
			}
			if err := c.print(map[string]any{"deleted": d.Name, "users": gone.Users, "groups": gone.Groups, "applications": gone.Applications, "linked": gone.Linked}, func(w io.Writer) {
				fmt.Fprintf(w, "Directory %s was deleted with %s, %s and %s. %s stayed as %s.\n", d.Name, phrase.Count(gone.Users, "user", "users"), phrase.Count(gone.Groups, "group", "groups"),
					phrase.Count(gone.Applications, "application", "applications"), phrase.Count(gone.Linked, "linked account", "linked accounts"), phrase.Noun(gone.Linked, "it was", "they were"))
			}); err != nil {
				return err
			}
			return c.removeRows(cmd.Context(), s)
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}
