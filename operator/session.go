package operator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/refusal"
)

// ErrNoSession is returned for a session that does not exist, has expired, was idle for too long or
// was ended.
var ErrNoSession = refusal.New(refusal.Unauthorized, "", "you are not signed in").
	Advise("open a new sign-in link, which is made on the server").Coded("operator_session_ended")

// Session is a session that has just started, with the secret for the browser's cookie.
type Session struct {
	Operator Operator
	Secret   string // the cookie's value; never stored
	Expires  time.Time
}

// ListedSession is one of an operator's sessions.
type ListedSession struct {
	Hash secret.Hash
	session.Record
	Own bool // whether this is the session of the caller who asked for the list
}

// findSession returns a session and its operator. It returns ErrNoSession if the session cannot be
// used any more.
func (o *Operators) findSession(ctx context.Context, sessionSecret string) (Operator, session.Record, error) {
	if sessionSecret == "" {
		return Operator{}, session.Record{}, ErrNoSession
	}
	op, s, err := o.Store.FindSession(ctx, secret.HashOf(sessionSecret))
	if err == nil && !s.IsLive(o.Now()) {
		err = ErrNoSession
	}
	if err != nil {
		return Operator{}, session.Record{}, err
	}
	return op, s, nil
}

// recordTimeout is how long a request waits until the use of its session or key is recorded.
const recordTimeout = time.Second

// UseSession returns the operator that a session belongs to. It records the use of the session at
// most once a minute. It returns ErrNoSession if the session was ended, has expired, or was idle
// for too long.
func (o *Operators) UseSession(ctx context.Context, sessionSecret string, from session.Browser) (Operator, error) {
	op, s, err := o.findSession(ctx, sessionSecret)
	if err != nil || !s.MustRecordUse(o.Now()) {
		return op, err
	}
	// Show the page even if the use cannot be recorded. The next request for a page tries again.
	noting, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	_ = o.Store.UseSession(noting, secret.HashOf(sessionSecret), o.Now(), from.Clean())
	return op, nil
}

// HasFreshSession reports whether the session with this secret began recently enough for actions
// that need a fresh sign-in. It returns the same errors as UseSession.
func (o *Operators) HasFreshSession(ctx context.Context, sessionSecret string) (bool, error) {
	_, s, err := o.findSession(ctx, sessionSecret)
	return err == nil && s.IsFresh(o.Now()), err
}

// Sessions returns the live sessions of the operator with this name. The session that was used last
// comes first. sessionSecret is the secret of the caller's own session, which gets Own; it may be
// empty. Sessions returns ErrUnknown if there is no such operator.
func (o *Operators) Sessions(ctx context.Context, name, sessionSecret string) ([]ListedSession, error) {
	all, err := o.Store.Sessions(ctx, name)
	if err != nil {
		return nil, err
	}
	now, own := o.Now(), secret.HashOf(sessionSecret)
	all = slices.DeleteFunc(all, func(s ListedSession) bool { return !s.IsLive(now) })
	for i := range all {
		all[i].Own = all[i].Hash == own
	}
	slices.SortStableFunc(all, func(a, b ListedSession) int { return b.LastUse().Compare(a.LastUse()) })
	return all, nil
}

// SignOutEverywhere ends every session of the operator with this name, in every process. It returns
// the number of live sessions that it ended, or ErrUnknown if there is no such operator.
func (o *Operators) SignOutEverywhere(ctx context.Context, name, actor string) (int, error) {
	name, err := cleanName(name)
	if err != nil {
		return 0, err
	}
	return o.Store.EndSessions(ctx, name, o.Now(), func(ended int) event.Event {
		sessions := fmt.Sprintf("%d sessions ended", ended)
		if ended == 1 {
			sessions = "1 session ended"
		}
		return o.newEvent(event.OperatorSignedOutEverywhere, actor, name, fmt.Sprintf("The operator %s was signed out everywhere; %s", name, sessions))
	})
}

// SignOut ends the session with this secret. It is not an error if there is no such session.
func (o *Operators) SignOut(ctx context.Context, sessionSecret string) error {
	op, _, err := o.findSession(ctx, sessionSecret)
	if errors.Is(err, ErrNoSession) {
		return o.EndSession(ctx, sessionSecret)
	}
	if err != nil {
		return err
	}
	e := o.newEvent(event.OperatorSignedOut, op.Actor(), op.Name, op.Name+" signed out")
	e.By = event.Actor{Kind: event.Operator, ID: op.ID, Name: op.Name}
	return o.Store.EndSession(ctx, secret.HashOf(sessionSecret), e)
}

// EndSession ends a session without an event. It is used when a new session replaces the old one.
// It is not an error if there is no such session.
func (o *Operators) EndSession(ctx context.Context, sessionSecret string) error {
	return o.Store.EndSession(ctx, secret.HashOf(sessionSecret))
}
