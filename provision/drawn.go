package provision

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/provision/expr"
	"github.com/rollcall-scim/rollcall/scim"
)

// Drawn is a random or unique value that was generated for a target attribute of a new account. The
// engine stores it before it sends the create, so that a repeated create sends the same value. The
// value stays stored as long as the object has the account, so that no other object gets the same
// unique value. Passwords are never stored: each create generates a new password.
type Drawn struct {
	Path   string // the target attribute
	Value  any    // the value: a string, a bool, an int64 or a list of strings
	Inputs string // a hash of the expression and of the values that it read, from mapping.inputs
}

// Text returns the value in the form in which the store keeps it.
func (d Drawn) Text() string { return string(appendValue(nil, d.Value)) }

// Folded returns the value case-folded, for comparisons with other values.
func (d Drawn) Folded() string { return scim.Fold(text(d.Value)) }

// ReadDrawn returns the Drawn whose value was stored as the result of [Drawn.Text]. It returns an
// error if the stored value cannot be read.
func ReadDrawn(path, stored, inputs string) (Drawn, error) {
	v, err := readValue(json.RawMessage(stored))
	if err != nil {
		return Drawn{}, fmt.Errorf("read the value drawn for %s: %w", path, err)
	}
	return Drawn{Path: path, Value: v, Inputs: inputs}, nil
}

// drawing generates the random and unique values of one new account.
type drawing struct {
	p           *pass
	w           *work
	ctx         context.Context //nolint:containedctx // an expression asks the target in the middle of its evaluation
	before      []Drawn         // the values that were generated for the object earlier
	sentValues  []Drawn         // the values that the create sends, without passwords
	newlyDrawn  []string        // the target attributes whose value was generated now, in the order of the rows
	storeErrors error           // the errors of the store, joined; nil if there are none
}

// drawFor returns a drawing for the create of a new account. It returns an error if the store
// fails.
func (p *pass) drawFor(ctx context.Context, w *work) (*drawing, error) {
	d := &drawing{p: p, w: w, ctx: ctx}
	if !slices.ContainsFunc(p.m.rows, func(r row) bool { return r.draws() }) {
		return d, nil
	}
	var err error
	d.before, err = p.otherObjects.drawn(ctx, w.known.ObjectID)
	return d, err
}

// draws reports whether the row's expression generates random or unique values.
func (r *row) draws() bool { return r.Expr != nil && r.Expr.Draws() }

// evaluate evaluates a row like [row.evaluate]. If d is not nil, it also generates random and
// unique values. If a value was generated for this object from the same inputs earlier, evaluate
// returns that value again. But if the value must be unique and another object has it by now,
// evaluate generates a new value.
func (d *drawing) evaluate(r *row, env expr.Env, attributes map[string]any) (want any, flows bool, problem *rowProblem) {
	if d == nil || !r.draws() {
		return r.evaluate(env, d != nil)
	}
	inputs := d.p.m.inputs(r, attributes)
	env.Random = rand.Reader
	env.Taken = func(value string) (bool, error) { return d.isTaken(r, value) }
	at := slices.IndexFunc(d.before, func(b Drawn) bool { return b.Path == r.Target && b.Inputs == inputs })
	if at >= 0 {
		taken := false
		if r.Expr.AsksTarget() {
			var err error
			if taken, err = d.isTaken(r, text(d.before[at].Value)); err != nil {
				return nil, false, r.uniquenessProblem(err)
			}
		}
		if !taken {
			d.sentValues = append(d.sentValues, d.before[at])
			return d.before[at].Value, true, nil
		}
	}
	want, flows, problem = r.evaluate(env, true)
	if problem == nil && want != nil {
		d.newlyDrawn = append(d.newlyDrawn, r.Target)
	}
	if problem == nil && want != nil && !isPassword(r.Target) {
		d.sentValues = append(d.sentValues, Drawn{Path: r.Target, Value: want, Inputs: inputs})
	}
	return want, flows, problem
}

// uniquenessProblem returns the problem of a row if err has prevented the check whether its value
// is unique.
func (r *row) uniquenessProblem(err error) *rowProblem {
	return &rowProblem{
		Target: r.Target, Code: "InvalidExpression", Err: err,
		Text:   fmt.Sprintf("Whether the value for %s is unique is not known: %s.", r.Target, err),
		Advice: "This is tried again.",
	}
}

