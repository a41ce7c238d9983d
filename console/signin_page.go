package console

import "time"

// signInPage is the view "signin": how to get in, where there is no password to ask for.
type signInPage struct {
	page
	Text     string
	Command  string // what makes a link
	NewLinks string // what to do instead of the command; may be empty
	Also     string // a sentence at the foot; may be empty
}

// signInLinkPage is the view "signin_link": a one-time link that has been opened and not used yet.
type signInLinkPage struct {
	page
	Text     string
	Action   string // where the form posts
	Button   string
	Expires  time.Time
	AskName  bool // the first administrator's link also asks who they are
	Name     string
	Email    string
	NameErr  *fieldError
	EmailErr *fieldError
}
