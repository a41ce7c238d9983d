package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// StartDiscovery stores a new discovery and makes its lease due, so that a process begins to work
// on it. It returns provision.ErrChanged if another discovery of the job is running.
func (s Provisioning) StartDiscovery(ctx context.Context, d provision.Discovery) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		// This also locks the lease, so that no other discovery starts at the same time.
		if err := wakeLease(ctx, tx, provision.DiscoveryKind, d.Key.String()); err != nil {
			return err
		}
		running, err := collect(ctx, tx, scanText, `
			select id
			from job_discovery
			where directory = $1 and app = $2 and state = $3`, string(d.Key.Directory), d.Key.App, string(provision.DiscoveryRunning))
		if err != nil {
			return err
		}
		if len(running) > 0 {
			return provision.ErrChanged
		}
		return addDiscovery(ctx, tx, d)
	})
}

// addDiscovery stores a new discovery.
func addDiscovery(ctx context.Context, tx *sqldb.Tx, d provision.Discovery) error {
	report, progress, err := encodeDiscovery(d)
	if err != nil {
		return err
	}
	return tx.Send(ctx, `
		insert into job_discovery (directory, app, id, state, started, report, progress)
		values ($1, $2, $3, $4, $5, $6, $7)`, string(d.Key.Directory), d.Key.App, d.ID, string(d.State), micros(d.Started), report, progress)
}

// encodeDiscovery returns a discovery and its progress as JSON.
func encodeDiscovery(d provision.Discovery) (report, progress string, err error) {
	r, err := json.Marshal(d)
	if err != nil {
		return "", "", fmt.Errorf("write the discovery: %w", err)
	}
	p, err := json.Marshal(d.Progress)
	if err != nil {
		return "", "", fmt.Errorf("write the progress of the discovery: %w", err)
	}
	return string(r), string(p), nil
}

// CancelDiscovery ends the running discovery, or returns provision.ErrChanged if none is running.
func (s Provisioning) CancelDiscovery(ctx context.Context, k provision.Key, now time.Time) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		// Lock the lease first. The transaction that saves a step of the discovery does so, too. In
		// another order the two transactions could wait for each other.
		if err := wakeLease(ctx, tx, provision.DiscoveryKind, k.String()); err != nil {
			return err
		}
		all, err := discoveries(ctx, tx, k)
		if err != nil {
			return err
		}
		for _, d := range all {
			if d.State != provision.DiscoveryRunning {
				continue
			}
			d.State, d.Ended, d.Doing = provision.DiscoveryCancelled, now, ""
			t := jobTx{tx: tx, directory: string(k.Directory), app: k.App}
			return t.saveDiscovery(ctx, d)
		}
		return provision.ErrChanged
	})
}

// saveDiscovery saves a discovery if the stored one is still running. Otherwise it returns
// provision.ErrChanged.
func (t jobTx) saveDiscovery(ctx context.Context, d provision.Discovery) error {
	report, progress, err := encodeDiscovery(d)
	if err != nil {
		return err
	}
	did, err := changesRow(ctx, t.tx, `
		update job_discovery
		set state = $4, report = $5, progress = $6
		where directory = $1 and app = $2 and id = $3 and state = $7`, t.directory, t.app, d.ID, string(d.State), report, progress, string(provision.DiscoveryRunning))
	if err == nil && !did {
		return provision.ErrChanged
	}
	return err
}

// Discoveries returns the discoveries of a job, newest first.
func (s Provisioning) Discoveries(ctx context.Context, k provision.Key) (all []provision.Discovery, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = discoveries(ctx, tx, k)
		return err
	})
	return all, err
}

// discoveries returns the discoveries of a job, newest first.
func discoveries(ctx context.Context, tx *sqldb.Tx, k provision.Key) ([]provision.Discovery, error) {
	return collect(ctx, tx, func(row scanner) (d provision.Discovery, err error) {
		var report, progress string
		if err := row.Scan(&report, &progress); err != nil {
			return d, err
		}
		err = errors.Join(json.Unmarshal([]byte(report), &d), json.Unmarshal([]byte(progress), &d.Progress))
		if err != nil {
			return d, fmt.Errorf("read a discovery: %w", err)
		}
		d.Key, d.Kind = k, cmp.Or(d.Kind, provision.UserKind) // earlier versions stored no kind
		return d, nil
	}, `
		select report, progress
		from job_discovery
		where directory = $1 and app = $2
		order by started desc, id desc`, string(k.Directory), k.App)
}

