package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// restore says what an undo has to restore of one account.
type restore struct {
	mappings    int64         // the version of the mappings to work with; 0 means the current mappings
	planned     bool          // whether the operation comes from a plan, so that the account must have exactly the planned values now
	didNotExist bool          // whether the account did not exist before, so that it must be deleted or disabled
	values      []formerValue // in the order in which they were changed
	refusal     *skip         // why nothing can be restored; nil if something can
}

// formerValue is the value that an attribute had before.
type formerValue struct {
	path        string  // the target attribute
	before      any     // the value; nil if there was none
	now         any     // the value that the account must have now; used only for a planned operation
	wrote       *string // the value that the job wrote, as the log shows it; nil if it removed the value
	problem     string  // why the value is not known; "" if it is
	laterChange string  // says that provisioning changed the attribute again since; "" if it did not
}

// newRestore returns what a planned operation restores.
func (x *ExpectedOperation) newRestore() *restore {
	r := &restore{mappings: x.Undo.mappings(), planned: true, didNotExist: x.Planned.Action == Delete}
	for _, c := range x.Planned.Changes {
		r.values = append(r.values, formerValue{path: c.Path, before: c.New, now: c.Old})
	}
	return r
}

// history reads from the log what an undo has to restore for one object.
func (e *Engine) history(ctx context.Context, k Key, u Undo, id string) (*restore, error) {
	r := &restore{mappings: u.mappings()}
	members, failed := false, ""
	for before := ""; ; {
		page, next, err := e.Store.Logs(ctx, k, LogQuery{ObjectID: id, From: u.Since, OldestFirst: true, Shown: true, Before: before, Limit: undoHistory})
		if err != nil {
			return nil, err
		}
		for _, entry := range page {
			switch {
			case !u.has(entry):
				r.changedLater(entry)
			case entry.ofMembers():
				members = true
			case entry.Status.Status == Failure:
				failed = entry.Status.Reason
			case entry.Changed():
				r.changedBy(entry)
			}
		}
		if before = next; next == "" {
			break
		}
	}
	if r.refusal != nil || r.didNotExist || len(r.values) > 0 {
		return r, nil
	}
	r.refusal = &skip{code: codeNotUndone, reason: "The log has no old value of this account."}
	switch {
	case members:
		r.refusal.reason, r.refusal.advice = "Only members of the group were changed. Members follow the directory.", "Correct the members in the directory; the next cycle sends them."
	case failed != "":
		r.refusal.reason = "The change failed, and what reached the account was not recorded: " + failed
	}
	return r, nil
}

// has reports whether an entry of the log is one of those that the undo takes back.
func (u Undo) has(e LogEntry) bool {
	if u.Logged != "" {
		return e.CycleID == u.Logged
	}
	return e.ID == u.Entry
}

// changedBy adds to r the changes of an entry that the undo takes back.
func (r *restore) changedBy(e LogEntry) {
	switch e.Action {
	case Delete:
		r.refusal = &skip{code: codeNotUndone, reason: "The account was deleted at the application. A deleted account cannot be brought back.", advice: "If access is wanted, the next cycle creates a new account."}
		return
	case Create:
		r.didNotExist = true
		return
	}
	for _, m := range e.Modified {
		if i := r.indexOfPath(m.DisplayName); i >= 0 {
			r.values[i].wrote = m.NewValue // values[i].before is already known from the first change of the attribute
			continue
		}
		v := formerValue{path: m.DisplayName, wrote: m.NewValue}
		v.before, v.problem = e.valueBefore(m)
		r.values = append(r.values, v)
	}
}

// changedLater notes in r which values were changed again by a later entry that the undo does not
// take back.
func (r *restore) changedLater(e LogEntry) {
	if !e.Changed() || len(r.values) == 0 && !r.didNotExist {
		return
	}
	if e.Action == Create || e.Action == Delete {
		r.refusal = &skip{code: codeChanged, reason: fmt.Sprintf("The account was %sd since, at %s.", e.Action, e.ActivityTime.UTC().Format("2006-01-02 15:04 UTC"))}
		return
	}
	for _, m := range e.Modified {
		if i := r.indexOfPath(m.DisplayName); i >= 0 {
			r.values[i].laterChange = "provisioning changed it again since, at " + e.ActivityTime.UTC().Format("2006-01-02 15:04 UTC")
		}
	}
}

// indexOfPath returns the index of the value with this path in r.values, or -1 if there is none.
func (r *restore) indexOfPath(path string) int {
	return slices.IndexFunc(r.values, func(v formerValue) bool { return v.path == path })
}

// formerMappings keeps the passes that work with earlier versions of the mappings.
type formerMappings struct {
	mu sync.Mutex
	by map[int64]*pass // by the number of the version
}

