// Package notification sends news about the provisioning of a directory to the people who look
// after it, by mail and by webhooks. It sends news when provisioning is in quarantine, when
// operations are on hold until a person confirms them, when an account waits too long to be
// disabled or deleted, and when an API key expires soon.
//
//	event (in its transaction) ──► waiting message, one for each recipient ──► Advance ──► Mailer
//
// A message is stored in the same transaction as its event, so no message is lost. A mail may be
// sent twice if the process ends after the mail server's answer and before it has stored that
// answer; both copies have the same Message-ID. All messages that wait for a recipient go into one
// mail, and a recipient gets at most one mail in five minutes.
//
// Webhooks get the same news, each in a signed request of its own. One such request is called a
// delivery. See Webhooks and docs/webhooks.md.
//
// The leases and their epochs are those of package runner.
package notification
