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

// Source is the directory that a job reads from. Package directory/source implements it.
type Source interface {
	// DefaultDomain returns the value of the expression function DefaultDomain(), or "".
	DefaultDomain() string
	// Position returns the newest position of the change feed. If a position is read before a
	// snapshot, the snapshot includes all changes up to that position. Such a position is called
	// the watermark of the snapshot.
	Position(ctx context.Context) (Cursor, error)
	// Snapshot returns one page of objects, ordered by id. It includes soft-deleted objects.
	Snapshot(ctx context.Context, q SnapshotQuery) ([]Object, error)
	// Changes returns the ids of objects that have changed after a position, or whose assignment to
	// app has changed since then. It returns [ErrBehind] if the source no longer keeps all changes
	// since then.
	Changes(ctx context.Context, app string, after Cursor, limit int) (Changed, error)
	// Objects returns the objects with these ids, in any order. It leaves out purged objects.
	Objects(ctx context.Context, app string, ids []string) ([]Object, error)
	// Cause returns the data about the cause with this id. It returns the zero CauseInfo if the
	// source does not know the cause.
	Cause(ctx context.Context, id string) (CauseInfo, error)
}

// ErrBehind means that a source no longer keeps all changes after a position.
var ErrBehind = errors.New("the source no longer keeps all changes since that position")

// Cursor is a position in a source's change feed. Only the source can interpret it. The zero value
// is the position before the first change.
type Cursor string

// UnmarshalJSON also accepts the pair of numbers that earlier versions stored.
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

// Object is one object of a source, as seen by one application.
type Object struct {
	Kind       ObjectKind
	ID         string
	Name       string         // the display name; for a user without one, the user name
	Attributes map[string]any // the values that a mapping can read: string, bool or []string; must not be changed
	Enabled    bool           // whether the object is enabled in the source, so that a user may sign in
	Deleted    time.Time      // when the object was soft-deleted; zero if it is not deleted
	Assigned   bool           // whether the object is assigned to the application
}

// Active reports whether the object is enabled and not deleted in the source.
func (o Object) Active() bool { return o.Enabled && o.Deleted.IsZero() }

// SnapshotQuery selects a page of a snapshot.
type SnapshotQuery struct {
	App          string // the id of the application to which Object.Assigned refers
	AssignedOnly bool   // whether to return only objects that are assigned to the application
	After        string // the object id of the last object on the previous page; "" for the first page
	Limit        int    // the largest number of objects in the page
	IDsOnly      bool   // whether the caller needs only the ids; a source may return more
}

// Changed is one page of objects that have changed.
type Changed struct {
	IDs     []string          // the ids of the objects, each once, in the order of their first change
	Origins map[string]Origin // the origin of the changes, by object id; an object that is absent has only a single change
	Ended   []string          // the ids of causes that will make no more changes
	Cursor  Cursor            // where to continue after these objects
	More    bool              // whether there may be more changes now
}

// add appends the page that follows c. If an object has changed in both pages, add combines the
// origins as the source does within one page: an origin that takes access away wins, and of two
// imports the newer one wins.
func (c *Changed) add(next Changed) {
	if c.Origins == nil {
		c.Origins = make(map[string]Origin, len(next.IDs))
	}
	for _, id := range next.IDs {
		older, seen := c.Origins[id]
		newer := next.Origins[id]
		if !seen {
			c.IDs = append(c.IDs, id)
		}
		if older.RemovesAccess && !newer.RemovesAccess || older.RemovesAccess == newer.RemovesAccess && newer.Cause == "" && !newer.RemovesAccess {
			newer = older
		}
		c.Origins[id] = newer
	}
	c.Ended = append(c.Ended, next.Ended...)
	c.Cursor, c.More = next.Cursor, next.More
}

// concerns reports whether the changes give the job something to do.
func (c Changed) concerns() bool { return len(c.IDs) > 0 || len(c.Ended) > 0 }

// SourceAttribute is a catalog's description of one source attribute.
type SourceAttribute struct {
	Type        AttributeType
	MultiValued bool
	Always      bool // whether every object has a value
}

// Catalog lists the attributes of a source's objects. If a function gets a nil Catalog, it accepts
// every attribute name.
type Catalog interface {
	Attribute(name string) (SourceAttribute, bool)
	// Suggest returns the attribute that a person who typed name probably meant, or "".
	Suggest(name string) string
}
