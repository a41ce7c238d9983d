package roster

import (
	"context"
	"errors"

	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// reviver handles a create whose userName belongs to a deactivated account, on a site with the
// setting Revives.
type reviver struct {
	roster *Roster
	rt     *resourceType
	doc    scim.Resource // the document that the client sent
	change Change
}

// revive reactivates the deactivated account with the userName, like a PUT of the same document
// with active set to true. It returns false if there is no such account, so that Create makes a new
// account. It also removes the user identifier by which the person signs in, because a new account
// would have none; but it keeps the identifier of a person whose role SCIM may not set. It returns
// a refusal if the account must not be revived.
//
// RFC 7644 §3.3 requires 409 for a userName that another account has, and strict sites follow that.
// See testdata/okta_revive.txtar in scimserver.
func (v reviver) revive(ctx context.Context, tx Tx) (Outcome, bool, error) {
	if active, present := v.doc.Bool("active"); !v.roster.site.Revives || v.roster.site.Strict || present && !active || !isStorable(v.doc.String("userName")) {
		return Outcome{}, false, nil
	}
	rec, err := tx.RecordByUserName(ctx, scim.Fold(v.doc.String("userName")))
	if errors.Is(err, refusal.NotFound) || err == nil && rec.Active {
		return Outcome{}, false, nil
	}
	if err != nil {
		return Outcome{}, false, err
	}
	old, err := v.roster.parse(&rec)
	if err != nil {
		return Outcome{}, false, err
	}
	if err := v.refusal(rec, old); err != nil {
		return Outcome{}, false, err
	}
	if err := refuseBlocked(ctx, tx, v.doc); err != nil {
		return Outcome{}, false, err
	}
	merged, err := scim.MergePut(v.rt.ResourceType, old, v.doc)
	if err != nil {
		return Outcome{}, false, err
	}
	d := &draft{doc: merged, revives: true}
	d.doc["active"] = true
	if err := v.roster.settleAccess(v.rt, d, rec, old); err != nil {
		return Outcome{}, false, err
	}
	if !v.roster.hasProtectedRole(rec) {
		if d.dropsIdentifier, err = tx.DropIdentity(ctx, rec.ID); err != nil {
			return Outcome{}, false, err
		}
	}
	out, err := v.roster.replace(ctx, tx, v.rt, rec, old, d, v.change)
	return out, err == nil, err
}

// refusal returns the reason why a create must not revive this account: an administrator blocked or
// deactivated it, or it may belong to someone else. It returns nil if the create may revive it.
func (v reviver) refusal(rec Record, old scim.Resource) error {
	sent, kept := v.doc.String("externalId"), rec.ExternalID
	switch {
	case rec.Block.InForce:
		return refusal.New(refusal.Taken, "userName", "the userName %q is in use on this site already, by an account that an administrator blocked", old.String("userName")).Advise("an administrator of the site can unblock it")
	case sent != "" && kept == "" && v.roster.hasProtectedRole(rec):
		return refusal.New(refusal.Taken, "userName", "the userName %q is in use on this site already, by a deactivated %s without an externalId, who may not be the same person", old.String("userName"), rec.Role).Advise("an administrator of the site can reactivate them")
	case sent != "" && kept != "" && sent != kept:
		return refusal.New(refusal.Taken, "userName", "the userName %q is in use on this site already, by somebody deactivated whose externalId is another one, so that it may not be the same person", old.String("userName")).Advise("reactivate them with their id, or give one of the two another userName")
	}
	return nil
}
