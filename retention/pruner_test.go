package retention_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/retention"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

func newPruner(t *testing.T, db *store.DB, now *time.Time) *retention.Pruner {
	t.Helper()
	return &retention.Pruner{Store: store.Retention{DB: db}, Now: func() time.Time { return *now }, Log: slog.New(slog.DiscardHandler)}
}

func TestThePolicyIsOneSettingOfTheInstallation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, now := t.Context(), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		p := newPruner(t, db, &now)
		if got, err := p.Policy(ctx); err != nil || got[retention.Reads] != 30 || got[retention.Events] != 2557 {
			t.Errorf("at first: got %v, %v", got, err)
		}
		for _, bad := range []retention.Policy{{retention.Reads: -1}, {retention.Events: 40_000}} {
			if _, err := p.Set(ctx, bad, "cli"); !errors.Is(err, refusal.Invalid) {
				t.Errorf("%v: got %v", bad, err)
			}
		}
		if _, err := p.Set(ctx, retention.Policy{retention.Reads: 90, retention.Changes: retention.Forever}, "cli"); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Set(ctx, retention.Policy{retention.Reads: 90}, "cli"); err != nil { // changes nothing
			t.Fatal(err)
		}
		got, err := newPruner(t, db, &now).Policy(ctx)
		if err != nil || got[retention.Reads] != 90 || got[retention.Changes] != retention.Forever || got[retention.Spent] != 7 {
			t.Errorf("got %v, %v", got, err)
		}
		if !p.Before(got, retention.Changes).IsZero() || !p.Before(got, retention.Reads).Equal(now.AddDate(0, 0, -90)) {
			t.Errorf("the times are %v and %v", p.Before(got, retention.Changes), p.Before(got, retention.Reads))
		}
		events, err := store.Events{DB: db}.Recent(ctx, event.Installation(), "", event.Position{}, 10)
		if err != nil || len(events) != 1 || !strings.Contains(events[0].Text, "reads: kept 90 days instead of 30 days. changes: kept forever instead of 12 months.") {
			t.Errorf("the audit trail has %+v, %v", events, err)
		}
	})
}

// TestAServerPrunesOnceAnHourAndRemovesWhatWasDeletedAtOnce runs both as the server does, under their leases.
func TestAServerPrunesOnceAnHourAndRemovesWhatWasDeletedAtOnce(t *testing.T) {
	t.Parallel()
	db, now := storetest.New(t), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	ctx, p, sites, leases := t.Context(), newPruner(t, db, &now), store.Sites{DB: db}, store.Leases{DB: db}
	if err := sites.CreateSite(ctx, site.Site{ID: "acme", Name: "acme"}, event.Event{Time: now.AddDate(-8, 0, 0), Scope: event.Site("acme"), Name: "made"}); err != nil {
		t.Fatal(err)
	}
	if next, err := p.Advance(ctx, retention.LeaseKey, 1); err != nil || !next.Equal(now.Add(time.Hour)) {
		t.Errorf("after pruning: next is %v, %v", next, err)
	}
	if left, err := (store.Events{DB: db}).Recent(ctx, event.Site("acme"), "", event.Position{}, 10); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if err := sites.UpdateSite(ctx, "acme", func(tx site.Tx) error { return tx.DeleteSite(ctx) }); err != nil {
		t.Fatal(err)
	}
	if due, err := leases.Due(ctx, retention.RemovalLease, time.Now(), 10); err != nil || len(due) != 1 || due[0] != retention.LeaseKey {
		t.Errorf("due is %v, %v", due, err)
	}
	if next, err := p.AdvanceRemovals(ctx, retention.LeaseKey, 1); err != nil || !next.IsZero() {
		t.Errorf("after removing: next is %v, %v", next, err)
	}
	if left, err := (store.Retention{DB: db}).Removals(ctx); err != nil || left != 0 {
		t.Errorf("left to remove: %d, %v", left, err)
	}
}
