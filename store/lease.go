package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// Leases says who advances which key, on both databases. A key ("job" and the
// job's name) is free, or held by an owner until a time; each time it is
// claimed its epoch grows by one, and what is written under an older epoch is
// refused. An owner that is killed loses its leases when they expire.
//
//	Ensure, Wake ──► due ──Claim──► held ──Release(next)──► due at next
//	                                 │ └─Renew─┘
//	                                 └─ expired: due again, for anybody
//
// Times are those of the claiming process's clock: clocks of several machines
// must agree to a fraction of the ttl. That decides only when a lease is taken
// over; what protects the data is the epoch.
type Leases struct{ DB *DB }

// never is the next_at of a key that waits for nothing but Wake. It is also
// above every position of an event.
const never = int64(math.MaxInt64)

// ErrHeld is returned by Claim while another owner holds the lease.
type ErrHeld struct {
	Kind, Key string
	Owner     string
	Until     time.Time
}

func (e ErrHeld) Error() string {
	return fmt.Sprintf("%s %s is being worked on by %s, at least until %s", e.Kind, e.Key, e.Owner, e.Until.Format(time.RFC3339))
}

// Holder returns who holds the lease, and until when if nothing renews it.
func (e ErrHeld) Holder() (owner string, until time.Time) { return e.Owner, e.Until }

// ErrLeaseLost is returned for everything done under an epoch that is over:
// another owner, or this one again, has claimed the key since.
var ErrLeaseLost error = leaseLost{}

type leaseLost struct{}

func (leaseLost) Error() string   { return "the lease was lost: somebody else works on this now" }
func (leaseLost) LeaseLost() bool { return true }

// Ensure makes a key known. A new one is due at once.
func (s Leases) Ensure(ctx context.Context, kind, key string) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error { return ensureLease(ctx, tx, kind, key) })
}

// Wake makes a key due at once, known before or not. While it is held, it is
// due when it is released.
func (s Leases) Wake(ctx context.Context, kind, key string) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error { return wakeLease(ctx, tx, kind, key) })
}

// Due returns up to limit keys that nobody holds and that are due, or whose
// owner has not released them in time, longest waiting first.
func (s Leases) Due(ctx context.Context, kind string, now time.Time, limit int) (keys []string, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		keys, err = collect(ctx, tx, scanText, `
			select key
			from lease
			where kind = $1 and until <= $2 and (next_at <= $2 or owner <> '')
			order by next_at, key
			limit $3`, kind, micros(now), limit)
		return err
	})
	return keys, err
}

// DueEpochs returns the same keys, each with the number of its last claim: a
// key with another number has been worked on since.
func (s Leases) DueEpochs(ctx context.Context, kind string, now time.Time, limit int) (epochs map[string]int64, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		epochs = map[string]int64{}
		_, err := collect(ctx, tx, func(row scanner) (key string, err error) {
			var epoch int64
			err = row.Scan(&key, &epoch)
			epochs[key] = epoch
			return key, err
		}, `
			select key, epoch
			from lease
			where kind = $1 and until <= $2 and (next_at <= $2 or owner <> '')
			order by next_at, key
			limit $3`, kind, micros(now), limit)
		return err
	})
	return epochs, err
}

// Held returns the keys that an owner holds, also by claims of its life before
// a restart.
func (s Leases) Held(ctx context.Context, kind, owner string) (keys []string, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		keys, err = collect(ctx, tx, scanText, `
			select key
			from lease
			where kind = $1 and owner = $2
			order by key`, kind, owner)
		return err
	})
	return keys, err
}

// HeldNow returns the keys of a kind that anybody holds, the one held longest from now first.
func (s Leases) HeldNow(ctx context.Context, kind string) (keys []string, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		keys, err = collect(ctx, tx, scanText, `
			select key
			from lease
			where kind = $1 and owner <> '' and until > $2
			order by until desc, key`, kind, micros(s.DB.Now()))
		return err
	})
	return keys, err
}

// ForgetExpired removes the keys of a kind that nobody holds any longer.
func (s Leases) ForgetExpired(ctx context.Context, kind string) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `
			delete from lease
			where kind = $1 and until <= $2`, kind, micros(tx.Now()))
		return err
	})
}

// Epoch returns the number of the key's last claim, 0 when it was never claimed.
func (s Leases) Epoch(ctx context.Context, kind, key string) (epoch int64, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		epoch, err = leaseEpoch(ctx, tx, kind, key, "")
		return err
	})
	return epoch, err
}

// Claim takes the lease for ttl and returns its new epoch. ErrHeld while
// another owner holds it; one's own is taken again at once, which ends the
// epoch before.
func (s Leases) Claim(ctx context.Context, kind, key, owner string, ttl time.Duration) (epoch int64, err error) {
	err = s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		epoch, err = claimLease(ctx, tx, kind, key, owner, ttl)
		return err
	})
	return epoch, err
}

