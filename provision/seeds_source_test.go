package provision_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/refusal"
)

// company is a directory in memory. Like package directory, it has people, groups, memberships, and
// one feed of their changes. Soft-deleted people are not members. A direct member of an assigned
// group is assigned.
type company struct {
	turn    func() // called before each read
	changed func() // called after each change

	mu     sync.Mutex
	people map[string]employee
	teams  map[string]department
	feed   []companyChange
	purged map[string]bool // the ids of purged people and groups
}

type employee struct {
	Attributes map[string]any // never changed in place
	Enabled    bool
	Deleted    time.Time
	Direct     bool   // whether the person is assigned directly
	Role       string // the role of the direct assignment; "" means Default Access
}

type department struct {
	ID       string
	Name     string
	Deleted  time.Time
	Assigned bool
	Members  []string // sorted, never changed in place
}

// companyChange is one entry of the feed.
type companyChange struct {
	person string
	team   string
	edge   *provision.Edge
}

func newCompany() *company {
	return &company{turn: func() {}, changed: func() {}, people: map[string]employee{}, teams: map[string]department{}, purged: map[string]bool{}}
}

// view is the part of the company that an application sees.
type view struct {
	people map[string]provision.Object
	teams  map[string]provision.Object
	edges  map[string][]string // the sorted members of each group
}

// view returns the part of the company that the application sees now. The caller must hold c.mu.
func (c *company) view() view {
	v := view{people: map[string]provision.Object{}, teams: map[string]provision.Object{}, edges: map[string][]string{}}
	through := map[string]bool{}
	for id, d := range c.teams {
		v.teams[id] = source.Group(directory.GroupObject{
			Group: directory.Group{ObjectID: id, Deleted: d.Deleted, Attributes: map[string]string{"displayName": d.Name}}, Assigned: d.Assigned,
		})
		for _, m := range d.Members {
			if c.isThere(m) {
				v.edges[id] = append(v.edges[id], m)
				if d.Assigned && d.Deleted.IsZero() {
					through[m] = true
				}
			}
		}
	}
	for id, e := range c.people {
		o := directory.Object{
			User: directory.User{ObjectID: id, AccountEnabled: e.Enabled, Deleted: e.Deleted, Attributes: e.Attributes}, Assigned: e.Direct || through[id],
		}
		if e.Direct && e.Role != "" {
			o.Roles = []directory.AppRole{{ID: "id of " + e.Role, Value: e.Role, DisplayName: e.Role, Enabled: true}}
		}
		v.people[id] = source.User(o)
	}
	return v
}

// isThere reports whether a person or group exists and is not soft-deleted. The caller must hold
// c.mu.
func (c *company) isThere(id string) bool {
	if e, ok := c.people[id]; ok {
		return e.Deleted.IsZero()
	}
	d, ok := c.teams[id]
	return ok && d.Deleted.IsZero()
}

func (c *company) kind(id string) provision.ObjectKind {
	if _, ok := c.teams[id]; ok {
		return provision.GroupKind
	}
	return provision.UserKind
}

// change changes the directory, and adds the differences to the feed in a fixed order.
func (c *company) change(fn func()) {
	c.mu.Lock()
	before := c.view()
	kinds := map[string]provision.ObjectKind{}
	for id := range c.teams {
		kinds[id] = provision.GroupKind
	}
	fn()
	after := c.view()
	for _, id := range slices.Sorted(maps.Keys(union(before.people, after.people))) {
		if !reflect.DeepEqual(before.people[id], after.people[id]) {
			c.feed = append(c.feed, companyChange{person: id})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(union(before.teams, after.teams))) {
		if !reflect.DeepEqual(before.teams[id], after.teams[id]) {
			c.feed = append(c.feed, companyChange{team: id})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(after.teams)) {
		was, is := before.edges[id], after.edges[id]
		for _, m := range was {
			if !slices.Contains(is, m) {
				c.feed = append(c.feed, companyChange{edge: &provision.Edge{Group: id, Member: m, Kind: cmp.Or(kinds[m], provision.UserKind)}})
			}
		}
		for _, m := range is {
			if !slices.Contains(was, m) {
				c.feed = append(c.feed, companyChange{edge: &provision.Edge{Group: id, Member: m, Kind: c.kind(m), Present: true}})
			}
		}
	}
	c.mu.Unlock()
	c.changed()
}

func union[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// edit changes one person.
func (c *company) edit(id string, fn func(e *employee)) {
	c.change(func() {
		e := c.people[id]
		fn(&e)
		c.people[id] = e
	})
}

func (c *company) set(id, attribute string, value any) {
	c.edit(id, func(e *employee) { e.set(attribute, value) })
}

func (e *employee) set(attribute string, value any) {
	e.Attributes = maps.Clone(e.Attributes)
	if e.Attributes[attribute] = value; value == nil {
		delete(e.Attributes, attribute)
	}
}

func (c *company) editTeam(id string, fn func(d *department)) {
	c.change(func() {
		d := c.teams[id]
		fn(&d)
		c.teams[id] = d
	})
}

// join adds a person or a group to a group. If in is false, it removes the member.
func (c *company) join(id, member string, in bool) {
	c.editTeam(id, func(d *department) {
		d.Members = slices.DeleteFunc(slices.Clone(d.Members), func(m string) bool { return m == member })
		if in {
			d.Members = append(d.Members, member)
			slices.Sort(d.Members)
		}
	})
}

// purge removes a person or group permanently. People with that manager no longer have a manager.
func (c *company) purge(id string) {
	c.change(func() {
		for other, e := range c.people {
			if e.Attributes["manager"] == id {
				e.set("manager", nil)
				c.people[other] = e
			}
		}
		for team, d := range c.teams {
			d.Members = slices.DeleteFunc(slices.Clone(d.Members), func(m string) bool { return m == id })
			c.teams[team] = d
		}
		delete(c.people, id)
		delete(c.teams, id)
		c.purged[id] = true
	})
}

// read returns the people and groups that exist, by id.
func (c *company) read() (people map[string]employee, teams map[string]department) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.people), maps.Clone(c.teams)
}

func (c *company) seen() view {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.view()
}

func (c *company) end() provision.Cursor {
	c.mu.Lock()
	defer c.mu.Unlock()
	return place(len(c.feed))
}

func (*company) DefaultDomain() string { return "" }

func (c *company) Position(context.Context) (provision.Cursor, error) {
	c.turn()
	return c.end(), nil
}

func (c *company) Snapshot(_ context.Context, q provision.SnapshotQuery) ([]provision.Object, error) {
	c.turn()
	return snapshot(c.seen().people, q), nil
}

func (c *company) GroupSnapshot(_ context.Context, q provision.SnapshotQuery) ([]provision.Object, error) {
	c.turn()
	return snapshot(c.seen().teams, q), nil
}

func snapshot(all map[string]provision.Object, q provision.SnapshotQuery) (page []provision.Object) {
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if o := all[id]; id > q.After && len(page) < q.Limit && (o.Assigned || !q.AssignedOnly) {
			page = append(page, o)
		}
	}
	return page
}

