package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/outbound"
)

// watched is a running server whose metrics are read.
type watched struct {
	t            *testing.T
	url, metrics string
	pid          int
	log          func() string // returns the log so far
	wait         func() int    // waits until the server has ended, and returns its exit code
}

var toldAddress = regexp.MustCompile(`msg=(serving|metrics) address=(\S+)`)

func serveWatched(t *testing.T, f folder) watched {
	t.Helper()
	cmd := exec.Command("rollcall", "serve", "--database", f.database, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0")
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "ROLLCALL_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var said strings.Builder
	told := make(chan [2]string, 2)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			mu.Lock()
			fmt.Fprintln(&said, lines.Text())
			mu.Unlock()
			if m := toldAddress.FindStringSubmatch(lines.Text()); m != nil {
				told <- [2]string{m[1], m[2]}
			}
		}
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	w := watched{t: t, pid: cmd.Process.Pid, log: func() string {
		mu.Lock()
		defer mu.Unlock()
		return said.String()
	}, wait: func() int {
		<-ended
		return cmd.ProcessState.ExitCode()
	}}
	for w.url == "" || w.metrics == "" {
		select {
		case at := <-told:
			if at[0] == "serving" {
				w.url = "http://" + at[1]
			} else {
				w.metrics = "http://" + at[1] + "/metrics"
			}
		case <-ended:
			t.Fatal("the server ended")
		}
	}
	return w
}

// read returns the value of each sample by its name and labels. It also returns, by name, the sum
// of the samples of one name.
func (w watched) read() map[string]float64 {
	w.t.Helper()
	resp, err := http.Get(w.metrics)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("got %d, %v: %s", resp.StatusCode, err, text)
	}
	all := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndexByte(strings.TrimSpace(line), ' ')
		value, err := strconv.ParseFloat(strings.TrimSpace(line[i:]), 64)
		if err != nil {
			w.t.Fatalf("%q: %v", line, err)
		}
		name, _, labelled := strings.Cut(line[:i], "{")
		all[name] += value
		if labelled {
			all[line[:i]] = value
		}
	}
	return all
}

func (w watched) send(method, path, token, body string) int {
	w.t.Helper()
	r, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/scim+json")
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestTheEngineDoesNotReachTheMetrics(t *testing.T) {
	t.Parallel()
	shown, served := httptest.NewServer(http.NotFoundHandler()), httptest.NewServer(http.NotFoundHandler())
	defer shown.Close()
	defer served.Close()
	c := command{publicURL: served.URL}
	client := outbound.New(c.outboundOptions([]net.Addr{served.Listener.Addr()}, shown.Listener.Addr()))
	for url, reached := range map[string]bool{
		served.URL + "/c/acme/auth/scim/v2/Users": true, served.URL + "/metrics": false,
		shown.URL + "/metrics": false, shown.URL + "/c/acme/auth/scim/v2/Users": false,
		strings.Replace(shown.URL, "127.0.0.1", "localhost", 1) + "/c/acme/auth/scim": false,
	} {
		resp, err := client.Get(url)
		if err == nil {
			resp.Body.Close()
		}
		if _, blocked := errors.AsType[*outbound.BlockedError](err); blocked == reached {
			t.Errorf("%s: got %v, want it reached: %t", url, err, reached)
		}
	}
}

// TestEveryDocumentedMetric reads each metric in docs/operations.md from a server. It checks that
// requests and jobs change the metrics that they should change.
func TestEveryDocumentedMetric(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `((?:rollcall|go|process)_[a-z_]+)").FindAllStringSubmatch(string(page), -1) {
		documented[m[1]] = true
	}
	f, _ := newFolder(t)
	f.must("site", "create", "acme", "--profile", "full")
	token := strings.TrimSpace(strings.Split(f.must("token", "create", "acme"), "\n")[0])
	w := serveWatched(t, f)
	path := "/c/acme/auth/scim/v2/Users"
	user := func(n int) string {
		return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"u%d","title":"%s"}`, n, strings.Repeat("x", 70_000))
	}
	if got := w.send("POST", path, token, user(0)); got != http.StatusCreated {
		t.Fatalf("got %d", got)
	}
	before := w.read()
	for n := range 3 {
		w.send("POST", path, token, user(n+1))
	}
	w.send("GET", path+`?filter=title%20eq%20%22x%22`, token, "")
	w.send("GET", path, "wrong", "")
	w.send("GET", "/readyz", "", "")
	w.send("GET", path+"/none", token, "")
	after := w.read()
	for name := range documented {
		_, there := after[name]
		_, histogram := after[name+"_count"]
		if !there && !histogram {
			t.Errorf("%s is documented and not shown", name)
		}
	}
	for name := range after {
		base, _, _ := strings.Cut(name, "{")
		for _, end := range []string{"_bucket", "_sum", "_count"} {
			base = strings.TrimSuffix(base, end)
		}
		if strings.HasPrefix(base, "rollcall_") && !documented[base] {
			t.Errorf("%s is not documented", base)
		}
	}
	for name, least := range map[string]float64{
		`rollcall_http_requests_total{method="POST",route="scim Users",status="201"}`: 3,
		`rollcall_http_requests_total{method="GET",route="scim other",status="401"}`:  1,
		`rollcall_http_requests_total{method="GET",route="scim Users",status="404"}`:  1,
		`rollcall_http_requests_total{method="GET",route="readyz",status="200"}`:      1,
		`rollcall_http_request_seconds_count{method="POST",route="scim Users"}`:       3,
		`rollcall_queue_entered_total{queue="database connections"}`:                  5,
		`rollcall_queue_entered_total{queue="costly work"}`:                           1,
		`rollcall_queue_entered_total{queue="memory"}`:                                3,
		`rollcall_database_writes_total`:                                              3,
		`rollcall_request_log_rows_total{result="with a change"}`:                     3,
	} {
		if moved := after[name] - before[name]; moved < least {
			t.Errorf("%s moved by %v, want %v at least; it is %v", name, moved, least, after[name])
		}
	}
	for name, want := range map[string]float64{
		"rollcall_database_up": 1, `rollcall_jobs{state="off"}`: 1, `rollcall_queue_capacity{queue="database connections"}`: 5,
		`rollcall_queue_waiting{queue="costly work"}`: 0,
	} {
		if after[name] != want {
			t.Errorf("%s is %v, want %v", name, after[name], want)
		}
	}
	if after["rollcall_database_file_bytes"] < 100_000 || after["rollcall_database_wal_bytes"] < 1 {
		t.Errorf("the file has %v bytes and the log %v", after["rollcall_database_file_bytes"], after["rollcall_database_wal_bytes"])
	}
	// The file is taken away: the metrics say so, and still answer.
	if err := os.Rename(f.database, filepath.Join(t.TempDir(), "away.db")); err != nil {
		t.Fatal(err)
	}
	if got := w.send("POST", path, token, user(9)); got != http.StatusServiceUnavailable {
		t.Errorf("without the file: got %d", got)
	}
	if gone := w.read(); gone["rollcall_database_up"] != 0 || gone["rollcall_database_unavailable_total"] < 1 {
		t.Errorf("without the file: up is %v, unavailable %v", gone["rollcall_database_up"], gone["rollcall_database_unavailable_total"])
	}
}
