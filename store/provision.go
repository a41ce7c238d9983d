package store

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// Provisioning implements provision.Store.
type Provisioning struct {
	DB *DB
	// Changed is called after this process has changed a job, its state, its work or its plans. It
	// must return at once. nil is allowed.
	Changed func(k provision.Key)
}

// change runs fn in a transaction that changes a job or its work, and then calls Changed.
func (s Provisioning) change(ctx context.Context, k provision.Key, fn func(tx *sqldb.Tx) error) error {
	if err := s.DB.Update(ctx, fn); err != nil {
		return err
	}
	if s.Changed != nil {
		s.Changed(k)
	}
	return nil
}

// jobColumns are the columns of a job that scanJob reads.
const jobColumns = `directory, app, mode, tenant_url, secret, status, scope, schema_document,
	version, revision, credentials, restarts, target_no, created, modified, searches, rehire, swaps, asked_why, groups, confirmed, nested, second_approval, rules, delete_threshold`

// Job returns a job, or provision.ErrNoJob.
func (s Provisioning) Job(ctx context.Context, k provision.Key) (j provision.Job, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		j, err = scanJob(tx.QueryRow(ctx, `
			select `+jobColumns+`
			from job
			where directory = $1 and app = $2`, string(k.Directory), k.App))
		return orNotFound(err, provision.ErrNoJob)
	})
	return j, err
}

// ListJobs returns the jobs of a directory, or of all directories if d is empty.
func (s Provisioning) ListJobs(ctx context.Context, d provision.SourceID) (jobs []provision.Job, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		if d == "" {
			jobs, err = collect(ctx, tx, scanJob, `
				select `+jobColumns+`
				from job
				order by directory, app`)
			return err
		}
		jobs, err = collect(ctx, tx, scanJob, `
			select `+jobColumns+`
			from job
			where directory = $1
			order by app`, string(d))
		return err
	})
	return jobs, err
}

// scanJob reads the jobColumns of a row.
func scanJob(row scanner) (provision.Job, error) {
	var j provision.Job
	var secret, document, searches, groups string
	var created, modified int64
	err := row.Scan(&j.Key.Directory, &j.Key.App, &j.Mode, &j.TenantURL, &secret, &j.Status, &j.Scope, &document,
		&j.Version, &j.LookAtAll, &j.TryNow, &j.ForgetFailures, &j.ForgetLinks, &created, &modified, &searches, &j.Rehire, &j.Swaps, &j.AskedWhy, &groups, &j.Confirmed, &j.Nested, &j.SecondApproval, &j.Rules, &j.DeleteThreshold)
	if err != nil {
		return provision.Job{}, err
	}
	if j.SealedSecret, err = base64.StdEncoding.DecodeString(secret); err != nil {
		return provision.Job{}, fmt.Errorf("read secret of job %s: %w", j.Key, err)
	}
	if j.Schema, err = provision.ParseSchema([]byte(document)); err != nil {
		return provision.Job{}, fmt.Errorf("read schema of job %s: %w", j.Key, err)
	}
	if g, err := j.Schema.GroupMapping(); err == nil {
		j.GroupsOffered = groups == groupsOffered && g.Enabled || groups == groupsOff && !g.Enabled
		g.Enabled = g.Enabled && groups != groupsOffered
	}
	if searches != "" {
		if err := json.Unmarshal([]byte(searches), &j.Searches); err != nil {
			return provision.Job{}, fmt.Errorf("read searches of job %s: %w", j.Key, err)
		}
	}
	j.Created, j.Modified = fromMicros(created), fromMicros(modified)
	return j, nil
}

// Values of the column job.groups. The column is "" for a job whose group mapping applies as it is.
// Early versions of Rollcall did not provision groups. A job of such a version does not provision
// them until an operator decides that it may.
const (
	groupsOffered = "offered" // the stored mapping was written before Rollcall could provision groups
	groupsOff     = "off"     // the group mapping is switched off, and no operator has decided about it yet
)

// encodeGroupsState returns the value of the column job.groups.
func encodeGroupsState(j provision.Job) string {
	if j.GroupsOffered {
		return groupsOff
	}
	return ""
}

