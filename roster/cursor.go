package roster

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/scim"
)

// CursorTimeout is how long a cursor can be used.
const CursorTimeout = time.Hour

// cursor is a place in a list, in the form that the client sends back. It gives no access: each
// request still needs a valid token. A cursor works only for the query that created it. It stays at
// the same place when other resources are added or removed.
type cursor struct {
	Expires int64  `json:"e"` // when the cursor expires, in seconds since 1970
	Query   []byte `json:"q"` // a hash of the site, kind, filter and sort order
	Count   int    `json:"c"` // the page size

	After  *cursorPlace `json:"a,omitempty"` // the page begins after this place
	Before *cursorPlace `json:"b,omitempty"` // the page ends before this place
}

// cursorPlace is the JSON form of a Place. A sort key may not be valid UTF-8, so it is bytes.
type cursorPlace struct {
	Position int64
	ID       string
	SortKey  []byte `json:",omitempty"`
}

// cursorPlaceOf converts a place to the form that it has in a cursor.
func cursorPlaceOf(p Place) *cursorPlace {
	return &cursorPlace{Position: p.Position, ID: p.ID, SortKey: []byte(p.SortKey)}
}

// place converts a place of a cursor back; nil stays nil.
func (m *cursorPlace) place() *Place {
	if m == nil {
		return nil
	}
	return &Place{Position: m.Position, ID: m.ID, SortKey: string(m.SortKey)}
}

const (
	cursorMACBytes  = 16 // the length of the signature; it may be short, because a cursor expires after an hour
	cursorHashBytes = 16 // the length of cursor.Query
)

// listByCursor returns a page with the cursors of the next and previous pages, if there are any.
//
// RFC 9865 §2: the cursor is stateless, so the server cannot run out of cursors.
func (r *Roster) listByCursor(ctx context.Context, q Query) (Page, error) {
	key, err := r.signingKey(ctx)
	if err != nil {
		return Page{}, err
	}
	if q.Count < 0 || q.Count > MaxCount {
		return Page{}, scim.InvalidCount("count must be between 0 and %d where pages are asked for by cursor.", MaxCount)
	}
	at := cursor{Query: r.fingerprint(q), Count: q.Count}
	if q.Cursor != "" {
		if at, err = r.openCursor(key, q, at); err != nil {
			return Page{}, err
		}
	}
	if q.Kind == Group && !r.site.Groups {
		return Page{StartIndex: 1}, nil
	}
	list := ListQuery{Kind: q.Kind, Filter: q.Filter, Sort: q.SortBy, After: at.After.place(), Before: at.Before.place(), Count: q.Count}
	if q.Count > 0 {
		list.Count++ // one more document shows whether there is another page
	}
	found, err := r.list(ctx, list)
	if err != nil {
		return Page{}, err
	}
	docs := found.Documents
	page := Page{TotalResults: found.Total, StartIndex: 1, Documents: docs, CutShort: found.CutShort}
	surplus := q.Count > 0 && len(docs) > q.Count
	more := surplus || found.CutShort
	switch {
	case surplus && at.Before != nil:
		page.Documents = docs[1:]
	case surplus:
		page.Documents = docs[:q.Count]
	}
	next, previous := at.next(page.Documents, more), at.previous(page.Documents, more)
	now := r.now()
	if page.NextCursor, err = sealCursor(key, next, now); err != nil {
		return Page{}, err
	}
	page.PreviousCursor, err = sealCursor(key, previous, now)
	return page, err
}

// next returns the cursor of the next page, or nil if there is none. more says that the store has
// further resources in the direction in which the client pages.
func (c cursor) next(docs []Document, more bool) *cursor {
	switch {
	case len(docs) == 0 && c.Before != nil:
		// All resources before this place were deleted. The next page begins at the place from
		// which the client paged back.
		c.After, c.Before = justBefore(*c.Before), nil
	case len(docs) == 0, !more && c.Before == nil:
		return nil
	default:
		c.After, c.Before = cursorPlaceOf(PlaceOf(docs[len(docs)-1])), nil
	}
	return &c
}

