package provision_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

// edit changes the job's schema.
func (w *world) edit(change func(m *provision.ObjectMapping)) {
	w.t.Helper()
	schema := w.report().Job.Schema.Clone()
	m, err := schema.UserMapping()
	if err != nil {
		w.t.Fatal(err)
	}
	change(m)
	if _, err := w.jobs.SetSchema(w.t.Context(), w.key, schema, "cli"); err != nil {
		w.t.Fatal(err)
	}
}

// mapTo changes the row of a target attribute to an expression.
func mapTo(m *provision.ObjectMapping, target, expression string) {
	source := &provision.AttributeMappingSource{Type: "Function", Expression: expression}
	if name, attribute := strings.CutPrefix(expression, "["); attribute {
		source.Type, source.Name = "Attribute", strings.TrimSuffix(name, "]")
	}
	for i := range m.AttributeMappings {
		if m.AttributeMappings[i].TargetAttributeName == target {
			m.AttributeMappings[i].Source = source
			return
		}
	}
	m.AttributeMappings = append(m.AttributeMappings, provision.AttributeMapping{TargetAttributeName: target, Source: source, FlowType: provision.FlowAlways})
}

// body reads a request's body and leaves it for the application.
func body(r *http.Request) string {
	b, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(b))
	return string(b)
}

// probes returns a list of requests without the searches.
func probes(requests []string) (rest []string) {
	for _, r := range requests {
		if r != "GET /Users" {
			rest = append(rest, r)
		}
	}
	return rest
}

