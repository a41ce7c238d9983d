package event

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	searchPage   = 50
	searchBatch  = 500
	searchWindow = 20_000 // events looked through for one page
	// clocksApart is how much earlier or later than its neighbours an event may be dated: commit order is not quite time order.
	clocksApart = time.Minute
)

// Trail reads the events of one scope, of all scopes of a kind, or of the whole installation with what was deleted.
type Trail interface {
	// Slice returns up to s.Limit committed events on one side of a place.
	Slice(ctx context.Context, s Slice) ([]Event, error)
	// PlaceOf returns the position of an event that happened at t or later and follows an event from before t; the zero position
	// when every event is from before t. It looks at few events, however many there are.
	PlaceOf(ctx context.Context, t time.Time) (Position, error)
	// KnowsActor says whether Slice narrows by an actor with this id.
	KnowsActor(ctx context.Context, id string) (bool, error)
}

// Slice says which events a Trail returns. A Trail narrows by what an index answers; the events that it returns may still be of
// other names.
type Slice struct {
	Scope   Scope    // without an ID, all of that kind; zero: everything
	Subject string   // id of what it happened to; counts only with the scope of one site, one directory or the installation
	Names   []string // a hint: the caller drops events with other names
	Actor   string   // id of an actor that KnowsActor; empty: all
	Place   Position // not included; zero: from the newest event
	Newer   bool     // the events after Place, oldest first; else those before it, newest first
	Limit   int
}

// One says whether a scope is one site, one directory or the installation.
func (s Scope) One() bool { return s.ID != "" || s.Kind == KindInstallation }

// Query asks for one page of the audit trail, newest first. Its zero value is every event of the installation.
type Query struct {
	Scope       Scope     // without an ID, all of that kind
	Subject     string    // id of what it happened to
	Kinds       []string  // what names begin with, such as "user."; any of them
	Actor       string    // part of the actor's label or name, in any case; or the whole id or address
	Text        string    // part of the sentence or of the actor's name, in any case; or the whole id of the subject or actor
	From, Until time.Time // events of [From, Until); zero: no bound
	Before      Position  // the Older of another page; zero: from the newest event
	After       Position  // the Newer of another page; then Before does not count
	Limit       int       // 0: 50
}

// Page is what Search found, newest first.
type Page struct {
	Events []Event
	Older  Position // Query.Before of the page of older events; zero at the end
	Newer  Position // Query.After of the page of newer events; zero at the newest
}

// Search returns one page. It looks through a bounded number of events, so a page may be short, or empty, and still have others
// beside it. Pages cost the same wherever they are and however many events there are.
func Search(ctx context.Context, trail Trail, q Query) (Page, error) {
	if q.Limit <= 0 {
		q.Limit = searchPage
	}
	if !q.storable() {
		return Page{}, nil
	}
	s, err := q.slice(ctx, trail)
	if err != nil {
		return Page{}, err
	}
	found, rest, err := q.look(ctx, trail, s)
	if err != nil {
		return Page{}, err
	}
	p := Page{Events: found}
	if !q.After.IsZero() {
		slices.Reverse(p.Events)
		p.Newer, p.Older = rest, q.After.next()
		if len(found) > 0 {
			p.Older = found[len(found)-1].Position
		}
		return p, nil
	}
	p.Older = rest
	if !q.Before.IsZero() {
		p.Newer = q.Before.previous()
		if len(found) > 0 {
			p.Newer = found[0].Position
		}
	}
	return p, nil
}

// slice is where and how a query begins to look.
func (q Query) slice(ctx context.Context, trail Trail) (Slice, error) {
	s := Slice{Scope: q.Scope, Subject: q.Subject, Names: q.names(), Place: q.Before}
	if !q.After.IsZero() {
		s.Place, s.Newer = q.After, true
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
	if !q.Until.IsZero() && s.Place.IsZero() {
		at, err := trail.PlaceOf(ctx, q.Until.Add(clocksApart))
		if err != nil {
			return s, err
		}
		s.Place = at
	}
	return s, nil
}

// look reads on from a place until it has a page, and says from where to go on: the zero position at the end.
func (q Query) look(ctx context.Context, trail Trail, s Slice) (found []Event, rest Position, err error) {
	s.Limit = searchBatch
	if q.open() {
		s.Limit = q.Limit + 1
	}
	for seen := 0; seen < searchWindow; seen += s.Limit {
		batch, err := trail.Slice(ctx, s)
		if err != nil {
			return nil, Position{}, err
		}
		for _, e := range batch {
			if q.past(e, s.Newer) {
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
		s.Place = batch[len(batch)-1].Position
	}
	return found, s.Place, nil
}

// past says that neither e nor anything further on can be in the query's time.
func (q Query) past(e Event, newer bool) bool {
	if newer {
		return !q.Until.IsZero() && e.Time.After(q.Until.Add(clocksApart))
	}
	return !q.From.IsZero() && e.Time.Before(q.From.Add(-clocksApart))
}

// names are the names that the query's kinds stand for; nil for all of them, and when a kind is unknown.
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

// open says whether every event of the scope, or of the subject, is asked for.
func (q Query) open() bool {
	return len(q.Kinds) == 0 && q.Actor == "" && q.Text == "" && q.From.IsZero() && q.Until.IsZero() && (q.Subject == "" || q.Scope.One())
}

func (q Query) matches(e Event) bool {
	switch {
	case !q.From.IsZero() && e.Time.Before(q.From), !q.Until.IsZero() && !e.Time.Before(q.Until):
		return false
	case q.Subject != "" && e.Subject != q.Subject:
		return false
	case len(q.Kinds) > 0 && !slices.ContainsFunc(q.Kinds, func(kind string) bool { return strings.HasPrefix(e.Name, kind) }):
		return false
	case !holds(e.Actor, q.Actor) && !holds(e.By.Name, q.Actor) && e.By.ID != q.Actor && e.By.Address != q.Actor:
		return false
	}
	return holds(e.Text, q.Text) || holds(e.By.Name, q.Text) || e.Subject == q.Text || e.By.ID == q.Text
}

// storable says whether any event can fit: what is compared with a database must be text.
func (q Query) storable() bool {
	for _, text := range []string{q.Scope.Kind, q.Scope.ID, q.Subject, q.Actor, q.Text} {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return false
		}
	}
	return true
}

func holds(text, part string) bool {
	return part == "" || strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

// isID says whether text has the form of an id: 32 hexadecimal digits, perhaps with hyphens.
func isID(text string) bool {
	digits := strings.ReplaceAll(text, "-", "")
	return len(digits) == 32 && strings.Trim(digits, "0123456789abcdef") == ""
}

// next and previous are places that leave out no event but this one's neighbour sides: an event at p is before p.next and after
// p.previous.
func (p Position) next() Position     { return Position{Tx: p.Tx, Seq: p.Seq + 1} }
func (p Position) previous() Position { return Position{Tx: p.Tx, Seq: p.Seq - 1} }
