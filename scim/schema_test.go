package scim

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRFCExamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/rfc7643-8.*.json")
	if err != nil || len(files) != 4 {
		t.Fatalf("got %d files, %v; want 4", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			body := readTestdata(t, filepath.Base(file))
			rt := typeOf(mustParse(t, body))
			r, fixes, err := Decode(rt, body, Strict)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range fixes {
				if f.Code != "not-kept" { // the full user has a password
					t.Errorf("got fix %+v, want none", f)
				}
			}
			if err := Validate(rt, r); err != nil {
				t.Error(err)
			}
			// Everything that the server does not make itself is kept as it was sent.
			want := mustParse(t, body)
			for _, name := range []string{"id", "meta", "groups", "password"} {
				delete(want, name)
			}
			if members, ok := want["members"].([]any); ok {
				for _, m := range members {
					delete(m.(map[string]any), "display")
				}
			}
			if ext, ok := want[EnterpriseURN].(map[string]any); ok {
				delete(ext["manager"].(map[string]any), "displayName")
			}
			if diff := cmp.Diff(mustParse(t, Encode(rt, r)), want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

func TestBuiltInSchemas(t *testing.T) {
	t.Parallel()
	characteristics := func(a *Attribute) string {
		s := a.Type + " " + a.Mutability + " " + a.Returned + " " + a.Uniqueness
		for flag, set := range map[string]bool{"multiValued": a.MultiValued, "required": a.Required, "caseExact": a.CaseExact} {
			if set {
				s += " " + flag
			}
		}
		return s
	}
	for path, want := range map[string]string{
		// RFC 7643 §8.7.1 and its errata.
		"userName":                         "string readWrite default server required",
		"id":                               "string readOnly always server caseExact",
		"externalId":                       "string readWrite default none caseExact",
		"meta.created":                     "dateTime readOnly default none",
		"meta.location":                    "reference readOnly default none caseExact",
		"active":                           "boolean readWrite default none",
		"password":                         "string writeOnly never none",
		"emails.value":                     "string readWrite default none",
		"profileUrl":                       "reference readWrite default none caseExact",
		"x509Certificates.value":           "binary readWrite default none caseExact",
		"groups.value":                     "string readOnly default none",
		"addresses.primary":                "boolean readWrite default none",
		EnterpriseURN + ":manager.value":   "string readWrite default none caseExact",
		EnterpriseURN + ":manager.$ref":    "reference readWrite default none caseExact",
		EnterpriseURN + ":employeeNumber":  "string readWrite default none",
		EnterpriseURN + ":manager":         "complex readWrite default none",
		EnterpriseURN + ":manager.display": "",
	} {
		target, err := (&reader{mode: Strict}).resolve(UserType(), path)
		if want == "" {
			if err == nil {
				t.Errorf("%s: got an attribute, want none", path)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if got := characteristics(target.leaf()); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	group := GroupType().Schema
	for path, want := range map[string]string{"displayName": "string readWrite default server required", "members": "complex readWrite default none multiValued"} {
		if got := characteristics(group.Attribute(path)); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if a := group.Attribute("members").Sub("display"); a == nil || a.Mutability != ReadOnly {
		t.Errorf("members.display: got %+v, want it readOnly: memberships keep no names", a)
	}
	for _, name := range []string{"value", "$ref", "type"} {
		if a := group.Attribute("members").Sub(name); a == nil || a.Mutability != Immutable {
			t.Errorf("members.%s: got %+v, want it immutable", name, a)
		}
	}
	if got := UserType().Schema.Attribute("phoneNumbers").Sub("type").CanonicalValues; len(got) != 6 {
		t.Errorf("got canonical phone types %v", got)
	}
}

func TestSchemaMarshalsAndParsesBack(t *testing.T) {
	t.Parallel()
	for _, s := range []*Schema{UserType().Schema, GroupType().Schema, UserType().Extensions[0].Schema, sizes(t).Schema} {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseSchema(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(back, s); diff != "" {
			t.Errorf("%s (-got +want):\n%s", s.ID, diff)
		}
		doc := mustParse(t, Splice(b, UnstoredParts{Location: "https://h/Schemas/x"}))
		if got := doc["meta"].(map[string]any); got["location"] != "https://h/Schemas/x" || got["resourceType"] != "Schema" {
			t.Errorf("got meta %v", got)
		}
		checkDiscoveryAttributes(t, doc["attributes"].([]any))
		if strings.Contains(string(b), "null") {
			t.Errorf("%s has a null", s.ID)
		}
	}
}

// Entra's schema discovery wants every characteristic of every attribute.
func checkDiscoveryAttributes(t *testing.T, list []any) {
	t.Helper()
	for _, e := range list {
		a := e.(map[string]any)
		for _, key := range []string{"name", "type", "multiValued", "description", "required", "caseExact", "mutability", "returned", "uniqueness"} {
			if _, ok := a[key]; !ok {
				t.Errorf("%v has no %s", a["name"], key)
			}
		}
		if subs, ok := a["subAttributes"].([]any); ok {
			checkDiscoveryAttributes(t, subs)
		} else if a["type"] == Complex {
			t.Errorf("%v is complex and has no subAttributes", a["name"])
		}
	}
}

func TestResourceTypeMarshals(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(UserType())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],"id":"User","name":"User","endpoint":"/Users","description":"User Account",` +
		`"schema":"urn:ietf:params:scim:schemas:core:2.0:User","schemaExtensions":[{"schema":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User","required":false}],` +
		`"meta":{"resourceType":"ResourceType"}}`
	if string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
	b, err = json.Marshal(sizes(t))
	if err != nil || strings.Contains(string(b), "Extensions") || !strings.Contains(string(b), `"description":""`) {
		t.Errorf("got %s, %v; want no extensions and an empty description", b, err)
	}
}

func TestParseSchemaErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, says string }{
		"no_json":                {`{`, "read schema"},
		"no_id":                  {`{"attributes":[]}`, "no id"},
		"no_name":                {`{"id":"x","attributes":[{"type":"string"}]}`, "is not an attribute name"},
		"bad_name":               {`{"id":"x","attributes":[{"name":"a.b"}]}`, "is not an attribute name"},
		"bad_type":               {`{"id":"x","attributes":[{"name":"a","type":"text"}]}`, `type "text" is none of`},
		"bad_mutability":         {`{"id":"x","attributes":[{"name":"a","mutability":"never"}]}`, `mutability "never"`},
		"bad_returned":           {`{"id":"x","attributes":[{"name":"a","returned":"sometimes"}]}`, `returned "sometimes"`},
		"bad_uniqueness":         {`{"id":"x","attributes":[{"name":"a","uniqueness":"yes"}]}`, `uniqueness "yes"`},
		"twice":                  {`{"id":"x","attributes":[{"name":"a"},{"name":"A"}]}`, "defined twice"},
		"complex_in_complex":     {`{"id":"x","attributes":[{"name":"a","type":"complex","subAttributes":[{"name":"b","type":"complex","subAttributes":[{"name":"c"}]}]}]}`, "attribute a.b"},
		"complex_without_subs":   {`{"id":"x","attributes":[{"name":"a","type":"complex"}]}`, "at least one"},
		"subs_of_a_simple_one":   {`{"id":"x","attributes":[{"name":"a","subAttributes":[{"name":"b"}]}]}`, "sub-attributes belong to complex"},
		"names_the_place_nested": {`{"id":"x","attributes":[{"name":"a","type":"complex","subAttributes":[{"name":"b","type":"nope"}]}]}`, "attribute a.b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseSchema([]byte(c.body))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want it to say %q", err, c.says)
			}
		})
	}
}

// A schema that we have never seen gets all features without a line of code.
func TestConfiguredResourceType(t *testing.T) {
	t.Parallel()
	rt := sizes(t)
	r := decode(t, rt, `{"schemas":["urn:example:2.0:Size"],"label":"L","tags":["a"],"box":{"width":"3"},"on":"True"}`)
	if err := Validate(rt, r); err != nil {
		t.Fatal(err)
	}
	result, err := patched(rt, r, patchCase{ops: `{"op":"Add","path":"tags","value":["b","A"]},{"op":"Replace","path":"box.width","value":"4"},{"op":"Remove","path":"on"},{"op":"add","path":"count","value":9007199254740993}`}.body(), Lenient)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"schemas":["urn:example:2.0:Size"],"label":"L","count":9007199254740993,"tags":["a","b"],"box":{"width":4}}`
	if got := string(Encode(rt, result.Resource)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for ops, want := range map[string]string{
		`{"op":"replace","path":"label","value":"M"}`:               "400 mutability",
		`{"op":"remove","path":"label"}`:                            "400 mutability",
		`{"op":"add","path":"tags[value eq \"zz\"]","value":"y"}`:   "400 noTarget",
		`{"op":"add","path":"tags[type eq \"zz\"]","value":"y"}`:    "400 invalidFilter",
		`{"op":"replace","path":"tags.value","value":"y"}`:          "400 invalidPath",
		`{"op":"replace","path":"box[width eq 9].width","value":1}`: "400 noTarget",
	} {
		_, err := patched(rt, r, patchCase{ops: ops}.body(), Lenient)
		patchCase{}.checkError(t, err, want)
	}
	result, err = patched(rt, r, patchCase{ops: `{"op":"replace","path":"tags[value eq \"A\"]","value":"c"},{"op":"replace","path":"box[width eq 3].width","value":5},{"op":"add","path":"label","value":"L"}`}.body(), Lenient)
	if err != nil {
		t.Fatal(err)
	}
	want = `{"schemas":["urn:example:2.0:Size"],"label":"L","on":true,"tags":["c"],"box":{"width":5}}`
	if got := string(Encode(rt, result.Resource)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		path      AttrPath
		attr, sub string
	}{
		"title":                              {AttrPath{Name: "title"}, "title", ""},
		"NAME.familyname":                    {AttrPath{Name: "name", Sub: "familyName"}, "name", "familyName"},
		EnterpriseURN + ":Department":        {AttrPath{URN: EnterpriseURN, Name: "department"}, "department", ""},
		"department":                         {AttrPath{URN: EnterpriseURN, Name: "department"}, "department", ""},
		EnterpriseURN + ":manager.value":     {AttrPath{URN: EnterpriseURN, Name: "manager", Sub: "value"}, "manager", "value"},
		UserURN + ":addresses.locality":      {AttrPath{Name: "addresses", Sub: "locality"}, "addresses", "locality"},
		"meta.created":                       {AttrPath{Name: "meta", Sub: "created"}, "meta", "created"},
		"titel":                              {},
		"name.nick":                          {},
		"":                                   {},
		UserURN:                              {},
		"emails[type eq \"work\"].value":     {},
		"urn:example:Badge:number":           {},
		"title.":                             {},
		"urn:ietf:params:scim:schemas:core:": {},
	} {
		path, attr, sub, ok := UserType().Resolve(name)
		if !ok {
			if want.attr != "" {
				t.Errorf("%s: not found", name)
			}
			continue
		}
		got := []string{attr.Name, ""}
		if sub != nil {
			got[1] = sub.Name
		}
		if path != want.path || got[0] != want.attr || got[1] != want.sub {
			t.Errorf("%s: got %+v %v, want %+v", name, path, got, want)
		}
	}
}