// TestAChangeOfSettingsReadsNobody changes the mapping, the actions and the scope. The engine sends
// only the requests that change accounts.
func TestAChangeOfSettingsReadsNobody(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(w *world)
		want   []string
		bodies []string // strings that the bodies must contain
	}{
		"a_row_is_computed_in_another_way_for_one": {
			func(w *world) {
				w.edit(func(m *provision.ObjectMapping) {
					mapTo(m, "displayName", `Switch([givenName], [displayName], "Bob", "Bob Bit")`)
				})
			},
			[]string{"PATCH /Users/{id}"},
			[]string{`{"op":"Replace","path":"displayName","value":"Bob Bit"}`},
		},
		"a_row_is_new": {
			func(w *world) {
				w.edit(func(m *provision.ObjectMapping) { mapTo(m, "nickName", "[givenName]") })
			},
			[]string{"PATCH /Users/{id}", "PATCH /Users/{id}"},
			[]string{`{"op":"Add","path":"nickName","value":"Ada"}`, `{"op":"Add","path":"nickName","value":"Bob"}`},
		},
		"the_actions": {func(w *world) { w.setActions(provision.FlowUpdate) }, nil, nil},
		"the_scope": {
			func(w *world) {
				schema := scoped(w.t.(*testing.T), w, "givenName", "EQUALS", "Ada")
				if _, err := w.jobs.SetSchema(w.t.Context(), w.key, schema, "cli"); err != nil {
					w.t.Fatal(err)
				}
			},
			[]string{"PATCH /Users/{id}", "GET /Users/{id}"}, // a blocked account is read back, because the answer below has no body
			[]string{`"path":"active","value":"False"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := hired(t)
			if name == "the_scope" {
				withoutBodies(w)
			}
			tt.change(w)
			w.app.asked()
			_, planned := w.plan()
			if got := probes(w.app.asked()); got != nil {
				t.Errorf("the plan asked %v", got)
			}
			report, _ := w.cycle()
			if report.Kind != provision.InitialCycle || report.Reads {
				t.Errorf("cycle %+v", report)
			}
			sent := 0
			for _, o := range planned {
				if o.Result == provision.Success {
					sent++
				}
			}
			w.app.mu.Lock()
			bodies := strings.Join(w.app.bodies, "\n")
			w.app.mu.Unlock()
			if d := cmp.Diff(tt.want, probes(w.app.asked())); d != "" || sent != len(tt.bodies) {
				t.Errorf("planned %d; requests (-want +got):\n%s", sent, d)
			}
			for _, part := range tt.bodies {
				if !strings.Contains(bodies, part) {
					t.Errorf("%s is not in %s", part, bodies)
				}
			}
			w.cycle()
			if got := probes(w.app.asked()); got != nil {
				t.Errorf("a second cycle asked %v", got)
			}
		})
	}
}

// withoutBodies makes the application answer every PATCH with 204.
func withoutBodies(w *world) {
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		if status, _ := w.app.handle(r, id, []byte(body(r))); status >= 300 {
			refuse(rw, status, "", "No.")
			return true
		}
		rw.WriteHeader(http.StatusNoContent)
		return true
	}
}

// TestALinkOfAnEarlierVersionIsReadOnce removes the ledger of a link. Links of an earlier version
// have no ledger.
func TestALinkOfAnEarlierVersionIsReadOnce(t *testing.T) {
	t.Parallel()
	w := hired(t)
	w.forgetLedger("p2", "hash of an earlier version")
	w.app.asked()
	w.people.set("p2", "city", "Bergen")
	w.cycle()
	if d := cmp.Diff([]string{"GET /Users/{id}", "PATCH /Users/{id}"}, probes(w.app.asked())); d != "" {
		t.Errorf("the first time (-want +got):\n%s", d)
	}
	w.people.set("p2", "city", "Tromsø")
	w.cycle()
	if d := cmp.Diff([]string{"PATCH /Users/{id}"}, probes(w.app.asked())); d != "" {
		t.Errorf("the second time (-want +got):\n%s", d)
	}
	if got := w.link("p2"); got.Hash != "" || got.Kind != provision.UserKind || got.Proved.IsZero() || got.Wrote[`addresses[type eq "work"].locality`].Sent != "Tromsø" {
		t.Errorf("remembered %+v", got)
	}
}

func (w *world) link(id string) provision.Link {
	w.t.Helper()
	known, err := w.store.KnownAbout(w.t.Context(), w.key, id)
	if err != nil || known.Link == nil {
		w.t.Fatalf("%s: %+v, %v", id, known, err)
	}
	return *known.Link
}

// putLink stores a link as an engine would.
func (w *world) putLink(l provision.Link) {
	w.t.Helper()
	epoch, err := w.leases.Claim(w.t.Context(), provision.LeaseKind, w.key.String(), "test", time.Minute)
	if err != nil {
		w.t.Fatal(err)
	}
	f := provision.Fence{Key: w.key, Epoch: epoch}
	if err := w.store.Record(w.t.Context(), f, w.report().State, []provision.Outcome{{ObjectID: l.ObjectID, Link: &l}}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.leases.Release(w.t.Context(), provision.LeaseKind, w.key.String(), "test", epoch, time.Time{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) forgetLedger(id, hash string) {
	w.t.Helper()
	l := w.link(id)
	l.Wrote, l.Hash = nil, hash
	w.putLink(l)
}

// TestWhatIsRememberedOfAnAccount has an application that returns values in its own form.
func TestWhatIsRememberedOfAnAccount(t *testing.T) {
	t.Parallel()
	w := hired(t)
	w.matchBy("userName", "externalId")
	w.cycle()
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		w.app.handle(r, "u2", []byte(body(r)))
		w.app.mu.Lock()
		w.app.users["u2"]["title"] = "COUNTESS" // the application's own form of the value
		w.app.users["u2"]["userName"] = "bob@acme.example"
		u := w.app.users["u2"].Clone()
		w.app.mu.Unlock()
		u["meta"] = map[string]any{"version": `W/"7"`}
		_, _ = rw.Write(encode(u))
		return true
	}
	w.people.set("p2", "jobTitle", "Count ess")
	w.cycle()
	l := w.link("p2")
	want := provision.Written{Sent: "Count ess", Got: "COUNTESS", Shown: true}
	if d := cmp.Diff(want, l.Wrote["title"]); d != "" {
		t.Errorf("title (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]provision.MatchKey{{Path: "userName", Value: "bob@acme.example"}, {Path: "externalId", Value: "Bob"}}, l.Keys); d != "" || l.Version != `W/"7"` {
		t.Errorf("version %s, matching values (-want +got):\n%s", l.Version, d)
	}
	w.app.answer = nil
	w.app.asked()
	w.people.set("p2", "department", "no row reads it")
	if _, entries := w.cycle(); status(entries["p2"]) != "other skipped RedundantExport" || probes(w.app.asked()) != nil {
		t.Errorf("the application's own form is no difference: got %q", status(entries["p2"]))
	}
	if size := len(l.Wrote.Text()); size > 700 {
		t.Errorf("the ledger takes %d bytes: %s", size, l.Wrote.Text())
	}
}

// TestAWriteWhoseAnswerIsLostIsReadAgain changes a value, loses the answer, and changes the value
// back. The account has the new value, so the engine reads and corrects the account.
func TestAWriteWhoseAnswerIsLostIsReadAgain(t *testing.T) {
	t.Parallel()
	for name, connected := range map[string]bool{"one_answer": true, "and_the_connection_with_it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := hired(t)
			var broken, mended atomic.Bool
			w.app.answer = func(_ http.ResponseWriter, r *http.Request) bool {
				if mended.Load() {
					return false
				}
				if r.Method == http.MethodPatch && !broken.Swap(true) {
					w.app.handle(r, "u2", []byte(body(r)))
					panic(http.ErrAbortHandler)
				}
				if broken.Load() && !connected {
					panic(http.ErrAbortHandler)
				}
				return false
			}
			w.people.set("p2", "jobTitle", "Countess")
			_, _, err := w.tryCycle()
			if (err == nil) != connected {
				t.Fatalf("got %v", err)
			}
			mended.Store(true) // do not set answer to nil, because a request that was cut off may still be under way
			if got := w.app.user("bob@contoso.com").String("title"); got != "Countess" {
				t.Fatalf("the account has %q", got)
			}
			w.people.set("p2", "jobTitle", "")
			w.cycle()
			if got := w.app.user("bob@contoso.com").String("title"); got != "" {
				t.Errorf("the account keeps %q", got)
			}
		})
	}
}

// TestAClearedValueIsADifference clears five attributes in the directory.
func TestAClearedValueIsADifference(t *testing.T) {
	t.Parallel()
	full := map[string]any{"jobTitle": "Countess", "telephoneNumber": "+47 1", "state": "Viken", "preferredLanguage": "en"}
	setUp := func(t *testing.T, flags string) *world {
		t.Helper()
		w := newWorld(t)
		if flags != "" {
			job := w.report().Job
			if _, err := w.jobs.Save(t.Context(), w.key, provision.Settings{Mode: job.Mode, Status: job.Status, Scope: job.Scope, TenantURL: w.app.url() + flags}, "cli"); err != nil {
				t.Fatal(err)
			}
		}
		p := person("ada@contoso.com", "Ada", "Lovelace")
		for k, v := range full {
			p[k] = v
		}
		w.people.put("p1", p)
		w.cycle()
		w.app.asked()
		return w
	}
	for name, tt := range map[string]struct {
		flags string
		want  string
	}{
		"entra": {"", `{"op":"Remove","path":"title"},{"op":"Remove","path":"emails[type eq \"work\"]"},{"op":"Remove","path":"preferredLanguage"},` +
			`{"op":"Remove","path":"addresses[type eq \"work\"].region"},{"op":"Remove","path":"phoneNumbers[type eq \"work\"]"}`},
		"compliant": {"/?aadOptscim062020", `{"op":"remove","path":"title"},{"op":"remove","path":"emails[type eq \"work\"]"},{"op":"remove","path":"preferredLanguage"},` +
			`{"op":"remove","path":"addresses[type eq \"work\"].region"},{"op":"remove","path":"phoneNumbers[type eq \"work\"]"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setUp(t, tt.flags)
			for _, attribute := range []string{"jobTitle", "telephoneNumber", "state", "preferredLanguage", "mail"} {
				w.people.set("p1", attribute, "")
			}
			_, entries := w.cycle()
			bodies := w.app.bodies
			if len(bodies) != 1 || !strings.Contains(bodies[0], tt.want) {
				t.Errorf("sent %s\nwant %s", bodies, tt.want)
			}
			u := w.app.user("ada@contoso.com")
			addresses := u["addresses"]
			if d := cmp.Diff([]any{nil, nil, nil, nil, []any{map[string]any{"type": "work", "locality": "Oslo"}}}, []any{u["title"], u["emails"], u["preferredLanguage"], u["phoneNumbers"], addresses}); d != "" {
				t.Errorf("the account (-want +got):\n%s", d)
			}
			if e := entries["p1"]; status(e) != "update success " || len(e.Modified) != 5 || e.Modified[0].NewValue != nil || *e.Modified[0].OldValue != "Countess" {
				t.Errorf("got %q: %+v", status(e), e.Modified)
			}
			w.app.asked()
			if w.cycle(); probes(w.app.asked()) != nil {
				t.Error("a second cycle sends something")
			}
			w.people.set("p1", "jobTitle", "Duchess")
			if w.cycle(); w.app.user("ada@contoso.com").String("title") != "Duchess" || !strings.Contains(w.app.bodies[0], `"op":"Add"`) && tt.flags == "" {
				t.Errorf("filled again: %v", w.app.bodies)
			}
		})
	}
	t.Run("what_the_mapping_keeps_stays", func(t *testing.T) {
		t.Parallel()
		w := setUp(t, "")
		w.edit(func(m *provision.ObjectMapping) {
			for i := range m.AttributeMappings {
				if m.AttributeMappings[i].TargetAttributeName == "preferredLanguage" {
					m.AttributeMappings[i].FlowType = provision.FlowObjectAddOnly
				}
			}
		})
		w.cycle()
		w.people.set("p1", "preferredLanguage", "")
		w.cycle()
		if u := w.app.user("ada@contoso.com"); u["preferredLanguage"] != "en" {
			t.Errorf("the account is %v", u)
		}
	})
	t.Run("a_value_that_the_job_did_not_write_stays_unless_null_flows", func(t *testing.T) {
		t.Parallel()
		for _, flow := range []bool{false, true} {
			w := newWorld(t)
			ada := account("ada@contoso.com")
			ada["title"] = "Countess"
			w.app.add(ada)
			schema := w.report().Job.Schema.Clone()
			for i := range schema.Directories {
				for j := range schema.Directories[i].Objects {
					for k, a := range schema.Directories[i].Objects[j].Attributes {
						if a.Name == "title" || a.Name == "jobTitle" {
							schema.Directories[i].Objects[j].Attributes[k].FlowNullValues = flow
						}
					}
				}
			}
			if _, err := w.jobs.SetSchema(t.Context(), w.key, schema, "cli"); err != nil {
				t.Fatal(err)
			}
			w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
			w.cycle()
			if got := w.app.user("ada@contoso.com")["title"]; (got == nil) != flow {
				t.Errorf("flowNullValues %v: title is %v", flow, got)
			}
		}
	})
}