// passOf returns a pass like p that works with a version of the mappings. It returns p if version
// is 0 or if the job no longer keeps the version.
func (r *run) passOf(ctx context.Context, p *pass, version int64) (*pass, error) {
	if version == 0 {
		return p, nil
	}
	p.former.mu.Lock()
	defer p.former.mu.Unlock()
	if found := p.former.by[version]; found != nil {
		return found, nil
	}
	v, err := r.e.Store.MappingVersion(ctx, r.job.Key, version)
	if errors.Is(err, ErrNoVersion) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := compileMapping(v.Schema, r.e.Attributes)
	if err != nil {
		return nil, fmt.Errorf("read version %d of the mappings: %w", version, err)
	}
	former := p.withMapping(m)
	former.currentMapping = p.m
	if p.groups != nil {
		object, err := v.Schema.GroupMapping()
		if err != nil {
			return nil, err
		}
		g, err := compileObject(v.Schema, object, GroupKind, nil)
		if err != nil {
			return nil, fmt.Errorf("read version %d of the mappings: %w", version, err)
		}
		former.groups = p.groups.withMapping(g)
		former.groups.currentMapping = p.groups.m
	}
	if p.former.by == nil {
		p.former.by = map[int64]*pass{}
	}
	p.former.by[version] = former
	return former, nil
}

// withMapping returns a pass with another mapping.
func (p *pass) withMapping(m *mapping) *pass {
	m.now, m.domain = p.m.now, p.m.domain
	return &pass{
		job: p.job, m: m, target: p.target, members: p.members, searcher: p.searcher, goroutines: p.goroutines, firstCheckLock: newLock(), settle: p.settle,
		doubt: p.doubt, closing: p.closing, unsureAttributes: p.unsureAttributes, otherObjects: p.otherObjects, owner: p.owner, openCreates: p.openCreates, claims: p.claims, listed: p.listed, listedSince: p.listedSince,
	}
}

// evaluateUndo decides what to send for one object that an undo restores.
func (r *run) evaluateUndo(ctx context.Context, p *pass, object *Object, known Pending) (*work, error) {
	p, err := r.passOf(ctx, p, known.Restore.mappings)
	if err != nil {
		return nil, err
	}
	of := p.passFor(object, known)
	if of == nil {
		w := p.leaveGroup(known, object)
		w.entry.SourceIdentity = Identity{ID: known.ObjectID, DisplayName: nameOf(object, known.ObjectID), Type: string(GroupKind)}
		w.decision = skip{code: codeNotUndone, reason: "Groups are not provisioned now."}
		return w, nil
	}
	w, attributes := of.begin(object, known, r.e.Now())
	w.entry.InitiatorName = "Undo"
	w.decision, err = of.restoreAccount(ctx, w, attributes, known.Restore)
	return w, err
}

// restoreAccount decides how to restore an account.
func (p *pass) restoreAccount(ctx context.Context, w *work, attributes map[string]any, back *restore) (decision, error) {
	if no := back.refusal; no != nil {
		return w.skip(no.code, no.reason, no.advice), nil
	}
	if w.link == nil || w.link.missing() {
		return w.skip(codeChanged, "The person has no account through this job any more.", ""), nil
	}
	w.identify(w.link.TargetID)
	o, err := p.target.Get(ctx, w.link.TargetID)
	if te := asProblem(err); te != nil {
		if te.Kind == NotFound {
			return w.skip(codeChanged, "The application does not have the account any more.", ""), nil
		}
		w.entryStepFailed("EntryImport", MatchingStep, te)
		return w.fail(te), ctx.Err()
	}
	w.current, w.version = o.Resource, o.Version
	if back.didNotExist {
		return p.restoreAbsence(w, attributes), nil
	}
	return p.restoreValues(w, back), nil
}

// restoreValues decides how to give an account that was read its former values.
func (p *pass) restoreValues(w *work, back *restore) decision {
	switch {
	case back.refusal != nil:
		return w.skip(back.refusal.code, back.refusal.reason, back.refusal.advice)
	case !p.m.can(FlowUpdate):
		return w.skip("UpdateDisabled", "Update is not among the Target Object Actions.", "Tick Update to take changes back.")
	}
	changes, meanwhile := p.formerValues(w, back)
	action := Update
	if p.m.blocksAccount(changes) {
		action = Disable
	}
	switch {
	case len(changes) == 0 && len(w.notesOnKeptValues) == 0:
		return w.skip(codeAsBefore, "The account has the values that it had before.", "")
	case len(changes) == 0 && meanwhile:
		return w.skip(codeChanged, strings.Join(w.notesOnKeptValues, " "), "")
	case len(changes) == 0:
		return w.skip(codeNotUndone, strings.Join(w.notesOnKeptValues, " "), "")
	case action == Update && !w.unmanaged && !w.entitled():
		return w.skip(codeNoAccess, "The person has no access today: "+w.whyDisabled(), "Correct that first, and make the plan again.")
	}
	w.step("EntrySynchronizationUpdate", ProcessingStep, Success, fmt.Sprintf("%s will be set back in %s.", w.describeObject(), p.m.target), nil)
	return patch{action: action, link: *w.link, changes: changes}
}

