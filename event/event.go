package event

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/refusal"
)

// Position is a place in the feed of events, which is in commit order. The events of one resource
// are in the order of the resource's versions. Once a reader has got a position, no new event
// appears before it. Positions compare by Tx, then by Seq. The zero value is before the first
// event.
type Position struct {
	Tx  int64 // the number of the writing transaction on PostgreSQL; 0 on SQLite, where Seq alone gives the commit order
	Seq int64 // the number of the event
}

// ErrPosition is returned for a string that is not a position.
var ErrPosition = refusal.New(refusal.Invalid, "", "not a position of the event feed: expected two numbers such as 0-42").Coded("event_position")

// ErrPruned is returned for a position if events after it have been removed. A reader that gets
// this error must read all data again.
var ErrPruned = refusal.New(refusal.Gone, "", "events after this position are no longer kept").Coded("events_pruned")

// ParsePosition reads a position as Position.String writes it. An empty string is the zero
// position. It returns ErrPosition for any other string.
func ParsePosition(text string) (Position, error) {
	if text == "" {
		return Position{}, nil
	}
	tx, seq, found := strings.Cut(text, "-")
	if !found {
		return Position{}, fmt.Errorf("%q: %w", text, ErrPosition)
	}
	p := Position{}
	var err error
	if p.Tx, err = parseNumber(tx); err != nil {
		return Position{}, fmt.Errorf("%q: %w", text, ErrPosition)
	}
	if p.Seq, err = parseNumber(seq); err != nil {
		return Position{}, fmt.Errorf("%q: %w", text, ErrPosition)
	}
	return p, nil
}

// parseNumber reads one number of a position.
func parseNumber(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	return int64(n), err
}

// String returns the position as "tx-seq".
func (p Position) String() string {
	return strconv.FormatInt(p.Tx, 10) + "-" + strconv.FormatInt(p.Seq, 10)
}

// After reports whether p is later than other in commit order.
func (p Position) After(other Position) bool {
	if p.Tx != other.Tx {
		return p.Tx > other.Tx
	}
	return p.Seq > other.Seq
}

// IsZero reports whether p is before the first event.
func (p Position) IsZero() bool { return p == Position{} }

// The kinds of scope.
const (
	KindSite         = "site"
	KindDirectory    = "directory"
	KindInstallation = "installation"
)

// Scope identifies a feed of events.
type Scope struct {
	Kind string // the kind of the feed: KindSite, KindDirectory or KindInstallation
	ID   string // the id of the site or directory; empty for the installation
}

// Site returns the scope of a site.
func Site(id string) Scope { return Scope{Kind: KindSite, ID: id} }

// Directory returns the scope of a directory.
func Directory(id string) Scope { return Scope{Kind: KindDirectory, ID: id} }

// Installation returns the scope of the installation itself. Its feed has the events about
// operators, and about the creation and deletion of sites and directories.
func Installation() Scope { return Scope{Kind: KindInstallation} }

// Event is one change.
type Event struct {
	Position Position  // the place in the feed; the store sets it when it reads the event
	Time     time.Time // when the event happened; zero means now, by the store's clock
	Scope    Scope
	Name     string // the name of the event, such as "user.deactivated"
	// Actor is the label of the actor: "scim:…a91f" (the last four characters of a token),
	// "admin:kim@example.com", "operator:sam", "cli" or "system".
	Actor string
	// By describes the actor. The method [Event.FillFrom] fills in missing parts from the context.
	By      Actor
	Subject string // the id of the object that the event is about; may be empty
	Text    string // what happened, in one sentence for people
	Cause   string // the id of the action, such as an import, that made this change and others; "" for a single change; filled in when the event is appended
	Data    []byte // a JSON object with details and the list of changed values, see Change; may be nil
}

// Store reads events. It has no method to write them, because the store of each domain appends an
// event in the transaction of the change.
type Store interface {
	Trail
	// Read returns up to limit events of the scope after a position, oldest first. It does not
	// return an event while an older event may still be committed. So a reader that continues from
	// the last position skips no event. Read returns ErrPruned if some of these events were
	// removed.
	Read(ctx context.Context, scope Scope, after Position, limit int) ([]Event, error)
	// Last returns the position of the last event that Read would return now, or the zero position
	// if there is none.
	Last(ctx context.Context, scope Scope) (Position, error)
	// Recent returns up to limit committed events of the scope before a position, newest first. The
	// zero position starts at the newest event. If subject is not empty, it returns only events
	// about that subject.
	Recent(ctx context.Context, scope Scope, subject string, before Position, limit int) ([]Event, error)
}

// Recorder appends events of actions that change nothing in the database, such as an export.
type Recorder interface {
	Record(ctx context.Context, events ...Event) error
}
