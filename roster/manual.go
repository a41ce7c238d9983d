package roster

import (
	"context"

	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// SetRole gives a person a role by hand, even if SCIM may not change roles. People cannot change
// their own role.
func (r *Roster) SetRole(ctx context.Context, id string, role Role, c Change) (Outcome, error) {
	known, ok := ParseRole(string(role))
	if !ok {
		return Outcome{}, refusal.New(refusal.Invalid, "role", "%q is not a role", role).Advise("use Registered, Moderator or Admin")
	}
	if c.Person == id {
		return Outcome{}, refusal.New(refusal.Forbidden, "", "you cannot change your own role").Advise("ask another administrator")
	}
	return r.changeByHand(ctx, id, c, func(_ Record, d *draft) error {
		d.role = known
		d.doc["userType"] = string(known)
		return nil
	})
}

// Deactivate deactivates a person by hand and ends their sessions in the same transaction. People
// cannot deactivate themselves.
func (r *Roster) Deactivate(ctx context.Context, id string, c Change) (Outcome, error) {
	if c.Person == id {
		return Outcome{}, refusal.New(refusal.Forbidden, "", "you cannot deactivate your own account").Advise("ask another administrator")
	}
	return r.changeByHand(ctx, id, c, func(rec Record, d *draft) error {
		d.setActive(rec, false)
		return nil
	})
}

// Reactivate makes a person active again, with the role they had. It refuses a blocked person; use
// Unblock instead.
func (r *Roster) Reactivate(ctx context.Context, id string, c Change) (Outcome, error) {
	return r.changeByHand(ctx, id, c, func(rec Record, d *draft) error {
		if rec.Block.InForce {
			return refusal.New(refusal.Conflict, "", "%s is blocked", d.doc.String("userName")).Advise("unblock the account instead")
		}
		d.doc["active"] = true
		return nil
	})
}

// changeByHand changes a person for an administrator. set changes the draft.
func (r *Roster) changeByHand(ctx context.Context, id string, c Change, set func(Record, *draft) error) (Outcome, error) {
	rt, err := r.typeOf(User)
	if err != nil {
		return Outcome{}, err
	}
	return r.change(ctx, rt, id, 0, c, func(rec Record, old scim.Resource) (*draft, error) {
		d := &draft{doc: old.Clone(), role: rec.Role}
		return d, set(rec, d)
	})
}
