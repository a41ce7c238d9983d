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
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/store"
)

// killUsers is how many people the job of TestKill provisions.
const killUsers = 600

// killWithin limits after how many requests of its kind a kill happens.
const killWithin = 400

// moment is the point in the exchange with the application at which the server is killed.
type moment int

const (
	beforeRequest   moment = iota // a search has arrived; the write that follows it is not sent
	insteadOfAnswer               // a write has arrived and is carried out; it is never answered
	beforeCarryOut                // a write has arrived; it is carried out only after the kill
	afterAnswer                   // the answer to a write is sent; its outcome may not be committed
	moments
)

func (m moment) String() string {
	return [...]string{"before a request", "between request and answer", "between arrival and effect", "between answer and commit"}[m]
}

// TestKill kills the real server with SIGKILL in the middle of its cycles, at points that a seed
// chooses, and starts it again each time. In the end every account is right. None was created
// twice, although the application accepts duplicates. ROLLCALL_TEST_KILLS sets the number of kills;
// the default is 20.
func TestKill(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("ROLLCALL_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d (set ROLLCALL_TEST_SEED to repeat)", seed)
	kills := 20
	if text := os.Getenv("ROLLCALL_TEST_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("with_create", func(t *testing.T) {
		t.Parallel()
		newKillWorld(t, rand.New(rand.NewPCG(seed, 1)), "create,update").run((kills + 1) / 2)
	})
	t.Run("with_update_only", func(t *testing.T) {
		t.Parallel()
		k := newKillWorld(t, rand.New(rand.NewPCG(seed, 2)), "update")
		for i := range killUsers {
			if i%10 != 0 { // every tenth has no account
				k.app.add(account(killName(i)))
			}
		}
		k.run(kills / 2)
	})
}

// killWorld has a database, an application, and a server that is killed again and again.
type killWorld struct {
	t      *testing.T
	random *rand.Rand
	app    *application
	env    []string
	dir    string
	create bool
	round  int

	approved int // how many operations on hold were approved

	mu      sync.Mutex
	server  *apptest.Process
	left    int // the number of requests until the next kill; 0 if none is planned
	fitting int // how many requests of the planned kill's kind this life of the server sent
	most    int // the kill comes within this many requests of its kind
	at      moment
	next    []moment // the moments at which the next lives of the server end
	killed  map[moment]int
	asked   int           // how many requests have arrived
	shot    bool          // whether the kill of this life has begun
	dead    chan struct{} // closed when the kill is done
}

func newKillWorld(t *testing.T, random *rand.Rand, actions string) *killWorld {
	t.Helper()
	dir := t.TempDir()
	k := &killWorld{
		t: t, random: random, app: newApplication(t), dir: dir, create: strings.Contains(actions, "create"),
		env: []string{"ROLLCALL_DATABASE=" + filepath.Join(dir, "rollcall.db")}, killed: map[moment]int{}, most: killWithin,
	}
	k.app.begun = func(r *http.Request) {
		if k.reached(r, true) && r.Method != http.MethodGet {
			// The request is delayed on its way. It is carried out after the server has started
			// again and looks for its outcome.
			time.Sleep(time.Duration(k.randomly(1500)) * time.Millisecond)
		}
	}
	k.app.done = func(r *http.Request) { k.reached(r, false) }
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte(k.app.token), 0o600); err != nil {
		t.Fatal(err)
	}
	apptest.Run(t, k.env, "directory", "create", "contoso")
	k.importPeople()
	apptest.Run(t, k.env, "app", "create", "contoso", "acme", "--tenant-url", k.app.url(), "--secret-token-file", secret,
		"--scope", "all", "--actions", actions, "--start")
	return k
}

func killName(i int) string { return fmt.Sprintf("user%04d@contoso.com", i) }

// title returns the title that a person's account must show after a round of changes.
func (k *killWorld) title(i int) string {
	if k.round == 0 || (i+k.round)%3 == 0 {
		return fmt.Sprintf("Engineer %d", i)
	}
	return fmt.Sprintf("Engineer %d of round %d", i, k.round)
}

