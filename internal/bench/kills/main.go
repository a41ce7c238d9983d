// Command kills kills a server with SIGKILL again and again while clients write to it, and compares what is stored with
// what was acknowledged: nothing is lost, nothing is there twice, and versions, events and rows of the request log are as
// many as the changes. On PostgreSQL each third kill hits one of the database's own processes, after which PostgreSQL
// recovers as from a crash.
//
//	go run ./internal/bench/kills -rollcall bin/rollcall [-kills 200]
//	go run ./internal/bench/kills -rollcall bin/rollcall -postgres [-kills 200]
//
// In the end it damages the data in several ways, each in a transaction that is rolled back, and fails unless the
// comparison sees each of them. It ends with exit code 1 when anything is wrong.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/rollcall-scim/rollcall/internal/pgserver"
)

func main() {
	var r run
	flag.StringVar(&r.binary, "rollcall", "bin/rollcall", "the rollcall binary to kill")
	flag.BoolVar(&r.onPostgres, "postgres", false, "on a PostgreSQL server of its own")
	flag.IntVar(&r.kills, "kills", 200, "how often")
	flag.IntVar(&r.clients, "clients", 8, "clients that write")
	flag.Uint64Var(&r.seed, "seed", uint64(time.Now().UnixNano()), "of the random choices")
	flag.Parse()
	if err := r.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "kills:", err)
		os.Exit(1)
	}
}

type run struct {
	binary         string
	onPostgres     bool
	kills, clients int
	seed           uint64

	dir, database, addr, base, token string
	pg                               *pgserver.Server
	server                           *exec.Cmd
	db                               *sql.DB
	site                             string
	all                              []*client

	answers, unknown, applied atomic.Int64
	restarts                  []time.Duration
}

func (r *run) run(ctx context.Context) (err error) {
	if r.dir, err = os.MkdirTemp("", "rollcall-kills-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	if err := r.setUp(ctx); err != nil {
		return err
	}
	defer r.tearDown()
	fmt.Printf("%s, seed %d, %d clients\n", r.kind(), r.seed, r.clients)
	random := rand.New(rand.NewPCG(r.seed, 1))
	for n := range r.kills {
		backend := r.onPostgres && n%3 == 2
		if err := r.round(ctx, time.Duration(50+random.IntN(350))*time.Millisecond, backend); err != nil {
			return fmt.Errorf("kill %d: %w", n+1, err)
		}
		if (n+1)%20 == 0 || n+1 == r.kills {
			if err := r.compare(ctx, r.db); err != nil {
				return fmt.Errorf("after %d kills: %w", n+1, err)
			}
			fmt.Printf("%d kills: %d answers, %d unknown at a kill (%d of them applied), everything is right\n", n+1, r.answers.Load(), r.unknown.Load(), r.applied.Load())
		}
	}
	if err := r.whole(ctx); err != nil {
		return err
	}
	if err := r.awake(ctx); err != nil {
		return err
	}
	slowest, total := time.Duration(0), time.Duration(0)
	for _, d := range r.restarts {
		slowest, total = max(slowest, d), total+d
	}
	if n := len(r.restarts); n > 0 {
		fmt.Printf("after a kill the server answered in %d ms, at most in %d ms\n", (total / time.Duration(n)).Milliseconds(), slowest.Milliseconds())
	}
	fmt.Println("nothing acknowledged was lost, nothing is doubled, and each sabotage was seen")
	return nil
}

func (r *run) kind() string {
	if r.onPostgres {
		return "PostgreSQL"
	}
	return "SQLite"
}

