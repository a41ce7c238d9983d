package store_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// TestRefusedRequestsOfASiteStandInItsOwnLine checks that the rows about refused requests of one
// site do not come before the changes of other sites.
func TestRefusedRequestsOfASiteStandInItsOwnLine(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, storetest.SQLiteURL(t))
	requests := store.RequestLogs{DB: db}
	write(t, db, `
		insert into site (id, name, profile, scim_enabled, manage_roles, strict, matches, created)
		values ('big', 'big', 'full', true, false, false, 'user-identifier', 1)`)
	var all sync.WaitGroup
	before := -1
	all.Go(func() {
		if err := db.Lane("big").Update(t.Context(), func(*sqldb.Tx) error {
			for i := range 5 {
				all.Go(func() {
					row := requestlog.Request{Site: "big", ID: fmt.Sprint(i), Time: time.Now(), Method: "PATCH", Status: 429}
					if err := requests.AppendRequests(t.Context(), []requestlog.Request{row}, nil); err != nil {
						t.Error(err)
					}
				})
			}
			for db.Stats().WaitingUpdates < 5 {
				runtime.Gosched()
			}
			all.Go(func() {
				if err := db.Lane("small").Update(t.Context(), func(tx *sqldb.Tx) error {
					return tx.QueryRow(t.Context(), "select count(*) from request_log").Scan(&before)
				}); err != nil {
					t.Error(err)
				}
			})
			for db.Stats().WaitingUpdates < 6 {
				runtime.Gosched()
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	all.Wait()
	if before != 1 {
		t.Errorf("%d rows of another site were written first, want 1", before)
	}
}
