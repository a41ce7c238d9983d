package provision_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store"
)

// explain returns the explanation of one object.
func (w *world) explain(id string) provision.Explanation {
	w.t.Helper()
	x, err := w.engine.Explain(w.t.Context(), w.key, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return x
}

// attribute returns one attribute of an explanation.
func attribute(t *testing.T, x provision.Explanation, target string) provision.ExplainedAttribute {
	t.Helper()
	i := slices.IndexFunc(x.Attributes, func(a provision.ExplainedAttribute) bool { return a.Target == target })
	if i < 0 {
		t.Fatalf("%s is not explained: %+v", target, x.Attributes)
	}
	return x.Attributes[i]
}

// TestExplain goes through the life of one person. At each stage it asks why the account is as it
// is. Explain changes nothing.
func TestExplain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		want := func(parts ...string) provision.Explanation {
			t.Helper()
			before := w.app.writes()
			x := w.explain("p1")
			for _, part := range parts {
				if !strings.Contains(x.Answer, part) {
					t.Errorf("the answer is\n%s\nand lacks %q", x.Answer, part)
				}
			}
			if w.app.writes() != before {
				t.Error("asking why changed the application")
			}
			return x
		}

		w.people.put("p1", person("ada@contoso.com", "Ada", "Lund"))
		w.people.assign("p1", false)
		x := want("Ada Lund has no account through this job.", "not assigned to the application", "Nothing would be sent")
		if x.InScope || x.Account != nil {
			t.Errorf("unassigned: %+v", x)
		}

		w.people.assign("p1", true)
		x = want("The person is in scope.", "The next look creates the account.")
		if a := attribute(t, x, "displayName"); a.State != provision.AttributeUnsent || !slices.Equal(a.Values, []string{"Ada Lund"}) || len(a.Account) != 0 {
			t.Errorf("before the account: %+v", a)
		}

		w.cycle()
		x = want("has the account u1. The account is active")
		if a := attribute(t, x, "displayName"); a.State != provision.AttributeSame || !slices.Equal(a.Account, []string{"Ada Lund"}) {
			t.Errorf("in step: %+v", a)
		}
		if x.Last == nil || x.Last.Action != provision.Create || x.Account.How != "created" {
			t.Errorf("the last exchange is %+v of %+v", x.Last, x.Account)
		}

		w.people.set("p1", "displayName", "Ada Berg")
		x = want("The next look updates one attribute of the account.")
		if a := attribute(t, x, "displayName"); a.State != provision.AttributeDiffers || !slices.Equal(a.Values, []string{"Ada Berg"}) || !slices.Equal(a.Account, []string{"Ada Lund"}) || a.Trace == nil && a.Type == provision.ExpressionMapping {
			t.Errorf("changed: %+v", a)
		}

		// The application refuses the new name. The explanation shows the failure, its reason and
		// the next attempt.
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPatch {
				refuse(rw, http.StatusBadRequest, "invalidValue", "displayName: names end with Lund here.")
				return true
			}
			return false
		}
		w.cycle()
		x = want("names end with Lund here")
		if a := attribute(t, x, "displayName"); a.State != provision.AttributeRefused {
			t.Errorf("refused: %+v", a)
		}
		if len(x.Waiting) != 1 || !x.Waiting[0].Until.After(epoch) {
			t.Errorf("waiting: %+v", x.Waiting)
		}
		w.app.answer = nil
		w.people.set("p1", "displayName", "Ada Holm Lund")
		w.cycle()

		// The person is blocked in the directory, and then removed from the directory.
		w.people.enable("p1", false)
		x = want("The next look disables the account.", "not active in the directory (blocked from sign-in)")
		if i := slices.IndexFunc(x.Scope, func(c provision.ScopeCondition) bool { return c.Condition == "Active in the directory" }); i < 0 || x.Scope[i].Holds {
			t.Errorf("conditions: %+v", x.Scope)
		}
		w.cycle()
		want("The account is disabled", "blocked from sign-in")
		w.people.purge("p1")
		x = want("not in the directory (deleted permanently)")
		if x.Name == "p1" {
			t.Error("the name of a person who was deleted permanently is not remembered")
		}
	})
}

