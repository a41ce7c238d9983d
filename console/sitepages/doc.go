// Package sitepages serves the pages of a site to its people and administrators, under /c/{site}/:
// sign-in, the person's own account, access management (SCIM, tokens, schemas, the request log),
// people and the audit log.
//
// pages.go has the routes, and the guard that checks who the visitor is. A page is a .go file and
// an .html file with the same name: people.go fills people.html. Package console provides the frame
// around the pages. A handler whose name begins with "show" shows a page. A handler whose name
// begins with "ask" shows a question, which asks the visitor to confirm an important change. A view
// is a template together with its data.
//
// The comments use these words. A call is one SCIM request to the site. A stranger is a caller
// without a token of the site. A token is live until it expires or is revoked; then it has ended. A
// held change is a change that SCIM requested and that waits until an administrator decides on it.
// A claim is a value that the identity provider sends about a person who signs in. Cards are the
// boxes of a page.
package sitepages
