package scimserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/scimserver"
	"github.com/rollcall-scim/rollcall/site"
)

// Defects that public reports tell of in other servers, each with a test of its own.
// docs/security.md lists them all, with those that are exchanges in testdata or stand in other
// files.

func TestNeverAgain(t *testing.T) {
	t.Parallel()

	t.Run("filter_text_may_hold_and_and_brackets_inside_quotes", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, site.Documented)
		w.bring(`{"userName":"odd","displayName":"a] and (b) or \"c\" eq \\d"}`, `{"userName":"other","displayName":"a"}`)
		ids := w.find(t, `displayName eq "a] and (b) or \"c\" eq \\d" and userName pr`)
		if diff := cmp.Diff(ids, []string{"u-1"}); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("and_binds_tighter_than_or", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, site.Documented)
		w.bring(`{"userName":"a"}`, `{"userName":"b","title":"x"}`, `{"userName":"c"}`)
		ids := w.find(t, `userName eq "a" or userName eq "b" and title eq "y"`)
		if diff := cmp.Diff(ids, []string{"u-1"}); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("ten_thousand_parentheses_are_refused_quickly", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, site.Documented)
		for _, n := range []int{1_000, 10_000} {
			filter := strings.Repeat("(", n) + `userName eq "a"` + strings.Repeat(")", n)
			wantError(t, w.send("GET /Users?filter="+url.QueryEscape(filter)), 400, "invalidFilter")
			search, err := json.Marshal(map[string]any{"schemas": []string{scim.SearchRequestURN}, "filter": filter})
			if err != nil {
				t.Fatal(err)
			}
			wantError(t, w.send("POST /Users/.search\n\n"+string(search)), 400, "invalidFilter")
		}
	})

	t.Run("deep_JSON_is_refused", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, site.Full)
		deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
		wantError(t, w.send(`POST /Users`+"\n\n"+`{"schemas":["`+scim.UserURN+`"],"userName":"a","emails":`+deep+`}`), 400, "invalidSyntax")
		wantError(t, w.send(`POST /Users/.search`+"\n\n"+`{"filter":`+deep+`}`), 400, "invalidSyntax")
	})

	t.Run("no_site_sees_the_people_of_another", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, site.Full)
		w.bring(`{"userName":"ada@acme.test","externalId":"42"}`)
		_, token, _ := w.newSite("globex", site.Full)
		auth := "\nAuthorization: Bearer " + token
		globex := "=/c/globex/auth/scim/v2"
		if total := body(t, w.send("GET "+globex+"/Users?filter=userName+eq+%22ada@acme.test%22"+auth))["totalResults"]; total != 0.0 {
			t.Errorf("globex finds %v of acme's people", total)
		}
		wantStatus(t, w.send("GET "+globex+"/Users/u-1"+auth), 404)
		wantStatus(t, w.send("PUT "+globex+"/Users/u-1"+auth+"\n\n"+`{"schemas":["`+scim.UserURN+`"],"userName":"x"}`), 404)
		wantStatus(t, w.send("PATCH "+globex+"/Users/u-1"+auth+"\n\n"+`{"schemas":["`+scim.PatchOpURN+`"],"Operations":[{"op":"replace","path":"active","value":false}]}`), 404)
		wantStatus(t, w.send("DELETE "+globex+"/Users/u-1"+auth), 404)
		// The same userName is free on that site.
		wantStatus(t, w.send("POST "+globex+"/Users"+auth+"\n\n"+`{"schemas":["`+scim.UserURN+`"],"userName":"ada@acme.test"}`), 201)
		if active := w.get(t, "u-1")["active"]; active != true {
			t.Errorf("acme's user was changed: active is %v", active)
		}
	})

	t.Run("an_externalId_never_selects_by_the_id_of_a_row", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, site.Full)
		w.bring(`{"userName":"first"}`, `{"userName":"second","externalId":"u-1"}`, `{"userName":"third","externalId":"1"}`)
		if ids := w.find(t, `externalId eq "u-1"`); fmt.Sprint(ids) != "[u-2]" {
			t.Errorf("got %v, want [u-2]", ids)
		}
		if name := w.get(t, "u-1")["userName"]; name != "first" {
			t.Errorf("got %v by id, want first", name)
		}
		wantStatus(t, w.send("GET /Users/1"), 404)
	})

	t.Run("two_changes_at_the_same_moment_both_survive", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, site.Documented)
		w.bring(`{"userName":"ada"}`)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				w.send(fmt.Sprintf("PATCH /Users/u-1\n\n"+`{"schemas":[%q],"Operations":[{"op":"add","path":"emails","value":[{"type":"t%d","value":"%d@acme.test"}]}]}`, scim.PatchOpURN, i, i))
			})
		}
		wg.Wait()
		if emails, _ := w.get(t, "u-1")["emails"].([]any); len(emails) != 8 {
			t.Errorf("got %d addresses after 8 additions at once", len(emails))
		}
	})

	t.Run("a_create_sent_again_makes_one_user", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, site.Full)
		var wg sync.WaitGroup
		codes := make([]int, 6)
		for i := range codes {
			wg.Go(func() {
				codes[i] = w.send("POST /Users\n\n" + `{"schemas":["` + scim.UserURN + `"],"userName":"ada@acme.test"}`).Code
			})
		}
		wg.Wait()
		made := 0
		for _, code := range codes {
			switch code {
			case 201:
				made++
			case 409:
			default:
				t.Errorf("got %d, want 201 or 409", code)
			}
		}
		if made != 1 || len(w.holds()) != 1 {
			t.Errorf("got %d answers 201 and %d users, want 1 and 1", made, len(w.holds()))
		}
	})

	t.Run("putting_back_what_was_read_changes_nothing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, site.Full)
		w.bring(`{"userName":"ada","externalId":"a1","name":{"givenName":"Ada"},"emails":[{"type":"work","value":"a@x","primary":true}],"` + scim.EnterpriseURN + `":{"department":"R&D"}}`)
		read := w.send("GET /Users/u-1")
		etag, text := read.Header().Get("ETag"), read.Body.String()
		put := w.send("PUT /Users/u-1\n\n" + text)
		wantStatus(t, put, 200)
		if diff := cmp.Diff(put.Body.String(), text); diff != "" {
			t.Error(diff)
		}
		if put.Header().Get("ETag") != etag {
			t.Errorf("got ETag %s, want %s", put.Header().Get("ETag"), etag)
		}
	})

	t.Run("itemsPerPage_is_what_was_returned", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, site.Documented)
		w.bring(`{"userName":"a"}`, `{"userName":"b"}`, `{"userName":"c"}`)
		list := body(t, w.send("GET /Users?startIndex=3&count=100"))
		if list["itemsPerPage"] != 1.0 || list["totalResults"] != 3.0 || list["startIndex"] != 3.0 {
			t.Errorf("got %v", list)
		}
	})

	t.Run("a_password_makes_no_login_and_is_nowhere", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, site.Full)
		w.send("POST /Users\n\n" + `{"schemas":["` + scim.UserURN + `"],"userName":"ada","password":"hunter2-hunter2"}`)
		seen := strings.Join(w.holds(), "") + fmt.Sprintf("%+v", w.requests()) + w.send("GET /Users/u-1?attributes=password").Body.String()
		if strings.Contains(seen, "hunter2") {
			t.Error("the password was kept")
		}
	})
}

func TestBodyLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	create := func(padding int) string {
		return `{"schemas":["` + scim.UserURN + `"],"userName":"ada","title":"` + strings.Repeat("x", padding) + `"}`
	}
	t.Run("one_byte_too_many_is_413", func(t *testing.T) {
		over := create(scimserver.MaxBody - len(create(0)) + 1)
		wantError(t, w.send("POST /Users\n\n"+over), 413, "")
	})
	t.Run("a_body_of_unknown_length_is_413_too", func(t *testing.T) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, tenantURL+"/Users", struct{ *bytes.Reader }{bytes.NewReader(make([]byte, 2*scimserver.MaxBody))})
		r.ContentLength = -1
		r.Header.Set("Authorization", "Bearer "+w.token)
		wantError(t, w.serve(r), 413, "")
	})
	t.Run("a_body_at_the_limit_is_read", func(t *testing.T) {
		wantStatus(t, w.send("POST /Users\n\n"+create(scimserver.MaxBody-len(create(0)))), 201)
	})
	t.Run("a_body_that_breaks_off_is_400", func(t *testing.T) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, tenantURL+"/Users", brokenReader{})
		r.Header.Set("Authorization", "Bearer "+w.token)
		wantStatus(t, w.serve(r), 400)
	})
	t.Run("a_byte_order_mark_is_tolerated", func(t *testing.T) {
		wantStatus(t, w.send("POST /Users\n\n\ufeff"+`{"schemas":["`+scim.UserURN+`"],"userName":"bom"}`), 201)
		wantStatus(t, w.send("POST /Users/.search\n\n\ufeff"+`{"filter":"userName eq \"bom\""}`), 200)
	})
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// brokenStore is a store whose database fails.
type brokenStore struct {
	roster.Store
	panics bool
}

func (s brokenStore) GetWithGroups(context.Context, site.ID, scim.TypeName, string) (roster.Document, []roster.Membership, error) {
	if s.panics {
		panic("index out of range [7] in the store")
	}
	return roster.Document{}, nil, errors.New("dial tcp 10.1.2.3:5432: secret detail")
}

