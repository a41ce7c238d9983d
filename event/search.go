package event

import (
	"context"
	"slices"
	"strings"
	"time"
)

const (
	searchPage   = 50
	searchBatch  = 500
	searchWindow = 20_000 // events looked through for one page
	// clocksApart is how much earlier than its neighbours an event may be dated: commit order is not quite time order.
	clocksApart = time.Minute
)

// Query asks for one page of a scope's events, newest first. Its zero value is every event.
type Query struct {
	Subject     string    // id of what it happened to
	Kinds       []string  // what names begin with, such as "user."; any of them
	Actor       string    // part of the actor's label or name, in any case; or the whole id or address
	Text        string    // part of the sentence, in any case
	From, Until time.Time // events of [From, Until); zero: no bound
	Before      Position  // the next of the page before; zero: from the newest event
	Limit       int       // 0: 50
}

// Recents is the part of Store that Search reads.
type Recents interface {
	Recent(ctx context.Context, scope Scope, subject string, before Position, limit int) ([]Event, error)
}

// Search returns one page and where the next one begins, the zero position at the end. It looks through a bounded number of
// events, so a page may be short, or empty, and still have a next.
func Search(ctx context.Context, events Recents, scope Scope, q Query) (page []Event, next Position, err error) {
	limit := q.Limit
	if limit <= 0 {
		limit = searchPage
	}
	batch := searchBatch
	if q.open() {
		batch = limit + 1
	}
	before := q.Before
	for seen := 0; seen < searchWindow; seen += batch {
		found, err := events.Recent(ctx, scope, q.Subject, before, batch)
		if err != nil {
			return nil, Position{}, err
		}
		for _, e := range found {
			if !q.From.IsZero() && e.Time.Before(q.From.Add(-clocksApart)) {
				return page, Position{}, nil
			}
			if !q.matches(e) {
				continue
			}
			if len(page) == limit {
				return page, page[limit-1].Position, nil
			}
			page = append(page, e)
		}
		if len(found) < batch {
			return page, Position{}, nil
		}
		before = found[batch-1].Position
	}
	return page, before, nil
}

// open says whether every event of the scope, or of the subject, is asked for.
func (q Query) open() bool {
	return len(q.Kinds) == 0 && q.Actor == "" && q.Text == "" && q.From.IsZero() && q.Until.IsZero()
}

func (q Query) matches(e Event) bool {
	switch {
	case !q.From.IsZero() && e.Time.Before(q.From), !q.Until.IsZero() && !e.Time.Before(q.Until):
		return false
	case len(q.Kinds) > 0 && !slices.ContainsFunc(q.Kinds, func(kind string) bool { return strings.HasPrefix(e.Name, kind) }):
		return false
	}
	return (holds(e.Actor, q.Actor) || holds(e.By.Name, q.Actor) || e.By.ID == q.Actor || e.By.Address == q.Actor) && holds(e.Text, q.Text)
}

func holds(text, part string) bool {
	return part == "" || strings.Contains(strings.ToLower(text), strings.ToLower(part))
}
