package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
)

// blockedJSON is a person in the --json output of `site block` and `site unblock`.
type blockedJSON struct {
	UserName      string `json:"userName"`
	Blocked       bool   `json:"blocked"`
	Active        bool   `json:"active"`
	Changed       bool   `json:"changed"` // whether the command changed the person; false if the person was already blocked, or already unblocked
	SessionsEnded int    `json:"sessionsEnded"`
	Error         string `json:"error,omitempty"` // why the person could not be blocked or unblocked; empty for success
}

func (c *command) siteBlock() *cobra.Command {
	return &cobra.Command{
		Use: "block SITE USERNAME...", Short: "Keep people out until an administrator unblocks them", Args: atLeast("SITE", "USERNAME"),
		Long: `Blocks the people with these user names: their sessions end at once, and they
cannot sign in. Unlike a deactivation, a block cannot be reversed over SCIM: the
identity provider can neither activate nor delete the account, nor give its name
to another one.

If one of the names is unknown, nothing is done. The last active administrator
cannot be blocked.`,
		RunE: c.changeBlocks(func(ctx context.Context, r *roster.Roster, id string) (roster.Outcome, error) {
			return r.Block(ctx, id, roster.Change{Actor: actor, Via: roster.ViaAdmin})
		}),
	}
}

func (c *command) siteUnblock() *cobra.Command {
	return &cobra.Command{
		Use: "unblock SITE USERNAME...", Short: "Lift the blocks of people", Args: atLeast("SITE", "USERNAME"),
		Long: `Lifts the blocks of the people with these user names. They are active again, except
those who were deactivated before the block or during it.

If one of the names is unknown, nothing is done.`,
		RunE: c.changeBlocks(func(ctx context.Context, r *roster.Roster, id string) (roster.Outcome, error) {
			return r.Unblock(ctx, id, roster.Change{Actor: actor, Via: roster.ViaAdmin})
		}),
	}
}

// changeBlocks finds all people that the arguments name, and then calls do for each of them.
func (c *command) changeBlocks(do func(context.Context, *roster.Roster, string) (roster.Outcome, error)) func(*cobra.Command, []string) error {
	return c.withServices(func(cmd *cobra.Command, s *services, args []string) error {
		st, err := s.siteByName(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		r := s.rosters.Open(st)
		var people []roster.Person
		for _, userName := range args[1:] {
			p, err := r.PersonByUserName(cmd.Context(), userName)
			if err != nil {
				return fmt.Errorf("%w; nothing was changed", err)
			}
			people = append(people, p)
		}
		list := []blockedJSON{}
		var failed []string
		for _, p := range people {
			done := blockedJSON{UserName: p.UserName}
			out, err := do(cmd.Context(), r, p.ID)
			switch why, refused := refusal.Find(err); {
			case refused:
				done.Error = why.Sentences()
				failed = append(failed, errorLine(why))
			case err != nil:
				return err
			}
			if p, err = r.Person(cmd.Context(), p.ID); err != nil {
				return err
			}
			done.Blocked, done.Active, done.Changed, done.SessionsEnded = p.Block.InForce, p.Active, out.Changed, out.SessionsEnded
			list = append(list, done)
		}
		if err := c.print(map[string]any{"people": list}, func(w io.Writer) {
			for _, p := range list {
				if p.Error == "" {
					fmt.Fprintln(w, p.words())
				}
			}
		}); err != nil {
			return err
		}
		return c.printProblems(st.Name, failed)
	})
}

func (p blockedJSON) words() string {
	state := "is blocked"
	switch {
	case p.Blocked && p.SessionsEnded > 0:
		state += "; " + phrase.Count(p.SessionsEnded, "session", "sessions") + " ended"
	case p.Blocked:
	case p.Active:
		state = "is not blocked and active"
	default:
		state = "is not blocked; the account is deactivated"
	}
	if !p.Changed {
		state = strings.Replace(state, "is ", "was ", 1) + " already"
	}
	return p.UserName + " " + state
}