// formerValues returns the changes that restore the values of an account that was read. It adds a
// sentence to w.notesOnKeptValues for each value that stays as it is. meanwhile reports whether
// somebody changed a value since.
func (p *pass) formerValues(w *work, back *restore) (changes []Change, meanwhile bool) {
	keep := func(path, why string) {
		w.notesOnKeptValues = append(w.notesOnKeptValues, fmt.Sprintf("%s stays as it is: %s.", path, why))
	}
	for _, v := range back.values {
		row := p.m.row(v.path)
		if row == nil && p.currentMapping != nil {
			row = p.currentMapping.row(v.path) // the change of the mappings has added the row
		}
		switch {
		case row == nil:
			keep(v.path, "the mapping has no row for it")
			continue
		case row.roles != "":
			keep(v.path, "roles follow the assignments in the directory")
			continue
		case v.problem != "":
			keep(v.path, v.problem)
			continue
		}
		before, ok := row.toAttributeForm(v.before)
		if !ok {
			keep(v.path, "its value before was not recorded exactly")
			continue
		}
		now := row.valueIn(w.current)
		if row.agreesWithLedger(toLedgerValue(now), toLedgerValue(before)) {
			continue
		}
		if v.laterChange != "" {
			keep(v.path, v.laterChange)
			continue
		}
		if !row.isAsWritten(toLedgerValue(now), v, w.link.Wrote[v.path], back.planned) {
			meanwhile = true
			keep(v.path, "it was changed at the application meanwhile, and is now "+shownValue(now))
			continue
		}
		c := row.change(now, before)
		if row.whole != nil && len(flatten(row.whole.Get(w.current))) == 0 {
			c.Element = ElementMissing
		}
		changes = append(changes, c)
	}
	return changes, meanwhile
}

// isAsWritten reports whether an account still has the value that the job wrote or, for a planned
// operation, the value in the plan.
func (r *row) isAsWritten(now any, v formerValue, wrote Written, planned bool) bool {
	if planned {
		must, ok := r.toAttributeForm(v.now)
		return ok && r.agreesWithLedger(now, toLedgerValue(must))
	}
	if v.wrote == nil {
		return now == nil
	}
	return text(now) == *v.wrote || wrote.Sent != nil && (r.agreesWithLedger(now, wrote.Sent) || wrote.Shown && now != nil && r.agreesWithLedger(now, wrote.Got))
}

// toAttributeForm returns a value of the log or of a stored plan in the form that the attribute
// takes. ok is false if the value does not have that form.
func (r *row) toAttributeForm(v any) (typed any, ok bool) {
	switch value := v.(type) {
	case nil:
		return nil, true
	case string:
		switch {
		case r.Multivalued:
			return nil, false // the log shows a list as one string
		case r.Type == TypeBoolean:
			return parseBool(value)
		case r.Type == TypeInteger:
			n, err := strconv.ParseInt(value, 10, 64)
			return n, err == nil
		}
		return value, true
	case float64:
		return int64(value), true
	case []any:
		return value, r.Multivalued
	}
	return v, true
}

// restoreAbsence decides about an account that did not exist before: it is deleted or, if the job
// may not delete, disabled. An account that somebody changed since stays.
func (p *pass) restoreAbsence(w *work, attributes map[string]any) decision {
	var changed []string
	for i := range p.m.rows {
		r := &p.m.rows[i]
		wrote, known := w.link.Wrote.known(r.Target)
		now := toLedgerValue(r.valueIn(w.current))
		if !known || isPassword(r.Target) || r.agreesWithLedger(now, wrote.Sent) || r.agreesWithLedger(now, wrote.Got) {
			continue
		}
		changed = append(changed, r.Target)
	}
	if len(changed) > 0 {
		return w.skip(codeChanged, "The account was created and changed at the application since: "+strings.Join(changed, ", ")+".", "Delete or disable it there if it is not wanted.")
	}
	if p.m.can(FlowDelete) {
		w.step("EntrySynchronizationDelete", ProcessingStep, Success, fmt.Sprintf("%s will be deleted in %s: the account did not exist before.", w.describeObject(), p.m.target), nil)
		return remove{link: *w.link}
	}
	attributes[attrSoftDeleted] = true
	values, problem := p.m.values(attributes, false, nil)
	if problem != nil {
		return w.failRow(problem)
	}
	changes := diff(w.current, values, w.link.Wrote)
	switch {
	case !p.m.can(FlowUpdate) || !p.m.blocksAccount(changes) && len(changes) > 0 || len(values) == 0:
		return w.skip(codeNotUndone, "The account was created. Delete is not among the Target Object Actions, and no row of the mapping disables an account.", "Delete the account at the application if it is not wanted.")
	case len(changes) == 0:
		return w.skip(codeAsBefore, "The account is disabled already. Delete is not among the Target Object Actions.", "")
	}
	w.notesOnKeptValues = append(w.notesOnKeptValues, "The account is disabled instead of deleted, because Delete is not among the Target Object Actions.")
	return patch{action: Disable, link: *w.link, changes: changes}
}
