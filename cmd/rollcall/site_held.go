package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// heldJSON is a held change in --json output.
type heldJSON struct {
	UserName  string `json:"userName"`
	Attribute string `json:"attribute"`
	Value     any    `json:"value"` // the new value; null if the change removes the attribute
	AskedBy   string `json:"askedBy"`
	Since     string `json:"since"`
	RefusedBy string `json:"refusedBy,omitempty"` // the administrator who refused the change; empty while the change waits
}

func (c *command) siteHeld() *cobra.Command {
	return groupCommand("held", "Changes of what people sign in by, which an administrator decides on",
		c.heldList(),
		c.heldDecide("apply", "Make changes that SCIM asked for", "Applied", (*roster.Roster).ApplyHeld),
		c.heldDecide("refuse", "Refuse changes that SCIM asked for", "Refused", (*roster.Roster).RefuseHeld))
}

func (c *command) heldList() *cobra.Command {
	return &cobra.Command{
		Use: "list SITE [USERNAME]", Short: "List the changes that wait, or everything held of one person", Args: between(1, "SITE", "USERNAME"),
		Long: `Lists the changes that SCIM asked for and an administrator has to decide on. While
SCIM may not manage user roles, it cannot change the user name, the e-mail
addresses and the external id of a Moderator, an Admin or a blocked person.

With USERNAME, refused changes of that person are listed, too.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			people, err := s.heldPeople(cmd, st, args[1:])
			if err != nil {
				return err
			}
			out := []heldJSON{}
			lines := [][]string{}
			for _, p := range people {
				for _, h := range p.Held {
					if len(args) == 1 && !h.Waits() {
						continue
					}
					state := "waits"
					if !h.Waits() {
						state = "refused by " + h.RefusedBy
					}
					out = append(out, heldJSON{p.UserName, h.Attribute, h.Value, h.Actor, formatJSONTime(h.Time), h.RefusedBy})
					lines = append(lines, []string{p.UserName, h.Attribute, roster.ValueWords(h.Value), state, c.formatTime(h.Time)})
				}
			}
			return c.print(out, func(w io.Writer) {
				printTable(w, "No change waits.", []string{"User name", "Attribute", "Asked for", "State", "Since"}, lines)
			})
		}),
	}
}

// heldPeople returns the people with these user names. Without names, it returns all people with a
// waiting change.
func (s *services) heldPeople(cmd *cobra.Command, st site.Site, userNames []string) (people []roster.Person, err error) {
	r := s.rosters.Open(st)
	for _, userName := range userNames {
		p, err := r.PersonByUserName(cmd.Context(), userName)
		return []roster.Person{p}, err
	}
	q := roster.PeopleQuery{Status: roster.StatusWaiting, Limit: 500}
	for {
		page, next, err := r.People(cmd.Context(), q)
		people = append(people, page...)
		if err != nil || next == "" {
			return people, err
		}
		q.After = next
	}
}

// heldDecision is a function that applies or refuses the chosen held changes of the person whose id
// is given.
type heldDecision func(r *roster.Roster, ctx context.Context, id string, choices []roster.HeldChoice, c roster.Change) (roster.Outcome, error)

// heldDecide returns a command that applies or refuses the held changes of a person.
func (c *command) heldDecide(verb, short, done string, decide heldDecision) *cobra.Command {
	return &cobra.Command{
		Use: verb + " SITE USERNAME [ATTRIBUTE...]", Short: short, Args: atLeast("SITE", "USERNAME"),
		Long: short + `, of one person: those that wait of these attributes, or without
ATTRIBUTE all that wait. rollcall site held list SITE shows them.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, r, p, err := s.personOf(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			var choices []roster.HeldChoice
			out := []heldJSON{}
			for _, h := range p.Held {
				if len(args) == 2 && h.Waits() || slices.Contains(args[2:], h.Attribute) {
					choices = append(choices, roster.HeldChoice{Attribute: h.Attribute, ValueHash: h.ValueHash()})
					out = append(out, heldJSON{UserName: p.UserName, Attribute: h.Attribute, Value: h.Value, AskedBy: h.Actor, Since: formatJSONTime(h.Time)})
				}
			}
			for _, name := range args[2:] {
				if !slices.ContainsFunc(out, func(h heldJSON) bool { return h.Attribute == name }) {
					return fmt.Errorf("no change of %s waits for %s; rollcall site held list %s %s shows what does", name, p.UserName, st.Name, p.UserName)
				}
			}
			if len(choices) > 0 {
				if _, err := decide(r, cmd.Context(), p.ID, choices, roster.Change{Actor: actor, Via: roster.ViaAdmin}); err != nil {
					return err
				}
			}
			return c.print(map[string]any{verb: out}, func(w io.Writer) {
				for _, h := range out {
					fmt.Fprintf(w, "%s for %s: %s %s\n", done, h.UserName, h.Attribute, roster.ValueWords(h.Value))
				}
				if len(out) == 0 {
					fmt.Fprintf(w, "No change waits for %s.\n", p.UserName)
				}
			})
		}),
	}
}
