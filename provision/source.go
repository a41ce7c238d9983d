package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// SourceID identifies a source: the directory that a job reads from.
type SourceID string

// Source is what a job reads from. Package directory/source implements it for a directory.
type Source interface {
	// DefaultDomain returns the domain that expressions get from DefaultDomain(), or "".
	DefaultDomain() string
	// Position returns the newest position of the change feed. Read before a snapshot, it is the
	// watermark that the snapshot covers.
	Position(ctx context.Context) (Cursor, error)
	// Snapshot returns one page of objects, ordered by id. It includes soft-deleted objects.
	Snapshot(ctx context.Context, q SnapshotQuery) ([]Object, error)
	// Changes returns the ids of objects that have changed after a position, or whose assignment to
	// app has changed. It returns [ErrBehind] if the source no longer keeps all changes since then.
	Changes(ctx context.Context, app string, after Cursor, limit int) (Changed, error)
	// Objects returns the objects with these ids, in any order. Purged ones are not in it.
	Objects(ctx context.Context, app string, ids []string) ([]Object, error)
	// Cause returns what is known of the cause of changes; the zero CauseInfo if nothing is.
	Cause(ctx context.Context, id string) (CauseInfo, error)
}

// ErrBehind means that a source no longer keeps all changes after a position.
var ErrBehind = errors.New("the source no longer keeps all changes since that position")

// Cursor is a position in a source's change feed. Only the source can interpret it. The zero value
// is before the first change.
type Cursor string

// UnmarshalJSON also accepts the pair of numbers in states from earlier versions.
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

// ObjectKind is the kind of a source's object, in Graph's words.
type ObjectKind string

// The kinds of objects.
const (
	UserKind  ObjectKind = "User"
	GroupKind ObjectKind = "Group"
)

// Object is one object of a source, as one application sees it.
type Object struct {
	Kind       ObjectKind
	ID         string
	Name       string         // name for people: a user's display name, else the user name
	Attributes map[string]any // what a mapping can read: string, bool or []string; read-only
	Enabled    bool
	Deleted    time.Time // time of the soft delete; zero if it is not deleted
	Assigned   bool      // whether the object is assigned to the application
}

// Active reports whether the object may be used at all, according to the source.
func (o Object) Active() bool { return o.Enabled && o.Deleted.IsZero() }

// SnapshotQuery selects a page of a snapshot.
type SnapshotQuery struct {
	App          string // id of the application that Assigned is about
	AssignedOnly bool   // only objects that are assigned to the application
	After        string // object id where the last page ended
	Limit        int
}

// Changed lists objects that have changed.
type Changed struct {
	IDs     []string          // the ids of the objects, each once, in the order of their first change
	Origins map[string]Origin // where the changes come from; objects that are not in it have single ones
	Ended   []string          // causes of which no change follows
	Cursor  Cursor            // where to continue after these objects
	More    bool              // there may already be more changes
}

// concerns reports whether a job has something to do.
func (c Changed) concerns() bool { return len(c.IDs) > 0 || len(c.Ended) > 0 }

// SourceAttribute is a catalog's description of one source attribute.
type SourceAttribute struct {
	Type        AttributeType
	MultiValued bool
	Always      bool // every object has a value
}

// Catalog lists the attributes that a source's objects have. A nil Catalog knows no attributes and
// rejects nothing.
type Catalog interface {
	Attribute(name string) (SourceAttribute, bool)
	// Suggest returns the name of the attribute that a person who typed name probably meant, or "".
	Suggest(name string) string
}
