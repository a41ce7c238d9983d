// Package notification tells the people who look after the provisioning of a directory, by mail and
// by webhooks. They are told when provisioning needs them: it is in quarantine, operations are on hold,
// an account waits too long to be closed, or an API key expires soon.
//
//	event (in its transaction) ──► waiting message, one for each recipient ──► Advance ──► Mailer
//
// A message is stored in the same transaction as its event, so no message is lost. A mail may be
// sent twice if the process ends after the mail server's answer and before it has stored that
// answer; both copies have the same Message-ID. All messages that wait for a recipient go into one
// mail, and a recipient gets at most one mail in five minutes.
//
// Webhooks get the same news, each as a request of its own that is signed: see Webhooks and
// docs/webhooks.md.
package notification
