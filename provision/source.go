package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// SourceID names a source: the directory that a job reads from.
type SourceID string

// Source is what a job reads from. Package directory/source makes one of a directory.
type Source interface {
	// Position returns the newest position of the change feed. Taken before a
	// snapshot, it is the watermark that the snapshot covers.
	Position(ctx context.Context) (Cursor, error)
	// Snapshot returns one page of objects in the order of their ids,
	// soft-deleted ones included.
	Snapshot(ctx context.Context, q SnapshotQuery) ([]Object, error)
	// Changes returns the ids of the objects that changed after a position,
	// in themselves or in their assignment to app. [ErrBehind] means that the
	// source no longer keeps everything since then.
	Changes(ctx context.Context, app string, after Cursor, limit int) (Changed, error)
	// Object returns one object; refusal.NotFound when it was purged.
	Object(ctx context.Context, app, id string) (Object, error)
}

// ErrBehind means that a source no longer keeps all changes after a position.
var ErrBehind = errors.New("the source no longer keeps all changes since that position")

// Cursor is a position in the change feed of a source. Only the source can read
// it. The zero value is before the first change.
type Cursor string

// UnmarshalJSON also reads the two numbers that states of earlier versions hold.
func (c *Cursor) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*c = Cursor(text)
		return nil
	}
	var numbers struct{ Tx, Seq int64 }
	if err := json.Unmarshal(b, &numbers); err != nil {
		return fmt.Errorf("read a position of the change feed: %w", err)
	}
	*c = ""
	if numbers.Tx != 0 || numbers.Seq != 0 {
		*c = Cursor(fmt.Sprintf("%d-%d", numbers.Tx, numbers.Seq))
	}
	return nil
}

// ObjectKind says what an object of a source is, in Graph's words.
type ObjectKind string

// UserKind is the kind of people.
const UserKind ObjectKind = "User"

// Object is one object of a source, as one application sees it.
type Object struct {
	Kind       ObjectKind
	ID         string
	Name       string         // what people call it: a user's display name, else the user name
	Attributes map[string]any // what a mapping can read: string, bool or []string; read-only
	Enabled    bool
	Deleted    time.Time // when it was soft-deleted; zero: it was not
	Assigned   bool      // to the application
}

// Active says whether the object may be used at all, as far as the source goes.
func (o Object) Active() bool { return o.Enabled && o.Deleted.IsZero() }

// SnapshotQuery selects a page of a snapshot.
type SnapshotQuery struct {
	App          string // id of the application that Assigned is about
	AssignedOnly bool   // only its objects
	After        string // object id where the last page ended
	Limit        int
}

// Changed names objects that changed.
type Changed struct {
	IDs    []string // each once, in the order of their first change
	Cursor Cursor   // where to go on once they are dealt with
	More   bool     // there may be more already
}

// SourceAttribute is what a catalog says about one source attribute.
type SourceAttribute struct {
	Type        AttributeType
	MultiValued bool
	Always      bool // every object has a value
}

// Catalog tells which attributes the objects of a source have. A nil Catalog
// knows nothing, so nothing is refused because of it.
type Catalog interface {
	Attribute(name string) (SourceAttribute, bool)
	// Suggest returns the attribute that was probably meant, "" if none was.
	Suggest(name string) string
}
