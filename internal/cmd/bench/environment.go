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

// environment is what figures depend on. It names no host and no path.
type environment struct {
	Go         string
	CPU        string
	Cores      int
	MemoryMiB  int
	FileSystem string
	Database   string
	Postgres   string // empty when there was none
	Revision   string
}

func (b *bench) environment(ctx context.Context) (environment, error) {
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
	version, err := b.rollcall(ctx, filepath.Join(b.dir, "none.db"), "version")
	e := environment{
		Go:         runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH,
		CPU:        field(string(cpuinfo), "model name"),
		Cores:      runtime.NumCPU(),
		FileSystem: fileSystem(string(mounts), b.dir),
		Database:   "SQLite" + driver(),
		Revision:   version,
	}
	var kilobytes int
	if _, err := fmt.Sscanf(field(string(meminfo), "MemTotal"), "%d kB", &kilobytes); err != nil {
		return e, fmt.Errorf("read the size of the memory: %w", err)
	}
	e.MemoryMiB = kilobytes >> 10
	if e.FileSystem == "tmpfs" {
		b.say("The temporary directory is in memory: durable writes cost nothing there. Give -dir a directory on a disk.")
	}
	return e, err
}

// field is the first "name : value" of a file such as those in /proc.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// fileSystem is the type of the file system that a directory is on, from /proc/self/mountinfo.
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

// driver names the SQLite driver that this program was built with.
func driver() string {
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
