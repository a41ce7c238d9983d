package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

const badges = `{"schemas":[{"id":"urn:example:Badge","attributes":[{"name":"number","type":"integer"},{"name":"floor"}]}],
	"extensions":[{"resourceType":"User","schema":"urn:example:Badge"}]}`

// badgedDatabase returns the path of a database with the site acme, where two people have badges.
func badgedDatabase(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rollcall.db")
	db, err := store.Open(t.Context(), file, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	newID := func() string { n++; return fmt.Sprintf("id-%d", n) }
	sites := &site.Sites{Store: store.Sites{DB: db}, Now: time.Now, NewID: newID}
	acme, err := sites.Create(t.Context(), "acme", site.Full, "cli")
	if err != nil {
		t.Fatal(err)
	}
	if acme, err = sites.SetSchemas(t.Context(), acme.ID, []byte(badges), "cli"); err != nil {
		t.Fatal(err)
	}
	r := (&roster.Rosters{Store: store.Rosters{DB: db}, Now: time.Now, NewID: newID}).Open(acme)
	for i := range 2 {
		doc := scim.Resource{"schemas": []any{scim.UserURN}, "userName": fmt.Sprint(i), "urn:example:Badge": map[string]any{"number": int64(i), "floor": "2"}}
		if _, err := r.Create(t.Context(), roster.User, doc, roster.Change{Actor: "cli", Via: roster.ViaSCIM}); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func TestForcedSchemas(t *testing.T) {
	t.Parallel()
	file := badgedDatabase(t)
	command := func(in string, args ...string) (code int, out, said string) {
		t.Helper()
		var stdout, stderr strings.Builder
		code = run(t.Context(), append(args, "--database", file), process{
			stdin: strings.NewReader(in), stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" }, now: time.Now,
		})
		return code, stdout.String(), stderr.String()
	}
	text := strings.Replace(badges, "integer", "string", 1)
	code, _, said := command(text, "site", "schema", "set", "acme", "-")
	want := `urn:example:Badge:number of User changes its type from integer to string, and 2 resources of type User have data under it: remove that data over SCIM first, or leave this part of the document as it is
Nothing was changed.
--force sets the document all the same, and drops for good:
  urn:example:Badge:number of 2 resources of type User
To be able to go back, keep a backup of the database and the document of now: rollcall site schema show acme --document. Without a backup, setting that document again lets the next full cycle of the identity provider (Entra ID: Restart provisioning) bring back what it has.
`
	if diff := cmp.Diff(said, want); diff != "" || code != 1 {
		t.Errorf("exit %d, got - want +\n%s", code, diff)
	}
	if _, now, _ := command("", "site", "schema", "show", "acme", "--document"); strings.TrimSpace(now) != badges {
		t.Errorf("it was changed to %s", now)
	}

	required := strings.Replace(badges, `{"name":"number","type":"integer"}`, `{"name":"number","type":"string","required":true}`, 1)
	for _, flags := range [][]string{nil, {"--force"}} {
		code, _, said = command(required, append([]string{"site", "schema", "set", "acme", "-"}, flags...)...)
		if code != 1 || !strings.Contains(said, "This cannot be forced: 2 resources of type User would break a rule of the new schemas (urn:example:Badge:number is required)") || strings.Contains(said, "all the same") {
			t.Errorf("exit %d, %s", code, said)
		}
	}

	code, out, said := command(text, "site", "schema", "set", "acme", "-", "--force")
	if code != 0 || said != "Dropped: urn:example:Badge:number of 2 resources of type User\n" || !strings.Contains(out, "urn:example:Badge") {
		t.Errorf("exit %d, %s %s", code, out, said)
	}
	code, _, said = command("", "site", "schema", "clear", "acme", "--force")
	if code != 0 || said != "Dropped: everything of the extension urn:example:Badge of 2 resources of type User\n" {
		t.Errorf("exit %d, %s", code, said)
	}
	if code, _, said = command("", "site", "schema", "clear", "acme", "--force"); code != 0 || said != "" {
		t.Errorf("again: exit %d, %s", code, said)
	}
}
