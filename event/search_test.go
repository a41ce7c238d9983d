package event_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/event"
)

// recents holds the events of one scope, newest first.
type recents []event.Event

func (r recents) Recent(_ context.Context, _ event.Scope, subject string, before event.Position, limit int) (found []event.Event, err error) {
	for _, e := range r {
		if (before.IsZero() || before.After(e.Position)) && (subject == "" || e.Subject == subject) && len(found) < limit {
			found = append(found, e)
		}
	}
	return found, nil
}

func TestSearch(t *testing.T) {
	t.Parallel()
	noon := time.Date(2030, 5, 6, 12, 0, 0, 0, time.UTC)
	var all recents
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
				var got []string
				q := tt.query
				q.Limit = limit
				for range 10 {
					page, next, err := event.Search(t.Context(), all, event.Scope{}, q)
					if err != nil {
						t.Fatal(err)
					}
					for _, e := range page {
						got = append(got, e.Text)
					}
					if next.IsZero() {
						break
					}
					q.Before = next
				}
				if diff := cmp.Diff(got, tt.want); diff != "" {
					t.Errorf("%d a page (-got +want):\n%s", limit, diff)
				}
			}
		})
	}
	t.Run("everything_page_by_page", func(t *testing.T) {
		t.Parallel()
		n, q := 0, event.Query{}
		for {
			page, next, err := event.Search(t.Context(), all, event.Scope{}, q)
			if err != nil {
				t.Fatal(err)
			}
			n += len(page)
			if next.IsZero() {
				break
			}
			q.Before = next
		}
		if n != len(all) {
			t.Errorf("got %d events, want %d", n, len(all))
		}
	})
}
