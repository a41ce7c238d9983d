package provision

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
)

// Rehire is a job's rule for a new person whose matching value belongs to the account of a person
// who no longer has access. The two may be the same person, hired again.
type Rehire string

// The rules for a re-hire.
const (
	RehireAsk   Rehire = "ask"   // do nothing, and let an administrator decide
	RehireAdopt Rehire = "adopt" // take the account over if both have the same employeeId
	RehireNew   Rehire = "new"   // create a new account once the name is free at the application
)

// Swaps is a job's rule for people whose accounts have each other's matching values.
type Swaps string

// The rules for swaps.
const (
	SwapsAsk       Swaps = "ask"       // do nothing, and let an administrator decide
	SwapsTemporary Swaps = "temporary" // give one account a temporary value in between
)

// Awaited is a matching value that an object waits for because another object's account has it.
type Awaited struct {
	Key    MatchKey
	Holder string    // the object id of the other object
	Since  time.Time // when the object began to wait
	Fresh  bool      // whether the object has only now begun to wait for the value
}

// Aside is a temporary value of an account. The account of one person in a circle gets it, so that
// the others can get their new values. The engine records the temporary value before it sends it.
type Aside struct {
	Path    string    `json:"path"`
	Value   string    `json:"value"` // the temporary value
	Old     string    `json:"old"`   // the value that the account had
	Since   time.Time `json:"since"`
	Reached bool      `json:"reached,omitempty"` // whether the account has the temporary value
}

const (
	// awaitTime is how long a person waits for a value before the engine looks at the person again.
	// Waiting is not a failure. It ends earlier if the value becomes free, or if the update of the
	// account with the value fails.
	awaitTime = 30 * time.Second
	// asideTime is how long an account may keep a temporary value.
	asideTime = 10 * time.Minute
	// maxCircle is how many people the engine examines when it looks for a circle.
	maxCircle = 50
)

// knowledge holds the functions with which a pass reads other people and the job's data about them.
type knowledge struct {
	// read returns an object; nil if the directory no longer has it.
	read func(ctx context.Context, objectID string) (*Object, error)
	// known returns the job's data about an object.
	known func(ctx context.Context, objectID string) (Pending, error)
	// holder returns the id of the object whose account has a matching value; "" if there is none.
	holder func(ctx context.Context, key MatchKey) (objectID string, err error)
	// awaited returns the value that an object waits for; nil if there is none.
	awaited func(ctx context.Context, objectID string) (*Awaited, error)
	// drawn returns the values that were generated for an object.
	drawn func(ctx context.Context, objectID string) ([]Drawn, error)
	// drawer returns the id of the object for which a value was generated; "" if there is none.
	drawer func(ctx context.Context, path, value string) (objectID string, err error)
}

// holder is a person whose account has a value that another person should have.
type holder struct {
	id            string
	name          string
	object        *Object // nil if the person was purged
	known         Pending // the job's data about the person
	entitled      bool    // whether the person should have an active account
	keepsValue    bool    // whether the person's account should keep the value
	willBeDeleted bool    // whether the person's account will be deleted
	why           string  // why the person is not entitled, in words; "" if entitled
}

// holderOf returns the data about the person with this id, whose account has the matching value
// key.
func (p *pass) holderOf(ctx context.Context, id string, key MatchKey, now time.Time) (holder, error) {
	object, err := p.otherObjects.read(ctx, id)
	if err != nil {
		return holder{}, err
	}
	known, err := p.otherObjects.known(ctx, id)
	if err != nil {
		return holder{}, err
	}
	w, attributes := p.begin(object, known, now)
	h := holder{id: id, name: w.name(), object: object, known: known, entitled: w.entitled()}
	if !h.entitled {
		h.why = strings.TrimSuffix(w.whyDisabled(), ".")
		h.willBeDeleted = w.isPurged && p.m.can(FlowDelete) && known.Link != nil && known.Link.State != Released
		return h, nil
	}
	wanted, problem := p.m.keys(attributes)
	h.keepsValue = problem != nil || slices.ContainsFunc(wanted, func(k MatchKey) bool { return sameKey(k, key) })
	if !h.keepsValue && !slices.ContainsFunc(wanted, func(k MatchKey) bool { return k.Path == key.Path }) {
		h.keepsValue = true // the mapping yields no other value, so the account keeps this one
	}
	return h, nil
}

