// Package scimclient speaks SCIM to applications in the same way as Microsoft Entra ID's
// provisioning service. An application that works with Entra therefore works with Rollcall.
//
//	client.go   requests and answers: URLs, headers, bodies
//	filter.go   the filter forms that Entra uses
//	patch.go    the two PATCH dialects: Entra's default and, with the flag
//	            aadOptscim062020 in the Tenant URL, the compliant one
//	create.go   the body of a new account
//	written.go  whether a successful answer proves that something was written
//	problem.go  errors: a kind for the engine, and words for people
//
// Entra's "flag" is aadOptscim062020, which an administrator adds to the Tenant URL. A
// provision.Dialect lists the deviations from Entra's form that an application has been found to
// need; the client adds to it when an application refuses a request.
//
// The engine of package provision decides which requests to send and when, and how to react to an
// error. Options.HTTP decides which addresses may be reached.
package scimclient
