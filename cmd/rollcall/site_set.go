package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rollcall-scim/rollcall/site"
)

func (c *command) siteSet() *cobra.Command {
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Change a site's settings", Args: exactArguments("NAME"),
		Long: `Changes the settings that are named and no other.

--profile sets --create, --delete and --groups to what the profile stands for:
documented is refuse, refuse, no groups; full is create, delete, groups. Each
can be set apart from it, also in the same call.`,
		Example: "  rollcall site set acme --enable-scim=false\n  rollcall site set acme --manage-roles --profile full --delete deactivate",
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			changes, err := settingChanges(cmd)
			if err != nil {
				return err
			}
			changed, err := s.sites.Update(cmd.Context(), st.ID, actor, func(next *site.Site) error {
				for _, change := range changes {
					change(&next.Settings)
				}
				return nil
			})
			if err != nil {
				return err
			}
			return c.print(c.siteJSON(changed), func(w io.Writer) {
				var all []string
				for _, x := range site.SettingsTable {
					all = append(all, shortTitle(x)+" "+x.Printed(changed))
				}
				fmt.Fprintf(w, "%s: %s\n", changed.Name, strings.Join(all, ", "))
			})
		}),
	}
	for _, x := range site.SettingsTable {
		switch x.Kind {
		case site.Tick:
			cmd.Flags().Bool(x.Flag, false, x.Usage)
		case site.Choice:
			cmd.Flags().String(x.Flag, "", x.Usage)
		case site.Number:
			cmd.Flags().Int(x.Flag, 0, x.Usage)
		}
	}
	return cmd
}

// shortTitle returns the setting's title in the form that fits inside a sentence.
func shortTitle(x site.Setting) string {
	if x.Short != "" {
		return x.Short
	}
	if strings.HasPrefix(x.Title, "SCIM") {
		return x.Title
	}
	return strings.ToLower(x.Title[:1]) + x.Title[1:]
}

// settingChanges returns the changes of the given flags, in the order of the table of settings. The
// change of the profile comes first, because it sets other settings.
func settingChanges(cmd *cobra.Command) ([]func(*site.Settings), error) {
	var changes []func(*site.Settings)
	var flags []string
	for _, x := range site.SettingsTable {
		flags = append(flags, "--"+x.Flag)
		f := cmd.Flags().Lookup(x.Flag)
		if !f.Changed {
			continue
		}
		value, ok := x.Parse(settingWord(x, f))
		if !ok {
			return nil, notAllowed(cmd, x, f.Value.String())
		}
		changes = append(changes, func(s *site.Settings) { x.Set(s, value) })
	}
	if len(changes) == 0 {
		return nil, usagef(cmd, "nothing to set: give at least one of %s", strings.Join(flags, ", "))
	}
	return changes, nil
}

// settingWord returns the word to store for the setting that a flag changes.
func settingWord(x site.Setting, f *pflag.Flag) string {
	if x.Kind == site.Tick {
		return onOff(f.Value.String() == "true")
	}
	return f.Value.String()
}

// notAllowed returns the error for a wrong value of a flag. The error lists the values that the
// setting accepts.
func notAllowed(cmd *cobra.Command, x site.Setting, given string) error {
	if x.Kind == site.Choice {
		given = fmt.Sprintf("%q", given)
	}
	return usagef(cmd, "--%s is %s, not %s", x.Flag, x.Allowed(), given)
}
