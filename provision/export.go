package provision

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// export sends what was decided. It is the one step that changes the target.
func (p *pass) export(ctx context.Context, w *work) {
	switch w.verdict {
	case toCreate:
		p.create(ctx, w)
	case toPatch:
		p.patch(ctx, w)
	case toDelete:
		p.delete(ctx, w)
	}
}

func (p *pass) create(ctx context.Context, w *work) {
	o, err := p.target.Create(ctx, w.changes)
	if err == nil {
		// Some applications answer a create with an account they had already.
		if owner, err := p.ownerOf(ctx, o.ID, w.known.ObjectID); err != nil || owner != w.known.ObjectID {
			w.outcome.DropOp = err == nil
			w.failCreated(o.ID, owner, err)
			return
		}
		w.link = &Link{ObjectID: w.known.ObjectID, TargetID: o.ID, How: "created", State: Active, Since: p.now()}
		w.linked, w.outcome.DropOp = true, true
		w.entry.TargetIdentity = Identity{ID: o.ID, Type: p.m.object.TargetObjectName}
		w.forgetUnmatched()
		if differs := p.contradicted(o, w.values); differs != "" && p.m.can(FlowUpdate) {
			p.correct(ctx, w, differs)
			return
		}
		w.succeed("EntryExportAdd", fmt.Sprintf("User '%s' was created in %s.", w.name(), p.m.target))
		return
	}
	te := asTargetError(err)
	// A request that may have been carried out keeps its intent: only a read tells.
	w.outcome.DropOp = !te.Sent
	// An application that accepted it without naming the account is asked for it.
	accepted := te.Sent && te.Status >= http200 && te.Status < 300
	if te.Kind == Conflict || accepted {
		p.adoptAfterCreate(ctx, w, te)
		return
	}
	w.failExport("EntryExportAdd", fmt.Sprintf("Failed to create User '%s' in %s: %s", w.name(), p.m.target, te.Detail), te)
}

// contradicted names an attribute by which the answer to a create shows that the
// account is another one than was asked for, or may not be used: "" if there is none.
func (p *pass) contradicted(o TargetObject, values []value) string {
	for _, v := range values {
		if !v.row.state && v.row.MatchingPriority == 0 {
			continue
		}
		if shown, same := v.row.shows(o.Resource, v.want); shown && !same {
			return v.row.Target
		}
	}
	return ""
}

// correct brings an account up to date that the answer to a create showed to differ.
func (p *pass) correct(ctx context.Context, w *work, differs string) {
	w.step("EntryExportAdd", ExportStep, Success, fmt.Sprintf("%s answered the create with an account whose %s differs. It is brought up to date.", p.m.target, differs), nil)
	o, err := p.target.Get(ctx, w.link.TargetID)
	if err != nil {
		te := asTargetError(err)
		w.failExport("EntryExportAdd", fmt.Sprintf("Failed to read the account of User '%s' in %s: %s", w.name(), p.m.target, te.Detail), te)
		return
	}
	w.current = o.Resource
	sent := w.changes
	if w.changes = diff(w.current, w.values); len(w.changes) > 0 {
		p.patch(ctx, w)
		return
	}
	w.changes = sent
	w.succeed("EntryExportAdd", fmt.Sprintf("User '%s' was created in %s.", w.name(), p.m.target))
}

func (w *work) failCreated(targetID, owner string, err error) {
	if err != nil {
		w.fail(asTargetError(err))
		return
	}
	w.taken(targetID, owner)
}

// adoptAfterCreate looks once more by every matching attribute: a conflict may be
// about an account that was made in the same moment, and an answer without an id
// may be about the account just made.
func (p *pass) adoptAfterCreate(ctx context.Context, w *work, refusal *TargetError) {
	l := p.find(ctx, w.keys)
	if l.problem != nil || len(l.found) != 1 {
		w.failExport("EntryExportAdd", fmt.Sprintf("Failed to create User '%s' in %s: %s", w.name(), p.m.target, refusal.Detail), refusal)
		return
	}
	owner, err := p.ownerOf(ctx, l.found[0].ID, w.known.ObjectID)
	if err != nil || owner != w.known.ObjectID {
		w.failCreated(l.found[0].ID, owner, err)
		return
	}
	if _, err := p.adopt(ctx, w, l.found[0], l.key, "adopted"); err != nil {
		w.fail(asTargetError(err))
		return
	}
	w.outcome.DropOp = true
	if refusal.Kind != Conflict {
		w.link.How = "created"
	}
	sent := w.changes
	w.changes = diff(w.current, w.values)
	if len(w.changes) == 0 && refusal.Kind != Conflict {
		w.changes = sent
		w.forgetUnmatched()
		w.succeed("EntryExportAdd", fmt.Sprintf("User '%s' was created in %s.", w.name(), p.m.target))
		return
	}
	if len(w.changes) > 0 && p.m.can(FlowUpdate) {
		w.entry.Action = Update
		p.patch(ctx, w)
		return
	}
	w.redundant()
}

