package provision

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
)

// claims prevents two people who are evaluated at the same time from getting the same account. A
// claim lasts until the outcome of its owner is recorded. After that, the store and the target show
// who has the account.
type claims struct {
	mu          sync.Mutex
	ownerByKey  map[string]string   // the id of the object that has claimed an account or matching value, by its key
	keysByOwner map[string][]string // the keys of all accounts and values that an object has claimed, by object id
	releasedAt  map[string]int      // what clock was when an account or value was last released, by its key
	clock       int                 // how often claims have been released
}

// now returns how often claims have been released so far. A caller reads it before a search,
// because the search may miss an account whose claim is released after it.
func (c *claims) now() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock
}

// take claims an account or value for an object, unless another object has claimed it. It returns
// the object that has the claim. since is an earlier result of now. If another object has released
// the account or value since then, take claims nothing and late is true.
func (c *claims) take(thing, objectID string, since int) (owner string, late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if owner, taken := c.ownerByKey[thing]; taken {
		return owner, false
	}
	if at, ok := c.releasedAt[thing]; ok && at > since {
		return "", true
	}
	if c.ownerByKey == nil {
		c.ownerByKey, c.keysByOwner, c.releasedAt = map[string]string{}, map[string][]string{}, map[string]int{}
	}
	c.ownerByKey[thing] = objectID
	c.keysByOwner[objectID] = append(c.keysByOwner[objectID], thing)
	return objectID, false
}

// release ends all claims of an object.
func (c *claims) release(objectID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.keysByOwner[objectID]) == 0 {
		return
	}
	c.clock++
	for _, thing := range c.keysByOwner[objectID] {
		delete(c.ownerByKey, thing)
		c.releasedAt[thing] = c.clock
	}
	delete(c.keysByOwner, objectID)
}

// claimKey returns the key under which an account or value is claimed. Users and groups have
// separate keys.
func (p *pass) claimKey(name string) string { return string(p.m.kind) + " " + name }

// claim claims the account that the decision about a person uses or creates. If another person has
// claimed it, this person's decision becomes to fail or to wait. since is the result of now before
// the evaluation. If late is true, another claim was released after that, so the evaluation may
// have missed an account and must be repeated.
func (p *pass) claim(w *work, since int) (late bool) {
	if w.newLink() {
		owner, late := p.claimAccount(w, since)
		if late || owner == w.known.ObjectID {
			return late
		}
		if w.known.takes != "" && owner == w.known.takes {
			w.waitForAccount("The account is being changed for the person who had it before.")
			return false
		}
		f := w.failTaken(w.link.TargetID, owner)
		if w.known.Link != nil {
			f.pair = rememberLost(*w.known.Link) // this account was meant to replace one that is gone
		}
		w.decision = f
		return false
	}
	d, creating := w.decision.(create)
	if !creating {
		return p.claimOwn(w, since)
	}
	for _, k := range d.keys {
		owner, late := p.claims.take(p.claimKey("key "+k.Path+" "+scim.Fold(text(k.Value))), w.known.ObjectID, since)
		if late {
			p.claims.release(w.known.ObjectID)
			return true
		}
		if owner == w.known.ObjectID {
			continue
		}
		w.decision = w.fail(&TargetError{
			Kind: Permanent, Code: "DuplicateSourceEntries",
			Detail: fmt.Sprintf("An account with %s '%s' is being created for another person of the directory (object %s).", k.Path, text(k.Value), owner),
			Advice: "Give the two people different values of the matching attribute.",
		})
		return false
	}
	return false
}

// claimOwn claims the account to which a person is linked already, if the decision changes the
// account or its link. If another person is taking over the account, this person waits. late has
// the same meaning as for claim.
func (p *pass) claimOwn(w *work, since int) (late bool) {
	if w.known.Link == nil || !changesPair(w.decision) {
		return false
	}
	owner, late := p.claims.take(p.claimKey("account "+w.known.Link.TargetID), w.known.ObjectID, since)
	if !late && owner != w.known.ObjectID {
		w.waitForAccount("Another person takes the account over.")
	}
	return late
}

// waitForAccount postpones a person because the account is in use for another person.
func (w *work) waitForAccount(why string) {
	w.decision, w.waits = later{until: w.started.Add(accountWaitTime)}, why
}

// accountWaitTime is how long a person waits when another person's work uses the account.
const accountWaitTime = time.Second

// claimAccount claims the account that was found for a person, and the account's matching values.
// It claims the values too because a person whose account is being created has claimed only values.
func (p *pass) claimAccount(w *work, since int) (owner string, late bool) {
	things := []string{p.claimKey("account " + w.link.TargetID)}
	for _, k := range w.link.Keys {
		things = append(things, p.claimKey("key "+k.Path+" "+scim.Fold(text(k.Value))))
	}
	for _, thing := range things {
		owner, late = p.claims.take(thing, w.known.ObjectID, since)
		if late || owner != w.known.ObjectID {
			p.claims.release(w.known.ObjectID)
			return owner, late
		}
	}
	return owner, false
}

// ownerOf returns the id of the object that owns an account: the one that has claimed it, or the
// one that the store knows. If there is none, it claims the account for objectID and returns
// objectID.
func (p *pass) ownerOf(ctx context.Context, targetID, objectID string) (string, error) {
	// Claim first, then ask the store: by then, the store knows an owner that has released its
	// claim.
	claimed, _ := p.claims.take(p.claimKey("account "+targetID), objectID, math.MaxInt)
	if claimed != objectID {
		return claimed, nil
	}
	owner, err := p.owner(ctx, targetID)
	if err != nil || owner != "" {
		return owner, err
	}
	return objectID, nil
}

// failTaken returns the decision to fail for a person whose account belongs to another person.
func (w *work) failTaken(targetID, owner string) fail {
	w.link = nil
	return w.fail(&TargetError{
		Kind: Permanent, Code: "DuplicateSourceEntries",
		Detail: w.words(fmt.Sprintf("The account %s belongs to another person of the directory already (object %s).", targetID, owner)),
		Advice: w.words("Give the two people different values of the matching attribute."),
	})
}
