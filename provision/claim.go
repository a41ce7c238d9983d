package provision

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
)

// claims prevents two people of one pass from getting the same account. A claim lasts until its
// owner's outcome is recorded; from then on the store and the target know who has the account.
type claims struct {
	mu       sync.Mutex
	owner    map[string]string   // account or matching value to object id
	things   map[string][]string // object id to what it has claimed
	released map[string]int      // the value of now when the thing was last released
	clock    int
}

// now returns a number that grows with each release of a claim. What was read since then may miss
// an account whose claim was released later.
func (c *claims) now() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock
}

// take claims a thing for a person and returns its owner. late reports whether somebody else has
// released the thing since a time.
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

// release ends the claims of a person.
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

// thing names something to claim. Accounts and groups have names of their own.
func (p *pass) thing(name string) string { return string(p.m.kind) + " " + name }

// claim fails the second of two people who found the same account or would get the same new
// account. It returns true if what the person's evaluation found since a time may be out of date.
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

// claimOwn claims the account that a person is linked to, if the decision changes it or what is remembered of it. If
// another person is taking the account over, this person waits: then the account is not theirs any
// more. It returns what claim returns.
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

// accountTime is how long a person waits for an account that is in use for another person.
const accountTime = time.Second

// claimAccount claims the account that a person was found to have, and its matching values: somebody
// whose account is being created has claimed those.
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

// ownerOf returns the owner of an account, as recorded or as claimed in this pass. If it has no
// owner, ownerOf claims it for the person who asks.
func (p *pass) ownerOf(ctx context.Context, targetID, objectID string) (string, error) {
	// The claim comes first: whoever had it before has their account in the store now.
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
