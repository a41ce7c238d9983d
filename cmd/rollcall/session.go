package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// sessionJSON is a session in --json output.
type sessionJSON struct {
	SignedIn    string `json:"signedIn"`
	LastUsed    string `json:"lastUsed"`       // the time of the last use, accurate to the minute
	Ends        string `json:"ends"`           // the time when the session ends, if it is not used again
	Length      string `json:"length"`         // the longest time that the session may last
	Idle        string `json:"idle,omitempty"` // how long a session may stay unused before it ends
	Address     string `json:"address"`
	LastAddress string `json:"lastAddress"`
	Browser     string `json:"browser"`
	UserAgent   string `json:"userAgent"`
}

// printSessions prints the live sessions of a person.
func (c *command) printSessions(who string, all []session.Record) error {
	out := []sessionJSON{}
	lines := [][]string{}
	for _, s := range all {
		one := sessionJSON{
			SignedIn: formatJSONTime(s.Created), LastUsed: formatJSONTime(s.LastUse()), Ends: formatJSONTime(s.EndsAt()), Length: s.Expires.Sub(s.Created).String(),
			Address: s.From.Address, LastAddress: s.Last.Address, Browser: s.Last.String(), UserAgent: s.Last.Agent,
		}
		if s.Idle > 0 {
			one.Idle = s.Idle.String()
		}
		out = append(out, one)
		lines = append(lines, []string{c.formatTime(s.Created), c.formatTime(s.LastUse()), s.From.Address, s.Last.Address, s.Last.String()})
	}
	return c.print(map[string]any{"sessions": out}, func(w io.Writer) {
		printTable(w, who+" is signed in nowhere.", []string{"Signed in", "Last used", "Address", "Last address", "Browser"}, lines)
	})
}

// personOf finds a person by the name of their site and their user name.
func (s *services) personOf(ctx context.Context, siteName, userName string) (st site.Site, r *roster.Roster, person roster.Person, err error) {
	if st, err = s.siteByName(ctx, siteName); err != nil {
		return st, nil, person, err
	}
	r = s.rosters.Open(st)
	person, err = r.PersonByUserName(ctx, userName)
	return st, r, person, err
}

func (c *command) siteSessions() *cobra.Command {
	return &cobra.Command{
		Use: "sessions SITE USERNAME", Short: "List the sessions of a person", Args: exactArguments("SITE", "USERNAME"),
		Long: `Lists where a person is signed in: since when, when it was used last (to the
minute), from which address, and with which browser.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			_, r, person, err := s.personOf(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			found, err := r.Sessions(cmd.Context(), person.ID, "")
			if err != nil {
				return err
			}
			var all []session.Record
			for _, one := range found {
				all = append(all, one.Record)
			}
			return c.printSessions(person.UserName, all)
		}),
	}
}

func (c *command) siteSignOut() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "sign-out SITE USERNAME", Short: "End all sessions of a person", Args: exactArguments("SITE", "USERNAME"),
		Long: `Signs a person out everywhere: every session ends with its next click, at every
server. The account stays active, so the person can come back with a new sign-in link. To
prevent that, block the person.

Asks first. --yes answers that question.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, r, person, err := s.personOf(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			if err := c.confirm(cmd, yes, fmt.Sprintf("This ends all sessions of %s at the site %s.", person.UserName, st.Name), person.UserName); err != nil {
				return err
			}
			ended, err := r.SignOutEverywhere(cmd.Context(), person.ID, roster.Change{Actor: actor, Via: roster.ViaAdmin})
			if err != nil {
				return err
			}
			return c.printSignedOut(person.UserName, ended)
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

func (c *command) printSignedOut(who string, ended int) error {
	return c.print(map[string]any{"signedOut": who, "sessionsEnded": ended}, func(w io.Writer) {
		fmt.Fprintf(w, "%s is signed out everywhere: %s ended.\n", who, phrase.Count(ended, "session", "sessions"))
	})
}

func (c *command) operatorSessions() *cobra.Command {
	return &cobra.Command{
		Use: "sessions NAME", Short: "List the sessions of an operator", Args: exactArguments("NAME"),
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			found, err := s.operators.Sessions(cmd.Context(), args[0], "")
			if err != nil {
				return err
			}
			var all []session.Record
			for _, one := range found {
				all = append(all, one.Record)
			}
			return c.printSessions(args[0], all)
		}),
	}
}

func (c *command) operatorSignOut() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "sign-out NAME", Short: "End all sessions of an operator", Args: exactArguments("NAME"),
		Long: `Signs an operator out everywhere: every session ends with its next click, at every
server. NAME stays an operator; "operator remove" ends that too.

Asks first. --yes answers that question.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			if err := c.confirm(cmd, yes, fmt.Sprintf("This ends all sessions of the operator %s.", args[0]), args[0]); err != nil {
				return err
			}
			ended, err := s.operators.SignOutEverywhere(cmd.Context(), args[0], actor)
			if err != nil {
				return err
			}
			return c.printSignedOut(args[0], ended)
		}),
	}
	yesFlag(cmd, &yes)
	return cmd
}

// Bounds of the session limits. The use of a session is recorded once a minute, so a shorter idle
// limit would end sessions that are in use.
const (
	minIdle   = 5 * time.Minute
	maxLength = 30 * 24 * time.Hour
)

// checkSessions checks the session limits that the flags of serve set.
func checkSessions(cmd *cobra.Command, l session.Limits) error {
	if l.Idle < minIdle || l.Idle > maxLength {
		return usagef(cmd, "--session-idle is a time from 5m to 720h, not %s", l.Idle)
	}
	if l.Length < minIdle || l.Length > maxLength {
		return usagef(cmd, "--session-length is a time from 5m to 720h, not %s", l.Length)
	}
	return nil
}
