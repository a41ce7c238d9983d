package console

import (
	"time"

	"github.com/rollcall-scim/rollcall/internal/session"
)

// SessionList is the data of the part "sessions": the sessions of a user.
type SessionList struct {
	Rows    []SessionRow
	SignOut string // address that ends all sessions; GET shows the confirmation page
	Hint    string // a sentence below the list; may be empty
}

// SessionRow is one session.
type SessionRow struct {
	Own     bool   // whether it is the session of the person who looks at the page
	Browser string // the browser in short, such as "Firefox on Linux"
	Agent   string // the complete User-Agent
	Address string // network address of the sign-in
	Last    string // network address of the last use, if it differs from the first one
	Created time.Time
	Used    time.Time // when it was last used
	Ends    time.Time // when it ends at the latest
}

func NewSessionRow(s session.Record, own bool) SessionRow {
	row := SessionRow{
		Own: own, Browser: s.Last.String(), Agent: s.Last.Agent, Address: s.From.Address,
		Created: s.Created, Used: s.LastUse(), Ends: s.EndsAt(),
	}
	if s.Last.Address != s.From.Address {
		row.Last = s.Last.Address
	}
	return row
}

// SignOutQuestion returns the confirmation page for ending all sessions of a user.
func SignOutQuestion(name string, sessions int, own bool) ConfirmPage {
	c := ConfirmPage{
		Consequences: []string{"Every session of " + Shorten(name) + " ends with its next click, in each browser: " + Plural(sessions, "session") + "."},
		Undo:         "A new sign-in link opens the account again.",
		Button:       "Sign out everywhere", IsDangerous: true,
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
