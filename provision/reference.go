package provision

import (
	"context"
	"fmt"
)

// references returns the rows that refer to other people, such as the manager, and whose references
// are sent. It leaves out rows that apply only during creation, because no reference is sent with a
// create.
func (m *mapping) references() []*row {
	var rows []*row
	for i := range m.rows {
		if r := &m.rows[i]; r.Type == TypeReference && r.Expr != nil && m.kind == UserKind && r.FlowType != FlowObjectAddOnly {
			rows = append(rows, r)
		}
	}
	return rows
}

// refersTo returns the id of the object that a person refers to, or "" if there is none. If a
// mapping has several references, the first one with a value counts.
func (m *mapping) refersTo(attributes map[string]any) string {
	for _, r := range m.references() {
		if v, err := r.Expr.Eval(m.env(attributes)); err == nil && !v.IsNullOrEmpty() {
			return v.Text()
		}
	}
	return ""
}

// refer adds the values of references: the ids of the accounts that the person refers to. It leaves
// out a referenced person without an account; when that person gets one, the engine looks at this
// person again. For a person without access, no references are sent until the person has access
// again.
func (p *pass) refer(ctx context.Context, w *work, attributes map[string]any) (decision, error) {
	rows := p.m.references()
	link := *w.link
	w.link, link.Refers = &link, ""
	if len(rows) == 0 || !w.entitled() {
		return nil, nil
	}
	link.Refers = p.m.refersTo(attributes)
	for _, r := range rows {
		want, _, problem := r.evaluate(p.m.env(attributes), false)
		if problem != nil {
			return w.failRow(problem), nil
		}
		v := value{row: r}
		if id, named := want.(string); named {
			target, there, err := p.standingOf(ctx, id)
			if err != nil {
				return nil, err
			}
			if !there {
				return w.failRow(r.unreadable(id, "the object id of a user, as the attribute manager has it")), nil
			}
			if target == "" {
				w.step("EntrySynchronizationReferences", ReferenceStep, Skipped, fmt.Sprintf("%s is not sent: the person that it names has no account in %s that may be used. It follows when there is one.", r.Target, p.m.target), map[string]string{"objectId": id})
			} else {
				v.want = target
				if id == link.Refers {
					w.refersTo = target
				}
			}
		}
		w.values = append(w.values, v)
	}
	return nil, nil
}

// standingOf returns the account id of a referenced person, or "" if there is no usable account.
// there is false if neither the directory nor a link knows the object.
func (p *pass) standingOf(ctx context.Context, objectID string) (account string, there bool, err error) {
	known, err := p.others.known(ctx, objectID)
	switch {
	case err != nil:
		return "", false, err
	case known.Link == nil:
		o, err := p.others.read(ctx, objectID)
		return "", o != nil, err
	case known.Link.Kind == GroupKind:
		return "", true, nil
	}
	return known.Link.standing(), true, nil
}
