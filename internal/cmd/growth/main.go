// Command growth measures how two kinds of work affect the other sites of a server: pruning old
// rows of a request log, and deleting a site with very many rows. It prints the response times of a
// quiet site before and during this work, the sizes of the files, and the load of the machine. It
// exits with code 1 if the p99 of changes rises to more than three times its value before the work.
//
//	go run ./internal/cmd/growth -rollcall bin/rollcall [-postgres] [-prune 1000000] [-delete 3000000]
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/internal/binary"
)

func main() {
	var m measurement
	flag.IntVar(&m.oldRows, "prune", 1_000_000, "rows of reads that are too old")
	flag.IntVar(&m.deletedSiteRows, "delete", 3_000_000, "rows of the site that is deleted")
	flag.DurationVar(&m.quietLength, "length", 20*time.Second, "how long the quiet phase takes")
	binary.Main("growth", &m.options, m.run)
}

// measurement is one run of the command.
type measurement struct {
	options                  binary.Options // the binary and the database
	oldRows, deletedSiteRows int            // the number of rows to prune, and the number of rows of the site to delete
	quietLength              time.Duration  // how long the quiet site is measured before the work

	installation *binary.Installation
	db           *sql.DB     // a connection of this command itself to the database
	quietSite    binary.Site // the site whose response times are measured
	quietUserIDs []string    // the ids of the quiet site's users
	largestWAL   int64       // the largest size of SQLite's write-ahead log, in bytes
	missedAims   []string    // a sentence for each aim that was missed
}

// run does the whole measurement and prints the results.
func (m *measurement) run(ctx context.Context) (err error) {
	if m.installation, err = binary.New(ctx, m.options); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.installation.Close()) }()
	if err := m.fillDatabase(ctx); err != nil {
		return err
	}
	defer m.db.Close()
	if err := m.installation.Serve(ctx); err != nil {
		return err
	}
	for i := range 200 {
		id, err := m.installation.AddUser(ctx, m.quietSite, fmt.Sprintf("u%d@calm.example", i), `,"active":true`)
		if err != nil {
			return err
		}
		m.quietUserIDs = append(m.quietUserIDs, id)
	}
	m.measureQuietSite(time.Second*2, nil) // warm up the server, and throw the samples away
	before := m.measureQuietSite(m.quietLength, nil)
	fmt.Printf("%s, %d processors, load of the machine %s\n", m.installation.Kind(), runtime.NumCPU(), binary.LoadAverages())
	printTimes("before", before, nil)
	fmt.Println("file", m.fileSize(""), "MB")

	if _, err := m.installation.Rollcall(ctx, "retention", "set", "--reads", "30d"); err != nil {
		return err
	}
	pruned := m.measureDuring(ctx, func() error {
		_, err := m.installation.Rollcall(ctx, "prune")
		return err
	})
	if pruned.err != nil {
		return pruned.err
	}
	m.compareTimes(fmt.Sprintf("while %d rows are pruned (%s)", m.oldRows, pruned.duration), pruned.samples, before)
	fmt.Println("file", m.fileSize(""), "MB, largest -wal", m.largestWAL>>20, "MB")
	m.largestWAL = 0

	deleted := m.measureDuring(ctx, func() error { return m.deleteByServer(ctx) })
	if deleted.err != nil {
		return deleted.err
	}
	m.compareTimes(fmt.Sprintf("while a site with %d rows is deleted (%s)", m.deletedSiteRows, deleted.duration), deleted.samples, before)
	fmt.Println("file", m.fileSize(""), "MB, largest -wal", m.largestWAL>>20, "MB")
	if !m.options.Postgres {
		back := m.measureQuietSite(m.quietLength, nil)
		m.compareTimes("while space is given back", back, before)
		fmt.Println("file", m.fileSize(""), "MB")
	}
	fmt.Println("\nload of the machine", binary.LoadAverages())
	if len(m.missedAims) > 0 {
		return fmt.Errorf("missed: %s", strings.Join(m.missedAims, "; "))
	}
	return nil
}

// maxP99Ratio is the largest allowed p99 of changes during the work, as a multiple of their p99
// before the work.
const maxP99Ratio = 3

// compareTimes prints the times in now beside the times in before. If the p99 of changes is more
// than maxP99Ratio times as long as before, it adds a sentence to missedAims.
func (m *measurement) compareTimes(title string, now, before samplesByKind) {
	printTimes(title, now, before)
	if times := p99Ratio(now["change"], before["change"]); times > maxP99Ratio {
		m.missedAims = append(m.missedAims, fmt.Sprintf("%s, the p99 of changes is %.1f × that of before (aim: %d)", title, times, maxP99Ratio))
	}
}

