package provision

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// export carries out the decision. No other step of an object changes the target. If a create finds
// an existing account, it puts another decision into w, and export carries that out, too.
func (p *pass) export(ctx context.Context, w *work, now time.Time) {
	if d, ok := w.decision.(create); ok {
		if w.result = p.create(ctx, w, d, now); w.result != nil {
			return
		}
		w.result = unsentResult{}
	}
	switch d := w.decision.(type) {
	case patch:
		w.result = p.patch(ctx, w, d, now)
	case remove:
		w.result = p.delete(ctx, w, d)
	}
}

// create sends a create and returns its result. A nil result means that create has put another
// decision into w, which the caller carries out.
func (p *pass) create(ctx context.Context, w *work, d create, now time.Time) result {
	o, err := p.target.Create(ctx, d.changes)
	if err == nil {
		return p.created(ctx, w, d, o, now)
	}
	te := asTargetError(err)
	// The application may accept the create without returning the account's id: then search for it.
	accepted := te.Sent && te.Status >= http200 && te.Status < 300
	if te.Kind == Conflict || accepted {
		return p.adoptAfterCreate(ctx, w, d, te, now)
	}
	return w.createFailed(p, te)
}

// createFailed returns the result of a refused create. If the target may have carried out the create,
// the intent stays recorded, because only a read can show the outcome.
func (w *work) createFailed(p *pass, te *TargetError) refusedResult {
	return w.failExport("EntryExportAdd", fmt.Sprintf("Failed to create %s in %s: %s", w.describeObject(), p.m.target, te.Detail), te)
}

// created links the person to the account that the target returned for a create. If the account
// already belongs to another person, created returns a refusal. A nil result has the same meaning
// as in create.
func (p *pass) created(ctx context.Context, w *work, d create, o TargetObject, now time.Time) result {
	// Some applications answer a create with an existing account.
	if owner, err := p.ownerOf(ctx, o.ID, w.known.ObjectID); err != nil || owner != w.known.ObjectID {
		return w.refuseForeignAccount(o.ID, owner, err, err != nil)
	}
	w.link = &Link{ObjectID: w.known.ObjectID, TargetID: o.ID, How: "created", State: Active, Kind: w.m.kind, Refers: w.refers, Since: now}
	w.created, w.lastAnswer, w.version = true, o.Resource, o.Version
	w.identify(o.ID)
	switch differs, unshown := p.differingAttribute(o, w.values); {
	case differs != "" && p.m.can(FlowUpdate):
		w.step("EntryExportAdd", ExportStep, Success, fmt.Sprintf("%s answered the create with an account whose %s differs. It is brought up to date.", p.m.target, differs), nil)
		return p.correctCreated(ctx, w, d, differs)
	case unshown != "" && p.m.can(FlowUpdate):
		w.step("EntryExportAdd", ExportStep, Success, fmt.Sprintf("%s did not show %s in its answer to the create, so the account is read.", p.m.target, unshown), nil)
		return p.correctCreated(ctx, w, d, "")
	}
	return w.createSucceeded(p, d)
}

// createSucceeded returns the result of a create that has succeeded, and adds the step to the log entry.
func (w *work) createSucceeded(p *pass, d create) doneResult {
	return w.succeed("EntryExportAdd", fmt.Sprintf("%s was created in %s.", w.describeObject(), p.m.target), d.changes)
}

// refuseForeignAccount returns the refusal of an account that belongs to owner, or whose owner is
// not known because of err. open says whether the target may have carried out the create.
func (w *work) refuseForeignAccount(targetID, owner string, err error, open bool) result {
	if err != nil {
		return refusedResult{problem: asTargetError(err), mayHaveHappened: open}
	}
	return refusedResult{problem: w.failTaken(targetID, owner).problem, mayHaveHappened: open, action: Other}
}

