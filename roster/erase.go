package roster

import (
	"context"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
)

// Erase removes a deactivated account, even if SCIM may not delete users on this site. It refuses
// an active account. The event does not name the person.
func (r *Roster) Erase(ctx context.Context, id string, c Change) error {
	rt, err := r.typeOf(User)
	if err != nil {
		return err
	}
	_, err = r.update(ctx, c, func(tx Tx) (Outcome, error) {
		rec, old, err := r.lockAndParse(ctx, tx, User, id, c)
		if err != nil {
			return Outcome{}, err
		}
		if rec.Active {
			return Outcome{}, refusal.New(refusal.Conflict, "", "%s is active again", old.String("userName")).Advise("deactivate the account first")
		}
		out, err := r.remove(ctx, tx, rt, rec, old, c)
		if err != nil {
			return out, err
		}
		return out, tx.AppendEvent(ctx, newEvent(r.site.ID, rec, event.UserErased, c, r.nowInMillis(), "The data of a person was erased: erased person "+id))
	})
	return err
}

// AppendEvents appends events of the site.
func (r *Roster) AppendEvents(ctx context.Context, events ...event.Event) error {
	return r.store.Update(ctx, r.site, func(tx Tx) error {
		for _, e := range events {
			if err := tx.AppendEvent(ctx, e); err != nil {
				return err
			}
		}
		return nil
	})
}