// updateDiscovery runs fn in a transaction that first checks the lease of the job's discovery. It
// returns ErrLeaseLost if another process has claimed the lease.
func (s Provisioning) updateDiscovery(ctx context.Context, f provision.Fence, fn func(jobTx) error) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := checkLease(ctx, tx, provision.DiscoveryKind, f.Key.String(), f.Epoch); err != nil {
			return err
		}
		return fn(jobTx{tx: tx, directory: string(f.Key.Directory), app: f.Key.App})
	})
}

// SaveDiscovery saves a discovery together with what its newest step has found. It returns
// provision.ErrChanged if the discovery is no longer running.
func (s Provisioning) SaveDiscovery(ctx context.Context, f provision.Fence, d provision.Discovery, found provision.DiscoveredBatch) error {
	return s.updateDiscovery(ctx, f, func(t jobTx) error {
		if err := t.saveDiscovery(ctx, d); err != nil {
			return err
		}
		for _, a := range found.Accounts {
			if err := t.addDiscovered(ctx, d.ID, a); err != nil {
				return err
			}
		}
		for _, k := range found.Keys {
			if err := t.exec(ctx, `
				insert into job_discovered_key (directory, app, discovery, hash, account)
				values ($1, $2, $3, $4, $5)
				on conflict do nothing`, d.ID, k.Hash, k.Account); err != nil {
				return err
			}
		}
		for _, m := range found.Matches {
			if err := t.addMatch(ctx, d.ID, m); err != nil {
				return err
			}
		}
		for _, a := range found.Sorted {
			if err := t.storeClass(ctx, d.ID, a); err != nil {
				return err
			}
		}
		if found.Next != nil {
			if err := addDiscovery(ctx, t.tx, *found.Next); err != nil {
				return err
			}
		}
		if found.Event == nil {
			return nil
		}
		return appendEvent(ctx, t.tx, *found.Event)
	})
}

// encodeWas returns as JSON what the previous discovery found about an account; "" for nil.
func encodeWas(was *provision.IdentityBefore) (string, error) {
	if was == nil {
		return "", nil
	}
	document, err := json.Marshal(was)
	if err != nil {
		return "", fmt.Errorf("write what the discovery before said: %w", err)
	}
	return string(document), nil
}

// addDiscovered stores an account that the discovery id has listed. It changes nothing if the
// account is stored already.
func (t jobTx) addDiscovered(ctx context.Context, id string, a provision.DiscoveredAccount) error {
	document, err := json.Marshal(a.FoundAccount)
	if err != nil {
		return fmt.Errorf("write the account %s: %w", a.ID, err)
	}
	was, err := encodeWas(a.Was)
	if err != nil {
		return err
	}
	return t.exec(ctx, `
		insert into job_discovered (directory, app, discovery, account, class, change, object_id, ambiguous, near, sort_name, search_text, found, was)
		values ($1, $2, $3, $4, $5, $6, '', '', 0, $7, $8, $9, $10)
		on conflict do nothing`, id, a.ID, string(a.Class), string(a.Change), a.SortName(), a.SearchText(), string(document), was)
}

// addMatch stores that a user matches, or nearly matches, an account in the discovery id. It
// changes nothing if that is stored already. It also counts the near matches of the account.
func (t jobTx) addMatch(ctx context.Context, id string, m provision.DiscoveredMatch) error {
	document, err := json.Marshal(m.IdentityMatch)
	if err != nil {
		return fmt.Errorf("write a match of %s: %w", m.Account, err)
	}
	if !m.Near {
		return t.exec(ctx, `
			insert into job_discovered_match (directory, app, discovery, account, object_id, near, match)
			values ($1, $2, $3, $4, $5, 0, $6)
			on conflict do nothing`, id, m.Account, m.ObjectID, string(document))
	}
	did, err := changesRow(ctx, t.tx, `
		insert into job_discovered_match (directory, app, discovery, account, object_id, near, match)
		values ($1, $2, $3, $4, $5, 1, $6)
		on conflict do nothing`, t.directory, t.app, id, m.Account, m.ObjectID, string(document))
	if err != nil || !did {
		return err
	}
	return t.exec(ctx, `
		update job_discovered
		set near = near + 1
		where directory = $1 and app = $2 and discovery = $3 and account = $4`, id, m.Account)
}