// InsertJob stores a new job with its lease, its event and an empty state. It returns
// provision.ErrChanged if the job exists.
func (s Provisioning) InsertJob(ctx context.Context, j provision.Job, e event.Event) error {
	document, err := j.Schema.JSON()
	if err != nil {
		return err
	}
	searches, err := encodeSearches(j)
	if err != nil {
		return err
	}
	return s.change(ctx, j.Key, func(tx *sqldb.Tx) error {
		did, err := changesRow(ctx, tx, `
			insert into job (`+jobColumns+`)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)
			on conflict do nothing`,
			string(j.Key.Directory), j.Key.App, string(j.Mode), j.TenantURL, base64.StdEncoding.EncodeToString(j.SealedSecret),
			string(j.Status), string(j.Scope), string(document),
			j.Version, j.LookAtAll, j.TryNow, j.ForgetFailures, j.ForgetLinks, micros(j.Created), micros(j.Modified), searches, string(j.Rehire), string(j.Swaps), j.AskedWhy, encodeGroupsState(j), j.Confirmed, j.Nested, j.SecondApproval, string(j.Rules), j.DeleteThreshold)
		if err != nil {
			return err
		}
		if !did {
			return provision.ErrChanged
		}
		if _, err := tx.Exec(ctx, `
			insert into job_state (directory, app, state)
			values ($1, $2, '{}')`, string(j.Key.Directory), j.Key.App); err != nil {
			return err
		}
		if err := ensureLease(ctx, tx, provision.LeaseKind, j.Key.String()); err != nil {
			return err
		}
		if err := keepVersion(ctx, tx, j, string(document), e); err != nil {
			return err
		}
		return appendEvent(ctx, tx, e)
	})
}

func encodeSearches(j provision.Job) (string, error) {
	if j.Searches == nil {
		return "", nil
	}
	text, err := json.Marshal(j.Searches)
	if err != nil {
		return "", fmt.Errorf("write searches of job %s: %w", j.Key, err)
	}
	return string(text), nil
}

// UpdateJob replaces the previous version of the job and makes its lease due. It returns
// provision.ErrChanged if the stored job is not that version.
func (s Provisioning) UpdateJob(ctx context.Context, j provision.Job, e event.Event) error {
	document, err := j.Schema.JSON()
	if err != nil {
		return err
	}
	searches, err := encodeSearches(j)
	if err != nil {
		return err
	}
	return s.change(ctx, j.Key, func(tx *sqldb.Tx) error {
		did, err := changesRow(ctx, tx, `
			update job
			set mode = $3, tenant_url = $4, secret = $5, status = $6, scope = $7, schema_document = $8,
				version = $9, revision = $10, credentials = $11, restarts = $12, target_no = $13, modified = $14,
				searches = $15, rehire = $17, swaps = $18, asked_why = $19, groups = $20, confirmed = $21, nested = $22, second_approval = $23,
				rules = $24, delete_threshold = $25
			where directory = $1 and app = $2 and version = $16`,
			string(j.Key.Directory), j.Key.App, string(j.Mode), j.TenantURL, base64.StdEncoding.EncodeToString(j.SealedSecret),
			string(j.Status), string(j.Scope), string(document),
			j.Version, j.LookAtAll, j.TryNow, j.ForgetFailures, j.ForgetLinks, micros(j.Modified), searches, j.Version-1, string(j.Rehire), string(j.Swaps), j.AskedWhy, encodeGroupsState(j), j.Confirmed, j.Nested, j.SecondApproval, string(j.Rules), j.DeleteThreshold)
		if err != nil {
			return err
		}
		if !did {
			return provision.ErrChanged
		}
		if err := wakeLease(ctx, tx, provision.LeaseKind, j.Key.String()); err != nil {
			return err
		}
		if err := keepVersion(ctx, tx, j, string(document), e); err != nil {
			return err
		}
		return appendEvent(ctx, tx, e)
	})
}

// Secrets returns the sealed Secret Tokens of all jobs. It reads only columns that the table job
// has had since the first migration, so that it can run before later migrations.
func (s Provisioning) Secrets(ctx context.Context) (secrets []provision.SealedSecret, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		secrets, err = collect(ctx, tx, scanSecret, `
			select directory, app, tenant_url, secret
			from job
			where secret <> ''
			order by directory, app`)
		return err
	})
	return secrets, err
}

// scanSecret reads a row of the query of Secrets.
func scanSecret(row scanner) (provision.SealedSecret, error) {
	var s provision.SealedSecret
	var sealed string
	err := row.Scan(&s.Key.Directory, &s.Key.App, &s.TenantURL, &sealed)
	if err != nil {
		return provision.SealedSecret{}, err
	}
	if s.Sealed, err = base64.StdEncoding.DecodeString(sealed); err != nil {
		return provision.SealedSecret{}, fmt.Errorf("read secret of job %s: %w", s.Key, err)
	}
	return s, nil
}

