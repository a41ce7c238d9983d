// Package scim knows the language of SCIM 2.0: the schemas, resources, filters,
// PATCH requests, projections and messages of RFC 7643 and RFC 7644, and what
// identity providers write beyond them.
//
// A body becomes a Resource, a Resource becomes bytes that are stored and sent
// as they are:
//
//	POST, PUT body ──Decode──► Resource ──MergePut──► Validate ──► Encode ──► document
//	PATCH body ──DecodePatch──► Patch ──Apply──► Resource ┘                      │
//	                                                                             │
//	answer ◄──Splice (meta.location, groups) or Projection.Render ───────────────┤
//	filter text ──ParseFilter──► Filter.Match ◄──Parse───────────────────────────┘
//
// Everything is driven by the characteristics of a ResourceType's schemas; the
// types and extensions of a site's own, which NewRegistry reads from a document,
// work like the built-in User and Group. DecodeStream reads a long list of a body
// (members) value by value. What cannot be derived from characteristics is little, and named
// where it stands: groups and meta are made by the server, externalId survives
// a PUT.
//
// Reading has two modes. Lenient, the default, takes what Entra, Okta and
// others send and reports each tolerance as a Fix; Strict refuses it. Neither
// guesses: what cannot be understood is an *Error with the RFC's keyword and a
// sentence for an administrator. All reading is bounded before it recurses.
//
// The package does no I/O. Who may do what, uniqueness, references to other
// resources, versions and HTTP are left to others.
package scim
