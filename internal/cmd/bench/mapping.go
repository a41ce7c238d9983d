package main

import (
	"context"
	"fmt"
	"time"

	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/expr"
	"github.com/rollcall-scim/rollcall/provision/templates"
)

// measureMapping measures how fast the user mapping of new applications is evaluated for many
// people, on one core. This mapping is called the guide's, because it comes from a setup guide. It
// is compiled only once.
func (b *bench) measureMapping(ctx context.Context, r *report) error {
	rows, err := guideRows()
	if err != nil {
		return err
	}
	r.Rows = len(rows)
	people := make([]expr.Env, 1000)
	for i := range people {
		attributes := personOf(i).attributes()
		attributes["IsSoftDeleted"] = false
		people[i] = expr.Env{Attribute: func(name string) expr.Value { return exprValue(attributes[name]) }}
	}
	if _, err := evaluate(ctx, rows, people, b.roundDuration/4); err != nil {
		return err
	}
	for round := range b.rounds {
		s, err := evaluate(ctx, rows, people, b.roundDuration/2)
		if err != nil {
			return err
		}
		micros := float64(s.Elapsed.Nanoseconds()) / 1e3 / float64(s.Requests)
		r.Mapping = append(r.Mapping, micros)
		b.print("  round %d of %d  %.2f µs per user", round+1, b.rounds, micros)
	}
	return nil
}

// guideRows returns the compiled rows of the guide's user mapping.
func guideRows() ([]provision.CompiledMapping, error) {
	text, err := templates.Get(templates.Guide)
	if err != nil {
		return nil, err
	}
	schema, err := provision.ParseSchema(text)
	if err != nil {
		return nil, err
	}
	users, err := schema.UserMapping()
	if err != nil {
		return nil, err
	}
	return schema.Compile(users, source.UserAttributes{})
}

// exprValue returns an attribute as a value of the expression language.
func exprValue(v any) expr.Value {
	switch v := v.(type) {
	case string:
		return expr.String(v)
	case bool:
		return expr.Boolean(v)
	}
	return expr.Null()
}

// evaluate evaluates all rows for each of the people, again and again for the time d. The sample
// counts the people.
func evaluate(ctx context.Context, rows []provision.CompiledMapping, people []expr.Env, d time.Duration) (s sample, err error) {
	for start := time.Now(); s.Elapsed < d && ctx.Err() == nil; s.Elapsed = time.Since(start) {
		for _, person := range people {
			for _, row := range rows {
				v, err := row.Expr.Eval(person)
				if err != nil {
					return s, fmt.Errorf("row %d (%s): %w", row.Row, row.Target, err)
				}
				if v.IsNull() {
					return s, fmt.Errorf("row %d (%s) yields nothing", row.Row, row.Target)
				}
			}
		}
		s.Requests += len(people)
	}
	return s, ctx.Err()
}