// ReplaceSecret replaces a sealed Secret Token, or returns provision.ErrChanged if the job has
// another secret now. It increases the job's version, so that a save that has read the old secret
// is refused and retried.
func (s Provisioning) ReplaceSecret(ctx context.Context, old provision.SealedSecret, sealed []byte) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		did, err := changesRow(ctx, tx, `
			update job
			set secret = $3, version = version + 1
			where directory = $1 and app = $2 and secret = $4 and tenant_url = $5`,
			string(old.Key.Directory), old.Key.App, base64.StdEncoding.EncodeToString(sealed), base64.StdEncoding.EncodeToString(old.Sealed), old.TenantURL)
		if err == nil && !did {
			err = provision.ErrChanged
		}
		return err
	})
}

// jobTables returns the tables that hold a job's rows. The primary key of each table begins with
// the job's key.
func jobTables() []string {
	return []string{"job", "job_state", "job_pending", "job_link", "job_op", "job_escrow", "job_unmatched", "job_awaited", "job_cause", "job_drawn", "job_member", "job_member_read", "job_member_request", "job_mapping", "job_plan", "job_plan_object", "job_plan_member", "job_drift", "job_drift_object", "job_drift_schedule", "job_discovery", "job_discovered", "job_discovered_key", "job_discovered_match", "job_keep", "provisioning_log"}
}

// DeleteJob removes a job with all its rows, or returns provision.ErrNoJob.
func (s Provisioning) DeleteJob(ctx context.Context, k provision.Key, e event.Event) error {
	return s.change(ctx, k, func(tx *sqldb.Tx) error {
		did, err := removeJob(ctx, tx, k)
		if err != nil {
			return err
		}
		if !did {
			return provision.ErrNoJob
		}
		return appendEvent(ctx, tx, e)
	})
}

// removeJob removes a job with all its rows and its leases, and reports whether it existed. Without
// a lease, a process that still works on the job can no longer write.
func removeJob(ctx context.Context, tx *sqldb.Tx, k provision.Key) (had bool, err error) {
	for _, table := range jobTables() {
		did, err := changesRow(ctx, tx, `
			delete from `+table+`
			where directory = $1 and app = $2`, string(k.Directory), k.App)
		if err != nil {
			return false, err
		}
		if table == "job" {
			had = did
		}
	}
	if err := forgetLease(ctx, tx, provision.DriftKind, k.String()); err != nil {
		return false, err
	}
	if err := forgetLease(ctx, tx, provision.DiscoveryKind, k.String()); err != nil {
		return false, err
	}
	return had, forgetLease(ctx, tx, provision.LeaseKind, k.String())
}

// jobsOf returns the keys of a directory's jobs.
func jobsOf(ctx context.Context, tx *sqldb.Tx, d directory.ID) ([]provision.Key, error) {
	return collect(ctx, tx, func(row scanner) (provision.Key, error) {
		k := provision.Key{Directory: provision.SourceID(d)}
		return k, row.Scan(&k.App)
	}, `
		select app
		from job
		where directory = $1
		order by app`, string(d))
}

// State returns the state of a job, or provision.ErrNoJob.
func (s Provisioning) State(ctx context.Context, k provision.Key) (st provision.State, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		st, err = scanState(tx.QueryRow(ctx, `
			select state
			from job_state
			where directory = $1 and app = $2`, string(k.Directory), k.App))
		return orNotFound(err, provision.ErrNoJob)
	})
	return st, err
}

func scanState(row scanner) (provision.State, error) {
	var st provision.State
	var document string
	if err := row.Scan(&document); err != nil {
		return st, err
	}
	if err := json.Unmarshal([]byte(document), &st); err != nil {
		return st, fmt.Errorf("read state of job: %w", err)
	}
	return st, nil
}

// WatchedStates returns the states of all jobs with the mode Automatic and the status On.
func (s Provisioning) WatchedStates(ctx context.Context) (states map[provision.Key]provision.State, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		states = map[provision.Key]provision.State{}
		rows, err := tx.Query(ctx, `
			select j.directory, j.app, s.state
			from job j
			join job_state s on s.directory = j.directory and s.app = j.app
			where j.mode = $1 and j.status = $2`, string(provision.Automatic), string(provision.On))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var k provision.Key
			var document string
			var st provision.State
			if err := rows.Scan(&k.Directory, &k.App, &document); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(document), &st); err != nil {
				return fmt.Errorf("read state of job %s: %w", k, err)
			}
			states[k] = st
		}
		return rows.Err()
	})
	return states, err
}