// p99Ratio returns the p99 of now as a multiple of the p99 of before.
func p99Ratio(now, before *sample) float64 {
	return float64(percentile(now.times, 99)) / float64(percentile(before.times, 99))
}

// deleteByServer starts the command that deletes the site, and kills the command as soon as the
// site is hidden. Then it waits until the server has removed all rows of the site.
func (m *measurement) deleteByServer(ctx context.Context) error {
	c := m.installation.Command(ctx, "site", "delete", "doomed", "--yes")
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

// fillDatabase creates three sites and writes the rows of their request logs: a quiet site without
// rows, a site with old rows, and a site to delete.
func (m *measurement) fillDatabase(ctx context.Context) (err error) {
	if m.quietSite, err = m.installation.CreateSite(ctx, "calm"); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"site", "create", "old"},
		{"site", "create", "doomed"},
		{"retention", "set", "--reads", "forever"},
	} {
		if _, err := m.installation.Rollcall(ctx, args...); err != nil {
			return err
		}
	}
	if m.db, err = m.installation.OpenDatabase(); err != nil {
		return err
	}
	fmt.Printf("filling %d rows\n", m.oldRows+m.deletedSiteRows)
	long := time.Now().AddDate(0, 0, -90).UnixMicro()
	now := time.Now().Add(-time.Hour).UnixMicro()
	for _, f := range []struct {
		site string
		n    int
		from int64
	}{{"old", m.oldRows, long}, {"doomed", m.deletedSiteRows, now}} {
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
	if m.options.Postgres {
		_, err = m.db.ExecContext(ctx, "vacuum analyze")
	}
	return err
}

// samplesByKind holds the measured responses for each kind of request.
type samplesByKind map[string]*sample

// sample holds the response times of requests, and the number of requests that failed or got a
// status other than 200.
type sample struct {
	times      []time.Duration
	badAnswers int
}

// measureQuietSite sends 100 changes and 100 lookups a second to the quiet site, for the duration
// length, or until done is closed if done is not nil. It returns the response times.
func (m *measurement) measureQuietSite(length time.Duration, done <-chan struct{}) samplesByKind {
	found := samplesByKind{"change": {}, "lookup": {}}
	ask := map[string]func(i int) (int, []byte, error){
		"lookup": func(i int) (int, []byte, error) {
			return m.installation.Send(context.Background(), m.quietSite, "GET", fmt.Sprintf("/Users?filter=userName%%20eq%%20%%22u%d@calm.example%%22", i%len(m.quietUserIDs)), "")
		},
		"change": func(i int) (int, []byte, error) {
			return m.installation.Send(context.Background(), m.quietSite, "PATCH", "/Users/"+m.quietUserIDs[i%len(m.quietUserIDs)], binary.PatchBody(fmt.Sprintf(`{"op":"replace","path":"title","value":"%d"}`, time.Now().UnixNano())))
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
						found[kind].badAnswers++
					}
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	return found
}

// phase holds the responses of the quiet site during some work, how long the work took, and the
// error of the work.
type phase struct {
	samples  samplesByKind
	duration time.Duration
	err      error
}

// measureDuring runs the function do, and measures the quiet site until the function ends.
func (m *measurement) measureDuring(_ context.Context, do func() error) (p phase) {
	done := make(chan struct{})
	began := time.Now()
	go func() {
		p.err = do()
		p.duration = time.Since(began).Round(100 * time.Millisecond)
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
			if info, err := os.Stat(m.installation.Database + "-wal"); err == nil {
				m.largestWAL = max(m.largestWAL, info.Size())
			}
		}
	}()
	p.samples = m.measureQuietSite(0, done)
	return p
}

// fileSize returns the size in MiB of the file whose name is that of the database file plus a
// suffix. It returns 0 if there is no such file.
func (m *measurement) fileSize(suffix string) int64 {
	info, err := os.Stat(m.installation.Database + suffix)
	if err != nil {
		return 0
	}
	return info.Size() >> 20
}

// printTimes prints the times in now, with the ratio to the times in before unless before is nil.
func printTimes(title string, now, before samplesByKind) {
	fmt.Println("\n" + title)
	for _, kind := range []string{"change", "lookup"} {
		s := now[kind]
		line := fmt.Sprintf("  %-8s %6d requests, %d not 200: p50 %s, p99 %s, max %s", kind, len(s.times), s.badAnswers, percentile(s.times, 50), percentile(s.times, 99), percentile(s.times, 100))
		if before != nil {
			line += fmt.Sprintf(" (p99 %.1f × of before)", p99Ratio(s, before[kind]))
		}
		fmt.Println(line)
	}
}

// percentile returns the time within which the given percentage of the requests got their
// responses.
func percentile(times []time.Duration, percent int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)].Round(10 * time.Microsecond)
}