// TestExactCaseSendsCapitals corrects the case of a name, before and after Exact case is set.
func TestExactCaseSendsCapitals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people.put("p1", person("ada@contoso.com", "ADA", "MCDONALD"))
	w.cycle()
	w.people.set("p1", "displayName", "Ada McDonald")
	if _, entries := w.cycle(); status(entries["p1"]) != "other skipped RedundantExport" || w.app.user("ada@contoso.com")["displayName"] != "ADA MCDONALD" {
		t.Errorf("while case does not count: %q", status(entries["p1"]))
	}
	exact := []string{"displayName"}
	if _, err := w.jobs.SetMapping(t.Context(), w.key, userRows, provision.MappingEdit{ExactCase: &exact}, "cli"); err != nil {
		t.Fatal(err)
	}
	w.app.asked()
	w.cycle()
	if got := w.app.user("ada@contoso.com"); got["displayName"] != "Ada McDonald" || len(probes(w.app.asked())) != 1 {
		t.Errorf("once case counts: %v", got)
	}
	none := []string{}
	if _, err := w.jobs.SetMapping(t.Context(), w.key, userRows, provision.MappingEdit{ExactCase: &none}, "cli"); err != nil {
		t.Fatal(err)
	}
	w.people.set("p1", "displayName", "ada mcdonald")
	if w.cycle(); w.app.user("ada@contoso.com")["displayName"] != "Ada McDonald" {
		t.Error("case counts forever")
	}
}