// NewestPositions returns, for each directory, the position of the newest event that a job can
// read. It leaves out directories without a job that has the mode Automatic and the status On.
func (s Provisioning) NewestPositions(ctx context.Context) (heads map[provision.SourceID]provision.Cursor, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		heads = map[provision.SourceID]provision.Cursor{}
		_, err := collect(ctx, tx, func(row scanner) (d string, err error) {
			var head sql.NullString
			err = row.Scan(&d, &head)
			heads[provision.SourceID(d)] = provision.Cursor(head.String)
			return d, err
		}, `
			select j.directory, (
				select cast(tx as text) || '-' || cast(seq as text)
				from event
				where scope_kind = $1 and scope_id = j.directory and `+settledCondition(tx)+`
				order by tx desc, seq desc
				limit 1)
			from (select distinct directory from job where mode = $2 and status = $3) j`,
			event.KindDirectory, string(provision.Automatic), string(provision.On))
		return err
	})
	return heads, err
}

// Counts returns the numbers that the status of a job shows.
func (s Provisioning) Counts(ctx context.Context, k provision.Key) (c provision.Counts, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `
			select
				(select count(*) from job_link where directory = $1 and app = $2 and kind = $6 and state not in ($3, $4)),
				(select count(*) from job_link where directory = $1 and app = $2 and state = $3),
				(select count(*) from job_link where directory = $1 and app = $2 and state = $5),
				(select count(*) from job_escrow where directory = $1 and app = $2),
				(select count(*) from job_unmatched where directory = $1 and app = $2),
				(select count(*) from job_pending where directory = $1 and app = $2 and verdict not in ('held', 'rejected'))
					+ (select count(*) from job_member where directory = $1 and app = $2 and verdict = 'late' and verdict <> 'ready'),
				(select count(*) from job_pending where directory = $1 and app = $2 and verdict = 'held')
					+ (select count(*) from job_member where directory = $1 and app = $2 and verdict = 'held' and verdict <> 'ready'),
				(select count(*) from job_pending where directory = $1 and app = $2 and verdict = 'rejected')
					+ (select count(*) from job_member where directory = $1 and app = $2 and verdict = 'rejected' and verdict <> 'ready'),
				(select count(*) from job_link where directory = $1 and app = $2 and kind <> $6 and state not in ($3, $4)),
				(select count(*) from job_member where directory = $1 and app = $2 and has <> '' and not unsure),
				(select count(*) from job_link where directory = $1 and app = $2 and state = $7)`,
			string(k.Directory), k.App, string(provision.Lost), string(provision.Gone), string(provision.Held), string(provision.UserKind), string(provision.Active)).
			Scan(&c.Linked, &c.Lost, &c.Held, &c.Escrowed, &c.Unmatched, &c.Pending, &c.OnHold, &c.Rejected, &c.Groups, &c.Members, &c.Active)
	})
	return c, err
}

// CountLinked counts, over all jobs, the linked people, the linked groups, and the members of
// groups that applications have acknowledged.
func (s Provisioning) CountLinked(ctx context.Context) (people, groups, members int, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `
			select
				(select count(*) from job j join job_link l on l.directory = j.directory and l.app = j.app and l.kind = $1 and l.state not in ($3, $4)),
				(select count(*) from job j join job_link l on l.directory = j.directory and l.app = j.app and l.kind = $2 and l.state not in ($3, $4)),
				(select count(*) from job j join job_member m on m.directory = j.directory and m.app = j.app and m.has <> '' and not m.unsure)`,
			string(provision.UserKind), string(provision.GroupKind), string(provision.Lost), string(provision.Gone)).Scan(&people, &groups, &members)
	})
	return people, groups, members, err
}

// knownColumns are the columns with everything that a job stores about an object. scanPending reads
// them after the columns of the object's row on the work list.
const knownColumns = `
	l.target_id, l.how, l.state, l.hash, l.name, l.since, l.updated, l.match_keys, l.kind, l.wrote, l.version, l.proved, l.aside, l.refers,
	o.id, o.match_keys, o.sent, o.cycle, o.times, o.kind,
	e.name, e.first_failed, e.last_failed, e.next_at, e.count, e.code, e.reason, e.lane,
	u.object_id`

// knownJoins joins the tables of knownColumns to a row p that holds the key of the job and the id
// of the object.
const knownJoins = `
	left join job_link l on l.directory = p.directory and l.app = p.app and l.object_id = p.object_id
	left join job_op o on o.directory = p.directory and o.app = p.app and o.object_id = p.object_id
	left join job_escrow e on e.directory = p.directory and e.app = p.app and e.object_id = p.object_id
	left join job_unmatched u on u.directory = p.directory and u.app = p.app and u.object_id = p.object_id`

