package console

import (
	"time"

	"github.com/rollcall-scim/rollcall/internal/session"
)

// SessionList is the part "sessions": where somebody is signed in.
type SessionList struct {
	Rows    []SessionRow
	SignOut string // GET asks
	Hint    string
}

// SessionRow is one session.
type SessionRow struct {
	Own     bool
	Browser string
	Agent   string // all that the browser said
	Address string
	Last    string // where it was used last, if elsewhere
	Created time.Time
	Used    time.Time
	Ends    time.Time
}

func NewSessionRow(s session.Record, own bool) SessionRow {
	row := SessionRow{
		Own: own, Browser: s.Last.String(), Agent: s.Last.Agent, Address: s.From.Address,
		Created: s.Created, Used: s.LastUse(), Ends: s.Ends(),
	}
	if s.Last.Address != s.From.Address {
		row.Last = s.Last.Address
	}
	return row
}

// SignOutQuestion asks before every session of somebody ends.
func SignOutQuestion(name string, sessions int, own bool) ConfirmPage {
	c := ConfirmPage{
		Consequences: []string{"Every session of " + Shorten(name) + " ends with its next click, in each browser: " + Plural(sessions, "session") + "."},
		Undo:         "A new sign-in link opens the account again.",
		Button:       "Sign out everywhere", Danger: true,
	}
	if own {
		c.Consequences[0] = "All your sessions end with their next click, in each browser: " + Plural(sessions, "session") + "."
		c.Consequences = append(c.Consequences, "You are signed out here too.")
	}
	c.Title, c.Narrow = "Sign out "+name+" everywhere?", true
	if own {
		c.Title = "Sign out everywhere?"
	}
	return c
}
