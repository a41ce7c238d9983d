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
	// servedGarbage is how many percent of what is in use may pile up as garbage before a server collects it. Of the
	// little that a server has in use, the runtime's own 100 % would be collected many times a second.
	servedGarbage = 300
	// servedMemory is from how many bytes on it collects no matter what. SQLite's page caches come on top.
	servedMemory = 72 << 20
)

// roomForGarbage trades memory for processor time, as far as whoever started the program has not chosen (GOGC, GOMEMLIMIT).
func roomForGarbage() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(servedGarbage)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit(containerMemory(os.DirFS("/"))))
	}
}

// memoryLimit is the limit for Go's own memory under that of the container; 0 is none. Four tenths are for it: SQLite's page
// caches, what is being written and what the system counts as ours take the rest.
func memoryLimit(container int64) int64 {
	if container <= 0 {
		return servedMemory
	}
	return min(servedMemory, container*4/10)
}

// containerMemory is the least memory limit of the process's control group and those above it, version 2 or 1; 0 where there is none.
func containerMemory(root fs.FS) (least int64) {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // 0::/system.slice/rollcall.service, or 5:memory:/docker/…
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
		// Inside a container the group's own path may not be there, and its limit is at the top.
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
			text, err := fs.ReadFile(root, path.Join(top, group, file))
			n, notNumber := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
			// Version 1 writes a number near the largest there is for no limit, version 2 the word max.
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
