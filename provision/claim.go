package provision

import (
	"context"
	"fmt"
	"sync"

	"github.com/rollcall-scim/rollcall/scim"
)

// claims prevents two people of one pass from getting the same account. The store knows the
// accounts of earlier passes.
type claims struct {
	mu    sync.Mutex
	owner map[string]string // account or matching value to object id
}

// take claims a thing for a person and returns its owner.
func (c *claims) take(thing, objectID string) (owner string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owner == nil {
		c.owner = map[string]string{}
	}
	if owner, taken := c.owner[thing]; taken {
		return owner
	}
	c.owner[thing] = objectID
	return objectID
}

// claim fails the second of two people who found the same account or would get the same new
// account.
func (p *pass) claim(w *work) {
	if w.newLink() {
		owner := p.claims.take("account "+w.link.TargetID, w.known.ObjectID)
		if owner == w.known.ObjectID {
			return
		}
		f := w.taken(w.link.TargetID, owner)
		if w.known.Link != nil {
			f.pair = rememberLost(*w.known.Link) // this account was meant to replace one that is gone
		}
		w.decision = f
		return
	}
	d, creating := w.decision.(create)
	if !creating {
		return
	}
	for _, k := range d.keys {
		owner := p.claims.take("key "+k.Path+" "+scim.Fold(text(k.Value)), w.known.ObjectID)
		if owner == w.known.ObjectID {
			continue
		}
		w.decision = w.fail(&TargetError{
			Kind: Permanent, Code: "DuplicateSourceEntries",
			Detail: fmt.Sprintf("An account with %s '%s' is being created for another person of the directory (object %s).", k.Path, text(k.Value), owner),
			Advice: "Give the two people different values of the matching attribute.",
		})
		return
	}
}

// ownerOf returns the owner of an account, as recorded or as claimed in this pass. If it has no
// owner, ownerOf claims it for the person who asks.
func (p *pass) ownerOf(ctx context.Context, targetID, objectID string) (string, error) {
	owner, err := p.owner(ctx, targetID)
	if err != nil || owner != "" && owner != objectID {
		return owner, err
	}
	return p.claims.take("account "+targetID, objectID), nil
}

// taken fails a person whose account belongs to another person.
func (w *work) taken(targetID, owner string) fail {
	w.link = nil
	return w.fail(&TargetError{
		Kind: Permanent, Code: "DuplicateSourceEntries",
		Detail: fmt.Sprintf("The account %s belongs to another person of the directory already (object %s).", targetID, owner),
		Advice: "Give the two people different values of the matching attribute.",
	})
}
