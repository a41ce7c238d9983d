// Package roster knows how to keep a site's people, their groups and what else
// the site's schemas define: which of them there are, what SCIM and an
// administrator may change about them, who may come in, and what happens
// together when someone is deactivated.
//
//	rosters.Open(site) ──► Roster, the only way to that site's people
//
//	SCIM            Create Replace Patch Delete   by the site's profile and roles
//	administrator   SetRole Deactivate Reactivate  never oneself
//	file            Import
//	      │
//	      └─ one transaction: read, check the version, apply, protect the last
//	         administrator, write ─ sessions ended ─ one event for each change
//
// A group is a document without members and one row for each member: a change
// of some members costs as many rows as it names, whatever the group's size,
// and Members reads them as a stream. Lists come whole, sorted, by index or by
// signed cursors that nothing has to be remembered for.
//
// A person is kept as the SCIM document that was accepted, byte for byte as it
// is answered but for meta.location and groups, beside columns folded for
// searching. Ids are random, never reused and the same in both profiles (the
// vendor of the guide counts accounts in decimal; clients keep ids as opaque
// text, and counting would tell one customer how many the others have).
//
// How somebody proved who they are, HTTP and SQL are left to others: signin,
// scimserver and store.
package roster
