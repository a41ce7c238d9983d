package provision

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Effect says what a change of a job's mapping, scope or actions would do to people. It is shown
// for review before the change is saved.
type Effect struct {
	Reach
	Changed    int               // users in scope before and after who get another value for an attribute
	Failing    int               // users in scope for which the new mapping yields no usable values
	Attributes []AttributeEffect // target attributes with changed values, in the order of the rows
	Left       []ClauseEffect    // why users leave the scope, most users first
	Failures   []FailureExample  // the first few of Failing
	Examined   int               // users of the directory that were compared
}

// MayDisable returns how many accounts the change may disable: those whose users leave the scope, and
// those whose value of active changes.
func (e Effect) MayDisable() int {
	n := e.Off
	for _, a := range e.Attributes {
		if strings.EqualFold(a.Target, "active") {
			n += a.People
		}
	}
	return n
}

// AttributeEffect is one target attribute whose values change.
type AttributeEffect struct {
	Target   string
	People   int // users whose value changes
	Emptied  int // of these, users who had a value and get none
	Examples []ValueExample
}

// ValueExample is one user's value before and after. nil is no value.
type ValueExample struct {
	Person
	Before, After any
	Hidden        bool // passwords, and values behind Redact: both are nil
}

// ClauseEffect is one reason why users leave the scope.
type ClauseEffect struct {
	Clause   string // in words, such as "department EQUALS Sales"
	People   int
	Examples []Person
}

// FailureExample is a user for which the new mapping yields no usable values.
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

// Effect compares a job with its changed version for every user of the directory. It asks nothing
// of the application. Values that an account gets only once, when it is created, do not count.
func (j *Jobs) Effect(ctx context.Context, before, after Job) (Effect, error) {
	c, err := j.newComparison(ctx, before, after)
	if err != nil {
		return Effect{}, err
	}
	err = j.compare(ctx, before, after, &c.effect.Reach, c.add)
	if err != nil {
		return Effect{}, err
	}
	return c.result(), nil
}

// comparison collects an [Effect].
type comparison struct {
	before, after Job
	was, is       *mapping
	wasHas, isHas scopeChecker
	effect        Effect
	attributes    map[string]*AttributeEffect
	clauses       map[string]*ClauseEffect
}

func (j *Jobs) newComparison(ctx context.Context, before, after Job) (*comparison, error) {
	c := &comparison{before: before, after: after, attributes: map[string]*AttributeEffect{}, clauses: map[string]*ClauseEffect{}}
	var err error
	if c.was, err = compileMapping(before.Schema, j.Attributes); err != nil {
		return nil, fmt.Errorf("read the mapping: %w", err)
	}
	if c.is, err = usableMapping(after.Schema, j.Attributes); err != nil {
		return nil, err
	}
	source, err := j.Sources(ctx, after.Key.Directory)
	if err != nil {
		return nil, fmt.Errorf("open the directory: %w", err)
	}
	c.was.now, c.is.now = j.Now, j.Now
	c.was.domain, c.is.domain = source.DefaultDomain(), source.DefaultDomain()
	if c.wasHas, err = newScopeChecker(before); err != nil {
		return nil, err
	}
	if c.isHas, err = newScopeChecker(after); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *comparison) add(o Object) {
	c.effect.Examined++
	if err := c.unclear(o); err != nil {
		c.fails(o, FailureExample{Target: c.is.object.Name, Text: err.Error()})
		return
	}
	had, has := o.Active() && c.wasHas.has(o), o.Active() && c.isHas.has(o)
	switch {
	case had && !has:
		c.leaves(o)
	case has:
		c.compare(o, had)
	}
}

// unclear returns why nothing can tell whether a user is in the new scope.
func (c *comparison) unclear(o Object) error {
	if !o.Active() || !o.Assigned && c.after.Scope != Everyone {
		return nil
	}
	_, err := c.isHas.admits(o)
	return err
}

// fails adds a user whose values the new mapping cannot make.
func (c *comparison) fails(o Object, f FailureExample) {
	c.effect.Failing++
	if f.Person = (Person{ObjectID: o.ID, Name: o.Name}); len(c.effect.Failures) < maxExamples {
		c.effect.Failures = append(c.effect.Failures, f)
	}
}

// compare adds the values that change for a user in scope.
func (c *comparison) compare(o Object, had bool) {
	attributes := map[string]any{attrEnabled: false}
	maps.Copy(attributes, o.Attributes)
	attributes[attrSoftDeleted] = false
	person := Person{ObjectID: o.ID, Name: o.Name}
	now, problem := c.is.values(attributes, true, nil)
	if problem != nil {
		c.fails(o, FailureExample{Target: problem.Target, Text: problem.Text})
		return
	}
	if !had {
		return
	}
	old, problem := c.was.values(attributes, true, nil)
	if problem != nil {
		old = nil
	}
	was, is := byTarget(old), byTarget(now)
	changed := false
	for _, r := range c.is.rows { // a row that goes leaves its values as they are
		target := r.Target
		w, n := was[target], is[target]
		if reflect.DeepEqual(w, n) {
			continue
		}
		changed = true
		c.attribute(target, ValueExample{Person: person, Before: w, After: n})
	}
	if changed {
		c.effect.Changed++
	}
}

func (c *comparison) attribute(target string, v ValueExample) {
	a := c.attributes[target]
	if a == nil {
		a = &AttributeEffect{Target: target}
		c.attributes[target] = a
	}
	a.People++
	if v.After == nil {
		a.Emptied++
	}
	if len(a.Examples) < maxExamples {
		if c.was.hides(target) || c.is.hides(target) {
			v.Before, v.After, v.Hidden = nil, nil, true
		}
		a.Examples = append(a.Examples, v)
	}
}

// leaves adds a user who leaves the scope, with the clauses that exclude the user now.
func (c *comparison) leaves(o Object) {
	reason := c.whyOut(o)
	e := c.clauses[reason]
	if e == nil {
		e = &ClauseEffect{Clause: reason}
		c.clauses[reason] = e
	}
	e.People++
	if len(e.Examples) < maxExamples {
		e.Examples = append(e.Examples, Person{ObjectID: o.ID, Name: o.Name})
	}
}

// whyOut says why the changed job has no place for a user: the clauses that fail, by filter, or the
// missing assignment.
func (c *comparison) whyOut(o Object) string {
	if !o.Assigned && c.after.Scope != Everyone {
		return "not assigned to the application"
	}
	var groups []string
	if c.is.filter != nil {
		for _, g := range c.is.filter.groups {
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

func (c *comparison) result() Effect {
	for _, r := range c.is.rows {
		if a := c.attributes[r.Target]; a != nil {
			c.effect.Attributes = append(c.effect.Attributes, *a)
		}
	}
	for _, e := range c.clauses {
		c.effect.Left = append(c.effect.Left, *e)
	}
	slices.SortFunc(c.effect.Left, func(a, b ClauseEffect) int {
		if a.People != b.People {
			return b.People - a.People
		}
		return strings.Compare(a.Clause, b.Clause)
	})
	return c.effect
}

// hides reports whether the values of a target attribute must not be shown.
func (m *mapping) hides(target string) bool {
	r := m.row(target)
	return isPassword(target) || r != nil && r.Expr != nil && r.Expr.Redacts()
}

func byTarget(values []value) map[string]any {
	m := make(map[string]any, len(values))
	for _, v := range values {
		m[v.row.Target] = v.want
	}
	return m
}