// decideContest looks for a change that would give the account a matching value of another linked
// account. It returns the changes to send now. The decision is about the remaining change: fail or
// later, or nil if all changes are sent now.
func (p *pass) decideContest(ctx context.Context, w *work, changes []Change) ([]Change, decision, error) {
	if w.link.Aside != nil {
		return p.continueSwap(ctx, w, changes)
	}
	for i, c := range changes {
		key := MatchKey{Path: c.Path, Value: c.New}
		if r := p.m.row(c.Path); r == nil || r.MatchingPriority == 0 || c.New == nil {
			continue
		}
		id, err := p.otherObjects.holder(ctx, key)
		if err == nil && id == "" && !p.isFirstKey(key) {
			id, err = p.awaitedHolder(ctx, w, key)
		}
		if err != nil {
			return nil, nil, err
		}
		if id == "" || id == w.known.ObjectID {
			continue
		}
		h, err := p.holderOf(ctx, id, key, w.started)
		if err != nil {
			return nil, nil, err
		}
		rest, err := p.decideWait(ctx, w, key, h)
		if err != nil || rest == nil {
			return changes, nil, err
		}
		return slices.Delete(slices.Clone(changes), i, i+1), rest, nil
	}
	return changes, nil, nil
}

// isFirstKey reports whether a value belongs to the first matching attribute. The store finds the
// accounts that have such a value. For the other matching attributes, only the target can tell.
func (p *pass) isFirstKey(key MatchKey) bool {
	return len(p.m.matching) > 0 && p.m.matching[0].Target == key.Path
}

// holderOfKey returns the id of the object whose account has a matching value; "" if there is none.
func (p *pass) holderOfKey(ctx context.Context, key MatchKey) (objectID string, err error) {
	id, err := p.otherObjects.holder(ctx, key)
	if err != nil || id != "" || p.isFirstKey(key) {
		return id, err
	}
	return p.holderAtTarget(ctx, key)
}

// holderAtTarget searches the target for the account that has a matching value. It returns the id
// of the object that is linked to the account. It returns "" if there is none, or if the target
// does not tell.
func (p *pass) holderAtTarget(ctx context.Context, key MatchKey) (objectID string, err error) {
	l := p.find(ctx, []MatchKey{key})
	if l.problem != nil || len(l.found) != 1 {
		return "", ctx.Err()
	}
	return p.owner(ctx, l.found[0].ID)
}

// awaitedHolder is like holderAtTarget, but it searches only if the object waits for the value
// already.
func (p *pass) awaitedHolder(ctx context.Context, w *work, key MatchKey) (objectID string, err error) {
	if p.m.kind == GroupKind {
		return "", nil // a group never waits for another one
	}
	a, err := p.otherObjects.awaited(ctx, w.known.ObjectID)
	if err != nil || a == nil || !sameKey(a.Key, key) {
		return "", err
	}
	return p.holderAtTarget(ctx, key)
}

// waitAfterConflict decides about a person if the target has refused one value, because the
// account of another person has it. The target has accepted all other changes. It returns nil if
// nobody is known to have the value, or if that person keeps it.
func (p *pass) waitAfterConflict(ctx context.Context, w *work, d patch, s *patchSender) result {
	if p.m.kind == GroupKind || d.decisionAboutRest != nil || len(s.refused) != 1 || len(s.written)+1 != len(d.changes) {
		return nil
	}
	key := MatchKey{Path: s.refused[0].Path, Value: s.refused[0].New}
	if r := p.m.row(key.Path); r == nil || r.MatchingPriority == 0 || key.Value == nil || p.isFirstKey(key) {
		return nil
	}
	id, err := p.holderAtTarget(ctx, key)
	if err != nil || id == "" || id == w.known.ObjectID {
		return nil
	}
	h, err := p.holderOf(ctx, id, key, w.started)
	if err != nil {
		return nil
	}
	rest, err := p.decideWait(ctx, w, key, h)
	if err != nil || rest == nil {
		return nil
	}
	if len(s.written) > 0 {
		if wait, is := rest.(later); is {
			wait.pair = nil // the pair is remembered with what was written
			rest = wait
		}
		d.changes, d.decisionAboutRest = s.written, rest
		w.decision = d
		return w.succeed("EntryExportUpdate", fmt.Sprintf("%s was updated in %s.", w.describeObject(), p.m.target), s.written)
	}
	if wait, is := rest.(later); is && wait.pair == nil && w.newLink() {
		wait.pair = remember{*w.link}
		rest = wait
	}
	w.decision = rest
	return unsentResult{}
}