func (k *killWorld) active(i int) bool { return k.round == 0 || (i+k.round)%7 != 0 }

func (k *killWorld) importPeople() {
	k.t.Helper()
	var b strings.Builder
	b.WriteString("objectId,userPrincipalName,displayName,givenName,surname,mail,mailNickname,jobTitle,accountEnabled\n")
	for i := range killUsers {
		fmt.Fprintf(&b, "%08d-0000-4000-8000-000000000000,%s,User %d,User,%d,%s,user%d,%s,%v\n", i, killName(i), i, i, killName(i), i, k.title(i), k.active(i))
	}
	file := filepath.Join(k.dir, "people.csv")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		k.t.Fatal(err)
	}
	apptest.Run(k.t, k.env, "directory", "import", "contoso", file)
}

// run kills the server this many times. Each time the server has finished, run makes new changes.
// At the end it checks the accounts.
func (k *killWorld) run(kills int) {
	k.t.Helper()
	for k.total() < kills {
		k.plan()
		if k.live() {
			k.most = killWithin
		} else {
			k.mu.Lock()
			// Make sure that the kill comes in the next life: a round of changes may have few
			// requests of its kind.
			k.most = max(1, min(k.most, k.fitting))
			k.mu.Unlock()
			k.check()
			k.round++
			k.importPeople()
		}
	}
	k.plan()
	k.mu.Lock()
	k.left = 0
	k.mu.Unlock()
	if k.live() {
		k.t.Fatal("the server was killed although no kill was planned")
	}
	k.check()
	if k.approved == 0 {
		k.t.Error("nothing was on hold, although imports block every seventh person")
	}
	k.t.Logf("%d kills over %d rounds of changes: %v", k.total(), k.round+1, k.killed)
}

func (k *killWorld) total() (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, m := range k.killed {
		n += m
	}
	return n
}

// plan chooses the moment at which the next life of the server ends.
func (k *killWorld) plan() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.next) == 0 { // each moment has its turn
		for _, i := range k.random.Perm(int(moments)) {
			k.next = append(k.next, moment(i))
		}
	}
	k.left, k.at, k.fitting = 1+k.random.IntN(k.most), k.next[0], 0
	k.dead, k.shot = make(chan struct{}), false
}

// planned reports whether the test itself killed the server.
func (k *killWorld) planned() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.shot
}

// live starts the server and waits until it is killed, or has nothing left to do.
func (k *killWorld) live() (killed bool) {
	k.t.Helper()
	k.mu.Lock()
	k.server = apptest.Start(k.t, k.env, "serve", "--listen", "127.0.0.1:0", "--cycle-interval", "1h", "--create-settle", "300ms")
	server, dead := k.server, k.dead
	k.mu.Unlock()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for seen, quiet := -1, 0; ; {
		select {
		case <-dead:
			return true
		case <-server.Done():
			if !k.planned() {
				k.t.Fatalf("the server ended by itself:\n%s", server.Stderr())
			}
			<-dead
			return true
		case <-deadline:
			k.t.Fatalf("nothing left to do was not reached:\n%s", server.Stderr())
		case <-tick.C:
		}
		k.mu.Lock()
		asked := k.asked
		k.mu.Unlock()
		if asked != seen { // the server is at work
			seen, quiet = asked, 0
			continue
		}
		if quiet++; quiet%4 != 0 || !k.idle() {
			continue
		}
		k.mu.Lock()
		shot := k.shot // the lock also covers the change of left
		k.left = 0
		k.mu.Unlock()
		if shot {
			<-dead
			return true
		}
		server.Kill()
		return false
	}
}

