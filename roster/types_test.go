package roster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// schemas adds the type Device, and a badge of users. Their attributes are those that need special
// treatment by a roster, like unique, immutable and never returned ones.
const schemas = `{
	"schemas": [
		{"id": "urn:example:Device", "name": "Device", "attributes": [
			{"name": "serial", "type": "string", "multiValued": false, "required": true, "caseExact": true, "mutability": "immutable", "returned": "always", "uniqueness": "server"},
			{"name": "displayName", "type": "string", "multiValued": false, "required": false, "caseExact": false, "mutability": "readWrite", "returned": "default", "uniqueness": "global"},
			{"name": "userName", "type": "string", "multiValued": false, "required": false, "caseExact": true, "mutability": "readWrite", "returned": "default", "uniqueness": "none"},
			{"name": "active", "type": "boolean", "multiValued": false, "required": false, "mutability": "readWrite", "returned": "default"},
			{"name": "ports", "type": "integer", "multiValued": true, "required": false, "mutability": "readWrite", "returned": "default", "uniqueness": "server"},
			{"name": "members", "type": "complex", "multiValued": true, "required": false, "mutability": "readWrite", "returned": "default", "subAttributes": [
				{"name": "value", "type": "string", "multiValued": false, "required": false, "caseExact": true, "mutability": "readWrite", "returned": "default", "uniqueness": "none"}]},
			{"name": "pin", "type": "string", "multiValued": false, "required": false, "caseExact": true, "mutability": "writeOnly", "returned": "never", "uniqueness": "server"}
		]},
		{"id": "urn:example:Badge", "name": "Badge", "attributes": [
			{"name": "number", "type": "string", "multiValued": false, "required": false, "caseExact": false, "mutability": "readWrite", "returned": "default", "uniqueness": "server"}
		]}
	],
	"resourceTypes": [{"id": "Device", "name": "Device", "endpoint": "/Devices", "schema": "urn:example:Device"}],
	"extensions": [{"resourceType": "User", "schema": "urn:example:Badge", "required": false}]
}`

// configured sets schemas on the site full and returns the site with its types.
func (f fixture) configured(t *testing.T) (site.Site, *scim.Registry) {
	t.Helper()
	s := f.full
	f.schemas(t, &s, schemas)
	types, err := scim.NewRegistry(s.Schemas)
	if err != nil {
		t.Fatal(err)
	}
	return s, types
}