// storeClass stores the class of an account in the discovery id, the user who matches it, and how
// it differs from the previous discovery.
func (t jobTx) storeClass(ctx context.Context, id string, a provision.DiscoveredAccount) error {
	was, err := encodeWas(a.Was)
	if err != nil {
		return err
	}
	return t.exec(ctx, `
		update job_discovered
		set class = $5, change = $6, object_id = $7, ambiguous = $8, search_text = $9, was = $10
		where directory = $1 and app = $2 and discovery = $3 and account = $4`,
		id, a.ID, string(a.Class), string(a.Change), a.ObjectID, a.Ambiguous, a.SearchText(), was)
}

// ListedBefore reports which of these accounts, or groups, of the application the discovery id has
// listed already. connected maps each of them that has a link to the id of its user or group.
func (s Provisioning) ListedBefore(ctx context.Context, k provision.Key, kind provision.ObjectKind, id string, accounts []string) (listed map[string]bool, connected map[string]string, err error) {
	listed, connected = map[string]bool{}, map[string]string{}
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		return inBatches(accounts, func(batch []string) error {
			known, err := collect(ctx, tx, scanText, `
				select account
				from job_discovered
				where directory = $1 and app = $2 and discovery = $3 and account in (`+placeholders(4, len(batch))+`)`,
				withIDs(batch, string(k.Directory), k.App, id)...)
			if err != nil {
				return err
			}
			for _, account := range known {
				listed[account] = true
			}
			_, err = collect(ctx, tx, func(row scanner) (account string, err error) {
				var object string
				err = row.Scan(&account, &object)
				connected[account] = object
				return account, err
			}, `
				select target_id, object_id
				from job_link
				where directory = $1 and app = $2 and kind = $3 and target_id in (`+placeholders(4, len(batch))+`)`,
				withIDs(batch, string(k.Directory), k.App, string(kind))...)
			return err
		})
	})
	return listed, connected, err
}

// Candidates returns the accounts that have a value with one of these hashes, such as the hash of
// an email address. For each hash it returns at most provision.MaxCandidates + 1 accounts.
func (s Provisioning) Candidates(ctx context.Context, k provision.Key, id string, hashes []int64) (all []provision.IdentityCandidate, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		seen := map[int64]bool{} // inBatches may pass a hash twice
		return inBatches(hashes, func(batch []int64) error {
			args := []any{string(k.Directory), k.App, id}
			for _, hash := range batch {
				args = append(args, hash)
			}
			args = append(args, provision.MaxCandidates)
			found, err := collect(ctx, tx, func(row scanner) (c provision.IdentityCandidate, err error) {
				var document string
				if err := row.Scan(&c.Hash, &c.Near, &document); err != nil {
					return c, err
				}
				return c, decodeAccount(document, &c.FoundAccount)
			}, `
				select k.hash, d.near, d.found
				from (
					select hash, account, row_number() over (partition by hash order by account) as place
					from job_discovered_key
					where directory = $1 and app = $2 and discovery = $3 and hash in (`+placeholders(4, len(batch))+`)
				) k
				join job_discovered d on d.directory = $1 and d.app = $2 and d.discovery = $3 and d.account = k.account
				where k.place <= `+placeholders(4+len(batch), 1)+` + 1
				order by k.hash, k.account`, args...)
			if err != nil {
				return err
			}
			fresh := map[int64]bool{}
			for _, c := range found {
				if !seen[c.Hash] {
					fresh[c.Hash] = true
					all = append(all, c)
				}
			}
			for hash := range fresh {
				seen[hash] = true
			}
			return nil
		})
	})
	return all, err
}

// decodeAccount reads an account from the JSON that addDiscovered stored.
func decodeAccount(document string, a *provision.FoundAccount) error {
	if err := json.Unmarshal([]byte(document), a); err != nil {
		return fmt.Errorf("read an account of a discovery: %w", err)
	}
	return nil
}

// UnmatchedAccounts returns a page of the accounts that no user matches, ordered by id. Near
// matches do not count.
func (s Provisioning) UnmatchedAccounts(ctx context.Context, k provision.Key, id, after string, limit int) (page []provision.FoundAccount, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		page, err = collect(ctx, tx, func(row scanner) (a provision.FoundAccount, err error) {
			var document string
			if err := row.Scan(&document); err != nil {
				return a, err
			}
			return a, decodeAccount(document, &a)
		}, `
			select d.found
			from job_discovered d
			where d.directory = $1 and d.app = $2 and d.discovery = $3 and d.account > $4 and not exists (
				select 1
				from job_discovered_match m
				where m.directory = d.directory and m.app = d.app and m.discovery = d.discovery and m.account = d.account and m.near = 0)
			order by d.account
			limit $5`, string(k.Directory), k.App, id, after, limit)
		return err
	})
	return page, err
}

