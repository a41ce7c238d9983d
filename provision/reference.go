package provision

import (
	"context"
	"fmt"
)

// references returns the rows that send a reference to another person, such as the manager. It
// leaves out rows that apply only during creation, because no reference is sent with a create.
func (m *mapping) references() []*row {
	var rows []*row
	for i := range m.rows {
		if r := &m.rows[i]; r.Type == TypeReference && r.Expr != nil && m.kind == UserKind && r.FlowType != FlowObjectAddOnly {
			rows = append(rows, r)
		}
	}
	return rows
}

// refersTo returns the object id to which a person with these attributes refers, for example that
// of the manager. It returns "" if there is none. If the mapping has several references, it returns
// the first that has a value.
func (m *mapping) refersTo(attributes map[string]any) string {
	for _, r := range m.references() {
		if v, err := r.Expr.Eval(m.env(attributes)); err == nil && !v.IsNullOrEmpty() {
			return v.Text()
		}
	}
	return ""
}

// addReferences adds the values of the rows with references to w.values. A value is the id of the
// account of another person, such as the manager. If the other person has no account, the value is
// empty. When that person gets an account, the engine looks at this person again. While this person
// has no access, addReferences adds no values. A decision that is not nil means that a row failed.
func (p *pass) addReferences(ctx context.Context, w *work, attributes map[string]any) (decision, error) {
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
				return w.failRow(r.unreadableProblem(id, "the object id of a user, as the attribute manager has it")), nil
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

// standingOf returns the account id of the person with this object id, or "" if there is no usable
// account. there is false if neither the directory nor a link knows the object.
func (p *pass) standingOf(ctx context.Context, objectID string) (account string, there bool, err error) {
	known, err := p.otherObjects.known(ctx, objectID)
	switch {
	case err != nil:
		return "", false, err
	case known.Link == nil:
		o, err := p.otherObjects.read(ctx, objectID)
		return "", o != nil, err
	case known.Link.Kind == GroupKind:
		return "", true, nil
	}
	return known.Link.usableAccountID(), true, nil
}
