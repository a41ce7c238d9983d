package sqldb_test

import (
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"rollcall.db": "rollcall.db", "/var/lib/a b/rollcall.db": "/var/lib/a b/rollcall.db", "file:///x.db": "file:///x.db", "./a:b.db": "./a:b.db", `C:\data\x.db`: `C:\data\x.db`,
		"postgres://u:p@h/x": "postgres://u:p@h/x", "Postgres://u:P@h/x": "postgres://u:P@h/x", "POSTGRESQL://h/X": "postgresql://h/X",
	} {
		if got, err := sqldb.ParseURL(text); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
	if got, err := sqldb.ParseURL("Postgres://h/x"); err != nil || sqldb.Kind(got) != sqldb.PostgreSQL {
		t.Errorf("got %q, %v", got, err)
	}
	for _, text := range []string{
		"mysql://u:hush@h/x", "postgresql+x://u:hush@h/x", "postgres:u:hush@h", "MSSQL://u:hush@h", "sqlite://hush", "jdbc:postgresql://u:hush@h", "host=h password=hush", "PASSWORD = hush",
	} {
		if got, err := sqldb.ParseURL(text); err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "postgres://user:password@host/name") {
			t.Errorf("%s: got %q, %v", text, got, err)
		}
	}
}
