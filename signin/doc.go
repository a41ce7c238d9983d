// Package signin decides who may sign in to a site. People sign in by single sign-on, with SAML or
// OpenID Connect (see SingleSignOn), or with one-time links. An identity is a user identifier at an
// identity provider; it can be linked to one account of a site. These functions make links:
//
//	rollcall site link SITE USERNAME         IssueSiteLink        a link for any active person
//	rollcall site create SITE --admin EMAIL  IssueFirstAdminLink  makes the administrator's account
//	                                                              and a link for it
//	rollcall site create SITE                IssueFirstAdminLink  a link whose user enters a name
//	                                                              and an e-mail address
//
//	/c/{site}/sign-in/{secret}  →  LookUpLink (a page with a button)  →  Redeem  →  a session
//
// Opening a link does not use it up, because mail programs open links before people do. Pressing
// the button uses it up. A link works only once, and only for fifteen minutes. The store keeps only
// the SHA-256 of the link's random secret. Every link and every sign-in is an event of the site.
//
// Sessions belong to roster, where deactivation ends them in its own transaction. Pages and cookies
// belong to console.
package signin
