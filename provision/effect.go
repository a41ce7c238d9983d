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

// Effect says what a change of a job's mapping, scope or actions would do to users or groups. An
// administrator reviews it before the change is saved. The comments of the fields speak of users;
// in the field Groups, they mean groups.
type Effect struct {
	Reach
	Changed     int               // users in scope before and after the change who get a different value for an attribute
	Failing     int               // users in scope for which the new mapping fails although the old one did not
	Attributes  []AttributeEffect // target attributes with changed values, in the order of the rows
	Left        []ClauseEffect    // why users leave the scope; the reason with the most users comes first
	Came        []ClauseEffect    // why users come into scope; the reason with the most users comes first
	Failures    []FailureExample  // the first few users that Failing counts
	Shared      []SharedEffect    // attributes that must be unique, for which more users than before have the same value as another user
	Keyless     int               // users in scope who no longer have a value in any matching attribute
	NoKey       []Person          // the first few users that Keyless counts
	Lacking     []LackEffect      // required attributes for which users without an account no longer have a value
	SwitchedOff int               // linked accounts of users in scope for which the value of active becomes False
	SwitchedOn  int               // linked accounts of users in scope for which the value of active becomes True
	Examined    int               // users of the directory that were compared
	Groups      *Effect           // what the change does to groups; nil if it does not concern them
}

// MayDisable returns how many accounts the change may disable: the accounts of users who leave the
// scope, and the accounts whose value of active becomes anything but True. Groups that would be
// deleted count too.
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

// Matters reports whether an administrator should confirm the change before it is saved. Of the
// numbers in Reach it considers only Leave, Come and Off. The caller must decide about the others.
func (e Effect) Matters() bool {
	return e.Leave > 0 || e.Come > 0 || e.Off > 0 || e.Changed > 0 || e.Failing > 0 || e.Keyless > 0 || len(e.Lacking) > 0 || len(e.Shared) > 0 ||
		e.Groups != nil && e.Groups.Matters()
}

func isActive(target string) bool { return strings.EqualFold(target, "active") }

// AttributeEffect is one target attribute whose values change.
type AttributeEffect struct {
	Target   string
	People   int  // users whose value changes
	Emptied  int  // users counted in People who had a value and no longer get one
	True     int  // users counted in People whose value becomes True
	Keeps    bool // whether accounts keep their value if the mapping yields none
	Examples []ValueExample
}

// ValueExample shows one user's value before and after. nil means no value.
type ValueExample struct {
	Person
	Before, After any
	Hidden        bool // whether the values must not be shown, because it is a password or behind Redact; then Before and After are nil
}

// SharedEffect is a target attribute that must be unique at the application, and for which several
// users get the same value.
type SharedEffect struct {
	Target   string
	Value    string // the value that the most users share; empty if it must not be shown
	People   int    // users who get the same value as another user
	Examples []Person
}

// LackEffect is a required target attribute for which some users have no value. They get no
// account.
type LackEffect struct {
	Target   string
	People   int
	Examples []Person
}

// ClauseEffect is one reason why users leave the scope or come into it.
type ClauseEffect struct {
	Clause   string // in words, such as "department EQUALS Sales"
	People   int
	Examples []Person
}

// FailureExample is a user for which the new mapping fails, with the target attribute and the
// reason.
type FailureExample struct {
	Person
	Target string
	Text   string
}

// Person names a user in an example.
type Person struct {
	ObjectID string
	Name     string
}

// maxExamples is how many users an effect names for each attribute, clause or failure.
const maxExamples = 5

// Effect compares a job before and after a change, for every user of the directory. If the mapping
// of groups has changed, it does so for every group too. It sends no requests to the application.
// It ignores values that an account gets only when it is created. The error is an *InputError if a
// mapping cannot be used.
func (j *Jobs) Effect(ctx context.Context, before, after Job) (Effect, error) {
	return j.effect(ctx, before, after, nil)
}

// DomainEffect returns what a new default domain of the directory would change at the application
// of a job.
func (j *Jobs) DomainEffect(ctx context.Context, job Job, domain string) (Effect, error) {
	return j.effect(ctx, job, job, &domain)
}

// effect does the work of Effect and DomainEffect. domain is the directory's new default domain;
// nil means that it does not change.
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

// groupsDiffer reports whether the mapping of groups, or one of its attribute lists, differs
// between the two jobs.
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

// comparison computes an [Effect].
type comparison struct {
	jobs                     *Jobs
	kind                     ObjectKind
	before, after            Job
	oldMapping, newMapping   *mapping
	oldScope, newScope       scopeChecker
	nowForAll                map[string]bool // target attributes whose row applied only to new accounts before the change, and now applies to all accounts
	unique                   []uniqueValues
	effect                   Effect
	attributeEffects         map[string]*AttributeEffect
	leftReasons, cameReasons map[string]*ClauseEffect
	lackEffects              map[string]*LackEffect
}

// uniqueValues counts how many users have each value of an attribute that must be unique at the
// application.
type uniqueValues struct {
	row                  *row
	oldCounts, newCounts map[string]int
	examples             map[string][]Person
	shownValues          map[string]string
}

