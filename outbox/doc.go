// Package outbox sends mail through an SMTP server, and signed requests to the HTTP endpoints of
// webhooks. Package notification decides what is sent.
package outbox
