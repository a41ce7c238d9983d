package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
)

// forecast predicts what a cycle would do about memberships and references. A plan evaluates each
// object as it is now. But the members of a group and the manager of a person at the target also
// depend on accounts that the cycle itself creates, disables or deletes. forecast remembers these
// accounts. When all objects are evaluated, it plans the memberships and references that they
// affect.
type forecast struct {
	r       *run
	p       *pass
	guard   *planGuard
	initial bool // whether the plan is about an initial cycle
	// onlyGives is true if operations that take access away are not planned, whatever the guard
	// says.
	onlyGives bool
	report    *PlanReport
	visit     func(PlannedObject) error // shows a planned object and counts it in the report

	seen   map[string]bool // the objects that were evaluated
	failed map[string]bool // the evaluated objects with a failure, or with an operation on hold
	moves  map[string]move // what the cycle does to accounts that it creates, changes or removes, by object id

	referring          []string                           // people with an account who now refer to another person, such as a new manager
	groupsReadWhole    map[string]bool                    // groups of which the plan looks at all members
	notedMemberships   map[string]map[string]ListedMember // the memberships that the plan looks at, by group and member
	groupsWithOpenWork map[string]bool                    // groups with memberships that are on the work list or on hold
}

// move is what a cycle does to an account or group, as far as it affects memberships and
// references.
type move struct {
	to           string // the id of the account after the cycle; "" if it can no longer be a member or be referred to
	needsNoGuard bool   // whether memberships that end because of the move need no judgement by the guard
	cause        string // the cause of the move; "" for a single change
}

// newAccount stands for the id of an account that the cycle creates.
const newAccount = "(new)"

func newForecast(r *run, p *pass, initial bool, report *PlanReport, visit func(PlannedObject) error) *forecast {
	return &forecast{
		r: r, p: p, initial: initial, report: report,
		visit: func(o PlannedObject) error {
			report.add(o)
			return visit(o)
		},
		guard: &planGuard{initial: initial, changed: map[string]bool{}, causes: map[string][]waitingOperation{}, members: map[string][]endingMembership{}},
		seen:  map[string]bool{}, failed: map[string]bool{}, moves: map[string]move{},
		groupsReadWhole: map[string]bool{}, notedMemberships: map[string]map[string]ListedMember{}, groupsWithOpenWork: map[string]bool{},
	}
}

// accountIDAfter returns the id that the object's account has after the decision is carried out. It
// is "" if the account may then not be a member of a group or be referred to.
func (w *work) accountIDAfter() string {
	after := func(p pair) string {
		switch p := p.(type) {
		case remember:
			return p.link.usableAccountID()
		case forget:
			return ""
		}
		return w.known.Link.usableAccountID()
	}
	switch d := w.decision.(type) {
	case create:
		return newAccount
	case remove:
		return ""
	case patch:
		if !w.entitled() && w.disabledState() == Released {
			return ""
		}
		return d.link.TargetID
	case skip:
		return after(d.pair)
	case fail:
		return after(d.pair)
	case later:
		return after(d.pair)
	}
	return w.known.Link.usableAccountID()
}

// consequence is what the outcome of one object means for memberships and references.
type consequence struct {
	id string // the id of the object
	move
	accountChanges    bool // whether the object's account is created, changed or removed
	looksAtAllMembers bool // whether the plan must look at all members of the group
	refersElsewhere   bool // whether the person refers to another person than before, such as a new manager
}

// consequenceOf returns what the planned decision about an object means for memberships and
// references.
func (f *forecast) consequenceOf(w *work) consequence {
	before := w.known.Link.usableAccountID()
	c := consequence{id: w.known.ObjectID, move: move{to: w.accountIDAfter(), cause: f.guard.causeOf(w, f.r.origins)}}
	c.needsNoGuard = c.cause == "" || w.known.Takes && w.known.Verdict == Ready
	c.accountChanges = before != c.to
	c.looksAtAllMembers = w.m.kind == GroupKind && c.to != "" && (f.initial || c.accountChanges)
	c.refersElsewhere = w.m.kind == UserKind && w.link != nil && w.known.Link != nil && w.link.Refers != w.known.Link.Refers
	return c
}

