package scimserver_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/site"
)

// While the database accepts no writes, a client is told to come back, and later the site's log has
// the request.
func TestDatabaseUnavailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	deactivate := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`
	kim := w.bring(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"kim"}`)[0].ID
	for range 10 { // every connection for reads is open
		w.send("GET /Users/" + kim)
	}
	away := filepath.Join(t.TempDir(), "away.db")
	if err := os.Rename(w.db.File(), away); err != nil {
		t.Fatal(err)
	}
	got := w.send("PATCH /Users/" + kim + "\n\n" + deactivate)
	if got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") == "" || !strings.Contains(got.Body.String(), "later") {
		t.Errorf("%d %v %s", got.Code, got.Header(), got.Body)
	}
	if err := os.Rename(away, w.db.File()); err != nil {
		t.Fatal(err)
	}
	if got := w.send("PATCH /Users/" + kim + "\n\n" + deactivate); got.Code != http.StatusOK {
		t.Errorf("afterwards: %d %s", got.Code, got.Body)
	}
	if err := w.requestLog.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, _, err := w.requestLog.Page(t.Context(), w.site.ID, requestlog.Query{Filter: requestlog.Filter{Method: "PATCH"}})
	if err != nil {
		t.Fatal(err)
	}
	statuses := map[int]int{}
	for _, r := range rows {
		statuses[r.Status]++
	}
	if len(rows) != 2 || statuses[503] != 1 || statuses[200] != 1 {
		t.Errorf("the log has %v", statuses)
	}
}
