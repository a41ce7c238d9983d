package roster

import (
	"context"
	"errors"

	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// Block says whether an administrator has blocked a person. SCIM cannot remove a block. A SCIM
// request for a blocked person is handled like this:
//
//	active: true            answered with active: false; the request log says so
//	DELETE                  refused, so that no other person can get the user name
//	userName, emails and    stay as they are, for the same reason; the request log says so
//	externalId
//	anything else           done as requested
type Block struct {
	InForce bool // whether the person is blocked
	// Active says, while the person is blocked, whether the person becomes active when the block is
	// removed. SCIM may change Active during the block. So people who leave the company while they
	// are blocked do not become active again.
	Active bool
}

// blockedNote is the request log's note for a change that a block prevented.
const blockedNote = "blocked by an administrator"

// Block blocks a person until an administrator unblocks them, and ends their sessions in the same
// transaction. People cannot block their own account.
func (r *Roster) Block(ctx context.Context, id string, c Change) (Outcome, error) {
	if c.Person == id {
		return Outcome{}, refusal.New(refusal.Forbidden, "", "you cannot block your own account").Advise("ask another administrator")
	}
	return r.changeByHand(ctx, id, c, func(rec Record, d *draft) error {
		if rec.Block.InForce {
			return nil
		}
		d.doc["active"] = false
		d.block = &Block{InForce: true, Active: rec.Active}
		return nil
	})
}

// Unblock removes a block. The person is active again unless SCIM or an administrator deactivated
// them before or during the block.
func (r *Roster) Unblock(ctx context.Context, id string, c Change) (Outcome, error) {
	return r.changeByHand(ctx, id, c, func(rec Record, d *draft) error {
		if !rec.Block.InForce {
			return nil
		}
		d.doc["active"] = rec.Block.Active
		d.block = &Block{}
		return nil
	})
}

// refuseBlocked refuses to create or revive an account if an administrator blocked another account
// with the same externalId or e-mail address. The new account would let the blocked person in
// again.
func refuseBlocked(ctx context.Context, tx Tx, doc scim.Resource) error {
	var emails []string
	for _, v := range valuesOf(User, doc) {
		if v.Path == EmailPath {
			emails = append(emails, v.Folded)
		}
	}
	other, what, err := tx.BlockedWith(ctx, doc.String("externalId"), emails)
	if errors.Is(err, refusal.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return refusal.New(refusal.Taken, "", "the %s is in use on this site already, by an account that an administrator blocked (id %s)", what, other).Advise("an administrator of the site can unblock it")
}

// setActive activates or deactivates a person. If the person is blocked, it only sets whether they
// become active when the block is removed.
func (d *draft) setActive(rec Record, active bool) {
	if rec.Block.InForce {
		d.doc["active"] = false
		d.block = &Block{InForce: true, Active: active}
		return
	}
	d.doc["active"] = active
}

// keepBlocked keeps a blocked person inactive, even if a SCIM request sets active to true.
func (d *draft) keepBlocked(rec Record) {
	active, present := d.doc.Bool("active")
	d.doc["active"] = false
	if !present || !d.asksFor("active") {
		return
	}
	d.setActive(rec, active)
	if active {
		d.ignorePart("active", blockedNote)
	}
}
