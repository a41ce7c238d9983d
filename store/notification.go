package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/redact"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// Notifications implements notification.Store and notification.WebhookStore.
type Notifications struct{ DB *DB }

// recipientColumns are the columns of a recipient of mail that scanRecipient reads.
const recipientColumns = `r.directory, r.application, r.id, r.address, r.topics, r.added_by, r.added, r.last_sent, r.next_try, r.failing, r.failures, r.error, r.stopped,
	(select count(*)
	from notification_message m
	where m.directory = r.directory and m.application = r.application and m.recipient = r.id)`

// scanRecipient reads the recipientColumns of a row.
func scanRecipient(row scanner) (r notification.Recipient, err error) {
	var topics string
	var added, sent, next, failing, stopped int64
	err = row.Scan(&r.Directory, &r.Application, &r.ID, &r.Address, &topics, &r.AddedBy, &added, &sent, &next, &failing, &r.Failures, &r.Error, &stopped, &r.Waiting)
	for _, name := range strings.Fields(topics) {
		r.Topics = append(r.Topics, notification.Topic(name))
	}
	r.Added, r.LastSent, r.NextTry, r.FailingSince, r.Stopped = fromMicros(added), fromMicros(sent), fromMicros(next), fromMicros(failing), fromMicros(stopped)
	return r, err
}

// queueNotifications stores a message about an event for each recipient of mail and each webhook
// that wants it. It runs in the transaction that appends the event.
func queueNotifications(ctx context.Context, tx *sqldb.Tx, e event.Event, at time.Time) error {
	if !notification.HasMail(e.Name) || e.Scope.Kind != event.KindDirectory {
		return nil
	}
	about := ""
	if strings.HasPrefix(e.Name, "provisioning.") {
		about = e.Subject
	}
	id := secret.New()
	if err := queueWebhooks(ctx, tx, e, about, id, at); err != nil {
		return err
	}
	all, err := recipientsOf(ctx, tx, e.Scope.ID)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(r notification.Recipient) bool { return !r.Wants(e.Name, about) })
	if len(all) == 0 {
		return nil
	}
	for _, r := range all {
		if err := tx.Send(ctx, `
			insert into notification_message (directory, application, recipient, time, id, event, about, text)
			values ($1, $2, $3, $4, $5, $6, $7, $8)`,
			r.Directory, r.Application, r.ID, micros(at), id, e.Name, about, redact.Tokens(e.Text)); err != nil {
			return err
		}
	}
	return wakeLease(ctx, tx, notification.LeaseKind, notification.LeaseKey)
}

// recipientsOf returns the recipients of mail about a directory, ordered by address.
func recipientsOf(ctx context.Context, tx *sqldb.Tx, directory string) ([]notification.Recipient, error) {
	return collect(ctx, tx, scanRecipient, `
		select `+recipientColumns+`
		from notification_recipient r
		where r.directory = $1
		order by r.folded, r.application, r.id`, directory)
}

// Recipients returns the recipients of mail about a directory, ordered by address.
func (s Notifications) Recipients(ctx context.Context, directory string) (all []notification.Recipient, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = recipientsOf(ctx, tx, directory)
		return err
	})
	return all, err
}

// Add stores a recipient and appends the event. It returns notification.ErrTaken if the address is
// a recipient already, notification.ErrTooMany if the directory has limit recipients, and
// refusal.NotFound if the directory or the application does not exist.
func (s Notifications) Add(ctx context.Context, r notification.Recipient, limit int, e event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		t := directoryTx{tx: tx, directory: r.Directory}
		if err := t.lock(ctx); err != nil {
			return err
		}
		if r.Application != "" {
			if _, err := t.Application(ctx, r.Application); err != nil {
				return err
			}
		}
		all, err := recipientsOf(ctx, tx, r.Directory)
		if err != nil {
			return err
		}
		folded := scim.Fold(r.Address)
		for _, known := range all {
			if known.Application == r.Application && scim.Fold(known.Address) == folded {
				return notification.ErrTaken
			}
		}
		if len(all) >= limit {
			return notification.ErrTooMany
		}
		topics := make([]string, len(r.Topics))
		for i, name := range r.Topics {
			topics[i] = string(name)
		}
		if err := tx.Send(ctx, `
			insert into notification_recipient (directory, application, id, address, folded, topics, added_by, added, last_sent, next_try, failing, failures, error, stopped)
			values ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, 0, 0, '', 0)`,
			r.Directory, r.Application, r.ID, r.Address, folded, strings.Join(topics, " "), r.AddedBy, micros(r.Added)); err != nil {
			return err
		}
		return appendEvent(ctx, tx, e)
	})
}

// recipient returns a recipient and locks its row until the transaction ends. It returns
// notification.ErrNotFound if the directory has no recipient with this id.
func recipient(ctx context.Context, tx *sqldb.Tx, directory, id string) (notification.Recipient, error) {
	r, err := scanRecipient(tx.QueryRow(ctx, `
		select `+recipientColumns+`
		from notification_recipient r
		where r.directory = $1 and r.id = $2`+tx.ForUpdate(), directory, id))
	return r, orNotFound(err, notification.ErrNotFound)
}

