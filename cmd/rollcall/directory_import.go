package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/csv"
	"github.com/rollcall-scim/rollcall/internal/phrase"
)

func (c *command) directoryImport() *cobra.Command {
	var absent string
	var force, dryRun bool
	var mapping, ignore, build, enabled, disabled []string
	var file directory.FileOptions
	cmd := &cobra.Command{
		Use: "import NAME users.csv", Short: "Bring users in from a CSV file", Args: exactArguments("NAME", "users.csv"),
		Long: `Reads users.csv (- is standard input). The first line names the columns: Entra's
attributes (userPrincipalName, displayName, ...) or what HR systems call them
(First Name, Work Email, Employee #, ...). Commas, semicolons, tabs and pipes
separate columns. --map and --ignore-columns say what other columns mean. --make
builds an attribute from columns where a row has no value for it: names in braces
are columns, {First Name:1} is the first letter. An address is built in small
letters without accents, with a dot for each space. A user who is there keeps the
userPrincipalName.

A row is about the user with its objectId, else with its employeeId, else with
its userPrincipalName. The order of rows does not matter. A value that is a
problem is named with its line and column; it stops nothing else. An empty cell
removes the attribute, except userPrincipalName, accountEnabled and the employeeId
that the user was found by. A column that is not in the file changes nothing.

Users that are not in the file stay and are listed. --absent soft-delete deletes
them softly; more than 10 % of the directory only with --force. --dry-run shows
what would happen.`,
		Example: `  rollcall directory import contoso users.csv --dry-run
  rollcall directory import contoso hr.csv --map "Work Email=userPrincipalName" --ignore-columns "Hire Date,Location"
  rollcall directory import contoso hr.csv --map "Work Email=userPrincipalName" --map "Work Email=mail" --ignore-columns all
  rollcall directory import contoso staff.csv --make "userPrincipalName={First Name}.{Last Name}@contoso.example" --dry-run`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			o := directory.ImportOptions{Force: force, DryRun: dryRun, Actor: actor}
			switch absent {
			case "", "keep":
			case string(directory.AbsentSoftDelete):
				o.Absent = directory.AbsentSoftDelete
			default:
				return usagef(cmd, "--absent is keep or soft-delete, not %q", absent)
			}
			for _, m := range mapping {
				i := strings.LastIndexByte(m, '=')
				if i < 1 {
					return usagef(cmd, "--map is COLUMN=attribute, such as \"Work Email=userPrincipalName\", not %q", m)
				}
				file.Map = append(file.Map, directory.ColumnMap{Column: m[:i], Attribute: m[i+1:]})
			}
			for _, m := range build {
				attribute, text, ok := strings.Cut(m, "=")
				if !ok || strings.TrimSpace(attribute) == "" {
					return usagef(cmd, "--make is attribute=template, such as \"userPrincipalName={First Name}.{Last Name}@example.com\", not %q", m)
				}
				file.Make = append(file.Make, directory.Template{Attribute: attribute, Text: strings.TrimSpace(text)})
			}
			file.EnabledWords, file.DisabledWords = strings.Split(strings.Join(enabled, ","), ","), strings.Split(strings.Join(disabled, ","), ",")
			for _, name := range ignore {
				if strings.EqualFold(strings.TrimSpace(name), "all") {
					file.IgnoreUnknown = true
				} else {
					file.Ignore = append(file.Ignore, name)
				}
			}
			o.BeforeSoftDelete = func(n, of int) { c.note("%d of %d users are not in the file and will be deleted softly.", n, of) }
			o.Progress = c.importProgress()
			h, err := s.directories.OpenNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			in, err := c.openInput(args[1])
			if err != nil {
				return err
			}
			defer in.Close()
			report, err := importUsers(cmd.Context(), h, in, file, o)
			if err != nil {
				return fmt.Errorf("%s: %w", args[1], err)
			}
			if err := c.print(report, func(w io.Writer) { printImport(w, report) }); err != nil {
				return err
			}
			problems := make([]string, 0, len(report.Errors))
			for _, e := range report.Errors {
				problems = append(problems, e.Error())
			}
			said := c.printProblems(args[1], problems)
			if report.Refused != "" {
				if report.Forcible {
					report.Refused += "; to delete them all the same, import it again with --force"
				}
				c.note("rollcall: %s", report.Refused)
				return errAlreadyPrinted
			}
			return said
		}),
	}
	cmd.Flags().StringArrayVar(&mapping, "map", nil, "COLUMN=attribute: what a column of the file means (repeat it for more)")
	cmd.Flags().StringArrayVar(&ignore, "ignore-columns", nil, "columns to leave out, separated by commas; all leaves out every unknown one")
	cmd.Flags().StringArrayVar(&build, "make", nil, "attribute=template: build an attribute where a row has none (repeat it for more)")
	cmd.Flags().StringVar(&file.Separator, "separator", "", "what separates columns, such as ; or tab (found out by itself)")
	cmd.Flags().StringArrayVar(&enabled, "enabled-words", nil, "words of the file that mean an enabled account, separated by commas")
	cmd.Flags().StringArrayVar(&disabled, "disabled-words", nil, "words of the file that mean a disabled account, separated by commas")
	cmd.Flags().StringVar(&file.Encoding, "encoding", "", "how the file is encoded, such as windows-1252 (found out by itself when it is certain)")
	cmd.Flags().StringVar(&absent, "absent", "keep", "what becomes of users that are not in the file: keep or soft-delete")
	cmd.Flags().BoolVar(&force, "force", false, "delete softly even more than 10 % of the directory")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what would happen, change nothing")
	return cmd
}

