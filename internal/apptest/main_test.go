package apptest_test

import (
	"os"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/apptest"
)

func TestMain(m *testing.M) { os.Exit(apptest.Main(m)) }
