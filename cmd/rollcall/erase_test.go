package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// TestSiteErase erases a person whose account is deactivated, and then the same person by id.
func TestSiteErase(t *testing.T) {
	t.Parallel()
	f := folder{t, filepath.Join(t.TempDir(), "rollcall.db")}
	f.must("site", "create", "acme")
	people := f.path("people.csv")
	if err := os.WriteFile(people, []byte("userName,displayName,email\nzebulon@acme.example,Zebulon Hagelstrom,zeb@acme.example\nbo@acme.example,Bo Li,bo@acme.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.must("site", "import-people", "acme", people)
	db, err := store.Open(t.Context(), f.database, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Sites{DB: db}.SiteByName(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	acme := (&roster.Rosters{Store: store.Rosters{DB: db}, Now: time.Now, NewID: roster.NewID}).Open(st)
	zeb, err := acme.PersonByUserName(t.Context(), "zebulon@acme.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := acme.Deactivate(t.Context(), zeb.ID, roster.Change{Actor: "cli", Via: roster.ViaAdmin}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	f.must("site", "erase", "acme", "zebulon@acme.example", "--yes")
	stored, err := os.ReadFile(f.database)
	if err != nil {
		t.Fatal(err)
	}
	for word, want := range map[string]bool{"zebulon@": false, "Hagelstrom": false, "zeb@": false, "bo@acme.example": true, "erased person " + zeb.ID: true} {
		if got := bytes.Contains(stored, []byte(word)); got != want {
			t.Errorf("%q is stored: %v, want %v", word, got, want)
		}
	}
	if code, out := f.run("site", "erase", "acme", "zebulon@acme.example", "--yes"); code != 1 {
		t.Errorf("by the name that is gone: exit code %d: %s", code, out)
	}
	f.must("site", "erase", "acme", zeb.ID, "--yes")
}

// TestEraseSomebodyInGroups erases a user who was in a group. Neither the group's events nor its
// members may still name the person.
func TestEraseSomebodyInGroups(t *testing.T) {
	t.Parallel()
	f := folder{t, filepath.Join(t.TempDir(), "rollcall.db")}
	f.must("directory", "create", "contoso")
	f.must("directory", "user", "add", "contoso", "zebulon@contoso.example", "displayName=Zebulon Hagelstrom")
	f.must("directory", "user", "add", "contoso", "bo@contoso.example", "displayName=Bo Li")
	f.must("directory", "group", "create", "contoso", "Sales")
	f.must("directory", "group", "create", "contoso", "Old")
	f.must("app", "create", "contoso", "Acme")
	for _, group := range []string{"Sales", "Old"} {
		f.must("directory", "group", "member", "add", "contoso", group, "zebulon@contoso.example", "bo@contoso.example")
		f.must("app", "assign", "contoso", "Acme", "--group", group)
	}
	f.must("directory", "group", "member", "remove", "contoso", "Old", "zebulon@contoso.example")
	f.must("directory", "user", "delete", "contoso", "zebulon@contoso.example")
	f.must("directory", "user", "erase", "contoso", "zebulon@contoso.example", "--yes")
	stored, err := os.ReadFile(f.database)
	if err != nil {
		t.Fatal(err)
	}
	for word, want := range map[string]bool{"zebulon@": false, "Hagelstrom": false, "bo@contoso.example": true, "was added to group Sales": true} {
		if got := bytes.Contains(stored, []byte(word)); got != want {
			t.Errorf("%q is stored: %v, want %v", word, got, want)
		}
	}
	db, err := store.Open(t.Context(), f.database, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // nothing was written
	var rows int
	if err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(t.Context(), "select count(*) from directory_member").Scan(&rows)
	}); err != nil || rows != 2 {
		t.Errorf("%d memberships are left, %v: want those of Bo", rows, err)
	}
}
