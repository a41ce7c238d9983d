package provision_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// lookedAt is a store that signals when a watcher has read the jobs.
type lookedAt struct {
	provision.Store
	looked chan struct{}
}

func (l lookedAt) WatchedStates(ctx context.Context) (map[provision.Key]provision.State, error) {
	states, err := l.Store.WatchedStates(ctx)
	select {
	case l.looked <- struct{}{}:
	default:
	}
	return states, err
}

// TestAChangeInThisProcessWakesItsJobAtOnce has a watcher that looks for changes of other processes
// once an hour. A change in the watcher's own process wakes the job at once.
func TestAChangeInThisProcessWakesItsJobAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	w.slice()
	changed, woken, ended := make(chan struct{}, 1), make(chan provision.Key, 1), make(chan struct{})
	store := lookedAt{w.store, make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(t.Context())
	watcher := &provision.Watcher{
		Store: store, Sources: w.engine.Sources, Now: w.clock.now, Every: time.Hour, Woken: changed, Log: slog.New(slog.DiscardHandler),
		Wake: func(_ context.Context, k provision.Key) error {
			woken <- k
			return nil
		},
	}
	go func() {
		defer close(ended)
		watcher.Run(ctx)
	}()
	<-store.looked // there is no change yet
	w.people.changed = func() { changed <- struct{}{} }
	w.people.edit("p1", func(*directory.User) {})
	select {
	case k := <-woken:
		if k != w.key {
			t.Errorf("%s was woken, want %s", k, w.key)
		}
	case <-time.After(time.Minute):
		t.Error("nobody was woken")
	}
	stop()
	<-ended
}

// TestAChangeOfAGroupAloneBeginsACycle renames a group while the job is idle. The change concerns
// no person. The next cycle begins at once, and not at its scheduled time.
func TestAChangeOfAGroupAloneBeginsACycle(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	team := g.group("Sales", g.hire("ada", true))
	g.rest()
	g.expect("Sales: ada")
	g.rename(team, "Marketing")
	g.rest()
	g.expect("Marketing: ada")
}

// narrow is a source with small pages that counts the pages that were read.
type narrow struct {
	provision.GroupSource
	people, groups *int
	readsGroups    func() // called before a page of groups is read; may be nil
}

func (n narrow) Changes(ctx context.Context, app string, after provision.Cursor, _ int) (provision.Changed, error) {
	*n.people++
	return n.GroupSource.Changes(ctx, app, after, 2)
}

func (n narrow) GroupChanges(ctx context.Context, app string, after provision.Cursor, _ int) (provision.GroupsChanged, error) {
	*n.groups++
	if n.readsGroups != nil {
		n.readsGroups()
	}
	return n.GroupSource.GroupChanges(ctx, app, after, 2)
}

// narrowSource gives the engine a narrow source.
func (g *groupWorld) narrowSource() (people, groups *int) {
	people, groups = new(int), new(int)
	open := g.engine.Sources
	g.engine.Sources = func(ctx context.Context, d provision.SourceID) (provision.Source, error) {
		s, err := open(ctx, d)
		if err != nil {
			return nil, err
		}
		return narrow{s.(provision.GroupSource), people, groups, g.readsGroups}, nil
	}
	return people, groups
}

// TestChangesOfOthersAreReadOnce has many changes of a group that the job does not provision. When
// the job is woken again, it does not read these changes again. After the group is assigned, the
// job provisions it.
func TestChangesOfOthersAreReadOnce(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada := g.hire("ada", true)
	g.group("Sales", ada)
	g.rest()
	people, groups := g.narrowSource()
	made, _, err := g.handle.PutGroup(t.Context(), directory.Group{Attributes: map[string]string{"displayName": "Others"}}, "cli")
	g.must(err)
	for range 3 {
		g.join(made.ObjectID, ada)
		g.leave(made.ObjectID, ada)
	}
	g.join(made.ObjectID, ada)
	g.rest()
	if *people < 4 || *groups < 4 {
		t.Fatalf("%d pages of changes of people and %d of groups were read, want at least 4 of each", *people, *groups)
	}
	*people, *groups = 0, 0
	g.rest()
	if *people > 1 || *groups > 1 {
		t.Errorf("%d pages of changes of people and %d of groups were read again", *people, *groups)
	}
	g.expect("Sales: ada")
	g.assign(made.ObjectID, true)
	g.rest()
	g.expect("Others: ada", "Sales: ada")
}