func TestTypesOfASite(t *testing.T) {
	t.Run("a_type_of_the_site_behaves_by_its_schema", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s, types := f.configured(t)
			device, _ := types.ByName("Device")
			r := f.rosters.Open(s)
			create := func(body string) (roster.Outcome, error) {
				doc, _, err := scim.Decode(device, []byte(`{"schemas":["urn:example:Device"],`+body+`}`), scim.Lenient)
				if err != nil {
					t.Fatal(err)
				}
				return r.Create(t.Context(), "Device", doc, bySCIM)
			}
			a, err := create(`"serial":"A1","displayName":"Eins","userName":"X","active":false,"ports":[80,443],"members":[{"value":"M"}],"pin":"1234"`)
			if err != nil || !strings.Contains(string(a.Document.JSON), `"resourceType":"Device"`) || !strings.Contains(string(a.Document.JSON), `"members":[{"value":"M"}]`) || strings.Contains(string(a.Document.JSON), "1234") {
				t.Fatalf("got %s, %v", a.Document.JSON, err)
			}
			b, err := create(`"serial":"a1","userName":"X","pin":"1234"`)
			if err != nil {
				t.Fatalf("another case where case counts: %v", err)
			}
			for _, taken := range []string{`"serial":"A1"`, `"serial":"C","displayName":"EINS"`, `"serial":"C","ports":[8080,443]`} {
				_, err := create(taken)
				isError(t, err, 409, "uniqueness")
			}
			_, err = create(`"displayName":"no serial"`)
			isError(t, err, 400, "invalidValue")
			patchDevice := func(id, operation string) error {
				p, _, err := scim.DecodePatch(device, []byte(patchHead+operation+`]}`), scim.Lenient)
				if err != nil {
					return err
				}
				_, err = r.Patch(t.Context(), "Device", id, p, bySCIM)
				return err
			}
			isError(t, patchDevice(b.Document.ID, `{"op":"replace","path":"serial","value":"other"}`), 400, "mutability")
			isError(t, patchDevice(b.Document.ID, `{"op":"add","path":"ports","value":[80]}`), 409, "uniqueness")
			if err := patchDevice(a.Document.ID, `{"op":"replace","path":"ports","value":[443,80]}`); err != nil {
				t.Errorf("its own values: %v", err)
			}
			if err := patchDevice(a.Document.ID, `{"op":"remove","path":"ports"}`); err != nil {
				t.Error(err)
			}
			if err := patchDevice(b.Document.ID, `{"op":"add","path":"ports","value":[80]}`); err != nil {
				t.Errorf("values that are free again: %v", err)
			}
			for text, want := range map[string][]string{
				`serial eq "A1"`:        {a.Document.ID},
				`displayName eq "eins"`: {a.Document.ID},
				`userName eq "X"`:       {a.Document.ID, b.Document.ID},
				`userName eq "x"`:       nil,
				`active eq false`:       {a.Document.ID},
				`active pr`:             {a.Document.ID},
				`members eq "M"`:        {a.Document.ID},
				`members eq "m"`:        nil,
				`ports eq 80`:           {b.Document.ID},
			} {
				parsed, _, err := scim.ParseFilter(device, text, scim.Lenient)
				if err != nil {
					t.Fatal(err)
				}
				ids, total := f.list(t, s, roster.Query{Kind: "Device", Filter: parsed, Count: 10})
				if diff := cmp.Diff(ids, want); diff != "" || total != len(want) {
					t.Errorf("%s: %d, got - want +\n%s", text, total, diff)
				}
			}
			ids, _ := f.list(t, s, roster.Query{Kind: "Device", SortBy: sortBy(t, device, "displayName", "descending"), Count: 10})
			if diff := cmp.Diff(ids, []string{b.Document.ID, a.Document.ID}); diff != "" {
				t.Error(diff)
			}
			if out, err := r.Delete(t.Context(), "Device", a.Document.ID, bySCIM); err != nil || out.UserName != "Eins" {
				t.Errorf("got %+v, %v", out, err)
			}
			if diff := cmp.Diff(names(f.events(t, s, a.Document.ID)), []string{"resource.created", "resource.updated", "resource.deleted"}); diff != "" {
				t.Error(diff)
			}
			if _, err := create(`"serial":"A1","displayName":"eins"`); err != nil {
				t.Errorf("values of a deleted one: %v", err)
			}
			_, err = f.rosters.Open(f.full).Get(t.Context(), roster.User, b.Document.ID)
			isError(t, err, 404, "")
			_, err = f.rosters.Open(f.full).Delete(t.Context(), "Device", b.Document.ID, bySCIM)
			isError(t, err, 404, "")
		})
	})
	t.Run("an_extensions_attribute_can_be_unique", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s, types := f.configured(t)
			user, _ := types.ByName("User")
			create := func(name, badge string) (roster.Outcome, error) {
				doc, _, err := scim.Decode(user, []byte(fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:example:Badge"],"userName":%q,"urn:example:Badge":{"number":%q}}`, name, badge)), scim.Lenient)
				if err != nil {
					t.Fatal(err)
				}
				return f.rosters.Open(s).Create(t.Context(), roster.User, doc, bySCIM)
			}
			if _, err := create("ada", "B-1"); err != nil {
				t.Fatal(err)
			}
			_, err := create("bob", "b-1")
			if detail := isError(t, err, 409, "uniqueness"); detail != "The value of urn:example:Badge:number is in use on this site already." {
				t.Error(detail)
			}
			if ids, total := f.list(t, s, roster.Query{Count: 10}); total != 1 {
				t.Errorf("the refused one is there: %v", ids)
			}
		})
	})
	t.Run("schemas_that_cannot_be_read_are_an_error_and_no_empty_site", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.full
			s.Schemas = []byte(`{"schemas":1}`)
			r := f.rosters.Open(s)
			if _, err := r.List(t.Context(), roster.Query{Count: 1}); err == nil {
				t.Error("a list came")
			}
			if _, err := r.Get(t.Context(), roster.User, "x"); err == nil || strings.Contains(err.Error(), "404") {
				t.Errorf("got %v", err)
			}
			if _, err := r.Create(t.Context(), roster.User, decode(t, registered("x")), bySCIM); err == nil {
				t.Error("somebody was made")
			}
		})
	})
}

