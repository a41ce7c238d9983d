// Package notification sends mail to the people who look after the provisioning of a directory, when
// provisioning needs them: it is in quarantine, operations are on hold, an account waits too long to
// be closed, or an API key expires soon.
//
//	event (in its transaction) ──► waiting message, one for each recipient ──► Advance ──► Mailer
//
// A message is stored in the transaction of the event that it tells of, so none is lost. It may be
// sent twice if the process dies between the mail server's answer and the note of it; both copies
// have the same Message-ID. All messages that wait for a recipient go into one mail, and a recipient
// gets at most one mail in five minutes.
package notification
