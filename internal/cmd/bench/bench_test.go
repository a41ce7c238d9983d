package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/apptest"
	"github.com/rollcall-scim/rollcall/internal/binary"
	"github.com/rollcall-scim/rollcall/internal/pgserver"
)

// TestMain lets the test binary be the program's children, as the program is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-child" {
		main()
		return
	}
	os.Exit(max(m.Run(), binary.Clean()))
}

func TestSpread(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		values []float64
		want   spread
	}{
		{"of nothing is zero", nil, spread{}},
		{"of an odd number has the middle one", []float64{9, 1, 4}, spread{Median: 4, Min: 1, Max: 9}},
		{"of an even number is between the middle ones", []float64{8, 1, 4, 2}, spread{Median: 3, Min: 1, Max: 8}},
		{"of one is that one", []float64{5}, spread{Median: 5, Min: 5, Max: 5}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(spreadOf(test.values), test.want); diff != "" {
				t.Errorf("got-want+:\n%s", diff)
			}
		})
	}
}

// A slow round of both sides leaves the ratio as it is; a ratio of medians would move.
func TestRatiosAreMadeWithinARound(t *testing.T) {
	t.Parallel()
	got := ratios([]float64{100, 10, 300}, []float64{200, 20, 600})
	if diff := cmp.Diff(got, []float64{0.5, 0.5, 0.5}); diff != "" {
		t.Errorf("got-want+:\n%s", diff)
	}
	if got := ratios([]float64{1, 2}, []float64{0, 4}); len(got) != 1 || got[0] != 0.5 {
		t.Errorf("got %v, want only the round that has a divisor", got)
	}
}

func TestSampleIsPerRequestAndPerSecond(t *testing.T) {
	t.Parallel()
	s := sample{Requests: 400, Elapsed: 2 * time.Second, CPU: 40 * time.Millisecond}
	if s.rate() != 200 || s.cpuMicros() != 100 {
		t.Errorf("got %v/s and %v µs, want 200/s and 100 µs", s.rate(), s.cpuMicros())
	}
	if zero := (sample{}); zero.rate() != 0 || zero.cpuMicros() != 0 {
		t.Errorf("got %v/s and %v µs of nothing, want 0", zero.rate(), zero.cpuMicros())
	}
}

func TestContendersTakeTurnsAfterAWarmUp(t *testing.T) {
	t.Parallel()
	var order []string
	here := &server{pid: self(t)}
	named := func(name string) *contender {
		return &contender{Name: name, server: here, runRound: func(_ context.Context, d time.Duration) (int, time.Duration, error) {
			order = append(order, fmt.Sprint(name, d))
			return len(order), time.Second, nil
		}}
	}
	a, c := named("a"), named("c")
	b := &bench{options: options{rounds: 2, roundDuration: 2 * time.Second}, stdout: io.Discard}
	if err := b.interleave(t.Context(), a, c); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(order, []string{"a1s", "c1s", "a2s", "c2s", "a2s", "c2s"}); diff != "" {
		t.Errorf("order got-want+:\n%s", diff)
	}
	if diff := cmp.Diff(a.rates(), []float64{3, 5}); diff != "" {
		t.Errorf("without the warm-up got-want+:\n%s", diff)
	}
}

// self is this process, whose processor time can be read.

func TestContenderThatGoesWrongIsLeftOutAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	here := &server{pid: self(t)}
	turns := 0
	good := &contender{Name: "good", server: here, runRound: func(context.Context, time.Duration) (int, time.Duration, error) { return 1, time.Second, nil }}
	bad := &contender{Name: "bad", server: here, runRound: func(context.Context, time.Duration) (int, time.Duration, error) {
		if turns++; turns > 2 {
			return 0, 0, errors.New("the disk is full\nand more")
		}
		return 1, time.Second, nil
	}}
	good.claims = []claim{rateClaim(bad, "the bad one's rate", atLeast(1))}
	b := &bench{options: options{rounds: 3, roundDuration: time.Second}, stdout: io.Discard}
	if err := b.interleave(t.Context(), bad, good); err != nil {
		t.Fatal(err)
	}
	if len(good.samples) != 3 || len(bad.samples) != 1 || turns != 3 {
		t.Errorf("got %d and %d samples after %d turns of the bad one, want 3, 1 and 3", len(good.samples), len(bad.samples), turns)
	}
	s := &section{Kind: kindSQLite, Part: partRead, Title: "Reads", Rows: []*contender{good, bad}}
	for _, want := range []string{"1.00 × the bad one's rate (≥ 1.00: holds)", "| went wrong: the disk is full |"} {
		if got := s.formatRows(); !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
	r := &report{Sections: []*section{s}}
	if err := r.problems(); err == nil || !strings.Contains(err.Error(), "SQLite, reads, bad: the disk is full\nand more") {
		t.Errorf("got %v, want the whole problem", err)
	}
}

