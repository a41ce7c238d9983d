package scim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func decode(t testing.TB, rt *ResourceType, body string) Resource {
	t.Helper()
	r, _, err := Decode(rt, []byte(body), Lenient)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEncode(t *testing.T) {
	t.Parallel()
	r := Resource{
		"meta": map[string]any{"version": `W/"1"`, "created": "2026-01-01T00:00:00Z", "resourceType": "User", "location": "https://h/Users/1"},
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": map[string]any{"manager": map[string]any{"value": "u-9"}, "department": "R&D <x>"},
		"emails":   []any{map[string]any{"primary": true, "type": "work", "value": "a@x"}, map[string]any{}, nil},
		"groups":   []any{map[string]any{"value": "g-1"}},
		"password": "secret",
		"userName": "ada\"\\\n\r\t\x01é\u2028",
		"active":   false, "id": "u-1", "externalId": "E1",
		"title": "", "nickName": nil, "roles": []any{}, "name": map[string]any{"givenName": ""}, "shoeSize": int64(7),
	}
	want := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],` +
		`"id":"u-1","externalId":"E1","userName":"ada\"\\\n\r\t\u0001é` + "\u2028" + `","active":false,` +
		`"emails":[{"value":"a@x","type":"work","primary":true}],` +
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"R&D <x>","manager":{"value":"u-9"}},` +
		`"meta":{"resourceType":"User","created":"2026-01-01T00:00:00Z","version":"W/\"1\""}}`
	got := Encode(UserType(), r)
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if !json.Valid(got) {
		t.Error("the result is not JSON")
	}
	for range 20 {
		if !bytes.Equal(Encode(UserType(), r), got) {
			t.Fatal("the same resource gave other bytes")
		}
	}
}

func TestEncodeNeverWritesBrokenJSON(t *testing.T) {
	t.Parallel()
	for _, v := range []any{math.NaN(), math.Inf(1), "\xff\xfe", struct{}{}, []any{map[string]any{"value": "a"}, "b", int64(3)}, map[string]any{"value": 1.5e300}, 1e-9} {
		if got := Encode(UserType(), Resource{"userName": v, "emails": v, "name": v}); !json.Valid(got) {
			t.Errorf("%v: got %s", v, got)
		}
	}
}

