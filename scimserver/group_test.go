package scimserver_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// bringMany adds people to the roster in one transaction and returns their ids.
func (w *world) bringMany(n int) (ids []string) {
	w.t.Helper()
	rows := make([]roster.ImportRow, n)
	for i := range rows {
		rows[i].UserName = fmt.Sprintf("p%05d@acme.test", i)
	}
	people := w.rosters.Open(w.site)
	if _, err := people.Import(w.ctx(), rows, roster.Change{Actor: "cli", Via: roster.ViaImport}); err != nil {
		w.t.Fatal(err)
	}
	for start := 1; start <= n; start += roster.MaxCount {
		page, err := people.List(w.ctx(), roster.Query{Kind: roster.User, StartIndex: start, Count: roster.MaxCount})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, doc := range page.Documents {
			ids = append(ids, doc.ID)
		}
	}
	return ids
}

func memberList(ids []string) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"value":%q,"display":"somebody with a name of some length","$ref":"https://scim.test/c/acme/auth/scim/v2/Users/%s"}`, id, id)
	}
	return b.String()
}

// TestLargeGroup uses a group with many members: it is read and written as a stream, and a change
// costs only what it names.
func TestLargeGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	ids := w.bringMany(12_000)
	body := func(ids []string) string {
		return `{"schemas":["` + scim.GroupURN + `"],"displayName":"Everybody","members":[` + memberList(ids) + `]}`
	}
	large := body(ids)
	if len(large) < 1<<20 {
		t.Fatalf("the body has %d bytes: it would fit the limit of other bodies", len(large))
	}
	made := w.send("POST /Groups?attributes=id\n\n" + large)
	wantStatus(t, made, 201)
	at := made.Header().Get("Location")
	at = at[strings.Index(at, "/Groups"):]
	members := func() []any {
		list, _ := w.getAt(t, at)["members"].([]any)
		return list
	}
	if got := len(members()); got != len(ids) {
		t.Fatalf("got %d members, want %d", got, len(ids))
	}
	t.Run("without_members_it_is_small", func(t *testing.T) {
		if got := w.send("GET " + at + "?excludedAttributes=members"); got.Body.Len() > 1_000 {
			t.Errorf("got %d bytes", got.Body.Len())
		}
	})
	t.Run("one_member_more_or_less", func(t *testing.T) {
		patch := func(op, id string) {
			wantStatus(t, w.send(fmt.Sprintf("PATCH %s\n\n"+`{"schemas":[%q],"Operations":[{"op":%q,"path":"members","value":[{"value":%q}]}]}`, at, scim.PatchOpURN, op, id)), 204)
		}
		patch("Remove", ids[7])
		if got := len(members()); got != len(ids)-1 {
			t.Errorf("got %d members after one was removed from %d", got, len(ids))
		}
		patch("Add", ids[7])
		if got := len(members()); got != len(ids) {
			t.Errorf("got %d members after one was added again, want %d", got, len(ids))
		}
	})
	t.Run("a_patch_is_not_answered_with_all_of_them", func(t *testing.T) {
		wantStatus(t, w.send(fmt.Sprintf("PATCH %s\nAccept: application/scim+json\n\n"+`{"schemas":[%q],"Operations":[{"op":"replace","path":"externalId","value":"x"}]}`, at, scim.PatchOpURN)), 204)
	})
	t.Run("putting_back_what_was_read_changes_nothing", func(t *testing.T) {
		read := w.send("GET " + at)
		put := w.send("PUT " + at + "\n\n" + read.Body.String())
		wantStatus(t, put, 200)
		if diff := cmp.Diff(put.Header().Get("ETag"), read.Header().Get("ETag")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a_list_with_members_is_whole", func(t *testing.T) {
		list := w.getAt(t, "/Groups")
		group := list["Resources"].([]any)[0].(map[string]any)
		if got := len(group["members"].([]any)); got != len(ids) {
			t.Errorf("got %d members, want %d", got, len(ids))
		}
	})
	t.Run("a_put_takes_the_others_out", func(t *testing.T) {
		wantStatus(t, w.send("PUT "+at+"\n\n"+body(ids[:3])), 200)
		if got := len(members()); got != 3 {
			t.Errorf("got %d members, want 3", got)
		}
	})
	t.Run("reading_it_holds_little_memory", func(t *testing.T) {
		wantStatus(t, w.send("PUT "+at+"?attributes=id\n\n"+large), 200)
		out := &discard{header: http.Header{}}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tenantURL+at, nil)
		r.Header.Set("Authorization", "Bearer "+w.token)
		w.handler.ServeHTTP(out, r)
		if out.bytes < 1<<20 || out.largest > 64<<10 {
			t.Errorf("got %d bytes in pieces of up to %d", out.bytes, out.largest)
		}
	})
}

// discard counts the bytes of an answer and keeps none.
type discard struct {
	header         http.Header
	bytes, largest int
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(int)     {}
func (d *discard) Write(p []byte) (int, error) {
	d.bytes += len(p)
	d.largest = max(d.largest, len(p))
	return len(p), nil
}

func TestNeverAgainWithGroups(t *testing.T) {
	t.Parallel()
	patch := func(w *world, operation string) *httptest.ResponseRecorder {
		return w.send("PATCH /Groups/u-4\n\n" + `{"schemas":["` + scim.PatchOpURN + `"],"Operations":[` + operation + `]}`)
	}
	team := func(t *testing.T) *world {
		w := newWorld(t, site.Full)
		w.bring(`{"userName":"a"}`, `{"userName":"b"}`, `{"userName":"c"}`)
		w.bringGroups(`{"displayName":"Team","members":[{"value":"u-1"},{"value":"u-2"}]}`)
		return w
	}
	ids := func(t *testing.T, w *world) (list []string) {
		members, _ := w.getAt(t, "/Groups/u-4")["members"].([]any)
		for _, m := range members {
			list = append(list, fmt.Sprint(m.(map[string]any)["value"]))
		}
		return list
	}

	t.Run("removing_a_list_of_members_leaves_the_others", func(t *testing.T) {
		t.Parallel()
		w := team(t)
		wantStatus(t, patch(w, `{"op":"Remove","path":"members","value":[{"value":"u-1"}]}`), 204)
		if diff := cmp.Diff(ids(t, w), []string{"u-2"}); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("replacing_members_by_an_empty_list_empties_the_group", func(t *testing.T) {
		t.Parallel()
		w := team(t)
		wantStatus(t, patch(w, `{"op":"replace","path":"members","value":[]}`), 204)
		if got := ids(t, w); got != nil {
			t.Errorf("got %v", got)
		}
	})

	t.Run("removing_members_without_a_value_empties_the_group", func(t *testing.T) {
		t.Parallel()
		w := team(t)
		wantStatus(t, patch(w, `{"op":"remove","path":"members"}`), 204)
		if got := ids(t, w); got != nil {
			t.Errorf("got %v", got)
		}
	})

	t.Run("two_additions_at_the_same_moment_both_survive", func(t *testing.T) {
		t.Parallel()
		w := team(t)
		more := w.bringMany(8)[3:] // the first three were there
		var wg sync.WaitGroup
		for _, id := range more {
			wg.Go(func() {
				if got := patch(w, `{"op":"add","path":"members","value":[{"value":"`+id+`"}]}`); got.Code != 204 {
					t.Errorf("got %d", got.Code)
				}
			})
		}
		wg.Wait()
		if got := len(ids(t, w)); got != 10 {
			t.Errorf("got %d members, want 10", got)
		}
	})

	t.Run("a_group_sent_again_is_409", func(t *testing.T) {
		t.Parallel()
		w := team(t)
		wantError(t, w.send("POST /Groups\n\n"+`{"schemas":["`+scim.GroupURN+`"],"displayName":"TEAM"}`), 409, "uniqueness")
	})

	t.Run("no_site_sees_the_groups_of_another", func(t *testing.T) {
		t.Parallel()
		w := team(t)
		globex, token, _ := w.newSite("globex", site.Full)
		w.site = globex
		stranger := w.bring(`{"userName":"stranger"}`)[0].ID
		at, auth := "=/c/globex/auth/scim/v2", "\nAuthorization: Bearer "+token
		wantStatus(t, w.send("GET "+at+"/Groups/u-4"+auth), 404)
		wantStatus(t, w.send("DELETE "+at+"/Groups/u-4"+auth), 404)
		if list := body(t, w.send("GET "+at+"/Groups"+auth)); list["totalResults"] != 0.0 {
			t.Errorf("globex lists %v groups of acme", list["totalResults"])
		}
		// A user of one site cannot become a member in another.
		made := body(t, w.send("POST "+at+"/Groups"+auth+"\n\n"+`{"schemas":["`+scim.GroupURN+`"],"displayName":"Team","members":[{"value":"u-1"},{"value":"`+stranger+`"}]}`))
		if members, _ := made["members"].([]any); len(members) != 1 {
			t.Errorf("got members %v, want globex's own alone", members)
		}
	})

	t.Run("a_deleted_user_is_in_no_group", func(t *testing.T) {
		t.Parallel()
		w := team(t)
		wantStatus(t, w.send("DELETE /Users/u-1"), 204)
		if diff := cmp.Diff(ids(t, w), []string{"u-2"}); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("a_deactivated_user_stays_in_the_groups", func(t *testing.T) {
		t.Parallel()
		w := team(t)
		wantStatus(t, w.send(setActive("false")), 200)
		if diff := cmp.Diff(ids(t, w), []string{"u-1", "u-2"}); diff != "" {
			t.Error(diff)
		}
	})
}

// TestPuttingBackWhatWasReadChangesNothing creates resources of every shape and sends their own
// representation back.
func TestPuttingBackWhatWasReadChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	people := w.bring(`{"userName":"one"}`, `{"userName":"two"}`, `{"userName":"three"}`)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		text := rapid.StringMatching(`[a-zA-Zäß "\\/<>&,:{}\[\]']{0,12}[a-z]`)
		maybe := func(name, value string) string {
			if rapid.Bool().Draw(t, name) {
				return ""
			}
			return "," + fmt.Sprintf("%q:%s", name, value)
		}
		quoted := func(name string) string { return fmt.Sprintf("%q", text.Draw(t, name)) }
		var at, doc string
		if rapid.Bool().Draw(t, "group") {
			at = "/Groups"
			var members []string
			for _, p := range people {
				if rapid.Bool().Draw(t, "member") {
					members = append(members, p.ID)
				}
			}
			doc = fmt.Sprintf(`{"schemas":[%q],"displayName":"g%d"`, scim.GroupURN, n) +
				maybe("externalId", quoted("externalId")) + maybe("members", "["+memberList(members)+"]") + "}"
		} else {
			at = "/Users"
			doc = fmt.Sprintf(`{"schemas":[%q,%q],"userName":"u%d"`, scim.UserURN, scim.EnterpriseURN, n) +
				maybe("externalId", quoted("externalId")) + maybe("displayName", quoted("displayName")) + maybe("title", quoted("title")) +
				maybe("active", fmt.Sprint(rapid.Bool().Draw(t, "active"))) + maybe("name", `{"givenName":`+quoted("given")+`}`) +
				maybe("emails", fmt.Sprintf(`[{"type":"work","value":%s,"primary":true},{"type":"home","value":%s}]`, quoted("work"), quoted("home"))) +
				maybe("password", quoted("password")) + maybe("userType", quoted("userType")) +
				maybe(scim.EnterpriseURN, `{"department":`+quoted("department")+`,"manager":{"value":`+quoted("manager")+`}}`) + "}"
		}
		made := w.send("POST " + at + "\n\n" + doc)
		if made.Code != 201 {
			t.Fatalf("got %d: %s", made.Code, made.Body)
		}
		location := made.Header().Get("Location")
		path := location[strings.Index(location, at):]
		read := w.send("GET " + path)
		put := w.send("PUT " + path + "\n\n" + read.Body.String())
		again := w.send("GET " + path)
		if put.Code != 200 || put.Header().Get("ETag") != made.Header().Get("ETag") || put.Body.String() != read.Body.String() || again.Body.String() != read.Body.String() {
			t.Errorf("PUT of\n%s\ngot %d %s\n%s", read.Body, put.Code, put.Header().Get("ETag"), put.Body)
		}
	})
}
