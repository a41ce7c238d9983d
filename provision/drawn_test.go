package provision_test

import (
	"testing"

	"github.com/rollcall-scim/rollcall/provision"
)

// TestDrawnValues maps a random title and the year of the evaluation: the random value is drawn when the account is created and
// stays, and the time is the engine's.
func TestDrawnValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.edit(func(m *provision.ObjectMapping) {
		mapTo(m, "title", `Append("drawn-", RandomString(12, 3, 0, 3, 3))`)
		mapTo(m, "preferredLanguage", `FormatDateTime(Now(), , "G", "yyyy")`)
	})
	w.people.put("p1", person("ada@contoso.com", "Ada", "Lovelace"))
	w.cycle()
	first := w.app.user("ada@contoso.com")
	if title := first.String("title"); len(title) != 18 || title[:6] != "drawn-" {
		t.Errorf("created with the title %q", title)
	}
	if got, want := first.String("preferredLanguage"), epoch.UTC().Format("2006"); got != want {
		t.Errorf("the year of the evaluation is %q, want %q", got, want)
	}
	w.people.set("p1", "displayName", "Countess")
	w.cycle()
	second := w.app.user("ada@contoso.com")
	if second.String("displayName") != "Countess" || second.String("title") != first.String("title") {
		t.Errorf("after an update the account is %v, and was %v", second, first)
	}
}

// TestRedactedValues sends a value that the log of a create and of an update does not show.
func TestRedactedValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.edit(func(m *provision.ObjectMapping) { mapTo(m, "title", `Redact([jobTitle])`) })
	ada := person("ada@contoso.com", "Ada", "Lovelace")
	ada["jobTitle"] = "Secret Countess"
	w.people.put("p1", ada)
	for _, title := range []string{"Secret Countess", "Secret Duchess"} {
		w.people.set("p1", "jobTitle", title)
		_, entries := w.cycle()
		if got := w.app.user("ada@contoso.com").String("title"); got != title {
			t.Errorf("the account's title is %q, want %q", got, title)
		}
		found := false
		for _, p := range entries["p1"].Modified {
			if p.DisplayName != "title" {
				continue
			}
			found = p.NewValue != nil && *p.NewValue == "[Redact]"
			if p.OldValue != nil && *p.OldValue != "[Redact]" {
				t.Errorf("the log shows the old value %q", *p.OldValue)
			}
		}
		if !found {
			t.Errorf("the log has %+v, want [Redact] for the title", entries["p1"].Modified)
		}
	}
}
