package main

import (
	"io/fs"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
)

const (
	// serverGarbagePercent is GOGC for a server: how much garbage may accumulate before a
	// collection, in percent of the memory in use. A server uses little memory. With Go's default
	// of 100 % it would therefore collect garbage many times a second.
	serverGarbagePercent = 200
	// serverMemory is Go's memory limit in bytes, GOMEMLIMIT, for a server. When Go uses this much,
	// it collects garbage more often. SQLite's page caches are not part of it.
	serverMemory = 72 << 20
)

// setGarbageLimits lets Go use more memory and less processor time, unless GOGC or GOMEMLIMIT is
// set.
func setGarbageLimits() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(serverGarbagePercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit(containerMemory(os.DirFS("/"))))
	}
}

// memoryLimit returns the memory limit for Go, in bytes. container is the memory limit of the
// container; 0 means none. Go gets four tenths of the container's limit. The rest is for SQLite's
// page caches, pending writes and the system.
func memoryLimit(container int64) int64 {
	if container <= 0 {
		return serverMemory
	}
	return min(serverMemory, container*4/10)
}

// containerMemory returns the smallest memory limit, in bytes, of the process's control group and
// its parents, in version 2 or 1 of control groups. It returns 0 if there is no limit.
func containerMemory(root fs.FS) (least int64) {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // a line such as 0::/system.slice/rollcall.service or 5:memory:/docker/…
		if len(parts) < 3 {
			continue
		}
		top, file := "sys/fs/cgroup", "memory.max"
		if parts[1] != "" {
			if !slices.Contains(strings.Split(parts[1], ","), "memory") {
				continue
			}
			top, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		// Inside a container, the path of the group itself may be missing. The limit is then in the
		// root folder.
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
			text, err := fs.ReadFile(root, path.Join(top, group, file))
			n, notNumber := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
			// Without a limit, the file has a huge number in version 1 and the word "max" in
			// version 2.
			if err == nil && notNumber == nil && n > 0 && n < 1<<60 && (least == 0 || n < least) {
				least = n
			}
			if group == "/" {
				break
			}
		}
	}
	return least
}
