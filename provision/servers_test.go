package provision_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/internal/apptest"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/store"
)

const (
	sharedJobs   = 20 // how many jobs the two servers share
	sharedPeople = 30 // how many people each job provisions
	goesOnWithin = 90 * time.Second
)

// TestKillsOfTwoServers lets two servers on one PostgreSQL share 20 jobs. Again and again it kills
// one of them with SIGKILL in the middle of its requests. After each kill, every job that still has
// work must continue within 90 seconds. At the end every account is right, and none was created
// twice. ROLLCALL_TEST_SERVER_KILLS sets the number of kills; the default is 3.
func TestKillsOfTwoServers(t *testing.T) {
	t.Parallel()
	kills := 3
	if text := os.Getenv("ROLLCALL_TEST_SERVER_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := newServersWorld(t, rand.New(rand.NewPCG(seed, 3)))
	for {
		w.work(kills)
		w.check()
		if w.total >= kills {
			break
		}
		w.round++
		w.importPeople()
	}
	t.Logf("%d kills over %d rounds of changes in %d jobs; a job went on after %s at the latest", w.total, w.round+1, sharedJobs, w.longest.Round(time.Millisecond))
}

// serversWorld has a database, the applications of its jobs, and two servers. One server is killed
// now and then.
type serversWorld struct {
	t      *testing.T
	random *rand.Rand
	dir    string
	env    []string
	db     *store.DB
	apps   []*application
	keys   map[provision.Key]int // the number of each job's application

	round, total int
	longest      time.Duration // the longest time that a job needed to continue after a kill

	mu      sync.Mutex
	servers [2]*apptest.Process
	left    int // the number of requests until the next kill; 0 if none is planned
	victim  int
	killed  time.Time   // the time of the last kill; zero after the test has handled it
	asked   []time.Time // the time of the last request to each application
}

func newServersWorld(t *testing.T, random *rand.Rand) *serversWorld {
	t.Helper()
	url, dir := storetest.PostgresURL(t), t.TempDir()
	key := filepath.Join(dir, "key")
	w := &serversWorld{
		t: t, random: random, dir: dir, env: []string{"ROLLCALL_DATABASE=" + url, "ROLLCALL_KEY_FILE=" + key}, db: storetest.Open(t, url),
		keys: map[provision.Key]int{}, asked: make([]time.Time, sharedJobs),
	}
	apptest.Run(t, w.env, "key", "create", key)
	apptest.Run(t, w.env, "directory", "create", "contoso")
	w.importPeople()
	for i := range sharedJobs {
		a := newApplication(t)
		a.begun = func(*http.Request) { w.reached(i) }
		a.done = func(*http.Request) { w.reached(i) }
		w.apps = append(w.apps, a)
		secret := filepath.Join(dir, "secret")
		if err := os.WriteFile(secret, []byte(a.token), 0o600); err != nil {
			t.Fatal(err)
		}
		apptest.Run(t, w.env, "app", "create", "contoso", fmt.Sprintf("app%02d", i), "--tenant-url", a.url(), "--secret-token-file", secret,
			"--scope", "all", "--actions", "create,update", "--start")
	}
	all, err := store.Provisioning{DB: w.db}.ListJobs(t.Context(), "")
	if err != nil || len(all) != sharedJobs {
		t.Fatalf("%d jobs, %v", len(all), err)
	}
	for _, j := range all {
		for i, a := range w.apps {
			if j.TenantURL == a.url() {
				w.keys[j.Key] = i
			}
		}
	}
	w.servers = [2]*apptest.Process{w.serve(), w.serve()}
	return w
}

func (w *serversWorld) serve() *apptest.Process {
	w.t.Helper()
	return apptest.Start(w.t, w.env, "serve", "--listen", "127.0.0.1:0", "--cycle-interval", "1h", "--create-settle", "300ms")
}

// title returns the title that a person's account must show after a round of changes.
func (w *serversWorld) title(i int) string { return fmt.Sprintf("Engineer %d of round %d", i, w.round) }

// active reports whether a person is enabled. It is false for two people.
func (w *serversWorld) active(i int) bool { return w.round == 0 || (i+w.round)%15 != 0 }

func (w *serversWorld) importPeople() {
	w.t.Helper()
	var b strings.Builder
	b.WriteString("objectId,userPrincipalName,displayName,mailNickname,jobTitle,accountEnabled\n")
	for i := range sharedPeople {
		fmt.Fprintf(&b, "%08d-0000-4000-8000-000000000000,%s,User %d,user%d,%s,%v\n", i, killName(i), i, i, w.title(i), w.active(i))
	}
	file := filepath.Join(w.dir, "people.csv")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	before := w.lastEvent()
	apptest.Run(w.t, w.env, "directory", "import", "contoso", file)
	// On PostgreSQL, events show only when no earlier transaction of the whole server is open, and other
	// tests use the same one. Until then, the jobs would seem to have caught up.
	for len(w.keys) > 0 && w.lastEvent() == before {
		time.Sleep(20 * time.Millisecond)
	}
}

// lastEvent returns the position of the directory's last event that shows; "" before there are jobs.
func (w *serversWorld) lastEvent() provision.Cursor {
	w.t.Helper()
	for key := range w.keys {
		last, err := store.Events{DB: w.db}.Last(w.t.Context(), eventScope(key))
		if err != nil {
			w.t.Fatal(err)
		}
		return source.CursorOf(last)
	}
	return ""
}

// reached is called at the start and at the end of each request. It kills a server at the planned
// request.
func (w *serversWorld) reached(app int) {
	time.Sleep(2 * time.Millisecond) // a real application is not as near as this one
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked[app] = time.Now()
	if w.left == 0 {
		return
	}
	if w.left--; w.left == 0 {
		w.servers[w.victim].Kill()
		w.killed = time.Now()
	}
}

// work waits until every job has caught up with the directory, and kills servers in the meantime.
func (w *serversWorld) work(kills int) {
	w.t.Helper()
	plan := func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.left, w.victim = 0, w.random.IntN(2); w.total < kills {
			w.left = 1 + w.random.IntN(600)
		}
	}
	plan()
	for end := time.Now().Add(10 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		w.mu.Lock()
		killed := w.killed
		w.killed = time.Time{}
		w.mu.Unlock()
		if !killed.IsZero() {
			w.total++
			<-w.servers[w.victim].Done()
			w.goesOn(killed)
			w.servers[w.victim] = w.serve()
			plan()
		}
		if len(w.behind()) == 0 {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("these jobs have not caught up: %v", w.behind())
		}
	}
}

