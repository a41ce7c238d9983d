package roster_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// hidden lists characters that nobody can see or tell from others, so a user name that has one
// looks like a different user name.
var hidden = []string{
	"\u200b", "\u00ad", "\u2060", "\ufeff", "\u034f", "\ufe0f", "\u3164", "\U000e0041", "\u00a0", "\t", "\n", "\x1b", "\u0085", "\u202e", "\u202c", "\u2066", "\u2003",
}

func TestUserNamesThatNobodyCanTellApartAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t, storetest.New(t))
	r := f.rosters.Open(f.full)
	id := f.user(t, f.full, ada)
	create := func(name string) error {
		doc := decode(t, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":`+inJSON(name)+`}`)
		_, err := r.Create(t.Context(), roster.User, doc, byKim)
		return err
	}
	for _, c := range hidden {
		for _, name := range []string{"victim" + c + "@acme.test", c + "victim@acme.test", "victim@acme.test" + c} {
			isError(t, create(name), 400, "invalidValue")
			patch, _, err := scim.DecodePatch(scim.UserType(), []byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"userName","value":`+inJSON(name)+`}]}`), scim.Lenient)
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.Patch(t.Context(), roster.User, id, patch, byKim)
			isError(t, err, 400, "invalidValue")
		}
		report, err := r.Import(t.Context(), []roster.ImportRow{{Line: 2, UserName: "victim" + c + "@acme.test"}}, byKim)
		if err != nil || len(report.Errors) != 1 || !strings.Contains(report.Errors[0].Error(), "nobody can see") {
			t.Errorf("import of %q: got %+v, %v", c, report, err)
		}
	}
	for _, name := range []string{" victim@acme.test", "victim@acme.test "} {
		isError(t, create(name), 400, "invalidValue")
	}
	for _, name := range []string{"Zoë 李@acme.test", "a b", "victim@acme.test"} {
		if err := create(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func inJSON(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// TestAStoredUserNameThatNobodySeesBlocksNoOtherChange stores an odd user name without its check,
// because earlier versions accepted such names.
func TestAStoredUserNameThatNobodySeesBlocksNoOtherChange(t *testing.T) {
	t.Parallel()
	f := newFixture(t, storetest.New(t))
	r := f.rosters.Open(f.full)
	id := f.user(t, f.full, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"victim@acme.test","active":true}`)
	const odd = "victim\u200b@acme.test"
	err := f.rosters.Store.Update(t.Context(), f.full, func(tx roster.Tx) error {
		old, err := tx.Record(t.Context(), roster.User, id)
		if err != nil {
			return err
		}
		next := old
		next.UserName = scim.Fold(odd)
		next.JSON = bytes.ReplaceAll(old.JSON, []byte("victim@acme.test"), []byte(odd))
		return tx.Put(t.Context(), old, next)
	})
	if err != nil {
		t.Fatal(err)
	}
	patch, _, err := scim.DecodePatch(scim.UserType(), []byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`), scim.Lenient)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Patch(t.Context(), roster.User, id, patch, byKim); err != nil {
		t.Errorf("a deactivation: %v", err)
	}
	same := decode(t, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"title":"x","active":true,"userName":`+inJSON(odd)+`}`)
	if _, err := r.Replace(t.Context(), roster.User, id, same, byKim); err != nil {
		t.Errorf("a PUT of the same name: %v", err)
	}
	if p := f.person(t, f.full, id); p.UserName != odd || !p.Active {
		t.Errorf("got %+v", p)
	}
	report, err := r.Import(t.Context(), []roster.ImportRow{{Line: 2, UserName: odd, DisplayName: "Victim"}}, byKim)
	if err != nil || len(report.Errors) > 0 || report.Updated != 1 {
		t.Errorf("an import: %+v, %v", report, err)
	}
}
