package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
)

// TestProvisionRunSaysWithItsExitCodeWhatIsLeft runs cycles with one person at an application that
// accepts no account, for three different reasons, and one cycle with too little time.
func TestProvisionRunSaysWithItsExitCodeWhatIsLeft(t *testing.T) {
	t.Parallel()
	var create atomic.Pointer[http.HandlerFunc]
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/scim+json")
		if r.Method == http.MethodPost {
			(*create.Load())(w, r)
			return
		}
		_, _ = io.WriteString(w, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":0,"Resources":[]}`)
	}))
	t.Cleanup(app.Close)
	answer := func(status int, header, value, body string) {
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(header, value)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
		create.Store(&h)
	}
	f := folder{t, t.TempDir() + "/rollcall.db"}
	for name, text := range map[string]string{"users.csv": "userPrincipalName,displayName\nada@contoso.example,Ada\n", "token.txt": "secret"} {
		if err := os.WriteFile(f.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.must("directory", "create", "contoso")
	f.must("directory", "import", "contoso", f.path("users.csv"))
	f.must("app", "create", "contoso", "Acme", "--tenant-url", app.URL+"/scim/v2", "--secret-token-file", f.path("token.txt"), "--scope", "all")
	expect := func(want int, words string, args ...string) {
		t.Helper()
		code, out := f.run(append([]string{"provision", "run", "contoso", "Acme"}, args...)...)
		if code != want || !strings.Contains(out, words) {
			t.Errorf("exit code %d, want %d, with %q in:\n%s", code, want, words, out)
		}
	}
	answer(http.StatusTooManyRequests, "Retry-After", "6", `{"detail":"Slowly."}`)
	expect(3, "stopped after 500ms; what is left stays on the work list", "--timeout", "500ms")
	answer(http.StatusTooManyRequests, "Retry-After", "3600", `{"detail":"There are no seats left."}`)
	f.must("provision", "restart", "contoso", "Acme") // the restart forgets the short pause
	expect(3, "1 waiting")
	f.must("provision", "restart", "contoso", "Acme")
	answer(http.StatusBadRequest, "X-None", "", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"400","detail":"No."}`)
	expect(1, "1 failed")
	answer(http.StatusCreated, "X-None", "", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"1","userName":%q,"active":true}`, "ada@contoso.example"))
	expect(0, "1 created")
}

// TestACancelledDiscoveryLeavesRoomForAnother starts a discovery that no server works on, cancels
// it, and starts another discovery.
func TestACancelledDiscoveryLeavesRoomForAnother(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/scim+json")
		_, _ = io.WriteString(w, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":0,"Resources":[]}`)
	}))
	t.Cleanup(app.Close)
	f := folder{t, t.TempDir() + "/rollcall.db"}
	if err := os.WriteFile(f.path("token.txt"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.must("directory", "create", "contoso")
	f.must("app", "create", "contoso", "Acme", "--tenant-url", app.URL+"/scim/v2", "--secret-token-file", f.path("token.txt"))
	f.must("provision", "discover", "contoso", "Acme")
	if code, out := f.run("provision", "discover", "contoso", "Acme"); code == 0 || !strings.Contains(out, "is running already") {
		t.Errorf("a second discovery: exit code %d:\n%s", code, out)
	}
	f.must("provision", "discover", "contoso", "Acme", "--cancel")
	f.must("provision", "discover", "contoso", "Acme")
}
