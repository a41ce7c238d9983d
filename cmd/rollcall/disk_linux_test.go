package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestADiskWithoutRoom limits the size of a server's files. A write that does not fit must get 503,
// and acknowledged writes must stay. When there is room again, everything must work.
func TestADiskWithoutRoom(t *testing.T) {
	t.Parallel()
	f, _ := newFolder(t)
	f.must("site", "create", "acme", "--profile", "full")
	token := strings.TrimSpace(strings.Split(f.must("token", "create", "acme"), "\n")[0])
	w := serveWatched(t, f)
	limit := func(bytes string) {
		t.Helper()
		if out, err := exec.Command("prlimit", "--pid", strconv.Itoa(w.pid), "--fsize="+bytes+":unlimited").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	send := func(method, path, body string) (int, http.Header, []byte) {
		t.Helper()
		r, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/scim+json")
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header, text
	}
	const users = "/c/acme/auth/scim/v2/Users"
	add := func(n int) (status int, id string) {
		status, _, text := send("POST", users, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"u%d","active":true,"title":"%s"}`, n, strings.Repeat("x", 50_000)))
		var made struct{ ID string }
		if status == http.StatusCreated {
			if err := json.Unmarshal(text, &made); err != nil {
				t.Fatal(err)
			}
		}
		return status, made.ID
	}
	readyz := func() int {
		status, _, _ := send("GET", "/readyz", "")
		return status
	}
	_, ada := add(0)
	acknowledged := []string{ada}
	limit("2000000")
	status := http.StatusCreated
	for n := 1; status == http.StatusCreated && n < 200; n++ {
		var id string
		if status, id = add(n); status == http.StatusCreated {
			acknowledged = append(acknowledged, id)
		}
	}
	if status != http.StatusServiceUnavailable {
		t.Fatalf("the disk is full: got %d after %d users", status, len(acknowledged))
	}
	deactivate := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`
	// A smaller write may still fit. With this limit, nothing can be written.
	limit("0")
	status, header, text := send("PATCH", users+"/"+ada, deactivate)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || !bytes.Contains(text, []byte(`"503"`)) {
		t.Errorf("deactivation: got %d, Retry-After %q, %s", status, header.Get("Retry-After"), text)
	}
	if got := readyz(); got != http.StatusServiceUnavailable {
		t.Errorf("readyz: got %d", got)
	}
	if status, _, text = send("GET", users+"/"+ada, ""); status != http.StatusOK || !bytes.Contains(text, []byte(`"active":true`)) {
		t.Errorf("a read: got %d", status)
	}
	limit("unlimited")
	if got := readyz(); got != http.StatusOK {
		t.Errorf("readyz with room: got %d", got)
	}
	if status, _, _ = send("PATCH", users+"/"+ada, deactivate); status != http.StatusOK {
		t.Errorf("deactivation with room: got %d", status)
	}
	for _, id := range acknowledged {
		if status, _, _ = send("GET", users+"/"+id, ""); status != http.StatusOK {
			t.Errorf("%s was acknowledged: got %d", id, status)
		}
	}
	log := w.log()
	if down := strings.Count(log, "does not do its work"); down != 1 {
		t.Errorf("the log says %d times that it is down:\n%s", down, log)
	}
}
