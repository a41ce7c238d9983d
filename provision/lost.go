package provision

import (
	"context"
	"fmt"
	"slices"

	"github.com/rollcall-scim/rollcall/scim"
)

// missing reports whether the target did not have the account when the engine last needed it.
func (l *Link) missing() bool { return l.State == Missed || l.wasLost() }

// wasLost reports whether the engine has already searched for the account without finding it.
func (l *Link) wasLost() bool { return l.State == Lost || l.State == Gone }

// findReplacement looks for another account of a person whose account id the target no longer
// knows. It searches by the matching values that the account had, and by those that it should have.
// A single 404 proves little, so the link stays until another account replaces it. A nil decision
// means that findReplacement found an account.
func (p *pass) findReplacement(ctx context.Context, w *work, attributes map[string]any) (decision, error) {
	old := *w.link
	keys := p.relocationKeys(w, attributes)
	w.step("EntryImport", MatchingStep, Skipped, fmt.Sprintf("%s has no account %s any more (404). Looking for another one.", p.m.target, old.TargetID), map[string]string{"id": old.TargetID})
	l := p.find(ctx, keys)
	if l.problem == nil && len(l.found) == 1 && l.found[0].ID != old.TargetID {
		owner, err := p.owner(ctx, l.found[0].ID)
		if err != nil {
			return nil, err
		}
		if owner != "" && owner != w.known.ObjectID && !w.entitled() {
			l.found = nil // the found account belongs to another person, so it does not count
		}
	}
	switch {
	case l.problem != nil:
		w.entryStepFailed("EntryImport", MatchingStep, l.problem)
		return w.failLost(l.problem, old), ctx.Err()
	case len(l.found) > 1:
		return w.failLost(w.failAmbiguous(l.found, l.key).problem, old), nil
	case len(l.found) == 1 && l.found[0].ID == old.TargetID:
		return w.withAction(w.fail(&TargetError{
			Kind: Transient, Code: "InvalidAnchor",
			Detail: fmt.Sprintf("The application answered 404 for the account %s, but a search by %s still finds it.", old.TargetID, l.key.Path),
			Advice: "Nothing was sent. This is tried again.",
		})), nil
	case len(l.found) == 1:
		d, err := p.adopt(ctx, w, l.found[0], l.key, "matched")
		if f, failed := d.(fail); failed {
			f.pair = rememberLost(old)
			return f, err
		}
		return d, err
	}
	p.logNotFound(w, keys, l)
	if seen := latest(old.Proved, old.Since); w.started.Before(seen.Add(p.settle)) {
		w.waits = "The application does not know an account that it has just shown. It may be behind, so it is asked again."
		return later{until: seen.Add(p.settle)}, nil
	}
	if len(l.skipped) > 0 || len(keys) == 0 {
		return w.cannotLook(l, old), nil
	}
	if w.entitled() && p.m.can(FlowAdd) {
		return p.replaceAccount(ctx, w, attributes, l)
	}
	return w.skipMissing(p.m.can(FlowAdd)), nil
}

