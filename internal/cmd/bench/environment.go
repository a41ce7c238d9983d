package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
)

// environment describes the machine and the programs of a run, because the results depend on them.
// It contains no host name and no path.
type environment struct {
	Go         string // the version of Go
	CPU        string // the model of the processor
	Cores      int    // the number of processors
	MemoryMiB  int    // the size of the memory
	FileSystem string // the type of the file system with the databases
	Database   string // the SQLite driver
	Postgres   string // the version of PostgreSQL; empty if the run did not use it
	Revision   string // the version of the measured binary
}

// describeEnvironment returns the environment of this run.
func (b *bench) describeEnvironment(ctx context.Context) (environment, error) {
	cpuinfo, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return environment{}, err
	}
	meminfo, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return environment{}, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return environment{}, err
	}
	version, err := b.runRollcall(ctx, filepath.Join(b.dir, "none.db"), "version")
	e := environment{
		Go:         runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH,
		CPU:        fieldValue(string(cpuinfo), "model name"),
		Cores:      runtime.NumCPU(),
		FileSystem: fileSystem(string(mounts), b.dir),
		Database:   "SQLite" + sqliteDriver(),
		Revision:   version,
	}
	var kilobytes int
	if _, err := fmt.Sscanf(fieldValue(string(meminfo), "MemTotal"), "%d kB", &kilobytes); err != nil {
		return e, fmt.Errorf("read the size of the memory: %w", err)
	}
	e.MemoryMiB = kilobytes >> 10
	if e.FileSystem == "tmpfs" {
		b.print("The temporary directory is in memory: durable writes cost nothing there. Give -dir a directory on a disk.")
	}
	return e, err
}

// fieldValue returns the value of the first "name : value" line in a file such as those in /proc.
func fieldValue(text, name string) string {
	for line := range strings.Lines(text) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// fileSystem returns the type of the file system that contains the directory dir. mounts is the
// content of /proc/self/mountinfo.
func fileSystem(mounts, dir string) string {
	best, kind := "", "unknown"
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(line, " - ")
		fields, types := strings.Fields(before), strings.Fields(after)
		if len(fields) < 5 || len(types) == 0 || len(fields[4]) < len(best) {
			continue
		}
		at := fields[4]
		if dir == at || strings.HasPrefix(dir, strings.TrimSuffix(at, "/")+"/") {
			best, kind = at, types[0]
		}
	}
	return kind
}

// sqliteDriver returns the SQLite driver with which this program was built.
func sqliteDriver() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == "modernc.org/sqlite" {
			return " (" + m.Path + " " + m.Version + "), every commit on disk"
		}
	}
	return ""
}
