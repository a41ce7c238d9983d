// Package operator knows how to tell who runs the installation: who may open the company's end under /d/.
//
// An operator comes in by a one-time link, which only somebody at the command line (or the server's own start, while there
// is no operator yet) can make:
//
//	rollcall operator link  →  Link  →  /d/sign-in/{secret}  →  Look (a page with a button)  →  Redeem  →  a session
//
// Looking at a link does not use it up, because mail programs open links before people do. Redeeming does, once, and within
// fifteen minutes. An operator exists from the first redeemed link of that name. Links and sessions are stored as SHA-256 of
// a random secret, so that a stolen database opens nothing, and are read from the store each time, so that an ended session
// is refused by the next request to any process. Every link and sign-in is an event of the installation.
//
// What a site's administrators may do is left to roster and signin: an operator has no right inside a site. Pages and
// cookies are left to console.
package operator
