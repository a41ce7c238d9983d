package provision_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/scimclient"
	"github.com/rollcall-scim/rollcall/store"
)

// limitedWire carries requests to an application that accepts a number of requests per second and
// answers each after 50 ms. It answers further requests with 429 and asks for a pause of one
// second.
type limitedWire struct {
	app       *application
	perSecond int
	fails     func(*http.Request) bool // whether to answer 500 and to do nothing; may be nil

	mu      sync.Mutex
	taken   []time.Time // when the application accepted the requests of the last second
	served  map[string]int
	refused int
	last    time.Time // when the application answered the last request that it accepted
}

func (l *limitedWire) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		sent, _ = io.ReadAll(r.Body)
	}
	if !l.takes(r.Method) {
		time.Sleep(50 * time.Millisecond)
		return respond(r, http.StatusTooManyRequests, problem(429, "", "Slowly."), "Retry-After", "1"), nil
	}
	if l.fails != nil && l.fails(r) {
		return respond(r, http.StatusInternalServerError, problem(500, "", "A bug.")), nil
	}
	status, body := l.app.handle(r, strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/scim/v2/Users"), "/"), sent)
	time.Sleep(50 * time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = time.Now()
	return respond(r, status, body), nil
}

func (l *limitedWire) takes(method string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for len(l.taken) > 0 && now.Sub(l.taken[0]) >= time.Second {
		l.taken = l.taken[1:]
	}
	if len(l.taken) >= l.perSecond {
		l.refused++
		return false
	}
	l.taken = append(l.taken, now)
	l.served[method]++
	return true
}

// limitedWorld is a job for people at an application that takes perSecond requests in a second. It
// is for a test with virtual time: its database is outside of that time.
func limitedWorld(t *testing.T, h house, people, perSecond int) (*world, *limitedWire) {
	t.Helper()
	w := &world{
		t: t, db: h.db, store: store.Provisioning{DB: h.db}, leases: store.Leases{DB: h.db}, people: newPeople(), clock: &clock{at: epoch},
		key: provision.Key{Directory: "limited", App: "acme"},
		app: &application{token: "secret", users: map[string]scim.Resource{}, byName: map[string][]string{}, created: map[string]int{}},
	}
	wire := &limitedWire{app: w.app, perSecond: perSecond, served: map[string]int{}}
	targets := func(tenantURL, secret string) (provision.Target, error) {
		return scimclient.New(tenantURL, secret, scimclient.Options{HTTP: &http.Client{Transport: wire}, Now: time.Now, NewID: w.newID})
	}
	outside := mortalStore{w.store, func(_ string, do func(context.Context) error) error { return h.out.call(do) }}
	w.jobs = &provision.Jobs{
		Store: outside, Sealer: openSeal{}, Targets: targets, Template: template, Now: time.Now, NewID: w.newID, Sources: w.source,
		Attributes: source.UserAttributes{}, GroupAttributes: source.GroupAttributes{},
	}
	w.engine = &provision.Engine{
		Store: outside, Sources: w.source, Attributes: source.UserAttributes{}, Targets: targets, Sealer: openSeal{},
		Leases: outsideLeases{w.leases, h.out}, Now: time.Now, NewID: w.newID, Log: slog.New(slog.DiscardHandler),
	}
	for i := range people {
		w.people.put(fmt.Sprintf("p%03d", i), person(fmt.Sprintf("user%d@contoso.com", i), "User", fmt.Sprint(i)))
	}
	secret := "secret"
	if _, err := w.jobs.Save(t.Context(), w.key, provision.Settings{
		Mode: provision.Automatic, TenantURL: "http://127.0.0.1:1/scim/v2", Secret: &secret, Status: provision.On, Scope: provision.AssignedOnly,
	}, "cli"); err != nil {
		t.Fatal(err)
	}
	wire.served = map[string]int{}
	return w, wire
}

// TestTheEngineUsesATargetsRate runs an initial cycle of 3,600 people at an application that takes 20
// requests in a second, in virtual time. Each person needs one search and one create. At least 90 %
// of what the application would take is used, and nothing is asked for twice.
func TestTheEngineUsesATargetsRate(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	synctest.Test(t, func(t *testing.T) {
		const people, perSecond = 3600, 20
		w, wire := limitedWorld(t, h, people, perSecond)
		began := time.Now()
		report, err := w.engine.RunCycle(t.Context(), w.key, "test", nil)
		if err != nil || report.Created != people || report.Failed != 0 {
			t.Fatalf("got %+v, %v", report, err)
		}
		took := wire.last.Sub(began)
		sent := wire.served[http.MethodGet] + wire.served[http.MethodPost]
		used := float64(sent) / (perSecond * took.Seconds())
		t.Logf("%d requests were taken in %s: %.1f %% of the rate; %d were refused", sent, took, 100*used, wire.refused)
		if used < 0.9 {
			t.Errorf("%.1f %% of the rate was used, want 90 %%: %d requests in %s", 100*used, sent, took)
		}
		if most := people + people/50; wire.served[http.MethodPost] != people || wire.served[http.MethodGet] > most {
			t.Errorf("%d searches and %d creates, want %d creates and at most %d searches", wire.served[http.MethodGet], wire.served[http.MethodPost], people, most)
		}
	})
}

// TestALeaverIsTriedAgainDuringALongCycle has the application fail once when Bob's account is to be
// disabled, while an initial cycle of minutes runs. Bob is cut off long before the cycle ends.
func TestALeaverIsTriedAgainDuringALongCycle(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	synctest.Test(t, func(t *testing.T) {
		const people = 1300
		w, wire := limitedWorld(t, h, people, 20)
		var left, failed, cut time.Time
		wire.fails = func(r *http.Request) bool {
			switch {
			case r.Method == http.MethodPost && left.IsZero() && w.app.user("user0@contoso.com") != nil:
				left = time.Now()
				w.people.enable("p000", false)
			case r.Method == http.MethodPatch && failed.IsZero():
				failed = time.Now()
				return true
			case r.Method == http.MethodPatch && cut.IsZero():
				cut = time.Now()
			}
			return false
		}
		if _, err := w.engine.RunCycle(t.Context(), w.key, "test", nil); err != nil {
			t.Fatal(err)
		}
		if w.app.user("user0@contoso.com")["active"] != false {
			t.Fatal("the account of the leaver is active")
		}
		if wait, rest := cut.Sub(failed), wire.last.Sub(cut); wait > 90*time.Second || rest < 30*time.Second {
			t.Errorf("cut off %s after the failure and %s before the last request of the cycle", wait, rest)
		}
	})
}
