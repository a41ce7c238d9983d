package store_test

import (
	"testing"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// BenchmarkJudgingAMillion judges one cause of a job with a million links and a million
// memberships. The cause would disable a tenth of the accounts and end a tenth of the memberships.
func BenchmarkJudgingAMillion(b *testing.B) {
	ctx := b.Context()
	db := storetest.New(b)
	jobs, key := store.Provisioning{DB: db}, provision.Key{Directory: "d", App: "acme"}
	do := func(query string) {
		b.Helper()
		if err := db.Update(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, query)
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
	const each = `with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000000)`
	do(`insert into lease (kind, key, owner, epoch, until, next_at) values ('job', 'd/acme', 'bench', 1, 9000000000000000, 0)`)
	do(each + `
		insert into job_link (directory, app, object_id, target_id, how, state, hash, name, since, updated, match_keys)
		select 'd', 'acme', printf('%08d-0000-4000-8000-000000000000', i), i, 'created', 'active', '', 'Person ' || i, 0, 0, '[]' from n`)
	do(each + `
		insert into job_pending (directory, app, object_id, why, not_before, verdict, cause, takes, reason)
		select 'd', 'acme', printf('%08d-0000-4000-8000-000000000000', i), 'change', 0, 'judging', 'import-1', 1, 'blocked' from n where i % 10 = 0`)
	do(each + `
		insert into job_member (directory, app, group_id, member, has, turn, done, verdict, cause, reason)
		select 'd', 'acme', 'group-' || (i % 1000), printf('%08d-0000-4000-8000-000000000000', i), i, 1 + (i % 10 = 0), 1,
			case when i % 10 = 0 then 'late' else 'ready' end, case when i % 10 = 0 then 'import-1' else '' end, 'gone' from n`)
	b.ResetTimer()
	for b.Loop() {
		b.StopTimer()
		do(`update job_pending set verdict = 'judging' where verdict = 'held'`)
		do(`update job_member set verdict = 'late' where verdict = 'held'`)
		do(`delete from job_cause`)
		b.StartTimer()
		if err := jobs.Judge(ctx, provision.Fence{Key: key, Epoch: 1}, provision.CauseToJudge{ID: "import-1", Words: "Import"}, func(provision.Judgement) event.Event {
			return event.Event{Scope: event.Directory("d"), Name: event.ProvisioningHeld}
		}); err != nil {
			b.Fatal(err)
		}
	}
	held, err := jobs.HeldCauses(ctx, key, provision.OnHold)
	if err != nil || len(held) != 1 || held[0].Count != 200_000 || held[0].Members != 100_000 {
		b.Errorf("on hold are %+v, %v", held, err)
	}
}
