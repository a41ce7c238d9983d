package provision

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/rollcall-scim/rollcall/provision/expr"
	"github.com/rollcall-scim/rollcall/refusal"
)

// RowPreview shows what one row yields, before it is saved.
type RowPreview struct {
	Chosen   *PreviewValue  // the values of the person who is shown in detail; nil if the directory has no users
	Trace    *expr.Step     // how the chosen person's value was made; nil without an expression
	Drawn    []PreviewValue // the values of people who were picked at random
	Empty    []PreviewValue // the first people without a value
	Failing  []PreviewValue // the first people for which the row fails
	Empties  int            // people without a value, of Examined
	Failures int            // people for which the row fails, of Examined
	Examined int            // people for which the row was evaluated
	All      bool           // Examined is everybody that the job could reach
}

// PreviewValue is what a row yields for one person.
type PreviewValue struct {
	Person
	Values  []string // the values; empty if there is none
	Hidden  bool     // the value is a password or behind Redact, and Values is empty
	Problem string   // why there is no value; "" if nothing is wrong
}

// How much a trial looks at.
const (
	previewDrawn  = 10
	previewListed = 5
	previewTime   = 400 * time.Millisecond // how long counting people without a value may take
)

// Try evaluates a row as for an account that is created. person is the object id of the person to
// show in detail; with "" it is one of those drawn. Try reads only the directory. SelectUniqueValue takes every value as
// free. The error is an *InputError or *ExpressionError if the row cannot be used, and wraps
// refusal.NotFound if there is no such person.
func (j *Jobs) Try(ctx context.Context, job Job, mapping, replaces string, edit RowEdit, person string) (RowPreview, error) {
	var t RowPreview
	changed, err := job.SetRow(mapping, replaces, edit, j.Attributes)
	if err != nil {
		return t, err
	}
	m, err := compileMapping(changed.Schema, j.Attributes)
	if err != nil {
		return t, err
	}
	r := m.row(edit.Target)
	if r == nil || m.object.Name != mapping {
		return t, &InputError{Field: "Mapping", Text: "is not the mapping of users: values are shown for users only"}
	}
	m.now = j.Now
	source, err := j.Sources(ctx, job.Key.Directory)
	if err != nil {
		return t, fmt.Errorf("open the directory: %w", err)
	}
	m.domain = source.DefaultDomain()
	tryRow := rowPreviewer{m: m, row: r, job: changed}
	drawn, err := tryRow.draw(ctx, source)
	if err != nil {
		return t, err
	}
	for _, o := range drawn {
		t.Drawn = append(t.Drawn, tryRow.value(o))
	}
	if err := tryRow.count(ctx, source, &t); err != nil {
		return t, err
	}
	if person == "" && len(drawn) == 0 {
		return t, nil
	}
	if person != "" {
		found, err := source.Objects(ctx, job.Key.App, []string{person})
		if err != nil {
			return t, fmt.Errorf("read the person: %w", err)
		}
		if len(found) == 0 {
			return t, refusal.NotFound
		}
		drawn = found
	}
	chosen := drawn[0]
	v := tryRow.value(chosen)
	t.Chosen = &v
	if r.Expr != nil {
		_, t.Trace, _ = r.Expr.Trace(tryRow.env(chosen)) //nolint:errcheck // the value has the same error
	}
	return t, nil
}

// rowPreviewer evaluates one row.
type rowPreviewer struct {
	m   *mapping
	row *row
	job Job
}

// env is what the row's expression may look at for a person who has access to the application,
// unless the directory blocks the person.
func (t rowPreviewer) env(o Object) expr.Env {
	attributes := map[string]any{attrEnabled: false}
	maps.Copy(attributes, o.Attributes)
	attributes[attrSoftDeleted] = !o.Active()
	env := t.m.env(attributes)
	env.Random = rand.Reader
	env.Taken = func(string) (bool, error) { return false, nil }
	return env
}

func (t rowPreviewer) value(o Object) PreviewValue {
	v := PreviewValue{Person: Person{ObjectID: o.ID, Name: o.Name}}
	want, _, problem := t.row.evaluate(t.env(o), true)
	switch {
	case problem != nil:
		v.Problem = problem.Text
	case want == nil:
	case t.m.hides(t.row.Target):
		v.Hidden = true
	default:
		if list, several := want.([]any); several {
			for _, item := range list {
				v.Values = append(v.Values, text(item))
			}
		} else {
			v.Values = []string{text(want)}
		}
	}
	return v
}

// has reports whether the row has a value for the person, or says why not.
func (v PreviewValue) has() bool { return v.Hidden || len(v.Values) > 0 }

func (t rowPreviewer) query(after string, limit int) SnapshotQuery {
	return SnapshotQuery{App: t.job.Key.App, AssignedOnly: t.job.Scope != Everyone, After: after, Limit: limit}
}

// draw returns people chosen at random. From a large directory it takes those at random places.
func (t rowPreviewer) draw(ctx context.Context, source Source) ([]Object, error) {
	first, err := source.Snapshot(ctx, t.query("", importPage))
	if err != nil {
		return nil, fmt.Errorf("read the users: %w", err)
	}
	if len(first) < importPage {
		first = slices.DeleteFunc(first, func(o Object) bool { return !o.Active() })
		mathrand.Shuffle(len(first), func(i, j int) { first[i], first[j] = first[j], first[i] })
		return first[:min(len(first), previewDrawn)], nil
	}
	var drawn []Object
	seen := map[string]bool{}
	for range 2 * previewDrawn {
		// Object ids are random, in hexadecimal digits.
		place := fmt.Sprintf("%016x", mathrand.Uint64())
		list, err := source.Snapshot(ctx, t.query(place, 1))
		if err != nil {
			return nil, fmt.Errorf("read the users: %w", err)
		}
		for _, o := range list {
			if !seen[o.ID] && o.Active() && len(drawn) < previewDrawn {
				seen[o.ID] = true
				drawn = append(drawn, o)
			}
		}
	}
	return drawn, nil
}

// count evaluates the row for everybody, or for as many people as the time allows.
func (t rowPreviewer) count(ctx context.Context, source Source, trial *RowPreview) error {
	end := time.Now().Add(previewTime)
	q := t.query("", importPage)
	for {
		list, err := source.Snapshot(ctx, q)
		if err != nil {
			return fmt.Errorf("read the users: %w", err)
		}
		for _, o := range list {
			if !o.Active() {
				continue
			}
			trial.Examined++
			v := t.value(o)
			switch {
			case v.Problem != "":
				trial.Failures++
				trial.Failing = appendFew(trial.Failing, v)
			case !v.has():
				trial.Empties++
				trial.Empty = appendFew(trial.Empty, v)
			}
		}
		if len(list) < q.Limit {
			trial.All = true
			return nil
		}
		if time.Now().After(end) {
			return nil
		}
		q.After = list[len(list)-1].ID
	}
}

func appendFew(list []PreviewValue, v PreviewValue) []PreviewValue {
	if len(list) < previewListed {
		list = append(list, v)
	}
	return list
}
