// Package scimclient knows how to speak SCIM to any application the way Microsoft
// Entra ID's provisioning service does, so that an application which works with
// Entra works with Rollcall.
//
//	client.go   requests and answers: URLs, headers, what comes back
//	filter.go   the filter forms Entra uses
//	patch.go    the two PATCH dialects: Entra's default and, with the flag
//	            aadOptscim062020 in the Tenant URL, the compliant one
//	create.go   the body of a new account
//	problem.go  what went wrong, as a kind for the engine and in words for a person
//
// When to send what, and what to do about an error, is left to the engine. Which
// addresses may be called at all is decided by the http.Client it is given.
package scimclient
