package apptest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/apptest"
	"github.com/rollcall-scim/rollcall/internal/storetest"
)

// server is a `rollcall serve` with its address.
type server struct {
	*apptest.Process
	url string
}

func serve(t *testing.T, env []string, args ...string) server {
	t.Helper()
	p := apptest.Start(t, env, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	line := p.Await(t, "msg=serving")
	m := regexp.MustCompile(`public_url=(\S+)`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("no address in %q", line)
	}
	return server{p, m[1]}
}

// ask sends one SCIM request and returns the status.
func ask(t *testing.T, url, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/Users?count=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// sharedPostgres returns an environment for processes that share one new database.
func sharedPostgres(t *testing.T) []string {
	t.Helper()
	url := storetest.PostgresURL(t)
	key := filepath.Join(t.TempDir(), "key")
	env := []string{"ROLLCALL_DATABASE=" + url, "ROLLCALL_KEY_FILE=" + key}
	apptest.Run(t, env, "key", "create", key)
	return env
}

func TestATokenRevokedAnywhereIsRefusedEverywhereByTheNextRequest(t *testing.T) {
	t.Parallel()
	env := sharedPostgres(t)
	a, b := serve(t, env), serve(t, env)
	apptest.Run(t, env, "site", "create", "acme")
	token := strings.TrimSpace(apptest.Run(t, env, "token", "create", "acme"))
	for _, s := range []server{a, b} {
		if got := ask(t, s.url+"/c/acme/auth/scim/v2", token); got != http.StatusOK {
			t.Fatalf("live token: got %d, want 200", got)
		}
	}
	// The command line is a process of its own.
	apptest.Run(t, env, "token", "revoke", "acme", token[len(token)-4:])
	for _, s := range []server{a, b} {
		if got := ask(t, s.url+"/c/acme/auth/scim/v2", token); got != http.StatusUnauthorized {
			t.Errorf("revoked token: got %d, want 401", got)
		}
	}
	token = strings.TrimSpace(apptest.Run(t, env, "token", "create", "acme"))
	apptest.Run(t, env, "site", "set", "acme", "--enable-scim=false")
	for _, s := range []server{a, b} {
		if got := ask(t, s.url+"/c/acme/auth/scim/v2", token); got != http.StatusForbidden {
			t.Errorf("SCIM off: got %d, want 403", got)
		}
	}
	for _, s := range []server{a, b} {
		if err := s.Stop(20 * time.Second); err != nil {
			t.Errorf("graceful stop: %v\n%s", err, s.Stderr())
		}
	}
}

// TestTwoServersOnOneDatabaseShareTheWork kills the server that works on a job in the middle of a
// cycle. The other server must finish the cycle within 90 seconds.
func TestTwoServersOnOneDatabaseShareTheWork(t *testing.T) {
	t.Parallel()
	const people = 8000

	// The application is a Rollcall site in an installation of its own.
	appEnv := []string{"ROLLCALL_DATABASE=" + filepath.Join(t.TempDir(), "app.db")}
	app := serve(t, appEnv)
	apptest.Run(t, appEnv, "site", "create", "acme", "--profile", "full")
	token := writeFile(t, "token", []byte(apptest.Run(t, appEnv, "token", "create", "acme")))

	env := sharedPostgres(t)
	// Creates that the killed server had under way are looked for three times before they are sent again.
	servers := []server{serve(t, env, "--create-settle", "1s"), serve(t, env, "--create-settle", "1s")}
	var csv bytes.Buffer
	csv.WriteString("userPrincipalName,displayName,givenName,surname\n")
	for i := range people {
		fmt.Fprintf(&csv, "user%d@contoso.example,User %d,User,%d\n", i, i, i)
	}
	apptest.Run(t, env, "directory", "create", "contoso")
	apptest.Run(t, env, "directory", "import", "contoso", writeFile(t, "users.csv", csv.Bytes()))
	apptest.Run(t, env, "app", "create", "contoso", "Acme", "--tenant-url", app.url+"/c/acme/auth/scim/v2",
		"--secret-token-file", token, "--scope", "all", "--actions", "create,update", "--start")

	created := func() int {
		var site struct {
			Active int `json:"activePeople"`
		}
		if err := json.Unmarshal([]byte(apptest.Run(t, appEnv, "site", "show", "acme", "--json")), &site); err != nil {
			t.Fatal(err)
		}
		return site.Active
	}
	await(t, 60*time.Second, "a tenth of the people", func() bool { return created() >= people/10 })

	owner := ownerOf(t, env)
	var survivor server
	killed := false
	for _, s := range servers {
		if s.PID() == owner {
			s.Kill()
			killed = true
			continue
		}
		survivor = s
	}
	if !killed {
		t.Fatalf("the job is worked on by process %d, which is neither of the two servers", owner)
	}
	if n := created(); n >= people {
		t.Fatalf("all %d people were there before the kill: too few of them to show anything", n)
	}
	await(t, 90*time.Second, "everybody, by the other server", func() bool { return created() == people })
	if err := survivor.Stop(30 * time.Second); err != nil {
		t.Errorf("graceful stop: %v\n%s", err, survivor.Stderr())
	}
}

// ownerOf finds out which server works on the job, as an operator would: starting a cycle by hand
// is refused with the owner's name, after it waited for the job for a moment. Between two slices of
// its work a server gives the job up; a cycle by hand that begins then is ended and tried again.
func ownerOf(t *testing.T, env []string) int {
	t.Helper()
	var m []string
	for range 5 {
		_, stderr, err := apptest.Try(t, env, "provision", "run", "contoso", "Acme", "--timeout", "5s")
		if err == nil {
			t.Fatal("the cycle had ended before a server could be killed")
		}
		if m = regexp.MustCompile(`/(\d+)/`).FindStringSubmatch(stderr); m != nil {
			break
		}
	}
	if m == nil {
		t.Fatal("no refusal named the owner")
	}
	pid, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func await(t *testing.T, patience time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s in vain", patience, what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// TestServersFillWhatTheCommandLineDeclares declares attributes searchable while no server runs,
// kills the first server that indexes them, and lets others finish the index, on both databases.
func TestServersFillWhatTheCommandLineDeclares(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{
		"sqlite":   {"ROLLCALL_DATABASE=" + filepath.Join(t.TempDir(), "rollcall.db")},
		"postgres": sharedPostgres(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const people = 8000
			var csv bytes.Buffer
			csv.WriteString("userName,displayName,givenName,familyName,email,userIdentifier,role\n")
			for i := range people {
				fmt.Fprintf(&csv, "user%d@acme.example,,Given %d,,,,\n", i, i)
			}
			apptest.Run(t, env, "site", "create", "acme", "--profile", "full")
			apptest.Run(t, env, "site", "import-people", "acme", writeFile(t, "people.csv", csv.Bytes()))
			token := strings.TrimSpace(apptest.Run(t, env, "token", "create", "acme"))
			apptest.Run(t, env, "site", "searchable", "add", "acme", "User", "name.givenName", "title")

			serve(t, env).Kill() // at any point of the work
			servers := []server{serve(t, env)}
			if name == "postgres" {
				servers = append(servers, serve(t, env))
			}
			await(t, 90*time.Second, "the index", func() bool { return complete(t, env) == 2 })
			apptest.Run(t, env, "site", "searchable", "add", "acme", "User", "nickName")
			await(t, 90*time.Second, "the index of what is declared meanwhile", func() bool { return complete(t, env) == 3 })
			for _, s := range servers {
				if got := total(t, s.url+"/c/acme/auth/scim/v2", token, `name.givenName eq "given 2999"`); got != 1 {
					t.Errorf("found %d people, want 1", got)
				}
			}
			apptest.Run(t, env, "site", "searchable", "remove", "acme", "User", "name.givenName")
			for _, s := range servers {
				if got := total(t, s.url+"/c/acme/auth/scim/v2", token, `name.givenName sw "given 299"`); got != 11 {
					t.Errorf("found %d people, want 11", got)
				}
				if err := s.Stop(20 * time.Second); err != nil {
					t.Errorf("graceful stop: %v\n%s", err, s.Stderr())
				}
			}
		})
	}
}

// complete returns how many attributes of acme have a complete index.
func complete(t *testing.T, env []string) (n int) {
	t.Helper()
	var out struct {
		Searchable []struct {
			Complete bool `json:"complete"`
		} `json:"searchable"`
	}
	if err := json.Unmarshal([]byte(apptest.Run(t, env, "site", "searchable", "show", "acme", "--json")), &out); err != nil {
		t.Fatal(err)
	}
	for _, s := range out.Searchable {
		if s.Complete {
			n++
		}
	}
	return n
}

// total returns how many people a filter finds over SCIM.
func total(t *testing.T, base, token, filter string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/Users?count=0&filter="+url.QueryEscape(filter), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var list struct {
		TotalResults int `json:"totalResults"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", filter, resp.StatusCode, err)
	}
	return list.TotalResults
}