// add adds one evaluated object to the plan. If the guard must first count its operation, the
// object is shown when the cause is judged.
func (f *forecast) add(w *work) error {
	o, c := w.plannedObject(), f.consequenceOf(w)
	if f.onlyGives && w.takesAway() {
		o.Result, o.Code, o.Reason, o.Advice = Skipped, codeTakesAccess, takesAccessReason, ""
		return f.visit(o)
	}
	if f.guard.keepForJudgement(w, &o, c, f.r.origins) {
		return nil
	}
	onHold := o.Result == Skipped && requests(w.decision)
	if onHold || o.Result == Failure {
		f.failed[o.ObjectID] = true
	}
	if !onHold {
		f.recordConsequence(c)
	}
	if s, skipped := w.decision.(skip); skipped && s.report == silent {
		f.report.add(o)
		return nil
	}
	return f.visit(o)
}

// recordConsequence records the consequence of an outcome, so that memberships and references are
// planned accordingly.
func (f *forecast) recordConsequence(c consequence) {
	if c.accountChanges {
		f.moves[c.id] = c.move
	}
	if c.looksAtAllMembers {
		f.groupsReadWhole[c.id] = true
	}
	if c.refersElsewhere {
		f.referring = append(f.referring, c.id)
	}
}

// finish plans the remaining operations after all objects are evaluated, in this order: the
// operations that the guard had to count, references, memberships, and the removals of members that
// the guard had to count.
func (f *forecast) finish(ctx context.Context) error {
	if err := f.guard.judgeAccounts(ctx, f); err != nil {
		return err
	}
	if err := f.references(ctx); err != nil {
		return err
	}
	if err := f.memberships(ctx); err != nil {
		return err
	}
	return f.guard.judgeMembers(ctx, f)
}

// references plans the reference requests that depend on other operations. A reference to an
// account is sent once the account exists, and removed when the account may no longer be used.
func (f *forecast) references(ctx context.Context) error {
	rows := f.p.m.references()
	if len(rows) == 0 || !f.p.m.can(FlowUpdate) {
		return nil
	}
	people := slices.Clone(f.referring)
	for page := range slices.Chunk(slices.Sorted(maps.Keys(f.moves)), importPage) {
		people = append(people, page...)
		referring, err := f.r.e.Store.Referring(ctx, f.r.job.Key, page)
		if err != nil {
			return err
		}
		people = append(people, referring...)
	}
	slices.Sort(people)
	for page := range slices.Chunk(slices.Compact(people), importPage) {
		objects, err := f.r.objects(ctx, page)
		if err != nil {
			return err
		}
		for _, id := range page {
			if err := f.reference(ctx, rows, id, objects[id]); err != nil {
				return err
			}
		}
	}
	return nil
}

// reference plans the request about one person's reference, if other operations make one necessary.
// rows are the rows that send references.
func (f *forecast) reference(ctx context.Context, rows []*row, id string, o *Object) error {
	if o == nil || o.Kind != UserKind || f.failed[id] || !f.r.entitles(o) {
		return nil
	}
	attributes := maps.Clone(o.Attributes)
	attributes[attrSoftDeleted] = false
	to := f.p.m.refersTo(attributes)
	moved, toMoves := f.moves[to]
	own, moves := f.moves[id]
	if to == "" || moves && own.to == "" || !toMoves && own.to != newAccount {
		return nil
	}
	now, there, err := f.p.standingOf(ctx, to)
	if err != nil || !there {
		return err
	}
	then := now
	if toMoves {
		then = moved.to
	}
	if own.to == newAccount {
		now = "" // the request that creates an account does not send the reference
	}
	if now == then {
		return nil
	}
	if then == newAccount {
		then = newAccount + " " + to // without the name, because a stored plan may outlive the erasure of the person
	}
	var changes []Change
	hash := sha256.New()
	for _, row := range rows {
		if v, err := row.Expr.Eval(f.p.m.env(attributes)); err != nil || v.IsNullOrEmpty() || v.Text() != to {
			continue
		}
		change := Change{Path: row.Target, Type: string(TypeReference)}
		if now != "" {
			change.Old = now
		}
		if then != "" {
			change.New = then
		}
		changes = append(changes, change)
		fmt.Fprintf(hash, "reference %q %q %q\n", change.Path, now, then)
	}
	return f.visit(PlannedObject{
		ObjectID: id, Kind: UserKind, DisplayName: o.Name, UserName: text(o.Attributes["userPrincipalName"]), Action: Update, Result: Success, Changes: changes, Follows: true,
		fingerprint: hex.EncodeToString(hash.Sum(nil)), lane: References,
	})
}

// nameOf returns the name of the object o. If o is nil or has no name, it returns id.
func nameOf(o *Object, id string) string {
	if o == nil || o.Name == "" {
		return id
	}
	return o.Name
}