// Pending returns the next objects on the work list that are due and ready, with everything stored
// about them. They are ordered by lane, and within a lane by how long they have waited. If
// withoutJoiners is true, Pending leaves out people who have no account yet.
func (s Provisioning) Pending(ctx context.Context, k provision.Key, now time.Time, withoutJoiners bool, limit int) (all []provision.Pending, err error) {
	left := lanesLeftOut(withoutJoiners)
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = collect(ctx, tx, scanPending, `
			select p.object_id, p.why, p.not_before, p.lane, p.since, p.turn, p.cause, p.takes, p.verdict, p.origin,`+knownColumns+`
			from (
				select directory, app, object_id, why, not_before, lane, since, turn, cause, takes, verdict, origin
				from job_pending
				where directory = $1 and app = $2 and verdict = 'ready' and not_before <= $3 and lane not in ($4, $5)
				order by lane, since, object_id
				limit $6) p`+knownJoins+`
			order by p.lane, p.since, p.object_id`, string(k.Directory), k.App, micros(now), left[0], left[1], limit)
		return err
	})
	return all, err
}

// KnownAbout returns everything that a job stores about one object. Of the object's row on the work
// list, it returns only the fields that the guard needs: cause, origin, verdict and takes.
func (s Provisioning) KnownAbout(ctx context.Context, k provision.Key, objectID string) (p provision.Pending, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		p, err = scanPending(tx.QueryRow(ctx, `
			select p.object_id, '', 0, 0, 0, 0, coalesce(w.cause, ''), coalesce(w.takes, 0), coalesce(w.verdict, ''), coalesce(w.origin, ''),`+knownColumns+`
			from (select $1 as directory, $2 as app, $3 as object_id) p
			left join job_pending w on w.directory = p.directory and w.app = p.app and w.object_id = p.object_id`+knownJoins,
			string(k.Directory), k.App, objectID))
		return err
	})
	return p, err
}

// scanPending reads an object with the columns of its row on the work list and the knownColumns.
func scanPending(row scanner) (provision.Pending, error) {
	var p provision.Pending
	var notBefore, since, lane, takes int64
	var l struct {
		target, how, state, hash, name, keys sql.NullString
		kind, wrote, version, aside, refers  sql.NullString
		since, updated, proved               sql.NullInt64
	}
	var o struct {
		id, keys, cycle, kind sql.NullString
		sent, times           sql.NullInt64
	}
	var e struct {
		name, code, reason             sql.NullString
		first, last, next, count, lane sql.NullInt64
	}
	var unmatched sql.NullString
	err := row.Scan(&p.ObjectID, &p.Why, &notBefore, &lane, &since, &p.Turn, &p.Cause, &takes, &p.Verdict, &p.Origin,
		&l.target, &l.how, &l.state, &l.hash, &l.name, &l.since, &l.updated, &l.keys, &l.kind, &l.wrote, &l.version, &l.proved, &l.aside, &l.refers,
		&o.id, &o.keys, &o.sent, &o.cycle, &o.times, &o.kind,
		&e.name, &e.first, &e.last, &e.next, &e.count, &e.code, &e.reason, &e.lane, &unmatched)
	if err != nil {
		return p, err
	}
	p.NotBefore, p.Since, p.Lane, p.Unmatched, p.Takes = fromMicros(notBefore), fromMicros(since), provision.Lane(lane), unmatched.Valid, takes != 0
	if l.target.Valid {
		p.Link = &provision.Link{
			ObjectID: p.ObjectID, TargetID: l.target.String, How: l.how.String, State: provision.LinkState(l.state.String),
			Kind: provision.ObjectKind(l.kind.String), Hash: l.hash.String, Name: l.name.String, Version: l.version.String, Refers: l.refers.String,
			Since: fromMicros(l.since.Int64), Updated: fromMicros(l.updated.Int64), Proved: fromMicros(l.proved.Int64),
		}
		if l.aside.String != "" {
			if err := json.Unmarshal([]byte(l.aside.String), &p.Link.Aside); err != nil {
				return p, fmt.Errorf("read temporary value of %s: %w", p.ObjectID, err)
			}
		}
		if p.Link.Wrote, err = provision.ReadLedger(l.wrote.String); err != nil {
			return p, fmt.Errorf("%s: %w", p.ObjectID, err)
		}
		if err := json.Unmarshal([]byte(l.keys.String), &p.Link.Keys); err != nil {
			return p, fmt.Errorf("read match keys of %s: %w", p.ObjectID, err)
		}
	}
	if e.name.Valid {
		p.Escrow = &provision.Escrow{
			ObjectID: p.ObjectID, Name: e.name.String, First: fromMicros(e.first.Int64), Last: fromMicros(e.last.Int64),
			Next: fromMicros(e.next.Int64), Count: int(e.count.Int64), Code: e.code.String, Reason: e.reason.String, Lane: provision.Lane(e.lane.Int64),
		}
	}
	if o.id.Valid {
		p.Op = &provision.Op{
			ObjectID: p.ObjectID, ID: o.id.String, Sent: fromMicros(o.sent.Int64), Times: int(o.times.Int64), Cycle: o.cycle.String,
			Kind: provision.ObjectKind(o.kind.String),
		}
		if err := json.Unmarshal([]byte(o.keys.String), &p.Op.Keys); err != nil {
			return p, fmt.Errorf("read match keys of %s: %w", p.ObjectID, err)
		}
	}
	return p, nil
}

// NextPending returns when the first object on the work list that has the verdict Ready is due, or
// zero if there is none. If withoutJoiners is true, it ignores people who have no account yet.
func (s Provisioning) NextPending(ctx context.Context, k provision.Key, withoutJoiners bool) (time.Time, error) {
	left := lanesLeftOut(withoutJoiners)
	return s.firstTime(ctx, k, `
		select min(not_before), count(*)
		from job_pending
		where directory = $1 and app = $2 and verdict = 'ready' and lane not in ($3, $4)`, left[0], left[1])
}

// lanesLeftOut returns the two lanes that a query leaves out. Both are 0, which is not a lane, if
// the query leaves out nothing.
func lanesLeftOut(withoutJoiners bool) [2]int {
	if withoutJoiners {
		return [2]int{int(provision.Joiners), int(provision.CycleJoiners)}
	}
	return [2]int{}
}

// CountWaiting counts the objects on the work list by their lane and the reason for which they
// wait. It also counts removals of members on which the guard has not decided yet. Operations that
// are on hold or were rejected do not count.
func (s Provisioning) CountWaiting(ctx context.Context, k provision.Key) (waits []provision.Waits, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		waits, err = collect(ctx, tx, func(row scanner) (w provision.Waits, err error) {
			var lane, count, since, next int64
			err = row.Scan(&lane, &w.Reason, &count, &since, &next)
			w.Lane, w.Count, w.Since, w.Next = provision.Lane(lane), int(count), fromMicros(since), fromMicros(next)
			return w, err
		}, `
			select lane, why, count(*), min(since), min(not_before)
			from (
				select lane, since, not_before, case when verdict in ('judging', 'late') then '`+provision.JudgedReason+`' else reason end as why
				from job_pending
				where directory = $1 and app = $2 and verdict in ('ready', 'judging', 'late')
				union all
				select cast($3 as integer), since, 0, '`+provision.JudgedReason+`'
				from job_member
				where directory = $1 and app = $2 and verdict = 'late' and verdict <> 'ready') waiting
			group by lane, why
			order by lane, why`, string(k.Directory), k.App, int(provision.Memberships))
		return err
	})
	return waits, err
}

// OldestLeaver returns when the account that has waited longest to be disabled or deleted began to
// wait. It looks at all jobs with the status On. It returns zero if no account waits.
func (s Provisioning) OldestLeaver(ctx context.Context) (since time.Time, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		var oldest sql.NullInt64
		err := tx.QueryRow(ctx, `
			select min(since)
			from (
				select p.since from job_pending p join job j on j.directory = p.directory and j.app = p.app where p.lane = $1 and j.status = $2 and p.verdict not in ('held', 'rejected')
				union all
				select e.first_failed from job_escrow e join job j on j.directory = e.directory and j.app = e.app where e.lane = $1 and j.status = $2) waiting`,
			int(provision.Leavers), string(provision.On)).Scan(&oldest)
		since = fromMicros(oldest.Int64)
		return err
	})
	return since, err
}

// CountFailing counts the objects in the retry queue by lane and error code.
func (s Provisioning) CountFailing(ctx context.Context, k provision.Key) (failing []provision.Failing, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		failing, err = collect(ctx, tx, func(row scanner) (f provision.Failing, err error) {
			var lane, count, since int64
			err = row.Scan(&lane, &f.Code, &f.Reason, &count, &since)
			f.Lane, f.Count, f.Since = provision.Lane(lane), int(count), fromMicros(since)
			return f, err
		}, `
			select lane, code, max(reason), count(*), min(first_failed)
			from job_escrow
			where directory = $1 and app = $2
			group by lane, code
			order by lane, code`, string(k.Directory), k.App)
		return err
	})
	return failing, err
}