// reached is called at the start and at the end of each request. It kills the server at the planned
// request.
func (k *killWorld) reached(r *http.Request, begin bool) (killed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if begin {
		k.asked++
	}
	write := r.Method != http.MethodGet
	fits := map[moment]bool{
		beforeRequest: !write && begin, insteadOfAnswer: write && !begin, beforeCarryOut: write && begin, afterAnswer: write && !begin,
	}
	if k.server != nil && fits[k.at] {
		k.fitting++
	}
	if k.left == 0 || k.server == nil || !fits[k.at] {
		return false
	}
	if k.left--; k.left > 0 {
		return false
	}
	k.killed[k.at]++
	k.next = k.next[1:]
	k.shot = true
	server, dead := k.server, k.dead
	if k.at != afterAnswer {
		server.Kill()
		close(dead)
		return true
	}
	pause := time.Duration(k.random.IntN(8000)) * time.Microsecond
	time.AfterFunc(pause, func() {
		server.Kill()
		close(dead)
	})
	return true
}

func (k *killWorld) randomly(n int) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.random.IntN(n)
}

// idle reports whether the job has caught up with the directory.
func (k *killWorld) idle() bool {
	k.t.Helper()
	db, err := store.Open(k.t.Context(), filepath.Join(k.dir, "rollcall.db"), store.Options{})
	if err != nil {
		k.t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			k.t.Error(err)
		}
	}()
	jobs := store.Provisioning{DB: db}
	states, err := jobs.WatchedStates(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	for key, s := range states {
		if s.Quarantine != nil {
			k.t.Fatalf("the job is in quarantine: %+v", s.Quarantine)
		}
		counts, err := jobs.Counts(k.t.Context(), key)
		if err != nil {
			k.t.Fatal(err)
		}
		if counts.OnHold > 0 {
			k.approve(jobs, key)
			return false
		}
		if counts.Escrowed > 0 {
			entries, _, err := jobs.Logs(k.t.Context(), key, provision.LogQuery{Status: provision.Failure, Limit: 1})
			k.t.Fatalf("%d people failed, such as %+v (%v)", counts.Escrowed, entries, err)
		}
		last, err := store.Events{DB: db}.Last(k.t.Context(), eventScope(key))
		if err != nil {
			k.t.Fatal(err)
		}
		return s.Ready && s.Phase == provision.Idle && counts.Pending == 0 && source.CursorOf(last) == s.Watermark
	}
	k.t.Fatal("there is no job")
	return false
}

// approve approves the operations on hold, as an administrator would.
func (k *killWorld) approve(jobs store.Provisioning, key provision.Key) {
	k.t.Helper()
	people := &provision.Jobs{Store: jobs, Now: time.Now}
	held, err := people.Held(k.t.Context(), key, provision.OnHold)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, cause := range held {
		if _, err := people.Approve(k.t.Context(), key, cause.ID, cause.Batch, "cli"); err != nil {
			k.t.Fatal(err)
		}
		k.approved += cause.Count
	}
}

// check compares every account with the account that it must be, and counts the creates.
func (k *killWorld) check() {
	k.t.Helper()
	wrong := 0
	report := func(format string, args ...any) {
		if wrong++; wrong <= 10 {
			k.t.Errorf(format, args...)
		}
	}
	for i := range killUsers {
		name := killName(i)
		u := k.app.user(name)
		creates := k.app.created[scim.Fold(name)]
		switch {
		case !k.create && i%10 == 0:
			if u != nil {
				report("%s was created although Create is off", name)
			}
			continue
		case u == nil:
			report("%s has no account", name)
			continue
		case k.create && creates != 1, !k.create && creates != 0:
			report("%s was created %d times", name, creates)
		}
		if got := len(k.app.byName[scim.Fold(name)]); got != 1 {
			report("%s has %d accounts", name, got)
		}
		if active, _ := u.Bool("active"); active != k.active(i) {
			report("%s is active %v", name, active)
		}
		// Attributes of people who are blocked stay as they were.
		if got, want := u.String("title"), k.title(i); k.active(i) && got != want {
			report("%s has the title %q, want %q", name, got, want)
		}
	}
	if wrong > 10 {
		k.t.Errorf("and %d more", wrong-10)
	}
	if wrong > 0 {
		k.t.FailNow()
	}
}
