package provision_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
)

// slowly makes each page of the directory's changes take a second on the engine's clock, and a page
// of changes of groups have so many rows.
func (g *groupWorld) slowly(rows int) {
	g.engine.Sources = func(context.Context, provision.SourceID) (provision.Source, error) {
		return slowFeed{source.Of(g.handle), g.clock, time.Second, rows}, nil
	}
}

// wantShortSlices advances the job until it has no work that is due. A slice must not take much
// longer than it should, whatever it has to read.
func (g *groupWorld) wantShortSlices(atMost int) {
	g.t.Helper()
	for range atMost {
		began := g.clock.now()
		next := g.slice()
		ended := g.clock.now()
		if took := ended.Sub(began); took > 15*time.Second {
			g.t.Errorf("a slice took %s", took)
		}
		if next.IsZero() || next.After(ended) {
			return
		}
	}
	g.t.Errorf("after %d slices there is still work that is due", atMost)
}

// TestASliceEndsAlthoughChangesOfGroupsAreLeft has many changes of memberships, which take long to
// read, while the guard judges an import.
func TestASliceEndsAlthoughChangesOfGroupsAreLeft(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	var people []string
	for i := range 20 {
		people = append(people, g.hire(fmt.Sprintf("p%02d", i), true))
	}
	blue := g.group("Team Blue", people...)
	g.sync()
	ctx := event.WithCause(t.Context(), event.Cause{ID: event.ImportCause + "leavers", Words: "Import of users by sam", Now: g.clock.now})
	_, err := g.handle.SoftDelete(ctx, people[0], "cli")
	g.must(err)
	for range 4 {
		g.leave(blue, people[1:]...)
		g.join(blue, people[1:]...)
	}
	g.leave(blue, people[19])
	g.clock.advance(2 * time.Minute)
	g.slowly(4)
	g.wantShortSlices(40)
	if active, _ := g.app.user("p00@contoso.example")["active"].(bool); active {
		t.Error("the leaver can still sign in")
	}
	if got := g.members("g1"); got < 18 || got > 19 { // the account that was disabled may keep its membership
		t.Errorf("the group has %d members", got)
	}
}

// TestALookForChangesEnds has many changes of groups that do not concern the job.
func TestALookForChangesEnds(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	g.hire("ada", true)
	g.group("Team Blue")
	g.sync()
	for i := range 40 {
		_, _, err := g.handle.PutGroup(t.Context(), directory.Group{Attributes: map[string]string{"displayName": fmt.Sprint("Other ", i)}}, "cli")
		g.must(err)
	}
	g.slowly(1)
	g.wantShortSlices(20)
	bo := g.hire("bo", true)
	g.wantShortSlices(20)
	if g.app.user("bo@contoso.example") == nil {
		t.Errorf("%s has no account", bo)
	}
}
