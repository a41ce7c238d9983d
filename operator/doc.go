// Package operator decides who may run the installation, that is, who may open the pages under /d/.
//
// An operator signs in with a one-time link, at least the first time. Only a person at the command
// line can make a sign-in link, or the server itself when it starts and there is no operator yet:
//
//	rollcall operator link  →  Link  →  /d/sign-in/{secret}  →  LookUpLink (a page with a button)  →  Redeem  →  a session
//
// Opening a link does not use it up, because mail programs open links before people do. Pressing
// the button uses it up, which works once and within fifteen minutes. An operator exists as soon as
// the first link for the operator's name is used. The store keeps only the SHA-256 of the random
// secrets of links and sessions, so a stolen database lets no one in. Nothing is cached: after a
// session has ended, the next request to any process is refused. Every link and sign-in is an event
// of the installation.
//
// An operator can also sign in at an OpenID provider, with an identity that the operator linked
// before, while signed in:
//
//	OpenID.StartLink  →  the provider  →  OpenID.Finish  →  a linked identity
//	OpenID.Start      →  the provider  →  OpenID.Finish  →  a session
//
// A key is an API key of one directory. Programs use it instead of a session.
//
// An operator has no rights inside a site; those belong to roster and signin. Pages and cookies
// belong to console.
package operator
