package apptest_test

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestAServerWithoutFilesWaits opens more connections than the server may have files. The server
// must wait, and answer all requests once some connections have closed.
func TestAServerWithoutFilesWaits(t *testing.T) {
	t.Parallel()
	w := newHostileWorld(t, []string{"ROLLCALL_DATABASE=" + filepath.Join(t.TempDir(), "r.db")})
	if out, err := exec.Command("prlimit", "--pid", strconv.Itoa(w.PID()), "--nofile=64:64").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var idle []net.Conn
	for len(idle) < 2000 && !strings.Contains(w.Stderr(), "too many open files") {
		conn, err := net.Dial("tcp", w.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		idle = append(idle, conn)
	}
	if !strings.Contains(w.Stderr(), "too many open files") {
		t.Fatalf("the server has files for %d connections", len(idle))
	}
	const clients = 8
	statuses := make(chan int, clients)
	for n := range clients {
		go func() {
			r, err := http.NewRequest("POST", w.url+w.base+"/Users", strings.NewReader(fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"waited%d"}`, n)))
			if err != nil {
				t.Error(err)
				statuses <- 0
				return
			}
			r.Header.Set("Authorization", "Bearer "+w.token)
			r.Header.Set("Content-Type", "application/scim+json")
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Error(err)
				statuses <- 0
				return
			}
			resp.Body.Close()
			statuses <- resp.StatusCode
		}()
	}
	for _, conn := range idle {
		conn.Close()
	}
	for range clients {
		if status := <-statuses; status != http.StatusCreated {
			t.Errorf("a request that waited: got %d", status)
		}
	}
	answer := w.ask(t, w.request("GET", "/Users?filter=userName%20sw%20%22waited%22", "Connection: close\r\n", ""))[0]
	if !strings.Contains(string(answer.body), fmt.Sprintf(`"totalResults":%d`, clients)) {
		t.Errorf("got %.300s", answer.body)
	}
}
