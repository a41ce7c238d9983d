package event_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/event"
)

// trail holds events, newest first. It selects by place only.
type trail []event.Event

func (all trail) Select(_ context.Context, s event.Selection) (found []event.Event, err error) {
	for i := range all {
		e := all[i]
		if s.Newer {
			e = all[len(all)-1-i]
		}
		beyond := s.Start.IsZero() && !s.Newer || s.Start.After(e.Position)
		if s.Newer {
			beyond = e.Position.After(s.Start)
		}
		if beyond && len(found) < s.Limit {
			found = append(found, e)
		}
	}
	return found, nil
}

func (all trail) KnowsActor(context.Context, string) (bool, error) { return false, nil }

func (all trail) PositionAt(_ context.Context, t time.Time) (at event.Position, err error) {
	for _, e := range all {
		if e.Time.Before(t) {
			break
		}
		at = e.Position
	}
	return at, nil
}

func TestSearch(t *testing.T) {
	t.Parallel()
	noon := time.Date(2030, 5, 6, 12, 0, 0, 0, time.UTC)
	var all trail
	for i := range 1300 {
		e := event.Event{
			Position: event.Position{Seq: int64(1300 - i)}, Time: noon.Add(-time.Duration(i) * time.Minute),
			Name: "user.updated", Actor: "scim:…a91f", Subject: "ada", Text: fmt.Sprintf("change %d", i),
		}
		if i%600 == 50 {
			e.Name, e.Actor, e.Subject, e.Text = "site.scim_enabled", "admin:kim", "", fmt.Sprintf("SCIM %d", i)
		}
		all = append(all, e)
	}
	for _, tt := range []struct {
		name  string
		query event.Query
		want  []string
	}{
		{"by_kind_over_several_batches", event.Query{Kinds: []string{"site."}}, []string{"SCIM 50", "SCIM 650", "SCIM 1250"}},
		{"by_any_of_two_kinds", event.Query{Kinds: []string{"token.", "site."}}, []string{"SCIM 50", "SCIM 650", "SCIM 1250"}},
		{"by_actor_in_any_case", event.Query{Actor: "KIM"}, []string{"SCIM 50", "SCIM 650", "SCIM 1250"}},
		{"by_text", event.Query{Text: "scim 6"}, []string{"SCIM 650"}},
		{"by_time", event.Query{From: noon.Add(-3 * time.Minute), Until: noon.Add(-time.Minute)}, []string{"change 2", "change 3"}},
		{"by_subject_and_text", event.Query{Subject: "ada", Text: "change 1299"}, []string{"change 1299"}},
		{"nothing", event.Query{Text: "no such thing"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, limit := range []int{0, 1} {
				tt.query.Limit = limit
				pages := read(t, all, tt.query)
				var got []string
				for _, p := range pages {
					got = append(got, texts(p)...)
				}
				if diff := cmp.Diff(got, tt.want); diff != "" {
					t.Errorf("%d a page (-got +want):\n%s", limit, diff)
				}
			}
		})
	}
	for name, q := range map[string]event.Query{
		"everything_page_by_page_and_back": {}, "some_page_by_page_and_back": {Kinds: []string{"site."}, Limit: 1},
		"a_time_page_by_page_and_back": {From: noon.Add(-900 * time.Minute), Until: noon.Add(-600 * time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pages := read(t, all, q)
			if len(pages) < 2 {
				t.Fatalf("got %d pages", len(pages))
			}
			last := pages[len(pages)-1]
			for i := len(pages) - 2; i >= 0; i-- {
				q.Before, q.After = event.Position{}, last.Newer
				back, err := event.Search(t.Context(), all, q)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(texts(back), texts(pages[i])); diff != "" {
					t.Fatalf("page %d on the way back (-got +want):\n%s", i, diff)
				}
				last = back
			}
		})
	}
	t.Run("text_that_no_event_can_hold", func(t *testing.T) {
		t.Parallel()
		for _, q := range []event.Query{{Text: "a\x00b"}, {Actor: "\xff"}, {Subject: "\x00"}, {Scope: event.Site("\xff")}} {
			if p, err := event.Search(t.Context(), all, q); err != nil || len(p.Events) != 0 {
				t.Errorf("%+v: got %d events, %v", q, len(p.Events), err)
			}
		}
	})
}

// read reads page after page.
func read(t *testing.T, all trail, q event.Query) (pages []event.Page) {
	t.Helper()
	for range 2_000 {
		p, err := event.Search(t.Context(), all, q)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, p)
		if p.Older.IsZero() {
			return pages
		}
		q.Before = p.Older
	}
	t.Fatal("pages do not end")
	return nil
}

func texts(p event.Page) (list []string) {
	for _, e := range p.Events {
		list = append(list, e.Text)
	}
	return list
}
