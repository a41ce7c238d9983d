package provision

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/scim"
)

// Effect says how a change of a job's mapping, scope or actions would affect people or groups. An
// administrator reviews it before saving the change. The comments of the fields speak of users; in
// the Effect of groups they mean groups.
type Effect struct {
	Reach
	Changed     int               // how many users in scope before and after the change get a different value for an attribute
	Failing     int               // for how many users in scope the new mapping fails where the old one did not
	Attributes  []AttributeEffect // the target attributes whose values change, in the order of the rows
	Left        []ClauseEffect    // the reasons why users leave the scope, the reason with the most users first
	Came        []ClauseEffect    // the reasons why users come into scope, the reason with the most users first
	Failures    []FailureExample  // the first few users of Failing
	Shared      []SharedEffect    // the attributes that must be unique, and for which more users than before share a value
	Keyless     int               // how many users in scope have no matching value after the change, but had one or were out of scope before
	NoKey       []Person          // the first few users of Keyless
	Lacking     []LackEffect      // the required attributes for which users without an account no longer have a value
	SwitchedOff int               // how many linked accounts of users in scope get the value False for active
	SwitchedOn  int               // how many linked accounts of users in scope get the value True for active
	Examined    int               // how many users of the directory were compared
	Groups      *Effect           // the effect on groups; nil if the change does not concern groups
}

// MayDisable returns how many accounts the change may disable. These are the accounts of users who
// leave the scope, and the accounts for which active gets another value than True. Groups that
// would be deleted count, too.
func (e Effect) MayDisable() int {
	n := e.Off
	if e.Groups != nil {
		n += e.Groups.Off
	}
	for _, a := range e.Attributes {
		if isActive(a.Target) {
			n += a.People - a.True
		}
	}
	return n
}

// Matters reports whether an administrator must confirm the change before it is saved.
func (e Effect) Matters() bool {
	return e.Leave > 0 || e.Come > 0 || e.Off > 0 || e.Changed > 0 || e.Failing > 0 || e.Keyless > 0 || len(e.Lacking) > 0 || len(e.Shared) > 0 ||
		e.Groups != nil && e.Groups.Matters()
}

func isActive(target string) bool { return strings.EqualFold(target, "active") }

// AttributeEffect is one target attribute whose values change.
type AttributeEffect struct {
	Target   string
	People   int  // how many users get another value
	Emptied  int  // how many of People had a value and get none
	True     int  // how many of People get the value True
	Keeps    bool // whether accounts keep the value that they have if the mapping yields no value
	Examples []ValueExample
}

// ValueExample shows one user's value before and after the change. nil means no value.
type ValueExample struct {
	Person
	Before, After any
	Hidden        bool // whether Before and After are left out, because the value is a password or behind Redact
}

// SharedEffect is a target attribute that must be unique at the application, but for which several
// users get the same value.
type SharedEffect struct {
	Target   string
	Value    string // the value that the most users share; "" if it must not be shown
	People   int    // how many users get a value that another user gets, too
	Examples []Person
}

// LackEffect is a required target attribute for which users have no value. Without it, they get no
// account.
type LackEffect struct {
	Target   string
	People   int
	Examples []Person
}

// ClauseEffect is one reason why users leave the scope or come into it.
type ClauseEffect struct {
	Clause   string // the reason in words, such as "department EQUALS Sales"
	People   int
	Examples []Person
}

// FailureExample is a failure of the new mapping for one user.
type FailureExample struct {
	Person
	Target string // the target attribute of the row that fails, or the name of the mapping if a scoping filter does
	Text   string // why it fails
}

// Person names a user in an example.
type Person struct {
	ObjectID string
	Name     string
}

// maxExamples is the largest number of users that an effect names for an attribute, a clause or the
// failures.
const maxExamples = 5

// Effect compares a job with its changed version for every user of the directory. If the mapping of
// groups has changed, it compares every group, too. It sends no requests to the application. It
// ignores values that an account gets only when it is created. It returns an *InputError if the
// mapping before or after the change cannot be used.
func (j *Jobs) Effect(ctx context.Context, before, after Job) (Effect, error) {
	return j.effect(ctx, before, after, nil)
}

// DomainEffect returns the effect of a new default domain of the directory on the application of a
// job.
func (j *Jobs) DomainEffect(ctx context.Context, job Job, domain string) (Effect, error) {
	return j.effect(ctx, job, job, &domain)
}

