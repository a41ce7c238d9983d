package scimserver

import (
	"testing"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

func TestNameOfStoredDocuments(t *testing.T) {
	t.Parallel()
	encode := func(rt *scim.ResourceType, doc string) []byte {
		r, _, err := scim.Decode(rt, []byte(doc), scim.Lenient)
		if err != nil {
			t.Fatal(err)
		}
		return scim.Encode(rt, r)
	}
	for _, c := range []struct {
		kind scim.TypeName
		doc  []byte
		want string
	}{
		{roster.User, encode(scim.UserType(), `{"userName":"ada","externalId":"\"userName\":\"eve\""}`), "ada"},
		{roster.User, encode(scim.UserType(), `{"userName":"a\"\\{d]\u00e4","displayName":"Ada"}`), `a"\{d]ä`},
		{roster.Group, encode(scim.GroupType(), `{"displayName":"Team, {blue}","externalId":"x,}"}`), "Team, {blue}"},
		{"Device", []byte(`{"schemas":["urn:example"],"list":[{"displayName":"inner"},[1,2]],"n":1.5,"b":true,"displayName":"outer"}`), "outer"},
		{"Device", []byte(`{"schemas":["urn:example"],"owner":{"displayName":"inner"}}`), ""},
		{"Device", []byte(`{"displayName":7}`), ""},
		{roster.User, []byte(`{`), ""},
		{roster.User, []byte(`{"userName`), ""},
		{roster.User, []byte(`{"userName":`), ""},
		{roster.User, nil, ""},
	} {
		if got := nameOf(c.kind, c.doc); got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.kind, c.doc, got, c.want)
		}
	}
}
