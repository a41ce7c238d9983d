package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPruneRemovesWhatItCounted runs the command with a clock that is eight years later.
func TestPruneRemovesWhatItCounted(t *testing.T) {
	t.Parallel()
	f := folder{t, filepath.Join(t.TempDir(), "rollcall.db")}
	f.must("site", "create", "acme")
	f.must("site", "set", "acme", "--strict")
	later := func(args ...string) (counts struct{ Events int }) {
		t.Helper()
		var out bytes.Buffer
		code := run(t.Context(), append([]string{"--database", f.database, "--json"}, args...), process{
			stdin: strings.NewReader(""), stdout: &out, stderr: &out, getenv: func(string) string { return "" },
			now: func() time.Time { return time.Now().AddDate(8, 0, 0) },
		})
		if code != 0 {
			t.Fatalf("%v: %s", args, out.String())
		}
		if err := json.Unmarshal(out.Bytes(), &counts); err != nil {
			t.Fatalf("%v: %s", err, out.String())
		}
		return counts
	}
	counted := later("prune", "--dry-run")
	if removed := later("prune"); counted.Events < 2 || removed != counted {
		t.Errorf("counted %+v, removed %+v", counted, removed)
	}
	if left := later("prune", "--dry-run"); left.Events != 0 {
		t.Errorf("left %+v", left)
	}
}

// TestSiteDeleteRemovesTheRowsItself deletes a site while no server runs.
func TestSiteDeleteRemovesTheRowsItself(t *testing.T) {
	t.Parallel()
	f := folder{t, filepath.Join(t.TempDir(), "rollcall.db")}
	f.must("site", "create", "acme", "--admin", "kim@acme.example")
	f.must("site", "delete", "acme", "--yes")
	f.must("site", "create", "acme") // the name can be used again
	db, err := sql.Open("sqlite", f.database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, query := range []string{"select count(*) from site where deleted > 0", "select count(*) from removal", "select count(*) from resource", "select count(*) from signin_link where site not in (select id from site)"} {
		var n int
		if err := db.QueryRow(query).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: got %d, %v", query, n, err)
		}
	}
}
