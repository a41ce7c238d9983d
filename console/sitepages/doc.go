// Package sitepages serves the pages of a site to its people and administrators, under /c/{site}/:
// sign-in, the person's own account, access management (SCIM, tokens, schemas, the request log),
// people and the audit log.
//
// pages.go has the routes and the guard. A page is a .go file and an .html file with the same name:
// people.go fills people.html. Package console provides the frame around them.
package sitepages
