package provision_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/expr"
	"github.com/rollcall-scim/rollcall/provision/templates"
)

const managerPath = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager"

// mapManager adds a row for the manager to the mapping of users.
func (g *groupWorld) mapManager() {
	g.t.Helper()
	job, err := g.jobs.Get(g.t.Context(), g.key)
	g.must(err)
	b, err := templates.Get(templates.NonGallery)
	g.must(err)
	other, err := provision.ParseSchema(b)
	g.must(err)
	from, err := other.UserMapping()
	g.must(err)
	schema := job.Schema.Clone()
	to, err := schema.UserMapping()
	g.must(err)
	for _, row := range from.AttributeMappings {
		if row.TargetAttributeName == managerPath {
			to.AttributeMappings = append(to.AttributeMappings, row)
		}
	}
	_, err = g.jobs.SetSchema(g.t.Context(), g.key, schema, "cli")
	g.must(err)
}

func (g *groupWorld) manage(id, manager string) {
	g.t.Helper()
	g.edit(id, func(u *directory.User) {
		attributes := map[string]any{}
		for name, v := range u.Attributes {
			attributes[name] = v
		}
		delete(attributes, "manager")
		if manager != "" {
			attributes["manager"] = manager
		}
		u.Attributes = attributes
	})
}

// operations runs a cycle and returns the operations of its PATCHes of accounts.
func (g *groupWorld) operations() []string {
	g.t.Helper()
	g.app.asked()
	_, _, err := g.tryCycle()
	g.must(err)
	g.app.mu.Lock()
	defer g.app.mu.Unlock()
	var all []string
	for _, body := range g.app.bodies {
		var patch struct{ Operations []json.RawMessage }
		if err := json.Unmarshal([]byte(body), &patch); err != nil {
			g.t.Fatal(err)
		}
		for _, op := range patch.Operations {
			all = append(all, string(op))
		}
	}
	return all
}

// managerOf returns the user name of an account's manager.
func (g *groupWorld) managerOf(name string) string {
	g.t.Helper()
	account := g.app.user(name + "@contoso.example")
	enterprise, _ := account["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"].(map[string]any)
	manager, _ := enterprise["manager"].(map[string]any)
	id, _ := manager["value"].(string)
	g.app.mu.Lock()
	defer g.app.mu.Unlock()
	who, _, _ := strings.Cut(g.app.users[id].String("userName"), "@")
	return who
}

