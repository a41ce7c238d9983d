// Package requestlog keeps what identity providers asked of each site and what they got: one row for
// each SCIM request.
//
//	a change       Begin ─► its transaction writes the row ─► Written
//	a refusal      Write, at once
//	a read         Gather ─► Flush, once a second
//	no valid token GatherRefused ─► Flush
//
// A row never holds a credential. The log also notes when and from where a token was used last. The
// database is left to Store.
package requestlog
