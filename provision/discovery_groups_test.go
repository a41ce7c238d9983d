package provision_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/store"
)

// put puts a group into the application, and returns its id.
func (t *teams) put(id, name, externalID string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := scim.Resource{"schemas": []any{scim.GroupURN}, "id": id, "displayName": name}
	if externalID != "" {
		r["externalId"] = externalID
	}
	if _, known := t.byID[id]; !known {
		t.order = append(t.order, id)
	}
	t.byID[id] = r
	return id
}

// discoverGroups runs a discovery of accounts and groups to its end. It returns the numbers of the
// groups, and all groups in short, by id.
func (g *groupWorld) discoverGroups() (provision.Discovery, map[string]string) {
	g.t.Helper()
	if _, err := g.engine.BeginDiscovery(g.t.Context(), g.key, "sam"); err != nil {
		g.t.Fatal(err)
	}
	accounts, groups, err := g.engine.RunDiscovery(g.t.Context(), g.key, "test", func(provision.Discovery) {})
	if err != nil || accounts.State != provision.DiscoveryDone || groups.State != provision.DiscoveryDone {
		g.t.Fatalf("accounts %+v, groups %+v, %v", accounts, groups, err)
	}
	found := map[string]string{}
	for q := (provision.DiscoveredQuery{Kind: provision.GroupKind, Limit: 2}); ; {
		page, next, err := g.engine.Discovered(g.t.Context(), g.key, q)
		g.must(err)
		for _, a := range page {
			found[a.ID] = inShort(a)
		}
		if q.After = next; next == "" {
			return groups, found
		}
	}
}

// TestAServerReadsTheGroupsAfterTheAccounts works on a discovery as a server does, which calls
// AdvanceDiscovery again only if it returns a time.
func TestAServerReadsTheGroupsAfterTheAccounts(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	g.group("Sales", g.hire("ada", true))
	g.sync()
	if _, err := g.engine.BeginDiscovery(t.Context(), g.key, "sam"); err != nil {
		t.Fatal(err)
	}
	for next := g.clock.now(); !next.IsZero(); {
		epoch, err := g.leases.Claim(t.Context(), provision.DiscoveryKind, g.key.String(), "test", time.Minute)
		g.must(err)
		next, err = g.engine.AdvanceDiscovery(t.Context(), g.key.String(), epoch)
		g.must(err)
	}
	newest, complete, err := g.engine.LastDiscoveries(t.Context(), g.key, provision.GroupKind)
	if err != nil || newest.State != provision.DiscoveryDone || complete.Accounts != 1 {
		t.Errorf("groups: %+v, %+v, %v", newest, complete, err)
	}
}

