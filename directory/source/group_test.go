package source_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/expr"
	"github.com/rollcall-scim/rollcall/store"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// TestGroupsAsASource reads what the engine needs to provision groups.
func TestGroupsAsASource(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx, clock, ids := t.Context(), time.Date(2024, 3, 1, 8, 0, 0, 0, time.UTC), 0
		all := &directory.Directories{
			Store: store.Directories{DB: db}, Now: func() time.Time { clock = clock.Add(time.Second); return clock },
			NewID: func() string { ids++; return fmt.Sprintf("00000000-0000-4000-8000-%012x", ids) },
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		d, err := all.Create(ctx, "contoso", "cli")
		must(err)
		h := all.Open(d)
		people := map[string]string{}
		for _, name := range []string{"ada", "bo", "cy"} {
			u, _, err := h.PutUser(ctx, directory.User{AccountEnabled: true, Attributes: map[string]any{"userPrincipalName": name + "@contoso.example"}}, "cli")
			must(err)
			people[name] = u.ObjectID
		}
		group := func(name string, members ...string) directory.Group {
			g, _, err := h.PutGroup(ctx, directory.Group{Attributes: map[string]string{"displayName": name, "description": "of " + name}}, "cli")
			must(err)
			_, err = h.AddMembers(ctx, g.ObjectID, members, "cli")
			must(err)
			return g
		}
		inner := group("Inner", people["cy"])
		outer := group("Outer", people["ada"], people["bo"], inner.ObjectID)
		app, err := h.CreateApplication(ctx, "Acme", "cli")
		must(err)
		_, err = h.Assign(ctx, app.ID, []string{outer.ObjectID}, "cli")
		must(err)

		src := source.Of(h)
		scope, err := src.GroupSnapshot(ctx, provision.SnapshotQuery{App: app.ID, AssignedOnly: true})
		must(err)
		if diff := cmp.Diff([]provision.Object{{
			Kind: provision.GroupKind, ID: outer.ObjectID, Name: "Outer", Enabled: true, Assigned: true,
			Attributes: map[string]any{"objectId": outer.ObjectID, "displayName": "Outer", "description": "of Outer", "securityEnabled": true, "mailEnabled": false},
		}}, scope); diff != "" {
			t.Errorf("in scope (-want +got):\n%s", diff)
		}
		for name := range scope[0].Attributes {
			if _, ok := (source.GroupAttributes{}).Attribute(name); !ok {
				t.Errorf("the catalog does not know %s", name)
			}
		}
		everything, err := src.GroupSnapshot(ctx, provision.SnapshotQuery{App: app.ID})
		must(err)
		if len(everything) != 2 || everything[0].Assigned {
			t.Errorf("all groups: %+v", everything)
		}

		start, err := src.Position(ctx)
		must(err)
		for start == "" || !settled(t, src, app.ID, start) {
			start, err = src.Position(ctx)
			must(err)
		}
		first, err := src.Members(ctx, outer.ObjectID, "", 2)
		must(err)
		rest, err := src.Members(ctx, outer.ObjectID, first[1].Member, 2)
		must(err)
		if diff := cmp.Diff([]provision.Edge{
			{Group: outer.ObjectID, Member: people["ada"], Kind: provision.UserKind, Present: true},
			{Group: outer.ObjectID, Member: people["bo"], Kind: provision.UserKind, Present: true},
			{Group: outer.ObjectID, Member: inner.ObjectID, Kind: provision.GroupKind, Present: true},
		}, append(first, rest...)); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}

		_, err = h.RemoveMembers(ctx, outer.ObjectID, []string{people["ada"]}, "cli")
		must(err)
		_, err = h.SoftDelete(ctx, people["bo"], "cli")
		must(err)
		_, err = h.SoftDeleteGroup(ctx, inner.ObjectID, "cli")
		must(err)
		if left, err := src.Members(ctx, outer.ObjectID, "", 0); err != nil || len(left) != 0 {
			t.Errorf("left are %v, %v", left, err)
		}
		got := provision.GroupsChanged{Cursor: start}
		for len(got.Edges) < 3 { // until the feed shows it
			if got, err = src.GroupChanges(ctx, app.ID, start, 0); err != nil {
				t.Fatal(err)
			}
		}
		for i := range got.Edges {
			if got.Edges[i].Cursor == "" {
				t.Errorf("no position: %+v", got.Edges[i])
			}
			got.Edges[i].Cursor = ""
		}
		if last := got.Edges[len(got.Edges)-1]; !strings.HasPrefix(last.Cause, event.ImportCause) || got.Edges[0].Cause != "" {
			t.Errorf("the end of a group has the cause %q, and a single member %q", last.Cause, got.Edges[0].Cause)
		}
		got.Edges[len(got.Edges)-1].Cause = ""
		if diff := cmp.Diff([]provision.Edge{
			{Group: outer.ObjectID, Member: people["ada"], Kind: provision.UserKind},
			{Group: outer.ObjectID, Member: people["bo"], Kind: provision.UserKind},
			{Group: outer.ObjectID, Member: inner.ObjectID, Kind: provision.GroupKind},
		}, got.Edges); diff != "" {
			t.Errorf("edges (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{inner.ObjectID}, got.IDs); diff != "" {
			t.Errorf("groups (-want +got):\n%s", diff)
		}
		if o, err := src.GroupObject(ctx, app.ID, inner.ObjectID); err != nil || o.Deleted.IsZero() || o.Active() {
			t.Errorf("the deleted group is %+v, %v", o, err)
		}
	})
}

// settled reports whether nothing comes after a position.
func settled(t *testing.T, src source.Directory, app string, at provision.Cursor) bool {
	t.Helper()
	c, err := src.GroupChanges(t.Context(), app, at, 0)
	if err != nil {
		t.Fatal(err)
	}
	return c.Cursor == at
}

// TestTheRolesOfAPersonAreWhatExpressionsRead gives the attribute of a source to the functions that read it.
func TestTheRolesOfAPersonAreWhatExpressionsRead(t *testing.T) {
	t.Parallel()
	o := source.User(directory.Object{
		User:  directory.User{ObjectID: "1", Attributes: map[string]any{"userPrincipalName": "ada@contoso.example"}},
		Roles: []directory.AppRole{{ID: "r-1", Value: "editor", DisplayName: "Editor"}, {ID: "r-2", Value: "reader", DisplayName: "Reader"}},
	})
	for text, want := range map[string]string{
		"AppRoleAssignments([appRoleAssignments])":      "editor reader",
		"SingleAppRoleAssignment([appRoleAssignments])": "editor",
	} {
		e, err := expr.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		v, err := e.Eval(expr.Env{Attribute: func(name string) expr.Value {
			list, _ := o.Attributes[name].([]string)
			return expr.List(list)
		}})
		if got := strings.Join(v.Strings(), " "); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
	if _, ok := (source.UserAttributes{}).Attribute("appRoleAssignments"); !ok {
		t.Error("mappings cannot read appRoleAssignments")
	}
}
