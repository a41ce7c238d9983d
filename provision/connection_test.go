package provision_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/store"
)

// pairs returns the connections of a query. Each has the form "object account how".
func (w *world) pairs(q provision.ConnectionQuery) (all []string) {
	w.t.Helper()
	for {
		page, next, err := w.jobs.Connections(w.t.Context(), w.key, q)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, c := range page {
			all = append(all, c.ObjectID+" "+c.TargetID+" "+c.How)
		}
		if q.After = next; next == "" {
			return all
		}
	}
}

func (w *world) wantPairs(q provision.ConnectionQuery, want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(w.pairs(q), want); diff != "" {
		w.t.Errorf("%+v: %s", q, diff)
	}
}

func (w *world) eventTexts(name string) (texts []string) {
	w.t.Helper()
	events, err := store.Events{DB: w.db}.Recent(w.t.Context(), eventScope(w.key), "", event.Position{}, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range events {
		if e.Name == name {
			texts = append(texts, e.Actor+": "+e.Text)
		}
	}
	return texts
}

func TestConnections(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		for _, name := range []string{"ada", "bo", "cy"} {
			w.people.put(name, person(name+"@contoso.com", strings.ToUpper(name[:1])+name[1:], "Lund"))
			w.cycle() // a cycle of its own numbers the accounts in this order
		}
		w.wantPairs(provision.ConnectionQuery{}, "ada u1 created", "bo u2 created", "cy u3 created")
		w.wantPairs(provision.ConnectionQuery{Limit: 1}, "ada u1 created", "bo u2 created", "cy u3 created")
		w.wantPairs(provision.ConnectionQuery{Search: " BO@"}, "bo u2 created")
		w.wantPairs(provision.ConnectionQuery{Search: "U3"}, "cy u3 created")
		w.wantPairs(provision.ConnectionQuery{Kind: provision.GroupKind})
		w.wantPairs(provision.ConnectionQuery{Search: "\x00"})
		for id, want := range map[string]string{"ada": "u1", "u2": "u2"} {
			c, err := w.jobs.Connection(t.Context(), w.key, id)
			if err != nil || c.TargetID != want || c.Kind != provision.UserKind || c.State != provision.Active {
				t.Errorf("%s: got %+v, %v", id, c, err)
			}
		}
		for _, id := range []string{"", "nobody", "\x00"} {
			if _, err := w.jobs.Connection(t.Context(), w.key, id); !errors.Is(err, provision.ErrNoConnection) {
				t.Errorf("%q: got %v", id, err)
			}
		}
		if _, _, err := w.jobs.Connections(t.Context(), provision.Key{Directory: "contoso", App: "other"}, provision.ConnectionQuery{}); !errors.Is(err, provision.ErrNoJob) {
			t.Errorf("another application: got %v", err)
		}
	})
}

// TestForgetConnection forgets a pair. The account stays, and the person is matched anew.
func TestForgetConnection(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		for _, name := range []string{"ada", "bo"} {
			w.people.put(name, person(name+"@contoso.com", strings.ToUpper(name[:1])+name[1:], "Lund"))
			w.cycle() // a cycle of its own numbers the accounts in this order
		}
		w.app.asked()
		c, err := w.engine.Forget(t.Context(), w.key, "test", "cli", "u1")
		if err != nil || c.ObjectID != "ada" {
			t.Fatalf("got %+v, %v", c, err)
		}
		if asked := w.app.asked(); len(asked) > 0 {
			t.Errorf("the application was asked %q", asked)
		}
		w.wantPairs(provision.ConnectionQuery{}, "bo u2 created")
		if _, err := w.engine.Forget(t.Context(), w.key, "test", "cli", "ada"); !errors.Is(err, provision.ErrNoConnection) {
			t.Errorf("again: got %v", err)
		}
		if got := w.eventTexts(event.ProvisioningForgotten); len(got) != 1 || !strings.Contains(got[0], "cli: The connection of ada@contoso.com with the account u1 was forgotten") {
			t.Errorf("got %q", got)
		}
		// The next cycle is incremental, and finds the account by its user name.
		if report, _ := w.cycle(); report.Kind != provision.IncrementalCycle || report.Created != 0 {
			t.Errorf("got %+v", report)
		}
		w.wantPairs(provision.ConnectionQuery{}, "ada u1 matched", "bo u2 created")
	})
}

