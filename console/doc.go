// Package console knows how to show both ends to people: the pages of a site's people and administrators under /c/{site}/, and
// those of the operators under /d/.
//
// Two halves, which share a look and nothing else. Each is a table of routes behind a guard of its own, with a cookie whose
// path is its own, so that both are open in one browser and neither opens the other:
//
//	SitePages       /c/{site}/…   cookie rollcall-site      of the site     people of the site; administrators under admin/
//	DirectoryPages  /d/…          cookie rollcall-operator                  operators
//
// A request goes: area.ServeHTTP (route, else 404 or 405) → cross-origin check → guard (who is this, may they) → handler
// (decode, one or two domain calls, answer) → view (typed page struct into its template, inside layout.html). A handler returns
// its error; showError turns it into a page, and logs what nobody foresaw.
//
// One .go and one .html per page: site_people.go fills site_people.html. layout.html is the frame, parts.html the named parts
// (see part.go for their structs), assets/console.css the style sheet, site.css and directory.css what one end
// alone needs, assets/console.js the comfort: every page works without it. Assets are served under names that carry their hash.
//
// What is allowed is decided by the domains (site, roster, signin, operator, directory, provision); SQL is store's; limits,
// headers and the access log are internal/web's.
package console
