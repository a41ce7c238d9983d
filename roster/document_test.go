package roster

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// The index adds and removes value rows, sometimes by a document in memory and sometimes by its
// stored JSON. So both must yield the same values.
func TestTheDocumentInMemoryHasTheValuesOfItsJSON(t *testing.T) {
	t.Parallel()
	rt := &resourceType{ResourceType: scim.UserType()}
	var declared []site.Searchable
	add := func(path scim.AttrPath) {
		declared = append(declared, site.Searchable{ID: path.String(), Type: rt.ID, Path: path})
	}
	for _, schema := range append([]*scim.Schema{rt.Schema}, extensionsOf(rt.ResourceType)...) {
		urn := ""
		if schema != rt.Schema {
			urn = schema.ID
		}
		for _, a := range schema.Attributes {
			if a.Name == "groups" || a.Returned == scim.ReturnedNever { // neither can be declared
				continue
			}
			add(scim.AttrPath{URN: urn, Name: a.Name})
			for _, sub := range a.SubAttributes {
				add(scim.AttrPath{URN: urn, Name: a.Name, Sub: sub.Name})
			}
		}
	}
	for _, body := range []string{
		`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"Ada@acme.test"}`,
		`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
		  "userName":"ÅDA \u0001\"\\ \u2028","title":"","nickName":"İ","active":"True","password":"secret","displayName":"A\ud83d\ude00da",
		  "name":{"familyName":"Lovelace","givenName":"","honorificPrefix":null},
		  "emails":[{"value":"a@acme.test","primary":true},{"value":"b@acme.test","type":"home"},{}],
		  "phoneNumbers":[{"value":"+1"}],"addresses":[{"locality":"London","country":"GB"},{"locality":"Paris"}],"photos":[],
		  "roles":[{"value":"x","display":"X"}],"x509Certificates":[{"value":"YQ=="}],
		  "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"007","department":"R&D","manager":{"value":"26118915"}}}`,
	} {
		doc, _, err := scim.Decode(rt.ResourceType, []byte(body), scim.Lenient)
		if err != nil {
			t.Fatal(err)
		}
		d := &draft{doc: doc}
		if err := rt.check(d); err != nil {
			t.Fatal(err)
		}
		rec := Record{Kind: User}
		rec.ID, rec.Version = "id", 1
		rt.fillRecord(&rec, d)
		read := Record{Kind: User, Document: rec.Document}
		got, err := rec.DeclaredValues(declared)
		if err != nil {
			t.Fatal(err)
		}
		want, err := read.DeclaredValues(declared)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s\nvalues of the JSON -, of the document in memory +\n%s", body, diff)
		}
		if len(got) == 0 {
			t.Errorf("%s has no values at all", body)
		}
	}
}

func extensionsOf(rt *scim.ResourceType) (all []*scim.Schema) {
	for _, e := range rt.Extensions {
		all = append(all, e.Schema)
	}
	return all
}
