package requestlog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

func (f fixture) page(t *testing.T, q requestlog.Query) ([]requestlog.Request, string) {
	t.Helper()
	rows, next, err := f.requests.Page(t.Context(), f.acme.ID, q)
	if err != nil {
		t.Fatal(err)
	}
	return rows, next
}

func (f fixture) paths(t *testing.T, q requestlog.Query) []string {
	t.Helper()
	rows, _ := f.page(t, q)
	var paths []string
	for _, r := range rows {
		paths = append(paths, r.Path)
	}
	return paths
}

func TestRequestLog(t *testing.T) {
	t.Run("a_written_row_is_there_at_once_and_whole", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			token, _ := f.token(t, site.TokenRequest{})
			want := requestlog.Request{
				Time: f.clock.Now().Add(time.Minute), Site: f.acme.ID, TokenID: token.ID, TokenLast4: token.Last4,
				Method: "PATCH", Path: "/Users/7?x=1", Status: 200, Duration: 38 * time.Millisecond,
				UserName: "ada@acme.test", Subject: "7", Sentence: "Deactivated · 2 sessions ended",
				Fixes: []string{`text-boolean active: "False" read as false`}, Ignored: []string{"nickname: unknown"}, Remote: "20.1.2.3",
			}
			if err := f.requests.Write(t.Context(), want); err != nil {
				t.Fatal(err)
			}
			got, next := f.page(t, requestlog.Query{})
			if diff := cmp.Diff(got, []requestlog.Request{want}, cmpopts.IgnoreFields(requestlog.Request{}, "ID")); diff != "" || next != "" {
				t.Errorf("next %q, got - want +\n%s", next, diff)
			}
			tokens, err := f.sites.Tokens(t.Context(), f.acme.ID)
			if err != nil || !tokens[0].LastUsed.Equal(want.Time) || tokens[0].LastFrom != "20.1.2.3" {
				t.Errorf("got %+v, %v; want its last use", tokens, err)
			}
		})
	})
	t.Run("gathered_rows_come_with_the_flush", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			token, _ := f.token(t, site.TokenRequest{})
			log := f.requests
			for i := range 3 {
				f.clock.add(time.Second)
				log.Gather(requestlog.Request{Site: f.acme.ID, TokenID: token.ID, Method: "GET", Path: fmt.Sprintf("/Users/%d", i), Status: 200})
			}
			if got := f.paths(t, requestlog.Query{}); got != nil {
				t.Errorf("before the flush: got %v", got)
			}
			if err := log.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(f.paths(t, requestlog.Query{}), []string{"/Users/2", "/Users/1", "/Users/0"}); diff != "" {
				t.Error(diff)
			}
			tokens, err := f.sites.Tokens(t.Context(), f.acme.ID)
			if err != nil || !tokens[0].LastUsed.Equal(f.clock.Now()) {
				t.Errorf("got %+v, %v; want the last of its uses", tokens, err)
			}
		})
	})
	t.Run("a_stopping_server_flushes", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			log := f.requests
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- log.Run(ctx) }()
			log.Gather(requestlog.Request{Site: f.acme.ID, Method: "GET", Path: "/Users", Status: 200})
			stop()
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(f.paths(t, requestlog.Query{}), []string{"/Users"}); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("more_than_the_buffer_holds_is_written_early_and_none_is_dropped", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			log := f.requests
			log.Reads.Burst = 100_000
			const n = 10_500
			for range n {
				log.Gather(requestlog.Request{Site: f.acme.ID, Method: "GET", Path: "/Users", Status: 200})
			}
			count := func() (total int) {
				for q := (requestlog.Query{Limit: 500}); ; {
					rows, next := f.page(t, q)
					total += len(rows)
					if next == "" {
						return total
					}
					q.Before = next
				}
			}
			if early := count(); early == 0 || early == n {
				t.Errorf("%d of %d rows were written before the flush", early, n)
			}
			if err := log.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := count(); got != n {
				t.Errorf("got %d rows, want %d", got, n)
			}
		})
	})
	t.Run("what_could_not_be_written_is_written_later", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			broken := &failingStore{Store: store.RequestLogs{DB: f.db}, failing: true}
			f.requests.Store = broken
			log := f.requests
			log.Gather(requestlog.Request{Site: f.acme.ID, Method: "GET", Path: "/1", Status: 200})
			if err := log.Flush(t.Context()); !errors.Is(err, errDisk) {
				t.Fatalf("got %v, want the store's error", err)
			}
			f.clock.add(time.Second)
			log.Gather(requestlog.Request{Site: f.acme.ID, Method: "GET", Path: "/2", Status: 200})
			broken.failing = false
			if err := log.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(f.paths(t, requestlog.Query{}), []string{"/2", "/1"}); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("more_than_a_bound_that_cannot_be_written_is_counted", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			broken := &failingStore{Store: store.RequestLogs{DB: f.db}, failing: true}
			f.requests.Store = broken
			log := f.requests
			log.Reads.Burst = 100_000
			tries := 0
			log.Failed = func(error) { tries++ }
			for range 12_345 {
				log.Gather(requestlog.Request{Site: f.acme.ID, Method: "GET", Path: "/Users", Status: 200})
			}
			if tries != 1 {
				t.Errorf("the writer was tried %d times by reads, want once", tries)
			}
			if kept := log.Counts().Gathered; kept != 10_000 {
				t.Errorf("%d rows are in memory", kept)
			}
			broken.failing = false
			if err := log.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			rows, _, err := f.requests.Page(t.Context(), f.acme.ID, requestlog.Query{Search: "missing here"})
			if err != nil || len(rows) != 1 || !strings.HasPrefix(rows[0].Sentence, "2345 requests from ") {
				t.Errorf("got %+v, %v, want one row that counts 2345", rows, err)
			}
			log.Gather(requestlog.Request{Site: f.acme.ID, Method: "GET", Path: "/later", Status: 200})
			if err := log.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if rows, _, err = f.requests.Page(t.Context(), f.acme.ID, requestlog.Query{Limit: 1}); err != nil || rows[0].Path != "/later" {
				t.Errorf("afterwards: got %+v, %v", rows, err)
			}
		})
	})
	t.Run("reads_beyond_the_bound_of_a_site_are_counted_and_changes_never", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			ctx, log, other := t.Context(), f.requests, f.create(t, "other")
			token, _ := f.token(t, site.TokenRequest{})
			log.Reads = requestlog.ReadBound{Burst: 100, PerSecond: 10}
			send := func(of site.ID, method string, status, n int) {
				t.Helper()
				for range n {
					r := requestlog.Request{Site: of, TokenID: token.ID, Method: method, Path: "/Users", Status: status}
					if method == "GET" && status < 400 {
						log.Gather(r)
					} else if err := log.Write(ctx, r); err != nil {
						t.Fatal(err)
					}
				}
			}
			found := func(of site.ID) map[string]int {
				t.Helper()
				if err := log.Flush(ctx); err != nil {
					t.Fatal(err)
				}
				rows, _, err := f.requests.Page(ctx, of, requestlog.Query{Limit: 500})
				if err != nil {
					t.Fatal(err)
				}
				n := map[string]int{}
				for _, r := range rows {
					if what, _, summary := strings.Cut(r.Sentence, " are not listed"); summary {
						n[what]++
						continue
					}
					n[fmt.Sprint(r.Method, r.Status)]++
				}
				return n
			}
			send(f.acme.ID, "GET", 200, 90)
			send(f.acme.ID, "GET", 404, 30)
			send(f.acme.ID, "PATCH", 429, 7)
			send(f.acme.ID, "PATCH", 200, 120)
			send(f.acme.ID, "POST", 400, 40)
			send(other.ID, "GET", 200, 50)
			if diff := cmp.Diff(map[string]int{"GET200": 90, "GET404": 10, "PATCH200": 120, "POST400": 40, "27 more reads": 1}, found(f.acme.ID)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(map[string]int{"GET200": 50}, found(other.ID)); diff != "" {
				t.Error(diff)
			}
			f.clock.add(2 * time.Second)
			send(f.acme.ID, "GET", 200, 25)
			if diff := cmp.Diff(map[string]int{"GET200": 110, "GET404": 10, "PATCH200": 120, "POST400": 40, "27 more reads": 1, "5 more reads": 1}, found(f.acme.ID)); diff != "" {
				t.Errorf("two seconds later: %s", diff)
			}
			tokens, err := f.sites.Tokens(ctx, f.acme.ID)
			if err != nil || !tokens[0].LastUsed.Equal(f.clock.Now()) {
				t.Errorf("the last use of the token is %v, %v", tokens, err)
			}
		})
	})
	t.Run("rows_of_a_site_that_is_gone_hold_nothing_up", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			log := f.requests
			log.Gather(requestlog.Request{Site: "gone", Method: "GET", Path: "/lost", Status: 200})
			log.Gather(requestlog.Request{Site: f.acme.ID, Method: "GET", Path: "/kept", Status: 200})
			if err := log.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(f.paths(t, requestlog.Query{}), []string{"/kept"}); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("requests_without_a_token_are_kept_within_bounds", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			log := f.requests
			for range 300 {
				for _, name := range []string{"acme", "nobody", "\x00"} {
					if err := log.GatherRefused(t.Context(), name, requestlog.Request{Method: "GET", Path: "/Users", Status: 401}); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := log.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if rows, _ := f.page(t, requestlog.Query{Limit: 500}); len(rows) == 0 || len(rows) > 100 {
				t.Errorf("got %d rows, want some and at most 100", len(rows))
			}
			if err := log.GatherRefused(t.Context(), "acme", requestlog.Request{Method: "GET", Path: "/later", Status: 401}); err != nil {
				t.Fatal(err)
			}
			if err := log.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := f.paths(t, requestlog.Query{Limit: 500}); !slices.Contains(got, "/later") {
				t.Errorf("the next flush takes none: got %d rows", len(got))
			}
		})
	})
	t.Run("whoever_goes_on_without_a_token_gets_one_row_for_each_flush", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			log := f.requests
			for range 5 {
				for range 100 {
					if err := log.GatherRefused(t.Context(), "acme", requestlog.Request{Method: "GET", Path: "/Users", Status: 401}); err != nil {
						t.Fatal(err)
					}
				}
				if err := log.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if rows, _ := f.page(t, requestlog.Query{Limit: 500}); len(rows) != 104 {
				t.Errorf("got %d rows, want 104", len(rows))
			}
			for range 100 {
				if err := log.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for range 100 {
				if err := log.GatherRefused(t.Context(), "acme", requestlog.Request{Method: "GET", Path: "/Users", Status: 401}); err != nil {
					t.Fatal(err)
				}
			}
			if err := log.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if rows, _ := f.page(t, requestlog.Query{Limit: 500}); len(rows) != 204 {
				t.Errorf("after a while of quiet got %d rows, want 204", len(rows))
			}
		})
	})
	t.Run("strangers_hide_no_call_with_a_token_that_has_ended", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			log := f.requests
			for range 300 {
				if err := log.GatherRefused(t.Context(), "acme", requestlog.Request{Method: "GET", Path: "/stranger", Status: 401}); err != nil {
					t.Fatal(err)
				}
			}
			for range 300 {
				if err := log.GatherRefused(t.Context(), "acme", requestlog.Request{Method: "GET", Path: "/ended", Status: 401, TokenID: "old"}); err != nil {
					t.Fatal(err)
				}
			}
			if err := log.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if rows, _ := f.page(t, requestlog.Query{Limit: 500, Filter: requestlog.Filter{Token: "old"}}); len(rows) != 100 {
				t.Errorf("got %d rows of the ended token, want 100", len(rows))
			}
		})
	})
	t.Run("texts_that_no_database_stores_are_stored_readable", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			r := requestlog.Request{
				Site: f.acme.ID, Method: "GET", Status: 404,
				Path: "/Users/\x00\xff" + strings.Repeat("é", 2000), Subject: "\x00", UserName: "\xfe", Sentence: "\x00",
			}
			if err := f.requests.Write(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			got, _ := f.page(t, requestlog.Query{})
			if !strings.HasPrefix(got[0].Path, "/Users/��é") || len(got[0].Path) > 2_010 {
				t.Errorf("got %d bytes, %q…", len(got[0].Path), got[0].Path[:20])
			}
		})
	})
}

