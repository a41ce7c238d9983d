// Package scim reads and writes the language of SCIM 2.0: the schemas, resources, filters, PATCH
// requests, projections and messages of RFC 7643 and RFC 7644. It also reads forms that these RFCs
// do not allow but identity providers send.
//
// A request body becomes a Resource. A Resource becomes a document: bytes to store and to send.
//
//	POST, PUT body ──Decode──► Resource ──MergePut──► Validate ──► Encode ──► document
//	PATCH body ──DecodePatch──► Patch ──Apply──► Resource ┘                      │
//	                                                                             │
//	answer ◄──Splice (meta.location, groups) or Projection.Render ───────────────┤
//	filter string ──ParseFilter──► Filter.Match ◄──Parse─────────────────────────┘
//
// The characteristics of the attributes in a ResourceType's schemas decide nearly everything.
// NewRegistry reads a site's own types and extensions from a document; they work like the built-in
// User and Group. DecodeStream reads a long list in a body, such as members, value by value. Three
// rules do not follow from characteristics; comments name them in the code. The server sets a
// user's groups, the server sets meta, and a PUT without externalId keeps the old externalId.
//
// Reading has two modes. Lenient, the default, accepts the forms that Entra, Okta and others send
// and reports each tolerance as a Fix. Strict refuses those forms. Neither mode guesses: for input
// that cannot be understood, the package returns an *Error with the RFC's keyword and a sentence
// for an administrator. The size and depth of the input are checked before any recursion.
//
// Some words have one meaning in the whole package. A name or value is canonical if it has the
// spelling and the type of the schema. An attribute is unassigned if it has no value (RFC 7643
// §2.5), and hidden if it is never returned. An element is one value of a multi-valued attribute;
// it is hollow if it has only sub-attributes that describe a value, such as type, and no value
// itself. Fold returns the form in which strings are compared if case does not matter.
//
// The package does no I/O. Permissions, uniqueness, references to other resources, versions and
// HTTP are the task of other packages.
package scim