// TestConnectByHand gives a person an account that no matching attribute finds. The account gets the
// person's values, and follows the person from then on.
func TestConnectByHand(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db, actions(provision.FlowUpdate))
		w.people.put("ada", person("ada@contoso.com", "Ada", "Lund"))
		account := w.app.add(scim.Resource{"userName": "a.lund", "displayName": "A", "active": true})
		w.cycle()
		w.wantPairs(provision.ConnectionQuery{})
		c, err := w.engine.Connect(t.Context(), w.key, "test", "cli", "ada", " "+account+" ")
		if err != nil || c.TargetID != account || c.How != "linked" || c.Name != "ada@contoso.com" {
			t.Fatalf("got %+v, %v", c, err)
		}
		if report, _ := w.cycle(); report.Updated != 1 || report.Created != 0 {
			t.Errorf("got %+v", report)
		}
		if u := w.app.user("ada@contoso.com"); u == nil || u.String("id") != account || u.String("displayName") != "Ada Lund" {
			t.Errorf("the account is %v", u)
		}
		w.wantPairs(provision.ConnectionQuery{}, "ada "+account+" linked")
		w.people.enable("ada", false)
		w.cycle()
		if active, _ := w.app.user("ada@contoso.com").Bool("active"); active {
			t.Error("the account is still active")
		}
		if got := w.eventTexts(event.ProvisioningConnected); len(got) != 1 || !strings.Contains(got[0], "Ada Lund was connected with the account "+account+" by hand") {
			t.Errorf("got %q", got)
		}
	})
}

func TestWhatCannotBeConnected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("ada", person("ada@contoso.com", "Ada", "Lund"))
	w.people.put("bo", person("bo@contoso.com", "Bo", "Lund"))
	w.people.assign("bo", false)
	w.cycle()
	free := w.app.add(scim.Resource{"userName": "free", "active": true})
	for _, c := range []struct {
		object, account string
		kind            refusal.Kind
		words           string
	}{
		{"nobody", free, refusal.NotFound, "no user or group with the object id nobody"},
		{"bo", "u99", refusal.NotFound, "no account with the id u99"},
		{"bo", "u1", refusal.Taken, "belongs to the object ada"},
		{"ada", free, refusal.Conflict, "has the account u1"},
		{"ada", "u1", refusal.Conflict, "already"},
		{"bo", "", refusal.Invalid, "is not the id of an account"},
		{"bo", "\x00", refusal.Invalid, "is not the id of an account"},
		{"", free, refusal.Invalid, "is not the id of a user or group"},
	} {
		_, err := w.engine.Connect(t.Context(), w.key, "test", "cli", c.object, c.account)
		if e, ok := refusal.Find(err); !ok || e.Kind != c.kind || !strings.Contains(e.Error(), c.words) {
			t.Errorf("%q and %q: got %v, want %s", c.object, c.account, err, c.words)
		}
	}
	w.wantPairs(provision.ConnectionQuery{}, "ada u1 created")
	if got := w.eventTexts(event.ProvisioningConnected); len(got) > 0 {
		t.Errorf("got %q", got)
	}
	w.app.token = "another"
	_, err := w.engine.Connect(t.Context(), w.key, "test", "cli", "bo", free)
	var te *provision.TargetError
	if !errors.As(err, &te) || te.Kind != provision.Credentials {
		t.Errorf("got %v", err)
	}
}

// TestConnectionsWaitForTheProcessThatWorks forgets a pair while another process has claimed the job.
func TestConnectionsWaitForTheProcessThatWorks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("ada", person("ada@contoso.com", "Ada", "Lund"))
	w.cycle()
	claim, err := w.leases.Claim(t.Context(), provision.LeaseKind, w.key.String(), "other", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := w.engine.Forget(t.Context(), w.key, "test", "cli", "ada")
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	if err := w.leases.Release(t.Context(), provision.LeaseKind, w.key.String(), "other", claim, epoch); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.wantPairs(provision.ConnectionQuery{})
}

func TestManyConnectionsAreSearchedPageByPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 1200
	for i := range n {
		name := fmt.Sprintf("p%04d", i)
		w.people.put(name, person(name+"@contoso.com", "P", fmt.Sprint(i)))
	}
	w.cycle()
	all := w.pairs(provision.ConnectionQuery{Limit: 500})
	if len(all) != n || !slices.IsSorted(all) {
		t.Errorf("got %d connections", len(all))
	}
	if found := w.pairs(provision.ConnectionQuery{Search: "99@contoso", Limit: 5}); len(found) != 12 {
		t.Errorf("got %q", found)
	}
}
