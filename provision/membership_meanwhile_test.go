package provision_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/provision"
)

// These tests are about memberships that change in the directory while the engine works on them.

// TestAMemberWhoLeavesDuringTheFirstRequestIsRemoved has a member leave a new group while the
// request with the first members of the group is under way.
func TestAMemberWhoLeavesDuringTheFirstRequestIsRemoved(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada, bo := g.hire("ada", true), g.hire("bo", true)
	g.sync()
	blue := ""
	g.teams.answer = func(_ http.ResponseWriter, r *http.Request, _ string) bool {
		if r.Method != http.MethodPatch || blue == "" {
			return false
		}
		group := blue
		blue = ""
		g.leave(group, ada)
		g.engine.Wake(g.key)
		for range 1_000 {
			if listed, err := g.store.MembershipsAmong(t.Context(), g.key, group, []string{ada}); err != nil || len(listed) > 0 {
				if err != nil {
					t.Error(err)
				}
				return false
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Error("the removal was not imported")
		return false
	}
	blue = g.group("Team Blue", ada, bo)
	g.sync()
	g.sync()
	g.expect("Team Blue: bo")
}

// leavingSource calls leave each time the members of a group have been read.
type leavingSource struct {
	source.Directory
	leave func(group string)
}

func (l leavingSource) Members(ctx context.Context, group, after string, limit int) ([]provision.Edge, error) {
	edges, err := l.Directory.Members(ctx, group, after, limit)
	l.leave(group)
	return edges, err
}

// overlapStore notices if the members that were read are stored while an import of memberships is
// being stored. Every page of members is stored before it is sent.
type overlapStore struct {
	provision.Store
	isImporting *atomic.Bool
	imports     chan struct{} // gets a value when an import of memberships begins
	read        chan struct{} // gets a value when members that were read are being stored
	fault       func(text string)
}

func (o overlapStore) Memberships(ctx context.Context, k provision.Key, group string, limit int) (provision.MembersWork, error) {
	w, err := o.Store.Memberships(ctx, k, group, limit)
	w.NoneRemembered = false
	return w, err
}

func (o overlapStore) RecordReadMembers(ctx context.Context, f provision.Fence, group, after, upTo string, members []string) error {
	if o.isImporting.Load() {
		o.fault("members that were read are stored while an import is stored")
	}
	select {
	case o.read <- struct{}{}:
	default:
	}
	return o.Store.RecordReadMembers(ctx, f, group, after, upTo, members)
}

func (o overlapStore) Import(ctx context.Context, f provision.Fence, st provision.State, listed []provision.Listed, ended ...string) error {
	for _, l := range listed {
		if len(l.Members) == 0 {
			continue
		}
		o.isImporting.Store(true)
		defer o.isImporting.Store(false)
		select {
		case o.imports <- struct{}{}:
		default:
		}
		select {
		case <-o.read:
		case <-time.After(300 * time.Millisecond): // RecordReadMembers waits, as it should
		}
		break
	}
	return o.Store.Import(ctx, f, st, listed, ended...)
}

// TestMembersAreNotStoredWhileAnImportIsStored has a member leave a group when the members of the
// group have been read. PostgreSQL would not show the two transactions each other's rows.
func TestMembersAreNotStoredWhileAnImportIsStored(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada, bo := g.hire("ada", true), g.hire("bo", true)
	g.sync()
	o := overlapStore{g.store, new(atomic.Bool), make(chan struct{}, 1), make(chan struct{}, 1), func(text string) { t.Error(text) }}
	g.engine.Store = o
	hasLeft := false
	g.engine.Sources = func(context.Context, provision.SourceID) (provision.Source, error) {
		return leavingSource{source.Of(g.handle), func(group string) {
			if hasLeft {
				return
			}
			hasLeft = true
			g.leave(group, ada)
			g.engine.Wake(g.key)
			select {
			case <-o.imports:
			case <-time.After(10 * time.Second):
				t.Error("the removal was not imported")
			}
		}}, nil
	}
	g.group("Team Blue", ada, bo)
	g.sync()
	g.sync()
	g.expect("Team Blue: bo")
}
