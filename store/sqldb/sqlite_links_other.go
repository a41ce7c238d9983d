//go:build !unix

package sqldb

import "os"

// otherNames returns 0, because this system does not report the number.
func otherNames(os.FileInfo) int { return 0 }
