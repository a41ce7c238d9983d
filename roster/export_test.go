package roster

import (
	"sync/atomic"
	"testing"

	"github.com/rollcall-scim/rollcall/scim"
)

// CountParses counts how often this package parses the JSON of a stored resource until the test
// ends. The test must not be parallel, so that it counts only its own.
func CountParses(t *testing.T) *atomic.Int64 {
	t.Helper()
	var n atomic.Int64
	parse := parseDocument
	parseDocument = func(data []byte) (scim.Resource, error) {
		n.Add(1)
		return parse(data)
	}
	t.Cleanup(func() { parseDocument = parse })
	return &n
}