// UnsortedAccounts returns a page of a discovery's accounts, ordered by id, with all data that
// decides on their classes. previous is the id of the previous discovery. accountsOf holds how many
// accounts each user matches, for the users who match an account of the page.
func (s Provisioning) UnsortedAccounts(ctx context.Context, k provision.Key, id, previous, after string, limit int) (page []provision.UnsortedAccount, accountsOf map[string]int, err error) {
	accountsOf = map[string]int{}
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		page, err = collect(ctx, tx, func(row scanner) (a provision.UnsortedAccount, err error) {
			var document, before string
			var known, unclear bool
			var was provision.IdentityBefore
			if err := row.Scan(&document, &a.Near, &known, &was.Class, &was.ObjectID, &unclear, &before); err != nil {
				return a, err
			}
			if known {
				var old provision.FoundAccount
				if err := decodeAccount(before, &old); err != nil {
					return a, err
				}
				was.UserName, was.Active = old.UserName, old.Active
				a.Was, a.Unclear, a.Name = &was, unclear, old.DisplayName
			}
			return a, decodeAccount(document, &a.FoundAccount)
		}, `
			select d.found, d.near, p.account is not null, coalesce(p.class, ''), coalesce(p.object_id, ''), coalesce(p.ambiguous, '') <> '', coalesce(p.found, '')
			from job_discovered d
			left join job_discovered p on p.directory = d.directory and p.app = d.app and p.discovery = $4 and p.account = d.account and p.change <> $7
			where d.directory = $1 and d.app = $2 and d.discovery = $3 and d.account > $5
			order by d.account
			limit $6`, string(k.Directory), k.App, id, previous, after, limit, string(provision.IdentityGone))
		if err != nil {
			return err
		}
		index := map[string]int{}
		accounts := make([]string, len(page))
		for i, a := range page {
			accounts[i], index[a.ID] = a.ID, i
		}
		var objects []string
		if err := eachMatch(ctx, tx, k, id, accounts, func(m provision.DiscoveredMatch) {
			if a := &page[index[m.Account]]; !m.Near {
				a.Matches = append(a.Matches, m.IdentityMatch)
				objects = append(objects, m.ObjectID)
			}
		}); err != nil {
			return err
		}
		return inBatches(objects, func(batch []string) error {
			_, err := collect(ctx, tx, func(row scanner) (object string, err error) {
				var count int
				err = row.Scan(&object, &count)
				accountsOf[object] = count
				return object, err
			}, `
				select object_id, count(*)
				from job_discovered_match
				where directory = $1 and app = $2 and discovery = $3 and near = 0 and object_id in (`+placeholders(4, len(batch))+`)
				group by object_id`, withIDs(batch, string(k.Directory), k.App, id)...)
			return err
		})
	})
	return page, accountsOf, err
}

// eachMatch calls visit for each match and near match of these accounts. It visits the matches of
// an account in the order of their object ids.
func eachMatch(ctx context.Context, tx *sqldb.Tx, k provision.Key, id string, accounts []string, visit func(provision.DiscoveredMatch)) error {
	done := map[string]bool{}
	return inBatches(accounts, func(batch []string) error {
		found, err := collect(ctx, tx, func(row scanner) (m provision.DiscoveredMatch, err error) {
			var document string
			if err := row.Scan(&m.Account, &m.Near, &document); err != nil {
				return m, err
			}
			if err := json.Unmarshal([]byte(document), &m.IdentityMatch); err != nil {
				return m, fmt.Errorf("read a match of %s: %w", m.Account, err)
			}
			return m, nil
		}, `
			select account, near <> 0, match
			from job_discovered_match
			where directory = $1 and app = $2 and discovery = $3 and account in (`+placeholders(4, len(batch))+`)
			order by account, object_id`, withIDs(batch, string(k.Directory), k.App, id)...)
		for _, m := range found {
			if !done[m.Account] {
				visit(m)
			}
		}
		for _, account := range batch {
			done[account] = true
		}
		return err
	})
}