// differingAttribute checks the answer to a create. differs is the first attribute whose value
// differs from the requested value; unshown is the first matching attribute, or attribute that
// blocks the account, that the answer does not show. Each is "" if there is none. Another form of
// the same value does not count, nor does an attribute for which the target keeps its own value.
func (p *pass) differingAttribute(o TargetObject, values []value) (differs, unshown string) {
	for _, v := range values {
		target := v.row.Target
		_, own := p.ownForms.Load(target)
		if v.row.state || v.row.MatchingPriority != 0 {
			switch shown, same := v.row.showsWanted(o.Resource, v.want); {
			case shown && !same:
				return target, ""
			case !shown && !own && unshown == "":
				unshown = target
			}
			continue
		}
		if own || isPassword(target) || v.row.roles != "" {
			continue
		}
		if old, same := v.row.compare(o.Resource, v.want); old != nil && !same && !sameForm(old, v.want) {
			return target, ""
		}
	}
	return "", unshown
}

// correctCreated reads a new account, and decides to update it if its values differ from the
// requested values. differs is the attribute that the answer to the create showed with another
// value; "" if there is none. A nil result has the same meaning as in
// create.
func (p *pass) correctCreated(ctx context.Context, w *work, d create, differs string) result {
	o, err := p.target.Get(ctx, w.link.TargetID)
	if te := asProblem(err); te != nil && te.Kind == NotFound && differs == "" {
		return w.createSucceeded(p, d) // the target may be behind, and nothing says that the account differs
	}
	if err != nil {
		te := asTargetError(err)
		no := w.failExport("EntryExportAdd", fmt.Sprintf("Failed to read the account of %s in %s: %s", w.describeObject(), p.m.target, te.Detail), te)
		no.mayHaveHappened = false // the account was found, so the outcome of the create is known
		return no
	}
	w.current, w.version, w.lastAnswer, w.known.resolved = o.Resource, o.Version, nil, true
	for _, v := range w.values {
		if shown, _ := v.row.showsWanted(o.Resource, v.want); !shown && (v.row.state || v.row.MatchingPriority != 0) {
			p.ownForms.Store(v.row.Target, true) // the target never shows this attribute, so nobody can compare it
		}
	}
	changes := slices.DeleteFunc(diff(w.current, w.values, nil), func(c Change) bool {
		_, own := p.ownForms.Load(c.Path)
		return own && c.Path != differs
	})
	if len(changes) > 0 {
		w.decision = patch{action: Create, link: *w.link, changes: changes}
		return nil
	}
	return w.createSucceeded(p, d)
}

// noteOwnForms notes the attributes for which the target keeps its own value, or shows none: it
// created an account with another value than was sent, and an update with the same value changed
// nothing.
func (p *pass) noteOwnForms(w *work, changes []Change) {
	for _, c := range changes {
		r := p.m.row(c.Path)
		if r == nil || r.state || r.MatchingPriority != 0 || w.lastAnswer == nil {
			continue
		}
		if !r.agreesWithLedger(toLedgerValue(r.valueIn(w.lastAnswer)), toLedgerValue(c.New)) {
			p.ownForms.Store(c.Path, true)
		}
	}
}

