package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/internal/visible"
	"github.com/rollcall-scim/rollcall/roster"
)

// lookAlikeJSON is a person, in --json output, with a value that looks like another person's value.
type lookAlikeJSON struct {
	UserName  string          `json:"userName"`
	LooksLike []looksLikeJSON `json:"looksLike"`
}

// looksLikeJSON is another person, in --json output, with the two values that look alike.
type looksLikeJSON struct {
	UserName     string `json:"userName"`
	Attribute    string `json:"attribute"` // the attribute of the other person that holds Value
	Value        string `json:"value"`
	OwnAttribute string `json:"ownAttribute"` // the person's own attribute that holds OwnValue
	OwnValue     string `json:"ownValue"`
	Has          string `json:"has,omitempty"`    // a description of the characters that only Value contains, such as "а (U+0430, Cyrillic)"
	OwnHas       string `json:"ownHas,omitempty"` // a description of the characters that only OwnValue contains
}

func (c *command) siteLookAlikes() *cobra.Command {
	return &cobra.Command{
		Use: "look-alikes SITE", Short: "List people whose names look like those of others", Args: exactArguments("SITE"),
		Long: `Lists the people with a user name, display name or e-mail address that a reader
cannot tell from another person's, and which characters differ: a Cyrillic letter
for a Latin one, rn for m, the digit 1 for l. Nothing is refused because of it.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
			st, err := s.siteByName(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			r := s.rosters.Open(st)
			out := []lookAlikeJSON{}
			lines := [][]string{}
			q := roster.PeopleQuery{Status: roster.StatusLookAlike, Limit: 500}
			for more := true; more; more = q.After != "" {
				page, next, err := r.People(cmd.Context(), q)
				if err != nil {
					return err
				}
				q.After = next
				found, err := r.LookAlikes(cmd.Context(), page...)
				if err != nil {
					return err
				}
				for _, p := range page {
					one := lookAlikeJSON{UserName: p.UserName, LooksLike: []looksLikeJSON{}}
					for _, l := range found[p.ID] {
						has, own := l.Words()
						one.LooksLike = append(one.LooksLike, looksLikeJSON{l.UserName, l.Attribute, l.Text, l.OwnAttribute, l.Own, has, own})
						lines = append(lines, []string{visible.Reveal(p.UserName), visible.Reveal(l.UserName), visible.Reveal(l.Own), visible.Reveal(l.Text), has})
					}
					out = append(out, one)
				}
			}
			pending, err := r.LooksPending(cmd.Context())
			if err != nil {
				return err
			}
			if pending {
				c.note("The names of older accounts are still being compared by the running server. More may follow.")
			}
			return c.print(map[string]any{"lookAlikes": out, "complete": !pending}, func(w io.Writer) {
				printTable(w, "No one here looks like another person.", []string{"User name", "Looks like", "Name", "Other name", "Which has"}, lines)
			})
		}),
	}
}
