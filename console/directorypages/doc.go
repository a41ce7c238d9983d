// Package directorypages serves the pages for operators under /d/: the directories of the
// installation with their users, enterprise applications and provisioning. It also has the pages of
// the installation itself, because operators see them behind the same guard: sign-in, the
// operator's own account, sites, and the audit log of everything.
//
// pages.go has the routes, signin.go the guard. A page is a .go file and an .html file with the
// same name: users.go fills users.html. Package console provides the frame around them.
package directorypages
