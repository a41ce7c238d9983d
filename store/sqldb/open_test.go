package sqldb_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, url, want string }{
		{"no name", "", "name a file"},
		{"a database in memory", ":memory:", "name a file"},
		{"a folder", t.TempDir(), "is a directory"},
		{"a folder that does not exist", filepath.Join(t.TempDir(), "none", "rollcall.db"), "no such file"},
		{"a server that does not answer", "postgres://kim:geheim@127.0.0.1:1/rollcall?connect_timeout=2", "127.0.0.1"},
		{"a URL that is none", "postgres://kim:geheim@127.0.0.1:port/rollcall", "port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := sqldb.Open(t.Context(), c.url, testSchema, sqldb.Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "geheim") {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

func TestOpenFindsTheFileOfAnyName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"plain.db", "with space.db", "what?.db", "100%.db", "a#b&c=d.db", "é.db"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), name)
			for _, url := range []string{path, "file:" + path, "file://" + path} {
				db, err := sqldb.Open(t.Context(), url, testSchema, sqldb.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if err := db.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			}
			if files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); err != nil || len(files) != 1 || files[0] != path {
				t.Errorf("got files %v (error %v), want %s alone", files, err, path)
			}
		})
	}
}

func TestKind(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"rollcall.db": sqldb.SQLite, "file:rollcall.db": sqldb.SQLite, "/var/postgres.db": sqldb.SQLite,
		"postgres://localhost/rollcall": sqldb.PostgreSQL, "postgresql:///rollcall?host=/run": sqldb.PostgreSQL,
	} {
		if got := sqldb.Kind(url); got != want {
			t.Errorf("%s: got %s, want %s", url, got, want)
		}
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *sqldb.DB) {
		if err := db.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestLibcIsTheVersionThatSQLiteWasTranslatedFor checks the version of modernc.org/libc.
// modernc.org/sqlite is generated for one version of libc, and fails in strange ways with another
// version.
func TestLibcIsTheVersionThatSQLiteWasTranslatedFor(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}} {{.GoMod}}", "modernc.org/libc", "modernc.org/sqlite").Output()
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(out)) // the version of libc, then the version of sqlite
	if len(fields) != 4 {
		t.Fatalf("go list said %q", out)
	}
	mod, err := os.ReadFile(fields[3])
	if err != nil {
		t.Fatal(err)
	}
	if want := "modernc.org/libc " + fields[0] + "\n"; !strings.Contains(string(mod), want) {
		t.Errorf("go.mod has modernc.org/libc %s: take the version named in %s", fields[0], fields[3])
	}
}

func TestSQLiteFileHasOneServer(t *testing.T) {
	t.Parallel()
	url := sqliteURL(t)
	first, second := open(t, url), open(t, url)
	for range 2 {
		if err := first.Serve(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := second.Serve(t.Context()); !errors.Is(err, sqldb.ErrServed) {
		t.Errorf("got error %v, want %v", err, sqldb.ErrServed)
	}
	if err := note(t, second, "x"); err != nil {
		t.Errorf("a command beside the server: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if err := second.Serve(t.Context()); err != nil {
		t.Errorf("after the first has ended: %v", err)
	}
}

func TestPostgresDatabaseHasManyServers(t *testing.T) {
	t.Parallel()
	url := postgresURL(t)
	for range 2 {
		if err := open(t, url).Serve(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
