package scimserver_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/scimserver"
	"github.com/rollcall-scim/rollcall/site"
)

// FuzzRequest sends arbitrary requests to sites of every kind, on both databases where there are
// two. It checks that no request panics or returns a 5xx other than 501, that every answer has the
// SCIM form, that both databases answer alike, that refused requests and reads change nothing, and
// that no other site is touched. The seeds are the requests of the exchanges.
func FuzzRequest(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	n := uint8(0)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, section := range txtar.Parse(text).Files {
			if section.Name == "request" {
				head, body, _ := strings.Cut(string(section.Data), "\n\n")
				line, headers, _ := strings.Cut(head, "\n")
				method, path, _ := strings.Cut(line, " ")
				f.Add(n, method, path, headers, body)
				n++
			}
		}
	}
	f.Add(uint8(0), "PATCH", "/Users/u-1", "If-Match: W/\"1\"", `{"Operations":[{"op":"add","path":"emails","value":[{"value":"b"}]}]}`)
	f.Add(uint8(1), "POST", "/Bulk", "", `{"schemas":["`+scim.BulkRequestURN+`"],"Operations":[{"method":"POST","bulkId":"a","path":"/Users","data":{"schemas":["`+scim.UserURN+`"],"userName":"x"}},{"method":"DELETE","path":"/Users/bulkId:a"}]}`)
	twins := newTwins(f)
	f.Fuzz(func(t *testing.T, which uint8, method, path, headers, body string) {
		twins.send(t, which, method, path, headers, body)
	})
}

// twins are worlds with the same sites and the same people, one on each database.
type twins struct {
	worlds []*world
	sites  [][]fuzzedSite // of each world
	others []string       // content of the untouched site of each world
}

type fuzzedSite struct {
	site  site.Site
	token string
}

func newTwins(f *testing.F) *twins {
	f.Helper()
	tw := &twins{worlds: []*world{newWorldOn(f, storetest.New(f), site.Full)}}
	if storetest.HasPostgres() {
		tw.worlds = append(tw.worlds, newWorldOn(f, storetest.Postgres(f), site.Full))
	}
	for _, w := range tw.worlds {
		w.setSchemas(deviceSchemas)
		other := w.site
		w.bring(`{"userName":"other@acme.test"}`)
		w.bringGroups(`{"displayName":"Others"}`)
		tw.others = append(tw.others, fmt.Sprint(w.holds()))
		var sites []fuzzedSite
		for name, change := range []func(*site.Site){
			func(s *site.Site) { s.ManageRoles = true },
			func(s *site.Site) { s.Strict = true },
			func(s *site.Site) { s.Choose(site.Documented) },
			func(s *site.Site) { s.Deletes, s.Groups = site.DeactivateOnDelete, false },
		} {
			made, token, _ := w.newSite(fmt.Sprintf("site%d", name), site.Full)
			w.site = made
			w.setSchemas(deviceSchemas)
			w.set(change)
			sites = append(sites, fuzzedSite{w.site, token})
			w.people()
		}
		w.site = other
		tw.sites = append(tw.sites, sites)
	}
	return tw
}

// people gives a site some people to change.
func (w *world) people() {
	w.t.Helper()
	made := w.bring(`{"userName":"ada@acme.test","externalId":"a1","emails":[{"type":"work","value":"ada@acme.test"}],"name":{"givenName":"Ada"}}`, `{"userName":"kim","userType":"Admin"}`)
	w.bringGroups(`{"displayName":"Team","members":[{"value":"` + made[0].ID + `"}]}`)
}

var cursors = regexp.MustCompile(`"(next|previous)Cursor":"[^"]*"`)

func (tw *twins) send(t *testing.T, which uint8, method, path, headers, body string) {
	var first string
	for i, w := range tw.worlds {
		w.t = t
		at := tw.sites[i][int(which)%len(tw.sites[i])]
		r := fuzzedRequest(t, at, method, path, headers, body)
		before := w.holdsOf(at.site)
		got := w.serve(r)
		if got.Code >= 500 && got.Code != http.StatusNotImplemented {
			t.Errorf("%s: got %d: %s", w.db.Kind(), got.Code, got.Body)
		}
		after := w.holdsOf(at.site)
		if reads := r.Method == http.MethodGet || r.Method == http.MethodHead; reads || got.Code >= 400 {
			if diff := cmp.Diff(after, before); diff != "" {
				t.Errorf("%s: %s was answered %d and changed the roster:\n%s", w.db.Kind(), r.Method, got.Code, diff)
			}
		}
		if other := fmt.Sprint(w.holds()); other != tw.others[i] {
			t.Errorf("%s: another site was touched: %s", w.db.Kind(), other)
		}
		// Signed values differ between installations.
		answer := fmt.Sprintln(got.Code, headerText(got.Header()), cursors.ReplaceAllString(got.Body.String(), ""), after)
		if i == 0 {
			first = answer
		} else if diff := cmp.Diff(answer, first); diff != "" && !strings.Contains(headers+path+body, "ursor") {
			t.Errorf("%s answers otherwise than %s:\n%s", w.db.Kind(), tw.worlds[0].db.Kind(), diff)
		}
		if len(after) > 40 {
			w.clear(at.site)
		}
	}
}

func fuzzedRequest(t *testing.T, at fuzzedSite, method, path, headers, body string) *http.Request {
	path, absolute := strings.CutPrefix(path, "=")
	if !absolute {
		path = "/c/" + at.site.Name + "/auth/scim/v2" + path
	}
	u, err := url.ParseRequestURI(path)
	if err != nil {
		t.Skip("net/http refuses it")
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	r.Method, r.URL, r.Header = method, u, http.Header{"Authorization": {"Bearer " + at.token}}
	for line := range strings.SplitSeq(headers, "\n") {
		if name, value, found := strings.Cut(line, ":"); found && !strings.EqualFold(strings.TrimSpace(name), "Authorization") {
			r.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	if !scimserver.Serves(r) {
		t.Skip("the path leads elsewhere")
	}
	return r
}

// clear empties a site's roster and fills it again.
func (w *world) clear(of site.Site) {
	w.t.Helper()
	was := w.site
	defer func() { w.site = was }()
	w.site = of
	open := of
	open.Choose(site.Full)
	people := w.rosters.Open(open)
	by := roster.Change{Actor: "cli", Via: roster.ViaImport}
	for _, rt := range people.Types().Types() {
		for {
			page, err := people.List(w.ctx(), roster.Query{Kind: rt.ID, StartIndex: 1, Count: 500})
			if err != nil {
				w.t.Fatal(err)
			}
			n := 0
			for _, doc := range page.Documents {
				if _, err := people.Delete(w.ctx(), rt.ID, doc.ID, by); err == nil {
					n++
				}
			}
			if n == 0 {
				break // the remaining person is an administrator
			}
		}
	}
}