// CountPending returns how many objects are on the work list and neither on hold nor rejected.
func (s Provisioning) CountPending(ctx context.Context, k provision.Key) (n int, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `
			select count(*)
			from job_pending
			where directory = $1 and app = $2 and verdict not in ('held', 'rejected')`, string(k.Directory), k.App).Scan(&n)
	})
	return n, err
}

// LinkStates returns the states of the links of people, by object id. People without a link are
// left out.
func (s Provisioning) LinkStates(ctx context.Context, k provision.Key, objectIDs []string) (states map[string]provision.LinkState, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		states = map[string]provision.LinkState{}
		return inBatches(objectIDs, func(batch []string) error {
			_, err := collect(ctx, tx, func(row scanner) (id string, err error) {
				var state provision.LinkState
				err = row.Scan(&id, &state)
				states[id] = state
				return id, err
			}, `
				select object_id, state
				from job_link
				where directory = $1 and app = $2 and object_id in (`+placeholders(3, len(batch))+`)`,
				withIDs(batch, string(k.Directory), k.App)...)
			return err
		})
	})
	return states, err
}

// notListed is an SQL condition that the object of a row of job_escrow is not on the work list.
const notListed = ` and not exists (
	select 1
	from job_pending p
	where p.directory = job_escrow.directory and p.app = job_escrow.app and p.object_id = job_escrow.object_id)`

// NextRetry returns when the earliest retry of an object in the retry queue is due, or zero if
// there is none. Objects that are also on the work list do not count, because the work list has due
// times of its own.
func (s Provisioning) NextRetry(ctx context.Context, k provision.Key) (time.Time, error) {
	return s.firstTime(ctx, k, `
		select min(next_at), count(*)
		from (
			select next_at
			from job_escrow
			where directory = $1 and app = $2`+notListed+`
			order by next_at
			limit 1) as earliest`)
}

// firstTime returns the smallest time that a query finds in a job's rows, or the zero time if it
// finds no rows. query selects the smallest time and the number of rows. A row that is due at once
// has the time 0 in the database; for it, firstTime returns the year 1970 and not the zero time.
func (s Provisioning) firstTime(ctx context.Context, k provision.Key, query string, args ...any) (at time.Time, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		var least sql.NullInt64
		var count int64
		if err := tx.QueryRow(ctx, query, append([]any{string(k.Directory), k.App}, args...)...).Scan(&least, &count); err != nil {
			return err
		}
		if count > 0 {
			at = time.UnixMicro(least.Int64).UTC()
		}
		return nil
	})
	return at, err
}

// PendingIDs lists the ids of all objects on the work list, with any verdict and due time.
func (s Provisioning) PendingIDs(ctx context.Context, k provision.Key) ([]string, error) {
	return s.listIDs(ctx, `
		select object_id
		from job_pending
		where directory = $1 and app = $2
		order by object_id`, string(k.Directory), k.App)
}

// UnmatchedIDs lists the ids of objects for which the engine found no account.
func (s Provisioning) UnmatchedIDs(ctx context.Context, k provision.Key) ([]string, error) {
	return s.listIDs(ctx, `
		select object_id
		from job_unmatched
		where directory = $1 and app = $2
		order by object_id`, string(k.Directory), k.App)
}

// LostIDs lists the ids of people whose account was not found when the engine last needed it.
func (s Provisioning) LostIDs(ctx context.Context, k provision.Key) ([]string, error) {
	return s.listIDs(ctx, `
		select object_id
		from job_link
		where directory = $1 and app = $2 and state = $3
		order by object_id`, string(k.Directory), k.App, string(provision.Lost))
}

// HeldIDs lists the ids of people whose account the target keeps blocked.
func (s Provisioning) HeldIDs(ctx context.Context, k provision.Key) ([]string, error) {
	return s.listIDs(ctx, `
		select object_id
		from job_link
		where directory = $1 and app = $2 and state = $3
		order by object_id`, string(k.Directory), k.App, string(provision.Held))
}

// GoneSince lists the ids of people whose account was recorded as gone after a given time.
func (s Provisioning) GoneSince(ctx context.Context, k provision.Key, since time.Time) ([]string, error) {
	return s.listIDs(ctx, `
		select object_id
		from job_link
		where directory = $1 and app = $2 and state = $3 and updated > $4
		order by object_id`, string(k.Directory), k.App, string(provision.Gone), micros(since))
}

