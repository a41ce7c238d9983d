// Package console is the frame of all pages: routing, sessions, layout, parts, forms, errors and the audit log. It knows
// neither of the two page sets, which share it and nothing else:
//
//	sitepages       /c/{site}/…   cookie rollcall-site      of the site     people of the site; administrators under admin/
//	directorypages  /d/…          cookie rollcall-operator                  operators
//
// Each set is a table of routes behind its own guard. Its cookie has its own path, so one browser can have both open, and
// neither opens the other.
//
// A request goes: Area.Handler (route, else 404 or 405) → cross-origin check → Guard (who is this, may they) → handler
// (decode, one or two domain calls, answer) → Views.Show (typed page struct into its template, inside layout.html). A handler
// returns its error; showError turns it into a page, and logs errors that nobody expected.
//
// layout.html is the layout and parts.html has the named parts; part.go has the structs of the parts, form.go and edit.go
// read forms, words.go writes numbers, times and names. assets/console.css is the style sheet, site.css and directory.css
// are for one set each. assets/console.js adds comfort; every page works without it. The name of an asset contains its hash.
//
// Domains decide what is allowed. SQL is in store; limits, headers and the access log are in internal/web.
//
// The tests here look at every page of both sets, since the rules of access, look and safety are the same for all.
package console
