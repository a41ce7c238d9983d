package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/redact"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// webhookColumns are the columns of a webhook that scanWebhook reads. The last is the number of
// deliveries that wait.
const webhookColumns = `w.directory, w.application, w.id, w.url, w.description, w.topics, w.added_by, w.added, w.secret, w.old_secret, w.old_until, w.form,
	w.disabled, w.stopped, w.last_sent, w.failing, w.error,
	(select count(*)
	from webhook_delivery d
	where d.directory = w.directory and d.application = w.application and d.webhook = w.id and d.state = 'waiting')`

// scanWebhook reads the webhookColumns of a row.
func scanWebhook(row scanner) (w notification.Webhook, err error) {
	var topics, sealed, old string
	var added, oldUntil, disabled, stopped, sent, failing int64
	if err = row.Scan(&w.Directory, &w.Application, &w.ID, &w.URL, &w.Description, &topics, &w.AddedBy, &added, &sealed, &old, &oldUntil, &w.Form,
		&disabled, &stopped, &sent, &failing, &w.Error, &w.Waiting); err != nil {
		return w, err
	}
	for _, name := range strings.Fields(topics) {
		w.Topics = append(w.Topics, notification.Topic(name))
	}
	w.Added, w.Disabled, w.LastSent, w.FailingSince = fromMicros(added), fromMicros(disabled), fromMicros(sent), fromMicros(failing)
	w.IsStopped = stopped != 0
	if w.Sealed, err = base64.StdEncoding.DecodeString(sealed); err == nil {
		w.Old, err = readOldSecrets(old, oldUntil)
	}
	if err != nil {
		return w, fmt.Errorf("read the secret of webhook %s: %w", w.ID, err)
	}
	return w, nil
}