// importProgress returns a function that prints the progress of an import after every ten thousand
// rows.
func (c *command) importProgress() func(done, of int) {
	const step = 10_000
	next := step
	return func(done, of int) {
		if done >= next && done < of {
			c.note("%d of %d rows are done.", done, of)
			next = done + step
		}
	}
}

func importUsers(ctx context.Context, h *directory.Handle, in io.Reader, file directory.FileOptions, o directory.ImportOptions) (directory.ImportReport, error) {
	f, err := csv.Open(in, file)
	if err != nil {
		return directory.ImportReport{}, err
	}
	o.Columns, o.CutReason = f.ColumnNames(), f.CutReason
	report, err := h.Import(ctx, f.Rows, o)
	report.Notes = f.Notes
	if report.Nameless > 0 && f.Template != "" {
		report.Notes = append(report.Notes, fmt.Sprintf("%s no userPrincipalName, which a new user needs. To build it from other columns, with your own domain instead of example.com, add: --make \"userPrincipalName=%s\"",
			phrase.Count(report.Nameless, "row has", "rows have"), f.Template))
	}
	return report, err
}

func printImport(w io.Writer, r directory.ImportReport) {
	for _, note := range r.Notes {
		fmt.Fprintln(w, note)
	}
	did := ""
	if r.DryRun {
		did = "Would be: "
	}
	fmt.Fprintf(w, "%s%d created, %d updated, %d restored, %d unchanged, %d deleted softly, %s.\n",
		did, r.Created, r.Updated, r.Restored, r.Unchanged, r.SoftDeleted, phrase.Count(len(r.Errors), "problem", "problems"))
	if n := len(r.Duplicates); n > 0 {
		d := r.Duplicates[0]
		fmt.Fprintf(w, "%s the same as an earlier one and counted once, such as line %d, which is like line %d.\n", phrase.Count(n, "row is", "rows are"), d.Line, d.RepeatsLine)
	}
	if len(r.Absent) == 0 {
		return
	}
	fmt.Fprintf(w, "Not in the file (%d of %d):\n", len(r.Absent), r.Before)
	for _, p := range r.Absent {
		fmt.Fprintf(w, "  %s (%s)\n", p.UserPrincipalName, p.DisplayName)
	}
}
