package main

import (
	"bytes"
	"database/sql"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/store"
)

// folder is a database in its own folder. Its methods run commands on the database.
type folder struct {
	t        *testing.T
	database string
}

func (f folder) path(name string) string { return filepath.Join(filepath.Dir(f.database), name) }

// run runs a command. It returns the exit code and the output of both streams together.
func (f folder) run(args ...string) (int, string) {
	f.t.Helper()
	var out bytes.Buffer
	code := run(f.t.Context(), append([]string{"--database", f.database}, args...), process{
		stdin: strings.NewReader(""), stdout: &out, stderr: &out, getenv: func(string) string { return "" }, now: time.Now,
	})
	return code, out.String()
}

func (f folder) must(args ...string) string {
	f.t.Helper()
	code, out := f.run(args...)
	if code != 0 {
		f.t.Fatalf("rollcall %s: exit code %d: %s", strings.Join(args, " "), code, out)
	}
	return out
}

// listener is an application that records the tokens that it receives.
type listener struct {
	*httptest.Server
	mu    sync.Mutex
	shown []string
}

func newListener(t *testing.T) *listener {
	l := &listener{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		l.shown = append(l.shown, r.Header.Get("Authorization"))
		l.mu.Unlock()
		w.Header().Set("Content-Type", "application/scim+json")
		_, _ = io.WriteString(w, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":0,"Resources":[]}`)
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *listener) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.shown) == 0 {
		return ""
	}
	return l.shown[len(l.shown)-1]
}

// forget drops the recorded tokens, because saving a Tenant URL already sends requests to the
// application.
func (l *listener) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shown = nil
}

