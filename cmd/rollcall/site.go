package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/internal/near"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

// object is a JSON object that keeps the order of its members.
type object []member

// member is a name and value of a JSON object.
type member struct {
	key   string
	value any
}

// MarshalJSON writes the members in the order of the slice.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i, m := range o {
		b.WriteByte("{,"[min(i, 1)])
		if err := errors.Join(enc.Encode(m.key), b.WriteByte(':'), enc.Encode(m.value)); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// siteJSON returns a site with all its settings for --json output.
func (c *command) siteJSON(s site.Site) object {
	out := object{{"name", s.Name}, {"tenantUrl", c.tenantURL(s.Name)}}
	for _, x := range site.SettingsTable {
		out = append(out, member{x.Key, x.JSON(s.Settings)})
	}
	return append(out, member{"schemas", s.Schemas != nil}, member{"created", formatJSONTime(s.Created)})
}

func (c *command) tenantURL(name string) string { return c.baseURL() + "/c/" + name + "/auth/scim/v2" }

func (c *command) siteCommand() *cobra.Command {
	return groupCommand("site", "Sites: the application's end",
		c.siteCreate(), c.siteList(), c.siteShow(), c.siteSet(), c.siteRename(), c.siteDelete(), c.siteSchema(), c.siteSearchable(), c.siteImportPeople(), c.siteLink(), c.siteBlock(), c.siteUnblock(), c.siteSessions(), c.siteSignOut(), c.siteHeld(), c.siteLookAlikes(), c.siteSSO(), c.siteErase())
}