func (p *pass) patch(ctx context.Context, w *work) {
	err := p.target.Patch(ctx, w.link.TargetID, w.changes)
	if err == nil {
		words := "User '%s' was updated in %s."
		if w.entry.Action == Disable {
			words = "User '%s' was disabled in %s."
		}
		w.succeed("EntryExportUpdate", fmt.Sprintf(words, w.name(), p.m.target))
		return
	}
	te := asTargetError(err)
	w.failExport("EntryExportUpdate", fmt.Sprintf("Failed to update User '%s' in %s: %s", w.name(), p.m.target, te.Detail), te)
	if te.Kind == NotFound {
		w.lose(te)
	}
}

func (p *pass) delete(ctx context.Context, w *work) {
	if err := p.target.Delete(ctx, w.link.TargetID); err != nil {
		te := asTargetError(err)
		if te.Kind == NotFound {
			// Nothing but the status says so: a search must agree.
			l := p.find(ctx, w.link.Keys)
			if l.problem == nil && len(l.found) == 0 && len(l.skipped) == 0 && len(w.link.Keys) > 0 {
				w.succeed("EntryExportDelete", fmt.Sprintf("User '%s' was deleted in %s already.", w.name(), p.m.target))
				return
			}
		}
		w.failExport("EntryExportDelete", fmt.Sprintf("Failed to delete User '%s' in %s: %s", w.name(), p.m.target, te.Detail), te)
		return
	}
	w.succeed("EntryExportDelete", fmt.Sprintf("User '%s' was deleted in %s.", w.name(), p.m.target))
}

// succeed ends the work: the target has what it should have.
func (w *work) succeed(step, words string) {
	w.entry.Status = StatusInfo{Status: Success}
	w.step(step, ExportStep, Success, words, nil)
	w.entry.Modified = modified(w.changes)
	w.outcome.DropFail = true
	if w.gone {
		w.outcome.Unlink = true
		return
	}
	w.keepLink(true)
}

func (w *work) failExport(step, words string, te *TargetError) {
	w.step(step, ExportStep, Failure, words, nil)
	w.fail(te)
	w.entry.Modified = modified(w.changes)
}

// modified lists changes as the log does: values as text.
func modified(changes []Change) []ModifiedProperty {
	out := make([]ModifiedProperty, len(changes))
	for i, c := range changes {
		out[i] = ModifiedProperty{DisplayName: c.Path, OldValue: textOrNil(c.Old), NewValue: textOrNil(c.New)}
	}
	return out
}

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

// maxLogged bounds a value in the log, in bytes: an application may answer with any.
const maxLogged = 2_000

// conclude makes the outcome to record of a work that has ended.
func (w *work) conclude(now time.Time, cycle string) Outcome {
	o := w.outcome
	o.ObjectID = w.known.ObjectID
	if w.deferred {
		return o
	}
	if w.problem != nil {
		if o.Link == nil && w.linked && w.link != nil {
			o.Link = w.link // the pair is true, whatever became of the update
		}
		if o.Link == nil && w.before != nil {
			lost := *w.before // no account took its place
			lost.State = Lost
			o.Link = &lost
		}
		o.Escrow, o.DropFail = w.escrow(now), false
	}
	o.DropFail = o.DropFail && w.known.Escrow != nil
	o.DropOp = o.DropOp && (w.known.Op != nil || w.intended)
	if !w.silent {
		w.entry.ActivityTime, w.entry.CycleID = now, cycle
		w.entry.DurationMillis = now.Sub(w.started).Milliseconds()
		o.Entry, o.Counted = &w.entry, w.counted
	}
	if o.Link != nil {
		l := *o.Link
		l.Updated = now
		o.Link = &l
	}
	return o
}

// escrow is the object's place in the queue of retries. What the target refuses
// is tried again in later cycles, with growing gaps; what merely went wrong is
// tried again soon.
func (w *work) escrow(now time.Time) *Escrow {
	e := Escrow{ObjectID: w.known.ObjectID, First: now}
	if w.known.Escrow != nil {
		e = *w.known.Escrow
	}
	e.Name, e.Last, e.Code, e.Reason = w.name(), now, w.problem.Code, w.problem.Detail
	e.Count++
	gaps := []time.Duration{DefaultInterval, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour}
	if w.problem.Kind == Transient || w.problem.Kind == NotFound {
		gaps = []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour, 24 * time.Hour}
	}
	e.Next = now.Add(max(gaps[min(e.Count, len(gaps))-1], min(w.problem.RetryAfter, 24*time.Hour)))
	return &e
}
