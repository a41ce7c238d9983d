package apptest_test

import (
	"bytes"
	"fmt"
	"html"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/apptest"
)

// TestACauseThatOneServerHoldsIsApprovedAtTheOther has a server hold what a file would disable, and an operator approve it on a page of
// another server that shares the database.
func TestACauseThatOneServerHoldsIsApprovedAtTheOther(t *testing.T) {
	t.Parallel()
	appEnv := []string{"ROLLCALL_DATABASE=" + filepath.Join(t.TempDir(), "app.db")}
	app := serve(t, appEnv)
	apptest.Run(t, appEnv, "site", "create", "acme", "--profile", "full")
	token := writeFile(t, "token", []byte(apptest.Run(t, appEnv, "token", "create", "acme")))
	active := func(want string) func() bool {
		return func() bool { return strings.Contains(apptest.Run(t, appEnv, "site", "show", "acme"), want) }
	}

	env := sharedPostgres(t)
	holds := serve(t, env)
	people := func(enabled int) string {
		var csv bytes.Buffer
		csv.WriteString("userPrincipalName,displayName,accountEnabled\n")
		for i := range 20 {
			fmt.Fprintf(&csv, "user%02d@contoso.example,User %d,%v\n", i, i, i < enabled)
		}
		return writeFile(t, "users.csv", csv.Bytes())
	}
	apptest.Run(t, env, "directory", "create", "contoso")
	apptest.Run(t, env, "directory", "import", "contoso", people(20))
	apptest.Run(t, env, "app", "create", "contoso", "Acme", "--tenant-url", app.url+"/c/acme/auth/scim/v2",
		"--secret-token-file", token, "--scope", "all", "--actions", "create,update", "--start")
	await(t, time.Minute, "everybody", active("20 active"))
	apptest.Run(t, env, "directory", "import", "contoso", people(8))
	await(t, time.Minute, "the cause on hold", func() bool {
		return strings.Contains(apptest.Run(t, env, "provision", "held", "contoso", "Acme"), "12 operations, of 20 active accounts")
	})

	other := serve(t, env)
	v := newVisitor(t, other.url, "")
	link := regexp.MustCompile(`http://[^/]+(\S+)`).FindStringSubmatch(apptest.Run(t, env, "operator", "link", "sam"))
	v.post(link[1], nil)
	const held = "/d/contoso/applications/Acme/provisioning/held"
	question := regexp.MustCompile(`href="([^"]*/held/decide[^"]*do=approve[^"]*)"`).FindStringSubmatch(v.get(held))
	if question == nil {
		t.Fatalf("no question on the page:\n%s", v.get(held))
	}
	page := v.get(html.UnescapeString(question[1]))
	if !strings.Contains(page, "Approve 12 operations?") || !active("20 active")() {
		t.Errorf("before the decision:\n%s", page)
	}
	v.post(held+"/decide", hidden(page))
	await(t, 90*time.Second, "what was approved", active("8 active"))
	for _, name := range []string{"provisioning.held", "provisioning.approved"} {
		if n := strings.Count(apptest.Run(t, env, "audit", "--directory", "contoso", "--event", name), "Cause: Import of users"); n != 1 {
			t.Errorf("%d events %s, want one", n, name)
		}
	}
	for _, s := range []server{holds, other} {
		if err := s.Stop(20 * time.Second); err != nil {
			t.Errorf("graceful stop: %v\n%s", err, s.Stderr())
		}
	}
}