// effect computes an Effect. domain is the directory's new default domain; nil if it does not
// change.
func (j *Jobs) effect(ctx context.Context, before, after Job, domain *string) (Effect, error) {
	source, err := j.Sources(ctx, after.Key.Directory)
	if err != nil {
		return Effect{}, fmt.Errorf("open the directory: %w", err)
	}
	c, err := j.newComparison(before, after, UserKind)
	if err != nil {
		return Effect{}, err
	}
	e, err := c.run(ctx, source.Snapshot, source.DefaultDomain(), domain)
	if err != nil {
		return Effect{}, err
	}
	groups, has := source.(GroupSource)
	if !has || domain == nil && !groupsDiffer(before, after) {
		return e, nil
	}
	if m, err := after.Schema.GroupMapping(); err != nil || !m.Enabled {
		return e, nil //nolint:nilerr // a schema may have no mapping of groups
	}
	if c, err = j.newComparison(before, after, GroupKind); err != nil {
		return Effect{}, err
	}
	of, err := c.run(ctx, groups.GroupSnapshot, source.DefaultDomain(), domain)
	e.Groups = &of
	return e, err
}

// groupsDiffer reports whether the mappings of groups or their attribute lists differ.
func groupsDiffer(before, after Job) bool {
	of := func(s *Schema) []byte {
		m, err := s.GroupMapping()
		if err != nil {
			return nil
		}
		source, target, err := s.objects(m)
		if err != nil {
			return nil
		}
		b, err := json.Marshal([]any{m, source, target})
		if err != nil {
			return nil
		}
		return b
	}
	return !bytes.Equal(of(before.Schema), of(after.Schema))
}

// comparison computes an [Effect]. Fields whose names begin with old belong to the job before the
// change, and those that begin with new to the job after the change.
type comparison struct {
	jobs                   *Jobs
	kind                   ObjectKind
	before, after          Job
	oldMapping, newMapping *mapping
	oldScope, newScope     scopeChecker
	nowForAllAccounts      map[string]bool             // target attributes whose row applied only to new accounts before, and now applies to all accounts
	unique                 []uniqueValues              // one for each attribute that must be unique
	effect                 Effect                      // the result so far
	attributes             map[string]*AttributeEffect // the changed values, by target attribute
	leaving, entering      map[string]*ClauseEffect    // users who leave the scope and who come into it, by reason
	lacking                map[string]*LackEffect      // users without a required value, by target attribute
}

// uniqueValues counts the values of an attribute that must be unique at the application. The keys
// of its maps are the case-folded values.
type uniqueValues struct {
	row                  *row
	oldCounts, newCounts map[string]int      // how many users have the value before and after the change
	firstPeople          map[string][]Person // the first few users who have the value after the change
	originalForms        map[string]string   // the value as one of these users has it
}

func (j *Jobs) newComparison(before, after Job, kind ObjectKind) (*comparison, error) {
	c := &comparison{
		jobs: j, kind: kind, before: before, after: after, nowForAllAccounts: map[string]bool{},
		attributes: map[string]*AttributeEffect{}, leaving: map[string]*ClauseEffect{}, entering: map[string]*ClauseEffect{}, lacking: map[string]*LackEffect{},
	}
	var err error
	if c.oldMapping, err = j.compileKind(before.Schema, kind); err != nil {
		return nil, &InputError{Field: "Mapping", Text: "of today cannot be used: " + err.Error() + ". Correct the mapping, or restore the default mappings"}
	}
	if c.newMapping, err = j.compileKind(after.Schema, kind); err != nil {
		return nil, &InputError{Field: "Mapping", Text: "cannot be used: " + err.Error() + ". Correct the mapping, or restore the default mappings"}
	}
	c.oldMapping.now, c.newMapping.now = j.Now, j.Now
	if c.oldScope, err = newScopeChecker(before, kind); err != nil {
		return nil, err
	}
	if c.newScope, err = newScopeChecker(after, kind); err != nil {
		return nil, err
	}
	for i := range c.newMapping.rows {
		r := &c.newMapping.rows[i]
		old := c.oldMapping.row(r.Target)
		c.nowForAllAccounts[r.Target] = old != nil && old.FlowType == FlowObjectAddOnly && !old.draws() && r.FlowType != FlowObjectAddOnly
		if r.mustBeUnique() && r.FlowType != FlowObjectAddOnly && !sameRow(old, r) {
			c.unique = append(c.unique, uniqueValues{row: r, oldCounts: map[string]int{}, newCounts: map[string]int{}, firstPeople: map[string][]Person{}, originalForms: map[string]string{}})
		}
	}
	return c, nil
}

