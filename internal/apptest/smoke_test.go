package apptest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/apptest"
)

func TestAWindowDoesWhatAPersonDoes(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write([]byte(`<!doctype html><title>A</title><form method="post"><label>Name <input name="name"></label>
			<label><input type="checkbox" name="on"> Enable it</label>
			<table><tr><th>Who</th></tr><tr><td>Ada</td></tr></table>
			<label>Role <select name="role"><option value="1">Plain</option><option value="2">Admin</option></select></label><button>Save</button></form>`))
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("name=" + r.FormValue("name") + " on=" + r.FormValue("on") + " role=" + r.FormValue("role")))
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	w := apptest.OpenBrowser(t).Window(t, "somebody")
	w.Open(server.URL)
	w.Fills("Name", "Ada")
	w.Ticks("Enable it", true)
	w.Chooses("Role", "Admin")
	if got := w.Row("Ada"); len(got) != 1 || got[0] != "Ada" {
		t.Errorf("row: got %q, want Ada", got)
	}
	w.Clicks("Save")
	w.Sees("name=Ada on=on role=2")
	w.SeesNot("Enable it")
	if got := w.Overflows(); got != 0 {
		t.Errorf("overflows by %d pixels, want 0", got)
	}
}
