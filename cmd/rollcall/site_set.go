package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/site"
)

// settings are the flags of "site set".
type settings struct {
	scim, roles, strict, groups, revive, sharedNames bool
	profile, create, delete                          string
	rate                                             int
}

func (c *command) siteSet() *cobra.Command {
	var f settings
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Change a site's settings", Args: names("NAME"),
		Long: `Changes the settings that are named and no other.

--profile sets --create, --delete and --groups to what the profile stands for:
documented is refuse, refuse, no groups; full is create, delete, groups. Each
can be set apart from it, also in the same call.`,
		Example: "  rollcall site set acme --enable-scim=false\n  rollcall site set acme --manage-roles --profile full --delete deactivate",
		RunE: c.with(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			changes, err := f.changes(cmd)
			if err != nil {
				return err
			}
			changed, err := s.sites.Update(cmd.Context(), st.ID, actor, func(next *site.Site) error {
				for _, change := range changes {
					change(next)
				}
				return nil
			})
			if err != nil {
				return err
			}
			return c.print(c.siteJSON(changed), func(w io.Writer) {
				fmt.Fprintf(w, "%s: profile %s, SCIM %s, SCIM manages user roles %s, strict mode %s, create %s, revive %s, delete %s, groups %s, group names %s, rate limit %s\n",
					changed.Name, changed.Profile, onOff(changed.SCIMEnabled), onOff(changed.ManageRoles), onOff(changed.Strict),
					createWord(changed.Creates), onOff(changed.Revives), changed.Deletes, onOff(changed.Groups), groupNames(changed), rateText(changed.RateLimit))
			})
		}),
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.scim, "enable-scim", false, "the guide's Enable SCIM")
	flags.BoolVar(&f.roles, "manage-roles", false, "the guide's Allow SCIM to manage user roles")
	flags.BoolVar(&f.strict, "strict", false, "refuse what the RFCs refuse instead of reading the dialects of known clients")
	flags.StringVar(&f.profile, "profile", "", "documented or full; sets create, delete and groups")
	flags.StringVar(&f.create, "create", "", "what a SCIM create does: refuse or create")
	flags.BoolVar(&f.revive, "revive", false, "whether a SCIM create of somebody whom SCIM deactivated gives them their account back")
	flags.StringVar(&f.delete, "delete", "", "what a SCIM delete does: refuse, deactivate, or delete for good")
	flags.BoolVar(&f.groups, "groups", false, "whether SCIM has groups")
	flags.BoolVar(&f.sharedNames, "shared-group-names", false, "whether two groups may have one displayName; in strict mode they may anyhow")
	flags.IntVar(&f.rate, "rate-limit", 0, fmt.Sprintf("SCIM requests per second, at least %d; 0 for no limit", site.MinRateLimit))
	return cmd
}

// changes are what the flags that were given ask for, the profile first.
func (f settings) changes(cmd *cobra.Command) ([]func(*site.Site), error) {
	var changes []func(*site.Site)
	add := func(flag string, change func(*site.Site)) {
		if cmd.Flags().Changed(flag) {
			changes = append(changes, change)
		}
	}
	given := cmd.Flags().Changed
	profile, err := site.ParseProfile(f.profile)
	if err != nil {
		return nil, usagef(cmd, "--profile is documented or full, not %q", f.profile)
	}
	if given("create") && f.create != createWord(false) && f.create != createWord(true) {
		return nil, usagef(cmd, "--create is refuse or create, not %q", f.create)
	}
	mode, err := site.ParseDeleteMode(f.delete)
	if given("delete") && err != nil {
		return nil, usagef(cmd, "--delete is refuse, deactivate or delete, not %q", f.delete)
	}
	if f.rate != 0 && (f.rate < site.MinRateLimit || f.rate > site.MaxRateLimit) {
		return nil, usagef(cmd, "--rate-limit is 0 for none, or %d to %d requests per second, not %d", site.MinRateLimit, site.MaxRateLimit, f.rate)
	}
	add("profile", func(s *site.Site) { s.Choose(profile) })
	add("enable-scim", func(s *site.Site) { s.SCIMEnabled = f.scim })
	add("manage-roles", func(s *site.Site) { s.ManageRoles = f.roles })
	add("strict", func(s *site.Site) { s.Strict = f.strict })
	add("create", func(s *site.Site) { s.Creates = f.create == createWord(true) })
	add("revive", func(s *site.Site) { s.Revives = f.revive })
	add("delete", func(s *site.Site) { s.Deletes = mode })
	add("groups", func(s *site.Site) { s.Groups = f.groups })
	add("shared-group-names", func(s *site.Site) { s.SharedGroupNames = f.sharedNames })
	add("rate-limit", func(s *site.Site) { s.RateLimit = f.rate })
	if len(changes) == 0 {
		return nil, usagef(cmd, "nothing to set: give at least one of --enable-scim, --manage-roles, --strict, --profile, --create, --revive, --delete, --groups, --shared-group-names, --rate-limit")
	}
	return changes, nil
}

// createWord is the value of --create.
func createWord(creates bool) string {
	if creates {
		return "create"
	}
	return "refuse"
}

func rateText(perSecond int) string {
	if perSecond == 0 {
		return "none"
	}
	return fmt.Sprintf("%d requests per second", perSecond)
}
