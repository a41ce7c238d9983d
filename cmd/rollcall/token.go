package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/site"
)

// tokenJSON is a token of a site in --json output.
type tokenJSON struct {
	Token    string `json:"token,omitempty"` // the secret; empty unless the command has just created the token
	ID       string `json:"id"`
	Name     string `json:"name,omitempty"`
	Last4    string `json:"last4"`
	State    string `json:"state"`
	Created  string `json:"created"`
	LastUsed string `json:"lastUsed,omitempty"`
	Expires  string `json:"expires,omitempty"`
}

func (c *command) tokenJSON(t site.Token) tokenJSON {
	return tokenJSON{
		ID: t.ID, Name: t.Name, Last4: t.Last4, State: c.tokenState(t),
		Created: formatJSONTime(t.Created), LastUsed: formatJSONTime(t.LastUsed), Expires: formatJSONTime(t.Expires),
	}
}

func (c *command) tokenState(t site.Token) string {
	switch {
	case t.IsLive(c.now()):
		return "live"
	case !t.Revoked.IsZero():
		return "revoked"
	default:
		return "expired"
	}
}

func (c *command) tokenCommand() *cobra.Command {
	return groupCommand("token", "A site's SCIM tokens", c.tokenCreate(), c.tokenList(), c.tokenRevoke())
}

func (c *command) tokenCreate() *cobra.Command {
	var name, expires string
	var replace, keepOff, keep bool
	cmd := &cobra.Command{
		Use: "create SITE", Short: "Generate a token and print it, once", Args: exactArguments("SITE"),
		Long: `Prints a new SCIM token of SITE, alone, on standard output: it cannot be read
again. Turns SCIM on and says so on standard error (--keep-off: does not).
While another token is live, say what becomes of it: --replace ends it now,
--until-used keeps it until the new one is used.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			r := site.TokenRequest{Name: name, Actor: actor, KeepOff: keepOff}
			switch {
			case replace && keep:
				return usagef(cmd, "--replace and --until-used exclude each other")
			case replace:
				r.Mode = site.Replace
			case keep:
				r.Mode = site.KeepUntilUsed
			}
			if expires != "" {
				d, err := parseDuration(expires)
				if err != nil {
					return usagef(cmd, "--expires: %w", err)
				}
				if d <= 0 {
					return usagef(cmd, "--expires %s is not in the future", expires)
				}
				r.Expires = c.now().Add(d)
			}
			t, secret, err := s.sites.CreateToken(cmd.Context(), st.ID, r)
			if err != nil {
				return err
			}
			out := c.tokenJSON(t)
			out.Token = secret
			return c.print(out, func(w io.Writer) {
				fmt.Fprintln(w, secret)
				if !st.SCIMEnabled && !keepOff {
					c.note("SCIM is now on for %s.", st.Name)
				}
				c.note("This token is not shown again. Tenant URL: %s", c.tenantURL(st.Name))
			})
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "what people will know the token by")
	cmd.Flags().StringVar(&expires, "expires", "", "when it ends: 90d, 36h; default never, as in the guide")
	cmd.Flags().BoolVar(&replace, "replace", false, "end the live token now")
	cmd.Flags().BoolVar(&keep, "until-used", false, "keep the live token until the new one is used")
	cmd.Flags().BoolVar(&keepOff, "keep-off", false, "leave SCIM as it is")
	return cmd
}

func (c *command) tokenList() *cobra.Command {
	return &cobra.Command{
		Use: "list SITE", Short: "List a site's tokens, without their secrets", Args: exactArguments("SITE"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			all, err := s.sites.Tokens(cmd.Context(), st.ID)
			if err != nil {
				return err
			}
			out := []tokenJSON{}
			lines := [][]string{}
			for _, t := range all {
				out = append(out, c.tokenJSON(t))
				lines = append(lines, []string{"…" + t.Last4, t.Name, c.tokenState(t), c.formatTime(t.Created), c.formatTime(t.LastUsed), c.formatTime(t.Expires)})
			}
			return c.print(out, func(w io.Writer) {
				printTable(w, "No token yet. Make one with: rollcall token create "+st.Name,
					[]string{"Token", "Name", "State", "Created", "Last used", "Expires"}, lines)
			})
		}),
	}
}

func (c *command) tokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke SITE LAST4|ID", Short: "End a token at once, everywhere", Args: exactArguments("SITE", "LAST4|ID"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			all, err := s.sites.Tokens(cmd.Context(), st.ID)
			if err != nil {
				return err
			}
			t, err := pickToken(all, strings.TrimPrefix(args[1], "…"), c.now())
			if err != nil {
				return err
			}
			if err := s.sites.RevokeToken(cmd.Context(), st.ID, t.ID, actor); err != nil {
				return err
			}
			return c.print(map[string]string{"revoked": t.Last4}, func(w io.Writer) {
				fmt.Fprintf(w, "Token %s is revoked: the next request with it is refused.\n", t.Label())
			})
		}),
	}
}

// pickToken finds a token by its id, or a live token by its last four characters. It returns an
// error if no token or more than one fits.
func pickToken(all []site.Token, want string, now time.Time) (site.Token, error) {
	var hits []site.Token
	for _, t := range all {
		if t.ID == want {
			return t, nil
		}
		if t.Last4 == want && t.IsLive(now) {
			hits = append(hits, t)
		}
	}
	switch len(hits) {
	case 0:
		return site.Token{}, fmt.Errorf("no live token ends in %q; rollcall token list shows them", want)
	case 1:
		return hits[0], nil
	default:
		return site.Token{}, fmt.Errorf("two live tokens end in %q; name one by its id (rollcall token list SITE --json)", want)
	}
}
