//go:build !unix

package sqldb

import "os"

// countOtherLinks returns 0, because this system does not report the number.
func countOtherLinks(os.FileInfo) int { return 0 }
