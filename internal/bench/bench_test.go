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
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/apptest"
)

// TestMain lets the test binary be the program's children, as the program is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-child" {
		main()
		return
	}
	os.Exit(max(m.Run(), apptest.Clean()))
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
	if s.rate() != 200 || s.cpu() != 100 {
		t.Errorf("got %v/s and %v µs, want 200/s and 100 µs", s.rate(), s.cpu())
	}
	if zero := (sample{}); zero.rate() != 0 || zero.cpu() != 0 {
		t.Errorf("got %v/s and %v µs of nothing, want 0", zero.rate(), zero.cpu())
	}
}

func TestContendersTakeTurnsAfterAWarmUp(t *testing.T) {
	t.Parallel()
	var order []string
	named := func(name string) *contender {
		return &contender{Name: name, run: func(_ context.Context, d time.Duration) (sample, error) {
			order = append(order, fmt.Sprint(name, d))
			return sample{Requests: len(order), Elapsed: time.Second}, nil
		}}
	}
	a, c := named("a"), named("c")
	b := &bench{options: options{rounds: 2, round: 2 * time.Second}, stdout: io.Discard}
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

func TestTableIsMarkdown(t *testing.T) {
	t.Parallel()
	got := table([][]string{{"", "rate", "ratio"}, {"GET", whole([]float64{12345.6, 9999, 20000}), ratio([]float64{0.5, 0.25, 0.75})}, {"POST", whole([]float64{7, 8, 9}), ratio([]float64{1, 1})}})
	want := "|  | rate | ratio |\n|---|---:|---:|\n| GET | 12,346 (9,999–20,000) | 0.50 (0.25–0.75) |\n| POST | 8 (7–9) | 1.00 |\n"
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("got-want+:\n%s", diff)
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 100_000: "100,000", 1_234_567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("count(%d): got %q, want %q", n, got, want)
		}
	}
}

func TestProcFilesAreRead(t *testing.T) {
	t.Parallel()
	stat := "4242 (roll) call) S 1 4242 4242 0 -1 4194560 100 0 0 0 150 50 7 8 20 0 12 0 1000 1 2"
	if got, err := parseStat(stat); err != nil || got != 2*time.Second {
		t.Errorf("processor time: got %s, %v, want 2s", got, err)
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
		c := &conn{r: bufio.NewReader(strings.NewReader(text))}
		if _, _, _, err := c.head(); err == nil {
			t.Errorf("%q: got no error", text)
		}
	}
}

func TestOneWrongAnswerEndsTheLoad(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(answerEmpty))
	defer server.Close()
	wrong := errors.New("wrong")
	_, err := all(t.Context(), strings.TrimPrefix(server.URL, "http://"), 4, 1000, func(_ *conn, i int) error {
		if i == 10 {
			return wrong
		}
		return nil
	})
	if !errors.Is(err, wrong) {
		t.Errorf("got %v, want %v", err, wrong)
	}
}

func TestFlagsThatChangeTheRunAreNamed(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-rollcall", "x", "-o", "y", "-users", "10, 20", "-rounds", "3"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	r := report{Options: o}
	if got, want := r.command(), "go run ./internal/bench -rounds=3 -users=10,20"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, args := range [][]string{{"-users", "20,10"}, {"-users", "a"}, {"-rounds", "0"}, {"-round", "1h"}, {"stray"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q: got no error", args)
		}
	}
}

// The whole run in miniature, with the real binary; no figure is looked at.
func TestQuickRunMeasuresEverything(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		if apptest.All() {
			t.Fatal(err)
		}
		t.Skip("needs Linux's /proc")
	}
	dir := t.TempDir()
	output, profiles := filepath.Join(dir, "benchmarks.md"), filepath.Join(dir, "profiles")
	var printed bytes.Buffer
	err := run(t.Context(), []string{"-rollcall", apptest.Binary(t), "-quick", "-dir", dir, "-o", output, "-profile", profiles}, nil, &printed, &printed)
	if err != nil {
		t.Fatalf("%v\n%s", err, &printed)
	}
	text, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"go run ./internal/bench -quick=true", "## Ratios", "GET by id (50 users) / empty handler", "| empty handler |", "lookup by userName, 10 users",
		"one commit per request, 16 clients", "bare store, 1 client", "The 19 rows", "requests sent: 1 |", "load generator", "the directory's end",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the result lacks %q", want)
		}
	}
	for _, never := range []string{dir, "NaN", "Inf"} {
		if strings.Contains(string(text), never) {
			t.Errorf("the result holds %q:\n%s", never, text)
		}
	}
	for _, name := range []string{"get.pprof", "lookup.pprof", "create.pprof", "allocs.pprof"} {
		if info, err := os.Stat(filepath.Join(profiles, name)); err != nil || info.Size() == 0 {
			t.Errorf("profile %s: %v", name, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "rollcall-bench-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestInterruptedRunLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	out := &cancelling{at: "round 1 of", cancel: cancel}
	err := run(ctx, []string{"-rollcall", apptest.Binary(t), "-quick", "-dir", dir}, nil, out, out)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
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
