// Package graphapi implements the part of Microsoft Graph that administrators use in scripts: the
// synchronization API of an enterprise application, and its provisioning logs. It serves each
// directory below /d/{directory}/graph/v1.0 and /d/{directory}/graph/beta. A script that was
// written for Graph needs only another base URL and an API key.
//
//	request ─► Keys.Authenticate (Bearer, this directory) ─► the route and its level ─► the application and its job
//	        ─► one call of provision ─► JSON in Graph's shape, or Graph's error
//
// In this API, a service principal is an enterprise application and has the same id. An application
// has at most one job. The API does not accept cookies. No key bypasses the guard: ForceDeletes
// approves only the operations that are on hold at that moment.
//
// This package handles HTTP and Graph's names. Package provision decides what a job does.
package graphapi
