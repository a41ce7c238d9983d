package main

import (
	"os"
	"runtime/debug"
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
		debug.SetMemoryLimit(servedMemory)
	}
}
