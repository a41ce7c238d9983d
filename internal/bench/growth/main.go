// Command growth measures what the other sites of a server notice while old rows of a request log are pruned, and while a
// site with very many rows is deleted. It prints the times of a quiet site before and meanwhile, and the sizes of the files.
//
//	go run ./internal/bench/growth -rollcall bin/rollcall [-postgres] [-prune 1000000] [-delete 3000000]
package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/rollcall-scim/rollcall/internal/pgserver"
)

func main() {
	var m measure
	flag.StringVar(&m.binary, "rollcall", "bin/rollcall", "the rollcall binary to measure")
	flag.BoolVar(&m.postgres, "postgres", false, "measure on a PostgreSQL server of its own instead of SQLite")
	flag.IntVar(&m.old, "prune", 1_000_000, "rows of reads that are too old")
	flag.IntVar(&m.doomed, "delete", 3_000_000, "rows of the site that is deleted")
	flag.DurationVar(&m.length, "length", 20*time.Second, "how long the quiet phase takes")
	flag.Parse()
	if err := m.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(1)
	}
}

type measure struct {
	binary, database, dir, addr string
	postgres                    bool
	old, doomed                 int
	length                      time.Duration
	db                          *sql.DB
	server                      *exec.Cmd
	token                       string
	ids                         []string
	largestLog                  int64
}

func (m *measure) run(ctx context.Context) (err error) {
	if m.dir, err = os.MkdirTemp("", "rollcall-growth-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(m.dir)) }()
	driver := "sqlite"
	m.database = filepath.Join(m.dir, "rollcall.db")
	if m.postgres {
		driver = "pgx"
		data := filepath.Join(m.dir, "pg")
		if err := os.Mkdir(data, 0o700); err != nil {
			return err
		}
		if err := os.Chmod(m.dir, 0o755); err != nil { // the server runs as another user
			return err
		}
		pg, err := pgserver.Start(ctx, pgserver.Options{Dir: data, Locales: [][]string{{"--locale=C.UTF-8"}}, Settings: []string{"fsync=on"}})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, pg.Stop()) }()
		m.database = pg.URL("postgres")
	}
	if err := m.fill(ctx, driver); err != nil {
		return err
	}
	defer m.db.Close()
	if err := m.serve(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.server.Process.Kill()); _ = m.server.Wait() }()
	for i := range 200 {
		if err := m.addUser(i); err != nil {
			return err
		}
	}
	m.watch(time.Second*2, nil) // warm
	before := m.watch(m.length, nil)
	print("before", before, nil)
	fmt.Println("file", m.size(""), "MB")

	if _, err := m.rollcall(ctx, "retention", "set", "--reads", "30d"); err != nil {
		return err
	}
	pruned := m.during(ctx, func() error {
		_, err := m.rollcall(ctx, "prune")
		return err
	})
	if pruned.err != nil {
		return pruned.err
	}
	print(fmt.Sprintf("while %d rows are pruned (%s)", m.old, pruned.took), pruned.samples, before)
	fmt.Println("file", m.size(""), "MB, largest -wal", m.largestLog>>20, "MB")
	m.largestLog = 0

	// The command is killed as soon as the site is hidden: the server does the rest.
	deleted := m.during(ctx, func() error { return m.deleteByServer(ctx) })
	if deleted.err != nil {
		return deleted.err
	}
	print(fmt.Sprintf("while a site with %d rows is deleted (%s)", m.doomed, deleted.took), deleted.samples, before)
	fmt.Println("file", m.size(""), "MB, largest -wal", m.largestLog>>20, "MB")
	if !m.postgres {
		back := m.watch(m.length, nil)
		print("while space is given back", back, before)
		fmt.Println("file", m.size(""), "MB")
	}
	return nil
}

