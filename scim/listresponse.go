package scim

import (
	"encoding/json"
	"strconv"
)

// ListResponse is the answer to a query. RFC 7644 §3.4.2.
type ListResponse struct {
	TotalResults int
	StartIndex   int // the position of the first resource, counted from 1; 0 on a page that was requested with a cursor
	ItemsPerPage int // how many resources are in this answer

	// The cursors of the previous and the next page; "" if there is no such page. RFC 9865 §2.
	PreviousCursor, NextCursor string

	Resources []json.RawMessage
}

// Encode returns the list as JSON.
func (l ListResponse) Encode() []byte {
	size := 160
	for _, r := range l.Resources {
		size += len(r) + 1
	}
	return l.AppendJSON(make([]byte, 0, size))
}

// AppendJSON appends the list to b as JSON.
func (l ListResponse) AppendJSON(b []byte) []byte {
	b = append(b, `{"schemas":["`+ListResponseURN+`"],"totalResults":`...)
	b = strconv.AppendInt(b, int64(l.TotalResults), 10)
	if l.StartIndex != 0 {
		b = append(b, `,"startIndex":`...)
		b = strconv.AppendInt(b, int64(l.StartIndex), 10)
	}
	b = append(b, `,"itemsPerPage":`...)
	b = strconv.AppendInt(b, int64(l.ItemsPerPage), 10)
	b = appendCursor(b, "previousCursor", l.PreviousCursor)
	b = appendCursor(b, "nextCursor", l.NextCursor)
	b = append(b, `,"Resources":[`...)
	for i, r := range l.Resources {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, r...)
	}
	return append(b, ']', '}')
}

// appendCursor appends a member with a cursor, unless the cursor is "".
func appendCursor(b []byte, name, cursor string) []byte {
	if cursor == "" {
		return b
	}
	return AppendString(append(b, `,"`+name+`":`...), cursor)
}