func (r *run) setUp(ctx context.Context) (err error) {
	r.database = filepath.Join(r.dir, "rollcall.db")
	driver, source := "sqlite", "file:"+r.database+"?_pragma=busy_timeout(10000)"
	if r.onPostgres {
		dir := filepath.Join(r.dir, "pg")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(r.dir, 0o711)); err != nil {
			return err
		}
		if r.pg, err = pgserver.Start(ctx, pgserver.Options{Dir: dir, Locales: [][]string{{"--locale=C.UTF-8"}}}); err != nil {
			return err
		}
		r.database = r.pg.URL("postgres")
		driver, source = "pgx", r.database
	}
	key := filepath.Join(r.dir, "key")
	if out, err := exec.CommandContext(ctx, r.binary, "key", "create", key).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if _, err := r.rollcall(ctx, "site", "create", "acme", "--profile", "full"); err != nil {
		return err
	}
	if r.token, err = r.rollcall(ctx, "token", "create", "acme"); err != nil {
		return err
	}
	if err := r.start(ctx); err != nil {
		return err
	}
	if r.db, err = sql.Open(driver, source); err != nil {
		return err
	}
	if err := r.db.QueryRowContext(ctx, "select id from site where name = 'acme'").Scan(&r.site); err != nil {
		return err
	}
	for n := range r.clients {
		c := &client{run: r, number: n, random: rand.New(rand.NewPCG(r.seed, uint64(n)+2))}
		r.all = append(r.all, c)
	}
	return nil
}

func (r *run) tearDown() {
	if r.db != nil {
		_ = r.db.Close()
	}
	if r.server != nil {
		_ = r.server.Process.Kill()
		_ = r.server.Wait()
	}
	if r.pg != nil {
		_ = r.pg.Stop()
	}
}

func (r *run) rollcall(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, r.binary, append([]string{"--database", r.database, "--key-file", filepath.Join(r.dir, "key")}, args...)...)
	out, err := cmd.Output()
	if failed, is := errors.AsType[*exec.ExitError](err); is {
		return "", fmt.Errorf("rollcall %s: %w: %s", args[0], err, failed.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// start starts the server, and waits until it answers.
func (r *run) start(ctx context.Context) error {
	if r.addr == "" {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		r.addr = ln.Addr().String()
		r.base = "http://" + r.addr + "/c/acme/auth/scim/v2"
		if err := ln.Close(); err != nil {
			return err
		}
	}
	log, err := os.OpenFile(filepath.Join(r.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	r.server = exec.CommandContext(ctx, r.binary, "--database", r.database, "--key-file", filepath.Join(r.dir, "key"), "serve", "--listen", r.addr)
	r.server.Stderr = log
	if err := r.server.Start(); err != nil {
		return err
	}
	return r.ready()
}

func (r *run) ready() error {
	for began := time.Now(); time.Since(began) < 60*time.Second; time.Sleep(5 * time.Millisecond) {
		resp, err := http.Get("http://" + r.addr + "/readyz")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	text, _ := os.ReadFile(filepath.Join(r.dir, "log"))
	return fmt.Errorf("the server does not answer:\n%s", text[max(0, len(text)-2000):])
}

// round lets the clients write for a while, kills, starts again, and finds out what became of the requests under way.
func (r *run) round(ctx context.Context, length time.Duration, backend bool) error {
	writing, stop := context.WithCancel(ctx)
	defer stop()
	var clients sync.WaitGroup
	faults := make(chan error, len(r.all))
	for _, c := range r.all {
		clients.Go(func() { faults <- c.write(writing) })
	}
	time.Sleep(length)
	if backend {
		if err := r.killBackend(); err != nil {
			return err
		}
		stop()
	} else {
		if err := r.server.Process.Kill(); err != nil {
			return err
		}
		_ = r.server.Wait()
	}
	clients.Wait()
	for range r.all {
		if err := <-faults; err != nil {
			return err
		}
	}
	began := time.Now()
	if backend {
		if err := r.ready(); err != nil {
			return err
		}
	} else if err := r.start(ctx); err != nil {
		return err
	}
	r.restarts = append(r.restarts, time.Since(began))
	for _, c := range r.all {
		if err := c.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// killBackend kills a process of PostgreSQL that works for the server.
func (r *run) killBackend() error {
	var pid int
	if err := r.db.QueryRow("select pid from pg_stat_activity where application_name = 'rollcall' order by state = 'active' desc, random() limit 1").Scan(&pid); err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

// whole asks SQLite whether the file is whole.
func (r *run) whole(ctx context.Context) error {
	if r.onPostgres {
		return nil
	}
	out, err := r.rollcall(ctx, "backup", filepath.Join(r.dir, "copy.db"))
	if err == nil && !strings.Contains(out, "is whole") {
		err = fmt.Errorf("backup says %q", out)
	}
	return err
}

func escaped(text string) string { return url.QueryEscape(text) }