// readOldSecrets reads the column old_secret: the sealed secrets in base64, each with a colon and
// the time until which it signs, and spaces between them. A secret without a time signs until the
// time in the column old_until.
func readOldSecrets(words string, until int64) (all []notification.OldSecret, err error) {
	for word := range strings.FieldsSeq(words) {
		sealed, at, timed := strings.Cut(word, ":")
		o := notification.OldSecret{Until: fromMicros(until)}
		if timed {
			n, err := strconv.ParseInt(at, 10, 64)
			if err != nil {
				return nil, err
			}
			o.Until = fromMicros(n)
		}
		if o.Sealed, err = base64.StdEncoding.DecodeString(sealed); err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

// oldSecretWords returns the value of the column old_secret, which readOldSecrets reads, and the
// value of old_until: the time until which any of the secrets signs.
func oldSecretWords(all []notification.OldSecret) (words string, until int64) {
	parts := make([]string, len(all))
	for i, o := range all {
		parts[i] = base64.StdEncoding.EncodeToString(o.Sealed) + ":" + strconv.FormatInt(micros(o.Until), 10)
		until = max(until, micros(o.Until))
	}
	return strings.Join(parts, " "), until
}

// webhooksOf returns the webhooks of a directory, in the order in which they were added.
func webhooksOf(ctx context.Context, tx *sqldb.Tx, directory string) ([]notification.Webhook, error) {
	return collect(ctx, tx, scanWebhook, `
		select `+webhookColumns+`
		from webhook w
		where w.directory = $1
		order by w.added, w.id`, directory)
}

// queueWebhooks stores a delivery for each webhook that wants to know of an event, in the event's
// own transaction.
func queueWebhooks(ctx context.Context, tx *sqldb.Tx, e event.Event, about, id string, at time.Time) error {
	all, err := webhooksOf(ctx, tx, e.Scope.ID)
	if err != nil {
		return err
	}
	queued := false
	for _, w := range all {
		if !w.Wants(e.Name, about) {
			continue
		}
		queued = true
		if err := insertDelivery(ctx, tx, notification.WebhookDelivery{
			ID: "msg_" + id, Event: e.Name, ApplicationID: about, Text: e.Text, Details: string(e.Data), Time: at, NextTry: at, State: notification.DeliveryWaiting, Webhook: w,
		}); err != nil {
			return err
		}
	}
	if !queued {
		return nil
	}
	return wakeLease(ctx, tx, notification.WebhookLeaseKind, notification.LeaseKey)
}

// insertDelivery stores a delivery.
func insertDelivery(ctx context.Context, tx *sqldb.Tx, d notification.WebhookDelivery) error {
	w := d.Webhook
	return tx.Send(ctx, `
		insert into webhook_delivery (directory, application, webhook, time, id, event, about, text, details, state, attempts, first_try, last_try, next_try, status, answer, took)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
		w.Directory, w.Application, w.ID, micros(d.Time), d.ID, d.Event, d.ApplicationID, redact.Tokens(d.Text), redact.Document(d.Details), string(d.State),
		d.Attempts, micros(d.FirstTry), micros(d.LastTry), micros(d.NextTry), d.Status, redact.Tokens(d.Answer), d.TookMillis)
}

// Webhooks returns the webhooks of a directory, the oldest first.
func (s Notifications) Webhooks(ctx context.Context, directory string) (all []notification.Webhook, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = webhooksOf(ctx, tx, directory)
		return err
	})
	return all, err
}

// AllWebhooks returns the webhooks with a sealed secret of all directories that are not deleted.
func (s Notifications) AllWebhooks(ctx context.Context) (all []notification.Webhook, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = collect(ctx, tx, scanWebhook, `
			select `+webhookColumns+`
			from webhook w
			join directory x on x.id = w.directory
			where x.deleted = 0 and w.secret <> ''
			order by w.directory, w.added, w.id`)
		return err
	})
	return all, err
}

// AddWebhook stores a webhook and appends the event. It returns notification.ErrTooManyWebhooks,
// notification.ErrFormUsed or refusal.NotFound.
func (s Notifications) AddWebhook(ctx context.Context, w notification.Webhook, limit int, e event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		t := directoryTx{tx: tx, directory: w.Directory}
		if err := t.lock(ctx); err != nil {
			return err
		}
		if w.Application != "" {
			if _, err := t.Application(ctx, w.Application); err != nil {
				return err
			}
		}
		all, err := webhooksOf(ctx, tx, w.Directory)
		if err != nil {
			return err
		}
		for _, known := range all {
			if w.Form != "" && known.Form == w.Form {
				return notification.ErrFormUsed
			}
		}
		if len(all) >= limit {
			return notification.ErrTooManyWebhooks
		}
		if err := tx.Send(ctx, `
			insert into webhook (directory, application, id, url, description, topics, added_by, added, secret, old_secret, old_until, form, disabled, stopped, last_sent, failing, error)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', 0, $10, 0, 0, 0, 0, '')`,
			w.Directory, w.Application, w.ID, w.URL, w.Description, topicWords(w.Topics), w.AddedBy, micros(w.Added), base64.StdEncoding.EncodeToString(w.Sealed), w.Form); err != nil {
			return err
		}
		return appendEvent(ctx, tx, e)
	})
}

// topicWords returns the stored form of topics: their names, separated by spaces.
func topicWords(topics []notification.Topic) string {
	words := make([]string, len(topics))
	for i, t := range topics {
		words[i] = string(t)
	}
	return strings.Join(words, " ")
}

// lockWebhook returns a webhook of a directory and locks it until the transaction ends.
func lockWebhook(ctx context.Context, tx *sqldb.Tx, directory, id string) (notification.Webhook, error) {
	w, err := scanWebhook(tx.QueryRow(ctx, `
		select `+webhookColumns+`
		from webhook w
		where w.directory = $1 and w.id = $2`+tx.ForUpdate(), directory, id))
	return w, orNotFound(err, notification.ErrNoWebhook)
}