// compileKind compiles the mapping of users or of groups.
func (j *Jobs) compileKind(s *Schema, kind ObjectKind) (*mapping, error) {
	if kind == UserKind {
		return compileMapping(s, j.Attributes)
	}
	object, err := s.GroupMapping()
	if err != nil {
		return nil, err
	}
	return compileObject(s, object, GroupKind, nil)
}

// mustBeUnique reports whether the row's attribute tells accounts apart, so that its values must be
// unique at the application.
func (r *row) mustBeUnique() bool {
	return r.Expr != nil && (r.MatchingPriority > 0 || r.Target == attrUserName)
}

// sameRow reports whether two rows yield the same values.
func sameRow(a, b *row) bool {
	return a != nil && a.Expr != nil && b.Expr != nil && a.Expr.String() == b.Expr.String() && a.DefaultValue == b.DefaultValue
}

// run compares all objects of a snapshot and returns the effect. domain is the directory's default
// domain. changed is its new default domain; nil if it does not change.
func (c *comparison) run(ctx context.Context, snapshot snapshotOf, domain string, changed *string) (Effect, error) {
	c.oldMapping.domain, c.newMapping.domain = domain, domain
	if changed != nil {
		c.newMapping.domain = *changed
	}
	err := c.jobs.compare(ctx, c.oldScope, c.newScope, c.kind, snapshot, &c.effect.Reach, func(o Object, linked bool) error { return c.add(ctx, o, linked) })
	return c.result(), err
}

// add compares what the old and the new settings do with one user or group, and adds the difference
// to the effect. linked says whether the object has a link.
func (c *comparison) add(ctx context.Context, o Object, linked bool) error {
	c.effect.Examined++
	had, has := o.Active() && c.oldScope.has(o), o.Active() && c.newScope.has(o)
	if err := c.scopeError(o); err != nil {
		if _, before := c.oldScope.admits(o); !had || before == nil {
			c.addFailure(o, FailureExample{Target: c.newMapping.object.Name, Text: err.Error()})
		}
		return nil
	}
	switch {
	case had && !has:
		addClause(c.leaving, c.whyOut(c.newMapping, c.after, o), o)
	case has:
		if !had {
			addClause(c.entering, c.whyIn(o), o)
		}
		return c.compare(ctx, o, had, linked)
	}
	return nil
}

// scopeError returns an error if the changed scoping filters decide about the user and cannot be
// evaluated.
func (c *comparison) scopeError(o Object) error {
	if !o.Active() || !o.Assigned && c.after.Scope != Everyone {
		return nil
	}
	_, err := c.newScope.admits(o)
	return err
}

// addFailure counts a failure of the new mapping for the user o.
func (c *comparison) addFailure(o Object, f FailureExample) {
	c.effect.Failing++
	if f.Person = personOf(o); len(c.effect.Failures) < maxExamples {
		c.effect.Failures = append(c.effect.Failures, f)
	}
}

// compare adds the effects of the change on the values of a user who is in scope after the change.
// had says whether the user was in scope before, and linked whether the user has a linked account.
func (c *comparison) compare(ctx context.Context, o Object, had, linked bool) error {
	attributes := map[string]any{attrEnabled: false}
	maps.Copy(attributes, o.Attributes)
	attributes[attrSoftDeleted] = false
	now, problem := c.newMapping.values(attributes, true, nil)
	old, was := c.oldMapping.values(attributes, true, nil)
	if problem != nil {
		if !had || was == nil || was.Target != problem.Target {
			c.addFailure(o, FailureExample{Target: problem.Target, Text: problem.Text})
		}
		return nil
	}
	if was != nil {
		old = nil
	}
	before, after := byTarget(old), byTarget(now)
	c.countKeyless(o, attributes, had)
	c.countUniqueValues(o, before, after, had)
	if !linked && c.newMapping.can(FlowAdd) {
		c.countLacking(o, attributes, had)
	}
	if !had {
		return nil
	}
	given, err := c.valuesGivenAtCreation(ctx, o, attributes, linked)
	if err != nil {
		return err
	}
	maps.Copy(before, given)
	changed := false
	for i := range c.newMapping.rows { // compare only rows that the new mapping has: a removed row leaves accounts as they are
		r := &c.newMapping.rows[i]
		w, n := before[r.Target], after[r.Target]
		if r.FlowType == FlowObjectAddOnly || r.sameValue(w, n) || c.nowForAllAccounts[r.Target] && !linked && sameRow(c.oldMapping.row(r.Target), r) {
			continue
		}
		if linked && w != nil && r.FlowType == FlowAttributeAddOnly {
			continue // the account keeps the value that it has
		}
		changed = true
		c.addAttributeEffect(r, ValueExample{Person: personOf(o), Before: w, After: n}, linked)
	}
	if changed {
		c.effect.Changed++
	}
	return nil
}