// adoptAfterCreate searches once more by every matching attribute after a create. A conflict may
// come from an account that was created at the same moment. An answer without an id may be about
// the account that was just created.
func (p *pass) adoptAfterCreate(ctx context.Context, w *work, d create, refusal *TargetError, now time.Time) result {
	l := p.find(ctx, d.keys)
	if l.problem == nil && len(l.found) == 0 && refusal.Kind == Conflict {
		if taken, problem := p.takenMeanwhile(ctx, d); taken && problem == nil {
			w.known.resolved, w.waits = true, "Another account has just got the unique value that was chosen, so another one is chosen."
			w.decision = later{until: now}
			return nil
		}
	}
	if l.problem != nil || len(l.found) != 1 {
		return w.createFailed(p, refusal)
	}
	owner, err := p.ownerOf(ctx, l.found[0].ID, w.known.ObjectID)
	if err != nil || owner != w.known.ObjectID {
		return w.refuseForeignAccount(l.found[0].ID, owner, err, refusal.Sent)
	}
	switch other, err := p.adopt(ctx, w, l.found[0], l.key, "adopted"); {
	case err != nil:
		return refusedResult{problem: asTargetError(err), mayHaveHappened: refusal.Sent}
	case other != nil:
		return refusedResult{problem: problemOf(other, nil), mayHaveHappened: refusal.Sent, action: Other}
	}
	if refusal.Kind != Conflict {
		w.link.How = "created"
	}
	w.link.Refers = w.refers // the reference is sent as soon as the account is linked
	changes := diff(w.current, w.values, w.link.Wrote)
	switch {
	case len(changes) == 0 && refusal.Kind != Conflict:
		return w.createSucceeded(p, d)
	case len(changes) > 0 && p.m.can(FlowUpdate):
		w.decision = patch{action: Update, link: *w.link, changes: changes}
	default:
		w.decision = w.skipRedundant()
	}
	return nil
}

func (p *pass) delete(ctx context.Context, w *work, d remove) result {
	err := p.target.Delete(ctx, d.link.TargetID)
	if err == nil {
		return w.succeed("EntryExportDelete", fmt.Sprintf("%s was deleted in %s.", w.describeObject(), p.m.target), nil)
	}
	te := asTargetError(err)
	if te.Kind == NotFound {
		// Only the HTTP status says that the account is gone, so confirm it with a read and a
		// search.
		_, err := p.target.Get(ctx, d.link.TargetID)
		l := p.find(ctx, d.link.Keys)
		if err != nil && asTargetError(err).Kind == NotFound && l.problem == nil && len(l.found) == 0 && len(l.skipped) == 0 && len(d.link.Keys) > 0 {
			return w.succeed("EntryExportDelete", fmt.Sprintf("%s was deleted in %s already.", w.describeObject(), p.m.target), nil)
		}
	}
	return w.failExport("EntryExportDelete", fmt.Sprintf("Failed to delete %s in %s: %s", w.describeObject(), p.m.target, te.Detail), te)
}

// succeed returns the result of requests after which the target has the wanted state.
func (w *work) succeed(step, words string, changes []Change) doneResult {
	w.step(step, ExportStep, Success, words, nil)
	w.tellOtherValues(changes)
	if _, removed := w.decision.(remove); w.isPurged || removed {
		return doneResult{pair: forget{}}
	}
	d := doneResult{pair: w.pairAfter(true, changes)}
	if kept, ok := d.pair.(remember); ok && kept.link.State == Held {
		d.blockedBy = w.m.heldBy(kept.link.Wrote)
	}
	return d
}

// tellOtherValues adds steps to the log entry that list the attributes for which the target's
// answer shows another value than was sent, or no value. Targets may reformat values and drop
// attributes that they do not know, so this is not a failure. But the log must show it.
func (w *work) tellOtherValues(changes []Change) {
	if w.lastAnswer == nil {
		return
	}
	var other, absent []string
	for _, c := range changes {
		r := w.m.row(c.Path)
		if r == nil || isPassword(c.Path) || c.Roles != "" {
			continue
		}
		switch v, shown := r.shown(w.lastAnswer); {
		case shown && !r.state && !r.agreesWithLedger(toLedgerValue(v), toLedgerValue(c.New)):
			other = append(other, c.Path)
		case !shown && toLedgerValue(c.New) != nil:
			absent = append(absent, c.Path)
		}
	}
	const name = "EntryExportOtherValue"
	if len(other) > 0 {
		w.step(name, ExportStep, Warning, fmt.Sprintf("%s accepted the request, but its answer shows another value for %s.", w.m.target, strings.Join(other, ", ")), nil)
	}
	if len(absent) > 0 {
		w.step(name, ExportStep, Warning, fmt.Sprintf("%s accepted the request, but its answer shows no value for %s.", w.m.target, strings.Join(absent, ", ")), nil)
	}
}