// decideWait decides what to do while the account of another person h has the value key: wait,
// fail, or use a temporary value. The decision is nil if h keeps the value.
func (p *pass) decideWait(ctx context.Context, w *work, key MatchKey, h holder) (decision, error) {
	awaits := &Awaited{Key: key, Holder: h.id, Since: w.started, Fresh: true}
	before, err := p.otherObjects.awaited(ctx, w.known.ObjectID)
	if err != nil {
		return nil, err
	}
	if before != nil && sameKey(before.Key, key) && before.Holder == h.id {
		awaits.Since, awaits.Fresh = before.Since, false
	}
	switch {
	case h.keepsValue:
		return nil, nil
	case !h.entitled && !h.willBeDeleted:
		return p.failFormer(w, key, h, awaits), nil
	case h.entitled:
		circle, err := p.findCircle(ctx, w.known.ObjectID, h.id)
		if err != nil {
			return nil, err
		}
		if len(circle) > 0 {
			return p.breakCircle(w, key, h, awaits, circle), nil
		}
	}
	failed := h.known.Escrow != nil && h.known.Escrow.Last.After(awaits.Since)
	if failed || w.started.Sub(awaits.Since) >= awaitTime {
		reason := "is to give it up"
		if failed {
			reason = "cannot be changed: " + h.known.Escrow.Reason
		}
		f := w.fail(&TargetError{
			Kind: Conflict, Code: "EntryConflict",
			Detail: fmt.Sprintf("%s '%s' belongs to the account of %s, who %s", key.Path, text(key.Value), h.name, withFullStop(reason)),
			Advice: "It is sent as soon as that account has another value.",
		})
		f.awaits = awaits
		return f, nil
	}
	d := later{until: w.started.Add(awaitTime), awaits: awaits}
	if awaits.Fresh {
		d.also = []string{h.id}
	}
	return d, nil
}

func withFullStop(s string) string { return strings.TrimSuffix(s, ".") + "." }

// findCircle finds people who wait for each other. Each person wants the value that the account of
// the next person has, and the last person wants the value of the first. It returns their object
// ids, starting with objectID. It returns nil if there is no such circle.
func (p *pass) findCircle(ctx context.Context, objectID, holderID string) ([]string, error) {
	members := []string{objectID}
	for id := holderID; len(members) < maxCircle; {
		members = append(members, id)
		a, err := p.otherObjects.awaited(ctx, id)
		switch {
		case err != nil || a == nil:
			return nil, err
		case a.Holder == objectID:
			return members, nil
		case slices.Contains(members, a.Holder):
			return nil, nil // the circle does not contain the person
		}
		id = a.Holder
	}
	return nil, nil
}

// breakCircle decides about a person in a circle of people who wait for each other. If the job
// allows it, the account of one of them gets a temporary value, and the others wait. Otherwise the
// person fails.
func (p *pass) breakCircle(w *work, key MatchKey, h holder, awaits *Awaited, circle []string) decision {
	why := p.noTemporary(w, key)
	if why == "" && slices.Min(circle) != w.known.ObjectID {
		if w.started.Sub(awaits.Since) < asideTime {
			d := later{until: w.started.Add(awaitTime), awaits: awaits}
			if awaits.Fresh { // otherwise that person and this one could wake each other endlessly
				d.also = []string{slices.Min(circle)}
			}
			return d
		}
		why = "Another person of the circle could not be given a temporary value."
	}
	if why != "" {
		f := w.fail(&TargetError{
			Kind: Conflict, Code: "EntryConflict",
			Detail: fmt.Sprintf("%s '%s' belongs to the account of %s. %d people have each other's values, so none of them can go first.", key.Path, text(key.Value), h.name, len(circle)),
			Advice: why,
		})
		f.awaits = awaits
		return f
	}
	l := *w.link
	r := p.m.rowFor(key.Path)
	l.Aside = &Aside{
		Path: key.Path, Value: "rollcall-" + hashText(w.known.ObjectID + key.Path + w.started.String())[:16], Old: text(w.valueOf(r)), Since: w.started,
	}
	return later{until: w.started, pair: remember{l}, awaits: awaits}
}