func personOf(o Object) Person { return Person{ObjectID: o.ID, Name: o.Name} }

// sameValue reports whether two values are equal for the target. An account that has one of them
// needs no request to get the other.
func (r *row) sameValue(had, wants any) bool {
	if had == nil || wants == nil {
		return had == nil && wants == nil
	}
	return reflect.DeepEqual(had, wants) || reflect.TypeOf(had) == reflect.TypeOf(wants) && !isPassword(r.Target) && r.agreesWithLedger(had, wants)
}

// valuesGivenAtCreation returns the values that a linked account got when it was created, by target
// attribute. It returns only the values of rows that applied only to new accounts before and now
// apply to all.
func (c *comparison) valuesGivenAtCreation(ctx context.Context, o Object, attributes map[string]any, linked bool) (map[string]any, error) {
	values := map[string]any{}
	var wrote Ledger
	for target, is := range c.nowForAllAccounts {
		if !is || !linked {
			continue
		}
		if wrote == nil {
			known, err := c.jobs.Store.KnownAbout(ctx, c.after.Key, o.ID)
			if err != nil {
				return nil, fmt.Errorf("read what %s got: %w", o.ID, err)
			}
			if wrote = (Ledger{}); known.Link != nil {
				wrote = known.Link.Wrote
			}
		}
		if had, known := wrote.known(target); known {
			values[target] = had.value()
			continue
		}
		// The account's value is unknown. So use the value that the mapping before the change would
		// give a new account.
		if want, _, problem := c.oldMapping.row(target).evaluate(c.oldMapping.env(attributes), true); problem == nil {
			values[target] = want
		}
	}
	return values, nil
}

// countKeyless counts a user who, after the change, has no value in any matching attribute. It does
// not count a user who was in scope and had none before.
func (c *comparison) countKeyless(o Object, attributes map[string]any, had bool) {
	now, problem := c.newMapping.keys(attributes)
	if problem != nil || len(now) > 0 {
		return
	}
	if was, problem := c.oldMapping.keys(attributes); had && (problem != nil || len(was) == 0) {
		return
	}
	if c.effect.Keyless++; len(c.effect.NoKey) < maxExamples {
		c.effect.NoKey = append(c.effect.NoKey, personOf(o))
	}
}

// countLacking counts a user without an account who, after the change, has no value for a required
// attribute. It does not count a user who had no value for the same attribute before.
func (c *comparison) countLacking(o Object, attributes map[string]any, had bool) {
	target := c.newMapping.missingRequired(attributes)
	if target == "" || had && c.oldMapping.can(FlowAdd) && c.oldMapping.missingRequired(attributes) == target {
		return
	}
	e := c.lacking[target]
	if e == nil {
		e = &LackEffect{Target: target}
		c.lacking[target] = e
	}
	if e.People++; len(e.Examples) < maxExamples {
		e.Examples = append(e.Examples, personOf(o))
	}
}

// missingRequired returns the first required attribute for which a new account would get no value,
// or "".
func (m *mapping) missingRequired(attributes map[string]any) string {
	env := m.env(attributes)
	for i := range m.rows {
		r := &m.rows[i]
		if !r.Required || r.Type == TypeReference || r.draws() {
			continue
		}
		if want, _, problem := r.evaluate(env, true); problem == nil && want == nil {
			return r.Target
		}
	}
	return ""
}

// countUniqueValues counts one user's values of attributes that must be unique, before and after
// the change.
func (c *comparison) countUniqueValues(o Object, before, after map[string]any, had bool) {
	for _, u := range c.unique {
		if v := before[u.row.Target]; v != nil && had {
			u.oldCounts[scim.Fold(text(v))]++
		}
		if v := after[u.row.Target]; v != nil {
			key := scim.Fold(text(v))
			if u.newCounts[key]++; len(u.firstPeople[key]) < 3 {
				u.firstPeople[key] = append(u.firstPeople[key], personOf(o))
				u.originalForms[key] = text(v)
			}
		}
	}
}

// shared returns the attributes for which more users than before share a value.
func (c *comparison) shared() []SharedEffect {
	var list []SharedEffect
	sharing := func(counts map[string]int) (people int, most string) {
		for key, n := range counts {
			if n < 2 {
				continue
			}
			if people += n; n > counts[most] || n == counts[most] && key < most {
				most = key
			}
		}
		return people, most
	}
	for _, u := range c.unique {
		was, _ := sharing(u.oldCounts)
		is, most := sharing(u.newCounts)
		if is <= was {
			continue
		}
		e := SharedEffect{Target: u.row.Target, People: is, Value: u.originalForms[most], Examples: u.firstPeople[most]}
		if c.newMapping.hidesValues(e.Target) {
			e.Value = ""
		}
		list = append(list, e)
	}
	return list
}

