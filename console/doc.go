// Package console is the frame of all pages: routing, sessions, layout, parts, forms, errors and
// the audit log. Two page sets use it. They have nothing else in common, and this package imports
// neither of them:
//
//	sitepages       /c/{site}/…   a site, for its people; administrators under admin/
//	directorypages  /d/…          directories and the installation, for operators
//
// Each set has a table of routes and its own guard, which checks who the visitor is. An area is what
// one session opens: one site, or all pages under /d/. The session cookies are rollcall-site and
// rollcall-operator. Each belongs to one area, so one browser can be signed in to both sets, and
// neither session opens the other set.
//
// A request goes through these steps:
//
//  1. PageSet.Handler checks that a form comes from this origin and finds the route, or responds with
//     403, 404 or 405.
//  2. Guard finds out who the visitor is and whether they may use the route.
//  3. The handler decodes the request, makes one or two domain calls and responds.
//  4. Views.Show renders a typed page struct with its template inside layout.html.
//
// A handler returns its error. showError turns the error into a page, and logs it if it is
// unexpected. A refusal is an error of package refusal: it says what was not allowed, and why. A
// view is a template together with its data.
//
// layout.html is the layout, and parts.html has the named parts. part.go has the structs of the
// parts, form.go and edit.go read forms, and words.go formats numbers, times and names.
// assets/console.css is the style sheet; site.css and directory.css belong to one set each.
// assets/console.js adds convenience, but every page works without it. The name of a served asset
// contains its hash.
//
// Domain packages decide what is allowed. SQL is in package store; limits, headers and the access
// log are in internal/web.
//
// The tests here look at every page of both sets, because the rules of access, look and safety are
// the same for all.
package console