// TestARefusedValueIsTriedAlone has an error that names the refused value. Then another value
// changes. The refused value goes in a request of its own, and all other values in one request.
func TestARefusedValueIsTriedAlone(t *testing.T) {
	t.Parallel()
	w := hired(t)
	refusing := func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch || !strings.Contains(body(r), "Countess") {
			return false
		}
		w.app.mu.Lock()
		w.app.requests = append(w.app.requests, "refused")
		w.app.mu.Unlock()
		refuse(rw, 400, "invalidValue", "title: this value cannot be taken.")
		return true
	}
	w.app.answer = refusing
	w.app.asked()
	for attribute, value := range map[string]any{"jobTitle": "Countess", "surname": "Bit", "displayName": "Bob Bit", "city": "Bergen", "state": "Vestland", "postalCode": "5000"} {
		w.people.set("p2", attribute, value)
	}
	w.cycle()
	if d := cmp.Diff([]string{"refused", "PATCH /Users/{id}", "refused"}, probes(w.app.asked())); d != "" {
		t.Errorf("requests (-want +got):\n%s", d)
	}
	if got := w.link("p2").Wrote["title"].Refused; got != "Countess" {
		t.Errorf("remembered as refused: %v", got)
	}
	w.people.set("p2", "city", "Oslo")
	_, entries := w.cycle()
	if d := cmp.Diff([]string{"PATCH /Users/{id}", "refused"}, probes(w.app.asked())); d != "" || !strings.Contains(entries["p2"].Status.Reason, "title was refused") {
		t.Errorf("%s; requests of the next change (-want +got):\n%s", entries["p2"].Status.Reason, d)
	}
	w.app.answer = nil
	w.cycle()
	if u := w.app.user("bob@contoso.com"); u["title"] != "Countess" || w.report().Escrowed != 0 {
		t.Errorf("once it is taken: %v", u)
	}
}

