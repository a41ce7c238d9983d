package scimserver_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rollcall-scim/rollcall/scimserver"
	"github.com/rollcall-scim/rollcall/site"
)

// FuzzRequest sends whatever a client may think of: never a panic, never a 5xx but the honest 501, always the SCIM form. The
// seeds are the requests of the exchanges.
func FuzzRequest(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, section := range txtar.Parse(text).Files {
			if section.Name == "request" {
				head, body, _ := strings.Cut(string(section.Data), "\n\n")
				method, path, _ := strings.Cut(strings.Split(head, "\n")[0], " ")
				f.Add(method, path, body)
			}
		}
	}
	w := newWorld(f, site.Full)
	w.bring(`{"userName":"ada@acme.test","emails":[{"type":"work","value":"ada@acme.test"}]}`)
	f.Fuzz(func(t *testing.T, method, path, body string) {
		u, err := url.ParseRequestURI(tenantURL + path)
		if err != nil {
			t.Skip("net/http refuses it")
		}
		r := &http.Request{
			Method: method, URL: u, Body: http.NoBody, ContentLength: int64(len(body)),
			Header: http.Header{"Authorization": {"Bearer " + w.token}},
		}
		if body != "" {
			r = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
			r.Method, r.URL, r.Header = method, u, http.Header{"Authorization": {"Bearer " + w.token}}
		}
		if !scimserver.Serves(r) {
			t.Skip("the path leads elsewhere")
		}
		w.t = t
		if got := w.serve(r); got.Code >= 500 && got.Code != http.StatusNotImplemented {
			t.Errorf("got %d: %s", got.Code, got.Body)
		}
	})
}
