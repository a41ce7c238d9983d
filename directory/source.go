package directory

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
)

// Object is a user and its assignment to one application. From these and its scope, the engine
// decides IsSoftDeleted.
type Object struct {
	User     User
	Assigned bool // to the application in the query
}

// Attributes returns every value that a mapping can read, under Entra's names: string, bool or
// []string. IsSoftDeleted is not among them.
func (o Object) Attributes() map[string]any {
	u := o.User
	values := make(map[string]any, len(u.Attributes)+3)
	for name, v := range u.Attributes {
		values[name] = v
	}
	values[attrObjectID] = u.ObjectID
	values[attrAccountEnabled] = u.AccountEnabled
	values[attrOriginalUPN] = u.UPN()
	values[attrUPN] = withoutGuestSuffix(u.UPN())
	return values
}

// SourceAttribute finds an attribute that Attributes can return, by its exact name.
func SourceAttribute(name string) (Attribute, bool) {
	if name == attrOriginalUPN {
		name = attrUPN
	}
	a, ok := AttributeNamed(name)
	return a, ok && a.Name == name
}

// HasAlways reports whether every user has a value for this attribute.
func (a Attribute) HasAlways() bool {
	return a.Name == attrObjectID || a.Name == attrUPN || a.Name == attrAccountEnabled
}

// withoutGuestSuffix returns a guest's name as Entra gives it to mappings: alias_domain#EXT#@tenant
// becomes alias@domain.
func withoutGuestSuffix(upn string) string {
	name, _, guest := strings.Cut(upn, "#EXT#@")
	i := strings.LastIndexByte(name, '_')
	if !guest || i < 1 {
		return upn
	}
	return name[:i] + "@" + name[i+1:]
}

// Position returns the present end of the change feed. Take it before a snapshot: changes during
// the snapshot then come after it.
func (h *Handle) Position(ctx context.Context) (event.Position, error) {
	return h.store.LastEvent(ctx, h.Directory.ID)
}

// SnapshotQuery selects a page of a snapshot.
type SnapshotQuery struct {
	App          string // id of the application that Assigned is about
	AssignedOnly bool   // only its users
	After        string // object id where the last page ended
	Limit        int    // 500 when zero
}

// Snapshot lists users by object id, soft-deleted ones included. A page shorter than the limit is
// the last.
func (h *Handle) Snapshot(ctx context.Context, q SnapshotQuery) ([]Object, error) {
	if q.Limit <= 0 {
		q.Limit = batchRows
	}
	return h.store.Snapshot(ctx, h.Directory.ID, q)
}

// Object reads one user for an application. refusal.NotFound means that the user never existed or
// was deleted permanently.
func (h *Handle) Object(ctx context.Context, app, objectID string) (Object, error) {
	o, err := h.store.Object(ctx, h.Directory.ID, app, strings.ToLower(objectID))
	return o, h.noUser(err, objectID)
}

// Changes names users that changed. Continue at Position once they are done. More reports that
// there may be more.
type Changes struct {
	ObjectIDs []string // each once, in the order of their first change
	Position  event.Position
	More      bool
}

// Changes reads at most limit events (500 when zero) after a position: the users that were created,
// changed or deleted, or whose assignment to this application changed.
func (h *Handle) Changes(ctx context.Context, app string, after event.Position, limit int) (Changes, error) {
	if limit <= 0 {
		limit = batchRows
	}
	events, err := h.store.Events(ctx, h.Directory.ID, after, limit)
	if err != nil {
		return Changes{}, err
	}
	c := Changes{Position: after, More: len(events) == limit}
	seen := make(map[string]bool, len(events))
	for _, e := range events {
		c.Position = e.Position
		about, err := concerns(e, app)
		if err != nil {
			return Changes{}, fmt.Errorf("read event %v: %w", e.Position, err)
		}
		if about && !seen[e.Subject] {
			seen[e.Subject] = true
			c.ObjectIDs = append(c.ObjectIDs, e.Subject)
		}
	}
	return c, nil
}

func concerns(e event.Event, app string) (bool, error) {
	switch e.Name {
	case event.AssignmentAdded, event.AssignmentRemoved:
		var d event.Assignment
		err := json.Unmarshal(e.Data, &d)
		return d.Application == app, err
	}
	return strings.HasPrefix(e.Name, "user."), nil
}
