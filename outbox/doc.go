// Package outbox sends mail through an SMTP server, and signed requests to webhook endpoints.
package outbox
