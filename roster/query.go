package roster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

const (
	// DefaultCount is the page size if the client asks for none.
	DefaultCount = 100
	// MaxCount is the largest page size. A client that asks for more gets a page of this size,
	// without an error. RFC 7644 §3.4.2.4 allows that.
	MaxCount = 500
)

// Query asks for one page of resources.
type Query struct {
	Kind       scim.TypeName // the resource type; empty means User
	Filter     *scim.Filter  // selects resources; nil means all
	SortBy     *scim.Sort    // the sort order; nil means by creation
	StartIndex int           // the 1-based position of the first resource; below 1 means 1
	Count      int           // the page size, at most MaxCount; 0 or less returns only the total

	ByCursor bool   // whether to page by cursor, not by StartIndex. RFC 9865
	Cursor   string // the NextCursor of the previous page; empty for the first page
}

// Page is the answer to a Query.
type Page struct {
	TotalResults int // the number of matching resources on all pages
	StartIndex   int // the position of the first resource of this page, after limits were applied
	Documents    []Document
	NextCursor   string // the cursor of the next page; empty on the last page and for queries without cursors

	PreviousCursor string // the cursor of the previous page; empty on the first page and for queries without cursors

	// CutShort means that the page has fewer resources than requested, because they are large. RFC
	// 7644 §3.4.2.4 allows that. The next page begins right after this one.
	CutShort bool
}

// Get returns a resource, or refusal.NotFound if it does not exist. It returns a group without its
// members.
func (r *Roster) Get(ctx context.Context, kind scim.TypeName, id string) (Document, error) {
	doc, _, err := r.get(kind, id, func() (doc Document, groups []Membership, err error) {
		doc, err = r.store.Get(ctx, r.site.ID, kind, id)
		return doc, nil, err
	})
	return doc, err
}

// GetWithGroups is like Get, and also returns the groups that have the resource as a direct member.
// It reads both in one transaction.
func (r *Roster) GetWithGroups(ctx context.Context, kind scim.TypeName, id string) (Document, []Membership, error) {
	if !r.site.Groups {
		doc, err := r.Get(ctx, kind, id)
		return doc, nil, err
	}
	return r.get(kind, id, func() (Document, []Membership, error) {
		return r.store.GetWithGroups(ctx, r.site.ID, kind, id)
	})
}

// get checks a request for one resource, and then calls read.
func (r *Roster) get(kind scim.TypeName, id string, read func() (Document, []Membership, error)) (Document, []Membership, error) {
	if r.err != nil {
		return Document{}, nil, r.err
	}
	if !isStorable(id) || kind == Group && !r.site.Groups {
		return Document{}, nil, notFound(kind, id)
	}
	doc, groups, err := read()
	if errors.Is(err, refusal.NotFound) {
		return Document{}, nil, notFound(kind, id)
	}
	if err != nil {
		return Document{}, nil, fmt.Errorf("get %s %s: %w", kind, id, err)
	}
	return doc, groups, nil
}

// List returns a page of the matching resources and the total number of matches. The order is the
// same from page to page.
func (r *Roster) List(ctx context.Context, q Query) (Page, error) {
	if q.Kind == "" {
		q.Kind = User
	}
	if q.ByCursor {
		return r.listByCursor(ctx, q)
	}
	start := max(q.StartIndex, 1)
	if q.Kind == Group && !r.site.Groups {
		return Page{StartIndex: start}, nil
	}
	found, err := r.list(ctx, ListQuery{
		Kind: q.Kind, Filter: q.Filter, Sort: q.SortBy,
		Offset: start - 1, Count: min(max(q.Count, 0), MaxCount),
	})
	return Page{TotalResults: found.Total, StartIndex: start, Documents: found.Documents, CutShort: found.CutShort}, err
}

// list reads a page from the store. For a query that would read too much, it returns an error with
// advice.
func (r *Roster) list(ctx context.Context, q ListQuery) (Found, error) {
	if r.err != nil {
		return Found{}, r.err
	}
	q.Groups, q.ScanLimit = r.site.Groups, r.scanLimit
	if q.ScanLimit <= 0 {
		q.ScanLimit = DefaultScanLimit
	}
	found, err := r.store.List(ctx, r.site.ID, q)
	switch {
	case errors.Is(err, ErrTooMany):
		return Found{}, ErrTooMany.Because("this query would read more than %d resources", q.ScanLimit).Advise("%s", narrowingAdvice(q.Kind))
	case errors.Is(err, ErrTooSlow):
		return Found{}, ErrTooSlow.Advise("%s", narrowingAdvice(q.Kind))
	case err != nil:
		return Found{}, fmt.Errorf("list %s resources: %w", q.Kind, err)
	}
	return found, nil
}

// narrowingAdvice says by which attributes a client can filter, so that the query reads fewer
// resources.
func narrowingAdvice(kind scim.TypeName) string {
	by := "id or externalId"
	switch kind {
	case User:
		by = "id, userName, externalId, displayName, userType, active or emails.value"
	case Group:
		by = "id, externalId, displayName or members.value"
	}
	return "filter by " + by + " as well, or have an administrator of the site declare the attribute searchable"
}

// notFound returns the refusal for an id that no resource of this kind has.
func notFound(kind scim.TypeName, id string) error {
	return refusal.New(refusal.NotFound, "", "there is no %s with the id %q on this site", kind, phrase.Cut(id, maxShownIDBytes))
}

// isStorable reports whether the database can store this string. A string from a URL may contain
// bytes that it cannot store.
func isStorable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsRune(text, 0)
}
