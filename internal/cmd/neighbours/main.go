// Command neighbours measures how heavy load from some sites affects the other sites of a server.
// One site has many people, and many clients send it scans: queries for which the server must read
// every user. These clients ignore Retry-After. The clients of a second site send large PATCHes.
// The clients of a third site read pages of large users slowly. The command prints the response
// times of a quiet site before and during this load, and the server's memory.
//
//	go run ./internal/cmd/neighbours -rollcall bin/rollcall
//	go run ./internal/cmd/neighbours -rollcall bin/rollcall -postgres
//
// First the command measures how many scans a second a single client gets, and how many all clients
// of the scanned site get without any other load. It exits with code 1 if an aim is missed.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rollcall-scim/rollcall/internal/binary"
)

func main() {
	var m measurement
	flag.StringVar(&m.options.Database, "database", "", "URL of an empty PostgreSQL database; without it the program makes its own database")
	flag.IntVar(&m.people, "people", 100_000, "people of the site that is scanned")
	flag.IntVar(&m.scanners, "scanners", 150, "clients that scan it")
	flag.IntVar(&m.patchers, "patches", 60, "clients that send large PATCHes")
	flag.IntVar(&m.slowReaders, "slow", 10, "slow readers of large pages")
	flag.DurationVar(&m.phaseLength, "length", 10*time.Second, "how long each phase takes")
	binary.Main("neighbours", &m.options, m.run)
}

// measurement is one run of the command.
type measurement struct {
	options                                       binary.Options // the binary and the database
	people                                        int            // the number of people of the scanned site
	scanners, patchers, slowReaders               int            // how many clients scan, send large PATCHes, and read slowly
	phaseLength                                   time.Duration  // how long each phase of the measurement takes
	installation                                  *binary.Installation
	scannedSite, patchedSite, slowSite, quietSite filledSite // the sites that get scans, large PATCHes, slow readers, and the measured requests
}

// filledSite is a site with the ids of the users that addUser has added.
type filledSite struct {
	binary.Site
	ids []string
}

// run does the whole measurement, prints the results, and returns an error if an aim is missed.
func (m *measurement) run(ctx context.Context) (err error) {
	if m.installation, err = binary.New(ctx, m.options); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.installation.Close()) }()
	if err := m.createSites(ctx); err != nil {
		return err
	}
	if err := m.installation.Serve(ctx); err != nil {
		return err
	}
	if err := m.fillSmallSites(ctx); err != nil {
		return err
	}
	alone, err := m.measureOneScanner(ctx)
	if err != nil {
		return err
	}
	crowd := m.measureAllScanners(ctx)
	quiet := m.measureQuietSite(ctx)
	var scans atomic.Int64
	attack, stop := context.WithCancel(ctx)
	var attackers sync.WaitGroup
	m.startLoad(attack, &attackers, &scans)
	time.Sleep(time.Second)
	scans.Store(0)
	began := time.Now()
	loud := m.measureQuietSite(ctx)
	share := float64(scans.Load()) / time.Since(began).Seconds()
	memory := m.peakMemory()
	stop()
	attackers.Wait()
	fmt.Printf("%s, %d people, %d processors, load of the machine %s\n\n", m.installation.Kind(), m.people, runtime.NumCPU(), binary.LoadAverages())
	missed := printTable(quiet, loud)
	fmt.Printf("\nscans per second of the site that is scanned: %.2f by one client alone; %.2f by its %d clients alone (%.2f ×); %.2f during all this (%.2f ×)\n",
		alone, crowd, m.scanners, crowd/alone, share, share/alone)
	fmt.Printf("peak memory of the server: %d MB\n", memory>>20)
	if crowd < alone/2 {
		missed = append(missed, "the scanned site's own clients get less than half of what one gets")
	}
	if memory >= 300<<20 {
		missed = append(missed, "the server needs 300 MB or more")
	}
	if len(missed) > 0 {
		return fmt.Errorf("missed: %s", strings.Join(missed, "; "))
	}
	fmt.Println("every aim is met")
	return nil
}

// createSites creates the four sites, and imports the people of the scanned site.
func (m *measurement) createSites(ctx context.Context) error {
	for name, t := range map[string]*filledSite{"big": &m.scannedSite, "patched": &m.patchedSite, "read": &m.slowSite, "calm": &m.quietSite} {
		var err error
		if t.Site, err = m.installation.CreateSite(ctx, name); err != nil {
			return err
		}
	}
	file := filepath.Join(m.installation.Dir, "people.csv")
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "userName,displayName,email")
	for i := range m.people {
		fmt.Fprintf(w, "user%06d@big.example,User %d,user%06d@big.example\n", i, i, i)
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		return err
	}
	_, err = m.installation.Rollcall(ctx, "site", "import-people", "big", file)
	return err
}

