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
// What is allowed and what happens is decided by roster; what a filter, a patch or a schema means, by scim.
package scimserver
