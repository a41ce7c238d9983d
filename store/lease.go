package store

import "math"

// never is a next_at of no work waiting, and above every position.
const never = int64(math.MaxInt64)
