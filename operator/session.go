package operator

import (
	"context"
	"errors"
	"time"
)

// SessionTTL is how long an operator stays signed in.
const SessionTTL = 12 * time.Hour

// ErrNoSession is returned for a session that never was, has expired or was ended.
var ErrNoSession = errors.New("you are not signed in; a sign-in link is made on the server by: rollcall operator link NAME")

// Session is a started session as its browser gets it, once.
type Session struct {
	Operator Operator
	Secret   string // the cookie's value; never stored
	Expires  time.Time
}

// Session returns who the session belongs to, read from the store each time, or ErrNoSession.
func (o *Operators) Session(ctx context.Context, secret string) (Operator, error) {
	if secret == "" {
		return Operator{}, ErrNoSession
	}
	return o.Store.FindSession(ctx, hash(secret), o.Now())
}

// EndSession signs out. Ending what is over already is no error.
func (o *Operators) EndSession(ctx context.Context, secret string) error {
	return o.Store.EndSession(ctx, hash(secret))
}
