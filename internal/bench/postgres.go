package main

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
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

var errNoPostgres = errors.New("no PostgreSQL on this machine: initdb is neither in the PATH nor in /usr/lib/postgresql (the package is named postgresql)")

// supervisor runs the server until its standard input ends, which is when this program does, killed or not. It is
// configured as PostgreSQL is by default, with fsync.
const supervisor = `
"$0/postgres" -D "$1/data" -k "$1" -c listen_addresses= -c fsync=on -c synchronous_commit=on >"$1/log" 2>&1 &
server=$!
cat >/dev/null
kill -INT $server
wait $server
`

// postgres is a running PostgreSQL server with one database.
type postgres struct {
	dir      string // data, socket and log
	url      string
	version  string
	lifeline io.Closer
	group    int // the process group of supervisor and server
	done     chan struct{}
	err      error // how it ended; read after done is closed
}

// startPostgres starts a server from Debian's binaries in the run's directory.
func (b *bench) startPostgres(ctx context.Context) (*postgres, error) {
	bin, err := postgresBinaries()
	if err != nil {
		return nil, err
	}
	who, err := unprivileged()
	if err != nil {
		return nil, err
	}
	p := &postgres{dir: filepath.Join(b.dir, fmt.Sprintf("pg%d", len(b.servers))), done: make(chan struct{})}
	p.url = "postgres:///postgres?" + url.Values{"host": {p.dir}, "user": {"rollcall"}, "sslmode": {"disable"}}.Encode()
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		return nil, err
	}
	if who != nil {
		if err := os.Chown(p.dir, int(who.Uid), int(who.Gid)); err != nil {
			return nil, err
		}
	}
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"),
		"-D", filepath.Join(p.dir, "data"), "-U", "rollcall", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	initdb.Dir = "/"
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	if text, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, text)
	}
	cmd := exec.Command("sh", "-c", supervisor, bin, p.dir)
	cmd.Dir = "/"
	// Its own group: an interrupt from the terminal ends this program, and then the server.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who, Setpgid: true}
	if p.lifeline, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	p.group = cmd.Process.Pid
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	b.servers = append(b.servers, p)
	return p, p.await(ctx)
}

// await returns when the server answers.
func (p *postgres) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		err := p.query(ctx, "show server_version", &p.version)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("PostgreSQL ended: %w\n%s", errors.Join(p.err, err), p.log())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, p.log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *postgres) log() []byte {
	text, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if err != nil {
		return []byte(err.Error())
	}
	return text[max(0, len(text)-1500):]
}

func (p *postgres) query(ctx context.Context, sql string, into *string) error {
	conn, err := pgx.Connect(ctx, p.url)
	if err != nil {
		return err
	}
	return errors.Join(conn.QueryRow(ctx, sql).Scan(into), conn.Close(ctx))
}

// analyze gives the planner the statistics that autovacuum gathers within minutes of a fill.
func (p *postgres) analyze(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, p.url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "vacuum analyze")
	return errors.Join(err, conn.Close(ctx))
}

// stop ends the server and waits for its end; one that does not end by itself is killed.
func (p *postgres) stop() error {
	p.lifeline.Close()
	select {
	case <-p.done:
		return nil
	case <-time.After(stopLimit):
	}
	if err := syscall.Kill(-p.group, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill PostgreSQL: %w", err)
	}
	<-p.done
	return nil
}

// cpu is the processor time of the whole server: its first process, with those of its children that have ended, and
// those that run.
func (p *postgres) cpu() (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join(p.dir, "data", "postmaster.pid"))
	if err != nil {
		return 0, fmt.Errorf("processor time of PostgreSQL: %w", err)
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	pid := string(first)
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	var total time.Duration
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended, and its parent has its time
		}
		used, err := statOf(string(text))
		switch {
		case err != nil:
			return 0, err
		case used.pid == pid:
			total += used.own + used.ended
		case used.parent == pid:
			total += used.own
		}
	}
	return total, nil
}

// processTimes is what a process has used.
type processTimes struct {
	pid, parent string
	own, ended  time.Duration // ended: of children that it has waited for
}

// statOf reads /proc/PID/stat: the 4th field is the parent, the 14th to 17th are utime, stime, cutime and cstime; the
// second one, in brackets, may hold blanks.
func statOf(text string) (processTimes, error) {
	before, rest, found := cutLast(text, ")")
	pid, _, _ := strings.Cut(before, " ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 15 {
		return processTimes{}, fmt.Errorf("cannot read processor time from %q", text)
	}
	s := processTimes{pid: pid, parent: fields[1]}
	for i, f := range fields[11:15] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return processTimes{}, fmt.Errorf("cannot read processor time from %q: %w", text, err)
		}
		if d := time.Duration(n) * tick; i < 2 {
			s.own += d
		} else {
			s.ended += d
		}
	}
	return s, nil
}

// postgresBinaries returns the folder of the newest PostgreSQL.
func postgresBinaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	all, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(all) == 0 {
		return "", errNoPostgres
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	return filepath.Dir(slices.MaxFunc(all, func(a, b string) int { return version(a) - version(b) })), nil
}

// unprivileged returns whom to run PostgreSQL as, which refuses root; nil when this process is itself unprivileged.
func unprivileged() (*syscall.Credential, error) {
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
