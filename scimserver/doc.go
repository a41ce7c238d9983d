// Package scimserver is the SCIM server: it answers the requests of RFC 7644 for each site, under
// /c/{site}/auth/scim/v2.
//
//	ServeHTTP → locate (the raw path) → authenticate → route → read the body → one call of roster
//	          → the request log → writeResource or writeError
//
// The raw path is used, before any ServeMux sees it. Some clients double slashes, add a slash at
// the end, write endpoints in lower case, or put Entra's feature flags before the path. A ServeMux
// would redirect them, and a redirect would lose their token or turn a POST into a GET.
//
// An unknown site gets exactly the same answer as a wrong token. Every request of a known site
// leaves one row in its request log. For a refused request, the row holds the same sentence as the
// error's detail, so that the administrators on both sides read the same words.
//
// The resource types come from the site's registry. The same routes serve all of them. The members
// of a group are read and written as a stream, so that a group of a hundred thousand members needs
// no more memory than a small one. A bulk request runs its operations one after the other, each as
// if the client had sent it alone, with its own row in the request log.
//
// roster decides what is allowed; scim decides what filters, patches and schemas mean.
package scimserver
