package scimserver_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// shown is what a client remembers of a resource: its version and the rest of the body.
type shown struct{ etag, body string }

// TestVersionProperty reads users again and again with the version of the last answer, while
// memberships, groups and users change. 304 must mean that nothing in the body changed, and 200
// that something did.
func TestVersionProperty(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db, site.Full)
		round := 0
		rapid.Check(t, func(rt *rapid.T) {
			round++
			name := fmt.Sprintf("round-%d", round)
			made, token, _ := w.newSite(name, site.Full)
			send := func(method, path, headers, body string) (code int, etag, answer string) {
				got := w.send(method + " =/c/" + name + "/auth/scim/v2" + path + "\nAuthorization: Bearer " + token + headers + "\n\n" + body)
				if got.Code >= 400 {
					rt.Fatalf("%s %s%s: %d %s", method, path, headers, got.Code, got.Body)
				}
				return got.Code, got.Header().Get("ETag"), got.Body.String()
			}
			create := func(path, body string) (id string) {
				_, _, answer := send("POST", path, "", body)
				var r struct{ ID string }
				if err := json.Unmarshal([]byte(answer), &r); err != nil {
					rt.Fatal(err)
				}
				return r.ID
			}
			patch := func(path, op string) {
				send("PATCH", path, "", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+op+`]}`)
			}
			var users, groups []string
			for i := range 2 {
				users = append(users, create("/Users", fmt.Sprintf(`{"userName":"u%d"}`, i)))
				groups = append(groups, create("/Groups", fmt.Sprintf(`{"displayName":"g%d"}`, i)))
			}
			views := []string{"", "?attributes=groups", "?attributes=meta", "?attributes=userName,title", "?excludedAttributes=groups"}
			kept := map[string]shown{}
			check := func() {
				for _, user := range users {
					for _, view := range views {
						path := "/Users/" + user + view
						_, etag, body := send("GET", path, "", "")
						now := shown{etag, body}
						if !strings.Contains(view, "attributes") || strings.Contains(view, "meta") {
							if quoted, _ := json.Marshal(etag); !strings.Contains(body, `"version":`+string(quoted)) {
								rt.Fatalf("%s: ETag %s and another meta.version: %s", path, etag, body)
							}
						}
						if had, is := kept[path]; is {
							code, again, _ := send("GET", path, "\nIf-None-Match: "+had.etag, "")
							if same := had == now; same != (code == 304) || again != etag {
								rt.Fatalf("%s with %s: %d and %s\nhad %s\nnow %s %s", path, had.etag, code, again, had.body, etag, body)
							}
						}
						kept[path] = now
					}
				}
				whole := kept["/Users/"+users[0]]
				for _, list := range []string{"/Users?filter=id+eq+%22" + users[0] + "%22", "/Users?cursor&count=1", "/?count=1"} {
					if _, _, body := send("GET", list, "", ""); !strings.Contains(body, whole.body) {
						rt.Fatalf("%s: %s\nhas not %s", list, body, whole.body)
					}
				}
			}
			check()
			for step := range rapid.IntRange(1, 6).Draw(rt, "steps") {
				user, group := rapid.SampledFrom(users).Draw(rt, "user"), rapid.SampledFrom(groups).Draw(rt, "group")
				switch rapid.IntRange(0, 5).Draw(rt, "change") {
				case 0, 1:
					patch("/Groups/"+group, `{"op":"add","path":"members","value":[{"value":"`+user+`"}]}`)
				case 2:
					patch("/Groups/"+group, `{"op":"remove","path":"members[value eq \"`+user+`\"]"}`)
				case 3:
					patch("/Groups/"+group, fmt.Sprintf(`{"op":"replace","path":"displayName","value":"%s-%d"}`, group, step))
				case 4:
					had := kept["/Users/"+user]
					send("PATCH", "/Users/"+user, "\nIf-Match: "+had.etag, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":"%d"}]}`, step))
				case 5:
					send("PUT", "/Groups/"+group, "", fmt.Sprintf(`{"displayName":"%s","members":[{"value":"%s"}]}`, group, user))
				}
				check()
			}
			// A membership does not change the user: nothing of the user was written.
			for _, user := range users {
				before, err := w.rosters.Open(made).Get(w.ctx(), roster.User, user)
				if err != nil {
					rt.Fatal(err)
				}
				patch("/Groups/"+groups[0], `{"op":"add","path":"members","value":[{"value":"`+user+`"}]}`)
				after, err := w.rosters.Open(made).Get(w.ctx(), roster.User, user)
				if err != nil || after.Version != before.Version || string(after.JSON) != string(before.JSON) {
					rt.Fatalf("got %s, %v; want %s", after.JSON, err, before.JSON)
				}
			}
		})
	})
}

func TestVersionWithoutGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	w.bring(`{"userName":"ada@acme.test"}`)
	w.bringGroups(`{"displayName":"Team","members":[{"value":"u-1"}]}`)
	had := w.send("GET /Users/u-1").Header().Get("ETag")
	if !strings.HasPrefix(had, `W/"1.`) {
		t.Fatalf("got ETag %s, want one with a digest", had)
	}
	wantStatus(t, w.send("GET /Users/u-1\nIf-None-Match: "+had), 304)
	w.set(func(s *site.Site) { s.Groups = false })
	t.Run("the_groups_have_gone_from_the_answer", func(t *testing.T) {
		got := w.send("GET /Users/u-1\nIf-None-Match: " + had)
		wantStatus(t, got, 200)
		if etag := got.Header().Get("ETag"); etag != `W/"1"` || strings.Contains(got.Body.String(), "groups") {
			t.Errorf("got %s %s", etag, got.Body)
		}
	})
	t.Run("a_filter_sees_the_version_that_is_shown", func(t *testing.T) {
		for version, want := range map[string]float64{`1`: 1, strings.Trim(had, `W/"`): 0} {
			list := body(t, w.send("GET /Users?filter=meta.version+eq+%22W/%5C%22"+version+"%5C%22%22"))
			if list["totalResults"] != want {
				t.Errorf("%s: got %v, want %v", version, list["totalResults"], want)
			}
		}
	})
	t.Run("what_never_had_groups_is_the_same", func(t *testing.T) {
		wantStatus(t, w.send("GET /Users/u-1?attributes=userName\nIf-None-Match: "+had), 304)
	})
	t.Run("a_change_for_a_version_with_groups_is_made", func(t *testing.T) {
		got := w.send("PATCH /Users/u-1\nIf-Match: " + had + "\n\n" + `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":"Lead"}]}`)
		wantStatus(t, got, 200)
		if etag := got.Header().Get("ETag"); etag != `W/"2"` {
			t.Errorf("got %s", etag)
		}
	})
}