// Remove deletes a recipient with its messages and appends the event that e returns. It returns
// notification.ErrNotFound if there is no such recipient.
func (s Notifications) Remove(ctx context.Context, directory, id string, e func(notification.Recipient) event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		r, err := recipient(ctx, tx, directory, id)
		if err != nil {
			return err
		}
		for _, table := range []string{"notification_message where directory = $1 and application = $2 and recipient = $3", "notification_recipient where directory = $1 and application = $2 and id = $3"} {
			if err := tx.Send(ctx, "delete from "+table, directory, r.Application, id); err != nil {
				return err
			}
		}
		return appendEvent(ctx, tx, e(r))
	})
}

// Resume makes mail go to a stopped recipient again, and appends the event that e returns. It does
// nothing if the recipient is not stopped. It returns notification.ErrNotFound if there is no such
// recipient.
func (s Notifications) Resume(ctx context.Context, directory, id string, e func(notification.Recipient) event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		r, err := recipient(ctx, tx, directory, id)
		if err != nil || r.Stopped.IsZero() {
			return err
		}
		if err := tx.Send(ctx, `
			update notification_recipient
			set stopped = 0, failing = 0, failures = 0, next_try = 0, error = ''
			where directory = $1 and application = $2 and id = $3`, directory, r.Application, id); err != nil {
			return err
		}
		if err := wakeLease(ctx, tx, notification.LeaseKind, notification.LeaseKey); err != nil {
			return err
		}
		return appendEvent(ctx, tx, e(r))
	})
}

// Due returns the mail that has been due for the longest time, with up to limit messages. If no
// mail is due at the time now, it returns notification.ErrNotFound, and in next the time at which
// the next mail is due; zero if no messages wait.
func (s Notifications) Due(ctx context.Context, now time.Time, limit int) (d notification.Delivery, next time.Time, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		d.Recipient, err = scanRecipient(tx.QueryRow(ctx, `
			select `+recipientColumns+`
			from notification_recipient r
			join directory d on d.id = r.directory
			where d.deleted = 0 and r.stopped = 0 and exists (
				select 1
				from notification_message m
				where m.directory = r.directory and m.application = r.application and m.recipient = r.id)
			order by r.next_try, r.directory, r.application, r.id
			limit 1`))
		if err := orNotFound(err, notification.ErrNotFound); err != nil {
			return err
		}
		if next = d.Recipient.NextTry; next.After(now) {
			return notification.ErrNotFound
		}
		r := d.Recipient
		if err := tx.QueryRow(ctx, `
			select name
			from directory
			where id = $1`, r.Directory).Scan(&d.DirectoryName); err != nil {
			return err
		}
		d.Messages, err = collect(ctx, tx, func(row scanner) (m notification.Message, err error) {
			var at int64
			err = row.Scan(&m.ID, &m.Event, &m.Application, &m.Text, &at)
			m.Time = fromMicros(at)
			return m, err
		}, `
			select m.id, m.event, coalesce(a.name, ''), m.text, m.time
			from notification_message m
			left join directory_application a on a.directory = m.directory and a.id = m.about
			where m.directory = $1 and m.application = $2 and m.recipient = $3
			order by m.time, m.id
			limit $4`, r.Directory, r.Application, r.ID, limit)
		d.More = r.Waiting - len(d.Messages)
		return err
	})
	return d, next, err
}

// Sent deletes the messages of a mail that was sent at the time at. The next mail to the same
// recipient may be sent at the time next.
func (s Notifications) Sent(ctx context.Context, epoch int64, d notification.Delivery, at, next time.Time) error {
	r := d.Recipient
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := checkLease(ctx, tx, notification.LeaseKind, notification.LeaseKey, epoch); err != nil {
			return err
		}
		for _, m := range d.Messages {
			if err := tx.Send(ctx, `
				delete from notification_message
				where directory = $1 and application = $2 and recipient = $3 and time = $4 and id = $5`,
				r.Directory, r.Application, r.ID, micros(m.Time), m.ID); err != nil {
				return err
			}
		}
		return tx.Send(ctx, `
			update notification_recipient
			set last_sent = $4, next_try = $5, failing = 0, failures = 0, error = ''
			where directory = $1 and application = $2 and id = $3`, r.Directory, r.Application, r.ID, micros(at), micros(next))
	})
}

// Failed stores the state of a recipient after an attempt to send mail has failed, and appends the
// events. It does nothing if the recipient was removed in the meantime.
func (s Notifications) Failed(ctx context.Context, epoch int64, r notification.Recipient, events ...event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := checkLease(ctx, tx, notification.LeaseKind, notification.LeaseKey, epoch); err != nil {
			return err
		}
		if _, err := recipient(ctx, tx, r.Directory, r.ID); errors.Is(err, refusal.NotFound) {
			return nil
		} else if err != nil {
			return err
		}
		if err := tx.Send(ctx, `
			update notification_recipient
			set next_try = $4, failing = $5, failures = $6, error = $7, stopped = $8
			where directory = $1 and application = $2 and id = $3`,
			r.Directory, r.Application, r.ID, micros(r.NextTry), micros(r.FailingSince), r.Failures, redact.Tokens(r.Error), micros(r.Stopped)); err != nil {
			return err
		}
		return appendEvents(ctx, tx, events)
	})
}
