package event_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// written collects events; it fails while it is told to.
type written struct {
	events []event.Event
	fails  bool
}

func (w *written) Record(_ context.Context, events ...event.Event) error {
	if w.fails {
		return errors.New("no room")
	}
	w.events = append(w.events, events...)
	return nil
}

func TestAFloodOfRefusalsIsBoundedAndCounted(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 5, 6, 12, 0, 0, 0, time.UTC)
	table := &written{}
	refused := &event.Refused{Recorder: table, Now: func() time.Time { return now }}
	stranger := event.WithActor(t.Context(), event.Actor{Kind: event.Anybody, Address: "192.0.2.7", UserAgent: "curl/8"})
	flush := func() {
		t.Helper()
		if err := refused.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		refused.Add(stranger, event.Event{Scope: event.Site("a"), Name: "page.refused", Text: "no"})
	}
	refused.Add(stranger, event.Event{Scope: event.Site("b"), Name: "page.refused", Text: "another site"})
	flush()
	if n := len(table.events); n != 21 {
		t.Fatalf("got %d rows, want 20 of the site with the flood and 1 of the other", n)
	}
	if by := table.events[0].By; by.Kind != event.Anybody || by.Address != "192.0.2.7" || by.UserAgent != "curl/8" {
		t.Errorf("the row says it was %+v", by)
	}
	flush()
	if n := len(table.events); n != 21 {
		t.Fatalf("got %d rows at once", n)
	}
	now = now.Add(61 * time.Second)
	flush()
	last := table.events[len(table.events)-1]
	if len(table.events) != 22 || !strings.HasPrefix(last.Text, "980 more like this were refused since 2030-05-06 12:00:00 UTC") || string(last.Data) != `{"leftOut":980}` {
		t.Errorf("got %d rows, the last %q with %s", len(table.events), last.Text, last.Data)
	}
	table.events = nil
	for i := range 1000 {
		refused.Add(stranger, event.Event{Scope: event.Site(fmt.Sprint("many", i)), Name: "page.refused"})
	}
	flush()
	if n := len(table.events); n > 200 || n < 150 {
		t.Errorf("a flood over many sites wrote %d rows", n)
	}
}

func TestRefusalsThatCouldNotBeWrittenAreTriedAgain(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 5, 6, 12, 0, 0, 0, time.UTC)
	table := &written{fails: true}
	refused := &event.Refused{Recorder: table, Now: func() time.Time { return now }}
	refused.Add(t.Context(), event.Event{Scope: event.Installation(), Name: "page.refused", Text: "no"})
	if err := refused.Flush(t.Context()); err == nil {
		t.Error("a failure is not told")
	}
	table.fails = false
	if err := refused.Flush(t.Context()); err != nil || len(table.events) != 1 {
		t.Errorf("got %d rows, %v", len(table.events), err)
	}
}
