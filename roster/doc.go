// Package roster keeps a site's people, their groups and the resources of the site's own types. All
// these of one site are called its roster. The package decides what SCIM and administrators may
// change, and does everything that must happen together when someone is deactivated.
//
//	rosters.Open(site) ──► Roster, the only way to that site's people
//
//	SCIM            Create Replace Patch Delete    as the profile and the settings allow
//	administrator   SetRole Deactivate Reactivate  never their own account
//	file            Import
//	      │
//	      └─ one transaction: read, check the version, apply, protect the last
//	         administrator, write, end sessions, append one event for each change
//
// A group is a document without members, and one row for each member. A change writes as many rows
// as it names members, even in a large group. Members reads the rows as a stream. Lists are sorted,
// and read by index or by signed cursors, which need no state on the server.
//
// A person is stored as the SCIM document that was accepted. Answers send the same bytes, and add
// meta.location and groups. Other columns and rows hold values in folded form (see scim.Fold), for
// searching. An id is a UUID that is never reused. It is not a running number, because that would
// tell one customer how many people the others have.
//
// An error that a client may see is a refusal, or a *scim.Error if the request breaks the rules
// of SCIM. Package scimserver gives a refusal its HTTP status, such as 404 for refusal.NotFound.
//
// Other packages do the rest: signin decides how people prove who they are, scimserver speaks HTTP,
// store speaks SQL.
package roster
