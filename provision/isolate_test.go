package provision_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// refuses makes the application refuse each PATCH whose body contains the string text.
func refuses(w *world, status int, scimType, text string) {
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return false
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !strings.Contains(string(body), text) {
			return false
		}
		refuse(rw, status, scimType, "This cannot be taken.")
		return true
	}
}

// TestOneRefusedValueHoldsBackNoOther changes three attributes. The application refuses one of
// them. The engine writes the other two at once, names the refused attribute, and sends it alone in
// the next attempt.
func TestOneRefusedValueHoldsBackNoOther(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status         int
		scimType, code string
		attribute      string
		value          string
		path           string
	}{
		"a value it does not take": {400, "invalidValue", "WebExceptionProtocolError", "jobTitle", "Countess", "title"},
		"a name that is taken":     {409, "uniqueness", "EntryConflict", "userPrincipalName", "countess@contoso.com", "userName"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := hired(t)
			refuses(w, tt.status, tt.scimType, tt.value)
			w.people.set("p1", "surname", "King")
			w.people.set("p1", tt.attribute, tt.value)
			w.people.set("p1", "displayName", "Ada King")
			_, entries := w.cycle()
			e := entries["p1"]
			if !strings.HasPrefix(status(e), "update failure") {
				t.Errorf("got %q", status(e))
			}
			for _, part := range []string{tt.path + " was refused", "This cannot be taken.", "were written", "displayName"} {
				if !strings.Contains(e.Status.Reason, part) {
					t.Errorf("the log does not say %q: %s", part, e.Status.Reason)
				}
			}
			ada := w.app.user("ada@contoso.com")
			if ada["displayName"] != "Ada King" {
				t.Errorf("the account is %v; want the other changes in it", ada)
			}

			// The directory gets its former values again. The account has some of the new values,
			// so the engine looks at it again.
			w.people.set("p1", "displayName", "Ada Lovelace")
			w.cycle()
			if ada := w.app.user("ada@contoso.com"); ada["displayName"] != "Ada Lovelace" {
				t.Errorf("after a change back: %v", ada)
			}
			w.app.answer = nil
			if _, entries := w.cycle(); status(entries["p1"]) != "update success " {
				t.Errorf("once it is taken: got %q", status(entries["p1"]))
			}
		})
	}
}

// TestAnApplicationThatTakesOnlyJSONBooleansDisablesLeavers has an application that, like some real
// ones, refuses the strings that Entra sends for booleans.
func TestAnApplicationThatTakesOnlyJSONBooleansDisablesLeavers(t *testing.T) {
	t.Parallel()
	w := hired(t)
	refuses(w, 400, "invalidValue", `"False"`)
	w.people.enable("p1", false)
	w.people.enable("p2", false)
	_, entries := w.cycle()
	for id, name := range map[string]string{"p1": "ada@contoso.com", "p2": "bob@contoso.com"} {
		if got := status(entries[id]); got != "disable success " || w.app.user(name)["active"] != false {
			t.Errorf("%s: got %q, active %v", name, got, w.app.user(name)["active"])
		}
	}
}