// addUser adds a user to a site. rest is additional JSON for the body.
func (m *measurement) addUser(ctx context.Context, t *filledSite, rest string) error {
	id, err := m.installation.AddUser(ctx, t.Site, fmt.Sprintf("u%d@%s.example", len(t.ids), t.Name), rest)
	t.ids = append(t.ids, id)
	return err
}

// fillSmallSites adds the people of all sites except the scanned site.
func (m *measurement) fillSmallSites(ctx context.Context) error {
	for range 200 {
		if err := m.addUser(ctx, &m.quietSite, `,"active":true`); err != nil {
			return err
		}
	}
	for range 120 {
		if err := m.addUser(ctx, &m.slowSite, `,"title":"`+strings.Repeat("x", 1_000_000)+`"`); err != nil {
			return err
		}
	}
	roles := make([]string, 9_900)
	for i := range roles {
		roles[i] = fmt.Sprintf(`{"value":"role%05d"}`, i)
	}
	return m.addUser(ctx, &m.patchedSite, `,"roles":[`+strings.Join(roles, ",")+`]`)
}

// scanPath is the path of a query that must read every user, because no user has this title.
const scanPath = `/Users?count=1&filter=title%20eq%20%22x%22`

// measureOneScanner returns how many scans a second a single client gets, while the server has no
// other clients.
func (m *measurement) measureOneScanner(ctx context.Context) (perSecond float64, err error) {
	began, n := time.Now(), 0
	for time.Since(began) < m.phaseLength/2 {
		if status, text, err := m.installation.Send(ctx, m.scannedSite.Site, "GET", scanPath, ""); err != nil || status != 200 {
			return 0, fmt.Errorf("scan: %d %.200s %w", status, text, err)
		}
		n++
	}
	return float64(n) / time.Since(began).Seconds(), nil
}

// measureAllScanners returns how many scans a second all clients of the scanned site get together,
// while the server has no other clients.
func (m *measurement) measureAllScanners(ctx context.Context) (perSecond float64) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var clients sync.WaitGroup
	var scans atomic.Int64
	m.startScanners(ctx, &clients, &scans)
	time.Sleep(time.Second)
	scans.Store(0)
	began := time.Now()
	time.Sleep(m.phaseLength)
	perSecond = float64(scans.Load()) / time.Since(began).Seconds()
	stop()
	clients.Wait()
	return perSecond
}

// startScanners starts all clients of the scanned site. They send scans until ctx ends, and count
// the successful scans.
func (m *measurement) startScanners(ctx context.Context, clients *sync.WaitGroup, scans *atomic.Int64) {
	for range m.scanners {
		clients.Go(func() {
			for ctx.Err() == nil {
				if status, _, err := m.installation.Send(ctx, m.scannedSite.Site, "GET", scanPath, ""); err == nil && status == 200 {
					scans.Add(1)
				}
			}
		})
	}
}

// startLoad starts all clients that load the server: the scanners, the clients that send large
// PATCHes, and the slow readers. They stop when ctx ends.
func (m *measurement) startLoad(ctx context.Context, clients *sync.WaitGroup, scans *atomic.Int64) {
	m.startScanners(ctx, clients, scans)
	operations := strings.Repeat(`{"op":"remove","path":"roles[value co \"zz1\" or type ew \"qq1\"]"},`, 490)
	body := binary.PatchBody(strings.TrimSuffix(operations, ","))
	for range m.patchers {
		clients.Go(func() {
			for ctx.Err() == nil {
				_, _, _ = m.installation.Send(ctx, m.patchedSite.Site, "PATCH", "/Users/"+m.patchedSite.ids[0], body)
			}
		})
	}
	for range m.slowReaders {
		clients.Go(func() {
			for ctx.Err() == nil {
				m.readSlowly(ctx)
			}
		})
	}
}

