package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/erasure"
	"github.com/rollcall-scim/rollcall/internal/phrase"
)

const eraseHelp = `
Takes the name, the addresses and every other value of one person out of the
accounts, the request log, the provisioning logs and the audit trail. Entries stay,
with their time, their kind and who did it; they show "erased person" and an id.
Values that another account has too stay where they are about others. It can be
repeated, by the id.

Asks first. --yes answers that question.`

func (c *command) siteErase() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "erase SITE USERNAME", Short: "Erase one person from a site; cannot be undone", Args: exactArguments("SITE", "USERNAME"),
		Long: `Erases a person whose account is deactivated, or gone already. An account that is
active is refused: deactivate it first.` + "\n" + eraseHelp,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			question := fmt.Sprintf("This erases %s from the site %s and from its logs. It cannot be undone.", args[1], st.Name)
			if err := c.confirm(cmd, yes, question, args[1]); err != nil {
				return err
			}
			report, err := s.eraser.FromSite(cmd.Context(), st, args[1], actor)
			return c.printErasure(report, err)
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

func (c *command) userErase() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "erase DIRECTORY PERSON", Short: "Erase one person from a directory; cannot be undone", Args: exactArguments("DIRECTORY", "PERSON"),
		Long: `Erases a person who is deleted, softly or for good. A user who is there is refused:
delete the user first, and let provisioning take the accounts away.` + "\n" + eraseHelp,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			d, err := s.directories.ByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			question := fmt.Sprintf("This erases %s from the directory %s and from its logs. It cannot be undone.", args[1], d.Name)
			if err := c.confirm(cmd, yes, question, args[1]); err != nil {
				return err
			}
			h, who := s.directories.Open(d), args[1]
			if u, err := findUser(cmd.Context(), h, who); err == nil {
				who = u.ObjectID // the object id also finds a softly deleted user
			}
			report, err := s.eraser.FromDirectory(cmd.Context(), h, who, actor)
			return c.printErasure(report, err)
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

func (c *command) printErasure(r erasure.Report, err error) error {
	if err != nil {
		return err
	}
	return c.print(map[string]any{"erased": r.IDs, "account": r.HadAccount, "entries": r.ChangedRows, "complete": r.Complete}, func(w io.Writer) {
		fmt.Fprintf(w, "The person was erased: %s changed. They are shown as: erased person %s\n", phrase.Count(r.ChangedRows, "entry was", "entries were"), strings.Join(r.IDs, ", erased person "))
		if !r.Complete {
			fmt.Fprintln(w, "Free parts of the database file may still hold old values. Stop the server and run: rollcall database compact")
		}
	})
}
