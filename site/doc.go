// Package site keeps the sites of an installation. One site is one customer's tenant of the
// application. The package holds a site's settings and profile, its own schemas, the attributes
// that are declared searchable, and the SCIM tokens of its identity provider.
//
//	token ──► Authenticate ──► Site, Token ──► roster.Open(site)
//	               │
//	               └─ if the token replaces an old one, its first accepted use
//	                  ends the old one before the request goes on
//
// The package caches nothing. After a token is revoked or SCIM is switched off, the next request to
// any process on the same database is refused.
//
// Other packages do the rest: scimserver calls Authenticate, roster keeps the people, requestlog
// keeps the requests, console shows the settings.
package site
