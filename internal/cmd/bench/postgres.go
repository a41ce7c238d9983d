package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/internal/pgserver"
)

// postgres is a PostgreSQL server for one site, with default settings and fsync.
type postgres struct {
	*pgserver.Server
	url     string // the URL of its database
	version string // the version of PostgreSQL
}

// startPostgres starts a server in the run's directory.
func (b *bench) startPostgres(ctx context.Context) (*postgres, error) {
	dir := filepath.Join(b.dir, fmt.Sprintf("pg%d", len(b.postgresServers)))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	server, err := pgserver.Start(ctx, pgserver.Options{
		Dir: dir, Locales: [][]string{{"--locale=C.UTF-8"}}, Settings: []string{"fsync=on", "synchronous_commit=on"},
	})
	if err != nil {
		return nil, err
	}
	p := &postgres{Server: server, url: server.URL("postgres")}
	b.postgresServers = append(b.postgresServers, p)
	p.version, err = server.Version(ctx)
	return p, err
}

// analyze creates the statistics for the query planner, which autovacuum would create within
// minutes after the site was filled.
func (p *postgres) analyze(ctx context.Context) error { return p.Exec(ctx, "vacuum analyze") }

// processorTime returns the processor time of the whole server. It adds up the times of the
// server's first process, of its children that have ended, and of its running children.
func (p *postgres) processorTime() (time.Duration, error) {
	pid, err := p.PID()
	if err != nil {
		return 0, fmt.Errorf("processor time of PostgreSQL: %w", err)
	}
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	var total time.Duration
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the process has ended in the meantime; its time is included in its parent's time
		}
		used, err := parseStat(string(text))
		switch {
		case err != nil:
			return 0, err
		case used.pid == pid:
			total += used.ownTime + used.endedChildren
		case used.parent == pid:
			total += used.ownTime
		}
	}
	return total, nil
}

// processTimes is the processor time that a process has used.
type processTimes struct {
	pid, parent            string        // the ids of the process and of its parent
	ownTime, endedChildren time.Duration // the time of the process itself, and the time of its children that have ended
}

// parseStat parses /proc/PID/stat. Field 4 is the parent, and fields 14 to 17 are utime, stime,
// cutime and cstime. Field 2, in parentheses, can contain spaces.
func parseStat(text string) (processTimes, error) {
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
		if d := time.Duration(n) * clockTick; i < 2 {
			s.ownTime += d
		} else {
			s.endedChildren += d
		}
	}
	return s, nil
}
