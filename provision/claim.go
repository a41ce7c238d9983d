package provision

import (
	"context"
	"fmt"
	"hash/maphash"
	"math"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
)

// claims prevents two people in one pass from getting the same account. A claim lasts until the
// owner's outcome is recorded. After that, the store and the target show who has the account.
type claims struct {
	mu       sync.Mutex
	owner    map[thing]string   // the id of the object that has claimed a thing
	things   map[string][]thing // the things that each object has claimed, by object id
	released map[thing]int      // the clock at which a thing was last released
	clock    int                // how often claims were released
}

// thing stands for an account or a value that can be claimed. It is a hash of 128 bits, because a
// cycle or plan of many people holds a few hundred thousand of them, and their names would take
// several times the memory. Within one process, two names with the same hash do not occur.
type thing [2]uint64

// thingSeeds are the seeds of the two halves of a thing.
var thingSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func thingOf(name string) thing {
	return thing{maphash.String(thingSeeds[0], name), maphash.String(thingSeeds[1], name)}
}

// now returns the clock, a counter that grows each time claims are released. A caller calls now
// before an evaluation, and passes the result to claim. So claim notices a claim that was released
// during the evaluation, which may then be out of date.
func (c *claims) now() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock
}

// claim claims a thing for an object, if no object has claimed it yet, and returns its owner. A
// thing is an account or a value. since is an earlier result of now. late reports whether another
// object has released the thing since then; in that case claim claims nothing.
func (c *claims) claim(t thing, objectID string, since int) (owner string, late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if owner, taken := c.owner[t]; taken {
		return owner, false
	}
	if at, ok := c.released[t]; ok && at > since {
		return "", true
	}
	if c.owner == nil {
		c.owner, c.things, c.released = map[thing]string{}, map[string][]thing{}, map[thing]int{}
	}
	c.owner[t] = objectID
	c.things[objectID] = append(c.things[objectID], t)
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
	for _, t := range c.things[objectID] {
		delete(c.owner, t)
		c.released[t] = c.clock
	}
	delete(c.things, objectID)
}

// thing returns an account or a value, given by its name, as a thing that can be claimed. Users and
// groups have different things.
func (p *pass) thing(name string) thing { return thingOf(string(p.m.kind) + " " + name) }

// matchingValue returns a matching value as a thing that can be claimed.
func (p *pass) matchingValue(k MatchKey) thing {
	return p.thing("key " + k.Path + " " + scim.Fold(text(k.Value)))
}

// claim claims the account that a person's decision uses or creates. If another person has already
// claimed it, this person fails or waits. since is the result of claims.now before the evaluation.
// late reports whether another person's claim on the account was released since then; the
// evaluation may then be out of date, and must be repeated.
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
		w.known.resolved = false // the account may not be that of this person's create
		if !w.entitled() {
			w.waitForAccount("It is being decided whether the account belongs to another object of the directory.") // afterwards it has an owner, and this person has no account
			return false
		}
		f := w.failTaken(w.link.TargetID, owner)
		if w.known.Link != nil {
			f.pair = rememberLost(*w.known.Link) // the account of the stored link is gone, and no other account replaces it
		}
		w.decision = f
		return false
	}
	d, creating := w.decision.(create)
	if !creating {
		return p.claimOwn(w, since)
	}
	for _, k := range d.keys {
		owner, late := p.claims.claim(p.matchingValue(k), w.known.ObjectID, since)
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
// its link. If another person is taking over the account, this person waits, because the account
// will soon belong to that other person. late has the same meaning as in the method claim.
func (p *pass) claimOwn(w *work, since int) (late bool) {
	if w.known.Link == nil || !changesPair(w.decision) {
		return false
	}
	owner, late := p.claims.claim(p.thing("account "+w.known.Link.TargetID), w.known.ObjectID, since)
	if !late && owner != w.known.ObjectID {
		w.waitForAccount("Another person takes the account over.")
	}
	return late
}

// waitForAccount postpones a person, because the engine is using the account for another person.
func (w *work) waitForAccount(why string) {
	w.decision, w.waits = later{until: w.started.Add(accountWait)}, why
}

// accountWait is how long a person waits if the engine is using the account for another person.
const accountWait = time.Second

// claimAccount claims the account that was found for a person, and the account's matching values.
// It claims the values because a person whose account is being created has claimed only values. It
// returns the owner of the account or value. late has the same meaning as in claims.claim.
func (p *pass) claimAccount(w *work, since int) (owner string, late bool) {
	things := []thing{p.thing("account " + w.link.TargetID)}
	for _, k := range w.link.Keys {
		things = append(things, p.matchingValue(k))
	}
	for _, t := range things {
		owner, late = p.claims.claim(t, w.known.ObjectID, since)
		if late || owner != w.known.ObjectID {
			p.claims.release(w.known.ObjectID)
			return owner, late
		}
	}
	return owner, false
}

// ownerOf returns the id of the object that owns an account, according to the claims of this pass
// or the store. If the account has no owner, ownerOf claims it for objectID.
func (p *pass) ownerOf(ctx context.Context, targetID, objectID string) (string, error) {
	// Claim the account before reading the store. If the last owner has released its claim, then
	// the store already has this owner.
	claimed, _ := p.claims.claim(p.thing("account "+targetID), objectID, math.MaxInt)
	if claimed != objectID {
		return claimed, nil
	}
	owner, err := p.owner(ctx, targetID)
	if err != nil || owner != "" {
		return owner, err
	}
	return objectID, nil
}

// failTaken returns the decision that the person fails, because the account belongs to the object
// owner.
func (w *work) failTaken(targetID, owner string) fail {
	w.link = nil
	return w.fail(&TargetError{
		Kind: Permanent, Code: "DuplicateSourceEntries",
		Detail: w.words(fmt.Sprintf("The account %s belongs to another person of the directory already (object %s).", targetID, owner)),
		Advice: w.words("Give the two people different values of the matching attribute."),
	})
}
