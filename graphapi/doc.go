// Package graphapi answers the part of Microsoft Graph that administrators script against: the
// synchronization API of an enterprise application, and its provisioning logs. It serves one
// directory below /d/{directory}/graph/v1.0 and /d/{directory}/graph/beta. Scripts need another base
// URL and a key; everything else stays.
//
//	request ─► Keys.Authenticate (Bearer, this directory) ─► the route and its level ─► the application and its job
//	        ─► one call of provision ─► JSON in Graph's shape, or Graph's error
//
// A service principal is an enterprise application, and its id is the application's. An application
// has at most one job. The API takes no cookies, and no key bypasses the guard: ForceDeletes approves
// what is on hold at that moment, and nothing else.
//
// The package knows HTTP and Graph's names. What a job does is decided by package provision.
package graphapi
