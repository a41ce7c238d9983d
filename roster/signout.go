package roster

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/rollcall-scim/rollcall/event"
)

// Origin holds the data by which an identity provider identifies a session. It is zero for a
// session that did not begin at an identity provider.
type Origin struct {
	Issuer     string // the entity id of the identity provider
	NameID     string // the person's identifier at the identity provider
	NameFormat string // the format of the NameID
	Index      string // the session index; may be empty
}

// SessionOrigin returns the person and the origin of the session with this secret. It returns
// ErrNoSession in the same cases as UseSession.
func (r *Roster) SessionOrigin(ctx context.Context, sessionSecret string) (Person, Origin, error) {
	p, s, err := r.findSession(ctx, sessionSecret)
	return p, s.Origin, err
}

// EndOriginSessions ends the sessions of the NameID at this issuer whose session index is in
// indexes, because the identity provider ended them. If indexes is empty, it ends all sessions of
// the NameID. It returns how many of them were live.
func (r *Roster) EndOriginSessions(ctx context.Context, issuer, nameID string, indexes []string) (ended int, err error) {
	err = r.store.Update(ctx, r.site, func(tx Tx) error {
		ended = 0
		now := r.now().UTC()
		live, err := tx.EndOriginSessions(ctx, issuer, nameID, indexes, now)
		if err != nil {
			return err
		}
		for _, person := range slices.Sorted(maps.Keys(live)) {
			rec, _, err := r.lockAndParse(ctx, tx, User, person, Change{})
			if err != nil {
				return err
			}
			p, err := personOf(rec)
			if err != nil {
				return err
			}
			ended += live[person]
			text := p.UserName + " was signed out by the identity provider" + changeSummary{sessionsEnded: live[person]}.sessionsEndedText("; ")
			if err := tx.AppendEvent(ctx, newEvent(r.site.ID, rec, event.SignInSSOEnded, Change{Actor: "anybody"}, now, text)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("end sessions of an identity provider: %w", err)
	}
	return ended, nil
}