// ChangeWebhook calls change with a webhook, stores the changed webhook and appends the event. If
// the webhook was enabled, or its URL or secret changed, all its waiting deliveries are due at
// once. ChangeWebhook returns notification.ErrNoWebhook, or the error of change.
func (s Notifications) ChangeWebhook(ctx context.Context, directory, id string, change func(notification.Webhook) (notification.Webhook, event.Event, error)) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		before, err := lockWebhook(ctx, tx, directory, id)
		if err != nil {
			return err
		}
		w, e, err := change(before)
		if err != nil {
			return err
		}
		old, oldUntil := oldSecretWords(w.Old)
		if err := tx.Send(ctx, `
			update webhook
			set url = $4, description = $5, topics = $6, secret = $7, old_secret = $8, old_until = $9, form = $10, disabled = $11, stopped = $12, failing = $13, error = $14
			where directory = $1 and application = $2 and id = $3`,
			w.Directory, w.Application, w.ID, w.URL, w.Description, topicWords(w.Topics), base64.StdEncoding.EncodeToString(w.Sealed), old,
			oldUntil, w.Form, micros(w.Disabled), boolToInt(w.IsStopped), micros(w.FailingSince), w.Error); err != nil {
			return err
		}
		if !before.IsEnabled() && w.IsEnabled() || hasNewURLOrSecret(before, w) {
			if err := tx.Send(ctx, `
				update webhook_delivery
				set attempts = 0, first_try = 0, next_try = 0
				where directory = $1 and application = $2 and webhook = $3 and state = 'waiting'`, w.Directory, w.Application, w.ID); err != nil {
				return err
			}
			if err := wakeLease(ctx, tx, notification.WebhookLeaseKind, notification.LeaseKey); err != nil {
				return err
			}
		}
		return appendEvent(ctx, tx, e)
	})
}

// hasNewURLOrSecret reports whether a webhook has another URL or another secret than before.
func hasNewURLOrSecret(before, now notification.Webhook) bool {
	return before.URL != now.URL || !bytes.Equal(before.Sealed, now.Sealed)
}

// RemoveWebhook deletes a webhook with its deliveries and appends the event. It returns
// notification.ErrNoWebhook if there is no such webhook.
func (s Notifications) RemoveWebhook(ctx context.Context, directory, id string, e func(notification.Webhook) event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		w, err := lockWebhook(ctx, tx, directory, id)
		if err != nil {
			return err
		}
		for _, table := range []string{"webhook_delivery where directory = $1 and application = $2 and webhook = $3", "webhook where directory = $1 and application = $2 and id = $3"} {
			if err := tx.Send(ctx, "delete from "+table, directory, w.Application, id); err != nil {
				return err
			}
		}
		return appendEvent(ctx, tx, e(w))
	})
}

// ReplaceWebhookSecrets stores secrets that were sealed again, and appends the events. If sealed is
// empty, it also disables the webhook. It does nothing if the secret was changed meanwhile.
func (s Notifications) ReplaceWebhookSecrets(ctx context.Context, old notification.Webhook, sealed []byte, older []notification.OldSecret, events ...event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		encode := base64.StdEncoding.EncodeToString
		words, until := oldSecretWords(older)
		did, err := changesRow(ctx, tx, `
			update webhook
			set secret = $4, old_secret = $5, old_until = $8, disabled = case when $4 = '' and disabled = 0 then $7 else disabled end
			where directory = $1 and application = $2 and id = $3 and secret = $6`,
			old.Directory, old.Application, old.ID, encode(sealed), words, encode(old.Sealed), micros(tx.Now()), until)
		if err != nil || !did {
			return err
		}
		return appendEvents(ctx, tx, events)
	})
}

// deliveryColumns are the columns of a delivery that scanDelivery reads.
const deliveryColumns = `d.id, d.event, d.about, coalesce(a.name, ''), d.text, d.details, d.time, d.state, d.attempts, d.first_try, d.last_try, d.next_try, d.status, d.answer, d.took`

// scanDelivery reads the deliveryColumns of a row.
func scanDelivery(row scanner) (d notification.WebhookDelivery, err error) {
	var at, first, last, next int64
	err = row.Scan(&d.ID, &d.Event, &d.ApplicationID, &d.Application, &d.Text, &d.Details, &at, &d.State, &d.Attempts, &first, &last, &next, &d.Status, &d.Answer, &d.TookMillis)
	d.Time, d.FirstTry, d.LastTry, d.NextTry = fromMicros(at), fromMicros(first), fromMicros(last), fromMicros(next)
	return d, err
}

// deliveriesFrom is the part of a query for the deliveries of the webhook with the key $1, $2, $3.
const deliveriesFrom = `
	from webhook_delivery d
	left join directory_application a on a.directory = d.directory and a.id = d.about
	where d.directory = $1 and d.application = $2 and d.webhook = $3`