// failExport returns the result of a request that has failed, and adds the step to the log entry.
func (w *work) failExport(step, words string, te *TargetError) refusedResult {
	w.step(step, ExportStep, Failure, words, nil)
	no := refusedResult{problem: te, mayHaveHappened: te.Sent}
	if w.newLink() {
		no.pair = remember{*w.link} // record the pair, whether or not the request was carried out
	}
	return no
}

// toModifiedProperties returns changes in the form of the log, with values as strings.
func toModifiedProperties(changes []Change) []ModifiedProperty {
	out := make([]ModifiedProperty, len(changes))
	for i, c := range withoutPasswords(changes) {
		out[i] = ModifiedProperty{DisplayName: c.Path, OldValue: textOrNil(c.Old), NewValue: textOrNil(c.New)}
	}
	return out
}

// hiddenValue replaces a password in the log and in a plan.
const hiddenValue = "(not shown)"

// redactedValue replaces the value of a row whose expression uses Redact. Entra shows the same
// string.
const redactedValue = "[Redact]"

// withoutPasswords returns a copy of changes for people to read, in which passwords and redacted
// values are replaced.
func withoutPasswords(changes []Change) []Change {
	shown := slices.Clone(changes)
	for i, c := range shown {
		hidden := hiddenValue
		switch {
		case isPassword(c.Path):
		case c.Redacted:
			hidden = redactedValue
		default:
			continue
		}
		if c.Old != nil {
			shown[i].Old = hidden
		}
		if c.New != nil {
			shown[i].New = hidden
		}
	}
	return shown
}

// textOrNil returns a value as a string for the log. It cuts off a long string. It returns nil if
// there is no value.
func textOrNil(v any) *string {
	if v == nil {
		return nil
	}
	s := text(v)
	if len(s) > maxLogged {
		s = strings.ToValidUTF8(s[:maxLogged], "") + "…"
	}
	return &s
}

// maxLogged is the largest size of a value in the log, in bytes. Applications can answer with
// values of any length.
const maxLogged = 2_000

// completeLogEntry completes and returns the log entry of finished work. cycle is the id of the
// cycle or plan.
func (w *work) completeLogEntry(now time.Time, cycle string) *LogEntry {
	e := &w.entry
	e.ActivityTime, e.CycleID, e.DurationMillis = now, cycle, now.Sub(w.started).Milliseconds()
	e.Action, e.Modified = actionOf(w.decision), toModifiedProperties(changesOf(w.decision))
	if no, failed := w.result.(refusedResult); failed && no.action != "" {
		e.Action, e.Modified = no.action, []ModifiedProperty{}
	}
	e.Status, e.Cause = statusOf(w.decision, w.result), w.known.Origin
	if d, updated := w.decision.(patch); updated && d.action != Create {
		e.Before = valuesBefore(d.changes)
	}
	return e
}

// statusOf returns the outcome of a decision, with its result, in the form of the log.
func statusOf(d decision, r result) StatusInfo {
	if te := problemOf(d, r); te != nil {
		s := StatusInfo{Status: Failure, Code: te.Code, Reason: te.Detail, Category: "failure", RecommendedAction: te.Advice}
		if te.Status != 0 {
			s.AdditionalDetails = fmt.Sprintf("%s was answered with HTTP %d.", te.Request, te.Status)
		}
		return s
	}
	if ok, sent := r.(doneResult); sent && ok.blockedBy != "" {
		return StatusInfo{Status: Warning, Code: codeHeld, Reason: heldReason(ok.blockedBy), Category: "nonServiceFailure", RecommendedAction: heldAdvice}
	}
	if s, skipped := d.(skip); skipped {
		return StatusInfo{Status: Skipped, Code: s.code, Reason: s.reason, Category: "nonServiceFailure", RecommendedAction: s.advice}
	}
	return StatusInfo{Status: Success}
}
