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

// Leases stores which process works on which key, on SQLite and PostgreSQL. A key stands for a
// piece of work that one process does at a time. It has a kind, such as "job", and a name. It is
// due from the time at which the work should be done. A process that claims a key becomes the owner
// of the key's lease, and holds the key until the lease expires or is released. Each claim
// increases the key's epoch by one, and writes under an older epoch are refused.
//
//	Ensure, Wake ──► due ──Claim──► held ──Release(next)──► due at next
//	                                 │ └─Renew─┘
//	                                 └─ expired: due again, for any owner
//
// Times come from the clock of the claiming process, so the clocks of several machines must agree
// to a fraction of the ttl. The clock only decides when another owner can take over a lease. The
// data is safe even if clocks differ, because writes check the epoch.
type Leases struct{ DB *DB }

// never is the next_at of a key that becomes due only through Wake. It is also used as a value that
// is greater than every position of an event.
const never = int64(math.MaxInt64)

// ErrHeld is returned by Claim while another owner holds the lease.
type ErrHeld struct {
	Kind, Key string
	Owner     string    // the owner that holds the lease
	Until     time.Time // when the lease expires, unless the owner renews it
}

// Error names the key, the owner that holds its lease, and the time when the lease expires.
func (e ErrHeld) Error() string {
	return fmt.Sprintf("%s %s is being worked on by %s, at least until %s", e.Kind, e.Key, e.Owner, e.Until.Format(time.RFC3339))
}

// Holder returns the owner of the lease, and the time when the lease expires unless the owner
// renews it.
func (e ErrHeld) Holder() (owner string, until time.Time) { return e.Owner, e.Until }

// ErrLeaseLost is returned for writes under an old epoch. It means that the key has been claimed
// again, by another owner or by the same one.
var ErrLeaseLost error = leaseLost{}

// leaseLost is the type of ErrLeaseLost. Its method LeaseLost lets packages that do not import this
// one recognize the error.
type leaseLost struct{}

func (leaseLost) Error() string   { return "the lease was lost: somebody else works on this now" }
func (leaseLost) LeaseLost() bool { return true }

// Ensure adds a key if it does not exist. A new key is due at once.
func (s Leases) Ensure(ctx context.Context, kind, key string) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error { return ensureLease(ctx, tx, kind, key) })
}

// Wake makes a key due at once, and adds it if it does not exist. A held key becomes due when its
// owner releases it.
func (s Leases) Wake(ctx context.Context, kind, key string) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error { return wakeLease(ctx, tx, kind, key) })
}

// Due returns up to limit keys that are due and not held, the key that has waited longest first. It
// includes keys whose lease has expired.
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

// DueEpochs returns the same keys as Due, each with the epoch of its last claim. If the epoch is
// different at a later call, a process has claimed the key in between.
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

// Held returns the keys that an owner holds, including those that it claimed before a restart.
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

// HeldByAny returns the keys of a kind that are held by any owner. The key whose lease expires last
// comes first.
func (s Leases) HeldByAny(ctx context.Context, kind string) (keys []string, err error) {
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

// ForgetExpired removes the keys of a kind that no owner holds any longer.
func (s Leases) ForgetExpired(ctx context.Context, kind string) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `
			delete from lease
			where kind = $1 and until <= $2`, kind, micros(tx.Now()))
		return err
	})
}

// Epoch returns the epoch of the key's last claim, or 0 if it was never claimed.
func (s Leases) Epoch(ctx context.Context, kind, key string) (epoch int64, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		epoch, err = leaseEpoch(ctx, tx, kind, key, "")
		return err
	})
	return epoch, err
}

// Claim takes the lease for ttl and returns its new epoch. It returns ErrHeld while another owner
// holds the lease. An owner can claim its own lease again at once, which ends the earlier epoch.
func (s Leases) Claim(ctx context.Context, kind, key, owner string, ttl time.Duration) (epoch int64, err error) {
	err = s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		epoch, err = claimLease(ctx, tx, kind, key, owner, ttl)
		return err
	})
	return epoch, err
}

// claimLease does what Claim does, in the caller's transaction.
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

// Renew extends the lease so that it expires ttl from now. It returns ErrLeaseLost if the key has
// been claimed again.
func (s Leases) Renew(ctx context.Context, kind, key, owner string, epoch int64, ttl time.Duration) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		result, err := tx.Exec(ctx, `
			update lease
			set until = $5
			where kind = $1 and key = $2 and owner = $3 and epoch = $4`,
			kind, key, owner, epoch, micros(tx.Now().Add(ttl)))
		return lostUnlessChanged(result, err)
	})
}

// Release gives the lease back. The key becomes due at nextAt, or earlier if Wake is called. The
// key is due at once if Wake was called while the lease was held. A zero nextAt means that only
// Wake makes the key due. Release returns ErrLeaseLost if the key has been claimed again.
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
		return lostUnlessChanged(result, err)
	})
}

// Forget removes a key, held or not. Later writes by its owner are refused.
func (s Leases) Forget(ctx context.Context, kind, key string) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error { return forgetLease(ctx, tx, kind, key) })
}

// ensureLease does what Ensure does, in the caller's transaction.
func ensureLease(ctx context.Context, tx *sqldb.Tx, kind, key string) error {
	_, err := tx.Exec(ctx, `
		insert into lease (kind, key, owner, epoch, until, next_at)
		values ($1, $2, '', 0, 0, $3)
		on conflict do nothing`, kind, key, micros(tx.Now()))
	return err
}

// wakeLease does what Wake does, in the caller's transaction.
func wakeLease(ctx context.Context, tx *sqldb.Tx, kind, key string) error {
	_, err := tx.Exec(ctx, `
		insert into lease (kind, key, owner, epoch, until, next_at)
		values ($1, $2, '', 0, 0, $3)
		on conflict (kind, key) do update
		set next_at = case when lease.next_at < excluded.next_at then lease.next_at else excluded.next_at end`,
		kind, key, micros(tx.Now()))
	return err
}

// forgetLease removes a key. The caller must never use the key again, because its epochs would
// start again at 0.
func forgetLease(ctx context.Context, tx *sqldb.Tx, kind, key string) error {
	_, err := tx.Exec(ctx, `
		delete from lease
		where kind = $1 and key = $2`, kind, key)
	return err
}

// checkLease returns ErrLeaseLost unless epoch is the current epoch of the key. It locks the epoch
// until the transaction ends. Every write under a lease calls it first.
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

// leaseEpoch returns the epoch of a key, or 0 if it was never claimed.
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

// lostUnlessChanged returns ErrLeaseLost if the update of the lease changed no row.
func lostUnlessChanged(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		return ErrLeaseLost
	}
	return err
}

// Overdue returns the number of keys of a kind that are due and not held, and the time at which the
// first of these keys became due.
func (s Leases) Overdue(ctx context.Context, kind string, now time.Time) (keys int, since time.Time, err error) {
	var oldest int64
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, "select count(*), coalesce(min(next_at), 0) from lease where kind = $1 and next_at <= $2 and until <= $2", kind, micros(now)).Scan(&keys, &oldest)
	})
	return keys, time.UnixMicro(max(0, oldest)), err
}

// WakeAll makes every key of a kind due at once. It does not change keys that only Wake makes due.
func (s Leases) WakeAll(ctx context.Context, kind string) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		now := micros(tx.Now())
		_, err := tx.Exec(ctx, "update lease set next_at = $2 where kind = $1 and next_at > $2 and next_at < $3", kind, now, never)
		return err
	})
}