// DueEscrowIDs lists the ids of objects in the retry queue. If now is zero, it lists all of them.
// Otherwise it lists those whose retry is due and that are not on the work list.
func (s Provisioning) DueEscrowIDs(ctx context.Context, k provision.Key, now time.Time) ([]string, error) {
	if now.IsZero() {
		return s.listIDs(ctx, `
			select object_id
			from job_escrow
			where directory = $1 and app = $2
			order by object_id`, string(k.Directory), k.App)
	}
	return s.listIDs(ctx, `
		select object_id
		from job_escrow
		where directory = $1 and app = $2 and next_at <= $3`+notListed+`
		order by object_id`, string(k.Directory), k.App, micros(now))
}

// DueLeaverIDs lists the ids of people whose account could not be disabled or deleted, whose retry
// is due, and who are not on the work list. It lists up to limit people; those who have been due
// for the longest time come first.
func (s Provisioning) DueLeaverIDs(ctx context.Context, k provision.Key, now time.Time, limit int) ([]string, error) {
	return s.listIDs(ctx, `
		select object_id
		from job_escrow
		where directory = $1 and app = $2 and next_at <= $3 and lane = $4`+notListed+`
		order by next_at, object_id
		limit $5`, string(k.Directory), k.App, micros(now), int(provision.Leavers), limit)
}

// TriedSince lists the ids of objects in the retry queue from the id first to the id last. It lists
// only objects that last failed after the time since, or that are on the work list for a retry.
func (s Provisioning) TriedSince(ctx context.Context, k provision.Key, first, last string, since time.Time) ([]string, error) {
	return s.listIDs(ctx, `
		select object_id
		from job_escrow
		where directory = $1 and app = $2 and object_id >= $3 and object_id <= $4 and (last_failed > $5 or exists (
			select 1
			from job_pending p
			where p.directory = job_escrow.directory and p.app = job_escrow.app and p.object_id = job_escrow.object_id and p.why = $6 and p.verdict = 'ready'))
		order by object_id`, string(k.Directory), k.App, first, last, micros(since), string(provision.ByRetry))
}

// LinkedIDs lists up to limit ids of linked objects that follow the id after. If kind is not empty,
// it lists only objects of that kind.
func (s Provisioning) LinkedIDs(ctx context.Context, k provision.Key, kind provision.ObjectKind, after string, limit int) ([]string, error) {
	return s.listIDs(ctx, `
		select object_id
		from job_link
		where directory = $1 and app = $2 and object_id > $3 and ($5 = '' or kind = $5)
		order by object_id
		limit $4`, string(k.Directory), k.App, after, limit, string(kind))
}

// listIDs returns the ids that a query selects.
func (s Provisioning) listIDs(ctx context.Context, query string, args ...any) (ids []string, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		ids, err = collect(ctx, tx, scanText, query, args...)
		return err
	})
	return ids, err
}

// Owner returns the id of the user or group that is linked to an account or group of the target. It
// returns "" if there is none.
func (s Provisioning) Owner(ctx context.Context, k provision.Key, kind provision.ObjectKind, targetID string) (objectID string, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		err := tx.QueryRow(ctx, `
			select object_id
			from job_link
			where directory = $1 and app = $2 and kind = $3 and target_id = $4`, string(k.Directory), k.App, string(kind), targetID).Scan(&objectID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return objectID, err
}

// OpenCreates returns the creates of a kind whose outcome is unknown, ordered by object id. Only
// their object ids and matching values are set.
func (s Provisioning) OpenCreates(ctx context.Context, k provision.Key, kind provision.ObjectKind) (open []provision.Op, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		open, err = collect(ctx, tx, scanOpenCreate, `
			select object_id, match_keys
			from job_op
			where directory = $1 and app = $2 and kind = $3
			order by object_id`, string(k.Directory), k.App, string(kind))
		return err
	})
	return open, err
}

// scanOpenCreate reads a row with the object id and the matching values of a create.
func scanOpenCreate(row scanner) (o provision.Op, err error) {
	var keys string
	if err := row.Scan(&o.ObjectID, &keys); err != nil {
		return o, err
	}
	if err := json.Unmarshal([]byte(keys), &o.Keys); err != nil {
		return o, fmt.Errorf("read match keys of the create for %s: %w", o.ObjectID, err)
	}
	return o, nil
}
