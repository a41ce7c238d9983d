package sqldb_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// together queues the updates while the writer is busy, so that they share one commit. It returns
// their errors.
func together(t *testing.T, db *sqldb.DB, updates ...func(*sqldb.Tx) error) []error {
	t.Helper()
	return togetherAfter(t, db, nil, updates...)
}

// togetherAfter is like together, but the update that begins the commit ends with the error first.
func togetherAfter(t *testing.T, db *sqldb.DB, first error, updates ...func(*sqldb.Tx) error) []error {
	t.Helper()
	busy, queued := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		// This update shares the commit of the others. It fails if the commit fails.
		_ = db.Update(t.Context(), func(*sqldb.Tx) error {
			close(busy)
			<-queued
			return first
		})
	})
	<-busy
	errs := make([]error, len(updates))
	for i, fn := range updates {
		wg.Go(func() { errs[i] = db.Update(t.Context(), fn) })
		for db.Waiting() <= i {
			runtime.Gosched()
		}
	}
	close(queued)
	wg.Wait()
	return errs
}

// endsWhenAsked is a context that ends right after a caller has checked that it has not ended.
type endsWhenAsked struct {
	context.Context
	cancel func()
}

func (c endsWhenAsked) Err() error {
	defer c.cancel()
	return c.Context.Err()
}

func TestGroupCommit(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	things(t, db)
	ctx := t.Context()
	add := func(name string) func(*sqldb.Tx) error {
		return func(tx *sqldb.Tx) error { return addThing(ctx, tx, name) }
	}
	boom := errors.New("boom")

	t.Run("a failing update takes no neighbour with it", func(t *testing.T) {
		errs := together(t, db,
			add("one"),
			func(tx *sqldb.Tx) error { return errors.Join(addThing(ctx, tx, "failed"), boom) },
			add("one"), // the first update has taken this name
			func(tx *sqldb.Tx) error {
				if err := addThing(ctx, tx, "panicked"); err != nil {
					return err
				}
				panic("boom")
			},
			add("two"))
		_, taken := sqldb.UniqueViolation(errs[2])
		got := []bool{errs[0] == nil, errors.Is(errs[1], boom), taken, strings.Contains(fmt.Sprint(errs[3]), "panic"), errs[4] == nil}
		if diff := cmp.Diff(got, []bool{true, true, true, true, true}); diff != "" {
			t.Errorf("%s\n%v", diff, errs)
		}
		if diff := cmp.Diff(thingNames(t, db), []string{"one", "two"}); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("failing first updates leave nothing, and their neighbours are stored", func(t *testing.T) {
		failed := func(tx *sqldb.Tx) error { return errors.Join(addThing(ctx, tx, "failed"), boom) }
		ended, cancel := context.WithCancel(ctx)
		errs := togetherAfter(t, db, boom, failed, failed, func(tx *sqldb.Tx) error {
			cancel()
			return addThing(ended, tx, "under an ended context")
		}, add("seven"), failed, add("eight"))
		got := []bool{errors.Is(errs[0], boom), errors.Is(errs[1], boom), errors.Is(errs[2], context.Canceled), errs[3] == nil, errors.Is(errs[4], boom), errs[5] == nil}
		if diff := cmp.Diff(got, []bool{true, true, true, true, true, true}); diff != "" {
			t.Errorf("%s\n%v", diff, errs)
		}
		if diff := cmp.Diff(thingNames(t, db), []string{"eight", "one", "seven", "two"}); diff != "" {
			t.Error(diff)
		}
		if err := db.Update(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "delete from thing where name in ('seven', 'eight')")
			return err
		}); err != nil {
			t.Error(err)
		}
	})
	t.Run("a function that ends its goroutine costs its group, and the writer goes on", func(t *testing.T) {
		errs := together(t, db, add("lost with it"), func(*sqldb.Tx) error {
			runtime.Goexit()
			return nil
		})
		if errs[0] == nil || errs[1] == nil {
			t.Errorf("got errors %v, want one for each", errs)
		}
		if err := db.Update(ctx, add("three")); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(thingNames(t, db), []string{"one", "three", "two"}); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a caller whose context ends while it waits is skipped", func(t *testing.T) {
		short, cancel := context.WithCancel(ctx)
		busy, release := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = db.Update(ctx, func(*sqldb.Tx) error {
				close(busy)
				<-release
				return nil
			})
		})
		<-busy
		wg.Go(func() {
			err := db.Update(short, func(*sqldb.Tx) error {
				t.Error("ran for a caller that had gone")
				return nil
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got error %v", err)
			}
			close(release)
		})
		for db.Waiting() == 0 {
			runtime.Gosched()
		}
		cancel()
		wg.Wait()
	})
	t.Run("a caller whose context ends after its update has begun learns what became of it", func(t *testing.T) {
		short, cancel := context.WithCancel(ctx)
		defer cancel()
		err := db.Update(short, func(tx *sqldb.Tx) error {
			if err := addThing(short, tx, "four"); err != nil {
				return err
			}
			cancel()
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		// The end of its context must not stop a running statement, because that would also stop
		// the other updates of the commit.
		short, cancelRunning := context.WithCancel(ctx)
		errs := together(t, db, add("beside it"), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(endsWhenAsked{short, cancelRunning}, `
				delete from thing
				where name = 'none' or 0 > (
					with recursive n (i) as (select 1 union all select i + 1 from n where i < 500000)
					select max(i) from n)`)
			return err
		})
		if short.Err() == nil {
			t.Error("the statement did not ask whether its context had ended")
		}
		if errs[0] != nil || errs[1] != nil {
			t.Errorf("got errors %v", errs)
		}
		// A statement that has not begun is refused, without harm to other updates.
		ended, cancelEnded := context.WithCancel(ctx)
		errs = together(t, db, add("five"), func(tx *sqldb.Tx) error {
			cancelEnded()
			return addThing(ended, tx, "under an ended context")
		})
		if errs[0] != nil || !errors.Is(errs[1], context.Canceled) {
			t.Errorf("got errors %v", errs)
		}
		if diff := cmp.Diff(thingNames(t, db), []string{"beside it", "five", "four", "one", "three", "two"}); diff != "" {
			t.Error(diff)
		}
	})
}

