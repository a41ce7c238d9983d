//go:build !unix

package sqldb

import "os"

// otherNames returns 0: this system does not tell.
func otherNames(os.FileInfo) int { return 0 }