func (m *measure) deleteByServer(ctx context.Context) error {
	c := m.command(ctx, "site", "delete", "doomed", "--yes")
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		return err
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	for {
		var left int
		if err := m.db.QueryRowContext(ctx, "select count(*) from removal").Scan(&left); err != nil || left == 0 {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (m *measure) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, m.binary, append([]string{"--database", m.database, "--key-file", filepath.Join(m.dir, "key")}, args...)...)
}

func (m *measure) rollcall(ctx context.Context, args ...string) (string, error) {
	out, err := m.command(ctx, args...).Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", fmt.Errorf("rollcall %s: %w: %s", args[0], err, failed.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// fill makes three sites: one that is calm, one with old rows, one that will be deleted.
func (m *measure) fill(ctx context.Context, driver string) (err error) {
	if out, err := exec.CommandContext(ctx, m.binary, "key", "create", filepath.Join(m.dir, "key")).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	for _, args := range [][]string{
		{"site", "create", "calm", "--profile", "full"},
		{"site", "create", "old"},
		{"site", "create", "doomed"},
		{"retention", "set", "--reads", "forever"},
	} {
		if _, err := m.rollcall(ctx, args...); err != nil {
			return err
		}
	}
	if m.token, err = m.rollcall(ctx, "token", "create", "calm"); err != nil {
		return err
	}
	if m.db, err = sql.Open(driver, m.database); err != nil {
		return err
	}
	fmt.Printf("filling %d rows\n", m.old+m.doomed)
	long := time.Now().AddDate(0, 0, -90).UnixMicro()
	now := time.Now().Add(-time.Hour).UnixMicro()
	for _, f := range []struct {
		site string
		n    int
		from int64
	}{{"old", m.old, long}, {"doomed", m.doomed, now}} {
		const piece = 100_000
		for done := 0; done < f.n; done += piece {
			if _, err := m.db.ExecContext(ctx, fmt.Sprintf(`
				insert into request_log (site, time, id, token, token_last4, method, path, status, duration, user_name, subject, sentence, fixes, ignored, remote, result, change)
				with recursive n (i) as (select %d union all select i + 1 from n where i < %d)
				select s.id, %d + cast(n.i as bigint) * 1000, 'request-with-an-id-of-32-' || cast(1000000 + n.i as text), 'token-of-the-site', 'abcd', case n.i %% 3 when 0 then 'PATCH' else 'GET' end,
					'/Users?filter=userName%%20eq%%20%%22somebody' || cast(n.i as text) || '%%40example.com%%22', 200, 1234, 'somebody@example.com', 'subject', 'Updated somebody@example.com: displayName.', '', '', '20.1.2.3', 'done', n.i %% 3 = 0 and s.name = 'doomed'
				from n, site s
				where s.name = '%s'`, done, min(done+piece, f.n)-1, f.from, f.site)); err != nil {
				return err
			}
		}
	}
	if m.postgres {
		_, err = m.db.ExecContext(ctx, "vacuum analyze")
	}
	return err
}

func (m *measure) serve(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	m.addr = l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	m.server = m.command(ctx, "serve", "--listen", m.addr)
	m.server.Stderr = &bytes.Buffer{}
	if err := m.server.Start(); err != nil {
		return err
	}
	for range 600 {
		if resp, err := http.Get("http://" + m.addr + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("the server does not answer: %s", m.server.Stderr)
}

var client = &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

func (m *measure) send(method, path, body string) (int, []byte, error) {
	r, err := http.NewRequest(method, "http://"+m.addr+"/c/calm/auth/scim/v2"+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+m.token)
	r.Header.Set("Content-Type", "application/scim+json")
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, text, err
}

func (m *measure) addUser(i int) error {
	status, text, err := m.send("POST", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"u%d@calm.example","active":true}`, i))
	if err != nil || status != http.StatusCreated {
		return fmt.Errorf("add a user: %d %.200s %w", status, text, err)
	}
	var made struct{ ID string }
	err = json.Unmarshal(text, &made)
	m.ids = append(m.ids, made.ID)
	return err
}

// samples are the times of each kind of request, and how many were not answered 200.
type samples map[string]*sample

type sample struct {
	times []time.Duration
	bad   int
}

// watch sends 100 changes and 100 lookups a second until the time is over, or done is closed.
func (m *measure) watch(length time.Duration, done <-chan struct{}) samples {
	found := samples{"change": {}, "lookup": {}}
	ask := map[string]func(i int) (int, []byte, error){
		"lookup": func(i int) (int, []byte, error) {
			return m.send("GET", fmt.Sprintf("/Users?filter=userName%%20eq%%20%%22u%d@calm.example%%22", i%len(m.ids)), "")
		},
		"change": func(i int) (int, []byte, error) {
			return m.send("PATCH", "/Users/"+m.ids[i%len(m.ids)], fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":"%d"}]}`, time.Now().UnixNano()))
		},
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	end := time.Now().Add(length)
	for kind, send := range ask {
		for worker := range 4 {
			all.Go(func() {
				tick := time.NewTicker(40 * time.Millisecond)
				defer tick.Stop()
				for i := worker; done == nil && time.Now().Before(end) || done != nil; i += 4 {
					select {
					case <-done:
						return
					case <-tick.C:
					}
					began := time.Now()
					status, _, err := send(i)
					took := time.Since(began)
					mu.Lock()
					if found[kind].times = append(found[kind].times, took); err != nil || status != http.StatusOK {
						found[kind].bad++
					}
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	return found
}

type phase struct {
	samples samples
	took    time.Duration
	err     error
}

// during watches while something is done.
func (m *measure) during(_ context.Context, do func() error) (p phase) {
	done := make(chan struct{})
	began := time.Now()
	go func() {
		p.err = do()
		p.took = time.Since(began).Round(100 * time.Millisecond)
		close(done)
	}()
	go func() {
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
			}
			if info, err := os.Stat(m.database + "-wal"); err == nil {
				m.largestLog = max(m.largestLog, info.Size())
			}
		}
	}()
	p.samples = m.watch(0, done)
	return p
}

func (m *measure) size(suffix string) int64 {
	info, err := os.Stat(m.database + suffix)
	if err != nil {
		return 0
	}
	return info.Size() >> 20
}

func print(title string, now, before samples) {
	fmt.Println("\n" + title)
	for _, kind := range []string{"change", "lookup"} {
		s := now[kind]
		line := fmt.Sprintf("  %-8s %6d requests, %d not 200: p50 %s, p99 %s, max %s", kind, len(s.times), s.bad, at(s.times, 50), at(s.times, 99), at(s.times, 100))
		if before != nil {
			line += fmt.Sprintf(" (p99 %.1f × of before)", float64(at(s.times, 99))/float64(at(before[kind].times, 99)))
		}
		fmt.Println(line)
	}
}

func at(times []time.Duration, percent int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)].Round(10 * time.Microsecond)
}