var errDisk = errors.New("the disk is full")

// failingStore is a store whose writes fail while failing is set.
type failingStore struct {
	requestlog.Store
	failing bool
}

func (s *failingStore) AppendRequests(ctx context.Context, rows []requestlog.Request, uses []requestlog.TokenUse) error {
	if s.failing {
		return errDisk
	}
	return s.Store.AppendRequests(ctx, rows, uses)
}

func TestRequests(t *testing.T) {
	begin := time.Date(2026, 1, 12, 9, 0, 0, 0, time.UTC)
	rows := []requestlog.Request{
		{Method: "GET", Path: "/ServiceProviderConfig", Status: 200},
		{Method: "GET", Path: "/Users?filter=1", Status: 200, UserName: "eve@acme.test"},
		{Method: "POST", Path: "/Users/.search", Status: 200},
		{Method: "POST", Path: "/Users", Status: 501, Sentence: "Create refused"},
		{Method: "PATCH", Path: "/Users/7", Status: 200, UserName: "Ada@acme.test", Subject: "Id-7", TokenID: "t-2"},
		{Method: "PATCH", Path: "/Users/8", Status: 200, UserName: "bob@acme.test", Subject: "id-8", TokenID: "t-1", Ignored: []string{`role "Admn" unknown`}},
		{Method: "GET", Path: "/Users/9", Status: 404, Subject: "id-9"},
	}
	tests := []struct {
		name  string
		query requestlog.Query
		want  []string
	}{
		{"everything_newest_first", requestlog.Query{}, []string{"/Users/9", "/Users/8", "/Users/7", "/Users", "/Users/.search", "/Users?filter=1", "/ServiceProviderConfig"}},
		{"only_changes_leaves_answered_reads_out", requestlog.Query{Filter: requestlog.Filter{OnlyChanges: true}}, []string{"/Users/9", "/Users/8", "/Users/7", "/Users"}},
		{"refused", requestlog.Query{Filter: requestlog.Filter{Result: requestlog.Refused}}, []string{"/Users/9", "/Users"}},
		{"ignored", requestlog.Query{Filter: requestlog.Filter{Result: requestlog.Ignored}}, []string{"/Users/8"}},
		{"done_changes", requestlog.Query{Filter: requestlog.Filter{Result: requestlog.Done, OnlyChanges: true}}, []string{"/Users/7"}},
		{"part_of_a_user_name_in_any_case", requestlog.Query{Search: "ADA@"}, []string{"/Users/7"}},
		{"a_whole_id", requestlog.Query{Search: "id-9"}, []string{"/Users/9"}},
		{"half_an_id_is_none", requestlog.Query{Search: "id-"}, nil},
		{"part_of_a_sentence", requestlog.Query{Search: "create REF"}, []string{"/Users"}},
		{"part_of_a_path_as_it_reads", requestlog.Query{Search: "users?FILTER=1"}, []string{"/Users?filter=1"}},
		{"by_method", requestlog.Query{Filter: requestlog.Filter{Method: "PATCH"}}, []string{"/Users/8", "/Users/7"}},
		{"of_a_token", requestlog.Query{Filter: requestlog.Filter{Token: "t-1"}}, []string{"/Users/8"}},
		{"of_any_token", requestlog.Query{Filter: requestlog.Filter{Token: requestlog.AnyToken}}, []string{"/Users/8", "/Users/7"}},
		{"of_strangers", requestlog.Query{Filter: requestlog.Filter{Token: requestlog.NoToken, Method: "POST"}}, []string{"/Users", "/Users/.search"}},
		{"from_a_time_until_another", requestlog.Query{Filter: requestlog.Filter{From: begin.Add(2 * time.Second), Until: begin.Add(4 * time.Second)}}, []string{"/Users/.search", "/Users?filter=1"}},
		{"search_and_result", requestlog.Query{Search: "acme.test", Filter: requestlog.Filter{Result: requestlog.Done}}, []string{"/Users/7", "/Users?filter=1"}},
	}
	each(t, func(t *testing.T, f fixture) {
		for _, r := range rows {
			f.clock.add(time.Second)
			r.Site = f.acme.ID
			f.requests.Gather(r)
		}
		other := f.create(t, "other")
		f.requests.Gather(requestlog.Request{Site: other.ID, Method: "GET", Path: "/other", Status: 200, UserName: "ada@acme.test"})
		if err := f.requests.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				if diff := cmp.Diff(f.paths(t, test.query), test.want); diff != "" {
					t.Errorf("got - want +\n%s", diff)
				}
				var paged []string
				for q := test.query; ; {
					q.Limit = 2
					page, next := f.page(t, q)
					for _, r := range page {
						paged = append(paged, r.Path)
					}
					if next == "" {
						break
					}
					q.Before = next
				}
				if diff := cmp.Diff(paged, test.want); diff != "" {
					t.Errorf("two a page: got - want +\n%s", diff)
				}
			})
		}
	})
}

func TestRequests_refuses_a_place_that_is_none(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		for _, before := range []string{"x", "1", "1-", "-x"} {
			if _, _, err := f.requests.Page(t.Context(), f.acme.ID, requestlog.Query{Before: before}); !errors.Is(err, refusal.Invalid) {
				t.Errorf("%q: got %v, want refusal.Invalid", before, err)
			}
		}
	})
}