// addAttributeEffect counts one user or group for which the value of an attribute changes, and
// keeps the first few as examples.
func (c *comparison) addAttributeEffect(r *row, v ValueExample, linked bool) {
	a := c.attributes[r.Target]
	if a == nil {
		a = &AttributeEffect{Target: r.Target, Keeps: !r.clearsTarget()}
		c.attributes[r.Target] = a
	}
	a.People++
	if v.After == nil {
		a.Emptied++
	}
	if v.After == true {
		a.True++
	}
	if isActive(r.Target) && linked {
		switch {
		case v.After == true:
			c.effect.SwitchedOn++
		case v.After == false:
			c.effect.SwitchedOff++
		}
	}
	if len(a.Examples) < maxExamples {
		if c.oldMapping.hidesValues(r.Target) || c.newMapping.hidesValues(r.Target) {
			v.Before, v.After, v.Hidden = nil, nil, true
		}
		a.Examples = append(a.Examples, v)
	}
}

// addClause counts a user who leaves the scope, or comes into it, for a reason.
func addClause(clauses map[string]*ClauseEffect, reason string, o Object) {
	e := clauses[reason]
	if e == nil {
		e = &ClauseEffect{Clause: reason}
		clauses[reason] = e
	}
	if e.People++; len(e.Examples) < maxExamples {
		e.Examples = append(e.Examples, personOf(o))
	}
}

// whyOut says why a user is out of the scope of a job: it lists the clauses that fail, by filter,
// or mentions the missing assignment.
func (c *comparison) whyOut(m *mapping, job Job, o Object) string {
	if !o.Assigned && job.Scope != Everyone {
		return "not assigned to the application"
	}
	var groups []string
	if m.filter != nil {
		for _, g := range m.filter.groups {
			var failed []string
			for _, clause := range g.clauses {
				if !holds(clause.test, o.Attributes[clause.SourceOperandName]) {
					failed = append(failed, clause.Words())
				}
			}
			groups = append(groups, strings.Join(failed, " and "))
		}
	}
	return strings.Join(groups, ", or ")
}

// whyIn says why a user comes into the scope of the changed job: it names the filter that the user
// now passes, or the condition that the changed job no longer has.
func (c *comparison) whyIn(o Object) string {
	if !o.Assigned && c.before.Scope != Everyone {
		return "Scope, which needs no assignment"
	}
	if c.newMapping.filter != nil {
		for _, g := range c.newMapping.filter.groups {
			passes, words := true, make([]string, len(g.clauses))
			for i, clause := range g.clauses {
				passes = passes && holds(clause.test, o.Attributes[clause.SourceOperandName])
				words[i] = clause.Words()
			}
			if passes {
				return strings.Join(words, " and ")
			}
		}
	}
	return "no scoping filter (until now: " + c.whyOut(c.oldMapping, c.before, o) + ")"
}

// result returns the effect of the change on all users or groups that were added.
func (c *comparison) result() Effect {
	for _, r := range c.newMapping.rows {
		if a := c.attributes[r.Target]; a != nil {
			c.effect.Attributes = append(c.effect.Attributes, *a)
		}
		if e := c.lacking[r.Target]; e != nil {
			c.effect.Lacking = append(c.effect.Lacking, *e)
		}
	}
	c.effect.Left, c.effect.Came, c.effect.Shared = sortedClauses(c.leaving), sortedClauses(c.entering), c.shared()
	return c.effect
}

// sortedClauses returns the reasons as a list, the reason with the most users first.
func sortedClauses(clauses map[string]*ClauseEffect) []ClauseEffect {
	var list []ClauseEffect
	for _, e := range clauses {
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b ClauseEffect) int {
		return cmp.Or(b.People-a.People, strings.Compare(a.Clause, b.Clause))
	})
	return list
}

// hidesValues reports whether the values of a target attribute must not be shown.
func (m *mapping) hidesValues(target string) bool {
	r := m.row(target)
	return isPassword(target) || r != nil && r.Expr != nil && r.Expr.Redacts()
}

// byTarget returns the wanted values by target attribute.
func byTarget(values []value) map[string]any {
	m := make(map[string]any, len(values))
	for _, v := range values {
		m[v.row.Target] = v.want
	}
	return m
}
