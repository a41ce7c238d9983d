package requestlog_test

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fixture is a database with a site named acme, and the request logs of all its sites.
type fixture struct {
	db       *store.DB
	clock    *clock
	sites    *site.Sites
	requests *requestlog.Log
	acme     site.Site
}

// each runs a test on both databases.
func each(t *testing.T, test func(t *testing.T, f fixture)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		f := fixture{db: db, clock: &clock{now: time.Date(2026, 1, 12, 9, 0, 0, 0, time.UTC)}}
		var ids atomic.Int64
		newID := func() string { return fmt.Sprintf("id-%06d", ids.Add(1)) }
		f.sites = &site.Sites{Store: store.Sites{DB: db}, Now: f.clock.Now, NewID: newID}
		f.requests = &requestlog.Log{Store: store.RequestLogs{DB: db}, Sites: f.sites, Now: f.clock.Now, NewID: newID}
		f.acme = f.create(t, "acme")
		test(t, f)
	})
}

func (f fixture) create(t *testing.T, name string) site.Site {
	t.Helper()
	made, err := f.sites.Create(t.Context(), name, site.Documented, "cli")
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (f fixture) token(t *testing.T, r site.TokenRequest) (site.Token, string) {
	t.Helper()
	if r.Actor == "" {
		r.Actor = "admin:kim@acme.test"
	}
	token, secret, err := f.sites.CreateToken(t.Context(), f.acme.ID, r)
	if err != nil {
		t.Fatal(err)
	}
	return token, secret
}
