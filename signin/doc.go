// Package signin knows how to decide who comes in to a site. In this version there is one way: one-time links.
//
//	rollcall site link SITE USERNAME        →  IssueSiteLink        →  for anybody active
//	rollcall site create SITE --admin EMAIL →  IssueFirstAdminLink  →  makes the administrator's account, and a link to it
//	rollcall site create SITE               →  IssueFirstAdminLink  →  whoever opens it gives a name and an e-mail address
//
//	/c/{site}/sign-in/{secret}  →  Look (a page with a button)  →  Redeem  →  a session in the site's roster
//
// Looking at a link does not use it up, because mail programs open links before people do. Redeeming does, once, and within
// fifteen minutes. A link is stored as the SHA-256 of its random secret. Every link and every sign-in is an event of the site.
//
// Sessions belong to roster, where deactivation ends them in its own transaction; pages and cookies belong to console.
package signin
