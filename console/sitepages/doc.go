// Package sitepages shows a site to its people and administrators, under /c/{site}/: signing in, one's own account, access
// management (SCIM, tokens, schemas, the request log), people and the audit log.
//
// pages.go has the routes and the guard. One .go file and one .html file of the same name make a page: people.go fills
// people.html. The frame around them is package console.
package sitepages
