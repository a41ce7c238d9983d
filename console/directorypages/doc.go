// Package directorypages serves the pages for operators under /d/: the directories of the
// installation with their users, enterprise applications and provisioning. It also has the pages of
// the installation itself, because operators see them behind the same guard: sign-in, the
// operator's own account, sites, and the audit log of everything.
//
// pages.go has the routes. signin.go has the guard, which checks who the visitor is. A page is a
// .go file and an .html file with the same name: users.go fills users.html. Package console
// provides the frame around the pages. A handler whose name begins with "show" shows a page. A
// handler whose name begins with "ask" shows a question, which asks the operator to confirm an
// important change. A view is a template together with its data. A function whose name begins with
// "render" writes a page; the "show" handler calls it, and also the handler of the page's form, to
// show the typed values again with an error.
//
// The pages use these words of package provision. A job provisions one application: it sends the
// users and groups in scope, in cycles. An object is a user or group of the directory. The target is
// the application, which has the accounts. A connection, or link, says which account belongs to
// which object. A mapping has one row for each attribute of the accounts, and Target Object Actions,
// which say what the job may do: create, update or delete. A plan lists what the job would send; an
// operator can approve and apply it. The reach of a change of settings is the users that it affects.
// Operations on hold wait until an operator approves or rejects them. Drift is what somebody changed
// at the application. A discovery lists all accounts of the application and sorts them into classes,
// such as accounts that no user matches. Keep is a mark on an account that provisioning must not
// disable. A draft, or kept form, is typed values that the server keeps until they are saved.
package directorypages
