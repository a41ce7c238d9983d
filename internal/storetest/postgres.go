package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rollcall-scim/rollcall/store"
)

var errNoBinaries = errors.New("PostgreSQL's initdb and postgres are neither in the PATH nor in /usr/lib/postgresql: install the package postgresql")

// supervisor runs the server until its standard input ends, which is when the
// test process does, killed or not; then it removes the folder.
const supervisor = `
"$0/postgres" -D "$1/data" -k "$1" -c listen_addresses= -c fsync=off -c full_page_writes=off \
	-c max_connections=400 -c shared_buffers=64MB -c autovacuum=off -c log_min_messages=fatal >"$1/log" 2>&1 &
server=$!
cat >/dev/null
kill -INT $server
wait $server
rm -rf "$1"
`

// cluster is a running PostgreSQL server.
type cluster struct {
	dir       string // data, socket and log
	lifeline  io.Closer
	ended     chan error
	databases atomic.Int64
}

// running starts the server when first called; started is what it made, for
// stop. There is one for each test process.
var (
	started atomic.Pointer[cluster]
	running = sync.OnceValues(func() (*cluster, error) {
		c, err := start()
		if err != nil {
			return nil, fmt.Errorf("start PostgreSQL: %w", err)
		}
		return c, nil
	})
)

func stop() error {
	c := started.Load()
	if c == nil {
		return nil
	}
	if err := c.lifeline.Close(); err != nil {
		return err
	}
	return <-c.ended
}

func start() (*cluster, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	who, err := unprivileged()
	if err != nil {
		return nil, err
	}
	// Not t.TempDir: a socket's path has at most 107 bytes, and the folder outlives the test that made it.
	dir, err := os.MkdirTemp("", "rollcall-pg-")
	if err != nil {
		return nil, err
	}
	if who != nil {
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	if err := initialize(bin, dir, who); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	cmd := exec.Command("sh", "-c", supervisor, bin, dir)
	cmd.Dir = dir
	// Its own group: an interrupt from the terminal ends the tests, and then the server.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who, Setpgid: true}
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	c := &cluster{dir: dir, lifeline: lifeline, ended: make(chan error, 1)}
	started.Store(c)
	go func() { c.ended <- cmd.Wait() }()
	if err := c.await(); err != nil {
		return nil, err
	}
	return c, c.makeTemplate()
}

// initialize makes the data folder, sorting by English rules where the server
// can, and by bytes where it cannot.
func initialize(bin, dir string, who *syscall.Credential) error {
	var errs []error
	for _, locale := range [][]string{
		{"--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"},
		{"--locale=C"},
	} {
		args := append([]string{"-D", filepath.Join(dir, "data"), "-U", "rollcall", "-A", "trust", "-E", "UTF8", "--no-sync"}, locale...)
		cmd := exec.Command(filepath.Join(bin, "initdb"), args...)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
		text, err := cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("initdb: %w\n%s", err, text))
	}
	return errors.Join(errs...)
}

// await returns when the server answers.
func (c *cluster) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, c.url("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case e := <-c.ended:
			c.ended <- e
			return fmt.Errorf("the server ended: %w", errors.Join(e, err))
		case <-ctx.Done():
			text, _ := os.ReadFile(filepath.Join(c.dir, "log"))
			return fmt.Errorf("%w\n%s", err, text)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *cluster) makeTemplate() error {
	ctx := context.Background()
	if err := c.exec("create database rollcall_template"); err != nil {
		return err
	}
	db, err := store.Open(ctx, c.url("rollcall_template"), store.Options{})
	if err != nil {
		return err
	}
	return errors.Join(db.Migrate(ctx), db.Close())
}

// database makes a database of its own for a test.
func (c *cluster) database(t testing.TB, template string) string {
	t.Helper()
	name := "test_" + strconv.FormatInt(c.databases.Add(1), 10)
	if err := c.exec("create database " + name + " template " + template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.exec("drop database " + name + " with (force)"); err != nil {
			t.Error(err)
		}
	})
	return c.url(name)
}

func (c *cluster) exec(query string) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, c.url("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, query)
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	return nil
}

func (c *cluster) url(database string) string {
	return "postgres:///" + database + "?" + url.Values{"host": {c.dir}, "user": {"rollcall"}, "sslmode": {"disable"}}.Encode()
}

// binaries returns the folder of the newest PostgreSQL.
func binaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	all, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(all) == 0 {
		return "", errNoBinaries
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	newest := slices.MaxFunc(all, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

// unprivileged returns whom to run the server as; nil when this process is
// itself unprivileged, since PostgreSQL refuses only root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
