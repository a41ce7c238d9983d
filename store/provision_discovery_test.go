package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store"
)

// TestOneDiscoveryStarts starts several discoveries of one job at the same time.
func TestOneDiscoveryStarts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := store.Provisioning{DB: db}
		for round := range 10 {
			key := provision.Key{Directory: "contoso", App: fmt.Sprint("acme-", round)}
			var all sync.WaitGroup
			errs := make([]error, 8)
			for i := range errs {
				all.Go(func() {
					errs[i] = s.StartDiscovery(t.Context(), provision.Discovery{Key: key, ID: fmt.Sprint("d", i), State: provision.DiscoveryRunning, Started: jobTime})
				})
			}
			all.Wait()
			started := 0
			for _, err := range errs {
				switch {
				case err == nil:
					started++
				case !errors.Is(err, provision.ErrChanged):
					t.Error(err)
				}
			}
			if found, err := s.Discoveries(t.Context(), key); err != nil || len(found) != 1 || started != 1 {
				t.Errorf("%d of %d discoveries have started, %d are stored, %v", started, len(errs), len(found), err)
			}
			if err := s.CancelDiscovery(t.Context(), key, jobTime); err != nil {
				t.Error(err)
			}
		}
	})
}
