package store

import (
	"context"
	"strconv"

	"github.com/rollcall-scim/rollcall/roster"
)

// looksUp reports whether an index answers the list with its first page, as every lookup by a name or a number does that
// provisioning begins with.
func (l listing) looksUp() bool {
	return l.n.selective && l.n.exact && l.Sort == nil && l.After == nil && l.Before == nil && l.Offset == 0 && l.Count > 0
}

// lookUp answers such a list with one query outside a transaction; all is false when more match than the page holds, which
// need to be counted.
func (s Rosters) lookUp(ctx context.Context, l listing) (docs []roster.Document, all bool, err error) {
	err = s.DB.read(ctx, func(tx *Tx) error {
		docs, err = l.first(ctx, tx)
		return err
	})
	return docs, len(docs) <= l.Count, err
}

// first reads the first page and one document more, if there is one.
func (l listing) first(ctx context.Context, tx *Tx) ([]roster.Document, error) {
	args, limit := l.with(l.Count + 1)
	return collect(ctx, tx, scanDocument, `
		select `+documentColumns+`
		from resource r
		where `+l.where+`
		order by `+l.byPlace()+`
		limit $`+strconv.Itoa(limit), args...)
}