// TestAnAccountThatTheApplicationKeepsBlocked has an application that answers True with False.
func TestAnAccountThatTheApplicationKeepsBlocked(t *testing.T) {
	t.Parallel()
	for name, silent := range map[string]bool{"shown_in_the_answer": false, "shown_by_a_read": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := hired(t)
			w.people.enable("p2", false)
			w.cycle()
			w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPatch {
					return false
				}
				w.app.handle(r, "u2", []byte(body(r)))
				w.app.mu.Lock()
				defer w.app.mu.Unlock()
				w.app.users["u2"]["active"] = false // the application has no free seat
				if silent {
					rw.WriteHeader(http.StatusNoContent)
					return true
				}
				_, _ = rw.Write(encode(w.app.users["u2"]))
				return true
			}
			w.people.enable("p2", true)
			report, entries := w.cycle()
			if e, r := entries["p2"], w.report(); status(e) != "update warning HeldAtApplication" || r.KeptBlocked != 1 || r.Escrowed != 0 || r.Linked != 2 || report.Failed != 0 {
				t.Errorf("got %q (%s), report %+v", status(e), e.Status.Reason, r)
			}
			w.app.asked()
			w.clock.advance(provision.DefaultInterval)
			if w.cycle(); probes(w.app.asked()) != nil {
				t.Error("it is tried in every cycle")
			}
			w.people.set("p2", "department", "no row reads it")
			if _, entries = w.cycle(); status(entries["p2"]) != "other skipped HeldAtApplication" {
				t.Errorf("looked at again: %q", status(entries["p2"]))
			}
			w.people.set("p2", "city", "Bergen")
			if w.cycle(); w.report().KeptBlocked != 1 || w.app.user("bob@contoso.com")["active"] != false {
				t.Errorf("another change: %d held", w.report().KeptBlocked)
			}
			w.app.asked()
			w.clock.advance(25 * time.Hour)
			if _, entries = w.cycle(); w.report().KeptBlocked != 1 || len(entries) != 0 || !slices.Equal(probes(w.app.asked()), []string{"GET /Users/{id}"}) {
				t.Errorf("a day later it is not read once and left as it is: %+v", entries)
			}
			w.app.mu.Lock()
			w.app.users["u2"]["active"] = true // somebody unblocks it
			w.app.mu.Unlock()
			w.clock.advance(25 * time.Hour)
			if w.cycle(); w.report().KeptBlocked != 0 || w.app.writes() != 0 {
				t.Errorf("somebody has unblocked it: %d held, %d writes", w.report().KeptBlocked, w.app.writes())
			}
			w.app.mu.Lock()
			w.app.users["u2"]["active"] = false // somebody blocks the account again
			w.app.mu.Unlock()
			if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
				t.Fatal(err)
			}
			w.app.answer = nil
			if w.cycle(); w.report().KeptBlocked != 0 || !isActive(t, w, "bob@contoso.com") {
				t.Errorf("after a restart %d are held", w.report().KeptBlocked)
			}
		})
	}
}

