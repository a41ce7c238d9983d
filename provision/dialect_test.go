package provision_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

// strict makes the application refuse forms that the standard allows it to refuse: paths to
// elements that an account does not have, booleans as strings, and removals. It counts its
// refusals.
func strict(w *world, elements, booleans, removals bool) *atomic.Int32 {
	var refused atomic.Int32
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		var patch struct {
			Operations []struct {
				Op, Path string
				Value    any
			}
		}
		if err := json.Unmarshal([]byte(body(r)), &patch); err != nil {
			w.t.Error(err)
		}
		id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		w.app.mu.Lock()
		u := w.app.users[id].Clone()
		w.app.mu.Unlock()
		for _, op := range patch.Operations {
			why := ""
			element, _, filtered := strings.Cut(op.Path, "]")
			if filtered && elements && !strings.EqualFold(op.Op, "remove") {
				p, err := scim.ParsePath(nil, element+"]", scim.Lenient)
				if err != nil {
					w.t.Error(err)
				}
				if len(p.Get(u)) == 0 {
					why = "noTarget"
				}
			}
			if s, ok := op.Value.(string); ok && booleans && (s == "True" || s == "False") {
				why = "invalidValue"
			}
			if removals && strings.EqualFold(op.Op, "remove") {
				why = "invalidSyntax"
			}
			if why != "" {
				refused.Add(1)
				refuse(rw, 400, why, "No.")
				return true
			}
		}
		return false
	}
	return &refused
}

// TestAMissingElementIsSentWhole changes many attributes of people who have no fax number yet. The
// application answers noTarget.
func TestAMissingElementIsSentWhole(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string]string{"entra": "", "compliant": "/?aadOptscim062020"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := hired(t)
			job := w.report().Job
			if _, err := w.jobs.Save(t.Context(), w.key, provision.Settings{Mode: job.Mode, Status: job.Status, Scope: job.Scope, TenantURL: w.app.url() + flags}, "cli"); err != nil {
				t.Fatal(err)
			}
			refused := strict(w, true, false, false)
			for attribute, value := range map[string]any{"facsimileTelephoneNumber": "+47 9", "mobile": "+47 8", "surname": "Bit", "jobTitle": "Clerk", "state": "Viken"} {
				w.people.set("p2", attribute, value)
			}
			_, entries := w.cycle()
			if e := entries["p2"]; status(e) != "update success " || refused.Load() != 1 {
				t.Errorf("got %q (%s) after %d refusals", status(e), e.Status.Reason, refused.Load())
			}
			bob := w.app.user("bob@contoso.com")
			want := []any{map[string]any{"type": "fax", "value": "+47 9"}, map[string]any{"type": "mobile", "value": "+47 8"}}
			got, _ := bob["phoneNumbers"].([]any)
			if len(got) != 2 || bob["title"] != "Clerk" {
				t.Errorf("the account is %v", bob)
			}
			for _, number := range want {
				found := false
				for _, have := range got {
					found = found || cmp.Equal(number, have)
				}
				if !found {
					t.Errorf("%v has no %v", got, number)
				}
			}
			if note := strings.Join(w.report().Notes, " "); !strings.Contains(note, "takes the whole element") {
				t.Errorf("the status says %q", note)
			}
			// The next process knows the dialect, even after a restart of the job.
			w.wire()
			if _, err := w.jobs.Restart(t.Context(), w.key, "cli"); err != nil {
				t.Fatal(err)
			}
			w.people.set("p1", "facsimileTelephoneNumber", "+47 7")
			if _, entries := w.cycle(); status(entries["p1"]) != "update success " || refused.Load() != 1 {
				t.Errorf("the second person: %q after %d refusals", status(entries["p1"]), refused.Load())
			}
			// An element that the account has is changed, and not added a second time.
			w.people.set("p1", "facsimileTelephoneNumber", "+47 6")
			w.cycle()
			if got := w.app.user("ada@contoso.com")["phoneNumbers"]; !cmp.Equal(got, any([]any{map[string]any{"type": "fax", "value": "+47 6"}})) || refused.Load() != 1 {
				t.Errorf("changed: %v", got)
			}
		})
	}
}

// TestJSONBooleansAreRemembered disables one person after the other. The application refuses only
// the first request.
func TestJSONBooleansAreRemembered(t *testing.T) {
	t.Parallel()
	w := hired(t)
	refused := strict(w, false, true, false)
	for _, id := range []string{"p1", "p2"} {
		w.people.enable(id, false)
		if _, entries := w.cycle(); status(entries[id]) != "disable success " {
			t.Errorf("%s: got %q", id, status(entries[id]))
		}
		w.wire() // another process
	}
	if refused.Load() != 1 || !strings.Contains(strings.Join(w.report().Notes, " "), "JSON booleans") {
		t.Errorf("%d refusals, notes %v", refused.Load(), w.report().Notes)
	}
	// The engine begins with Entra's dialect at another application.
	other := newApplication(t)
	secret, job := other.token, w.report().Job
	if _, err := w.jobs.Save(t.Context(), w.key, provision.Settings{Mode: job.Mode, Status: job.Status, Scope: job.Scope, TenantURL: other.url(), Secret: &secret}, "cli"); err != nil {
		t.Fatal(err)
	}
	if w.cycle(); strings.Contains(strings.Join(w.report().Notes, " "), "JSON booleans") {
		t.Errorf("notes about another application: %v", w.report().Notes)
	}
}

// TestAnApplicationThatRefusesRemovals has an application that accepts an empty value instead of a
// removal.
func TestAnApplicationThatRefusesRemovals(t *testing.T) {
	t.Parallel()
	w := hired(t)
	w.people.set("p2", "jobTitle", "Clerk")
	w.cycle()
	refused := strict(w, false, false, true)
	w.people.set("p2", "jobTitle", "")
	if w.cycle(); w.app.user("bob@contoso.com").String("title") != "" || refused.Load() != 1 {
		t.Errorf("the account is %v after %d refusals", w.app.user("bob@contoso.com"), refused.Load())
	}
}

// TestAnUpdateCutOffByACrashIsReadAgain stops the process between an update and its record, and
// changes the person back.
func TestAnUpdateCutOffByACrashIsReadAgain(t *testing.T) {
	t.Parallel()
	w := hired(t)
	var recorded atomic.Bool
	w.engine.Store = failingRecord{w.store, &recorded}
	w.people.set("p2", "city", "Bergen")
	if _, _, err := w.tryCycle(); err == nil || !recorded.Load() {
		t.Fatal("the process did not stop")
	}
	w.wire()
	w.people.set("p2", "city", "Oslo")
	w.cycle()
	if got := w.app.user("bob@contoso.com")["addresses"]; !cmp.Equal(got, any([]any{map[string]any{"type": "work", "locality": "Oslo"}})) {
		t.Errorf("the account keeps %v", got)
	}
	if got := w.report().State.InFlight; len(got) != 0 {
		t.Errorf("still in flight: %v", got)
	}
}

// failingRecord is a store that fails from the first outcome that it should record.
type failingRecord struct {
	provision.Store
	failed *atomic.Bool
}

func (s failingRecord) Record(ctx context.Context, f provision.Fence, st provision.State, outcomes []provision.Outcome) error {
	if len(outcomes) > 0 && !s.failed.Swap(true) {
		return errors.New("killed")
	}
	return s.Store.Record(ctx, f, st, outcomes)
}
