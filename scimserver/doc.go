// Package scimserver knows how to answer RFC 7644 over HTTP for a site, under
// /c/{site}/auth/scim/v2.
//
//	ServeHTTP → locate (the raw path) → authenticate → route → read the body → one call of roster
//	          → the request log → writeResource or writeError
//
// The path is read raw, before any ServeMux sees it. Clients double slashes, add a slash at the
// end, write endpoints in lower case, and put Entra's feature flags before the path. A redirect
// would lose their token or turn a POST into a GET.
//
// An unknown site gets exactly the same answer as a wrong token. Every request of a known site
// leaves one row in its request log. The row holds the same sentence as the error's detail, so that
// the administrators on both sides read the same words.
//
// The resource types come from the site's registry, and one set of routes serves them all. The
// members of a group are read and written as a stream, so that a group of a hundred thousand
// members needs no more memory than a small one. A bulk request runs its operations one after the
// other, each as if the client had sent it alone, with its own row in the request log.
//
// roster decides what is allowed; scim decides what filters, patches and schemas mean.
package scimserver
