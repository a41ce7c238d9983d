// Package directorypages shows the company's end to operators, under /d/: the directories of the installation, their users,
// enterprise applications and provisioning. The pages of the installation itself stand here too, since the same people see
// them behind the same guard: signing in, the operator's own account, sites, the audit log of everything.
//
// pages.go has the routes, signin.go the guard. One .go file and one .html file of the same name make a page: users.go fills
// users.html. The frame around them is package console.
package directorypages
