package event

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	searchPageSize  = 50     // the number of events on a page, if the query sets no Limit
	searchBatchSize = 500    // the number of events that are read at a time
	searchWindow    = 20_000 // the largest number of events that are read for one page
	// maxClockDifference is the largest expected difference between the time of an event and the
	// times of its neighbours in the feed. The feed is in commit order, which is not exactly the
	// order of the times.
	maxClockDifference = time.Minute
)

// Trail reads the events of one scope, of all scopes of one kind, or of the whole installation,
// including deleted sites and directories.
type Trail interface {
	// Select returns up to s.Limit committed events before or after the position s.Start.
	Select(ctx context.Context, s Selection) ([]Event, error)
	// PositionAt returns the position at which the events from the time t or later begin.
	// PositionAt uses a binary search, so it reads only a few events. It returns the zero position
	// if all events are from before t.
	PositionAt(ctx context.Context, t time.Time) (Position, error)
	// KnowsActor reports whether the database index of actors contains an event of the actor with
	// this id. The index leaves out events of tokens and of Rollcall itself. A caller may use an id
	// as Selection.Actor only if KnowsActor returns true for it.
	KnowsActor(ctx context.Context, id string) (bool, error)
}

// Selection describes the events that a Trail returns. A Trail selects only by conditions that an
// index can answer, so it may also return events with other names.
type Selection struct {
	Scope   Scope    // a scope without an ID means all scopes of that kind; the zero Scope means everything
	Subject string   // only events about the object with this id; ignored if Scope covers several sites or directories
	Names   []string // the names of the events; the trail may also return events with other names, which the caller drops
	Actor   string   // the id of an actor for which KnowsActor returned true; empty for all actors
	Start   Position // where to start, excluding the event there; zero means the newest event
	Newer   bool     // whether to return the events after Start, oldest first; otherwise the events before Start, newest first
	Limit   int
}

// IsSingle reports whether the scope is a single site, a single directory or the installation.
func (s Scope) IsSingle() bool { return s.ID != "" || s.Kind == KindInstallation }

// Query asks for one page of the audit trail, newest first. The zero value asks for every event of
// the installation.
type Query struct {
	Scope       Scope     // the scope of the events; without an ID, all scopes of that kind
	Subject     string    // the id of the object that the event is about
	Kinds       []string  // prefixes of names, such as "user."; an event's name must start with one of them
	Actor       string    // part of the actor's label or name, in any case; or the whole id or address of the actor
	Text        string    // part of the sentence or of the actor's name, in any case; or the whole id of the subject or actor
	From, Until time.Time // events from the time From up to, but not including, Until; zero means no bound
	Before      Position  // the value Page.Older of a page gets the next page, with older events; zero starts at the newest event
	After       Position  // the value Page.Newer of a page gets the previous page, with newer events; if set, Before is ignored
	Limit       int       // the largest number of events on the page; 0 means 50
}

// Page is the result of Search: one page of events, newest first.
type Page struct {
	Events []Event
	Older  Position // the value of Query.Before for the page with older events; zero if there is none
	Newer  Position // the value of Query.After for the page with newer events; zero if there is none
}

// Search returns one page of the audit trail. It reads a limited number of events for a page. So a
// page may be short or empty although more pages follow. The cost of a page depends neither on its
// place nor on the number of events.
func Search(ctx context.Context, trail Trail, q Query) (Page, error) {
	if q.Limit <= 0 {
		q.Limit = searchPageSize
	}
	if !q.canMatch() {
		return Page{}, nil
	}
	s, err := q.selection(ctx, trail)
	if err != nil {
		return Page{}, err
	}
	found, continueAt, err := q.searchFrom(ctx, trail, s)
	if err != nil {
		return Page{}, err
	}
	p := Page{Events: found}
	if !q.After.IsZero() {
		slices.Reverse(p.Events)
		p.Newer, p.Older = continueAt, q.After.next()
		if len(found) > 0 {
			p.Older = found[len(found)-1].Position
		}
		return p, nil
	}
	p.Older = continueAt
	if !q.Before.IsZero() {
		p.Newer = q.Before.previous()
		if len(found) > 0 {
			p.Newer = found[0].Position
		}
	}
	return p, nil
}

