package provision

import (
	"context"
	"fmt"
)

// references returns the rows that refer to other people, such as the manager.
func (m *mapping) references() []*row {
	var rows []*row
	for i := range m.rows {
		if r := &m.rows[i]; r.Type == TypeReference && r.Expr != nil && m.kind == UserKind {
			rows = append(rows, r)
		}
	}
	return rows
}

// refersTo returns the object that a person refers to, and "" if to none. A mapping with several
// references counts the first that has a value.
func (m *mapping) refersTo(attributes map[string]any) string {
	for _, r := range m.references() {
		if v, err := r.Expr.Eval(m.env(attributes)); err == nil && !v.IsNullOrEmpty() {
			return v.Text()
		}
	}
	return ""
}

// refer adds the values of references: the ids of the accounts that the person refers to.
// Somebody without an account is left out. When they get one, the person is looked at again.
func (p *pass) refer(ctx context.Context, w *work, attributes map[string]any) (decision, error) {
	rows := p.m.references()
	if len(rows) == 0 || !w.entitled() {
		return nil, nil
	}
	link := *w.link
	link.Refers = p.m.refersTo(attributes)
	w.link = &link
	for _, r := range rows {
		if r.FlowType == FlowObjectAddOnly {
			continue // no reference is sent with a create
		}
		want, _, problem := r.evaluate(p.m.env(attributes), false)
		if problem != nil {
			return w.failRow(problem), nil
		}
		v := value{row: r}
		if id, named := want.(string); named {
			target, err := p.standingOf(ctx, id)
			if err != nil {
				return nil, err
			}
			if target == "" {
				w.step("EntrySynchronizationReferences", ReferenceStep, Skipped, fmt.Sprintf("%s is not sent: the person that it names has no account in %s that may be used. It follows when there is one.", r.Target, p.m.target), map[string]string{"objectId": id})
			} else {
				v.want = target
				w.refersTo = target
			}
		}
		w.values = append(w.values, v)
	}
	return nil, nil
}

// standingOf returns the id of the account of a person that somebody refers to, or "".
func (p *pass) standingOf(ctx context.Context, objectID string) (string, error) {
	known, err := p.others.known(ctx, objectID)
	if err != nil {
		return "", err
	}
	if known.Link != nil && known.Link.Kind == GroupKind {
		return "", nil
	}
	return known.Link.standing(), nil
}
