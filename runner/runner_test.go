package runner_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/runner"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

func TestMain(m *testing.M) {
	if url := os.Getenv("RUNNER_TEST_HANG"); url != "" {
		hang(url, os.Getenv("RUNNER_TEST_OWNER"))
		return
	}
	os.Exit(storetest.Main(m))
}

// limit is how long a test waits for something that must happen.
const limit = 30 * time.Second

// newRunner returns a runner with a store of its own, as another process would have.
func newRunner(t testing.TB, url, owner string, advance func(ctx context.Context, key string, epoch int64) (time.Time, error)) *runner.Runner {
	t.Helper()
	db := storetest.Open(t, url)
	r := &runner.Runner{
		Kind: "job", Owner: owner, Leases: store.Leases{DB: db}, Advance: advance,
		LookEvery: 50 * time.Millisecond, TTL: 2 * time.Second, Grace: 5 * time.Second,
	}
	if db.Kind() == sqldb.PostgreSQL {
		pool, err := db.Pool(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r.Pool = pool
	}
	return r
}

// start runs r until stop is called or the test ends.
func start(t testing.TB, r *runner.Runner) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func receive[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(limit):
		t.Fatalf("%s did not happen within %s", what, limit)
	}
	return v
}

func wake(t testing.TB, r *runner.Runner, key string) {
	t.Helper()
	if err := r.Wake(t.Context(), key); err != nil {
		t.Fatal(err)
	}
}

type slice struct {
	Key   string
	Epoch int64
}

func TestRunner(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		slices := make(chan slice)
		answers := make(chan func(ctx context.Context) (time.Time, error))
		r := newRunner(t, url, "a", func(ctx context.Context, key string, epoch int64) (time.Time, error) {
			slices <- slice{key, epoch}
			return (<-answers)(ctx)
		})
		r.RetryAfter = 100 * time.Millisecond
		stop := start(t, r)
		next := func(at time.Time) func(context.Context) (time.Time, error) {
			return func(context.Context) (time.Time, error) { return at, nil }
		}
		expect := func(what string, want slice) {
			t.Helper()
			if diff := cmp.Diff(receive(t, slices, what), want); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}

		wake(t, r, "k")
		expect("a slice of what was woken", slice{"k", 1})
		answers <- next(time.Now())
		expect("the next one, wanted at once", slice{"k", 2})
		answers <- next(time.Now().Add(300 * time.Millisecond))
		expect("the next one, wanted later", slice{"k", 3})
		wake(t, r, "k")
		answers <- next(time.Time{})
		expect("the next one, woken while the one before was running", slice{"k", 4})
		answers <- func(context.Context) (time.Time, error) { return time.Time{}, errors.New("boom") }
		expect("another try after a failure", slice{"k", 5})
		answers <- func(context.Context) (time.Time, error) { panic("boom") }
		expect("another try after a panic", slice{"k", 6})
		answers <- next(time.Time{})
		wake(t, r, "other")
		expect("a slice of another key", slice{"other", 1})

		// Run ends when the slice has ended, and releases the lease.
		ended := make(chan struct{})
		go func() {
			stop()
			close(ended)
		}()
		select {
		case <-ended:
			t.Error("Run did not wait for the slice that runs")
		case <-time.After(100 * time.Millisecond): // nothing signals that Run waits
		}
		answers <- func(ctx context.Context) (time.Time, error) { return time.Now().Add(-time.Hour), ctx.Err() }
		receive(t, ended, "the end of Run")
		if keys, err := r.Leases.Held(t.Context(), "job", "a"); err != nil || len(keys) > 0 {
			t.Errorf("Run left %v behind, error %v", keys, err)
		}
		if keys, err := r.Leases.Due(t.Context(), "job", time.Now(), 10); err != nil || len(keys) != 1 {
			t.Errorf("due after Run has ended: %v, error %v, want the key that was not finished", keys, err)
		}
	})
}

// TestTwoRunnersShareTheWork runs two processes on one database. Both work, every key advances, and
// no key advances in both at once.
func TestTwoRunnersShareTheWork(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		const keys, rounds = 12, 4
		var mu sync.Mutex
		running, done := map[string]bool{}, map[string]int{}
		left := keys * rounds
		finished := make(chan struct{})
		// The first slice of each lasts until the other one has started its own.
		began := map[string]chan struct{}{"a": make(chan struct{}), "b": make(chan struct{})}
		begin := map[string]func(){
			"a": sync.OnceFunc(func() { close(began["a"]) }),
			"b": sync.OnceFunc(func() { close(began["b"]) }),
		}
		advance := func(owner, other string) func(context.Context, string, int64) (time.Time, error) {
			return func(ctx context.Context, key string, _ int64) (time.Time, error) {
				mu.Lock()
				if running[key] {
					t.Errorf("%s advances twice at once", key)
				}
				running[key] = true
				mu.Unlock()
				begin[owner]()
				select {
				case <-began[other]:
				case <-ctx.Done():
					t.Errorf("%s worked alone", owner)
				}
				mu.Lock()
				defer mu.Unlock()
				running[key] = false
				if done[key] >= rounds {
					return time.Time{}, nil // it has nothing to do
				}
				done[key]++
				if left--; left == 0 {
					close(finished)
				}
				return time.Now(), nil
			}
		}
		a, b := newRunner(t, url, "a", advance("a", "b")), newRunner(t, url, "b", advance("b", "a"))
		a.Workers, b.Workers = 2, 2
		start(t, a)
		start(t, b)
		for i := range keys {
			wake(t, a, fmt.Sprint("k", i))
		}
		receive(t, finished, "the last slice")
	})
}

