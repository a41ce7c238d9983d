// Package scim knows the language of RFC 7643 and RFC 7644: schemas, resources,
// filters, PATCH, projection and the messages around them.
package scim