// selection returns the Selection with which the search for a query starts.
func (q Query) selection(ctx context.Context, trail Trail) (Selection, error) {
	s := Selection{Scope: q.Scope, Subject: q.Subject, Names: q.names(), Start: q.Before}
	if !q.After.IsZero() {
		s.Start, s.Newer = q.After, true
	}
	if isID(q.Actor) {
		known, err := trail.KnowsActor(ctx, q.Actor)
		if err != nil {
			return s, err
		}
		if known {
			s.Actor = q.Actor
		}
	}
	if !q.Until.IsZero() && s.Start.IsZero() {
		at, err := trail.PositionAt(ctx, q.Until.Add(maxClockDifference))
		if err != nil {
			return s, err
		}
		s.Start = at
	}
	return s, nil
}

// searchFrom reads events, beginning at s.Start, until it has enough for a page. continueAt is the
// position at which the next page begins, or zero at the end of the trail.
func (q Query) searchFrom(ctx context.Context, trail Trail, s Selection) (found []Event, continueAt Position, err error) {
	s.Limit = searchBatchSize
	if q.matchesAll() {
		s.Limit = q.Limit + 1
	}
	for seen := 0; seen < searchWindow; seen += s.Limit {
		batch, err := trail.Select(ctx, s)
		if err != nil {
			return nil, Position{}, err
		}
		for _, e := range batch {
			if q.isPast(e, s.Newer) {
				return found, Position{}, nil
			}
			if !q.matches(e) {
				continue
			}
			if len(found) == q.Limit {
				return found, found[q.Limit-1].Position, nil
			}
			found = append(found, e)
		}
		if len(batch) < s.Limit {
			return found, Position{}, nil
		}
		s.Start = batch[len(batch)-1].Position
	}
	return found, s.Start, nil
}

// isPast reports whether the search can stop at the event e, because e and all further events are
// too new or too old for the query. newer is Selection.Newer.
func (q Query) isPast(e Event, newer bool) bool {
	if newer {
		return !q.Until.IsZero() && e.Time.After(q.Until.Add(maxClockDifference))
	}
	return !q.From.IsZero() && e.Time.Before(q.From.Add(-maxClockDifference))
}

// names returns the names of events that the query's kinds select. It returns nil for all names,
// and also if a kind is unknown.
func (q Query) names() []string {
	var names []string
	for _, kind := range q.Kinds {
		of := NamesOf(kind)
		if len(of) == 0 {
			return nil
		}
		names = append(names, of...)
	}
	return names
}

// matchesAll reports whether the query selects every event of its scope or subject.
func (q Query) matchesAll() bool {
	return len(q.Kinds) == 0 && q.Actor == "" && q.Text == "" && q.From.IsZero() && q.Until.IsZero() && (q.Subject == "" || q.Scope.IsSingle())
}

// matches reports whether the query selects the event.
func (q Query) matches(e Event) bool {
	switch {
	case !q.From.IsZero() && e.Time.Before(q.From), !q.Until.IsZero() && !e.Time.Before(q.Until):
		return false
	case q.Subject != "" && e.Subject != q.Subject:
		return false
	case len(q.Kinds) > 0 && !slices.ContainsFunc(q.Kinds, func(kind string) bool { return strings.HasPrefix(e.Name, kind) }):
		return false
	case !containsAnyCase(e.Actor, q.Actor) && !containsAnyCase(e.By.Name, q.Actor) && e.By.ID != q.Actor && e.By.Address != q.Actor:
		return false
	}
	return containsAnyCase(e.Text, q.Text) || containsAnyCase(e.By.Name, q.Text) || e.Subject == q.Text || e.By.ID == q.Text
}

// canMatch reports whether any event can match the query. It returns false if a string is not valid
// UTF-8 or has a NUL, because a database cannot compare such strings.
func (q Query) canMatch() bool {
	for _, text := range []string{q.Scope.Kind, q.Scope.ID, q.Subject, q.Actor, q.Text} {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return false
		}
	}
	return true
}

// containsAnyCase reports whether a string contains another one, ignoring case.
func containsAnyCase(text, part string) bool {
	return part == "" || strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

// isID reports whether a string has the form of an id: 32 hexadecimal digits, with or without
// hyphens.
func isID(text string) bool {
	digits := strings.ReplaceAll(text, "-", "")
	return len(digits) == 32 && strings.Trim(digits, "0123456789abcdef") == ""
}

// next returns the position just after p.
func (p Position) next() Position { return Position{Tx: p.Tx, Seq: p.Seq + 1} }

// previous returns the position just before p.
func (p Position) previous() Position { return Position{Tx: p.Tx, Seq: p.Seq - 1} }
