// Package site knows how to keep the sites of an installation: one site is one
// customer's tenant of the application. It holds a site's settings and profile,
// its own schemas (changed as far as stored resources survive it, or by force),
// which attributes are declared searchable, and the bearer tokens its identity
// provider presents.
//
//	bearer ──► Authenticate ──► Site, Token ──► roster.Open(site)
//	                │
//	                └─ the first accepted use of a token that replaces another
//	                   ends the other one before the request goes on
//
// Nothing here is cached. A revoked token or a switched-off SCIM is refused by
// the next request to any process on the same database.
//
// HTTP, people and pages are left to others: scimserver calls Authenticate, roster
// keeps the people, requestlog keeps what was asked, console shows the settings.
package site
