package apptest_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestPostgreSQLWithoutRoom makes PostgreSQL refuse every row with the code of a full disk. Writes
// must get 503, reads must go on, and everything must work again once there is room.
func TestPostgreSQLWithoutRoom(t *testing.T) {
	t.Parallel()
	env := sharedPostgres(t)
	w := newHostileWorld(t, env)
	statements := func(all ...string) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), strings.TrimPrefix(env[0], "ROLLCALL_DATABASE="))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		for _, s := range all {
			if _, err := conn.Exec(t.Context(), s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	tables := []string{"resource", "event", "request_log", "lease"}
	full := []string{"create function no_room() returns trigger language plpgsql as $$ begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$"}
	room := []string{}
	for _, table := range tables {
		full = append(full, "create trigger no_room before insert or update on "+table+" for each statement execute function no_room()")
		room = append(room, "drop trigger no_room on "+table)
	}
	deactivate := w.request("PATCH", "/Users/"+w.ada, "Connection: close\r\n", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`)
	readyz := "GET /readyz HTTP/1.1\r\nHost: acme.test\r\nConnection: close\r\n\r\n"
	check := func(what, request string, want int) got {
		t.Helper()
		answer := w.ask(t, request)[0]
		if answer.status != want {
			t.Errorf("%s: got %d %s, want %d", what, answer.status, answer.body, want)
		}
		return answer
	}
	statements(full...)
	refused := check("a deactivation without room", deactivate, http.StatusServiceUnavailable)
	if refused.header.Get("Retry-After") == "" || !bytes.Contains(refused.body, []byte(`"status":"503"`)) {
		t.Errorf("got %v %s", refused.header, refused.body)
	}
	check("readyz without room", readyz, http.StatusServiceUnavailable)
	read := check("a read without room", w.request("GET", "/Users/"+w.ada, "Connection: close\r\n", ""), http.StatusOK)
	if !bytes.Contains(read.body, []byte(`"active":true`)) {
		t.Errorf("the refused change is there: %s", read.body)
	}
	statements(room...)
	check("readyz with room", readyz, http.StatusOK)
	done := check("a deactivation with room", deactivate, http.StatusOK)
	if !bytes.Contains(done.body, []byte(`"active":false`)) {
		t.Errorf("got %s", done.body)
	}
	if n := strings.Count(w.Stderr(), "the database does not do its work"); n != 1 {
		t.Errorf("the log says %d times that it is down:\n%s", n, w.Stderr())
	}
}
