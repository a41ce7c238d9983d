// Package directorypages serves the pages for operators under /d/: the directories of the
// installation with their users, enterprise applications and provisioning. It also has the pages of
// the installation itself, because operators see them behind the same guard: sign-in, the
// operator's own account, sites, and the audit log of everything.
//
// pages.go has the routes. signin.go has the guard, which checks who the visitor is. A page is a
// .go file and an .html file with the same name: users.go fills users.html. Package console
// provides the frame around the pages. A handler whose name begins with "show" shows a page. A
// handler whose name begins with "ask" shows a question, which asks the operator to confirm an
// important change.
package directorypages
