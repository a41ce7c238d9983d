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

// An attribute that is declared searchable has value rows: one for each distinct value of a
// resource.
//
//	DeclareSearchable ─► from now on, every write updates the rows of its resource
//	                └─► Advance adds the rows of existing resources in the background ─► complete: filters use them
//	WithdrawSearchable ─► filters and writes no longer use the rows ─► Advance deletes them
//
// Each query reads in its own transaction for which attributes the rows are complete.

// LeaseKind is the kind of the leases that processes take to call Advance (see package runner). The
// keys of these leases are the ids of sites.
const LeaseKind = "searchable"

const (
	// resourcesPerTransaction is how many resources share one transaction of Advance. The number is
	// small, so that other writers wait only milliseconds.
	resourcesPerTransaction = 100
	// transactionsPerAdvance is the largest number of transactions in one call of Advance.
	transactionsPerAdvance = 50
)

// Indexing is the indexing progress of one declared attribute.
type Indexing struct {
	site.Searchable
	Complete    bool // whether all resources are indexed, so that filters use the rows
	Done, Total int  // how many resources of the type are indexed, and how many exist
}

// Indexing returns the declared attributes and their progress, in the order of the declarations.
func (r *Roster) Indexing(ctx context.Context) ([]Indexing, error) {
	all, err := r.store.Indexing(ctx, r.site.ID)
	if err != nil {
		return nil, fmt.Errorf("read what is searchable: %w", err)
	}
	return all, nil
}

// Advance does a part of the work that the lease with this key stands for, as package runner calls
// it: it indexes a few thousand resources of the site whose id is the key. It returns the time at
// which it must be called again, or the zero time if nothing is left to do.
func (r *Rosters) Advance(ctx context.Context, key string, epoch int64) (next time.Time, err error) {
	for range transactionsPerAdvance {
		more, err := r.Store.Index(ctx, site.ID(key), epoch, resourcesPerTransaction)
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

// MaxIndexedValues is the largest number of distinct values that are indexed for one attribute of a
// resource. Each gets its own row. An attribute with more values gets a single row with an empty
// value, so that one large resource does not slow down the others.
const MaxIndexedValues = 100

// DeclaredValues returns the values of a stored resource for those of the declared attributes that
// its type has. It does not use the site's schemas, so a value keeps its row when the schemas
// change.
func (rec *Record) DeclaredValues(declared []site.Searchable) ([]Value, error) {
	if !slices.ContainsFunc(declared, func(s site.Searchable) bool { return s.Type == rec.Kind }) {
		return nil, nil
	}
	doc, err := rec.document()
	if err != nil {
		return nil, err
	}
	var values []Value
	for _, s := range declared {
		if s.Type == rec.Kind {
			values = append(values, valuesAt(doc, s)...)
		}
	}
	return values, nil
}

// valuesAt returns the different values that the document has for a declared attribute.
func valuesAt(doc scim.Resource, s site.Searchable) []Value {
	var values []Value
	eachValue(doc, s.Path, func(value any) bool {
		v := Value{Path: s.ID}
		if v.Folded, _ = IndexKey(value); v.Folded == "" || slices.Contains(values, v) {
			return true
		}
		values = append(values, v)
		return len(values) <= MaxIndexedValues
	})
	if len(values) > MaxIndexedValues {
		return []Value{{Path: s.ID}}
	}
	return values
}

// eachValue calls visit with each value that a filter compares at this path, until visit returns
// false. These are the values of every element, and all values of a multi-valued sub-attribute.
func eachValue(doc scim.Resource, path scim.AttrPath, visit func(any) bool) {
	from := map[string]any(doc)
	if path.URN != "" {
		from, _ = doc[path.URN].(map[string]any)
	}
	for _, e := range elementsOf(from[path.Name]) {
		if m, isMap := e.(map[string]any); isMap {
			e = m[path.Sub]
		} else if path.Sub != "" && path.Sub != "value" {
			continue // an element that is not complex counts as its own sub-attribute "value"
		}
		for _, value := range elementsOf(e) {
			if !visit(value) {
				return
			}
		}
	}
}

// MaxIndexedRunes is the length, in characters, to which value rows truncate long strings. A row of
// exactly this length may stand for a longer value.
const MaxIndexedRunes = 250

// IndexKey returns the key of a value's row. Values that a filter treats as equal have the same
// key. whole reports whether other values cannot have the key, apart from differences in case. The
// key is empty for a value that has no row.
func IndexKey(value any) (key string, whole bool) {
	switch value := value.(type) {
	case string:
		key = scim.Fold(value)
		n := 0
		for i := range key {
			if n == MaxIndexedRunes {
				return key[:i], false
			}
			n++
		}
		return key, n < MaxIndexedRunes
	case int64:
		// A filter compares an integer with a decimal as decimals.
		return strconv.FormatFloat(float64(value), 'g', -1, 64), -maxExactInteger < value && value < maxExactInteger
	case float64:
		return strconv.FormatFloat(value, 'g', -1, 64), -maxExactInteger < value && value < maxExactInteger
	}
	return "", false
}

// maxExactInteger limits the integers that a float64 represents exactly: all integers of a smaller
// absolute value are exact.
const maxExactInteger = 1 << 53