// TestDiscoveryOfGroups sorts groups of every kind, marks, assigns and links some of them, and
// compares later discoveries with the first.
func TestDiscoveryOfGroups(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGroupWorldOn(t, db)
		put := func(name, nickname string, assigned bool) string {
			attributes := map[string]string{"displayName": name}
			if nickname != "" {
				attributes["mailNickname"] = nickname
			}
			made, _, err := g.handle.PutGroup(t.Context(), directory.Group{Attributes: attributes}, "cli")
			g.must(err)
			if assigned {
				g.assign(made.ObjectID, true)
			}
			return made.ObjectID
		}
		ada := g.hire("ada", true)
		sales, support := put("Sales", "", true), put("Support", "", false)
		g.join(sales, ada)
		put("Head-Office", "", true)
		renamed := put("Team Navy", "", true)
		put("Research and Development", "rnd", true)
		ended := put("Ended", "", true)
		_, err := g.handle.SoftDeleteGroup(t.Context(), ended, "cli")
		g.must(err)
		user := g.app.add(account("g-sales@contoso.example")) // an account with the same id as a group
		g.teams.put("t1", "SALES", "")
		g.teams.put("t2", "support", "")
		g.teams.put("t3", "Head Office!", "")
		g.teams.put("t4", "Team Blue", renamed)
		g.teams.put("t5", "RND", "")
		g.teams.put("t6", "Ended", "")
		g.teams.put(user, "Everybody", "")

		if _, _, err := g.engine.Discovered(t.Context(), g.key, provision.DiscoveredQuery{Kind: provision.GroupKind}); !errors.Is(err, provision.ErrNoGroupDiscovery) {
			t.Errorf("before the first discovery: %v", err)
		}
		d, found := g.discoverGroups()
		expect := func(when string, want map[string]string) {
			t.Helper()
			for id, text := range want {
				if found[id] != text {
					t.Errorf("%s, %s: got %q, want %q", when, id, found[id], text)
				}
			}
			if len(found) != len(want) {
				t.Errorf("%s: %d groups, want %d", when, len(found), len(want))
			}
		}
		expect("first", map[string]string{
			"t1": "assigned; Sales by displayName",
			"t2": "unassigned; Support by displayName",
			"t3": "local; nearly Head-Office: the name differs only in punctuation marks",
			"t4": "local; nearly Team Navy: its external id is the object id of the group of the directory",
			"t5": "local; nearly Research and Development: its name is the mail nickname of the group of the directory",
			"t6": "local; nearly Ended: the group was deleted in the directory",
			user: "local",
		})
		if d.Kind != provision.GroupKind || d.Accounts != 7 || d.Assigned != 1 || d.Unassigned != 1 || d.Local != 5 || d.Near != 4 || d.Compared || d.By != "sam" {
			t.Errorf("numbers %+v", d)
		}
		if texts := g.eventTexts(event.ProvisioningGroupsDiscovered); len(texts) != 1 || !strings.Contains(texts[0], "sam: The groups of the application were discovered: 7, of them 1 assigned groups, 1 unassigned groups, 5 local groups.") {
			t.Errorf("events %q", texts)
		}

		// The mark of a group is not the mark of an account with the same id.
		n, err := g.engine.KeepAccounts(t.Context(), g.key, provision.GroupKind, []string{user}, true, "sam")
		g.must(err)
		a, err := g.engine.DiscoveredAccount(t.Context(), g.key, provision.UserKind, user)
		g.must(err)
		b, err := g.engine.DiscoveredAccount(t.Context(), g.key, provision.GroupKind, user)
		g.must(err)
		if n != 1 || a.KeptBy != "" || b.KeptBy != "sam" {
			t.Errorf("%d marks; the account is kept by %q, the group by %q", n, a.KeptBy, b.KeptBy)
		}

		// Groups are assigned, and linked, in bulk.
		ids, left, err := g.engine.ObjectsToAssign(t.Context(), g.key, provision.GroupKind, []string{"t1", "t2", user})
		if err != nil || !slices.Equal(ids, []string{support}) || left != 2 {
			t.Errorf("to assign %q, %d left out, %v", ids, left, err)
		}
		g.assign(support, true)
		links, out, err := g.engine.AccountsToLink(t.Context(), g.key, provision.GroupKind, []string{"t4", "t6", user})
		g.must(err)
		reasons := fmt.Sprint(out)
		if len(links) != 1 || links[0].ObjectID != renamed || !strings.Contains(reasons, "Ended was deleted in the directory") || !strings.Contains(reasons, "it is marked Keep") {
			t.Errorf("to link %+v, left out %s", links, reasons)
		}
		linked, out, err := g.engine.LinkAccounts(t.Context(), g.key, "test", "sam", links)
		if err != nil || len(linked) != 1 || len(out) != 0 {
			t.Errorf("linked %+v, left out %+v, %v", linked, out, err)
		}
		g.sync()
		if got := g.has(); !slices.Contains(got, "SALES: ada") || !slices.Contains(got, "Team Navy: ") || slices.Contains(got, "Team Blue: ") {
			t.Errorf("groups after a cycle %q", got)
		}

		// The next discovery says what is new.
		g.teams.put("t8", "Newcomers", "")
		g.teams.mu.Lock()
		delete(g.teams.byID, "t5")
		g.teams.mu.Unlock()
		d, found = g.discoverGroups()
		if found["t2"] != "assigned, was one of the unassigned groups; Support by connection" || found["t4"] != "assigned, was one of the local groups; Team Navy by connection" || found["t8"] != "local, new" || !strings.HasPrefix(found[user], "local, marked Keep") {
			t.Errorf("later %q", found)
		}
		gone, _, err := g.engine.Discovered(t.Context(), g.key, provision.DiscoveredQuery{Kind: provision.GroupKind, Change: provision.IdentityGone})
		if err != nil || len(gone) != 1 || gone[0].ID != "t5" || d.Gone != 1 || !d.Compared {
			t.Errorf("gone %+v of %+v, %v", gone, d, err)
		}
		if d, _ = g.discoverGroups(); d.New+d.Gone+d.Changed != 0 {
			t.Errorf("the same again: %+v", d)
		}
		if all, err := g.store.Discoveries(t.Context(), g.key); err != nil || len(all) != 2 {
			t.Errorf("%d discoveries are kept, %v", len(all), err)
		}
	})
}

// TestDiscoveryWithoutGroups has an application that takes no groups, one that breaks while its
// groups are read, and a job that does not provision groups. The accounts are discovered in each case.
func TestDiscoveryWithoutGroups(t *testing.T) {
	t.Parallel()
	run := func(g *groupWorld) (accounts, groups provision.Discovery) {
		t.Helper()
		_, err := g.engine.BeginDiscovery(t.Context(), g.key, "sam")
		g.must(err)
		accounts, groups, err = g.engine.RunDiscovery(t.Context(), g.key, "test", func(provision.Discovery) {})
		if err != nil || accounts.State != provision.DiscoveryDone || accounts.Accounts != 1 {
			t.Errorf("accounts %+v, %v", accounts, err)
		}
		return accounts, groups
	}
	g := newGroupWorld(t)
	g.app.add(account("ada@contoso.example"))
	g.teams.answer = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		refuse(w, http.StatusNotFound, "", "There are no groups.")
		return true
	}
	if _, groups := run(g); groups.ID != "" {
		t.Errorf("an application without groups: %+v", groups)
	}
	g.teams.answer = func(w http.ResponseWriter, r *http.Request, _ string) bool {
		if r.URL.Query().Has("startIndex") {
			refuse(w, http.StatusForbidden, "", "No lists.")
		}
		return r.URL.Query().Has("startIndex")
	}
	if _, groups := run(g); groups.State != provision.DiscoveryFailed || !strings.Contains(groups.Problem, "No lists.") {
		t.Errorf("an application that lists no groups: %+v", groups)
	}
	g.teams.answer = nil
	schema := g.report().Job.Schema.Clone()
	mapping, err := schema.GroupMapping()
	g.must(err)
	mapping.Enabled = false
	_, err = g.jobs.SetSchema(t.Context(), g.key, schema, "cli")
	g.must(err)
	if _, groups := run(g); groups.ID != "" {
		t.Errorf("a job without groups: %+v", groups)
	}
}
