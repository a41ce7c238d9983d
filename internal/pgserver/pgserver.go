// Package pgserver runs a PostgreSQL server that belongs to this process, for tests and
// measurements.
//
//	Start ──► initdb ──► sh (supervisor) ──► postgres, on a socket in Options.Dir
//	               its standard input ◄── open as long as this process lives
//
// The package uses the PostgreSQL programs that Debian installs. If this process is root, they run
// as the user postgres, because PostgreSQL refuses to run as root. The server ends with
// [Server.Stop]. It also ends when this process ends, even if this process is killed.
package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	startLimit = time.Minute      // how long the server may take to answer after its start
	stopLimit  = 20 * time.Second // how long the server may take to end before it is killed
)

// supervisor is a shell script that runs the server. When the standard input of the script ends,
// the script stops the server. If the server fails, the script prints the end of its log.
const supervisor = `
dir=$1 remove=$2
shift 2
exec 3<&0
"$0/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= "$@" >"$dir/log" 2>&1 3<&- &
server=$!
{ cat <&3; kill -INT $server; } >/dev/null 2>&1 &
stopper=$!
wait $server
status=$?
kill $stopper 2>/dev/null
if [ $status != 0 ]; then tail -c 1500 "$dir/log" >&2; fi
if [ "$remove" = yes ]; then rm -rf "$dir" || { sleep 1; rm -rf "$dir"; }; fi
exit $status
`

// ErrNoBinaries means that PostgreSQL is not installed.
var ErrNoBinaries = errors.New("no PostgreSQL on this machine: initdb is neither in the PATH nor in /usr/lib/postgresql (the package is named postgresql)")

// Options describe the server to run.
type Options struct {
	// Dir is an empty folder for data, socket and log. Its path must be short, because the path of
	// a socket has at most 107 bytes.
	Dir string
	// RemoveDir says whether to remove Dir when the server has ended.
	RemoveDir bool
	// Locales are sets of arguments for initdb. Start uses the first set that works.
	Locales [][]string
	// Settings are lines of postgresql.conf that differ from the defaults, such as "fsync=off".
	Settings []string
}

// Server is a running PostgreSQL server. Its database user rollcall has all rights.
type Server struct {
	dir             string
	supervisorInput io.Closer     // the standard input of the supervisor, which ends the server when it is closed
	processGroup    int           // the process group of the supervisor and the server
	ended           chan struct{} // closed when the supervisor has ended
	err             error         // how the supervisor ended; read it only after ended is closed
	output          bytes.Buffer  // the supervisor's error output; read it only after ended is closed
}

// Available returns ErrNoBinaries if PostgreSQL is not installed.
func Available() error {
	_, err := findBinaries()
	return err
}

// Start starts a server, and returns when the server answers.
func Start(ctx context.Context, o Options) (*Server, error) {
	bin, err := findBinaries()
	if err != nil {
		return nil, err
	}
	who, err := unprivilegedUser()
	if err != nil {
		return nil, err
	}
	if who != nil {
		if err := os.Chown(o.Dir, int(who.Uid), int(who.Gid)); err != nil {
			return nil, err
		}
	}
	if err := initialize(ctx, bin, who, o); err != nil {
		return nil, err
	}
	remove := "no"
	if o.RemoveDir {
		remove = "yes"
	}
	args := []string{"-c", supervisor, bin, o.Dir, remove}
	for _, s := range o.Settings {
		args = append(args, "-c", s)
	}
	cmd := exec.Command("sh", args...)
	cmd.Dir = "/"
	// The server gets its own process group, so that Ctrl-C in the terminal does not reach it. It
	// ends when this process stops it, or when this process ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who, Setpgid: true}
	s := &Server{dir: o.Dir, ended: make(chan struct{})}
	if s.supervisorInput, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	cmd.Stderr = &s.output
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	s.processGroup = cmd.Process.Pid
	go func() {
		s.err = cmd.Wait()
		close(s.ended)
	}()
	if err := s.waitReady(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// initialize runs initdb with the first set of locales that works.
func initialize(ctx context.Context, bin string, who *syscall.Credential, o Options) error {
	var errs []error
	for _, locale := range o.Locales {
		args := append([]string{"-D", filepath.Join(o.Dir, "data"), "-U", "rollcall", "-A", "trust", "-E", "UTF8", "--no-sync"}, locale...)
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), args...)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
		text, err := cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("initdb: %w\n%s", err, text))
	}
	return errors.Join(errs...)
}

// waitReady waits until the server answers.
func (s *Server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.ended:
			return fmt.Errorf("PostgreSQL ended: %w\n%s", errors.Join(s.err, err), s.output.Bytes())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, s.logTail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// logTail returns the end of the server's log.
func (s *Server) logTail() []byte {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return []byte(err.Error())
	}
	return text[max(0, len(text)-1500):]
}

// URL returns the URL of one of the server's databases. A new server has the database postgres.
func (s *Server) URL(database string) string {
	return "postgres:///" + database + "?" + url.Values{"host": {s.dir}, "user": {"rollcall"}, "sslmode": {"disable"}}.Encode()
}

// Exec runs a statement in the database postgres.
func (s *Server) Exec(ctx context.Context, query string) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, query)
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	return nil
}

// Version returns the version of PostgreSQL and of its package, such as "15.18 (Debian
// 15.18-0+deb12u1)".
func (s *Server) Version(ctx context.Context) (version string, err error) {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return "", err
	}
	err = conn.QueryRow(ctx, "show server_version").Scan(&version)
	return version, errors.Join(err, conn.Close(ctx))
}

// PID returns the id of the server's first process, the parent of all others.
func (s *Server) PID() (string, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, "data", "postmaster.pid"))
	if err != nil {
		return "", err
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	return string(first), nil
}

// Stop ends the server, and waits until it has ended. It kills a server that does not end in time.
func (s *Server) Stop() error {
	err := s.supervisorInput.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil // the supervisor has ended already
	}
	select {
	case <-s.ended:
		return err
	case <-time.After(stopLimit):
	}
	if e := syscall.Kill(-s.processGroup, syscall.SIGKILL); e != nil && !errors.Is(e, syscall.ESRCH) {
		return errors.Join(err, fmt.Errorf("kill PostgreSQL: %w", e))
	}
	<-s.ended
	return err
}

// findBinaries returns the folder of the newest installed PostgreSQL, or ErrNoBinaries.
func findBinaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	all, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(all) == 0 {
		return "", ErrNoBinaries
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	return filepath.Dir(slices.MaxFunc(all, func(a, b string) int { return version(a) - version(b) })), nil
}

// unprivilegedUser returns the user that must run the server, or nil if this process is not root.
func unprivilegedUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}
