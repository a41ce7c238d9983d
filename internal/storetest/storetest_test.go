package storetest_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

func TestEachRunsOnBothKindsOfDatabase(t *testing.T) {
	kinds := make(chan string, 2)
	t.Run("each", func(t *testing.T) {
		storetest.Each(t, func(t *testing.T, db *store.DB) {
			if v, err := db.Version(t.Context()); err != nil || v == 0 {
				t.Errorf("got version %d, error %v, want a migrated database", v, err)
			}
			kinds <- db.Kind()
		})
	})
	close(kinds)
	got := map[string]bool{}
	for kind := range kinds {
		got[kind] = true
	}
	if !got[sqldb.SQLite] || storetest.MustRunAll() && !got[sqldb.PostgreSQL] {
		t.Errorf("ran on %v", got)
	}
}

func TestDatabasesAreOfOneTestEach(t *testing.T) {
	t.Parallel()
	a, b := storetest.Postgres(t), storetest.Postgres(t)
	if err := (store.Leases{DB: a}).Ensure(t.Context(), "k", "x"); err != nil {
		t.Fatal(err)
	}
	if keys, err := (store.Leases{DB: b}).Due(t.Context(), "k", time.Now(), 10); err != nil || len(keys) != 0 {
		t.Errorf("got %v of another test's database, error %v", keys, err)
	}
}

// TestServerStopsWhenTheTestProcessIsKilled checks that the server's folder is removed after the
// server has stopped, even if the test process was killed.
func TestServerStopsWhenTheTestProcessIsKilled(t *testing.T) {
	if os.Getenv("STORETEST_WAIT") != "" {
		fmt.Println("URL", storetest.PostgresURL(t))
		select {} // wait to be killed
	}
	storetest.PostgresURL(t) // skips the test without PostgreSQL
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerStopsWhenTheTestProcessIsKilled$")
	cmd.Env = append(os.Environ(), "STORETEST_WAIT=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var url string
	for url == "" && lines.Scan() {
		url, _ = strings.CutPrefix(lines.Text(), "URL ")
	}
	config, err := pgx.ParseConfig(url)
	if err := errors.Join(err, cmd.Process.Kill()); err != nil {
		t.Fatal(err)
	}
	if cmd.Wait() == nil {
		t.Error("the test process ended by itself")
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(config.Host); errors.Is(err, fs.ErrNotExist) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still there", config.Host)
		}
	}
}
