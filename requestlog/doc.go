// Package requestlog keeps one row for each SCIM request: the request of an identity provider and
// the answer of the site.
//
//	a change        BeginRow ─► the transaction of the change writes the row ─► RowWritten
//	a refusal       Write, at once
//	a read          Gather ─► Flush, once a second
//	no valid token  GatherRefused ─► Flush
//
// A read is a request that can change nothing, and a refusal is a request that was answered with an
// error. Gather keeps rows in memory, and Flush writes them to the database. A row never holds a
// credential. The log also records when and from where each token was last used.
package requestlog