func TestSplice(t *testing.T) {
	t.Parallel()
	doc := func(meta string) string { return `{"schemas":["s"],"title":",\"meta\":{"` + meta + `}` }
	for name, c := range map[string]struct {
		doc  string
		add  UnstoredParts
		want string
	}{
		"location":              {doc(`,"meta":{"version":"1"}`), UnstoredParts{Location: "https://h/1"}, doc(`,"meta":{"version":"1","location":"https://h/1"}`)},
		"groups_before_meta":    {doc(`,"meta":{"version":"1"}`), UnstoredParts{Groups: []byte(`[{"value":"g"}]`)}, doc(`,"groups":[{"value":"g"}],"meta":{"version":"1"}`)},
		"both":                  {doc(`,"meta":{"version":"1"}`), UnstoredParts{Location: "l", Groups: []byte(`[]`)}, doc(`,"groups":[],"meta":{"version":"1","location":"l"}`)},
		"nothing":               {doc(`,"meta":{"version":"1"}`), UnstoredParts{}, doc(`,"meta":{"version":"1"}`)},
		"version":               {doc(`,"meta":{"created":"c","version":"W/\"1\""}`), UnstoredParts{Version: `W/"1.a"`}, doc(`,"meta":{"created":"c","version":"W/\"1.a\""}`)},
		"version_and_location":  {doc(`,"meta":{"version":"1"}`), UnstoredParts{Version: "2", Location: "l"}, doc(`,"meta":{"version":"2","location":"l"}`)},
		"no_version_to_replace": {doc(`,"meta":{"created":"\"version\":"}`), UnstoredParts{Version: "2"}, doc(`,"meta":{"created":"\"version\":"}`)},
		"all":                   {doc(`,"meta":{"version":"1"}`), UnstoredParts{Version: "2", Location: "l", Groups: []byte(`[1]`)}, doc(`,"groups":[1],"meta":{"version":"2","location":"l"}`)},
		"empty_meta":            {doc(`,"meta":{}`), UnstoredParts{Version: "2", Location: "l"}, doc(`,"meta":{"location":"l"}`)},
		"no_meta":               {doc(``), UnstoredParts{Version: "2", Location: "l", Groups: []byte(`[1]`)}, doc(`,"groups":[1]`)},
		"location_is_escaped":   {doc(`,"meta":{}`), UnstoredParts{Location: `a"b`}, doc(`,"meta":{"location":"a\"b"}`)},
		"meta_in_a_version":     {`{"schemas":[],"meta":{"version":",\"meta\":{"}}`, UnstoredParts{Location: "l"}, `{"schemas":[],"meta":{"version":",\"meta\":{","location":"l"}}`},
		"not_made_by_encode":    {``, UnstoredParts{Location: "l", Groups: []byte(`[1]`)}, ``},
		"an_empty_object":       {`{}`, UnstoredParts{Location: "l", Groups: []byte(`[1]`)}, `{"groups":[1]}`},
		"discovery_of_a_schema": {`{"id":"x","meta":{"resourceType":"Schema"}}`, UnstoredParts{Location: "l"}, `{"id":"x","meta":{"resourceType":"Schema","location":"l"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := []byte(c.doc)
			if got := string(Splice(before, c.add)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if string(before) != c.doc {
				t.Errorf("the document itself was changed to %s", before)
			}
		})
	}
}

func TestParseGivesBackWhatEncodeWrote(t *testing.T) {
	t.Parallel()
	r := decode(t, UserType(), ada)
	r["id"] = "u-1"
	r["meta"] = map[string]any{"resourceType": "User", "version": "1"}
	if diff := cmp.Diff(mustParse(t, Encode(UserType(), r)), r); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	for _, bad := range []string{``, `[]`, `{"a":`, `{"a":1e999}`, strings.Repeat(`{"a":`, 20)} {
		if _, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%s: got no error", bad)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rt       *ResourceType
		resource string
		says     string
	}{
		"user":                   {UserType(), `{"userName":"a"}`, ""},
		"user_with_everything":   {UserType(), managed, ""},
		"no_user_name":           {UserType(), `{"title":"x"}`, "userName is required"},
		"empty_user_name":        {UserType(), `{"userName":""}`, "userName is required"},
		"blank_user_name":        {UserType(), `{"userName":" \u2003"}`, "userName is required; a string of spaces"},
		"blank_title":            {UserType(), `{"userName":"a","title":" "}`, ""},
		"group_without_name":     {GroupType(), `{"members":[{"value":"u"}]}`, "displayName is required"},
		"two_primaries":          {UserType(), `{"userName":"a","emails":[{"value":"a","primary":true},{"value":"b","primary":true}]}`, "two values are primary"},
		"text_for_a_list":        {UserType(), `{"userName":"a","emails":"x"}`, "emails must be a list"},
		"text_for_an_object":     {UserType(), `{"userName":"a","name":"x"}`, "name must be an object"},
		"text_for_an_element":    {UserType(), `{"userName":"a","emails":["x"]}`, "emails must be an object"},
		"number_for_a_text":      {UserType(), `{"userName":1}`, "userName must be of type string"},
		"text_for_a_boolean":     {UserType(), `{"userName":"a","active":"true"}`, "active must be of type boolean"},
		"text_for_an_extension":  {UserType(), `{"userName":"a","` + EnterpriseURN + `":"x"}`, "must be an object"},
		"wrong_in_an_extension":  {UserType(), `{"userName":"a","` + EnterpriseURN + `":{"department":7}}`, EnterpriseURN + ":department must be"},
		"wrong_type_below":       {UserType(), `{"userName":"a","name":{"givenName":true}}`, "name.givenName must be"},
		"required_sub_attribute": {sizes(t), `{"label":"L","box":{"secret":"x"}}`, "box.width is required"},
		"wrong_number":           {sizes(t), `{"label":"L","count":1.5}`, "count must be of type integer"},
		"wrong_decimal":          {sizes(t), `{"label":"L","ratio":"x"}`, "ratio must be of type decimal"},
		"wrong_time":             {sizes(t), `{"label":"L","due":"x"}`, "due"},
		"wrong_external_id":      {sizes(t), `{"label":"L","externalId":7}`, "externalId must be"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := Validate(c.rt, mustParse(t, []byte(c.resource)))
			if c.says == "" {
				if err != nil {
					t.Errorf("got %v, want no error", err)
				}
				return
			}
			patchCase{says: c.says}.checkError(t, err, "400 invalidValue")
		})
	}
	required := &ResourceType{Name: "User", Schema: UserType().Schema, Extensions: []Extension{{UserType().Extensions[0].Schema, true}}}
	patchCase{says: EnterpriseURN + " is required"}.checkError(t, Validate(required, Resource{"userName": "a"}), "400 invalidValue")
}

func TestMergePut(t *testing.T) {
	t.Parallel()
	stored := `{"schemas":["` + UserURN + `"],"id":"u-1","externalId":"E1","userName":"ada","active":false,"title":"Lead","emails":[{"value":"a@x"}],
		"meta":{"resourceType":"User","version":"1"},"` + EnterpriseURN + `":{"department":"R&D","manager":{"value":"u-8","displayName":"Charles"}}}`
	for name, c := range map[string]struct{ put, want string }{
		"left_out_is_cleared_but_not_active_and_externalId": {
			`{"userName":"ada"}`,
			`{"id":"u-1","externalId":"E1","userName":"ada","active":false,"meta":{"resourceType":"User","version":"1"}}`,
		},
		"given_values_are_taken": {
			`{"userName":"Ada","active":true,"externalId":"E2","title":"Head"}`,
			`{"id":"u-1","externalId":"E2","userName":"Ada","active":true,"title":"Head","meta":{"resourceType":"User","version":"1"}}`,
		},
		"ids_and_meta_of_the_client_are_ignored": {
			`{"id":"u-2","userName":"ada","meta":{"version":"9"},"groups":[{"value":"g"}]}`,
			`{"id":"u-1","externalId":"E1","userName":"ada","active":false,"meta":{"resourceType":"User","version":"1"}}`,
		},
		"what_the_server_added_stays_with_the_same_manager": {
			`{"userName":"ada","` + EnterpriseURN + `":{"manager":{"value":"u-8"}}}`,
			`{"id":"u-1","externalId":"E1","userName":"ada","active":false,"meta":{"resourceType":"User","version":"1"},"` + EnterpriseURN + `":{"manager":{"value":"u-8","displayName":"Charles"}}}`,
		},
		"and_goes_with_another": {
			`{"userName":"ada","` + EnterpriseURN + `":{"manager":{"value":"u-9"}}}`,
			`{"id":"u-1","externalId":"E1","userName":"ada","active":false,"meta":{"resourceType":"User","version":"1"},"` + EnterpriseURN + `":{"manager":{"value":"u-9"}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := mustParse(t, []byte(stored))
			untouched := old.Clone()
			got, err := MergePut(UserType(), old, decode(t, UserType(), c.put))
			if err != nil {
				t.Fatal(err)
			}
			want := mustParse(t, []byte(c.want))
			want["schemas"] = UserType().schemaURNs(want)
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
			if diff := cmp.Diff(old, untouched); diff != "" {
				t.Errorf("the old resource was changed:\n%s", diff)
			}
		})
	}

	t.Run("what_a_GET_does_not_show", func(t *testing.T) {
		t.Parallel()
		old := Resource{"label": "L", "count": int64(1), "hidden": "h", "box": map[string]any{"width": int64(2), "secret": "s"}}
		got, err := MergePut(sizes(t), old, Resource{"label": "L", "box": map[string]any{"width": int64(2)}})
		want := Resource{"schemas": []any{"urn:example:2.0:Size"}, "label": "L", "hidden": "h", "box": map[string]any{"width": int64(2), "secret": "s"}}
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("%v (-got +want):\n%s", err, diff)
		}
		got, err = MergePut(sizes(t), old, Resource{"label": "L", "hidden": "i", "box": map[string]any{"width": int64(3), "secret": "t"}})
		want = Resource{"schemas": []any{"urn:example:2.0:Size"}, "label": "L", "hidden": "i", "box": map[string]any{"width": int64(3), "secret": "t"}}
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("%v (-got +want):\n%s", err, diff)
		}
	})

	t.Run("immutable", func(t *testing.T) {
		t.Parallel()
		old := Resource{"label": "L"}
		_, err := MergePut(sizes(t), old, Resource{"label": "M"})
		patchCase{says: "label"}.checkError(t, err, "400 mutability")
		for _, put := range []Resource{{"label": "L"}, {}} {
			got, err := MergePut(sizes(t), old, put)
			if err != nil || got.String("label") != "L" {
				t.Errorf("%v: got %v, %v", put, got, err)
			}
		}
		if got, err := MergePut(sizes(t), Resource{}, Resource{"label": "L"}); err != nil || got.String("label") != "L" {
			t.Errorf("set for the first time: got %v, %v", got, err)
		}
	})
}

func TestPutOfOwnOutputChangesNothing(t *testing.T) {
	t.Parallel()
	for _, body := range []string{ada, managed, string(readTestdata(t, "babs.json"))} {
		for _, mode := range []Mode{Lenient, Strict} {
			stored := decode(t, UserType(), body)
			stored["id"] = "u-1"
			stored["meta"] = map[string]any{"resourceType": "User", "version": `W/"1"`, "created": "2026-01-01T00:00:00Z"}
			doc := Encode(UserType(), stored)
			sent := Splice(doc, UnstoredParts{Location: "https://h/Users/u-1", Groups: []byte(`[{"value":"g-1","$ref":"https://h/Groups/g-1","display":"G"}]`)})
			got, fixes, err := Decode(UserType(), sent, mode)
			if err != nil {
				t.Fatal(err)
			}
			merged, err := MergePut(UserType(), mustParse(t, doc), got)
			if err != nil {
				t.Fatal(err)
			}
			if !Equal(merged, stored) || !bytes.Equal(Encode(UserType(), merged), doc) || len(fixes) > 0 {
				t.Errorf("got %s, want %s; fixes %v", Encode(UserType(), merged), doc, fixes)
			}
		}
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{`{}`, `{}`, true},
		{`{"a":"x"}`, `{"a":"x"}`, true},
		{`{"a":"x"}`, `{"a":"X"}`, false},
		{`{"a":"x"}`, `{}`, false},
		{`{}`, `{"a":"x"}`, false},
		{`{"a":null,"b":[],"c":"","d":{}}`, `{}`, true},
		{`{}`, `{"a":null,"b":[],"c":"","d":{"e":null}}`, true},
		{`{"meta":{"version":"1"}}`, `{"meta":{"version":"2"}}`, true},
		{`{"a":[1,2,3]}`, `{"a":[3,1,2]}`, true},
		{`{"a":[1,2]}`, `{"a":[1,2,2]}`, true},
		{`{"a":[1,2]}`, `{"a":[1,3]}`, false},
		{`{"a":[1,2]}`, `{"a":[1]}`, false},
		{`{"a":[{"x":1,"y":[1,2]}]}`, `{"a":[{"y":[1,2],"x":1}]}`, true},
		{`{"a":1}`, `{"a":1.0}`, true},
		{`{"a":1}`, `{"a":"1"}`, false},
		{`{"a":true}`, `{"a":false}`, false},
		{`{"a":false}`, `{}`, false},
		{`{"a":{"b":"c"}}`, `{"a":"c"}`, false},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d"}}`, false},
		{`{"a":[1]}`, `{"a":1}`, false},
		{`{"a":9007199254740993}`, `{"a":9007199254740992}`, false},
	} {
		a, b := mustParse(t, []byte(c.a)), mustParse(t, []byte(c.b))
		if got := Equal(a, b); got != c.want {
			t.Errorf("%s and %s: got %v, want %v", c.a, c.b, got, c.want)
		}
		if got := Equal(b, a); got != c.want {
			t.Errorf("%s and %s: got %v, want %v", c.b, c.a, got, c.want)
		}
	}
}

func TestResource(t *testing.T) {
	t.Parallel()
	r := mustParse(t, []byte(ada))
	if got := r.String("userName"); got != "ada@x.example" {
		t.Errorf("got %q", got)
	}
	if got := r.String("active"); got != "" {
		t.Errorf("got %q for a boolean", got)
	}
	if v, present := r.Bool("active"); !v || !present {
		t.Errorf("got %v %v", v, present)
	}
	if v, present := r.Bool("title"); v || present {
		t.Errorf("got %v %v for a string", v, present)
	}
	c := r.Clone()
	c["emails"].([]any)[0].(map[string]any)["value"] = "other"
	if diff := cmp.Diff(r, mustParse(t, []byte(ada))); diff != "" {
		t.Errorf("the clone shares memory (-got +want):\n%s", diff)
	}
	if Resource(nil).Clone() != nil {
		t.Error("got a resource from none")
	}
}

func TestProjection(t *testing.T) {
	t.Parallel()
	const location = "https://h/Users/1"
	stored := `{"schemas":["` + UserURN + `","` + EnterpriseURN + `"],"id":"1","userName":"ada","name":{"givenName":"Ada","familyName":"King"},` +
		`"emails":[{"value":"a@x","type":"work"},{"type":"home"}],"` + EnterpriseURN + `":{"department":"R","manager":{"value":"9"}},"meta":{"resourceType":"User","version":"1"}}`
	add := UnstoredParts{Location: location, Version: "2", Groups: []byte(`[{"value":"g","display":"G"}]`)}
	core := `{"schemas":["` + UserURN + `"],"id":"1"`
	full := `{"schemas":["` + UserURN + `","` + EnterpriseURN + `"],"id":"1"`
	for name, c := range map[string]struct {
		attributes, excluded []string
		want                 string
	}{
		"default":               {nil, nil, string(Splice([]byte(stored), add))},
		"blank":                 {[]string{" , "}, nil, string(Splice([]byte(stored), add))},
		"one":                   {[]string{"userName"}, nil, core + `,"userName":"ada"}`},
		"several":               {[]string{"USERNAME, name.givenName", "emails.value"}, nil, core + `,"userName":"ada","name":{"givenName":"Ada"},"emails":[{"value":"a@x"}]}`},
		"whole_wins_over_sub":   {[]string{"name,name.givenName"}, nil, core + `,"name":{"familyName":"King","givenName":"Ada"}}`},
		"sub_then_whole":        {[]string{"name.givenName,name"}, nil, core + `,"name":{"familyName":"King","givenName":"Ada"}}`},
		"extension_attribute":   {[]string{EnterpriseURN + ":department"}, nil, full + `,"` + EnterpriseURN + `":{"department":"R"}}`},
		"whole_extension":       {[]string{EnterpriseURN}, nil, full + `,"` + EnterpriseURN + `":{"department":"R","manager":{"value":"9"}}}`},
		"core_urn":              {[]string{UserURN + ":userName"}, nil, core + `,"userName":"ada"}`},
		"whole_core":            {[]string{UserURN}, nil, core + `,"userName":"ada","name":{"familyName":"King","givenName":"Ada"},"emails":[{"value":"a@x","type":"work"},{"type":"home"}],"groups":[{"value":"g","display":"G"}]}`},
		"unknown":               {[]string{"shoeSize"}, nil, core + `}`},
		"id":                    {[]string{"id"}, nil, core + `}`},
		"groups":                {[]string{"groups"}, nil, core + `,"groups":[{"value":"g","display":"G"}]}`},
		"groups_sub":            {[]string{"groups.value"}, nil, core + `,"groups":[{"value":"g"}]}`},
		"meta":                  {[]string{"meta"}, nil, core + `,"meta":{"resourceType":"User","version":"2","location":"https://h/Users/1"}}`},
		"meta_location":         {[]string{"meta.location"}, nil, core + `,"meta":{"location":"https://h/Users/1"}}`},
		"meta_version":          {[]string{"meta.version"}, nil, core + `,"meta":{"version":"2"}}`},
		"excluded":              {nil, []string{"emails,groups", EnterpriseURN}, core + `,"userName":"ada","name":{"familyName":"King","givenName":"Ada"},"meta":{"resourceType":"User","version":"2","location":"https://h/Users/1"}}`},
		"excluded_sub":          {nil, []string{"name.givenName,emails.type,meta"}, full + `,"userName":"ada","name":{"familyName":"King"},"emails":[{"value":"a@x"}],"` + EnterpriseURN + `":{"department":"R","manager":{"value":"9"}},"groups":[{"value":"g","display":"G"}]}`},
		"excluded_always_stays": {nil, []string{"id,schemas,userName,name,emails,groups,meta," + EnterpriseURN}, core + `}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := ParseProjection(UserType(), c.attributes, c.excluded)
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.Render(UserType(), []byte(stored), add)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(got), c.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
	_, err := ParseProjection(UserType(), []string{"id"}, []string{"emails"})
	patchCase{says: "together"}.checkError(t, err, "400 invalidValue")
}

func TestProjectionWants(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		attributes, excluded string
		want                 map[string]bool
	}{
		{"", "", map[string]bool{"members": true, "id": true, "meta.location": true, "shoeSize": false}},
		{"", "members", map[string]bool{"members": false, "displayName": true, "members.value": false}},
		{"id", "", map[string]bool{"members": false, "id": true, "meta": false}},
		{"members.value", "", map[string]bool{"members": true, "members.value": true, "members.display": false}},
		{"", "members.display", map[string]bool{"members": true, "members.value": true, "members.display": false}},
	} {
		p, err := ParseProjection(GroupType(), []string{c.attributes}, []string{c.excluded})
		if err != nil {
			t.Fatal(err)
		}
		for attr, want := range c.want {
			if got := p.Wants(attr); got != want {
				t.Errorf("attributes=%s excludedAttributes=%s: Wants(%s) got %v, want %v", c.attributes, c.excluded, attr, got, want)
			}
		}
		if got, want := p.IsDefault(), c.attributes+c.excluded == ""; got != want {
			t.Errorf("attributes=%s excludedAttributes=%s: IsDefault got %v, want %v", c.attributes, c.excluded, got, want)
		}
	}
	if !(Projection{}).Wants("members") || !(Projection{}).IsDefault() {
		t.Error("the zero projection must be the default one")
	}
}

func TestProjectionShowsSomeAttributesOnRequestOnly(t *testing.T) {
	t.Parallel()
	rt := sizes(t)
	doc := Encode(rt, Resource{"label": "L", "hidden": "H", "box": map[string]any{"width": int64(1), "secret": "S"}})
	for attributes, want := range map[string]string{
		"":             `{"schemas":["urn:example:2.0:Size"],"label":"L","box":{"width":1}}`,
		"hidden":       `{"schemas":["urn:example:2.0:Size"],"hidden":"H"}`,
		"box":          `{"schemas":["urn:example:2.0:Size"],"box":{"width":1}}`,
		"box.secret":   `{"schemas":["urn:example:2.0:Size"],"box":{"secret":"S"}}`,
		"label,hidden": `{"schemas":["urn:example:2.0:Size"],"label":"L","hidden":"H"}`,
	} {
		p, err := ParseProjection(rt, []string{attributes}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if p.IsDefault() {
			t.Errorf("%q: got the default projection, which would show what is hidden", attributes)
		}
		got, err := p.Render(rt, doc, UnstoredParts{})
		if err != nil || string(got) != want {
			t.Errorf("%q: got %s %v, want %s", attributes, got, err, want)
		}
	}
}

func TestListResponse(t *testing.T) {
	t.Parallel()
	got := string(ListResponse{TotalResults: 230, StartIndex: 101, ItemsPerPage: 2, Resources: []json.RawMessage{[]byte(`{"id":"1"}`), []byte(`{"id":"2"}`)}}.Encode())
	want := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":230,"startIndex":101,"itemsPerPage":2,"Resources":[{"id":"1"},{"id":"2"}]}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	got = string(ListResponse{StartIndex: 1}.AppendJSON([]byte("x")))
	want = `x{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":0,"startIndex":1,"itemsPerPage":0,"Resources":[]}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestErrorBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  *Error
		want string
	}{
		{NotFound("no such user"), `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"404","detail":"no such user."}`},
		{Internal(""), `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"500"}`},
		{InvalidSyntax("100%"), `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"400","scimType":"invalidSyntax","detail":"100%."}`},
	} {
		got, err := json.Marshal(c.err)
		if err != nil || string(got) != c.want {
			t.Errorf("got %s %v, want %s", got, err, c.want)
		}
	}
	for _, c := range []struct {
		make     func(string, ...any) *Error
		status   int
		scimType string
	}{
		{InvalidSyntax, 400, "invalidSyntax"},
		{InvalidFilter, 400, "invalidFilter"},
		{InvalidPath, 400, "invalidPath"},
		{InvalidValue, 400, "invalidValue"},
		{NoTarget, 400, "noTarget"},
		{Mutability, 400, "mutability"},
		{TooMany, 400, "tooMany"},
		{InvalidVers, 400, "invalidVers"},
		{Sensitive, 403, "sensitive"},
		{InvalidCursor, 400, "invalidCursor"},
		{ExpiredCursor, 400, "expiredCursor"},
		{InvalidCount, 400, "invalidCount"},
		{BadRequest, 400, ""},
		{Unauthorized, 401, ""},
		{Forbidden, 403, ""},
		{NotFound, 404, ""},
		{MethodNotAllowed, 405, ""},
		{Conflict, 409, ""},
		{PreconditionFailed, 412, ""},
		{PayloadTooLarge, 413, ""},
		{UnsupportedMediaType, 415, ""},
		{TooManyRequests, 429, ""},
		{Internal, 500, ""},
		{NotImplemented, 501, ""},
	} {
		want := &Error{c.status, c.scimType, "x 7."}
		if got := c.make("x %d", 7); *got != *want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func ExampleDecode() {
	user, fixes, err := Decode(UserType(), []byte(`{
		"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
		"USERNAME": "ada@example.com", "active": "False", "nickName": null
	}`), Lenient)
	fmt.Println(string(Encode(UserType(), user)), err)
	fmt.Println(fixes)
	// Output:
	// {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada@example.com","active":false} <nil>
	// [{text-boolean active "False" read as false}]
}