// newFolder returns a folder whose database has an application with a Secret Token.
func newFolder(t *testing.T) (folder, *listener) {
	f := folder{t: t, database: filepath.Join(t.TempDir(), "rollcall.db")}
	app := newListener(t)
	token := f.path("token.txt")
	if err := os.WriteFile(token, []byte("STORED-SECRET-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.must("directory", "create", "contoso")
	f.must("app", "create", "contoso", "Acme", "--tenant-url", app.URL+"/scim", "--secret-token-file", token)
	return f, app
}

// sends checks that Test Connection sends the stored token to the application.
func (f folder) sends(app *listener, when string) {
	f.t.Helper()
	f.must("provision", "test", "contoso", "Acme")
	if got := app.last(); got != "Bearer STORED-SECRET-1" {
		f.t.Errorf("%s: the application got %q, want the stored token", when, got)
	}
}

func (f folder) exec(statement string, args ...any) {
	f.t.Helper()
	// The store configures the memory of SQLite, which must happen before another package opens a
	// database.
	first, err := store.Open(f.t.Context(), filepath.Join(f.t.TempDir(), "first.db"), store.Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	defer first.Close()
	db, err := sql.Open("sqlite", f.database)
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(f.t.Context(), statement, args...); err != nil {
		f.t.Fatal(err)
	}
}

func (f folder) file(name string) string {
	f.t.Helper()
	text, err := os.ReadFile(f.path(name))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(text)
}

func TestAMissingKeyIsNeverReplacedWhileItIsNeeded(t *testing.T) {
	t.Parallel()
	f, app := newFolder(t)
	if err := os.Rename(f.path("rollcall.db.key"), f.path("elsewhere")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"site", "list"}, {"directory", "create", "other"}, {"serve", "--listen", "127.0.0.1:0"}} {
		code, out := f.run(args...)
		if code != 1 || !strings.Contains(out, "rollcall.db.key is missing") || !strings.Contains(out, "key reset --discard-sealed") {
			t.Errorf("rollcall %v: got %d %q, want a refusal that says what to do", args, code, out)
		}
	}
	if _, err := os.Stat(f.path("rollcall.db.key")); err == nil {
		t.Error("a new key was made")
	}
	if err := os.Rename(f.path("elsewhere"), f.path("rollcall.db.key")); err != nil {
		t.Fatal(err)
	}
	f.sends(app, "with the key put back")
}

func TestAKeyIsMadeWhereNothingIsSealed(t *testing.T) {
	t.Parallel()
	f := folder{t: t, database: filepath.Join(t.TempDir(), "rollcall.db")}
	f.must("directory", "create", "contoso")
	if err := os.Remove(f.path("rollcall.db.key")); err != nil {
		t.Fatal(err)
	}
	f.must("directory", "create", "other")
	f.file("rollcall.db.key")
}

func TestKeyRotate(t *testing.T) {
	t.Parallel()
	f, app := newFolder(t)
	old := f.file("rollcall.db.key")
	out := f.must("key", "rotate")
	if !strings.Contains(out, "1 credential is sealed with a new key") {
		t.Errorf("got %q", out)
	}
	f.sends(app, "after the rotation")
	both := f.file("rollcall.db.key")
	f.must("key", "rotate", "--finish")
	f.sends(app, "after the old key was removed")
	if info, err := os.Stat(f.path("rollcall.db.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file has mode %v, %v; want 0600", info.Mode(), err)
	}
	// The old key must no longer open the credentials.
	if err := os.WriteFile(f.path("rollcall.db.key"), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := f.run("provision", "test", "contoso", "Acme"); code == 0 {
		t.Errorf("the old key still opens the credential: %s", out)
	}
	if err := os.WriteFile(f.path("rollcall.db.key"), []byte(both), 0o600); err != nil {
		t.Fatal(err)
	}
	f.sends(app, "with both keys")
}

// TestKeyRotateOverSeveralMachines follows the steps in the command's help for several machines. It
// keeps a copy of the key file, as another machine has it.
func TestKeyRotateOverSeveralMachines(t *testing.T) {
	t.Parallel()
	f, app := newFolder(t)
	elsewhere := f.path("elsewhere")
	f.must("key", "rotate", "--prepare")
	f.must("key", "rotate", "--prepare") // a second call must not add another key
	prepared := f.file("rollcall.db.key")
	if n := strings.Count(prepared, `"keyId"`); n != 2 {
		t.Fatalf("got %d keys in the ring, want 2: %s", n, prepared)
	}
	if err := os.WriteFile(elsewhere, []byte(prepared), 0o600); err != nil {
		t.Fatal(err)
	}
	f.sends(app, "with a prepared key")
	f.must("key", "rotate")
	f.must("--key-file", elsewhere, "provision", "test", "contoso", "Acme")
	if got := app.last(); got != "Bearer STORED-SECRET-1" {
		t.Errorf("the other machine shows %q", got)
	}
	// The other machine saves a token with the key that was the newest when it got its file.
	f.must("--key-file", elsewhere, "app", "set", "contoso", "Acme", "--secret-token-file", f.path("token.txt"))
	f.must("key", "rotate", "--finish")
	f.sends(app, "after everything is finished")
}

func TestKeyReset(t *testing.T) {
	t.Parallel()
	f, app := newFolder(t)
	if code, out := f.run("key", "reset"); code != 2 || !strings.Contains(out, "--discard-sealed") {
		t.Errorf("without the flag: got %d %q", code, out)
	}
	if code, out := f.run("key", "reset", "--discard-sealed"); code != 1 || !strings.Contains(out, "is not lost") {
		t.Errorf("with a good key: got %d %q", code, out)
	}
	f.sends(app, "after refused resets")
	if err := os.Remove(f.path("rollcall.db.key")); err != nil {
		t.Fatal(err)
	}
	out := f.must("key", "reset", "--discard-sealed")
	if !strings.Contains(out, "Enter the Secret Token of contoso/Acme again") {
		t.Errorf("got %q", out)
	}
	f.must("provision", "test", "contoso", "Acme")
	if got := app.last(); got != "" {
		t.Errorf("the application got %q, want no token", got)
	}
	f.must("app", "set", "contoso", "Acme", "--secret-token-file", f.path("token.txt"))
	f.sends(app, "after the token was entered again")
}

func TestKeyResetKeepsTheFileItReplaces(t *testing.T) {
	t.Parallel()
	f, _ := newFolder(t)
	if err := os.WriteFile(f.path("rollcall.db.key"), []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.must("key", "reset", "--discard-sealed")
	if got := f.file("rollcall.db.key.replaced"); got != "not a key" {
		t.Errorf("got %q", got)
	}
}

// TestASecretTokenIsNotSentWhereTheDatabaseSaysSo changes the Tenant URL directly in the database.
func TestASecretTokenIsNotSentWhereTheDatabaseSaysSo(t *testing.T) {
	t.Parallel()
	f, app := newFolder(t)
	thief := newListener(t)
	f.exec("update job set tenant_url = ?", thief.URL+"/stolen")
	code, out := f.run("provision", "test", "contoso", "Acme")
	if code == 0 || !strings.Contains(out, "cannot be opened") {
		t.Errorf("got %d %q, want a refusal", code, out)
	}
	if got := thief.last(); got != "" {
		t.Errorf("the other address got %q", got)
	}
	f.exec("update job set tenant_url = ?", app.URL+"/scim?aadOptscim062020")
	f.sends(app, "at the same origin")
}

func TestADatabaseOfOthersBecomesPrivate(t *testing.T) {
	t.Parallel()
	f, _ := newFolder(t)
	if err := os.Chmod(f.database, 0o644); err != nil {
		t.Fatal(err)
	}
	if out := f.must("directory", "list"); !strings.Contains(out, "could be read by others") {
		t.Errorf("got %q, want a word about it", out)
	}
	if info, err := os.Stat(f.database); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, %v; want 0600", info.Mode(), err)
	}
	if out := f.must("directory", "list"); strings.Contains(out, "could be read by others") {
		t.Errorf("said again: %q", out)
	}
}

func TestALinkToADatabaseIsTheDatabase(t *testing.T) {
	t.Parallel()
	f, app := newFolder(t)
	link := folder{t: t, database: filepath.Join(t.TempDir(), "link.db")}
	if err := os.Symlink(f.database, link.database); err != nil {
		t.Fatal(err)
	}
	link.sends(app, "through a link")
	if files, err := filepath.Glob(link.database + ".*"); err != nil || len(files) > 0 {
		t.Errorf("got %v beside the link, %v", files, err)
	}
	if err := os.Link(f.database, f.path("second.db")); err != nil {
		t.Fatal(err)
	}
	if code, out := f.run("serve", "--listen", "127.0.0.1:0"); code != 1 || !strings.Contains(out, "hard link") {
		t.Errorf("got %d %q, want a refusal", code, out)
	}
}

func TestATLSKeyThatEverybodyCanReadIsRefused(t *testing.T) {
	t.Parallel()
	f := folder{t: t, database: filepath.Join(t.TempDir(), "rollcall.db")}
	key := f.path("tls.key")
	if err := os.WriteFile(key, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	code, out := f.run("serve", "--listen", "127.0.0.1:0", "--tls-cert", key, "--tls-key", key)
	if code != 1 || !strings.Contains(out, "chmod 600") {
		t.Errorf("got %d %q, want a refusal", code, out)
	}
}

func TestLoopbackIsOpenWhereTheInstallationIsLocal(t *testing.T) {
	t.Parallel()
	f, app := newFolder(t)
	app.forget()
	public := []string{"--public-url", "https://people.example.com"}
	code, out := f.run(append(public, "provision", "test", "contoso", "Acme")...)
	if code != 1 || !strings.Contains(out, "--allow-loopback-targets") || app.last() != "" {
		t.Errorf("got %d %q, and the application got %q; want a refusal that names the flag", code, out, app.last())
	}
	f.must(append(public, "--allow-loopback-targets", "provision", "test", "contoso", "Acme")...)
	f.must("--public-url", "http://localhost:9999", "provision", "test", "contoso", "Acme")
}

// TestEveryLandedSchemaOpens migrates databases of earlier versions. Their data must still be
// there, the stored token must be sent, and the token must then be bound to its origin.
func TestEveryLandedSchemaOpens(t *testing.T) {
	t.Parallel()
	fixtures, err := filepath.Glob("testdata/databases/*.sql")
	if err != nil || len(fixtures) == 0 {
		t.Fatalf("got %v, %v", fixtures, err)
	}
	for _, fixture := range fixtures {
		t.Run(filepath.Base(fixture), func(t *testing.T) {
			t.Parallel()
			f := folder{t: t, database: filepath.Join(t.TempDir(), "rollcall.db")}
			text, err := os.ReadFile(fixture)
			if err != nil {
				t.Fatal(err)
			}
			key, err := os.ReadFile(strings.TrimSuffix(fixture, ".sql") + ".key")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(f.path("rollcall.db.key"), key, 0o600); err != nil {
				t.Fatal(err)
			}
			app, thief := newListener(t), newListener(t)
			f.exec(string(text))
			if err := os.Chmod(f.database, 0o600); err != nil {
				t.Fatal(err)
			}
			f.exec("update job set tenant_url = ?", app.URL+"/scim")
			if out := f.must("directory", "export", "contoso"); !strings.Contains(out, "bob@contoso.example") {
				t.Errorf("the export holds %q", out)
			}
			if out := f.must("site", "show", "acme"); !strings.Contains(out, "acme") {
				t.Errorf("the site is %q", out)
			}
			f.sends(app, "after the upgrade")
			f.exec("update job set tenant_url = ?", thief.URL+"/scim")
			if code, _ := f.run("provision", "test", "contoso", "Acme"); code == 0 || thief.last() != "" {
				t.Errorf("the token of an older database went to another address: %q", thief.last())
			}
		})
	}
}