func TestWithoutPostgreSQLTheRowSaysSoAndNothingFails(t *testing.T) {
	t.Parallel()
	s := &section{Kind: kindPostgres, Part: partList, Title: "Lists", Problem: fmt.Errorf("fill a site of 10: %w", pgserver.ErrNoBinaries)}
	if got := s.formatRows(); !strings.Contains(got, "| Lists |  |  | not run |") || !strings.Contains(got, "no PostgreSQL on this machine") {
		t.Errorf("got no row with the reason:\n%s", got)
	}
	if err := (&report{Sections: []*section{s}}).problems(); err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

// What is done after a round is not part of what is measured, and comes after each.
func TestAfterARoundItsTracesAreRemoved(t *testing.T) {
	t.Parallel()
	made := 0
	c := &contender{
		server: &server{pid: self(t)},
		runRound: func(context.Context, time.Duration) (int, time.Duration, error) {
			made++
			return made, time.Second, nil
		},
		cleanUp: func(context.Context) error { made = 0; return nil },
	}
	b := &bench{options: options{rounds: 2, roundDuration: time.Second}, stdout: io.Discard}
	if err := b.interleave(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.rates(), []float64{1, 1}); diff != "" || made != 0 {
		t.Errorf("left %d; got-want+:\n%s", made, diff)
	}
}

func TestClaim(t *testing.T) {
	t.Parallel()
	sampled := func(requests int, cpu, database time.Duration) *contender {
		return &contender{samples: []sample{{Requests: requests, Elapsed: time.Second, CPU: cpu, Database: database}}}
	}
	one, two := sampled(1000, 100*time.Millisecond, 0), sampled(500, 50*time.Millisecond, 50*time.Millisecond)
	for _, test := range []struct {
		name  string
		claim claim
		want  string
	}{
		{"of a rate that holds", rateClaim(one, "one's rate", atLeast(0.5)), "0.50 × one's rate (≥ 0.50: holds)"},
		{"of a rate that is missed", rateClaim(one, "one's rate", atLeast(0.6)), "0.50 × one's rate (≥ 0.60: **missed**)"},
		{"of processor time counts the database's", costClaim(one, "one", atMost(1.3)), "CPU 2.00 × one (≤ 1.3: **missed**)"},
		{"without an aim has no verdict", costClaim(one, "one", aim{}), "CPU 2.00 × one"},
		{"of a budget", budgetClaim(atMost(300)), "budget ≤ 300 µs: holds"},
		{"beside what was not measured", rateClaim(&contender{}, "the other", atLeast(1)), "not measured beside the other"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := test.claim.text(two); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestTableIsMarkdown(t *testing.T) {
	t.Parallel()
	got := formatTable([][]string{{"", "rate", "ratio"}, {"GET", formatWhole([]float64{12345.6, 9999, 20000}), formatRatio([]float64{0.5, 0.25, 0.75})}, {"POST", formatWhole([]float64{7, 8, 9}), formatRatio([]float64{1, 1})}})
	want := "|  | rate | ratio |\n|---|---:|---:|\n| GET | 12,346 (9,999–20,000) | 0.50 (0.25–0.75) |\n| POST | 8 (7–9) | 1.00 |\n"
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("got-want+:\n%s", diff)
	}
}

func TestFiguresHaveThreeDigitsOrMore(t *testing.T) {
	t.Parallel()
	for want, values := range map[string][]float64{"1,000": {999.7}, "999": {999.2}, "7.2 (0.6–9.0)": {7.2, 0.6, 9}, "150 (99–1,250)": {99, 150, 1250}} {
		if got := formatFigure(values); got != want {
			t.Errorf("%v: got %q, want %q", values, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 100_000: "100,000", 1_234_567: "1,234,567"} {
		if got := withThousandsCommas(n); got != want {
			t.Errorf("count(%d): got %q, want %q", n, got, want)
		}
	}
}

func TestProcFilesAreRead(t *testing.T) {
	t.Parallel()
	stat := "4242 (roll) call) S 1 4242 4242 0 -1 4194560 100 0 0 0 150 50 7 8 20 0 12 0 1000 1 2"
	want := processTimes{pid: "4242", parent: "1", ownTime: 2 * time.Second, endedChildren: 150 * time.Millisecond}
	if got, err := parseStat(stat); err != nil || got != want {
		t.Errorf("processor time: got %+v, %v, want %+v", got, err, want)
	}
	if _, err := parseStat("4242 (x) S 1"); err == nil {
		t.Error("a cut-off stat: got no error")
	}
	if got, err := parsePeak("Name:\trollcall\nVmPeak:\t  999 kB\nVmHWM:\t   2048 kB\n"); err != nil || got != 2<<20 {
		t.Errorf("peak: got %d, %v, want %d", got, err, 2<<20)
	}
	if _, err := parsePeak("Name:\tx\n"); err == nil {
		t.Error("a status without peak: got no error")
	}
	mounts := "22 1 8:1 / / rw shared:1 - ext4 /dev/vda rw\n30 22 0:5 / /tmp rw - tmpfs tmpfs rw\n31 22 0:6 / /tmpfiles rw - xfs /dev/vdb rw\n"
	for dir, want := range map[string]string{"/var/x": "ext4", "/tmp/x": "tmpfs", "/tmpfiles": "xfs", "/tmpfile": "ext4"} {
		if got := fileSystem(mounts, dir); got != want {
			t.Errorf("file system of %s: got %q, want %q", dir, got, want)
		}
	}
}

func TestClientReadsAnswers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef", 5000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/long": // more than the server buffers: chunked
			io.WriteString(w, long)
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		default:
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprintf(w, "%s %s", r.Method, body)
		}
	}))
	defer server.Close()
	c, err := dial(t.Context(), strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for range 2 { // one connection for all
		for _, test := range []struct {
			request string
			status  int
			body    string
		}{
			{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", http.StatusTeapot, "POST abc"},
			{"GET /long HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusOK, long},
			{"GET /none HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusNoContent, ""},
		} {
			status, body, err := c.send([]byte(test.request))
			if err != nil || status != test.status || string(body) != test.body {
				t.Fatalf("%.20q: got %d %.40q, %v, want %d %.40q", test.request, status, body, err, test.status, test.body)
			}
		}
	}
}

func TestClientRefusesWhatIsNoAnswer(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"nonsense\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n"} {
		c := &conn{reader: bufio.NewReader(strings.NewReader(text))}
		if _, _, _, err := c.readHead(); err == nil {
			t.Errorf("%q: got no error", text)
		}
	}
}

func TestOneWrongAnswerEndsTheLoad(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(answerEmpty))
	defer server.Close()
	wrong := errors.New("wrong")
	_, err := doAll(t.Context(), strings.TrimPrefix(server.URL, "http://"), 4, 1000, func(_ *conn, i int) error {
		if i == 10 {
			return wrong
		}
		return nil
	})
	if !errors.Is(err, wrong) {
		t.Errorf("got %v, want %v", err, wrong)
	}
}

func TestASlowAnswerHoldsNoOtherRequestUp(t *testing.T) {
	t.Parallel()
	var waiting sync.WaitGroup
	waiting.Add(1)
	first := true
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		held := first
		first = false
		mu.Unlock()
		if held {
			waiting.Wait() // until all the others are answered
		}
		w.Header().Set("Content-Length", "0")
	}))
	t.Cleanup(s.Close)
	requests := make([][]byte, 100)
	for i := range requests {
		requests[i] = []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	var answered atomic.Int64
	got, err := sendAtRate(t.Context(), s.Listener.Addr().String(), 64, 1000, requests, func(int, []byte) error {
		if answered.Add(1) == 99 {
			waiting.Done()
		}
		return nil
	})
	if err != nil || len(got) != 100 {
		t.Fatalf("%d answers, %v", len(got), err)
	}
}