func TestSliceIsStopped(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		started, causes := make(chan struct{}), make(chan error)
		r := newRunner(t, url, "a", func(ctx context.Context, _ string, _ int64) (time.Time, error) {
			started <- struct{}{}
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return time.Time{}, ctx.Err()
		})
		r.SliceLimit, r.Grace, r.RetryAfter = 3*time.Second, 200*time.Millisecond, time.Millisecond
		stop := start(t, r)

		// The slice stops when another owner has taken the lease.
		wake(t, r, "k")
		receive(t, started, "the first slice")
		epoch, err := r.Leases.Claim(t.Context(), "job", "k", "a", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if err := receive(t, causes, "the end of the lost slice"); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("a lost lease: got cause %v", err)
		}
		if err := r.Leases.Release(t.Context(), "job", "k", "a", epoch, time.Now()); err != nil {
			t.Error(err)
		}

		// The slice stops when it takes too long.
		receive(t, started, "the second slice")
		if err := receive(t, causes, "the end of the long slice"); err == nil || !strings.Contains(err.Error(), "has to be shorter") {
			t.Errorf("too long: got cause %v", err)
		}

		// The slice stops when Run has waited long enough. Another process continues at once.
		receive(t, started, "the third slice")
		ended := make(chan struct{})
		go func() {
			stop()
			close(ended)
		}()
		receive(t, causes, "the end of the slice at the end of Run")
		receive(t, ended, "the end of Run")
		if keys, err := r.Leases.Due(t.Context(), "job", time.Now(), 10); err != nil || len(keys) != 1 {
			t.Errorf("due after Run has ended: %v, error %v", keys, err)
		}
	})
}

// hang claims due keys and never finishes them, until it is killed.
func hang(url, owner string) {
	ctx := context.Background()
	db, err := store.Open(ctx, url, store.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	r := &runner.Runner{
		Kind: "job", Owner: owner, Leases: store.Leases{DB: db}, LookEvery: 20 * time.Millisecond, TTL: 2 * time.Second,
		Advance: func(ctx context.Context, key string, epoch int64) (time.Time, error) {
			fmt.Println(key, epoch)
			select {}
		},
	}
	if owner == "restarts" {
		r.TTL = time.Hour
	}
	if db.Kind() == sqldb.PostgreSQL {
		if r.Pool, err = db.Pool(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	fmt.Fprintln(os.Stderr, r.Run(ctx))
	os.Exit(1)
}

// killed starts a process that works on the key "k", and kills it while it does.
func killed(t *testing.T, url, owner string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "RUNNER_TEST_HANG="+url, "RUNNER_TEST_OWNER="+owner)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "k 1" {
		t.Errorf("the process said %q, want \"k 1\"", lines.Text())
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if cmd.Wait() == nil {
		t.Error("the process ended by itself")
	}
}

func TestAKilledProcessesWorkGoesOnElsewhereWhenItsLeaseExpires(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		slices := make(chan slice, 1)
		r := newRunner(t, url, "b", func(_ context.Context, key string, epoch int64) (time.Time, error) {
			slices <- slice{key, epoch}
			return time.Time{}, nil
		})
		wake(t, r, "k")
		killed(t, url, "a")
		began := time.Now()
		start(t, r)
		if diff := cmp.Diff(receive(t, slices, "the takeover"), slice{"k", 2}); diff != "" {
			t.Error(diff)
		}
		// The lease of two seconds, one look and River's start; not the minute after which River
		// rescues the dead job.
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("the takeover took %s", took)
		}
	})
}

func TestARestartTakesItsOwnWorkBackAtOnce(t *testing.T) {
	t.Parallel()
	url := storetest.SQLiteURL(t)
	slices := make(chan slice, 1)
	r := newRunner(t, url, "restarts", func(_ context.Context, key string, epoch int64) (time.Time, error) {
		slices <- slice{key, epoch}
		return time.Time{}, nil
	})
	wake(t, r, "k")
	killed(t, url, "restarts") // its lease is held for an hour
	start(t, r)
	if diff := cmp.Diff(receive(t, slices, "the first slice after the restart"), slice{"k", 2}); diff != "" {
		t.Error(diff)
	}
}
