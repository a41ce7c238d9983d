package notification_test

import (
	"os"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }
