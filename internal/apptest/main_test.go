package apptest_test

import (
	"os"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/binary"
	"github.com/rollcall-scim/rollcall/internal/storetest"
)

func TestMain(m *testing.M) {
	code := storetest.Main(m)
	os.Exit(max(code, binary.Clean()))
}
