package scimserver_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/site"
)

// TestAnotherAddressIsNamedOnce: the server's log names each other address once. A client can send
// any Host, so the number of warnings is bounded. A request without the token does not count.
func TestAnotherAddressIsNamedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	var log bytes.Buffer
	w.handler.Log = slog.New(slog.NewTextHandler(&log, nil))
	visit := func(host, headers string) {
		r := w.request("GET /Users" + headers)
		r.Host = host
		w.serve(r)
	}
	warnings := func() int { return strings.Count(log.String(), "an address other than") }
	visit("scim.test", "")
	visit("SCIM.test", "")
	visit("stranger.example", "\nAuthorization: Bearer nothing")
	if warnings() != 0 {
		t.Errorf("warned without a reason: %s", log.String())
	}
	for range 3 {
		visit("proxy.example", "")
		visit("PROXY.example", "")
		visit("10.0.0.7:8080", "")
	}
	if warnings() != 2 {
		t.Errorf("got %d warnings, want one for each address:\n%s", warnings(), log.String())
	}
	for _, want := range []string{"address=proxy.example public=https://scim.test", "address=10.0.0.7:8080 public=https://scim.test"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, log.String())
		}
	}
	for n := range 50 {
		visit(fmt.Sprintf("host-%d.example", n), "")
	}
	if warnings() != 20 {
		t.Errorf("got %d warnings, want 20 at most", warnings())
	}
}