// isTaken reports whether another person has a value of the row's target attribute, or is about to
// get it. It looks at the other objects of this slice, at the values that this job has generated,
// and at the target. It returns an error if the target cannot tell.
func (d *drawing) isTaken(r *row, value string) (bool, error) {
	p, folded := d.p, scim.Fold(value)
	owner, _ := p.claims.claim(p.thing("drawn "+r.Target+" "+folded), d.w.known.ObjectID, math.MaxInt)
	if owner != d.w.known.ObjectID {
		return true, nil
	}
	drawer, err := p.otherObjects.drawer(d.ctx, r.Target, folded)
	if err != nil {
		d.storeErrors = errors.Join(d.storeErrors, err)
		return false, err
	}
	if drawer != "" && drawer != d.w.known.ObjectID {
		return true, nil
	}
	found, can, problem := p.search(d.ctx, r, MatchKey{Path: r.Target, Value: value})
	switch {
	case problem != nil:
		return false, problem
	case !can.Proved:
		return false, &TargetError{
			Kind: Unsearchable, Code: codeIncompatible,
			Detail: fmt.Sprintf("%s So SelectUniqueValue cannot tell which values of %s are taken, and no account was created.", can.Detail, r.Target),
			Advice: can.Advice,
		}
	}
	return len(found) > 0, nil
}

// takenMeanwhile reports whether the target now has an account with one of the unique values that
// were generated for this create. They were free when they were generated.
func (p *pass) takenMeanwhile(ctx context.Context, d create) (bool, *TargetError) {
	for _, drawn := range d.drawn {
		r := p.m.row(drawn.Path)
		if r == nil || !r.Expr.AsksTarget() {
			continue
		}
		found, _, problem := p.search(ctx, r, MatchKey{Path: r.Target, Value: drawn.Value})
		if problem != nil || len(found) > 0 {
			return problem == nil, problem
		}
	}
	return false, nil
}

// inputs returns a hash of a row's expression and of the values that it reads: the source
// attributes, and the default domain if the expression reads it.
func (m *mapping) inputs(r *row, attributes map[string]any) string {
	var b strings.Builder
	b.WriteString(r.Expr.String())
	if r.Expr.ReadsDefaultDomain() {
		fmt.Fprintf(&b, "\x00%s", m.domain)
	}
	for _, name := range r.Expr.Attributes() {
		fmt.Fprintf(&b, "\x00%s=%q", name, sourceValue(attributes[name]).Strings())
	}
	return hashText(b.String())[:16]
}

// readsClock reports whether the value of the row depends on the time.
func (r *row) readsClock() bool { return r.Expr != nil && r.Expr.ReadsClock() && !r.Expr.Draws() }

// keepDespiteClock replaces wanted values that differ from the account's values only because time
// has passed. The account then keeps its values. If another input of an expression has changed, the
// new value is sent.
func (w *work) keepDespiteClock(attributes map[string]any) {
	w.inputs = nil
	for i := range w.m.rows {
		r := &w.m.rows[i]
		if !r.readsClock() {
			continue
		}
		if w.inputs == nil {
			w.inputs = map[string]string{}
		}
		w.inputs[r.Target] = w.m.inputs(r, attributes)
		if w.link == nil || w.newLink() {
			continue
		}
		had, known := w.link.Wrote.known(r.Target)
		at := slices.IndexFunc(w.values, func(v value) bool { return v.row.Target == r.Target })
		switch {
		case at < 0 || !known || had.Inputs != w.inputs[r.Target]:
		case had.Sent == nil || isHashed(had.Sent):
			w.values = slices.Delete(w.values, at, at+1)
		default:
			w.values[at].want = had.Sent
		}
	}
}

// noteInputs adds to the ledger l the hashes of the inputs of expressions that read the clock. It
// adds the hash of an expression only if the account has its value.
func (w *work) noteInputs(l Ledger) {
	for target, inputs := range w.inputs {
		e, known := l.known(target)
		v := w.wantedValue(target)
		if known && (v == nil || v.want == nil || v.row.agreesWithLedger(e.Sent, v.want)) {
			e.Inputs = inputs
			l[target] = e
		}
	}
}