func claimLease(ctx context.Context, tx *sqldb.Tx, kind, key, owner string, ttl time.Duration) (epoch int64, err error) {
	now := tx.Now()
	err = tx.QueryRow(ctx, `
		insert into lease (kind, key, owner, epoch, until, next_at)
		values ($1, $2, $3, 1, $4, $5)
		on conflict (kind, key) do update
		set owner = excluded.owner, epoch = lease.epoch + 1, until = excluded.until, next_at = excluded.next_at
		where lease.owner in ('', excluded.owner) or lease.until <= $6
		returning epoch`, kind, key, owner, micros(now.Add(ttl)), never, micros(now)).Scan(&epoch)
	if !errors.Is(err, sql.ErrNoRows) {
		return epoch, err
	}
	held := ErrHeld{Kind: kind, Key: key}
	var until int64
	if err := tx.QueryRow(ctx, `
		select owner, until
		from lease
		where kind = $1 and key = $2`, kind, key).Scan(&held.Owner, &until); err != nil {
		return 0, err
	}
	held.Until = fromMicros(until)
	return 0, held
}

// Renew holds the lease for ttl from now.
func (s Leases) Renew(ctx context.Context, kind, key, owner string, epoch int64, ttl time.Duration) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		result, err := tx.Exec(ctx, `
			update lease
			set until = $5
			where kind = $1 and key = $2 and owner = $3 and epoch = $4`,
			kind, key, owner, epoch, micros(tx.Now().Add(ttl)))
		return stillOwner(result, err)
	})
}

// Release gives the lease back. The key is due again at nextAt, when it is
// woken, or at once when it was woken meanwhile; a zero nextAt waits for Wake.
func (s Leases) Release(ctx context.Context, kind, key, owner string, epoch int64, nextAt time.Time) error {
	next := never
	if !nextAt.IsZero() {
		next = micros(nextAt)
	}
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		result, err := tx.Exec(ctx, `
			update lease
			set owner = '', until = 0, next_at = case when next_at < $5 then next_at else $5 end
			where kind = $1 and key = $2 and owner = $3 and epoch = $4`,
			kind, key, owner, epoch, next)
		return stillOwner(result, err)
	})
}

// Forget removes a key, held or not; what its owner still writes is refused.
func (s Leases) Forget(ctx context.Context, kind, key string) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error { return forgetLease(ctx, tx, kind, key) })
}

func ensureLease(ctx context.Context, tx *sqldb.Tx, kind, key string) error {
	_, err := tx.Exec(ctx, `
		insert into lease (kind, key, owner, epoch, until, next_at)
		values ($1, $2, '', 0, 0, $3)
		on conflict do nothing`, kind, key, micros(tx.Now()))
	return err
}

func wakeLease(ctx context.Context, tx *sqldb.Tx, kind, key string) error {
	_, err := tx.Exec(ctx, `
		insert into lease (kind, key, owner, epoch, until, next_at)
		values ($1, $2, '', 0, 0, $3)
		on conflict (kind, key) do update
		set next_at = case when lease.next_at < excluded.next_at then lease.next_at else excluded.next_at end`,
		kind, key, micros(tx.Now()))
	return err
}

// forgetLease removes a key that never returns: its epochs would start anew.
func forgetLease(ctx context.Context, tx *sqldb.Tx, kind, key string) error {
	_, err := tx.Exec(ctx, `
		delete from lease
		where kind = $1 and key = $2`, kind, key)
	return err
}

// checkLease returns ErrLeaseLost unless epoch is the key's current one, and
// keeps it so until the transaction ends. Every write under a lease begins
// with it.
func checkLease(ctx context.Context, tx *sqldb.Tx, kind, key string, epoch int64) error {
	current, err := leaseEpoch(ctx, tx, kind, key, tx.ForShare())
	if err != nil {
		return err
	}
	if epoch == 0 || current != epoch {
		return ErrLeaseLost
	}
	return nil
}

// leaseEpoch is 0 for a key that nobody has claimed yet.
func leaseEpoch(ctx context.Context, tx *sqldb.Tx, kind, key, locking string) (epoch int64, err error) {
	err = tx.QueryRow(ctx, `
		select epoch
		from lease
		where kind = $1 and key = $2`+locking, kind, key).Scan(&epoch)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return epoch, err
}

// stillOwner is ErrLeaseLost when the update of the owner's row found none.
func stillOwner(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		return ErrLeaseLost
	}
	return err
}

// Overdue returns how many keys of a kind want to be advanced by now and are held by nobody, and since when the oldest does.
func (s Leases) Overdue(ctx context.Context, kind string, now time.Time) (keys int, since time.Time, err error) {
	var oldest int64
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, "select count(*), coalesce(min(next_at), 0) from lease where kind = $1 and next_at <= $2 and until <= $2", kind, micros(now)).Scan(&keys, &oldest)
	})
	return keys, time.UnixMicro(max(0, oldest)), err
}

// WakeAll makes every key of a kind due that waits for a time.
func (s Leases) WakeAll(ctx context.Context, kind string) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		now := micros(tx.Now())
		_, err := tx.Exec(ctx, "update lease set next_at = $2 where kind = $1 and next_at > $2 and next_at < $3", kind, now, never)
		return err
	})
}