func (c *command) siteCreate() *cobra.Command {
	var profile, admin string
	profiles := site.SettingOf("profile")
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a site and print a sign-in link for its first administrator", Args: exactArguments("NAME"),
		Long: `Makes the site NAME and prints a one-time link for its first administrator.
With --admin the account is made now, with that address as its user name;
without, whoever opens the link gives a name and an e-mail address.

Profile "documented" follows the guide: SCIM updates people and neither creates
nor deletes them. Profile "full" lets SCIM create, update and delete.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			p, err := site.ParseProfile(profile)
			if err != nil {
				return notAllowed(cmd, profiles, profile)
			}
			made, err := s.sites.Create(cmd.Context(), args[0], p, actor)
			if err != nil {
				return err
			}
			l, err := s.signins.IssueFirstAdminLink(cmd.Context(), made, admin, actor)
			if err != nil {
				return fmt.Errorf("the site %s was made, but no link: %w", made.Name, err)
			}
			url := c.baseURL() + l.Path
			out := append(c.siteJSON(made), member{"link", url}, member{"linkExpires", formatJSONTime(l.Expires)})
			return c.print(out, func(w io.Writer) {
				c.note("Site %s was made with profile %s. Its first administrator signs in here, once, within %s:", made.Name, made.Profile, formatMinutes(l.Expires.Sub(c.now())))
				fmt.Fprintln(w, url)
				c.warnNoServer()
				c.note("Tenant URL: %s (SCIM is off until a token is made: rollcall token create %s)", c.tenantURL(made.Name), made.Name)
			})
		}),
	}
	cmd.Flags().StringVar(&profile, profiles.Flag, profiles.Default, "what the site lets SCIM do: "+profiles.Allowed())
	cmd.Flags().StringVar(&admin, "admin", "", "e-mail address of the first administrator")
	return cmd
}

func (c *command) siteList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the sites", Args: exactArguments(),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, _ []string) error {
			all, err := s.sites.List(cmd.Context())
			if err != nil {
				return err
			}
			out := []object{}
			lines := [][]string{}
			for _, st := range all {
				out = append(out, c.siteJSON(st))
				lines = append(lines, []string{st.Name, string(st.Profile), onOff(st.SCIMEnabled), onOff(st.ManageRoles), c.formatTime(st.Created)})
			}
			return c.print(out, func(w io.Writer) {
				printTable(w, "No site yet. Make one with: rollcall site create NAME --admin EMAIL",
					[]string{"Name", "Profile", "SCIM", "SCIM manages roles", "Since"}, lines)
			})
		}),
	}
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func (c *command) siteShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a site's settings and numbers", Args: exactArguments("NAME"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			counts, err := s.rosters.Open(st).Counts(cmd.Context())
			if err != nil {
				return err
			}
			searchable, err := s.rosters.Open(st).Indexing(cmd.Context())
			if err != nil {
				return err
			}
			out := append(c.siteJSON(st),
				member{"activePeople", counts.Active},
				member{"deactivatedPeople", counts.Deactivated},
				member{"blockedPeople", counts.Blocked}, // the number of blocked people, who are also counted as deactivated
				member{"waitingPeople", counts.Waiting}, // the number of people with a change that waits for an administrator's decision
				member{"lookAlikePeople", counts.LookAlike},
				member{"searchable", searchableOf(searchable)})
			return c.print(out, func(w io.Writer) {
				line := func(title, value string) { fmt.Fprintf(w, "%-12s  %s\n", title, value) }
				line("Site", st.Name)
				line("Tenant URL", c.tenantURL(st.Name))
				for _, x := range site.SettingsTable {
					line(x.Title, x.Printed(st))
				}
				line("Own schemas", ownSchemas(st))
				line("Searchable", searchableText(searchable))
				line("People", fmt.Sprintf("%d active, %d deactivated%s", counts.Active, counts.Deactivated, blockedText(counts)))
				if counts.Waiting > 0 {
					fmt.Fprintf(w, "To decide     changes of %s: rollcall site held list %s\n", phrase.Count(counts.Waiting, "person", "people"), st.Name)
				}
				if counts.LookAlike > 0 {
					fmt.Fprintf(w, "Look-alikes   %s: rollcall site look-alikes %s\n", phrase.Count(counts.LookAlike, "person", "people"), st.Name)
				}
			})
		}),
	}
}

// blockedText returns the words that follow the number of deactivated people. They say how many of
// these people are blocked.
func blockedText(c roster.Counts) string {
	if c.Blocked == 0 {
		return ""
	}
	return fmt.Sprintf(", %d of them blocked", c.Blocked)
}

func (c *command) siteRename() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rename NAME NEW-NAME", Short: "Give a site another name, which changes its Tenant URL", Args: exactArguments("NAME", "NEW-NAME"),
		Long: `Gives a site another name. The name is part of all its addresses: the identity
provider is refused until its new Tenant URL is entered there. Tokens go on, people
keep their accounts and sign in again. A site that gets the old name later gets
nothing else of this one.

Asks first. --yes answers that question.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := site.CheckName(args[1]); err != nil {
				return err
			}
			question, err := c.renameQuestion(cmd.Context(), s, st, args[1])
			if err != nil {
				return err
			}
			if err := c.confirm(cmd, yes, question, args[1]); err != nil {
				return err
			}
			renamed, err := s.sites.Rename(cmd.Context(), st.ID, args[1], actor)
			if err != nil {
				return err
			}
			return c.print(c.siteJSON(renamed), func(w io.Writer) {
				fmt.Fprintf(w, "Site %s is now %s. Enter its new Tenant URL at the identity provider; the token stays the same.\n%s\n", st.Name, renamed.Name, c.tenantURL(renamed.Name))
			})
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

// renameQuestion returns the question to ask before a rename. The question describes the effects of
// the rename, with numbers.
func (c *command) renameQuestion(ctx context.Context, s *services, st site.Site, name string) (string, error) {
	counts, err := s.rosters.Open(st).Counts(ctx)
	if err != nil {
		return "", err
	}
	tokens, err := s.sites.Tokens(ctx, st.ID)
	if err != nil {
		return "", err
	}
	live, now := 0, time.Now()
	for _, t := range tokens {
		if t.IsLive(now) {
			live++
		}
	}
	return fmt.Sprintf("This renames the site %s to %s. Its old addresses lead nowhere. Its Tenant URL becomes %s: the identity provider is refused until that is entered there. %s on. All sessions end: %s in again.",
		st.Name, name, c.tenantURL(name), phrase.Count(live, "live token goes", "live tokens go"), phrase.Count(counts.Active, "active person signs", "active people sign")), nil
}

func (c *command) siteDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete NAME", Short: "Delete a site with all its people; cannot be undone", Args: exactArguments("NAME"),
		Long: `Deletes a site with its people, groups, tokens and request log. Its SCIM address
stops working at once, and another site can have its name. The stored rows are then
removed, a few at a time. If the command is interrupted, a running server continues.

Asks first, with the numbers. --yes answers that question.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			counts, err := s.rosters.Open(st).Counts(cmd.Context())
			if err != nil {
				return err
			}
			people := phrase.Count(counts.Active+counts.Deactivated, "person", "people")
			question := fmt.Sprintf("This deletes the site %s with %s (%d active), its groups, tokens and request log. It cannot be undone.", st.Name, people, counts.Active)
			if err := c.confirm(cmd, yes, question, st.Name); err != nil {
				return err
			}
			if err := s.sites.Delete(cmd.Context(), st.ID, st.Name, actor); err != nil {
				return err
			}
			if err := c.print(map[string]any{"deleted": st.Name, "people": counts.Active + counts.Deactivated}, func(w io.Writer) {
				fmt.Fprintf(w, "Site %s was deleted with %s.\n", st.Name, people)
			}); err != nil {
				return err
			}
			return c.removeRows(cmd.Context(), s)
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

func (c *command) siteLink() *cobra.Command {
	return &cobra.Command{
		Use: "link SITE [USERNAME]", Short: "Print a one-time sign-in link for anybody active", Args: between(1, "SITE", "USERNAME"),
		Long: `Prints a link that signs in USERNAME once, within 15 minutes. Without USERNAME,
on a site that has no administrator yet, the link asks for a name and an e-mail
address and makes the first one.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if len(args) == 1 {
				l, err := s.signins.IssueFirstAdminLink(cmd.Context(), st, "", actor)
				if errors.Is(err, signin.ErrHasAdmin) {
					return usagef(cmd, "USERNAME is missing: %s has an administrator already", st.Name)
				}
				if err != nil {
					return err
				}
				return c.printLink("the first administrator of "+st.Name, c.baseURL()+l.Path, l.Expires)
			}
			l, err := s.signins.IssueSiteLink(cmd.Context(), st, args[1], actor)
			if err != nil {
				return err
			}
			return c.printLink(l.UserName, c.baseURL()+l.Path, l.Expires)
		}),
	}
}