// Deliveries returns deliveries of a webhook before a cursor, newest first. It returns
// notification.ErrNoWebhook if there is no such webhook.
func (s Notifications) Deliveries(ctx context.Context, directory, id, before string, limit int) (page []notification.WebhookDelivery, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		w, err := findWebhook(ctx, tx, directory, id)
		if err != nil {
			return err
		}
		condition, args := "", []any{directory, w.Application, id, limit}
		if at, last, ok := strings.Cut(before, "-"); ok {
			if micros, err := strconv.ParseInt(at, 10, 64); err == nil {
				condition, args = " and (d.time, d.id) < ($5, $6)", append(args, micros, last)
			}
		}
		page, err = collect(ctx, tx, scanDelivery, `
			select `+deliveryColumns+deliveriesFrom+condition+`
			order by d.time desc, d.id desc
			limit $4`, args...)
		return err
	})
	return page, err
}

// findWebhook returns a webhook of a directory, or notification.ErrNoWebhook.
func findWebhook(ctx context.Context, tx *sqldb.Tx, directory, id string) (notification.Webhook, error) {
	w, err := scanWebhook(tx.QueryRow(ctx, `
		select `+webhookColumns+`
		from webhook w
		where w.directory = $1 and w.id = $2`, directory, id))
	return w, orNotFound(err, notification.ErrNoWebhook)
}

// AddDelivery stores a delivery that was sent at once. It does nothing if the webhook was removed.
func (s Notifications) AddDelivery(ctx context.Context, d notification.WebhookDelivery) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if _, err := lockWebhook(ctx, tx, d.Webhook.Directory, d.Webhook.ID); err != nil {
			return ignoreRemoved(err)
		}
		if err := insertDelivery(ctx, tx, d); err != nil {
			return err
		}
		return dropOldDeliveries(ctx, tx, d.Webhook)
	})
}

// ignoreRemoved returns nil if the error says that the webhook was removed, and otherwise the error.
func ignoreRemoved(err error) error {
	if errors.Is(err, notification.ErrNoWebhook) {
		return nil
	}
	return err
}

// dropOldDeliveries keeps the newest notification.KeptDeliveries of a webhook's deliveries that do
// not wait.
func dropOldDeliveries(ctx context.Context, tx *sqldb.Tx, w notification.Webhook) error {
	var oldest int64
	err := tx.QueryRow(ctx, `
		select time
		from webhook_delivery
		where directory = $1 and application = $2 and webhook = $3 and state <> 'waiting'
		order by time desc, id desc
		limit 1 offset $4`, w.Directory, w.Application, w.ID, notification.KeptDeliveries-1).Scan(&oldest)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return tx.Send(ctx, `
		delete from webhook_delivery
		where directory = $1 and application = $2 and webhook = $3 and state <> 'waiting' and time < $4`, w.Directory, w.Application, w.ID, oldest)
}

// Repeat makes a delivery due at once, as if it had not been tried. It returns
// notification.ErrNoWebhook, notification.ErrNoDelivery or notification.ErrWebhookOff.
func (s Notifications) Repeat(ctx context.Context, directory, id, delivery string, now time.Time) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		w, err := lockWebhook(ctx, tx, directory, id)
		if err != nil {
			return err
		}
		if !w.IsEnabled() {
			return notification.ErrWebhookOff
		}
		did, err := changesRow(ctx, tx, `
			update webhook_delivery
			set state = 'waiting', attempts = 0, first_try = 0, next_try = $5
			where directory = $1 and application = $2 and webhook = $3 and id = $4`, directory, w.Application, id, delivery, micros(now))
		if err != nil {
			return err
		}
		if !did {
			return notification.ErrNoDelivery
		}
		return wakeLease(ctx, tx, notification.WebhookLeaseKind, notification.LeaseKey)
	})
}

// waitingDeliveries is the part of a query for the deliveries of all webhooks that wait.
const waitingDeliveries = `
	from webhook w
	join webhook_delivery d on d.directory = w.directory and d.application = w.application and d.webhook = w.id
	join directory x on x.id = w.directory
	where x.deleted = 0 and w.disabled = 0 and d.state = 'waiting'`