// TestChangesOfNeitherPeopleNorGroupsAreReadOnce has many changes in the directory that concern no
// group and nobody of the job: somebody is assigned to another application again and again. Neither
// a job that is woken again nor the watcher reads them a second time.
func TestChangesOfNeitherPeopleNorGroupsAreReadOnce(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada := g.hire("ada", true)
	g.group("Sales", ada)
	g.rest()
	other, err := g.handle.CreateApplication(t.Context(), "other", "cli")
	g.must(err)
	people, groups := g.narrowSource()
	watcher := &provision.Watcher{
		Store: g.store, Sources: g.engine.Sources, Now: g.clock.now, Log: slog.New(slog.DiscardHandler),
		Wake: func(_ context.Context, k provision.Key) error {
			t.Errorf("%s was woken", k)
			return nil
		},
	}
	for range 4 {
		_, err := g.handle.Assign(t.Context(), other.ID, []string{ada}, "cli")
		g.must(err)
		_, err = g.handle.Unassign(t.Context(), other.ID, []string{ada}, "cli")
		g.must(err)
	}
	for _, who := range []struct {
		name string
		look func()
	}{{"the watcher", func() { g.must(watcher.Look(t.Context())) }}, {"the job", g.rest}} {
		name, look := who.name, who.look
		*people, *groups = 0, 0
		look()
		if *people < 4 || *groups < 4 {
			t.Fatalf("%s read %d pages of changes of people and %d of groups, want at least 4 of each", name, *people, *groups)
		}
		*people, *groups = 0, 0
		look()
		if *people > 1 || *groups > 1 {
			t.Errorf("%s read %d pages of changes of people and %d of groups again", name, *people, *groups)
		}
	}
}

// listings is a store that counts how often each object is put on the work list.
type listings struct {
	provision.Store
	counts map[string]int
}

func (l listings) Import(ctx context.Context, f provision.Fence, s provision.State, listed []provision.Listed, ended ...string) error {
	for _, one := range listed {
		l.counts[one.ObjectID]++
	}
	return l.Store.Import(ctx, f, s, listed, ended...)
}

// TestManyChangesOfOnePersonAreOneRowOfTheWorkList has a person join and leave an assigned group many
// times before the next import.
func TestManyChangesOfOnePersonAreOneRowOfTheWorkList(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada := g.hire("ada", true)
	team := g.group("Sales", ada)
	g.rest()
	g.narrowSource()
	counts := map[string]int{}
	g.engine.Store = listings{g.store, counts}
	for range 4 {
		g.leave(team, ada)
		g.join(team, ada)
	}
	g.leave(team, ada)
	g.rest()
	if counts[ada] != 1 {
		t.Errorf("the person was listed %d times, want once", counts[ada])
	}
	g.expect("Sales: ")
}

// TestALeaverDoesNotWaitForChangedGroups has a person leave while many changes of groups have not
// been read. The person's account is disabled before they are read to their end.
func TestALeaverDoesNotWaitForChangedGroups(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada, bob := g.hire("ada", true), g.hire("bob", true)
	team := g.group("Sales", ada)
	g.rest()
	var pages int
	cut := make(chan struct{})
	g.readsGroups = func() {
		if pages++; pages < 3 { // the first page shows the idle job that there is something to do
			return
		}
		select {
		case <-cut:
		case <-time.After(20 * time.Second):
			t.Error("changes of groups are read, and the leaver waits")
		}
	}
	g.narrowSource()
	g.world.app.begun = func(r *http.Request) {
		if r.Method == http.MethodPatch && strings.Contains(r.URL.Path, "/Users/") {
			close(cut)
		}
	}
	for range 5 {
		g.leave(team, ada)
		g.join(team, ada)
	}
	u, err := g.handle.User(t.Context(), bob)
	g.must(err)
	u.AccountEnabled = false
	_, _, err = g.handle.PutUser(t.Context(), u, "cli")
	g.must(err)
	g.rest()
	if isActive(t, g.world, "bob@contoso.example") {
		t.Error("Bob's account is active")
	}
}
