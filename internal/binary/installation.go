package binary

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx" with database/sql
	_ "modernc.org/sqlite"             // registers the driver "sqlite" with database/sql

	"github.com/rollcall-scim/rollcall/internal/pgserver"
)

// readyLimit is how long a server may take to become ready.
const readyLimit = time.Minute

// Options say which binary and which database to run.
type Options struct {
	Binary   string // the path of the binary
	Postgres bool   // whether to use PostgreSQL instead of SQLite
	Database string // the URL of an empty PostgreSQL database; if empty, the installation starts its own server
}

// Installation is a database and its Rollcall server.
type Installation struct {
	Dir      string // the folder with all files of the installation; removed by Close
	Database string // the path of the SQLite file, or the URL of the PostgreSQL database
	Addr     string // the address of the server, as host:port

	binary string           // the path of the rollcall binary
	pg     *pgserver.Server // the PostgreSQL server that the installation started; nil if it started none
	server *Process         // the Rollcall server; nil if it is not running
	client *http.Client     // sends the requests of Get and Send
}

// New creates the database. It starts no Rollcall server.
func New(ctx context.Context, o Options) (in *Installation, err error) {
	in = &Installation{
		binary: o.Binary, Database: o.Database,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 500, MaxIdleConns: 1000}, Timeout: time.Minute},
	}
	if in.Dir, err = os.MkdirTemp("", "rollcall-installation-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, in.Close())
		}
	}()
	switch {
	case o.Database != "":
	case o.Postgres:
		err = in.startPostgres(ctx)
	default:
		in.Database = filepath.Join(in.Dir, "rollcall.db")
	}
	if err != nil {
		return nil, err
	}
	if in.Addr, err = freeAddress(); err != nil {
		return nil, err
	}
	if _, err := Output(exec.CommandContext(ctx, in.binary, "key", "create", in.keyPath())); err != nil {
		return nil, err
	}
	return in, nil
}

// startPostgres starts a PostgreSQL server with PostgreSQL's default settings.
func (in *Installation) startPostgres(ctx context.Context) (err error) {
	dir := filepath.Join(in.Dir, "pg")
	// PostgreSQL runs as another user, which must be able to enter the folder.
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(in.Dir, 0o711)); err != nil {
		return err
	}
	if in.pg, err = pgserver.Start(ctx, pgserver.Options{Dir: dir, Locales: [][]string{{"--locale=C.UTF-8"}}}); err != nil {
		return err
	}
	in.Database = in.pg.URL("postgres")
	return nil
}

// freeAddress returns an address on loopback on which no process listens.
func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// Close stops the servers and removes the folder.
func (in *Installation) Close() error {
	var err error
	if in.server != nil {
		err = in.Kill()
	}
	if in.pg != nil {
		err = errors.Join(err, in.pg.Stop())
	}
	return errors.Join(err, os.RemoveAll(in.Dir))
}

// usesPostgres reports whether the database is on PostgreSQL.
func (in *Installation) usesPostgres() bool { return strings.HasPrefix(in.Database, "postgres") }

// Kind returns "SQLite" or "PostgreSQL".
func (in *Installation) Kind() string {
	if in.usesPostgres() {
		return "PostgreSQL"
	}
	return "SQLite"
}

// keyPath returns the path of the key file.
func (in *Installation) keyPath() string { return filepath.Join(in.Dir, "key") }

// OpenDatabase opens a connection to the database that does not go through the Rollcall server.
func (in *Installation) OpenDatabase() (*sql.DB, error) {
	if in.usesPostgres() {
		return sql.Open("pgx", in.Database)
	}
	return sql.Open("sqlite", "file:"+in.Database+"?_pragma=busy_timeout(10000)")
}

// Command returns a rollcall command for the database, not yet started.
func (in *Installation) Command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, in.binary, append([]string{"--database", in.Database, "--key-file", in.keyPath()}, args...)...)
}

// Rollcall runs a rollcall command for the database, and returns the command's output.
func (in *Installation) Rollcall(ctx context.Context, args ...string) (string, error) {
	return Output(in.Command(ctx, args...))
}

// Serve starts the server and waits until it is ready. It uses the same address each time.
func (in *Installation) Serve(ctx context.Context) error {
	var err error
	if in.server, err = Start(in.Command(ctx, "serve", "--listen", in.Addr), "rollcall serve", in.logPath()); err != nil {
		return err
	}
	return in.WaitReady()
}

// WaitReady waits until the server is ready.
func (in *Installation) WaitReady() error {
	for began := time.Now(); time.Since(began) < readyLimit; time.Sleep(5 * time.Millisecond) {
		if status, err := in.Get("/readyz"); err == nil && status == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("the server is not ready after %s:\n%s", readyLimit, in.server.Tail())
}

// logPath returns the path of the file that receives the output of the Rollcall server.
func (in *Installation) logPath() string { return filepath.Join(in.Dir, "log") }

// PID returns the server's process id.
func (in *Installation) PID() int { return in.server.PID() }

// Kill kills the server and waits until it has ended.
func (in *Installation) Kill() error {
	err := in.server.Kill()
	in.server = nil
	return err
}

// Get requests a page that needs no token.
func (in *Installation) Get(path string) (status int, err error) {
	resp, err := in.client.Get("http://" + in.Addr + path)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// Site is a site with a token for SCIM.
type Site struct{ Name, Token string }

// CreateSite creates a site with the profile "full" and a token for it.
func (in *Installation) CreateSite(ctx context.Context, name string) (Site, error) {
	if _, err := in.Rollcall(ctx, "site", "create", name, "--profile", "full"); err != nil {
		return Site{}, err
	}
	token, err := in.Rollcall(ctx, "token", "create", name)
	return Site{Name: name, Token: token}, err
}

// Send sends a SCIM request.
func (in *Installation) Send(ctx context.Context, s Site, method, path, body string) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+in.Addr+"/c/"+s.Name+"/auth/scim/v2"+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+s.Token)
	r.Header.Set("Content-Type", "application/scim+json")
	resp, err := in.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// AddUser creates a user and returns its id. rest is additional JSON for the body, such as
// `,"active":true`.
func (in *Installation) AddUser(ctx context.Context, s Site, userName, rest string) (id string, err error) {
	status, text, err := in.Send(ctx, s, "POST", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q%s}`, userName, rest))
	if err != nil {
		return "", err
	}
	if status != http.StatusCreated {
		return "", fmt.Errorf("add %s to %s: %d %.200s", userName, s.Name, status, text)
	}
	var made struct{ ID string }
	err = json.Unmarshal(text, &made)
	return made.ID, err
}

// PatchBody returns the body of a PATCH request with these operations, which are separated by
// commas.
func PatchBody(operations string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operations + `]}`
}

// LoadAverages returns the machine's load averages over 1, 5 and 15 minutes, as Linux reports them.
func LoadAverages() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
