package console

import (
	"time"

	"github.com/rollcall-scim/rollcall/internal/session"
)

// SessionList is the data of the part "sessions", which lists the sessions of a user.
type SessionList struct {
	Rows    []SessionRow
	SignOut string // address that ends all sessions; a GET shows the confirmation page
	Hint    string // a sentence below the list; may be empty
}

// SessionRow shows one session.
type SessionRow struct {
	IsOwn         bool   // whether it is the session of the user who looks at the page
	Browser       string // the browser in short, such as "Firefox on Linux"
	UserAgent     string // the complete User-Agent
	SignInAddress string // network address from which the user signed in
	LastAddress   string // network address of the last use; empty if it equals SignInAddress
	CreatedAt     time.Time
	LastUsedAt    time.Time // when the session was last used
	EndsAt        time.Time // when the session ends at the latest
}

func NewSessionRow(s session.Record, own bool) SessionRow {
	row := SessionRow{
		IsOwn: own, Browser: s.Last.String(), UserAgent: s.Last.Agent, SignInAddress: s.From.Address,
		CreatedAt: s.Created, LastUsedAt: s.LastUse(), EndsAt: s.EndsAt(),
	}
	if s.Last.Address != s.From.Address {
		row.LastAddress = s.Last.Address
	}
	return row
}

// SignOutQuestion returns the confirmation page for ending all sessions of a user. sessions is
// their number. own says whether they belong to the user who looks at the page.
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
