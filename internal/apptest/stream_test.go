package apptest_test

import (
	"bufio"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/apptest"
)

// TestAnOpenStreamDoesNotHoldUpTheStop stops a server while a page follows a job. The server does
// not wait until the time for running requests is over.
func TestAnOpenStreamDoesNotHoldUpTheStop(t *testing.T) {
	t.Parallel()
	env := []string{"ROLLCALL_DATABASE=" + filepath.Join(t.TempDir(), "rollcall.db"), "TZ=UTC"}
	s := serve(t, env)
	apptest.Run(t, env, "directory", "create", "contoso")
	apptest.Run(t, env, "app", "create", "contoso", "Acme", "--tenant-url", s.url+"/c/none/auth/scim/v2", "--secret-token-file", writeFile(t, "token", []byte("secret")))
	apptest.Run(t, env, "provision", "start", "contoso", "Acme")
	v := newVisitor(t, s.url, "")
	v.post(regexp.MustCompile(`http\S+`).FindString(apptest.Run(t, env, "operator", "link", "kim", "--public-url", s.url)), url.Values{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/d/contoso/applications/Acme/provisioning/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := v.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	if !lines.Scan() || lines.Text() != "event: parts" {
		t.Fatalf("the stream begins with %q, status %d, %v", lines.Text(), answer.StatusCode, lines.Err())
	}
	if err := s.Stop(time.Minute); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream was cut off: %v", err)
	}
	if log := s.Stderr(); strings.Contains(log, "were cut off") {
		t.Errorf("the server waited for the stream:\n%s", log)
	}
}
