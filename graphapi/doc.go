// Package graphapi implements the part of Microsoft Graph that administrators use in scripts: the
// synchronization API of an enterprise application, and its provisioning logs. It serves each
// directory below /d/{directory}/graph/v1.0 and /d/{directory}/graph/beta. A script that was
// written for Graph needs only another base URL and an API key.
//
//	request ─► authenticate the API key ─► find the route, and check the key's level
//	        ─► find the application and its job ─► call package provision ─► JSON in Graph's form, or Graph's error
//
// In this API, a service principal is an enterprise application and has the same id. An application
// has at most one job. The API does not accept cookies. No key can switch off provision's guard,
// which puts operations on hold that would take access away from too many people: ForceDeletes
// approves only the operations that are on hold at that moment.
//
// This package handles HTTP and Graph's names. Package provision decides what a job does.
package graphapi