// noTemporary returns why an account may not get a temporary value, or "" if it may.
func (p *pass) noTemporary(w *work, key MatchKey) string {
	path, wrote := strings.ToLower(key.Path), w.link.Wrote[key.Path]
	// The target may have refused this value because the other account has it. That does not count.
	refused := wrote.Refused != nil && !sameLedgerValue(wrote.Refused, rememberedAs(key.Path, key.Value))
	switch {
	case p.job.Swaps != SwapsTemporary:
		return "Allow temporary values in the job's settings (Swapped names), or change one of the accounts at the application."
	case strings.HasPrefix(path, "emails"):
		return "An e-mail address gets no temporary value. Change one of the accounts at the application."
	case refused || w.link.Wrote == nil || !p.m.can(FlowUpdate):
		return "The application has refused a change of this attribute before, so no temporary value is sent. Change one of the accounts at the application."
	}
	return ""
}

// continueSwap continues with an account that has a temporary value, or was about to get it. Its
// results have the same meaning as those of decideContest.
func (p *pass) continueSwap(ctx context.Context, w *work, changes []Change) ([]Change, decision, error) {
	a := *w.link.Aside
	changes = slices.Clone(changes)
	i := slices.IndexFunc(changes, func(c Change) bool { return c.Path == a.Path })
	if text(w.valueOf(p.m.rowFor(a.Path))) != a.Value { // the account does not have the temporary value yet
		l := *w.link
		w.link = &l
		if i < 0 || a.Reached {
			l.Aside = nil
			return changes, nil, nil
		}
		key := MatchKey{Path: a.Path, Value: changes[i].New}
		id, err := p.holderOfKey(ctx, key)
		if err != nil || id == "" || id == w.known.ObjectID {
			l.Aside = nil // the wanted value became free in the meantime
			return changes, nil, err
		}
		changes[i].New = a.Value
		awaits := &Awaited{Key: key, Holder: id, Since: w.started}
		return changes, later{until: w.started.Add(awaitTime), awaits: awaits, also: []string{id}}, nil
	}
	if i < 0 { // the person has left the scope, so the account gets its old value back
		taken, err := p.holderOfKey(ctx, MatchKey{Path: a.Path, Value: a.Old})
		if err != nil || taken != "" && taken != w.known.ObjectID {
			return changes, nil, err
		}
		return append(changes, p.m.rowFor(a.Path).change(a.Value, a.Old)), nil, nil
	}
	key := MatchKey{Path: a.Path, Value: changes[i].New}
	id, err := p.holderOfKey(ctx, key)
	if err != nil || id == "" || id == w.known.ObjectID {
		return changes, nil, err
	}
	h, err := p.holderOf(ctx, id, key, w.started)
	if err != nil {
		return nil, nil, err
	}
	awaits := &Awaited{Key: key, Holder: id, Since: a.Since}
	if failed := h.known.Escrow != nil && h.known.Escrow.Last.After(a.Since); !failed && w.started.Sub(a.Since) < asideTime {
		d := later{until: w.started.Add(awaitTime), awaits: awaits}
		if w.current != nil { // the process died before it recorded that the account has the temporary value
			l := *w.link
			w.remember(&l, nil, nil)
			d.pair = remember{l}
		}
		return slices.Delete(changes, i, i+1), d, nil
	}
	f := w.fail(&TargetError{
		Kind: Conflict, Code: "EntryConflict",
		Detail: fmt.Sprintf("%s '%s' belongs to the account of %s, who could not be changed. This account had a temporary value and gets its own one back.", key.Path, text(key.Value), h.name),
		Advice: "Correct the other person, or change one of the accounts at the application.",
	})
	f.awaits = awaits
	taken, err := p.holderOfKey(ctx, MatchKey{Path: a.Path, Value: a.Old})
	if err != nil {
		return nil, nil, err
	}
	if taken != "" && taken != w.known.ObjectID {
		return slices.Delete(changes, i, i+1), f, nil
	}
	changes[i].New = a.Old
	return changes, f, nil
}

// decideContested decides about an account that was found for one person but is linked to the
// person owner. A nil decision means that the first person takes the account over.
func (p *pass) decideContested(ctx context.Context, w *work, o TargetObject, key MatchKey, owner string) (decision, error) {
	h, err := p.holderOf(ctx, owner, key, w.started)
	if err != nil {
		return nil, err
	}
	if h.keepsValue || h.known.Link == nil {
		return w.failTaken(o.ID, owner), nil
	}
	if !h.known.Link.hasKey(key) {
		return p.foundByOldValue(ctx, w, o, key, owner)
	}
	if !h.entitled && !h.willBeDeleted && p.job.Rehire == RehireAdopt && w.entitled() {
		if id := employeeID(&w.object); id != "" && id == employeeID(h.object) {
			w.known.takes, w.former = owner, h.known.Link.Wrote // the engine removes the former person's values that the new person does not have
			w.step("EntryImport", MatchingStep, Success, fmt.Sprintf("The account of %s is taken over: both have the employeeId '%s', and that person was %s.", h.name, id, h.why), map[string]string{"id": o.ID})
			return nil, nil
		}
	}
	d, err := p.decideWait(ctx, w, key, h)
	if err == nil && d == nil {
		return w.failTaken(o.ID, owner), nil
	}
	return d, err
}

