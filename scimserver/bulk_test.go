package scimserver_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// TestBulkStopsWhenItsTokenEnds: each operation runs as if it had been sent alone, so none runs after the token has ended.
func TestBulkStopsWhenItsTokenEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	ends := w.clock().Add(time.Hour)
	_, secret, err := w.sites.CreateToken(w.ctx(), w.site.ID, site.TokenRequest{Actor: "cli", Expires: ends, Mode: site.Replace})
	if err != nil {
		t.Fatal(err)
	}
	w.token = secret
	newID := w.rosters.NewID
	made := 0
	w.rosters.NewID = func() string {
		if made++; made == 3 {
			w.setClock(ends.Add(time.Second)) // while the third operation runs
		}
		return newID()
	}
	var operations []string
	for i := range 6 {
		operations = append(operations, fmt.Sprintf(`{"method":"POST","bulkId":"b%d","path":"/Users","data":{"schemas":["%s"],"userName":"p%d@acme.example"}}`, i, scim.UserURN, i))
	}
	got := w.send("POST /Bulk\n\n" + `{"schemas":["` + scim.BulkRequestURN + `"],"Operations":[` + strings.Join(operations, ",") + `]}`)
	var body struct {
		Operations []struct {
			Status   string
			Response struct{ Detail string }
		}
	}
	if err := json.Unmarshal(got.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	var statuses []string
	for _, op := range body.Operations {
		statuses = append(statuses, op.Status)
	}
	if want := []string{"201", "201", "201", "401", "401", "401"}; !slices.Equal(statuses, want) {
		t.Fatalf("got %v, want %v: %s", statuses, want, got.Body)
	}
	if detail := body.Operations[5].Response.Detail; !strings.Contains(detail, "revoked or has expired") {
		t.Errorf("got the detail %q", detail)
	}
	people, err := w.rosters.Open(w.site).Counts(w.ctx())
	if err != nil || people.All != 3 {
		t.Errorf("got %+v (%v), want three people", people, err)
	}
}
