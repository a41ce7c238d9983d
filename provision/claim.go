package provision

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
)

// claims prevents two people in one pass from getting the same account. A claim lasts until the
// owner's outcome is recorded. After that, the store and the target show who has the account.
type claims struct {
	mu       sync.Mutex
	owner    map[string]string   // object id by the account or matching value that the object has claimed
	things   map[string][]string // what each object has claimed, by object id
	released map[string]int      // the clock when each account or matching value was last released
	clock    int
}

// now returns a counter that grows each time claims are released. A caller reads it before a
// search: the search may miss an account whose claim is released after that moment.
func (c *claims) now() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock
}

// take claims an account or value for an object and returns its owner. since is an earlier result of
// now. late reports whether another object has released the account or value after that.
func (c *claims) take(thing, objectID string, since int) (owner string, late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if owner, taken := c.owner[thing]; taken {
		return owner, false
	}
	if at, ok := c.released[thing]; ok && at > since {
		return "", true
	}
	if c.owner == nil {
		c.owner, c.things, c.released = map[string]string{}, map[string][]string{}, map[string]int{}
	}
	c.owner[thing] = objectID
	c.things[objectID] = append(c.things[objectID], thing)
	return objectID, false
}

// release ends all claims of an object.
func (c *claims) release(objectID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.things[objectID]) == 0 {
		return
	}
	c.clock++
	for _, thing := range c.things[objectID] {
		delete(c.owner, thing)
		c.released[thing] = c.clock
	}
	delete(c.things, objectID)
}

// thing returns the key under which an account or value is claimed. Users and groups have separate
// keys.
func (p *pass) thing(name string) string { return string(p.m.kind) + " " + name }

// claim makes a person fail if another person has already claimed the same account or the same new
// account. since is the result of now from before the evaluation. late reports that what the
// evaluation found may be out of date, because another claim was released after that.
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
		owner, late := p.claims.take(p.thing("key "+k.Path+" "+scim.Fold(text(k.Value))), w.known.ObjectID, since)
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

// claimOwn claims the account that a person is linked to, if the decision changes the account or
// its link. If another person is taking over the account, this person waits: the account will soon
// belong to the other one. It returns what claim returns.
func (p *pass) claimOwn(w *work, since int) (late bool) {
	if w.known.Link == nil || !changesPair(w.decision) {
		return false
	}
	owner, late := p.claims.take(p.thing("account "+w.known.Link.TargetID), w.known.ObjectID, since)
	if !late && owner != w.known.ObjectID {
		w.waitForAccount("Another person takes the account over.")
	}
	return late
}

// waitForAccount postpones a person because the account is in use for another person.
func (w *work) waitForAccount(why string) {
	w.decision, w.waits = later{until: w.started.Add(accountTime)}, why
}

// accountTime is how long a person waits when another person's work uses the account.
const accountTime = time.Second

// claimAccount claims the account that was found for a person, and the account's matching values.
// The values are needed because a person whose account is being created has claimed only values.
func (p *pass) claimAccount(w *work, since int) (owner string, late bool) {
	things := []string{p.thing("account " + w.link.TargetID)}
	for _, k := range w.link.Keys {
		things = append(things, p.thing("key "+k.Path+" "+scim.Fold(text(k.Value))))
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

// ownerOf returns the object that owns an account, as recorded in the store or claimed in this
// pass. If the account has no owner, ownerOf claims it for objectID.
func (p *pass) ownerOf(ctx context.Context, targetID, objectID string) (string, error) {
	// Claim first, then ask the store: an owner that has released its claim is in the store by now.
	claimed, _ := p.claims.take(p.thing("account "+targetID), objectID, math.MaxInt)
	if claimed != objectID {
		return claimed, nil
	}
	owner, err := p.owner(ctx, targetID)
	if err != nil || owner != "" {
		return owner, err
	}
	return objectID, nil
}

// failTaken fails a person whose account belongs to another person.
func (w *work) failTaken(targetID, owner string) fail {
	w.link = nil
	return w.fail(&TargetError{
		Kind: Permanent, Code: "DuplicateSourceEntries",
		Detail: w.words(fmt.Sprintf("The account %s belongs to another person of the directory already (object %s).", targetID, owner)),
		Advice: w.words("Give the two people different values of the matching attribute."),
	})
}