func (c *command) siteImportPeople() *cobra.Command {
	return &cobra.Command{
		Use: "import-people NAME people.csv", Short: "Import people from a CSV file", Args: exactArguments("NAME", "people.csv"),
		Long: `Reads people.csv (- is standard input) with the header
userName,displayName,givenName,familyName,email,userIdentifier,role and makes or
updates one person per row, found by userName. A row with an error is reported with
its line and column and does not stop the others. No person is removed.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			in, err := c.openInput(args[1])
			if err != nil {
				return err
			}
			defer in.Close()
			report, err := s.importPeople(cmd.Context(), st, in)
			if err != nil {
				return fmt.Errorf("%s: %w", args[1], err)
			}
			problems := make([]string, 0, len(report.Errors))
			for _, e := range report.Errors {
				problems = append(problems, e.Error())
			}
			out := map[string]any{"created": report.Created, "updated": report.Updated, "unchanged": report.Unchanged, "errors": problems}
			if err := c.print(out, func(w io.Writer) {
				fmt.Fprintf(w, "%d created, %d updated, %d unchanged, %s.\n", report.Created, report.Updated, report.Unchanged, phrase.Count(len(problems), "row not read", "rows not read"))
			}); err != nil {
				return err
			}
			return c.printProblems(args[1], problems)
		}),
	}
}

func (s *services) importPeople(ctx context.Context, st site.Site, in io.Reader) (roster.ImportReport, error) {
	rows, unread, err := roster.ReadPeople(in)
	if err != nil {
		return roster.ImportReport{}, err
	}
	report, err := s.rosters.Open(st).Import(ctx, rows, roster.Change{Actor: actor, Via: roster.ViaImport})
	report.Errors = append(unread, report.Errors...)
	return report, err
}

// printProblems prints the problems with rows of a file. It returns an error if there are any.
func (c *command) printProblems(file string, problems []string) error {
	for _, p := range problems {
		c.note("%s: %s", file, p)
	}
	if len(problems) > 0 {
		return errAlreadyPrinted
	}
	return nil
}

// openInput opens a file for reading; the name "-" means standard input.
func (c *command) openInput(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(c.stdin), nil
	}
	return os.Open(name)
}

func (s *services) siteByName(ctx context.Context, name string) (site.Site, error) {
	st, err := s.sites.ByName(ctx, name)
	if !errors.Is(err, refusal.NotFound) {
		return st, err
	}
	all, err := s.sites.List(ctx)
	if err != nil {
		return site.Site{}, err
	}
	if len(all) == 0 {
		return site.Site{}, fmt.Errorf("there is no site %q, nor any other; make one with: rollcall site create %s", name, name)
	}
	known := make([]string, 0, len(all))
	for _, st := range all {
		known = append(known, st.Name)
	}
	if len(known) > 1 {
		if best := near.Best(name, known); best != "" {
			return site.Site{}, fmt.Errorf("there is no site %q; did you mean %s?", name, best)
		}
	}
	return site.Site{}, fmt.Errorf("there is no site %q; there is %s", name, strings.Join(known, ", "))
}

// maxDays is the largest number of days that a flag accepts: about a hundred years.
const maxDays = 36500

// parseDuration reads a number of days or hours such as "90d" or "36h", or any duration that
// time.ParseDuration reads.
func parseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("%q is not a duration; write 90d, 36h or 15m", text)
		}
		if n > maxDays {
			return 0, fmt.Errorf("%q is too long: %d days at most", text, maxDays)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration; write 90d, 36h or 15m", text)
	}
	return d, nil
}
