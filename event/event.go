package event

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/refusal"
)

// Position is a place in the feed. The events of one resource stand in the order
// of its versions, and nothing appears below a position that a reader was given. Positions compare by Tx, then by Seq.
// The zero value is before the first event.
type Position struct {
	Tx  int64 // number of the writing transaction on PostgreSQL; 0 on SQLite, where Seq alone is commit order
	Seq int64 // number of the event
}

// ErrPosition refuses text that is no position.
var ErrPosition = refusal.New(refusal.Invalid, "", "not a position of the event feed: expected two numbers such as 0-42").Coded("event_position")

// ErrPruned refuses a position after which events are no longer kept. Whoever
// followed the feed has to look at everything anew.
var ErrPruned = refusal.New(refusal.Gone, "", "events after this position are no longer kept").Coded("events_pruned")

// ParsePosition reads the form that Position.String writes. Empty text is the
// zero position.
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

func parseNumber(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	return int64(n), err
}

// String is the text form "tx-seq".
func (p Position) String() string {
	return strconv.FormatInt(p.Tx, 10) + "-" + strconv.FormatInt(p.Seq, 10)
}

// After reports whether p comes later in commit order than other.
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

// Scope is whose feed an event belongs to.
type Scope struct {
	Kind string // KindSite, KindDirectory or KindInstallation
	ID   string // the site's or directory's id; empty for the installation
}

// Site is the feed of a site.
func Site(id string) Scope { return Scope{Kind: KindSite, ID: id} }

// Directory is the feed of a directory.
func Directory(id string) Scope { return Scope{Kind: KindDirectory, ID: id} }

// Installation is the feed of the installation itself: operators, sites and
// directories made and removed.
func Installation() Scope { return Scope{Kind: KindInstallation} }

// Event is one change.
type Event struct {
	Position Position  // given by the store; ignored when appending
	Time     time.Time // when it happened; the store's clock when zero
	Scope    Scope
	Name     string // what happened, such as "user.deactivated"
	Actor    string // who did it, in short: "scim:…a91f" (a token's last four), "admin:kim@example.com", "operator:sam", "cli", "system"
	By       Actor  // who did it, and from where; when appending, what is not set comes from the context, see Attribute
	Subject  string // id of what it happened to; may be empty
	Text     string // one sentence for people
	Data     []byte // JSON object with the details, and the list of changed values, see Change; may be nil
}

// Store keeps events. Writing is not here: an event is appended by the store
// of the domain that changed something, in the change's own transaction.
type Store interface {
	Trail
	// Read returns up to limit events of the scope after a position, oldest
	// first. An event whose transaction may still be overtaken by an older
	// one is held back until it can no longer be, so following Read's last
	// position never skips an event. ErrPruned: some were pruned.
	Read(ctx context.Context, scope Scope, after Position, limit int) ([]Event, error)
	// Last returns the position up to which Read would return events now;
	// the zero position when there are none.
	Last(ctx context.Context, scope Scope) (Position, error)
	// Recent returns up to limit committed events of the scope before a
	// position (zero: from the newest), newest first; of one subject only
	// unless subject is empty.
	Recent(ctx context.Context, scope Scope, subject string, before Position, limit int) ([]Event, error)
}

// Recorder appends events of acts that change nothing else, such as an export.
type Recorder interface {
	Record(ctx context.Context, events ...Event) error
}