// GoneAccounts returns a page of the accounts that the discovery previous listed and the discovery
// id did not list, ordered by id.
func (s Provisioning) GoneAccounts(ctx context.Context, k provision.Key, id, previous, after string, limit int) (page []provision.DiscoveredAccount, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		page, err = collect(ctx, tx, scanDiscovered, `
			select `+discoveredColumns+`
			from job_discovered p
			where p.directory = $1 and p.app = $2 and p.discovery = $4 and p.account > $5 and p.change <> $7 and not exists (
				select 1
				from job_discovered d
				where d.directory = p.directory and d.app = p.app and d.discovery = $3 and d.account = p.account)
			order by p.account
			limit $6`, string(k.Directory), k.App, id, previous, after, limit, string(provision.IdentityGone))
		return err
	})
	return page, err
}

// discoveredColumns are the columns of an account found by a discovery that scanDiscovered reads.
const discoveredColumns = "class, change, object_id, ambiguous, near, found, was"

// scanDiscovered reads the discoveredColumns of a row.
func scanDiscovered(row scanner) (a provision.DiscoveredAccount, err error) {
	var document, was string
	if err := row.Scan(&a.Class, &a.Change, &a.ObjectID, &a.Ambiguous, &a.NearCount, &document, &was); err != nil {
		return a, err
	}
	a.Matches, a.Near = []provision.IdentityMatch{}, []provision.IdentityMatch{}
	if was != "" {
		a.Was = &provision.IdentityBefore{}
		if err := json.Unmarshal([]byte(was), a.Was); err != nil {
			return a, fmt.Errorf("read what the discovery before said: %w", err)
		}
	}
	return a, decodeAccount(document, &a.FoundAccount)
}

// removedTogether is the largest number of rows of old discoveries that one transaction removes.
const removedTogether = 1_000

// RemoveOldDiscoveries removes some rows of discoveries that are no longer needed. done is true
// when all such rows are removed.
func (s Provisioning) RemoveOldDiscoveries(ctx context.Context, f provision.Fence) (done bool, err error) {
	err = s.updateDiscovery(ctx, f, func(t jobTx) error {
		all, err := discoveries(ctx, t.tx, f.Key)
		if err != nil {
			return err
		}
		running := ""
		newest, complete := map[provision.ObjectKind]string{}, map[provision.ObjectKind]string{}
		for _, d := range all {
			if newest[d.Kind] == "" {
				newest[d.Kind] = d.ID // keep the newest discovery, so that people see why it failed
			}
			switch {
			case d.State == provision.DiscoveryRunning:
				running = d.ID
			case d.State == provision.DiscoveryDone && complete[d.Kind] == "":
				complete[d.Kind] = d.ID
			}
		}
		for _, d := range all {
			tables := []string{"job_discovered_key", "job_discovered_match", "job_discovered"}
			switch d.ID {
			case running:
				continue
			case complete[d.Kind]:
				tables = tables[:1]
			}
			for _, table := range tables {
				n, err := t.removeSome(ctx, table, d.ID)
				if err != nil || n == removedTogether {
					return err
				}
			}
		}
		done = true
		return t.exec(ctx, `
			delete from job_discovery
			where directory = $1 and app = $2 and id not in ($3, $4, $5, $6, $7)`,
			running, complete[provision.UserKind], complete[provision.GroupKind], newest[provision.UserKind], newest[provision.GroupKind])
	})
	return done, err
}