func (j *Jobs) newComparison(before, after Job, kind ObjectKind) (*comparison, error) {
	c := &comparison{
		jobs: j, kind: kind, before: before, after: after, nowForAll: map[string]bool{},
		attributeEffects: map[string]*AttributeEffect{}, leftReasons: map[string]*ClauseEffect{}, cameReasons: map[string]*ClauseEffect{}, lackEffects: map[string]*LackEffect{},
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
		c.nowForAll[r.Target] = old != nil && old.FlowType == FlowObjectAddOnly && !old.draws() && r.FlowType != FlowObjectAddOnly
		if r.mustBeUnique() && r.FlowType != FlowObjectAddOnly && !sameRow(old, r) {
			c.unique = append(c.unique, uniqueValues{row: r, oldCounts: map[string]int{}, newCounts: map[string]int{}, examples: map[string][]Person{}, shownValues: map[string]string{}})
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

// mustBeUnique reports whether the row's attribute must be unique at the application: it is a
// matching attribute or userName.
func (r *row) mustBeUnique() bool {
	return r.Expr != nil && (r.MatchingPriority > 0 || r.Target == attrUserName)
}

// sameRow reports whether two rows have the same expression and default value, so that they yield
// the same values.
func sameRow(a, b *row) bool {
	return a != nil && a.Expr != nil && b.Expr != nil && a.Expr.String() == b.Expr.String() && a.DefaultValue == b.DefaultValue
}

// run compares all objects of the snapshot and returns the effect. domain is the directory's
// default domain, and changed is the new one; nil means that it does not change.
func (c *comparison) run(ctx context.Context, snapshot snapshotOf, domain string, changed *string) (Effect, error) {
	c.oldMapping.domain, c.newMapping.domain = domain, domain
	if changed != nil {
		c.newMapping.domain = *changed
	}
	err := c.jobs.compare(ctx, c.oldScope, c.newScope, c.kind, snapshot, &c.effect.Reach, func(o Object, linked bool) error { return c.add(ctx, o, linked) })
	return c.result(), err
}

func (c *comparison) add(ctx context.Context, o Object, linked bool) error {
	c.effect.Examined++
	had, has := o.Active() && c.oldScope.has(o), o.Active() && c.newScope.has(o)
	if err := c.newScopeError(o); err != nil {
		if _, before := c.oldScope.admits(o); !had || before == nil {
			c.addFailure(o, FailureExample{Target: c.newMapping.object.Name, Text: err.Error()})
		}
		return nil
	}
	switch {
	case had && !has:
		countReason(c.leftReasons, c.whyOut(c.newMapping, c.after, o), o)
	case has:
		if !had {
			countReason(c.cameReasons, c.whyIn(o), o)
		}
		return c.compare(ctx, o, had, linked)
	}
	return nil
}

// newScopeError returns the error if the new scoping filters cannot be evaluated for a user.
// Otherwise it returns nil.
func (c *comparison) newScopeError(o Object) error {
	if !o.Active() || !o.Assigned && c.after.Scope != Everyone {
		return nil
	}
	_, err := c.newScope.admits(o)
	return err
}

// addFailure counts a user for which the new mapping fails.
func (c *comparison) addFailure(o Object, f FailureExample) {
	c.effect.Failing++
	if f.Person = personOf(o); len(c.effect.Failures) < maxExamples {
		c.effect.Failures = append(c.effect.Failures, f)
	}
}

// compare adds to the effect what the change does to the values of a user in scope. had says
// whether the user was in scope before.
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
	before, after := indexByTarget(old), indexByTarget(now)
	c.countIfKeyless(o, attributes, had)
	c.countUniqueValues(o, before, after, had)
	if !linked && c.newMapping.can(FlowAdd) {
		c.countIfLacking(o, attributes, had)
	}
	if !had {
		return nil
	}
	given, err := c.valuesAtCreation(ctx, o, attributes, linked)
	if err != nil {
		return err
	}
	maps.Copy(before, given)
	changed := false
	for i := range c.newMapping.rows { // not the rows of c.was, because removing a row leaves accounts as they are
		r := &c.newMapping.rows[i]
		w, n := before[r.Target], after[r.Target]
		if r.FlowType == FlowObjectAddOnly || r.sameValue(w, n) || c.nowForAll[r.Target] && !linked && sameRow(c.oldMapping.row(r.Target), r) {
			continue
		}
		if linked && w != nil && r.FlowType == FlowAttributeAddOnly {
			continue // the account keeps the value that it has
		}
		changed = true
		c.addAttributeChange(r, ValueExample{Person: personOf(o), Before: w, After: n}, linked)
	}
	if changed {
		c.effect.Changed++
	}
	return nil
}

func personOf(o Object) Person { return Person{ObjectID: o.ID, Name: o.Name} }

// sameValue reports whether two values are equal for the target, so that an account with one of
// them needs no request to get the other.
func (r *row) sameValue(had, wants any) bool {
	if had == nil || wants == nil {
		return had == nil && wants == nil
	}
	return reflect.DeepEqual(had, wants) || reflect.TypeOf(had) == reflect.TypeOf(wants) && !isPassword(r.Target) && r.agrees(had, wants)
}

// valuesAtCreation returns the values that a linked account got when it was created, by target
// attribute. It covers only the attributes in c.always.
func (c *comparison) valuesAtCreation(ctx context.Context, o Object, attributes map[string]any, linked bool) (map[string]any, error) {
	values := map[string]any{}
	var wrote Ledger
	for target, is := range c.nowForAll {
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
		// The account's value is unknown. Assume the value that the old row yields for a new
		// account.
		if want, _, problem := c.oldMapping.row(target).evaluate(c.oldMapping.env(attributes), true); problem == nil {
			values[target] = want
		}
	}
	return values, nil
}

// countIfKeyless counts the user if they no longer have a value in any matching attribute.
func (c *comparison) countIfKeyless(o Object, attributes map[string]any, had bool) {
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

// countIfLacking counts the user, who has no account, if they no longer have a value for a required
// attribute.
func (c *comparison) countIfLacking(o Object, attributes map[string]any, had bool) {
	target := c.newMapping.lacking(attributes)
	if target == "" || had && c.oldMapping.can(FlowAdd) && c.oldMapping.lacking(attributes) == target {
		return
	}
	e := c.lackEffects[target]
	if e == nil {
		e = &LackEffect{Target: target}
		c.lackEffects[target] = e
	}
	if e.People++; len(e.Examples) < maxExamples {
		e.Examples = append(e.Examples, personOf(o))
	}
}

// lacking returns the first required attribute for which a new account would get no value. It
// returns "" if there is none.
func (m *mapping) lacking(attributes map[string]any) string {
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

// countUniqueValues counts the user's values of attributes that must be unique.
func (c *comparison) countUniqueValues(o Object, before, after map[string]any, had bool) {
	for _, u := range c.unique {
		if v := before[u.row.Target]; v != nil && had {
			u.oldCounts[scim.Fold(text(v))]++
		}
		if v := after[u.row.Target]; v != nil {
			key := scim.Fold(text(v))
			if u.newCounts[key]++; len(u.examples[key]) < 3 {
				u.examples[key] = append(u.examples[key], personOf(o))
				u.shownValues[key] = text(v)
			}
		}
	}
}

// shared returns the attributes for which more users than before have the same value as another
// user.
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
		e := SharedEffect{Target: u.row.Target, People: is, Value: u.shownValues[most], Examples: u.examples[most]}
		if c.newMapping.hides(e.Target) {
			e.Value = ""
		}
		list = append(list, e)
	}
	return list
}

func (c *comparison) addAttributeChange(r *row, v ValueExample, linked bool) {
	a := c.attributeEffects[r.Target]
	if a == nil {
		a = &AttributeEffect{Target: r.Target, Keeps: !r.clears()}
		c.attributeEffects[r.Target] = a
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
		if c.oldMapping.hides(r.Target) || c.newMapping.hides(r.Target) {
			v.Before, v.After, v.Hidden = nil, nil, true
		}
		a.Examples = append(a.Examples, v)
	}
}

// countReason counts a user who leaves the scope, or comes into it, for this reason.
func countReason(clauses map[string]*ClauseEffect, reason string, o Object) {
	e := clauses[reason]
	if e == nil {
		e = &ClauseEffect{Clause: reason}
		clauses[reason] = e
	}
	if e.People++; len(e.Examples) < maxExamples {
		e.Examples = append(e.Examples, personOf(o))
	}
}

// whyOut says why a user is out of a job's scope: the missing assignment, or for each scoping
// filter the clauses that fail.
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

// whyIn says why a user comes into the scope of the changed job: the scoping filter that the user
// now passes, or the condition that the change has removed.
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

func (c *comparison) result() Effect {
	for _, r := range c.newMapping.rows {
		if a := c.attributeEffects[r.Target]; a != nil {
			c.effect.Attributes = append(c.effect.Attributes, *a)
		}
		if e := c.lackEffects[r.Target]; e != nil {
			c.effect.Lacking = append(c.effect.Lacking, *e)
		}
	}
	c.effect.Left, c.effect.Came, c.effect.Shared = sortReasons(c.leftReasons), sortReasons(c.cameReasons), c.shared()
	return c.effect
}

// sortReasons returns the reasons. The reason with the most users comes first.
func sortReasons(clauses map[string]*ClauseEffect) []ClauseEffect {
	var list []ClauseEffect
	for _, e := range clauses {
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b ClauseEffect) int {
		return cmp.Or(b.People-a.People, strings.Compare(a.Clause, b.Clause))
	})
	return list
}

// hides reports whether the values of a target attribute must not be shown.
func (m *mapping) hides(target string) bool {
	r := m.row(target)
	return isPassword(target) || r != nil && r.Expr != nil && r.Expr.Redacts()
}

func indexByTarget(values []value) map[string]any {
	m := make(map[string]any, len(values))
	for _, v := range values {
		m[v.row.Target] = v.want
	}
	return m
}