// relocationKeys returns the matching values that the account had, those that an update of unknown
// outcome may have given to it, and those that it should have, in the order of the matching
// precedence.
func (p *pass) relocationKeys(w *work, attributes map[string]any) []MatchKey {
	var wanted []MatchKey
	if !w.isPurged {
		wanted, _ = p.m.keys(attributes) // a row that cannot be evaluated gives no value to search for
	}
	var keys []MatchKey
	for i := range p.m.matching {
		for _, k := range slices.Concat(w.link.Keys, w.unsureKeys(), wanted) {
			if k.Path == p.m.matching[i].Target && !slices.ContainsFunc(keys, func(have MatchKey) bool { return sameKey(have, k) }) {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// unsureKeys returns the matching values that an update of unknown outcome may have given to the
// account.
func (w *work) unsureKeys() (keys []MatchKey) {
	for i := range w.m.matching {
		path := w.m.matching[i].Target
		if e := w.link.Wrote[path]; e.Unsure && text(e.Sent) != "" && !isHashed(e.Sent) {
			keys = append(keys, MatchKey{Path: path, Value: e.Sent})
		}
	}
	return keys
}

// replaceAccount decides to create an account in place of the account that is gone.
func (p *pass) replaceAccount(ctx context.Context, w *work, attributes map[string]any, l lookup) (decision, error) {
	old := w.link
	w.replaces = old
	keys, problem := p.m.keys(attributes)
	if problem != nil {
		return w.withAction(w.failRow(problem)), nil
	}
	if len(keys) == 0 {
		return w.skipMissing(true), nil
	}
	w.link = nil
	return p.decideUnmatched(ctx, w, attributes, keys, l)
}

// cannotLook returns the failure of a person whose account is gone, if the engine cannot search for
// another account.
func (w *work) cannotLook(l lookup, old Link) fail {
	te := &TargetError{
		Kind: Unsearchable, Code: "InvalidAnchor",
		Detail: fmt.Sprintf("The account %s is gone at the application, and there is no value by which another one could be looked for.", old.TargetID),
		Advice: "Fill in a matching attribute of this person in the directory.",
	}
	if len(l.skipped) > 0 {
		te.Detail = fmt.Sprintf("The account %s is gone at the application. %s So nobody can tell whether the person has another one.", old.TargetID, l.skipped[0].Detail)
		te.Advice = l.skipped[0].Advice
	}
	return w.failLost(te, old)
}

// skipMissing returns the decision to skip a person whose account is gone and who gets no other
// account. The first time, the next cycle looks for the account again. The second time, the
// account's state becomes Gone. mayCreate says whether the job may create accounts.
func (w *work) skipMissing(mayCreate bool) skip {
	reason, advice := "The account is gone at the application and no other one was found, so there is nothing to disable.", ""
	if w.entitled() && !mayCreate {
		reason = "The account is gone at the application, no other one was found, and Create is not among the Target Object Actions."
		advice = "Add the person at the application, or tick Create if it supports that."
	}
	before, state := w.known.Link, Lost
	if before != nil && before.wasLost() {
		state = Gone
	} else {
		reason += " It is looked for again in the next cycle."
	}
	s := w.skip("InvalidAnchor", reason, advice)
	if w.entitled() && !mayCreate {
		s.absence = noAccount
	}
	if w.known.Why == ByAbsence && before != nil && before.State == Gone {
		s.report = silent
	}
	l := *w.link
	l.State = state
	w.link = &l
	switch {
	case w.isPurged && state == Gone:
		s.pair = forget{}
	case before == nil || before.State != state:
		s.pair = remember{l}
	}
	return s
}

// failLost returns the failure of a person whose account is gone or may be gone. The engine looks
// for the account again.
func (w *work) failLost(te *TargetError, old Link) fail {
	f := w.withAction(w.fail(te))
	f.pair = rememberLost(old)
	return f
}

// accountKeys returns the matching values that the account has according to the ledger wrote.
func (w *work) accountKeys(wrote Ledger) []MatchKey {
	var keys []MatchKey
	for i := range w.m.matching {
		path := w.m.matching[i].Target
		e, known := wrote[path]
		v := e.shown()
		if v == nil {
			v = e.value()
		}
		switch v := v.(type) {
		case string:
			if v != "" && !isHashed(v) {
				keys = append(keys, MatchKey{Path: path, Value: v})
			}
		case bool, int64:
			keys = append(keys, MatchKey{Path: path, Value: v})
		default:
			if at := slices.IndexFunc(w.link.Keys, func(k MatchKey) bool { return k.Path == path }); !known && at >= 0 {
				keys = append(keys, w.link.Keys[at])
			}
		}
	}
	return keys
}

// sameKey reports whether two matching values find the same accounts. It ignores case.
func sameKey(a, b MatchKey) bool {
	return a.Path == b.Path && scim.Fold(text(a.Value)) == scim.Fold(text(b.Value))
}

// sameKeys reports whether two lists of matching values are equal. It does not ignore case.
func sameKeys(a, b []MatchKey) bool {
	return slices.EqualFunc(a, b, func(a, b MatchKey) bool { return a.Path == b.Path && text(a.Value) == text(b.Value) })
}