func TestSwitches(t *testing.T) {
	t.Run("creating_and_deleting_follow_their_own_switches", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.documented
			s.Creates, s.Deletes = true, site.DeactivateOnDelete
			r := f.rosters.Open(s)
			out, err := r.Create(t.Context(), roster.User, decode(t, registered("ada")), bySCIM)
			if err != nil {
				t.Fatal(err)
			}
			id := out.Document.ID
			if got := f.get(t, s, id); got.String("userType") != "Registered" {
				t.Errorf("the documented profile answers %v", got)
			}
			for _, changed := range []bool{true, false} {
				if out, err = r.Delete(t.Context(), roster.User, id, bySCIM); err != nil || out.Changed != changed || out.Document.Active {
					t.Errorf("got %+v, %v", out, err)
				}
			}
			f.finds(t, s, `userName eq "ada" and active eq false`, id)
			s.Creates, s.Deletes = false, site.RefuseDelete
			r = f.rosters.Open(s)
			_, err = r.Create(t.Context(), roster.User, decode(t, registered("bob")), bySCIM)
			isError(t, err, 501, "")
			_, err = r.Delete(t.Context(), roster.User, id, bySCIM)
			isError(t, err, 501, "")
			s.Deletes = site.DeleteForGood
			if _, err := f.rosters.Open(s).Delete(t.Context(), roster.User, id, bySCIM); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("active_is_always_answered", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			r := f.rosters.Open(f.full)
			for _, active := range []bool{true, false} {
				name := fmt.Sprintf("u-%t", active)
				id := f.user(t, f.full, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"active":%t}`, name, active))
				remove := patch(t, patchHead+`{"op":"remove","path":"active"}]}`)
				out, err := r.Patch(t.Context(), roster.User, id, remove, bySCIM)
				if err != nil || out.Changed || out.Document.Active != active || !strings.Contains(string(out.Document.JSON), fmt.Sprintf(`"active":%t`, active)) {
					t.Errorf("got %s, %+v, %v", out.Document.JSON, out, err)
				}
				if f.person(t, f.full, id).Active != active {
					t.Error("whether they may come in changed")
				}
				f.finds(t, f.full, fmt.Sprintf(`userName eq %q and active eq %t`, name, active), id)
				f.finds(t, f.full, fmt.Sprintf(`active eq %t and not (title pr)`, active), id)
				put := decode(t, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"title":"T"}`, name))
				if out, err := r.Replace(t.Context(), roster.User, id, put, bySCIM); err != nil || out.Document.Active != active {
					t.Errorf("got %+v, %v", out, err)
				}
			}
		})
	})
}

// TestDeepPages compares pages deep in a long list with the whole list, while people are deleted.
func TestDeepPages(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		rows := make([]roster.ImportRow, 2_300)
		for i := range rows {
			rows[i] = roster.ImportRow{UserName: fmt.Sprintf("u%05d", i)}
		}
		r := f.rosters.Open(f.full)
		if report, err := r.Import(t.Context(), rows, byFile); err != nil || report.Created != len(rows) {
			t.Fatalf("%+v, %v", report, err)
		}
		f.group(t, f.full, "is no user")
		for round := range 3 {
			all := f.walk(t, f.full, roster.Query{Count: 500})
			if len(all) != len(rows)-40*round {
				t.Errorf("%d by cursor, want %d", len(all), len(rows)-40*round)
			}
			for _, start := range []int{1, 2, 400, 511, 512, 513, 600, 1000, 1022, 1023, 1024, 1025, 1026, 1500, 1535, 1536, 1537, 2040, 2047, 2048, 2049, len(all) - 2, len(all), len(all) + 1} {
				ids, total := f.list(t, f.full, roster.Query{StartIndex: start, Count: 3})
				want := all[min(start-1, len(all)):min(start+2, len(all))]
				if diff := cmp.Diff(append([]string{}, ids...), append([]string{}, want...)); diff != "" || total != len(all) {
					t.Errorf("round %d from %d: %d altogether, got - want +\n%s", round, start, total, diff)
				}
			}
			for i := range 40 {
				if _, err := r.Delete(t.Context(), roster.User, all[1000+round*20+i*2], bySCIM); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