// TestWriteAheadLogStaysBounded checks that the log is copied and begins anew, even if writers
// never pause.
func TestWriteAheadLogStaysBounded(t *testing.T) {
	t.Parallel()
	url := sqliteURL(t)
	db := open(t, url)
	ctx := t.Context()
	err := db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, "create table filler (id bigint primary key, text text not null)")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 2500 // each round writes at least 64 KiB, over 150 MiB in all
	var largest int64
	for i := range rounds {
		text := strings.Repeat(fmt.Sprintf("%08d", i), 8<<10)
		err := db.Update(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, `
				insert into filler (id, text)
				values ($1, $2)
				on conflict (id) do update set text = excluded.text`, i%50, text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if i%50 == 0 {
			db.Checkpoint()
			info, err := os.Stat(url + "-wal")
			if err != nil {
				t.Fatal(err)
			}
			largest = max(largest, info.Size())
		}
	}
	if largest > 96<<20 {
		t.Errorf("the log grew to %d MiB", largest>>20)
	}
}

// TestALogThatAnotherProgramHoldsIsTold lets another program hold a snapshot while the server
// writes. Then the other program ends its snapshot.
func TestALogThatAnotherProgramHoldsIsTold(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	url := sqliteURL(t)
	db := openWith(t, url, sqldb.Options{Log: slog.New(slog.NewTextHandler(&lines, nil))})
	db.WithoutCheckpoints()
	things(t, db)
	shell, err := sql.Open("sqlite", url)
	if err != nil {
		t.Fatal(err)
	}
	defer shell.Close()
	snapshot, err := shell.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := snapshot.QueryRow("select count(*) from thing").Scan(new(int)); err != nil {
		t.Fatal(err)
	}
	round := 0
	look := func() (grows, anew int) {
		t.Helper()
		round++
		for i := range 60 {
			if err := db.Update(t.Context(), func(tx *sqldb.Tx) error { return addThing(t.Context(), tx, fmt.Sprint(round, "-", i)) }); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.CheckpointNow(t.Context(), 200, 180); err != nil {
			t.Fatal(err)
		}
		return strings.Count(lines.String(), "some program holds a snapshot of the database"), strings.Count(lines.String(), "the write-ahead log has begun anew")
	}
	for _, want := range []int{0, 1, 1} { // each update adds two pages to the log
		if grows, anew := look(); grows != want || anew != 0 {
			t.Errorf("after %d rounds: it says %d times that the log grows and %d times that it has begun anew", round, grows, anew)
		}
	}
	if err := snapshot.Rollback(); err != nil {
		t.Fatal(err)
	}
	look() // copies the whole log, so that it begins anew with the next write
	if grows, anew := look(); grows != 1 || anew != 1 {
		t.Errorf("without a reader: it says %d times that the log grows and %d times that it has begun anew:\n%s", grows, anew, lines.String())
	}
}

func TestSQLiteFilesArePrivate(t *testing.T) {
	t.Parallel()
	url := sqliteURL(t)
	db := open(t, url)
	things(t, db)
	files, err := filepath.Glob(url + "*")
	if err != nil || len(files) < 3 {
		t.Fatalf("got files %v (error %v), want the database, its log and its index", files, err)
	}
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", filepath.Base(name), info.Mode().Perm())
		}
	}
}

// writeUntilKilled writes until the process is killed. It prints the name of each update that was
// acknowledged.
func writeUntilKilled(url string) {
	ctx := context.Background()
	db, err := sqldb.Open(ctx, url, testSchema, sqldb.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var print sync.Mutex
	for w := range 16 {
		go func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				if err := db.Update(ctx, func(tx *sqldb.Tx) error { return addThing(ctx, tx, name) }); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				print.Lock()
				fmt.Println(name)
				print.Unlock()
			}
		}()
	}
	time.Sleep(time.Minute) // the process is killed long before
}

// TestKilledProcessesLoseNothingAcknowledged kills two processes that write to the same database.
// Then it must find every write that was acknowledged to them.
func TestKilledProcessesLoseNothingAcknowledged(t *testing.T) {
	t.Parallel()
	eachURL(t, func(t *testing.T, url string) {
		db := open(t, url)
		things(t, db)
		acknowledged := make(chan string, 100)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { writeAndKill(t, url, 200, acknowledged) })
		}
		go func() {
			wg.Wait()
			close(acknowledged)
		}()
		var want []string
		for name := range acknowledged {
			want = append(want, name)
		}
		if len(want) < 400 {
			t.Fatalf("only %d writes were acknowledged", len(want))
		}
		found := map[string]bool{}
		for _, name := range thingNames(t, db) {
			found[name] = true
		}
		for _, name := range want {
			if !found[name] {
				t.Errorf("%s was acknowledged and is gone", name)
			}
		}
	})
}

// writeAndKill starts a process that writes, and kills it after this many acknowledged writes.
func writeAndKill(t *testing.T, url string, enough int, acknowledged chan<- string) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STORE_TEST_WRITE="+url)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Error(err)
		return
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return
	}
	lines := bufio.NewScanner(out)
	for n := 1; lines.Scan(); n++ {
		acknowledged <- lines.Text()
		if n == enough {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if cmd.Wait() == nil {
		t.Error("the writing process ended by itself")
	}
}