// foundByOldValue decides about an account that a search found by a value. According to the job,
// the account no longer has this value: its person may have been renamed between the search and
// this decision. So the engine at once evaluates again the person that w is about. If the search
// finds the account once more, that person fails.
func (p *pass) foundByOldValue(ctx context.Context, w *work, o TargetObject, key MatchKey, owner string) (decision, error) {
	before, err := p.otherObjects.awaited(ctx, w.known.ObjectID)
	switch {
	case err != nil:
		return nil, err
	case before != nil && sameKey(before.Key, key) && before.Holder == owner:
		return w.failTaken(o.ID, owner), nil
	}
	return later{until: w.started, awaits: &Awaited{Key: key, Holder: owner, Since: w.started, Fresh: true}}, nil
}

// employeeID returns the employeeId of an object; "" if it has none.
func employeeID(o *Object) string {
	if o == nil {
		return ""
	}
	return strings.TrimSpace(text(o.Attributes["employeeId"]))
}

// failFormer fails a person whose value belongs to the account of a person who no longer has
// access.
func (p *pass) failFormer(w *work, key MatchKey, h holder, awaits *Awaited) fail {
	te := &TargetError{
		Kind: Conflict, Code: "HandoverNeeded",
		Detail: fmt.Sprintf("%s '%s' belongs to the account of %s (object %s), who was %s. Nothing was done to that account.", key.Path, text(key.Value), h.name, h.id, cmp.Or(h.why, "out of scope")),
	}
	mine, theirs := employeeID(&w.object), employeeID(h.object)
	freed := fmt.Sprintf("rename or delete that account at the application, so that '%s' is free: this person then gets an account by itself.", text(key.Value))
	switch {
	case w.link != nil:
		te.Advice = "Do this: " + freed
	case p.job.Rehire == RehireNew:
		te.Advice = "The job's rule for a re-hire is a new account. The name must be freed first: " + freed
	case p.job.Rehire == RehireAdopt && (mine == "" || theirs == ""):
		te.Advice = "The job's rule for a re-hire is to take the account over, but only if both people have the same employeeId, and one of them has none. Fill it in in the directory, or " + freed
	case p.job.Rehire == RehireAdopt:
		te.Advice = fmt.Sprintf("The job's rule for a re-hire is to take the account over, but only if both people have the same employeeId: here they are '%s' and '%s'. If they are two people, %s", mine, theirs, freed)
	default:
		te.Advice = "If both are the same person, set the job's rule for a re-hire to adopt: with the same employeeId the account is taken over. If not, " + freed
	}
	f := w.fail(te)
	f.awaits = awaits
	return f
}

// freedKeys returns the matching values that an account had before but no longer has after a
// change.
func freedKeys(before *Link, after *Link) []MatchKey {
	if before == nil {
		return nil
	}
	var gone []MatchKey
	for _, k := range before.Keys {
		if after == nil || after.State == Gone || !slices.ContainsFunc(after.Keys, func(a MatchKey) bool { return sameKey(a, k) }) {
			gone = append(gone, k)
		}
	}
	return gone
}

// Folded returns the path and the value of a matching value, case-folded, as they are stored for
// lookups.
func (k MatchKey) Folded() string { return scim.Fold(k.Path) + " " + scim.Fold(text(k.Value)) }

// hasKey reports whether a matching value is one of the values that the account has.
func (l *Link) hasKey(key MatchKey) bool {
	return l.State != Gone && slices.ContainsFunc(l.Keys, func(k MatchKey) bool { return sameKey(k, key) })
}

// FirstKey returns the account's first matching value in the form of Folded. It returns "" if the
// account has no matching value or is gone.
func (l *Link) FirstKey() string {
	if len(l.Keys) == 0 || l.State == Gone {
		return ""
	}
	return l.Keys[0].Folded()
}