// since returns a page of the feed. from is the number of the page's first entry.
func (c *company) since(after provision.Cursor, limit int) (page []companyChange, from int, more bool, err error) {
	c.turn()
	at, err := event.ParsePosition(string(after))
	if err != nil {
		return nil, 0, false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	from = int(at.Seq)
	end := min(from+limit, len(c.feed))
	return slices.Clone(c.feed[from:end]), from, end < len(c.feed), nil
}

func (c *company) Changes(_ context.Context, _ string, after provision.Cursor, limit int) (provision.Changed, error) {
	page, from, more, err := c.since(after, limit)
	changed := provision.Changed{Cursor: place(from + len(page)), More: more}
	for _, one := range page {
		if one.person != "" && !slices.Contains(changed.IDs, one.person) {
			changed.IDs = append(changed.IDs, one.person)
		}
	}
	return changed, err
}

func (c *company) GroupChanges(_ context.Context, _ string, after provision.Cursor, limit int) (provision.GroupsChanged, error) {
	page, from, more, err := c.since(after, limit)
	changed := provision.GroupsChanged{Cursor: place(from + len(page)), More: more}
	for i, one := range page {
		switch {
		case one.team != "" && !slices.Contains(changed.IDs, one.team):
			changed.IDs = append(changed.IDs, one.team)
		case one.edge != nil:
			edge := *one.edge
			edge.Cursor = place(from + i + 1)
			changed.Edges = append(changed.Edges, edge)
		}
	}
	return changed, err
}

func (c *company) Objects(_ context.Context, _ string, ids []string) (found []provision.Object, err error) {
	c.turn()
	people := c.seen().people
	for _, id := range ids {
		if o, there := people[id]; there {
			found = append(found, o)
		}
	}
	return found, nil
}

func (c *company) GroupObject(_ context.Context, _, id string) (provision.Object, error) {
	c.turn()
	o, there := c.seen().teams[id]
	if !there {
		return provision.Object{}, fmt.Errorf("group %s: %w", id, refusal.NotFound)
	}
	return o, nil
}

func (c *company) Members(_ context.Context, team, after string, limit int) (page []provision.Edge, err error) {
	c.turn()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.view().edges[team] {
		if m > after && len(page) < limit {
			page = append(page, provision.Edge{Group: team, Member: m, Kind: c.kind(m), Present: true})
		}
	}
	return page, nil
}

func (c *company) MembersAmong(_ context.Context, team string, ids []string) (map[string]provision.ObjectKind, error) {
	c.turn()
	c.mu.Lock()
	defer c.mu.Unlock()
	among := map[string]provision.ObjectKind{}
	for _, m := range c.view().edges[team] {
		if slices.Contains(ids, m) {
			among[m] = c.kind(m)
		}
	}
	return among, nil
}

func (c *company) GroupsOf(_ context.Context, member string) (all []string, err error) {
	c.turn()
	c.mu.Lock()
	defer c.mu.Unlock()
	edges := c.view().edges
	for _, team := range slices.Sorted(maps.Keys(edges)) {
		if slices.Contains(edges[team], member) {
			all = append(all, team)
		}
	}
	return all, nil
}

// Cause returns no data, because the company has no imports.
func (*company) Cause(context.Context, string) (provision.CauseInfo, error) {
	return provision.CauseInfo{}, nil
}
