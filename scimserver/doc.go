// Package scimserver knows how to answer RFC 7644 over HTTP for a site, under /c/{site}/auth/scim/v2.
//
//	ServeHTTP → locate (the raw path) → authenticate → route → read the body → one call of roster
//	          → the request log → writeResource or writeError
//
// The path is read raw, before any ServeMux: clients double slashes, add one at the end, write endpoints in lower case and put
// Entra's feature flags in front of the path, and a redirect would lose their token or turn a POST into a GET.
//
// An unknown site is answered exactly as a wrong token is. Every request of a known site leaves one row in its request log, and
// the sentence in an error's detail is the sentence in the log, so that the administrators at both ends read the same.
//
// The types of resources are those of the site's registry, with one set of routes for all of them; the members of a group come
// in and go out as a stream, so that a group of a hundred thousand costs the memory of a small one. A bulk request is its
// operations one after the other, each as if it had been sent alone, with a row of its own in the request log.
//
// What is allowed and what happens is decided by roster; what a filter, a patch or a schema means, by scim.
package scimserver
