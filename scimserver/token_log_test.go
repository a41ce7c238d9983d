package scimserver_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// TestTheLogShowsNoTokenWhereverItIsSent sends a live token in every place except the header, and
// searches the request log and the audit trail for it.
func TestTheLogShowsNoTokenWhereverItIsSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	w.bring(`{"userName":"ada"}`)
	escaped := strings.ReplaceAll(w.token, "_", "%5F")
	patch := `{"schemas":["` + scim.PatchOpURN + `"],"Operations":[{"op":"replace","path":%q,"value":%q}]}`
	for _, text := range []string{
		"GET /Users?apikey=" + w.token,
		"GET /Users?key=" + w.token + "&auth=" + w.token,
		"GET /Users?bearer=" + escaped,
		"GET /Users?bearer=" + strings.ReplaceAll(escaped, "%", "%25"),
		"GET /Users/" + w.token,
		"GET /Users/" + escaped,
		"GET /" + w.token,
		"GET /Users?filter=externalId%20eq%20%22" + w.token + "%22",
		"GET /Users?filter=" + w.token + "%20eq%201",
		"GET /Users?count=1&x=" + strings.Repeat("x", 1_900) + w.token,
		"GET /Users?count=1&x=" + strings.Repeat("x", 1_960) + w.token,
		"GET /Users/" + w.token + "\nAuthorization: Bearer nothing",
		"POST /Users\n\n" + `{"schemas":["` + scim.UserURN + `"],"userName":"` + w.token + `","` + w.token + `":1}`,
		"PATCH /Users/u-1\n\n" + fmt.Sprintf(patch, w.token, "x"),
		"PATCH /Users/u-1\n\n" + fmt.Sprintf(patch, "title", w.token),
		"PATCH /Users/u-1\n\n" + fmt.Sprintf(patch, "userType", w.token),
		"PATCH /Users/u-1\n\n" + fmt.Sprintf(patch, "userName", w.token),
	} {
		w.send(text)
	}
	secret := strings.TrimPrefix(w.token, "rollcall_")[:43]
	rows := w.requests()
	if len(rows) < 17 {
		t.Fatalf("got %d rows, want one for each request", len(rows))
	}
	for _, r := range rows {
		if kept := fmt.Sprintf("%+v", r); strings.Contains(kept, secret[:30]) {
			t.Errorf("the request log keeps the token: %s", kept)
		}
	}
	events, err := (store.Events{DB: w.db}).Recent(w.ctx(), event.Site(string(w.site.ID)), "", event.Position{}, 1_000)
	if err != nil || len(events) < 3 {
		t.Fatalf("got %d events, %v, want those of the changes", len(events), err)
	}
	for _, e := range events {
		if kept := fmt.Sprintf("%+v %s", e, e.Data); strings.Contains(kept, secret[:30]) {
			t.Errorf("the audit trail keeps the token: %s", kept)
		}
	}
}
