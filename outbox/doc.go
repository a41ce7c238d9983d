// Package outbox hands mail to an SMTP server.
package outbox