// TestASuccessWithoutABodyIsReadBack has an application that answers 204 and changes nothing.
func TestASuccessWithoutABodyIsReadBack(t *testing.T) {
	t.Parallel()
	t.Run("always_when_somebody_is_blocked", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		var ignores atomic.Bool
		ignores.Store(true)
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPatch || !ignores.Load() {
				return false
			}
			rw.WriteHeader(http.StatusNoContent)
			return true
		}
		for _, id := range []string{"p1", "p2"} {
			w.people.enable(id, false)
		}
		_, entries := w.cycle()
		for id, e := range entries {
			if e.Status.Status != provision.Failure || !strings.Contains(e.Status.Reason, "still has True") {
				t.Errorf("%s: got %q (%s)", id, status(e), e.Status.Reason)
			}
		}
		ignores.Store(false)
		if w.cycle(); isActive(t, w, "bob@contoso.com") || isActive(t, w, "ada@contoso.com") {
			t.Error("a leaver keeps access")
		}
	})
	t.Run("for_a_sample_of_the_others_and_for_all_once_one_was_ignored", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		for i := range 20 {
			w.people.put(fmt.Sprintf("p%02d", i), person(fmt.Sprintf("user%02d@contoso.com", i), "User", fmt.Sprint(i)))
		}
		w.cycle()
		withoutBodies(w)
		w.app.asked()
		set := func(city string) {
			for i := range 20 {
				w.people.set(fmt.Sprintf("p%02d", i), "city", city)
			}
		}
		set("Bergen")
		if report, _ := w.cycle(); report.Updated != 20 {
			t.Fatalf("report %+v", report)
		}
		if got := strings.Count(strings.Join(w.app.asked(), "\n"), "GET /Users/{id}"); got != 1 {
			t.Errorf("%d accounts were read back, want the first", got)
		}
		w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPatch {
				return false
			}
			rw.WriteHeader(http.StatusNoContent)
			return true
		}
		w.engine.Workers = 1
		set("Oslo")
		if report, _ := w.cycle(); report.Updated != 0 || report.Failed != 20 {
			t.Errorf("an application that ignores everything: report %+v", report)
		}
		withoutBodies(w)
		if w.cycle(); w.app.user("user07@contoso.com")["addresses"].([]any)[0].(map[string]any)["locality"] != "Oslo" {
			t.Error("it was not tried again")
		}
	})
}

// TestAContradictionInAMatchingAttributeIsAFailure has an application that answers a rename with
// the old name.
func TestAContradictionInAMatchingAttributeIsAFailure(t *testing.T) {
	t.Parallel()
	w := hired(t)
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		_, _ = rw.Write(encode(scim.Resource{"id": "u2", "userName": "bob@contoso.com", "active": true}))
		return true
	}
	w.people.set("p2", "userPrincipalName", "bob.bit@contoso.com")
	_, entries := w.cycle()
	if e := entries["p2"]; e.Status.Status != provision.Failure || !strings.Contains(e.Status.Reason, "userName to bob.bit@contoso.com, but the account still has bob@contoso.com") || w.report().Escrowed != 1 {
		t.Errorf("got %q (%s)", status(e), e.Status.Reason)
	}
	w.app.answer = nil
	if w.cycle(); w.app.users["u2"]["userName"] != "bob.bit@contoso.com" {
		t.Error("it was not tried again")
	}
}

