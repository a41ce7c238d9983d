package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

func sendSignal(t *testing.T, w watched, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(w.pid, s); err != nil {
		t.Fatal(err)
	}
}

// overwrite replaces the content of a file without replacing the file, as cp does.
func overwrite(t *testing.T, to, from string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

var stampedFile = regexp.MustCompile(`(?m) ([0-9a-f]{8}) ([0-9a-f]{8}) [0-9a-f]{8} [0-9a-f]{8}$`)

// writeUntilStamped creates users until the server has stamped its file.
func writeUntilStamped(t *testing.T, w watched, f folder, token string) {
	t.Helper()
	for n := 0; ; n++ {
		if status := w.send("POST", "/c/acme/auth/scim/v2/Users", token, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"u%d-%d"}`, w.pid, n)); status != http.StatusCreated {
			t.Fatalf("create: got %d", status)
		}
		text, err := os.ReadFile(f.path("rollcall.db-stamp"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for _, m := range stampedFile.FindAllSubmatch(text, -1) {
			if n > 20 && string(m[1]) == string(m[2]) {
				return
			}
		}
	}
}

// TestACopyPutOverADatabase copies an older database over the file of a killed server, and then
// over the file of a running server.
func TestACopyPutOverADatabase(t *testing.T) {
	t.Parallel()
	f, _ := newFolder(t)
	f.must("site", "create", "acme", "--profile", "full")
	token := strings.TrimSpace(strings.Split(f.must("token", "create", "acme"), "\n")[0])
	copied := f.path("copy.db")
	f.must("backup", copied)

	w := serveWatched(t, f)
	writeUntilStamped(t, w, f, token)
	sendSignal(t, w, syscall.SIGKILL)
	w.wait()
	f.must("site", "list") // the file was not overwritten yet, so it opens

	w = serveWatched(t, f)
	writeUntilStamped(t, w, f, token)
	sendSignal(t, w, syscall.SIGKILL)
	w.wait()
	overwrite(t, f.database, copied)
	for _, command := range [][]string{{"site", "list"}, {"serve", "--listen", "127.0.0.1:0"}, {"backup", f.path("other.db")}} {
		if code, out := f.run(command...); code == 0 || !strings.Contains(out, "rollcall.db-wal holds changes of the database that was there before. Nothing was changed") {
			t.Errorf("%v: got %d: %s", command, code, out)
		}
	}
	f.must("restore", copied, "--yes")
	f.must("site", "show", "acme")
	// Make another copy, because the -wal may begin with pages that fit the restored copy.
	again := f.path("again.db")
	f.must("backup", again)

	w = serveWatched(t, f)
	writeUntilStamped(t, w, f, token)
	overwrite(t, f.database, again)
	if status := w.send("GET", "/readyz", "", ""); status != http.StatusServiceUnavailable {
		t.Errorf("readyz: got %d", status)
	}
	for _, method := range []string{"POST", "GET"} {
		if status := w.send(method, "/c/acme/auth/scim/v2/Users", token, `{"userName":"late"}`); status != http.StatusServiceUnavailable {
			t.Errorf("%s: got %d", method, status)
		}
	}
	sendSignal(t, w, syscall.SIGTERM)
	if code := w.wait(); code != 1 || !strings.Contains(w.log(), "another program has overwritten the database file") {
		t.Errorf("exit code %d: %s", code, w.log())
	}
	if code, out := f.run("site", "list"); code == 0 || !strings.Contains(out, "Nothing was changed") {
		t.Errorf("after it has ended: got %d: %s", code, out)
	}
}

// TestAnUploadThatNeverEndsDoesNotHoldTheServer stops a server while a request waits for the rest
// of its body.
func TestAnUploadThatNeverEndsDoesNotHoldTheServer(t *testing.T) {
	t.Parallel()
	f, _ := newFolder(t)
	f.must("site", "create", "acme", "--profile", "full")
	token := strings.TrimSpace(strings.Split(f.must("token", "create", "acme"), "\n")[0])
	w := serveWatched(t, f)
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The server answers "100 Continue" when it wants to read the body. So the test knows that the
	// server has the request.
	fmt.Fprintf(conn, "POST /c/acme/auth/scim/v2/Users HTTP/1.1\r\nHost: acme\r\nAuthorization: Bearer %s\r\nContent-Type: application/scim+json\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n", token)
	answer := make([]byte, 64)
	if n, err := conn.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 100") {
		t.Fatalf("got %q, %v", answer[:n], err)
	}
	fmt.Fprint(conn, `{"userName":"ada"`)
	sendSignal(t, w, syscall.SIGTERM)
	if code := w.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	log := w.log()
	for _, want := range []string{`level=WARN msg="requests that did not end in time were cut off"`, "msg=stopped"} {
		if strings.Count(log, want) != 1 {
			t.Errorf("the log does not say %s once:\n%s", want, log)
		}
	}
	if out := f.must("site", "show", "acme"); strings.Contains(out, "2 active") {
		t.Errorf("half a request made a user: %s", out)
	}
}