// DueDeliveries returns the deliveries that are due, at most one for each webhook. Deliveries of
// failing webhooks come last, so that they do not hold up the others. If no delivery is due, next
// is when the next one is due; it is zero if no delivery waits.
func (s Notifications) DueDeliveries(ctx context.Context, now time.Time, limit int) (due []notification.WebhookDelivery, next time.Time, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		due, next = nil, time.Time{}
		all, err := collect(ctx, tx, func(row scanner) (w notification.Webhook, err error) {
			err = row.Scan(&w.Directory, &w.ID)
			return w, err
		}, `
			select w.directory, w.id`+waitingDeliveries+` and d.next_try <= $1
			group by w.directory, w.id, w.failing
			order by case when w.failing = 0 then 0 else 1 end, min(d.next_try), w.directory, w.id
			limit $2`, micros(now), limit)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			var at int64
			err := tx.QueryRow(ctx, `
				select coalesce(min(d.next_try), 0)`+waitingDeliveries).Scan(&at)
			next = fromMicros(at)
			return err
		}
		for _, found := range all {
			w, err := findWebhook(ctx, tx, found.Directory, found.ID)
			if err != nil {
				return err
			}
			d, err := scanDelivery(tx.QueryRow(ctx, `
				select `+deliveryColumns+deliveriesFrom+` and d.state = 'waiting'
				order by d.next_try, d.time, d.id
				limit 1`, w.Directory, w.Application, w.ID))
			if err != nil {
				return err
			}
			if err := tx.QueryRow(ctx, `
				select name
				from directory
				where id = $1`, w.Directory).Scan(&d.DirectoryName); err != nil {
				return err
			}
			d.Webhook = w
			due = append(due, d)
		}
		return nil
	})
	return due, next, err
}

// Delivered stores the result of a try and the state of its webhook. If stopped is not nil, it
// disables the webhook and appends the event, unless the webhook was disabled in the meantime. It
// does nothing if the webhook was removed. It also does nothing if a try failed and the URL or the
// secret has changed in the meantime, because the delivery is then due again.
func (s Notifications) Delivered(ctx context.Context, epoch int64, d notification.WebhookDelivery, stopped *event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := checkLease(ctx, tx, notification.WebhookLeaseKind, notification.LeaseKey, epoch); err != nil {
			return err
		}
		w := d.Webhook
		now, err := lockWebhook(ctx, tx, w.Directory, w.ID)
		if err != nil {
			return ignoreRemoved(err)
		}
		if hasNewURLOrSecret(w, now) && d.State != notification.DeliverySent {
			return nil
		}
		did, err := changesRow(ctx, tx, `
			update webhook_delivery
			set state = $6, attempts = $7, first_try = $8, last_try = $9, next_try = $10, status = $11, answer = $12, took = $13
			where directory = $1 and application = $2 and webhook = $3 and time = $4 and id = $5 and state = 'waiting'`,
			w.Directory, w.Application, w.ID, micros(d.Time), d.ID, string(d.State), d.Attempts, micros(d.FirstTry), micros(d.LastTry), micros(d.NextTry), d.Status, redact.Tokens(d.Answer), d.TookMillis)
		if err != nil || !did {
			return err
		}
		if err := tx.Send(ctx, `
			update webhook
			set last_sent = $4, failing = $5, error = $6
			where directory = $1 and application = $2 and id = $3`, w.Directory, w.Application, w.ID, micros(w.LastSent), micros(w.FailingSince), redact.Tokens(w.Error)); err != nil {
			return err
		}
		if err := dropOldDeliveries(ctx, tx, w); err != nil {
			return err
		}
		if stopped == nil || !now.IsEnabled() {
			return nil
		}
		if err := tx.Send(ctx, `
			update webhook
			set disabled = $4, stopped = 1
			where directory = $1 and application = $2 and id = $3`, w.Directory, w.Application, w.ID, micros(w.Disabled)); err != nil {
			return err
		}
		return appendEvent(ctx, tx, *stopped)
	})
}