func TestWhatBreaksOnOurSide(t *testing.T) {
	t.Parallel()
	for name, panics := range map[string]bool{"an_error_that_is_not_the_clients": false, "a_panic": true} {
		t.Run(name+"_is_500_with_the_number_of_the_request", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, site.Full)
			w.handler.Rosters = &roster.Rosters{Store: brokenStore{w.rosters.Store, panics}, Now: w.clock, NewID: w.newID("u")}
			got := w.send("GET /Users/u-1\nX-Request-Id: r123")
			wantStatus(t, got, 500)
			text := got.Body.String()
			if !strings.Contains(text, "r123") || strings.Contains(text, "secret") || strings.Contains(text, "index") {
				t.Errorf("got %s", text)
			}
			rows := w.requests()
			if last := rows[len(rows)-1]; last.Status != 500 || !strings.Contains(text, last.Sentence) {
				t.Errorf("the request log has %+v", last)
			}
		})
	}
}

func TestErrorDetailIsTheSentenceOfTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Documented)
	for _, text := range []string{
		"GET /Users/nobody", "GET /Users?filter=x", "POST /Users\n\n{}", "POST /Groups\n\n{}", "GET /nowhere", "TRACE /Users", "GET /Users/a%2fb",
	} {
		detail := body(t, w.send(text))["detail"]
		rows := w.requests()
		if last := rows[len(rows)-1]; last.Sentence != detail {
			t.Errorf("%s: got the sentence %q in the log and the detail %q in the answer", text, last.Sentence, detail)
		}
	}
}

func TestReadsAreGatheredAndWritesAreLoggedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Documented)
	w.bring(`{"userName":"ada"}`)
	logged := func() int {
		rows, _, err := w.requestLog.Page(w.ctx(), w.site.ID, requestlog.Query{})
		if err != nil {
			t.Fatal(err)
		}
		return len(rows)
	}
	w.send("GET /Users/u-1")
	w.send(`POST /Users/.search` + "\n\n" + `{"filter":"userName eq \"ada\""}`)
	if n := logged(); n != 0 {
		t.Errorf("got %d rows for two reads before the flush", n)
	}
	w.send("PATCH /Users/u-1\n\n" + `{"schemas":["` + scim.PatchOpURN + `"],"Operations":[{"op":"replace","path":"active","value":false}]}`)
	w.send("GET /Users/nobody")
	w.send("GET /Users/u-1\nAuthorization: none")
	if n := logged(); n != 2 {
		t.Errorf("got %d rows at once for a write, a refusal, and one for a missing token, want 2: who has no token must not make the disk wait", n)
	}
	rows := w.requests()
	if len(rows) != 5 {
		t.Fatalf("got %d rows after the flush, want 5", len(rows))
	}
	patch := rows[2]
	want := requestlog.Request{
		ID: patch.ID, Time: patch.Time, Site: w.site.ID, TokenID: w.tokenID, TokenLast4: w.token[len(w.token)-4:],
		Method: "PATCH", Path: "/Users/u-1", Status: 200, UserName: "ada", Subject: "u-1", Sentence: "Deactivated", Remote: "192.0.2.7",
	}
	if diff := cmp.Diff(patch, want); diff != "" {
		t.Error(diff)
	}
}

func TestRefusedTokenIsLoggedForItsSiteWithoutTheToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Documented)
	wrong := "rollcall_" + strings.Repeat("A", 45) + "wxyz"
	wantStatus(t, w.send("GET /Users\nAuthorization: Bearer "+wrong), 401)
	wantStatus(t, w.send("GET /Users\nAuthorization: Bearer short"), 401)
	wantStatus(t, w.send("GET /Users?access_token="+wrong+"\nAuthorization: none"), 401)
	rows := w.requests()
	if len(rows) != 3 || rows[0].TokenLast4 != "wxyz" || rows[0].TokenID != "" || rows[0].Status != 401 || rows[1].TokenLast4 != "" {
		t.Errorf("got %+v", rows)
	}
	if text := fmt.Sprintf("%+v", rows); strings.Contains(text, wrong) || strings.Contains(text, "short") {
		t.Errorf("the request log holds the token: %s", text)
	}
}

func TestCallsWithoutATokenDoNotFillTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Documented)
	for range 300 {
		wantStatus(t, w.send("DELETE /Users/u-1\nAuthorization: none"), 401)
	}
	if n := len(w.requests()); n != 100 {
		t.Errorf("got %d rows of 300 calls without a token within one flush, want 100", n)
	}
	wantStatus(t, w.send("DELETE /Users/u-1\nAuthorization: none"), 401)
	if n := len(w.requests()); n != 101 {
		t.Errorf("got %d rows after the next one, want 101", n)
	}
}

func TestEndedTokensAreRefusedByTheNextRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Documented)
	wantStatus(t, w.send("GET /Users"), 200)
	if err := w.sites.RevokeToken(w.ctx(), w.site.ID, w.tokenID, "cli"); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, w.send("GET /Users"), 401)

	_, expiring, err := w.sites.CreateToken(w.ctx(), w.site.ID, site.TokenRequest{Actor: "cli", Expires: w.clock().Add(90 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	w.token = expiring
	wantStatus(t, w.send("GET /Users"), 200) // a minute later
	wantStatus(t, w.send("GET /Users"), 401) // two minutes later
}
