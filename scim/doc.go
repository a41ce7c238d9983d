// Package scim knows the language of SCIM 2.0: the schemas, resources, filters, PATCH requests,
// projections and messages of RFC 7643 and RFC 7644. It also knows the forms that identity
// providers write beyond them.
//
// A request body becomes a Resource. A Resource becomes a document: bytes to store and to send.
//
//	POST, PUT body ──Decode──► Resource ──MergePut──► Validate ──► Encode ──► document
//	PATCH body ──DecodePatch──► Patch ──Apply──► Resource ┘                      │
//	                                                                             │
//	answer ◄──Splice (meta.location, groups) or Projection.Render ───────────────┤
//	filter string ──ParseFilter──► Filter.Match ◄──Parse─────────────────────────┘
//
// The characteristics of a ResourceType's schemas decide nearly everything. NewRegistry reads a
// site's own types and extensions from a document; they work like the built-in User and Group.
// DecodeStream reads a long list in a body (members) value by value. Three rules do not follow from
// characteristics, and the code names them where they apply: the server makes groups and meta, and
// externalId survives a PUT.
//
// Reading has two modes. Lenient, the default, accepts the forms that Entra, Okta and others send
// and reports each tolerance as a Fix. Strict refuses those forms. Neither mode guesses: for input
// that cannot be understood, the package returns an *Error with the RFC's keyword and a sentence
// for an administrator. The size of the input is checked before any recursion.
//
// The package does no I/O. It leaves permissions, uniqueness, references to other resources,
// versions and HTTP to others.
package scim