// TestExplainWhatIsMissing asks about an account that the application has lost. It also asks while
// provisioning is paused, and while the application cannot be reached.
func TestExplainWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lund"))
	w.cycle()
	w.app.remove("u1")
	w.people.set("p1", "city", "Bergen")
	if _, err := w.jobs.Save(t.Context(), w.key, provision.Settings{Mode: provision.Automatic, TenantURL: w.app.url(), Status: provision.Off, Scope: provision.AssignedOnly}, "cli"); err != nil {
		t.Fatal(err)
	}
	x := w.explain("p1")
	if !slices.Contains(x.Notes, "Provisioning is paused, so nothing is sent until it is started.") {
		t.Errorf("notes: %q", x.Notes)
	}

	w.app.Close()
	x = w.explain("p1")
	if x.Planned == nil || !x.InScope || x.Account == nil || attribute(t, x, "addresses[type eq \"work\"].locality").State != provision.AttributeDiffers {
		t.Errorf("an application that is away hides what is remembered: %+v", x)
	}
	if _, err := w.engine.Explain(t.Context(), w.key, "nobody"); err == nil || !strings.Contains(err.Error(), "neither the directory nor a linked account has it") {
		t.Errorf("a stranger: %v", err)
	}
}

// TestExplainMemberships asks about the memberships of a person.
func TestExplainMemberships(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		g := newGroupWorldOn(t, db)
		ada, bo := g.hire("ada", false), g.hire("bo", false)
		sales := g.group("Sales", ada)
		board := g.group("Board", ada)
		g.assign(board, false)
		g.cycle()

		words := func(id, group string) (string, bool) {
			t.Helper()
			x, err := g.engine.Explain(t.Context(), g.key, id)
			g.must(err)
			i := slices.IndexFunc(x.Memberships, func(m provision.ExplainedMembership) bool { return m.Group == group })
			if i < 0 {
				t.Fatalf("the membership is not explained: %+v", x.Memberships)
			}
			return x.Memberships[i].Words, x.Memberships[i].Sent
		}
		if text, sent := words(ada, sales); !sent || text != "The application has it." {
			t.Errorf("Sales: %v, %s", sent, text)
		}
		if text, sent := words(ada, board); sent || !strings.Contains(text, "The group is not in scope") {
			t.Errorf("Board: %v, %s", sent, text)
		}
		x, err := g.engine.Explain(t.Context(), g.key, ada)
		g.must(err)
		if i := slices.IndexFunc(x.Scope, func(c provision.ScopeCondition) bool { return c.Condition == "Assigned to the application" }); x.Scope[i].Detail != "through the group “Sales”" {
			t.Errorf("assigned: %+v", x.Scope)
		}

		// Board is assigned again, but the application refuses Bo's account: Bo is not a member there.
		g.assign(board, true)
		g.join(board, bo)
		g.world.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/Users") {
				refuse(w, http.StatusBadRequest, "invalidValue", "no free seat")
				return true
			}
			return g.teams.serve(w, r)
		}
		g.cycle()
		if text, sent := words(bo, board); sent || text != "The person has no account in scope, and only such people are members there." {
			t.Errorf("Bo in Board: %v, %s", sent, text)
		}
		x, err = g.engine.Explain(t.Context(), g.key, board)
		g.must(err)
		if x.Kind != provision.GroupKind || x.Members == nil || *x.Members != (provision.ExplainedMembers{Sent: 1}) || !strings.Contains(x.Answer, "Board has the group at the application") {
			t.Errorf("Board: %+v, %+v", x.Members, x.Answer)
		}
	})
}

// TestExplainReferences asks about a manager who gets an account later than the person.
func TestExplainReferences(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	g.mapManager()
	boss, ada := g.hire("boss", false), g.hire("ada", true)
	g.manage(ada, boss)
	g.sync()
	note := func() string {
		t.Helper()
		x, err := g.engine.Explain(t.Context(), g.key, ada)
		g.must(err)
		return attribute(t, x, managerPath).Note
	}
	if got := note(); got != "This is boss Lund, who has no account in scope at the application. It is set as soon as there is one." {
		t.Errorf("before the manager is assigned: %q", got)
	}
	g.assign(boss, true)
	g.sync()
	if got := note(); got != "This is boss Lund." {
		t.Errorf("with the manager's account: %q", got)
	}
}