// goesOn waits until each job that still has work has sent a request since the kill. Only the other
// server can send these requests.
func (w *serversWorld) goesOn(killed time.Time) {
	w.t.Helper()
	for {
		var waiting []int
		behind := w.behind()
		w.mu.Lock()
		for _, app := range behind {
			if !w.asked[app].After(killed.Add(100 * time.Millisecond)) { // requests that were under way may arrive a moment later
				waiting = append(waiting, app)
			}
		}
		w.mu.Unlock()
		took := time.Since(killed)
		if len(waiting) == 0 {
			w.longest = max(w.longest, took)
			return
		}
		if took > goesOnWithin {
			w.t.Fatalf("%s after a kill these jobs have not gone on: %v", took, waiting)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// behind returns the applications of the jobs that have not caught up with the directory.
func (w *serversWorld) behind() (apps []int) {
	w.t.Helper()
	jobs := store.Provisioning{DB: w.db}
	states, err := jobs.WatchedStates(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if len(states) != sharedJobs {
		w.t.Fatalf("%d jobs are watched", len(states))
	}
	for key, s := range states {
		counts, err := jobs.Counts(w.t.Context(), key)
		if err != nil {
			w.t.Fatal(err)
		}
		last, err := store.Events{DB: w.db}.Last(w.t.Context(), eventScope(key))
		switch {
		case err != nil:
			w.t.Fatal(err)
		case s.Quarantine != nil:
			w.t.Fatalf("job of application %d: quarantine %+v", w.keys[key], s.Quarantine)
		case counts.OnHold > 0:
			w.approve(key) // in 24 hours, the rounds together block more people than the guard lets through
			apps = append(apps, w.keys[key])
		case !s.Ready || s.Phase != provision.Idle || counts.Pending > 0 || counts.Escrowed > 0 || source.CursorOf(last) != s.Watermark:
			apps = append(apps, w.keys[key])
		}
	}
	return apps
}

// approve approves the operations of a job that are on hold, as an administrator would.
func (w *serversWorld) approve(key provision.Key) {
	w.t.Helper()
	people := &provision.Jobs{Store: store.Provisioning{DB: w.db}, Now: time.Now}
	held, err := people.Held(w.t.Context(), key, provision.OnHold)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, cause := range held {
		if _, err := people.Approve(w.t.Context(), key, cause.ID, cause.Batch, "cli"); err != nil {
			w.t.Fatal(err)
		}
	}
}

// check compares every account of every application with the account that it must be, and counts
// the creates.
func (w *serversWorld) check() {
	w.t.Helper()
	for n, a := range w.apps {
		for i := range sharedPeople {
			name := killName(i)
			u, creates := a.user(name), a.created[scim.Fold(name)]
			if u == nil || creates != 1 || len(a.byName[scim.Fold(name)]) != 1 {
				w.t.Errorf("application %d: %s has the account %v, created %d times", n, name, u, creates)
				continue
			}
			active, _ := u.Bool("active")
			if title := u.String("title"); active != w.active(i) || active && title != w.title(i) {
				w.t.Errorf("application %d: %s is active %v with title %q", n, name, active, title)
			}
		}
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
}
