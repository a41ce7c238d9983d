package console_test

import (
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

func TestLookAlikesArePointedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, b := w.admin(site.Full)
	ada := w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
	w.person(s, "olena@acme.example", "Олена", roster.RoleRegistered)
	b.get(peoplePath).wantWords("Look-alikes 0").wantNoWords("Looks like", "still being compared")
	b.get(peoplePath + "?status=look-alike").wantWords("Nobody fits")
	eve := w.person(s, "аda@acme.example", "<b>Eve", roster.RoleRegistered) // the first letter is Cyrillic

	page := b.get(peoplePath).wantWords("Look-alikes 2")
	for _, row := range page.rows() {
		name, status := row[0], row[1]
		marked := strings.Contains(name, "Looks like") && strings.Contains(status, "Look-alike")
		if want := strings.Contains(name, "da@acme.example"); marked != want {
			t.Errorf("marked %t: %q", marked, row)
		}
	}
	if rows := b.get(peoplePath + "?status=look-alike").rows(); len(rows) != 2 || !strings.HasSuffix(rows[0][0], "Looks like аda@acme.example") || !strings.HasSuffix(rows[1][0], "Looks like ada@acme.example") {
		t.Errorf("got %q", rows)
	}
	b.get(peoplePath+"/"+ada.ID).wantWords(
		"Looks like somebody else", "аda@acme.example userName", "ada@acme.example userName of this account", "It has а (U+0430, Cyrillic).",
	).click("аda@acme.example").wantWords("<b>Eve", "This one has а (U+0430, Cyrillic).")
	if _, err := w.pages.Rosters.Open(s).Delete(t.Context(), roster.User, eve.ID, roster.Change{Actor: "cli", Via: roster.ViaSCIM}); err != nil {
		t.Fatal(err)
	}
	b.get(peoplePath + "/" + ada.ID).wantNoWords("Looks like somebody else")
	b.get(peoplePath).wantWords("Look-alikes 0")
}
