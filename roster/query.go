package roster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/scim"
)

const (
	// DefaultCount is the page size where a client names none.
	DefaultCount = 100
	// MaxCount caps the page size silently. RFC 7644 §3.4.2.4: a server may return fewer than asked for.
	MaxCount = 500
)

// Query asks for one page of resources.
type Query struct {
	Kind       Kind         // empty: User
	Filter     *scim.Filter // nil: all
	StartIndex int          // 1-based; below 1 means 1
	Count      int          // 0 or below: the total alone; capped at MaxCount
}

// Page is the answer to a Query.
type Page struct {
	TotalResults int // all that match, whatever the page
	StartIndex   int // as applied
	Documents    []Document
}

// Get returns a resource, 404 if there is none.
func (r *Roster) Get(ctx context.Context, kind Kind, id string) (Document, error) {
	if !storable(id) {
		return Document{}, notFound(kind, id)
	}
	doc, err := r.Store.Get(ctx, r.site.ID, kind, id)
	if errors.Is(err, ErrNotFound) {
		return Document{}, notFound(kind, id)
	}
	if err != nil {
		return Document{}, fmt.Errorf("get %s %s: %w", kind, id, err)
	}
	return doc, nil
}

// List returns the resources that match, in an order that holds from page to page, and how many match altogether.
func (r *Roster) List(ctx context.Context, q Query) (Page, error) {
	if q.Kind == "" {
		q.Kind = User
	}
	start := max(q.StartIndex, 1)
	count := min(max(q.Count, 0), MaxCount)
	limit := r.ScanLimit
	if limit <= 0 {
		limit = DefaultScanLimit
	}
	docs, total, err := r.Store.List(ctx, r.site.ID, q.Kind, q.Filter, start-1, count, limit)
	if errors.Is(err, ErrTooMany) {
		return Page{}, scim.TooMany("This filter would read more than %d resources. Filter by id, userName, externalId, displayName, userType, active or emails.value as well.", limit)
	}
	if err != nil {
		return Page{}, fmt.Errorf("list %s resources: %w", q.Kind, err)
	}
	return Page{TotalResults: total, StartIndex: start, Documents: docs}, nil
}

func notFound(kind Kind, id string) error {
	return scim.NotFound("There is no %s with the id %q on this site.", kind, id)
}

// storable says whether a text can be one that is stored: clients put anything into a URL.
func storable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsRune(text, 0)
}