// mapPassword adds the attribute password to the application's list and maps an expression to it.
func (w *world) mapPassword(expression string) {
	w.t.Helper()
	schema := w.report().Job.Schema.Clone()
	m, err := schema.UserMapping()
	if err != nil {
		w.t.Fatal(err)
	}
	mapTo(m, "password", expression)
	for i := range schema.Directories {
		for j := range schema.Directories[i].Objects {
			if o := &schema.Directories[i].Objects[j]; o.Name == m.TargetObjectName {
				o.Attributes = append(o.Attributes, provision.AttributeDefinition{Name: "password", Type: provision.TypeString, Mutability: provision.WriteOnly})
			}
		}
	}
	if _, err := w.jobs.SetSchema(w.t.Context(), w.key, schema, "cli"); err != nil {
		w.t.Fatal(err)
	}
}

// TestAPasswordIsSentAndNotShown maps a password. The application gets the password once. The
// ledger, the log and plans do not contain it.
func TestAPasswordIsSentAndNotShown(t *testing.T) {
	t.Parallel()
	w := hired(t)
	const secret = "Tr0ub4dor-Bob"
	w.mapPassword(`Join("-", "Tr0ub4dor", [mailNickname])`)
	_, planned := w.plan()
	if shown := fmt.Sprintf("%+v", planned["p2"]); strings.Contains(shown, secret) || !strings.Contains(shown, "(not shown)") {
		t.Errorf("the plan shows %s", shown)
	}
	var sent atomic.Value
	w.app.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if text := body(r); r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/u2") {
			sent.Store(text)
		}
		return false // let the application answer as always
	}
	_, entries := w.cycle()
	entry, err := json.Marshal(entries["p2"])
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := sent.Load().(string); !strings.Contains(text, secret) {
		t.Fatalf("the application got %q", text)
	}
	if shown := string(entry); strings.Contains(shown, secret) || !strings.Contains(shown, "(not shown)") {
		t.Errorf("the log shows %s", shown)
	}
	if kept := w.link("p2").Wrote.Text(); strings.Contains(kept, "Tr0ub4dor") {
		t.Errorf("the ledger keeps %s", kept)
	}
	w.app.asked()
	if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
		t.Fatal(err)
	}
	w.cycle()
	for _, request := range w.app.asked() {
		if strings.HasPrefix(request, "PATCH") {
			t.Errorf("after a restart: %s", request)
		}
	}
}

// TestTheLogNamesValuesThatAnAnswerShowsOtherwise has an application that accepts each update, but
// keeps its own job title and drops the office.
func TestTheLogNamesValuesThatAnAnswerShowsOtherwise(t *testing.T) {
	t.Parallel()
	w := hired(t)
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		_, answer := w.app.handle(r, strings.TrimPrefix(r.URL.Path, "/scim/v2/Users/"), []byte(body(r)))
		var shown scim.Resource
		if err := json.Unmarshal(answer, &shown); err != nil {
			t.Error(err)
		}
		shown["title"] = "Clerk"
		delete(shown, "preferredLanguage")
		rw.Header().Set("Content-Type", "application/scim+json")
		_, _ = rw.Write(encode(shown))
		return true
	}
	w.people.set("p2", "jobTitle", "Engineer")
	w.people.set("p2", "preferredLanguage", "nb-NO")
	w.people.set("p2", "city", "Oslo")
	_, entries := w.cycle()
	if got := status(entries["p2"]); got != "update success " {
		t.Errorf("got %q", got)
	}
	var told []string
	for _, s := range entries["p2"].Steps {
		if s.Name == "EntryExportOtherValue" {
			told = append(told, string(s.Status)+": "+s.Description)
		}
	}
	want := []string{
		"warning: customappsso accepted the request, but its answer shows another value for title.",
		"warning: customappsso accepted the request, but its answer shows no value for preferredLanguage.",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}
