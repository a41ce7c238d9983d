package console

import (
	"time"

	"github.com/rollcall-scim/rollcall/internal/session"
)

// sessionList is the part "sessions": where somebody is signed in.
type sessionList struct {
	Rows    []sessionRow
	SignOut string // GET asks
	Hint    string
}

// sessionRow is one session.
type sessionRow struct {
	Own     bool
	Browser string
	Agent   string // all that the browser said
	Address string
	Last    string // where it was used last, if elsewhere
	Created time.Time
	Used    time.Time
	Ends    time.Time
}

func rowOfSession(s session.Record, own bool) sessionRow {
	row := sessionRow{
		Own: own, Browser: s.Last.String(), Agent: s.Last.Agent, Address: s.From.Address,
		Created: s.Created, Used: s.LastUse(), Ends: s.Ends(),
	}
	if s.Last.Address != s.From.Address {
		row.Last = s.Last.Address
	}
	return row
}

// signOutQuestion asks before every session of somebody ends.
func signOutQuestion(name string, sessions int, own bool) confirmPage {
	c := confirmPage{
		Consequences: []string{"Every session of " + briefly(name) + " ends with its next click, in each browser: " + count(sessions, "session") + "."},
		Undo:         "A new sign-in link opens the account again.",
		Button:       "Sign out everywhere", Danger: true,
	}
	if own {
		c.Consequences[0] = "All your sessions end with their next click, in each browser: " + count(sessions, "session") + "."
		c.Consequences = append(c.Consequences, "You are signed out here too.")
	}
	c.Title, c.Narrow = "Sign out "+name+" everywhere?", true
	if own {
		c.Title = "Sign out everywhere?"
	}
	return c
}