// readSlowly requests a large page and reads it in small pieces.
func (m *measurement) readSlowly(ctx context.Context) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.installation.Addr)
	if err != nil {
		return
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /c/read/auth/scim/v2/Users?count=500 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n", m.slowSite.Token)
	piece := make([]byte, 4<<10)
	for ctx.Err() == nil {
		if _, err := c.Read(piece); err != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// requestKinds returns for each kind of request the function that sends it to the quiet site. The
// argument i is the number of the request.
func (m *measurement) requestKinds() map[string]func(ctx context.Context, i int) (int, error) {
	stranger := binary.Site{Name: m.quietSite.Name, Token: "rollcall_" + strings.Repeat("a", 49)}
	scim := func(s binary.Site, method, path, body string) (int, error) {
		status, _, err := m.installation.Send(context.Background(), s, method, path, body)
		return status, err
	}
	return map[string]func(ctx context.Context, i int) (int, error){
		"lookup": func(_ context.Context, i int) (int, error) {
			return scim(m.quietSite.Site, "GET", fmt.Sprintf("/Users?filter=userName%%20eq%%20%%22u%d@calm.example%%22", i%len(m.quietSite.ids)), "")
		},
		"deactivation": func(_ context.Context, i int) (int, error) {
			return scim(m.quietSite.Site, "PATCH", "/Users/"+m.quietSite.ids[i%len(m.quietSite.ids)], binary.PatchBody(fmt.Sprintf(`{"op":"replace","path":"active","value":%v}`, i/len(m.quietSite.ids)%2 == 1)))
		},
		"wrong token":  func(context.Context, int) (int, error) { return scim(stranger, "GET", "/Users?count=1", "") },
		"sign-in page": func(context.Context, int) (int, error) { return m.installation.Get("/c/calm/") },
		"/readyz":      func(context.Context, int) (int, error) { return m.installation.Get("/readyz") },
	}
}

// sample holds the response times of one kind of request, and the number of responses by status.
// The status -1 stands for a request without a response.
type sample struct {
	times         []time.Duration
	countByStatus map[int]int
}

// measureQuietSite sends each kind of request twenty times a second to the quiet site. It returns
// the response times by kind.
func (m *measurement) measureQuietSite(ctx context.Context) map[string]*sample {
	found := map[string]*sample{}
	var mu sync.Mutex
	var clients sync.WaitGroup
	for name, ask := range m.requestKinds() {
		s := &sample{countByStatus: map[int]int{}}
		found[name] = s
		clients.Go(func() {
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for i, until := 0, time.Now().Add(m.phaseLength); time.Now().Before(until); i++ {
				<-tick.C
				began := time.Now()
				status, err := ask(ctx, i)
				took := time.Since(began)
				if err != nil {
					status = -1
				}
				mu.Lock()
				s.times = append(s.times, took)
				s.countByStatus[status]++
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	return found
}

// quantile returns the time within which a share of the responses came. The share q is a number
// from 0 to 1.
func (s *sample) quantile(q float64) time.Duration {
	slices.Sort(s.times)
	return s.times[min(len(s.times)-1, int(q*float64(len(s.times))))]
}

// printTable prints the response times without load (quiet) and with load (loud). It returns a
// sentence for each aim that was missed.
func printTable(quiet, loud map[string]*sample) (missed []string) {
	fmt.Println("| request | p50 quiet | p50 | × | p99 quiet | p99 | max | answers |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, name := range []string{"lookup", "deactivation", "wrong token", "sign-in page", "/readyz"} {
		q, l := quiet[name], loud[name]
		ms := func(d time.Duration) string {
			return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 2, 64) + " ms"
		}
		times := float64(l.quantile(0.5)) / float64(q.quantile(0.5))
		fmt.Printf("| %s | %s | %s | %.1f | %s | %s | %s | %v |\n", name, ms(q.quantile(0.5)), ms(l.quantile(0.5)),
			times, ms(q.quantile(0.99)), ms(l.quantile(0.99)), ms(l.quantile(1)), l.countByStatus)
		if times > 10 {
			missed = append(missed, fmt.Sprintf("p50 of %s is %.1f × that of quiet times (aim: 10)", name, times))
		}
		if l.quantile(0.99) > 250*time.Millisecond {
			missed = append(missed, fmt.Sprintf("p99 of %s is %s (aim: 250 ms)", name, ms(l.quantile(0.99))))
		}
		for status := range l.countByStatus {
			if status >= 500 || status < 0 {
				missed = append(missed, fmt.Sprintf("%s was answered %d", name, status))
			}
		}
	}
	return missed
}

// peakMemory returns the server's peak memory in bytes as Linux reports it, or 0 on other systems.
func (m *measurement) peakMemory() int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.installation.PID()))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}
