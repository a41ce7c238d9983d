package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/demosignin"
)

// TestTheDemoGivesNewLinks presses Enter in a running demo. New links must be printed, old links
// must say where to get new ones, and no file may be left behind.
func TestTheDemoGivesNewLinks(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("TMPDIR", filepath.Join(dir, "tmp"))
	if err := os.Mkdir("tmp", 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	in, enter := io.Pipe()
	out, said := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"demo", "--listen", "127.0.0.1:0", "--json"}, process{
			stdin: in, stdout: said, stderr: io.Discard, getenv: func(string) string { return "" }, now: time.Now,
		})
		said.Close()
	}()
	answers := json.NewDecoder(bufio.NewReader(out))
	next := func() (d demoOutput) {
		t.Helper()
		if err := answers.Decode(&d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	first := next()
	if _, err := io.WriteString(enter, "\n"); err != nil {
		t.Fatal(err)
	}
	second := next()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	page := func(url, method string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	const advice = "Press Enter in the terminal where the demo runs"
	for _, links := range [][2]string{{first.Operator, second.Operator}, {first.Administrator, second.Administrator}, {first.Person, second.Person}} {
		if links[0] == links[1] {
			t.Errorf("the link is the same: %s", links[0])
		}
		if status, text := page(links[1], http.MethodGet); status != http.StatusOK || !strings.Contains(text, "Sign in as") {
			t.Errorf("%s: %d\n%s", links[1], status, text)
		}
		if status, _ := page(links[1], http.MethodPost); status != http.StatusSeeOther {
			t.Errorf("%s is not accepted: %d", links[1], status)
		}
		if status, text := page(links[1], http.MethodGet); status != http.StatusGone || !strings.Contains(text, advice) || strings.Contains(text, "rollcall site link") {
			t.Errorf("the used link: %d\n%s", status, text)
		}
	}
	for _, path := range []string{"/d/", "/c/acme/"} {
		if status, text := page(first.URL+path, http.MethodGet); status != http.StatusUnauthorized || !strings.Contains(text, advice) || strings.Contains(text, "rollcall site link") || strings.Contains(text, "rollcall operator link") {
			t.Errorf("%s: %d\n%s", path, status, text)
		}
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit %d", code)
	}
	for _, place := range []string{".", "tmp"} {
		left, err := os.ReadDir(place)
		if err != nil || place == "tmp" && len(left) > 0 || place == "." && len(left) > 1 {
			t.Errorf("left in %s: %v, %v", place, left, err)
		}
	}
}

// TestTheDemoAfterTheGuide starts the demo in the state after the guide's last step, and runs
// commands on its database.
func TestTheDemoAfterTheGuide(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, said := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"demo", "--listen", "127.0.0.1:0", "--json", "--done"}, process{
			stdin: strings.NewReader(""), stdout: said, stderr: io.Discard, getenv: func(string) string { return "" }, now: time.Now,
		})
		said.Close()
	}()
	var d demoOutput
	if err := json.NewDecoder(out).Decode(&d); err != nil {
		t.Fatal(err)
	}
	_, status, problem := typed(t, d.Database, "", "provision", "status", d.Directory, d.Application)
	_, settings, _ := typed(t, d.Database, "", "app", "show", d.Directory, d.Application)
	if !d.Done || !strings.Contains(status, "Status          On\n") || !strings.Contains(status, "initial, completed") || !strings.Contains(settings, "Target Object Actions  update\n") {
		t.Errorf("done %v, %s%s%s", d.Done, status, settings, problem)
	}
	_, sso, _ := typed(t, d.Database, "", "site", "sso", "show", d.Site)
	if !strings.Contains(sso, "optional") || !strings.Contains(sso, "https://sts.windows.net/") {
		t.Errorf("single sign-on is not connected:\n%s", sso)
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit %d", code)
	}
}

// TestOnlyTheDemoHasASignInPage requests the routes of the demo's identity provider from a server
// and from a demo. The provider has no passwords, so a server must not have these routes.
func TestOnlyTheDemoHasASignInPage(t *testing.T) {
	t.Parallel()
	c := &command{
		database: filepath.Join(t.TempDir(), "rollcall.db"), publicURL: "http://127.0.0.1:8080",
		process: process{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, getenv: func(string) string { return "" }, now: time.Now},
	}
	s, err := c.openServices(t.Context(), wiring{log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	h, app, err := s.fillDemoCompany(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	company, err := demosignin.New(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8081}, "", s.directories, c.now)
	if err != nil {
		t.Fatal(err)
	}
	// The handler gets the same arguments as in "serve".
	server, _, err := c.handler(t.Context(), s, endpoints{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	get := func(handler http.Handler, path string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.Host, r.RemoteAddr = "127.0.0.1", "127.0.0.1:5000"
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code
	}
	tenant := "/" + string(h.Directory.ID)
	for path, want := range map[string]int{
		tenant + "/saml2": http.StatusBadRequest, // the address has no sign-in request
		tenant + "/federationmetadata/2007-06/federationmetadata.xml?appid=" + app.ID: http.StatusOK,
		"/signin.css":  http.StatusOK,
		"/continue.js": http.StatusOK,
	} {
		if got := get(company.Handler(nil), path); got != want {
			t.Errorf("the demo: %s: got %d, want %d", path, got, want)
		}
		if got := get(server, path); got != http.StatusNotFound {
			t.Errorf("serve: %s: got %d", path, got)
		}
	}
	// No other part of the program may start the provider.
	files, err := filepath.Glob("../../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob("../../*/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var starts []string
	for _, file := range append(files, deeper...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(file, "_test.go") && strings.Contains(string(text), "demosignin.New(") {
			starts = append(starts, file)
		}
	}
	if len(starts) != 1 || starts[0] != filepath.Join("..", "..", "cmd", "rollcall", "demo.go") {
		t.Errorf("it is started in %v", starts)
	}
}