// removeSome removes up to removedTogether rows of the discovery id from a table, and returns how
// many it has removed.
func (t jobTx) removeSome(ctx context.Context, table, id string) (int64, error) {
	result, err := t.tx.Exec(ctx, t.tx.DeleteSome(table, "directory = $1 and app = $2 and discovery = $3", "$4"), t.directory, t.app, id, removedTogether)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// DiscoveredAccounts returns a page of the accounts of a discovery, ordered by name. next is the
// field After of the query for the next page; "" on the last page.
func (s Provisioning) DiscoveredAccounts(ctx context.Context, k provision.Key, id string, q provision.DiscoveredQuery) (page []provision.DiscoveredAccount, next string, err error) {
	args := []any{string(k.Directory), k.App, id}
	var b strings.Builder
	b.WriteString(`
		select ` + discoveredColumns + `, sort_name
		from job_discovered
		where directory = $1 and app = $2 and discovery = $3`)
	bind := func(v any) string {
		args = append(args, v)
		return placeholders(len(args), 1)
	}
	if q.Class != "" {
		b.WriteString(" and class = " + bind(string(q.Class)))
	}
	switch {
	case q.Change != "":
		b.WriteString(" and change = " + bind(string(q.Change)))
	case q.Account == "":
		b.WriteString(" and change <> " + bind(string(provision.IdentityGone)))
	}
	if q.Ambiguous {
		b.WriteString(" and ambiguous <> ''")
	}
	if q.Near {
		b.WriteString(" and near > 0 and class = " + bind(string(provision.LocalAccounts)))
	}
	kept := "exists (select 1 from job_keep k where k.directory = job_discovered.directory and k.app = job_discovered.app and k.account = job_discovered.account and k.kind = "
	switch q.Kept {
	case provision.OnlyKept:
		b.WriteString(" and " + kept + bind(string(q.Kind)) + ")")
	case provision.WithoutKept:
		b.WriteString(" and not " + kept + bind(string(q.Kind)) + ")")
	}
	if q.Account != "" {
		b.WriteString(" and account = " + bind(q.Account))
	}
	if q.Search != "" {
		b.WriteString(" and search_text like " + bind("%"+escapeLike(q.Search)+"%") + ` escape '\'`)
	}
	if name, account, found := strings.Cut(q.After, "\n"); found {
		b.WriteString(" and (sort_name, account) > (" + bind(name) + ", " + bind(account) + ")")
	}
	b.WriteString(" order by sort_name, account limit " + bind(q.Limit+1))
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		var names []string
		page, err = collect(ctx, tx, func(row scanner) (provision.DiscoveredAccount, error) {
			var name string
			a, err := scanDiscovered(withExtraColumn{row, &name})
			names = append(names, name)
			return a, err
		}, b.String(), args...)
		if err != nil {
			return err
		}
		if len(page) > q.Limit {
			page = page[:q.Limit]
			next = names[q.Limit-1] + "\n" + page[q.Limit-1].ID
		}
		index := map[string]int{}
		accounts := make([]string, len(page))
		for i, a := range page {
			accounts[i], index[a.ID] = a.ID, i
			page[i].Kind = q.Kind
		}
		if err := eachKept(ctx, tx, k, q.Kind, accounts, func(account, by string) { page[index[account]].KeptBy = by }); err != nil {
			return err
		}
		return eachMatch(ctx, tx, k, id, accounts, func(m provision.DiscoveredMatch) {
			a := &page[index[m.Account]]
			if m.Near {
				a.Near = append(a.Near, m.IdentityMatch)
			} else {
				a.Matches = append(a.Matches, m.IdentityMatch)
			}
		})
	})
	return page, next, err
}

// eachKept calls visit for each of these accounts, or groups, that an administrator has marked as
// Keep: it may stay at the application although no user or group of the directory matches it.
func eachKept(ctx context.Context, tx *sqldb.Tx, k provision.Key, kind provision.ObjectKind, accounts []string, visit func(account, by string)) error {
	return inBatches(accounts, func(batch []string) error {
		_, err := collect(ctx, tx, func(row scanner) (account string, err error) {
			var by string
			if err = row.Scan(&account, &by); err == nil {
				visit(account, by)
			}
			return account, err
		}, `
			select account, kept_by
			from job_keep
			where directory = $1 and app = $2 and kind = $3 and account in (`+placeholders(4, len(batch))+`)`, withIDs(batch, string(k.Directory), k.App, string(kind))...)
		return err
	})
}

// KeepAccounts marks accounts or groups as Keep, or removes these marks. It returns how many marks
// it has added or removed, and appends the event unless there were none.
func (s Provisioning) KeepAccounts(ctx context.Context, k provision.Key, kind provision.ObjectKind, accounts []string, keep bool, actor string, e func(changed int) event.Event) (changed int, err error) {
	err = s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		changed = 0
		for _, account := range accounts {
			query, args := `
				delete from job_keep
				where directory = $1 and app = $2 and kind = $3 and account = $4`, []any{string(k.Directory), k.App, string(kind), account}
			if keep {
				query, args = `
				insert into job_keep (directory, app, kind, account, kept_by, since)
				values ($1, $2, $3, $4, $5, $6)
				on conflict do nothing`, append(args, actor, micros(tx.Now()))
			}
			did, err := changesRow(ctx, tx, query, args...)
			if err != nil {
				return err
			}
			if did {
				changed++
			}
		}
		if changed == 0 {
			return nil
		}
		return appendEvent(ctx, tx, e(changed))
	})
	return changed, err
}
