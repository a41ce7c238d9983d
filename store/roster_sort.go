package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// ordering lists the columns that sort resources by an attribute. Resources with equal values are
// in the order of the list.
type ordering struct {
	terms          []sortTerm
	textExpression string // SQL of the string to sort by; an empty string literal for times
	// values returns the values of the terms for a place with this sort key.
	values func(key string) ([]any, error)
	// sortKey returns the sort key of a document. text is the value of textExpression.
	sortKey func(doc roster.Document, text string) string
}

// sortTerm is an SQL expression to sort by.
type sortTerm struct {
	sql        string
	descending bool
}

// sortOrdering returns the ordering for the query's sort attribute, or false if no columns give the
// same order.
func (l listing) sortOrdering() (ordering, bool) {
	if l.Sort == nil || l.Sort.Path.URN != "" {
		return ordering{}, false
	}
	if l.Sort.Path.Name == "meta" {
		column, ok := timeColumns[l.Sort.Path.Sub]
		return orderByTime(column, l.Sort.Descending), ok
	}
	c, ok := textColumn(l.Kind, l.Sort.Path.Name)
	if !ok || l.Sort.Path.Sub != "" {
		return ordering{}, false
	}
	return orderByText(c, l.Sort.Descending), true
}

// orderByText returns the ordering by a column that contains text.
func orderByText(c column, descending bool) ordering {
	o := ordering{terms: []sortTerm{{c.name, descending}}, textExpression: c.name}
	if c.optional {
		// RFC 7644 §3.4.2.3: resources without a value come last in ascending order, and first in
		// descending order.
		o.terms = []sortTerm{{"(" + c.name + " = '')", descending}, {c.name, descending}}
	}
	o.values = func(key string) ([]any, error) {
		text, ok := scim.KeyText(key)
		switch {
		case !ok:
			return nil, fmt.Errorf("the key of a place sorted by %s is no text", c.name)
		case c.optional:
			return []any{text == "", text}, nil
		}
		return []any{text}, nil
	}
	o.sortKey = func(_ roster.Document, text string) string { return scim.TextKey(text) }
	return o
}

// orderByTime returns the ordering by the time of creation or of the last change.
func orderByTime(column string, descending bool) ordering {
	o := ordering{terms: []sortTerm{{column, descending}}, textExpression: "''"}
	o.values = func(key string) ([]any, error) {
		at, ok := scim.KeyTime(key)
		if !ok {
			return nil, fmt.Errorf("the key of a place sorted by %s is no time", column)
		}
		return []any{micros(at)}, nil
	}
	o.sortKey = func(doc roster.Document, _ string) string {
		if column == timeColumns["created"] {
			return scim.TimeKey(doc.Created)
		}
		return scim.TimeKey(doc.Modified)
	}
	return o
}

// orderClause returns the terms of the "order by" clause. If opposite is true, the order is
// reversed.
func (o ordering) orderClause(opposite bool) string {
	var b strings.Builder
	for _, t := range o.terms {
		b.WriteString(t.sql + sortDirection(t.descending != opposite) + ", ")
	}
	return b.String() + "r.seq" + sortDirection(opposite) + ", r.id" + sortDirection(opposite)
}

// sortDirection returns the SQL after a term of an "order by" clause.
func sortDirection(descending bool) string {
	if descending {
		return " desc"
	}
	return ""
}

// scan reads a document and the sort string in the column after it.
func (o ordering) scan(row scanner) (d roster.Document, err error) {
	var created, modified int64
	var text string
	err = row.Scan(&d.ID, &d.Version, &created, &modified, &d.JSON, &d.Position, &d.Active, &text)
	d.Created, d.Modified = fromMicros(created), fromMicros(modified)
	d.SortKey = o.sortKey(d, text)
	return d, err
}

// continueFrom narrows a listing to the resources after l.After or before l.Before, if the query
// has one of them.
func (l listing) continueFrom(o ordering) (listing, error) {
	place, back := l.After, false
	if l.Before != nil {
		place, back = l.Before, true
	}
	if place == nil {
		return l, nil
	}
	values, err := o.values(place.SortKey)
	if err != nil {
		return l, err
	}
	n := prefilter{sql: tiebreakCondition(back), args: []any{place.Position, place.ID}}
	for i, t := range slices.Backward(o.terms) {
		op := ">"
		if t.descending != back {
			op = "<"
		}
		// The first part of the condition lets an index on the column find the start. The second
		// part decides about resources with the same value as the place.
		n.sql = "(" + t.sql + " " + op + "= ? and (" + t.sql + " " + op + " ? or " + n.sql + "))"
		n.args = append([]any{values[i], values[i]}, n.args...)
	}
	n = n.numberPlaceholders(len(l.args))
	l.where += " and " + n.sql
	l.args = append(slices.Clone(l.args), n.args...)
	if l.byName && o.terms[0].descending == back {
		l.args[1] = values[0]
	}
	return l, nil
}

// tiebreakCondition returns the condition for resources after a place, or before the place if back
// is true, among the resources with the same value.
func tiebreakCondition(back bool) string {
	if back {
		return "(r.seq, r.id) < (?, ?)"
	}
	return "(r.seq, r.id) > (?, ?)"
}
