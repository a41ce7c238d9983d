package roster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// What is declared searchable has value rows: one for each different value that a resource has of it.
//
//	DeclareSearchable ─► every write keeps the rows of its resource from here on
//	                └─► Advance adds those of the resources that are there, slice after slice ─► complete: filters use them
//	WithdrawSearchable ─► filters and writes use them no more ─► Advance clears them
//
// What a filter may use is read in the snapshot of its own query.

// LeaseKind is the kind of the leases under which Advance works; their keys are ids of sites.
const LeaseKind = "searchable"

const (
	// indexTogether is how many resources share one transaction of Advance: few, so that others wait for milliseconds.
	indexTogether = 100
	// indexSteps is how many transactions make one slice.
	indexSteps = 50
)

// Indexing says how far the rows of something declared searchable are.
type Indexing struct {
	site.Searchable
	Complete    bool // filters use them
	Done, Total int  // resources of the type that have their rows, of how many there are
}

// Indexing returns what is declared searchable, in the order of the declarations.
func (r *Roster) Indexing(ctx context.Context) ([]Indexing, error) {
	all, err := r.store.Indexing(ctx, r.site.ID)
	if err != nil {
		return nil, fmt.Errorf("read what is searchable: %w", err)
	}
	return all, nil
}

// Advance brings the value rows of a site after what is declared searchable, for one slice: some thousand resources. It
// returns when the next slice is due, zero if nothing is left to do.
func (r *Rosters) Advance(ctx context.Context, key string, epoch int64) (next time.Time, err error) {
	for range indexSteps {
		more, err := r.Store.Index(ctx, site.ID(key), epoch, indexTogether)
		if errors.Is(err, refusal.NotFound) {
			return time.Time{}, nil
		}
		if err != nil {
			return time.Time{}, fmt.Errorf("index site %s: %w", key, err)
		}
		if !more {
			return time.Time{}, nil
		}
	}
	return r.Now(), nil
}

// IndexedValues is how many different values a resource may have of an attribute before they have one row for all of
// them, which is of an empty value: one resource must hold up nobody.
const IndexedValues = 100

// DeclaredValues lists the values that a stored resource has of what is declared searchable of its kind. It needs no
// schema, so that a row means the same whatever the schemas become.
func (rec *Record) DeclaredValues(declared []site.Searchable) ([]Value, error) {
	if !slices.ContainsFunc(declared, func(s site.Searchable) bool { return s.Type == string(rec.Kind) }) {
		return nil, nil
	}
	doc, err := rec.document()
	if err != nil {
		return nil, err
	}
	var values []Value
	for _, s := range declared {
		if s.Type == string(rec.Kind) {
			values = append(values, valuesAt(doc, s)...)
		}
	}
	return values, nil
}

func valuesAt(doc scim.Resource, s site.Searchable) []Value {
	var values []Value
	eachValue(doc, s.Path, func(value any) bool {
		v := Value{Path: s.ID}
		if v.Folded, _ = IndexKey(value); v.Folded == "" || slices.Contains(values, v) {
			return true
		}
		values = append(values, v)
		return len(values) <= IndexedValues
	})
	if len(values) > IndexedValues {
		return []Value{{Path: s.ID}}
	}
	return values
}

// eachValue visits the values at a path as a filter compares them, those of every element and of sub-attributes with
// several, until visit is false.
func eachValue(doc scim.Resource, path scim.AttrPath, visit func(any) bool) {
	from := map[string]any(doc)
	if path.URN != "" {
		from, _ = doc[path.URN].(map[string]any)
	}
	for _, e := range elementsOf(from[path.Name]) {
		if m, isMap := e.(map[string]any); isMap {
			e = m[path.Sub]
		} else if path.Sub != "" && path.Sub != "value" {
			continue // a value that is not complex is its own "value"
		}
		for _, value := range elementsOf(e) {
			if !visit(value) {
				return
			}
		}
	}
}

// IndexedRunes is how much of a long text its row has: rows of that many characters may be beginnings of longer values.
const IndexedRunes = 250

// IndexKey is the form in which a value has its row: values that a filter calls equal have the same. whole says that no
// others have it, but for letter case. It is empty for what has no row.
func IndexKey(value any) (key string, whole bool) {
	switch value := value.(type) {
	case string:
		key = scim.Fold(value)
		n := 0
		for i := range key {
			if n == IndexedRunes {
				return key[:i], false
			}
			n++
		}
		return key, n < IndexedRunes
	case int64:
		// A filter compares an integer with a decimal as decimals.
		return strconv.FormatFloat(float64(value), 'g', -1, 64), -wholeNumbers < value && value < wholeNumbers
	case float64:
		return strconv.FormatFloat(value, 'g', -1, 64), -wholeNumbers < value && value < wholeNumbers
	}
	return "", false
}

// wholeNumbers bounds the integers that a decimal tells apart.
const wholeNumbers = 1 << 53
