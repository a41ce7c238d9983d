package provision

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/provision/expr"
	"github.com/rollcall-scim/rollcall/refusal"
)

// RowPreview shows what one row of a mapping yields, before the row is saved.
type RowPreview struct {
	Chosen   *PreviewValue  // the value of the person shown in detail; nil if there is no person to show
	Trace    *expr.Step     // how the value of Chosen was computed; nil if the row has no expression
	Drawn    []PreviewValue // the values of people chosen at random
	Example  bool           // whether the values are only examples, because each account gets its own random or unique value
	Empty    []PreviewValue // the first few people without a value
	Failing  []PreviewValue // the first few people with a failure of the row
	Empties  int            // how many of Examined have no value
	Failures int            // for how many of Examined the row fails
	Examined int            // for how many people the row was evaluated
	All      bool           // whether the row was evaluated for all active people in the job's scope
}

// PreviewValue is the value of a row for one person.
type PreviewValue struct {
	Person
	Values  []string // the values; empty if there is none
	Hidden  bool     // whether Values is empty because the value is a password or uses Redact
	Problem string   // why the row fails; "" if it does not fail
}

// Limits on how much a preview looks at.
const (
	previewDrawn   = 10                     // how many people are chosen at random
	previewListed  = 5                      // how many people without a value, or with a failure, are listed
	previewMembers = 100                    // how many members of a group are counted
	previewTime    = 400 * time.Millisecond // how long the row is evaluated for counting
)

// Try evaluates a row as for a new account. replaces is the target attribute of the row that edit
// would replace. person is the object id of the person to show in detail; if it is "", Try shows
// one of the people chosen at random. Try reads only the directory, so SelectUniqueValue treats
// every value as free. Try returns an *InputError or *ExpressionError if the row cannot be used,
// and refusal.NotFound if the person does not exist.
func (j *Jobs) Try(ctx context.Context, job Job, mapping, replaces string, edit RowEdit, person string) (RowPreview, error) {
	var t RowPreview
	changed, err := job.SetRow(mapping, replaces, edit, j.Attributes)
	if err != nil {
		return t, err
	}
	tryRow, err := j.previewer(ctx, changed, mapping, edit.Target)
	if err != nil {
		return t, err
	}
	t.Example = tryRow.row.draws()
	drawn, err := tryRow.drawSample(ctx)
	if err != nil {
		return t, err
	}
	for _, o := range drawn {
		v, err := tryRow.value(ctx, o)
		if err != nil {
			return t, err
		}
		t.Drawn = append(t.Drawn, v)
	}
	if err := tryRow.count(ctx, &t); err != nil {
		return t, err
	}
	if person == "" && len(drawn) == 0 {
		return t, nil
	}
	chosen := Object{}
	if person == "" {
		chosen = drawn[0]
	} else if chosen, err = tryRow.read(ctx, person); err != nil {
		return t, err
	}
	v, err := tryRow.value(ctx, chosen)
	if err != nil {
		return t, err
	}
	t.Chosen = &v
	if tryRow.row.Expr != nil && !tryRow.ofMembers() {
		_, t.Trace, _ = tryRow.row.Expr.Trace(tryRow.env(chosen)) //nolint:errcheck // t.Chosen already has this error
	}
	return t, nil
}

// rowPreviewer evaluates one row of the mapping of users or of groups.
type rowPreviewer struct {
	m      *mapping
	row    *row
	job    Job
	source Source
	groups GroupSource // the source of groups, for a row of groups; otherwise nil
}

// previewer returns a rowPreviewer for the row of the mapping that writes the target attribute.
func (j *Jobs) previewer(ctx context.Context, job Job, mapping, target string) (rowPreviewer, error) {
	t := rowPreviewer{job: job}
	object, err := job.Schema.ObjectMapping(mapping)
	if err != nil {
		return t, err
	}
	kind, catalog := UserKind, j.Attributes
	if object.SourceObjectName == string(GroupKind) {
		kind, catalog = GroupKind, nil
	}
	if t.m, err = compileObject(job.Schema, object, kind, catalog); err != nil {
		return t, err
	}
	t.m.now = j.Now
	if t.row = t.m.row(target); t.row == nil {
		return t, &InputError{Field: "Target attribute", Text: "is empty: choose an attribute"}
	}
	if t.source, err = j.Sources(ctx, job.Key.Directory); err != nil {
		return t, fmt.Errorf("open the directory: %w", err)
	}
	t.m.domain = t.source.DefaultDomain()
	if kind == UserKind {
		return t, nil
	}
	has := false
	if t.groups, has = t.source.(GroupSource); !has {
		return t, &InputError{Field: "Mapping", Text: "is of groups, and the directory has none"}
	}
	return t, nil
}

// snapshot returns a page of users or groups.
func (t rowPreviewer) snapshot(ctx context.Context, after string, limit int) ([]Object, error) {
	q := SnapshotQuery{App: t.job.Key.App, AssignedOnly: t.job.Scope != Everyone, After: after, Limit: limit}
	read := t.source.Snapshot
	if t.groups != nil {
		read = t.groups.GroupSnapshot
	}
	list, err := read(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("read the %ss: %w", strings.ToLower(string(t.m.kind)), err)
	}
	return list, nil
}