// TestManagersOnTheWire compares the requests about managers with Entra's requests, in both
// dialects.
func TestManagersOnTheWire(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                 string
		options              []option
		add, replace, remove string
	}{
		{
			name:    "as Entra sends by default",
			add:     `{"op":"Add","path":"` + managerPath + `","value":"u1"}`,
			replace: `{"op":"Replace","path":"` + managerPath + `","value":"u2"}`,
			remove:  `{"op":"Replace","path":"` + managerPath + `","value":""}`,
		},
		{
			name: "with the flag", options: []option{compliant},
			add:     `{"op":"add","path":"` + managerPath + `","value":"u1"}`,
			replace: `{"op":"replace","value":{"` + managerPath + `":"u2"}}`,
			remove:  `{"op":"remove","path":"manager[value eq \"u2\"]"}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGroupWorld(t, tt.options...)
			g.mapManager()
			ada := g.hire("ada", true)
			g.sync()
			bo := g.hire("bo", true)
			g.sync()
			cy := g.hire("cy", true)
			g.sync()
			for _, step := range []struct{ manager, want, who string }{
				{ada, tt.add, "ada"}, {bo, tt.replace, "bo"}, {"", tt.remove, ""},
			} {
				g.manage(cy, step.manager)
				if diff := cmp.Diff([]string{step.want}, g.operations()); diff != "" {
					t.Errorf("manager %q (-want +got):\n%s", step.who, diff)
				}
				if got := g.managerOf("cy"); got != step.who {
					t.Errorf("the manager is %q, want %q", got, step.who)
				}
				if got := g.operations(); len(got) != 0 {
					t.Errorf("manager %q again: %q", step.who, got)
				}
			}
		})
	}
}

// TestManagersFollowTheirAccounts has managers who get an account later, or lose their account.
func TestManagersFollowTheirAccounts(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	g.mapManager()
	ada := g.hire("ada", false)
	bo := g.hire("bo", true)
	g.manage(bo, ada)
	cy := g.hire("cy", true)
	g.manage(cy, bo)
	g.sync()
	if got := g.managerOf("cy"); got != "bo" {
		t.Errorf("both are new: the manager of Cy is %q", got)
	}
	if got := g.managerOf("bo"); got != "" {
		t.Errorf("Ada has no account: the manager of Bo is %q", got)
	}
	for range 2 {
		g.assign(ada, true)
		g.sync()
		if got := g.managerOf("bo"); got != "ada" {
			t.Errorf("Ada has an account: the manager of Bo is %q", got)
		}
		g.assign(ada, false)
		g.sync()
		if got := g.managerOf("bo"); got != "" {
			t.Errorf("Ada is not in scope: the manager of Bo is %q", got)
		}
	}
	if got := g.operations(); len(got) != 0 {
		t.Errorf("with nothing to do: %q", got)
	}
}

// refuseBodies has the application refuse requests about accounts whose body contains a string.
func (g *groupWorld) refuseBodies(part string) {
	g.app.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if g.teams.serve(w, r) {
			return true
		}
		body, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if err != nil || !strings.Contains(string(body), part) {
			return false
		}
		refuse(w, http.StatusBadRequest, "invalidValue", "Not in this form.")
		return true
	}
}

// TestAManagerAsAnObject has an application that refuses Entra's form of a reference.
func TestAManagerAsAnObject(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	g.mapManager()
	ada := g.hire("ada", true)
	cy := g.hire("cy", true)
	g.sync()
	g.refuseBodies(`manager","value":"`)
	g.manage(cy, ada)
	g.sync()
	if got := g.managerOf("cy"); got != "ada" {
		t.Errorf("the manager is %q", got)
	}
	g.manage(cy, "")
	g.sync()
	if got := g.managerOf("cy"); got != "" {
		t.Errorf("the manager is %q", got)
	}
	if notes := g.report().Notes; !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, "refuses a manager as a plain id") }) {
		t.Errorf("the status says %q", notes)
	}
}

// TestAPersonWithoutAccessIsReadOnceByARestart restarts provisioning while a person with a manager
// is blocked. The manager is not sent, but the engine must not read the person again and again
// because of that.
func TestAPersonWithoutAccessIsReadOnceByARestart(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	g.mapManager()
	boss, ada := g.hire("boss", true), g.hire("ada", true)
	g.manage(ada, boss)
	g.operations()
	_, err := g.handle.Disable(t.Context(), ada, "cli")
	g.must(err)
	g.operations()
	_, err = g.jobs.Restart(t.Context(), g.key, "cli")
	g.must(err)
	g.app.asked()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := g.engine.RunCycle(ctx, g.key, "test", nil); err != nil {
		t.Fatal(err)
	}
	reads := 0
	for _, request := range g.app.asked() {
		if strings.HasPrefix(request, "GET /Users/") {
			reads++
		}
	}
	if reads > 4 {
		t.Errorf("two accounts were read %d times", reads)
	}
	// When the person is active again, the manager is the one that the directory has by then.
	other := g.hire("other", true)
	g.manage(ada, other)
	_, err = g.handle.Enable(t.Context(), ada, "cli")
	g.must(err)
	if got := strings.Join(g.operations(), "\n"); !strings.Contains(got, g.app.user("other@contoso.example").String("id")) {
		t.Errorf("the operations are %s, want the new manager's id among them", got)
	}
}

// TestAReferenceThatNamesNobodyTakesNoneAway maps the manager to a value that is no object id. The
// page refuses a row whose source is only such an attribute.
func TestAReferenceThatNamesNobodyTakesNoneAway(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	g.mapManager()
	boss, ada := g.hire("boss", true), g.hire("ada", true)
	g.manage(ada, boss)
	g.operations()
	job, err := g.jobs.Get(t.Context(), g.key)
	g.must(err)
	schema := job.Schema.Clone()
	users, err := schema.UserMapping()
	g.must(err)
	for i := range users.AttributeMappings {
		if row := &users.AttributeMappings[i]; row.TargetAttributeName == managerPath {
			e, err := expr.Parse(`IIF(IsPresent([displayName]), [displayName], [manager])`)
			g.must(err)
			row.Source = e.Source()
		}
	}
	_, err = g.jobs.SetSchema(t.Context(), g.key, schema, "cli")
	g.must(err)
	if got := g.operations(); len(got) > 0 {
		t.Errorf("the operations are %s, want none", got)
	}
	failing := g.report().Failing
	if len(failing) != 1 || failing[0].Count != 2 || !strings.Contains(failing[0].Reason, managerPath+" takes the object id of a user") {
		t.Errorf("failing are %+v, want both people with the attribute's name", failing)
	}
}
