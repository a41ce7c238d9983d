package roster_test

import (
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

func TestETag(t *testing.T) {
	t.Parallel()
	team := roster.Membership{Group: "g-1", Display: "Team"}
	other := roster.Membership{Group: "g-2", Display: "Other"}
	if got := roster.ETag(7, nil); got != `W/"7"` {
		t.Errorf("without groups: got %s", got)
	}
	const want = `W/"7.8beb31f530912eb3"` // clients store versions, so another release must compute the same
	if got := roster.ETag(7, []roster.Membership{team, other}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	seen := map[string]int{}
	for i, groups := range [][]roster.Membership{
		nil,
		{team},
		{other},
		{team, other},
		{{Group: "g-1", Display: "team"}},
		{{Group: "g-1"}},
		{{Group: "g-1Team"}},
		{{Display: "g-1Team"}},
		{{Group: `g-1","Display":"Team`}},
	} {
		tag := roster.ETag(7, groups)
		if before, ok := seen[tag]; ok {
			t.Errorf("the groups %d and %d have the version %s", before, i, tag)
		}
		seen[tag] = i
	}
	for opaque, want := range map[string]string{"7": "7", "7.90c1f2d4a8e63b57": "7", "": "", "e180ee84f0671b1": "e180ee84f0671b1"} {
		if got := roster.DocumentPart(opaque); got != want {
			t.Errorf("%q: got %q, want %q", opaque, got, want)
		}
	}
}

// TestLastModifiedOnlyRises sets the clock back by a day after a user was created.
func TestLastModifiedOnlyRises(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		s := f.site(t, "acme", site.Full)
		f.clock.add(24 * time.Hour)
		id := f.user(t, s, registered("ada"))
		f.clock.add(-24 * time.Hour)
		last := f.get(t, s, id)["meta"].(map[string]any)["lastModified"].(string)
		for _, title := range []string{`"a"`, `"b"`} {
			if _, err := f.people(s).Patch(t.Context(), roster.User, id, replace(t, "title", title), bySCIM); err != nil {
				t.Fatal(err)
			}
			now := f.get(t, s, id)["meta"].(map[string]any)["lastModified"].(string)
			if now <= last {
				t.Errorf("lastModified was %s and is %s", last, now)
			}
			last = now
		}
	})
}
