// Command kills kills a server with SIGKILL again and again while clients write to it. It compares
// the stored data with the acknowledged changes. Nothing may be lost or stored twice, and the
// numbers of versions, events and request-log rows must match the changes. On PostgreSQL every
// third kill hits one of the database's own processes, and PostgreSQL then recovers as after a
// crash.
//
//	go run ./internal/cmd/kills -rollcall bin/rollcall [-kills 200]
//	go run ./internal/cmd/kills -rollcall bin/rollcall -postgres [-kills 200]
//
// At the end the command damages the data in several ways, each in a transaction that is rolled
// back. The comparison must notice each damage. The command exits with code 1 if anything is wrong.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rollcall-scim/rollcall/internal/binary"
)

func main() {
	var r killTest
	flag.IntVar(&r.kills, "kills", 200, "how often to kill the server")
	flag.IntVar(&r.clients, "clients", 8, "clients that write")
	flag.Uint64Var(&r.seed, "seed", uint64(time.Now().UnixNano()), "the seed of the random choices")
	binary.Main("kills", &r.options, r.run)
}

// killTest is one run of the command.
type killTest struct {
	options        binary.Options
	kills, clients int    // how many times to kill the server, and how many clients write
	seed           uint64 // the seed of the random choices

	installation *binary.Installation
	site         binary.Site // the site to which the clients write
	db           *sql.DB     // a connection of this command itself to the database
	siteID       string      // the id of the site
	allClients   []*client   // the clients that write, each with the data that it expects on the server

	// how many requests were acknowledged; how many were not, because the answer is missing or a
	// 5xx; and how many of the second kind the server applied all the same
	answered, unanswered, unansweredApplied atomic.Int64
	restarts                                []time.Duration // how long each restart of the server took
}

// run does the whole test and prints the results.
func (r *killTest) run(ctx context.Context) (err error) {
	if r.installation, err = binary.New(ctx, r.options); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.installation.Close()) }()
	if err := r.setUp(ctx); err != nil {
		return err
	}
	defer r.db.Close()
	fmt.Printf("%s, seed %d, %d clients\n", r.installation.Kind(), r.seed, r.clients)
	random := rand.New(rand.NewPCG(r.seed, 1))
	for n := range r.kills {
		backend := r.options.Postgres && n%3 == 2
		if err := r.runRound(ctx, time.Duration(50+random.IntN(350))*time.Millisecond, backend); err != nil {
			return fmt.Errorf("kill %d: %w", n+1, err)
		}
		if (n+1)%20 == 0 || n+1 == r.kills {
			if err := r.compare(ctx, r.db); err != nil {
				return fmt.Errorf("after %d kills: %w", n+1, err)
			}
			fmt.Printf("%d kills: %d answers, %d unknown at a kill (%d of them applied), everything is right\n", n+1, r.answered.Load(), r.unanswered.Load(), r.unansweredApplied.Load())
		}
	}
	if err := r.checkIntegrity(ctx); err != nil {
		return err
	}
	if err := r.checkComparison(ctx); err != nil {
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

// setUp creates the site, starts the server, and makes the clients.
func (r *killTest) setUp(ctx context.Context) (err error) {
	if r.site, err = r.installation.CreateSite(ctx, "acme"); err != nil {
		return err
	}
	if err := r.installation.Serve(ctx); err != nil {
		return err
	}
	if r.db, err = r.installation.OpenDatabase(); err != nil {
		return err
	}
	r.db.SetMaxIdleConns(0) // keep no idle connections, because PostgreSQL ends all of them when it recovers
	if err := r.db.QueryRowContext(ctx, "select id from site where name = 'acme'").Scan(&r.siteID); err != nil {
		return err
	}
	for n := range r.clients {
		r.allClients = append(r.allClients, &client{test: r, number: n, random: rand.New(rand.NewPCG(r.seed, uint64(n)+2))})
	}
	return nil
}

// runRound lets the clients write for a while, kills the server and starts it again. Then it finds
// out what happened to the requests that were not acknowledged. If backend is true, it kills a
// PostgreSQL process instead, and waits until the server is ready.
func (r *killTest) runRound(ctx context.Context, length time.Duration, backend bool) error {
	writing, stop := context.WithCancel(ctx)
	defer stop()
	var clients sync.WaitGroup
	faults := make(chan error, len(r.allClients))
	for _, c := range r.allClients {
		clients.Go(func() { faults <- c.sendWrites(writing) })
	}
	time.Sleep(length)
	if backend {
		if err := r.killBackend(); err != nil {
			return err
		}
		stop()
	} else if err := errors.Join(r.installation.Kill(), r.waitDisconnected(ctx)); err != nil {
		return err
	}
	clients.Wait()
	for range r.allClients {
		if err := <-faults; err != nil {
			return err
		}
	}
	began := time.Now()
	if backend {
		if err := r.installation.WaitReady(); err != nil {
			return err
		}
	} else if err := r.installation.Serve(ctx); err != nil {
		return err
	}
	r.restarts = append(r.restarts, time.Since(began))
	for _, c := range r.allClients {
		if err := c.resolvePending(ctx); err != nil {
			return err
		}
	}
	return nil
}

// waitDisconnected waits until PostgreSQL has ended the connections of the killed server. Until
// then PostgreSQL may still finish a commit.
func (r *killTest) waitDisconnected(ctx context.Context) error {
	for left := r.options.Postgres; left; {
		if err := r.db.QueryRowContext(ctx, "select exists (select 1 from pg_stat_activity where application_name = 'rollcall')").Scan(&left); err != nil {
			return err
		}
	}
	return nil
}

// killBackend kills the PostgreSQL process behind one of the server's database connections.
func (r *killTest) killBackend() error {
	var pid int
	if err := r.db.QueryRow("select pid from pg_stat_activity where application_name = 'rollcall' order by state = 'active' desc, random() limit 1").Scan(&pid); err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

// checkIntegrity checks the integrity of the SQLite file.
func (r *killTest) checkIntegrity(ctx context.Context) error {
	if r.options.Postgres {
		return nil
	}
	out, err := r.installation.Rollcall(ctx, "backup", filepath.Join(r.installation.Dir, "copy.db"))
	if err == nil && !strings.Contains(out, "is whole") {
		err = fmt.Errorf("backup says %q", out)
	}
	return err
}