func TestLatencies(t *testing.T) {
	t.Parallel()
	l := latencies{4 * time.Millisecond, time.Millisecond, 3 * time.Millisecond, 2 * time.Millisecond}
	if l.quantile(0) != 1 || l.quantile(0.5) != 3 || l.quantile(0.99) != 4 || (latencies{}).quantile(0.5) != 0 {
		t.Errorf("got %v, %v, %v", l.quantile(0), l.quantile(0.5), l.quantile(0.99))
	}
}

func TestFlagsThatChangeTheRunAreNamed(t *testing.T) {
	t.Parallel()
	o, err := parseFlags([]string{"-rollcall", "x", "-o", "y", "-users", "10, 20", "-rounds", "3"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	r := report{Options: o}
	if got, want := r.commandLine(), "go run ./internal/cmd/bench -rounds=3 -users=10,20"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, args := range [][]string{{"-users", "20,10"}, {"-users", "a"}, {"-rounds", "0"}, {"-round", "1h"}, {"stray"}, {"-database", "oracle"}, {"-only", "read,sleep"}, {"-clients", "65"}, {"-limit", "0s"}} {
		if _, err := parseFlags(args, io.Discard); err == nil {
			t.Errorf("%q: got no error", args)
		}
	}
}

// The whole run in miniature, with the real binary; no figure is looked at.
func TestQuickRunMeasuresEverything(t *testing.T) {
	t.Parallel()
	self(t)
	dir := openDir(t)
	output, profiles := filepath.Join(dir, "benchmarks.md"), filepath.Join(dir, "profiles")
	var printed bytes.Buffer
	err := run(t.Context(), []string{"-rollcall", apptest.Binary(t), "-quick", "-dir", dir, "-o", output, "-profile", profiles}, nil, &printed, &printed)
	if err != nil {
		t.Fatalf("%v\n%s", err, &printed)
	}
	text := read(t, output)
	for _, want := range []string{
		"go run ./internal/cmd/bench -quick=true", "## What holds", "| empty net/http handler |", "0 were not measured", "The 19 rows", "requests sent: 1 |", "load generator",
		"| SQLite, sign-ins alone |", "| SQLite, sign-ins beside SCIM |", "| SQLite, SCIM beside sign-ins |", "the directory's end", "### Cycles, SQLite", "### The engine, SQLite", "2 idle jobs, share of a processor", "4 groups with 12 memberships × the load generator's rate",
		"a quarter each", "requests a second", "| 1,000 |", "one member of a group of 50 × one of a group of ten, processor time", "what a target allows that allows 20 requests a second", "while an initial cycle of 50 runs", "SQLite, durable writes, 50 users", "POST, one commit per request", "POST's rows written by the bare store",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the result lacks %q", want)
		}
	}
	sqlite, postgres, _ := strings.Cut(text, "\n## PostgreSQL\n")
	parts := []string{sqlite, postgres}
	if err := pgserver.Available(); err != nil {
		if apptest.MustRunAll() {
			t.Error(err)
		}
		if !strings.Contains(postgres, pgserver.ErrNoBinaries.Error()) {
			t.Error("the result does not say why PostgreSQL was not run")
		}
		parts = parts[:1]
	}
	for _, part := range parts {
		for _, row := range quickRows() {
			if !regexp.MustCompile(regexp.QuoteMeta("| "+row+" |") + ` [\d,.]+ \|`).MatchString(part) {
				t.Errorf("the result lacks figures of %q:\n%s", row, part)
			}
		}
	}
	for _, never := range []string{dir, "NaN", "Inf", "went wrong"} {
		if strings.Contains(text, never) {
			t.Errorf("the result holds %q:\n%s", never, text)
		}
	}
	for _, name := range []string{"get", "lookup", "page", "member", "stream", "patch", "create", "allocs"} {
		if info, err := os.Stat(filepath.Join(profiles, name+".pprof")); err != nil || info.Size() == 0 {
			t.Errorf("profile %s: %v", name, err)
		}
	}
	nothingLeft(t, dir)
}

// quickRows are rows that a quick run has on both databases, up to the column of their rates.
func quickRows() []string {
	var rows []string
	for _, users := range []int{10, 50} {
		for _, name := range []string{
			"GET by id | %d | 16", "lookup by userName | %d | 16", "lookup by externalId | %d | 16", "lookup by work e-mail | %d | 16",
			"lookup of a group by displayName | %d | 16", "first page of 100 by startIndex | %d | 4", "last page of 100 by startIndex | %d | 4",
			"first page of 100 by cursor | %d | 4", "last page of 100 by cursor | %d | 4", "page of 100 sorted by userName | %d | 4",
			"page of 100 sorted by name.familyName | %d | 1", `unindexed filter (title co "x") | %d | 1`,
			"add one member or remove one, group of 10 | %d | 16", "add one member or remove one, group of %[1]d | %[1]d | 16",
			"GET with excludedAttributes=members, group of %[1]d | %[1]d | 16", "GET of a group of %[1]d with its members | %[1]d | 1",
			"PATCH active | %d | 1", "PATCH active | %d | 16", "PATCH active | %d | 64", "POST | %d | 1", "POST | %d | 16", "POST | %d | 64",
			"declared attribute (title eq) | %d | 16", "declared attribute, page of 100 of a sixth (department eq) | %d | 4", "not declared (nickName eq) | %d | 1",
		} {
			rows = append(rows, fmt.Sprintf(name, users))
		}
	}
	return rows
}

// openDir is a directory that PostgreSQL's user can reach, unlike t.TempDir's.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bench-test-") //nolint:usetesting // see above; the name of a socket has to be short as well
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(dir, "rollcall-bench-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestInterruptedRunTellsWhatItHasAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	self(t)
	dir := t.TempDir()
	output := filepath.Join(dir, "benchmarks.md")
	ctx, cancel := context.WithCancel(t.Context())
	out := &cancelling{at: "round 1 of 1  lookup by externalId", cancel: cancel}
	err := run(ctx, []string{"-rollcall", apptest.Binary(t), "-quick", "-database", "sqlite", "-dir", dir, "-o", output}, nil, out, out)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	text := read(t, output)
	for _, want := range []string{"did not come to its end: context canceled", "| Durable writes |  |  | not run |", "Not run: context canceled"} {
		if !strings.Contains(text, want) {
			t.Errorf("the result lacks %q:\n%s", want, text)
		}
	}
	if !regexp.MustCompile(`\| GET by id \| 10 \| 16 \| [\d,.]+ \|`).MatchString(text) {
		t.Errorf("the result lacks what was measured before:\n%s", text)
	}
	nothingLeft(t, dir)
}

func TestRunEndsAtItsLimit(t *testing.T) {
	t.Parallel()
	self(t)
	dir := t.TempDir()
	var printed bytes.Buffer
	err := run(t.Context(), []string{
		"-rollcall", apptest.Binary(t), "-quick", "-database", "sqlite", "-only", "read", "-rounds", "10000", "-limit", "3s", "-dir", dir,
	}, nil, &printed, &printed)
	if err == nil || !strings.Contains(err.Error(), "limit of 3s (-limit) is over") {
		t.Errorf("got %v, want that the limit is over", err)
	}
	if !strings.Contains(printed.String(), "**This run did not come to its end: the run's limit of 3s") {
		t.Errorf("the result does not say so:\n%s", &printed)
	}
	nothingLeft(t, dir)
}

// cancelling ends a context when some text is printed.
type cancelling struct {
	at     string
	cancel context.CancelFunc
}

func (c *cancelling) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(c.at)) {
		c.cancel()
	}
	return len(b), nil
}

// self is this process's number.
func self(t *testing.T) int {
	t.Helper()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("needs Linux's /proc")
	}
	return os.Getpid()
}
