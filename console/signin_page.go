package console

import "time"

// SignInPage is the view "signin": how to get in, where there is no password to ask for.
type SignInPage struct {
	Page
	Text     string
	Command  string // what makes a link
	NewLinks string // what to do instead of the command; may be empty
	Also     string // a sentence at the foot; may be empty
}

// SignInLinkPage is the view "signin_link": a one-time link that has been opened and not used yet.
type SignInLinkPage struct {
	Page
	Text     string
	Action   string // where the form posts
	Button   string
	Expires  time.Time
	AskName  bool // the first administrator's link also asks who they are
	Name     string
	Email    string
	NameErr  *FieldError
	EmailErr *FieldError
}
