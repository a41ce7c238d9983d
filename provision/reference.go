package provision

import (
	"context"
	"fmt"
)

// references returns the rows that refer to other people, such as the manager, and are sent. A row
// that applies only during creation is not: no reference is sent with a create.
func (m *mapping) references() []*row {
	var rows []*row
	for i := range m.rows {
		if r := &m.rows[i]; r.Type == TypeReference && r.Expr != nil && m.kind == UserKind && r.FlowType != FlowObjectAddOnly {
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
// Somebody without an account is left out. When they get one, the person is looked at again. The
// references of a person without access are not sent, and nobody looks at them again until the person
// has access.
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

// standingOf returns the id of the account of a person that somebody refers to, or "". there is false
// if neither the directory nor a link knows such an object.
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