// read returns one user or group. It returns refusal.NotFound if there is none with this id.
func (t rowPreviewer) read(ctx context.Context, id string) (Object, error) {
	if t.groups != nil {
		return t.groups.GroupObject(ctx, t.job.Key.App, id)
	}
	found, err := t.source.Objects(ctx, t.job.Key.App, []string{id})
	if err != nil {
		return Object{}, fmt.Errorf("read the person: %w", err)
	}
	if len(found) == 0 {
		return Object{}, refusal.NotFound
	}
	return found[0], nil
}

// ofMembers reports whether the row sends the members of groups.
func (t rowPreviewer) ofMembers() bool { return t.groups != nil && t.row.Type == TypeReference }

// countMembersInWords returns the number of a group's members in words as the value of the row,
// because each member is sent as a separate reference.
func (t rowPreviewer) countMembersInWords(ctx context.Context, o Object) (PreviewValue, error) {
	v := PreviewValue{Person: Person{ObjectID: o.ID, Name: o.Name}}
	found, err := t.groups.Members(ctx, o.ID, "", previewMembers+1)
	switch n := len(found); {
	case err != nil:
		return v, fmt.Errorf("read the members of a group: %w", err)
	case n > previewMembers:
		v.Values = []string{fmt.Sprintf("more than %d members", previewMembers)}
	case n == 1:
		v.Values = []string{"1 member"}
	case n > 1:
		v.Values = []string{fmt.Sprintf("%d members", n)}
	}
	return v, nil
}

// env returns the data that the row's expression may read. IsSoftDeleted is false if the person is
// active in the directory, as if the person were in scope.
func (t rowPreviewer) env(o Object) expr.Env {
	attributes := map[string]any{attrEnabled: false}
	maps.Copy(attributes, o.Attributes)
	attributes[attrSoftDeleted] = !o.Active()
	env := t.m.env(attributes)
	env.Random = rand.Reader
	env.Taken = func(string) (bool, error) { return false, nil }
	return env
}

// value returns the value that the row gives one user or group.
func (t rowPreviewer) value(ctx context.Context, o Object) (PreviewValue, error) {
	if t.ofMembers() {
		return t.countMembersInWords(ctx, o)
	}
	v := PreviewValue{Person: Person{ObjectID: o.ID, Name: o.Name}}
	want, _, problem := t.row.evaluate(t.env(o), true)
	switch {
	case problem != nil:
		v.Problem = problem.Text
	case want == nil:
	case t.m.hidesValues(t.row.Target):
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
	return v, nil
}

// hasAnyValue reports whether the row has a value for the person.
func (v PreviewValue) hasAnyValue() bool { return v.Hidden || len(v.Values) > 0 }

// drawSample returns active people or groups, chosen at random. In a large directory it chooses
// random positions in the list.
func (t rowPreviewer) drawSample(ctx context.Context) ([]Object, error) {
	first, err := t.snapshot(ctx, "", importPage)
	if err != nil {
		return nil, err
	}
	if len(first) < importPage {
		first = slices.DeleteFunc(first, func(o Object) bool { return !o.Active() })
		mathrand.Shuffle(len(first), func(i, j int) { first[i], first[j] = first[j], first[i] })
		return first[:min(len(first), previewDrawn)], nil
	}
	var drawn []Object
	seen := map[string]bool{}
	for range 2 * previewDrawn {
		// Object ids are random hexadecimal digits, so random digits are a random place in the
		// list.
		place := fmt.Sprintf("%016x", mathrand.Uint64())
		list, err := t.snapshot(ctx, place, 1)
		if err != nil {
			return nil, err
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

// count evaluates the row for everyone, or for as many people as previewTime allows, and adds the
// results to trial.
func (t rowPreviewer) count(ctx context.Context, trial *RowPreview) error {
	end, after := time.Now().Add(previewTime), ""
	for {
		list, err := t.snapshot(ctx, after, importPage)
		if err != nil {
			return err
		}
		for _, o := range list {
			if !o.Active() {
				continue
			}
			if trial.Examined > 0 && time.Now().After(end) {
				return nil
			}
			v, err := t.value(ctx, o)
			if err != nil {
				return err
			}
			trial.add(v)
		}
		if len(list) < importPage {
			trial.All = true
			return nil
		}
		after = list[len(list)-1].ID
	}
}

// add counts the result for one person.
func (p *RowPreview) add(v PreviewValue) {
	p.Examined++
	switch {
	case v.Problem != "":
		p.Failures++
		p.Failing = appendFew(p.Failing, v)
	case !v.hasAnyValue():
		p.Empties++
		p.Empty = appendFew(p.Empty, v)
	}
}

// appendFew adds the value to the list, unless the list is already as long as previews show.
func appendFew(list []PreviewValue, v PreviewValue) []PreviewValue {
	if len(list) < previewListed {
		list = append(list, v)
	}
	return list
}
