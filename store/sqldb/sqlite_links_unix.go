//go:build unix

package sqldb

import (
	"os"
	"syscall"
)

// countOtherLinks returns how many other names (hard links) a file has.
func countOtherLinks(info os.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Nlink) - 1
	}
	return 0
}
