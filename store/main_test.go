package store_test

import (
	"os"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/storetest"
)

func TestMain(m *testing.M) {
	if url := os.Getenv("STORE_TEST_WRITE"); url != "" {
		writeUntilKilled(url)
		return
	}
	os.Exit(storetest.Main(m))
}