// justBefore returns the last possible place before m.
func justBefore(m cursorPlace) *cursorPlace {
	m.Position--
	m.ID = string(utf8.MaxRune)
	return &m
}

// previous returns the cursor of the previous page, or nil if there is none.
func (c cursor) previous(docs []Document, more bool) *cursor {
	if len(docs) == 0 || c.After == nil && (c.Before == nil || !more) {
		return nil
	}
	c.After, c.Before = nil, cursorPlaceOf(PlaceOf(docs[0]))
	return &c
}

// fingerprint hashes a query, so that its cursors cannot be used with another query.
func (r *Roster) fingerprint(q Query) []byte {
	parts := []string{string(r.site.ID), string(q.Kind), "", ""}
	if q.Filter != nil {
		parts[2] = "filter " + q.Filter.String()
	}
	if q.SortBy != nil {
		parts[3] = fmt.Sprintf("sort by key %s %t", q.SortBy.Path, q.SortBy.Descending)
	}
	h := sha256.New()
	_ = json.NewEncoder(h).Encode(parts) // writing strings to a hash cannot fail
	return h.Sum(nil)[:cursorHashBytes]
}

// sealCursor encodes and signs a cursor. It returns an empty string for nil.
func sealCursor(key []byte, c *cursor, now time.Time) (string, error) {
	if c == nil {
		return "", nil
	}
	c.Expires = now.Add(CursorTimeout).Unix()
	b, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("write cursor: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(append(b, sign(key, b)...)), nil
}

// sign returns the signature of a message.
func sign(key, message []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	return mac.Sum(nil)[:cursorMACBytes]
}

// openCursor decodes a cursor and checks that this installation made it for this query. The error
// is the same for a forged cursor and for a cursor of another site or query.
func (r *Roster) openCursor(key []byte, q Query, want cursor) (cursor, error) {
	invalid := scim.InvalidCursor("The cursor does not belong to this query. Begin again with an empty cursor, and keep every other parameter the same from page to page.")
	sealed, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	if err != nil || len(sealed) < cursorMACBytes {
		return cursor{}, invalid
	}
	b, mac := sealed[:len(sealed)-cursorMACBytes], sealed[len(sealed)-cursorMACBytes:]
	if !hmac.Equal(mac, sign(key, b)) {
		return cursor{}, invalid
	}
	var c cursor
	if err := json.Unmarshal(b, &c); err != nil {
		return cursor{}, invalid
	}
	switch {
	case (c.After == nil) == (c.Before == nil):
		return cursor{}, invalid
	case !hmac.Equal(c.Query, want.Query):
		return cursor{}, invalid
	case c.Count != want.Count:
		return cursor{}, scim.InvalidCount("count is %d and was %d on the page before; keep it the same.", want.Count, c.Count)
	case r.now().Unix() > c.Expires:
		return cursor{}, scim.ExpiredCursor("The cursor is older than %s. Begin again with an empty cursor.", CursorTimeout)
	}
	return c, nil
}

// signer caches the key with which this installation signs cursors. The key never changes.
type signer struct {
	mu  sync.Mutex
	key []byte
}

// signingKey returns the key that signs cursors, reading it from the store the first time.
func (r *Roster) signingKey(ctx context.Context) ([]byte, error) {
	r.cursorSigner.mu.Lock()
	defer r.cursorSigner.mu.Unlock()
	if r.cursorSigner.key != nil {
		return r.cursorSigner.key, nil
	}
	key, err := r.store.CursorKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("key for cursors: %w", err)
	}
	if len(key) < sha256.Size {
		return nil, errors.New("key for cursors: it is too short")
	}
	r.cursorSigner.key = key
	return key, nil
}
