package scim

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const badgeURN = "urn:example:params:scim:schemas:Badge:2.0:User"

// badges is a document with an extension of User and a type of its own.
const badges = `{
	"schemas": [
		{"id": "` + badgeURN + `", "name": "Badge", "attributes": [
			{"name": "number", "type": "integer", "required": true},
			{"name": "color", "canonicalValues": ["red", "green"]},
			{"name": "doors", "type": "complex", "multiValued": true, "subAttributes": [
				{"name": "value", "required": true}, {"name": "$ref", "type": "reference", "referenceTypes": ["Device", "external"]}]}
		]},
		{"id": "urn:example:Device", "attributes": [{"name": "serial", "required": true, "uniqueness": "server"}]}
	],
	"resourceTypes": [{"name": "Device", "endpoint": "/Devices", "schema": "urn:example:Device", "schemaExtensions": [{"schema": "` + badgeURN + `", "required": true}]}],
	"extensions": [{"resourceType": "User", "schema": "` + badgeURN + `"}]
}`

func mustRegistry(t testing.TB, doc string) *Registry {
	t.Helper()
	g, err := NewRegistry([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	t.Run("nothing configured is user and group", func(t *testing.T) {
		t.Parallel()
		for _, doc := range []string{"", "{}", `{"schemas":[],"resourceTypes":null}`} {
			g := mustRegistry(t, doc)
			var names []string
			for _, rt := range g.Types() {
				names = append(names, rt.Name+rt.Endpoint)
			}
			if diff := cmp.Diff(names, []string{"User/Users", "Group/Groups"}); diff != "" {
				t.Error(diff)
			}
			if len(g.Schemas()) != 3 {
				t.Errorf("got %d schemas, want 3", len(g.Schemas()))
			}
		}
	})
	t.Run("types and schemas are found in any case", func(t *testing.T) {
		t.Parallel()
		g := mustRegistry(t, badges)
		rt, ok := g.ByEndpoint("dEVICES")
		if !ok || rt.ID != "Device" || !rt.Extensions[0].Required {
			t.Fatalf("got %+v", rt)
		}
		if again, ok := g.ByName("device"); !ok || again != rt {
			t.Error("ByName does not find it")
		}
		if s, ok := g.Schema(strings.ToUpper(badgeURN)); !ok || s.Name != "Badge" {
			t.Error("Schema does not find it")
		}
		if _, ok := g.ByEndpoint("Sites"); ok {
			t.Error("got a type that nobody configured")
		}
		user, _ := g.ByEndpoint("users")
		if user.Extension(badgeURN) == nil || user.Extension(EnterpriseURN) == nil {
			t.Error("User lacks an extension")
		}
		if UserType().Extension(badgeURN) != nil {
			t.Error("the built-in User was changed")
		}
	})
	t.Run("characteristics left out have their defaults", func(t *testing.T) {
		t.Parallel()
		s, _ := mustRegistry(t, badges).Schema(badgeURN)
		color, ref := s.Attribute("color"), s.Attribute("doors").Sub("$ref")
		if color.Type != String || color.Mutability != ReadWrite || color.Returned != ReturnedDefault || color.Uniqueness != UniquenessNone || color.CaseExact {
			t.Errorf("got %+v", color)
		}
		if !ref.CaseExact {
			t.Error("a reference compares without case")
		}
	})
	t.Run("discovery form goes in again", func(t *testing.T) {
		t.Parallel()
		g := mustRegistry(t, badges)
		s, _ := g.Schema(badgeURN)
		rt, _ := g.ByName("Device")
		parts := map[string]any{"schemas": []any{s, rt.Schema}, "resourceTypes": []any{rt}}
		b, err := json.Marshal(parts)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := mustRegistry(t, string(b)).Schema(badgeURN)
		if diff := cmp.Diff(again, s); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("registries remembers by content", func(t *testing.T) {
		t.Parallel()
		var c Registries
		a, err := c.Get([]byte(badges))
		b, err2 := c.Get([]byte(badges))
		if err != nil || err2 != nil || a != b {
			t.Errorf("got %p, %p, %v, %v", a, b, err, err2)
		}
		for i := range maxCachedRegistries + 5 {
			if _, err := c.Get([]byte(strings.Repeat(" ", i) + "{}")); err != nil {
				t.Fatal(err)
			}
		}
		if len(c.cached) > maxCachedRegistries {
			t.Errorf("%d are kept", len(c.cached))
		}
		if _, err := c.Get([]byte("{")); err == nil {
			t.Error("a broken document is taken")
		}
	})
}

// schemaWith returns a document whose only schema has these attributes.
func schemaWith(attributes string) string {
	return `{"schemas":[{"id":"urn:example:Test","attributes":[` + attributes + `]}],"extensions":[{"resourceType":"User","schema":"urn:example:Test"}]}`
}

func TestRegistryRefuses(t *testing.T) {
	t.Parallel()
	of := "schema urn:example:Test"
	typed := func(rt string) string {
		return `{"schemas":[{"id":"urn:example:Test","attributes":[{"name":"a"}]},{"id":"urn:example:Other","attributes":[{"name":"a"}]}],
			"extensions":[{"resourceType":"User","schema":"urn:example:Test"},{"resourceType":"User","schema":"urn:example:Other"}],"resourceTypes":[` + rt + `]}`
	}
	for name, c := range map[string]struct{ doc, where, text string }{
		"what is no json":               {`{"schemas":`, "", "the document is not readable JSON at line 1, column 12"},
		"a name twice":                  {`{"schemas":[],"Schemas":[]}`, "", `names "Schemas" twice`},
		"a list":                        {`[]`, "", "must be a JSON object"},
		"a document of 1 MiB":           {`{"schemas":"` + strings.Repeat("x", 1<<20) + `"}`, "", "at most 524288 are read"},
		"an unknown part":               {`{"schema":[]}`, "", `"schema" does not belong here; use schemas, resourceTypes, extensions`},
		"schemas that are no list":      {`{"schemas":{}}`, "", "schemas must be a list, not an object"},
		"a schema that is no object":    {`{"schemas":["urn:x"]}`, "schemas[0]", "must be an object"},
		"no id":                         {`{"schemas":[{"attributes":[{"name":"a"}]}]}`, "schemas[0]", "it has no id"},
		"an id that is no URN":          {`{"schemas":[{"id":"Badge","attributes":[{"name":"a"}]}]}`, "schema Badge", "write urn:"},
		"an id with a slash":            {`{"schemas":[{"id":"urn:example:a/b","attributes":[{"name":"a"}]}]}`, "schema urn:example:a/b", "write urn:"},
		"the core user":                 {`{"schemas":[{"id":"urn:ietf:params:scim:schemas:core:2.0:user","attributes":[{"name":"a"}]}]}`, "schema urn:ietf:params:scim:schemas:core:2.0:user", "built in"},
		"the enterprise user":           {`{"schemas":[{"id":"` + EnterpriseURN + `","attributes":[{"name":"a"}]}]}`, "schema " + EnterpriseURN, "built in"},
		"a message":                     {`{"schemas":[{"id":"` + PatchOpURN + `","attributes":[{"name":"a"}]}]}`, "schema " + PatchOpURN, "messages of the protocol"},
		"no attributes":                 {schemaWith(``), of, "it has no attributes"},
		"an attribute that is a string": {schemaWith(`"a"`), of + ", attribute [0]", "must be an object"},
		"no name":                       {schemaWith(`{"type":"string"}`), of + ", attribute [0]", "it has no name"},
		"a name with a space":           {schemaWith(`{"name":"a b"}`), of + ", attribute a b", "begin with a letter"},
		"a name with a dot":             {schemaWith(`{"name":"a.b"}`), of + ", attribute a.b", "begin with a letter"},
		"a name that begins with 1":     {schemaWith(`{"name":"1a"}`), of + ", attribute 1a", "begin with a letter"},
		"$ref at the top":               {schemaWith(`{"name":"$ref"}`), of + ", attribute $ref", "begin with a letter"},
		"a common attribute":            {schemaWith(`{"name":"ExternalId"}`), of + ", attribute ExternalId", "of its own"},
		"schemas":                       {schemaWith(`{"name":"schemas"}`), of + ", attribute schemas", "of its own"},
		"a word of filters":             {schemaWith(`{"name":"Not"}`), of + ", attribute Not", "has a meaning in filters"},
		"the same name twice":           {schemaWith(`{"name":"a"},{"name":"A"}`), of + ", attribute A", "two attributes"},
		"a misspelt characteristic":     {schemaWith(`{"name":"a","multivalue":true}`), of + ", attribute a", `"multivalue" does not belong here`},
		"a type that is none":           {schemaWith(`{"name":"a","type":"text"}`), of + ", attribute a", `type cannot be "text"; use one of string, boolean`},
		"a mutability that is none":     {schemaWith(`{"name":"a","mutability":"readwrite"}`), of + ", attribute a", "mutability cannot be"},
		"a returned that is none":       {schemaWith(`{"name":"a","returned":"often"}`), of + ", attribute a", "returned cannot be"},
		"a uniqueness that is none":     {schemaWith(`{"name":"a","uniqueness":"unique"}`), of + ", attribute a", "uniqueness cannot be"},
		"a flag that is a string":       {schemaWith(`{"name":"a","required":"true"}`), of + ", attribute a", "required must be true or false"},
		"complex without subattributes": {schemaWith(`{"name":"a","type":"complex"}`), of + ", attribute a", "needs subAttributes"},
		"subattributes of a string":     {schemaWith(`{"name":"a","subAttributes":[{"name":"b"}]}`), of + ", attribute a", "only a complex attribute"},
		"complex inside complex":        {schemaWith(`{"name":"a","type":"complex","subAttributes":[{"name":"b","type":"complex","subAttributes":[{"name":"c"}]}]}`), of + ", attribute a.b", "cannot be complex"},
		"canonical values of a boolean": {schemaWith(`{"name":"a","type":"boolean","canonicalValues":["x"]}`), of + ", attribute a", "canonicalValues belong"},
		"canonical values twice":        {schemaWith(`{"name":"a","canonicalValues":["x","X"]}`), of + ", attribute a", `"X" twice`},
		"a canonical value of 1":        {schemaWith(`{"name":"a","canonicalValues":[1]}`), of + ", attribute a", "must be a list of strings"},
		"reference types of a string":   {schemaWith(`{"name":"a","referenceTypes":["User"]}`), of + ", attribute a", "referenceTypes belong"},
		"a reference to nothing":        {schemaWith(`{"name":"a","type":"reference","referenceTypes":["Robot"]}`), of + ", attribute a", `"Robot", which is not a resource type`},
		"a name of 100 letters":         {schemaWith(`{"name":"` + strings.Repeat("a", 100) + `"}`), of + ", attribute [0]", "at most 64"},
		"a thousand attributes":         {schemaWith(`{"name":"a0"}` + strings.Repeat(`,{"name":"a"}`, 1000)), of, "at most 1000"},
		"a schema nobody has":           {`{"schemas":[{"id":"urn:example:Test","attributes":[{"name":"a"}]}]}`, of, "no resource type has this schema"},
		"ids that differ in case":       {`{"schemas":[{"id":"urn:example:Test","attributes":[{"name":"a"}]},{"id":"urn:example:TEST","attributes":[{"name":"a"}]}]}`, "schema urn:example:TEST", "two schemas"},
		"an id that reads as attribute": {`{"schemas":[{"id":"urn:example:Test","attributes":[{"name":"a"}]},{"id":"urn:example:Test:A","attributes":[{"name":"a"}]}]}`, "schema urn:example:Test:A", "attribute A of schema urn:example:Test"},
		"an extension without type":     {`{"extensions":[{"schema":"urn:example:Test"}]}`, "extensions[0]", `no resource type ""`},
		"an extension without schema":   {`{"extensions":[{"resourceType":"User","schema":"urn:example:Test"}]}`, "extensions[0]", "not in this document"},
		"an extension twice":            {`{"extensions":[{"resourceType":"user","schema":"` + EnterpriseURN + `"}]}`, "extensions[0]", "already"},
		"a type without name":           {typed(`{"endpoint":"/Tests","schema":"urn:example:Test"}`), "resourceTypes[0]", "it has no name"},
		"another user":                  {typed(`{"name":"user","endpoint":"/Tests","schema":"urn:example:Test"}`), "resource type user", "built in"},
		"a type named schema":           {typed(`{"name":"Schema","endpoint":"/Tests","schema":"urn:example:Test"}`), "resource type Schema", "name of the protocol"},
		"a type with a space":           {typed(`{"name":"My Test","endpoint":"/Tests","schema":"urn:example:Test"}`), "resource type My Test", "begin with a letter"},
		"an id beside the name":         {typed(`{"id":"x","name":"Test","endpoint":"/Tests","schema":"urn:example:Test"}`), "resource type Test", "is not its name"},
		"two types of a name":           {typed(`{"name":"Test","endpoint":"/Tests","schema":"urn:example:Test"},{"name":"TEST","endpoint":"/Others","schema":"urn:example:Test"}`), "resource type TEST", "two resource types"},
		"two types at an endpoint":      {typed(`{"name":"Test","endpoint":"/Tests","schema":"urn:example:Test"},{"name":"Other","endpoint":"/tests","schema":"urn:example:Test"}`), "resource type Other", "another resource type"},
		"the endpoint of users":         {typed(`{"name":"Test","endpoint":"/users","schema":"urn:example:Test"}`), "resource type Test", "the protocol's own"},
		"the endpoint of bulk":          {typed(`{"name":"Test","endpoint":"/Bulk","schema":"urn:example:Test"}`), "resource type Test", "the protocol's own"},
		"an endpoint without a slash":   {typed(`{"name":"Test","endpoint":"Tests","schema":"urn:example:Test"}`), "resource type Test", "write a slash"},
		"an endpoint that goes up":      {typed(`{"name":"Test","endpoint":"/../x","schema":"urn:example:Test"}`), "resource type Test", "write a slash"},
		"a type without schema":         {typed(`{"name":"Test","endpoint":"/Tests"}`), "resource type Test", "not in this document"},
		"a type that extends itself":    {typed(`{"name":"Test","endpoint":"/Tests","schema":"urn:example:Test","schemaExtensions":[{"schema":"urn:example:Test"}]}`), "resource type Test, schemaExtensions[0]", "cannot extend it too"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := NewRegistry([]byte(c.doc))
			var e *RegistryError
			if !errors.As(err, &e) || len(e.Problems) == 0 {
				t.Fatalf("got %v, want problems", err)
			}
			for _, p := range e.Problems {
				if p.Where == c.where && strings.Contains(p.Text, c.text) && !strings.Contains(p.Text, "400") {
					return
				}
			}
			t.Errorf("got\n%v\nwant %s: …%s…", err, c.where, c.text)
		})
	}
	t.Run("everything is named at once and not without end", func(t *testing.T) {
		t.Parallel()
		_, err := NewRegistry([]byte(schemaWith(`{"name":"a","type":"x"},{"name":"b","type":"x"}`)))
		var e *RegistryError
		if !errors.As(err, &e) || len(e.Problems) != 2 {
			t.Errorf("got %v, want two problems", err)
		}
		_, err = NewRegistry([]byte(schemaWith(`{"name":"a","type":"x"}` + strings.Repeat(`,{"name":"a","type":"x"}`, 150))))
		if !errors.As(err, &e) || len(e.Problems) != maxRegistryProblems {
			t.Errorf("got %d problems, want %d", len(e.Problems), maxRegistryProblems)
		}
	})
}

func TestLosses(t *testing.T) {
	t.Parallel()
	const user, ext = `{"name":"number","type":"integer"}`, "urn:example:Test"
	with := Resource{"userName": "a", ext: map[string]any{"number": int64(1), "badge": map[string]any{"color": "red"}}}
	without := Resource{"userName": "b"}
	all := user + `,{"name":"badge","type":"complex","subAttributes":[{"name":"color"},{"name":"size"}]}`
	for name, c := range map[string]struct {
		next string // attributes; or a document
		want []string
	}{
		"nothing":                   {all, nil},
		"an attribute more":         {all + `,{"name":"more"}`, nil},
		"a description":             {strings.Replace(all, `"integer"`, `"integer","description":"of the badge"`, 1), nil},
		"a required one more":       {all + `,{"name":"more","required":true}`, []string{"urn:example:Test:more of User becomes required: 1"}},
		"one less":                  {user, []string{"urn:example:Test:badge of User is removed: 1"}},
		"a sub-attribute less":      {strings.Replace(all, `,{"name":"size"}`, ``, 1), []string{"urn:example:Test:badge.size of User is removed: 0"}},
		"a used sub-attribute less": {strings.Replace(all, `{"name":"color"},`, ``, 1), []string{"urn:example:Test:badge.color of User is removed: 1"}},
		"a required sub-attribute":  {strings.Replace(all, `{"name":"size"}`, `{"name":"size","required":true}`, 1), []string{"urn:example:Test:badge.size of User becomes required: 1"}},
		"another type":              {strings.Replace(all, "integer", "string", 1), []string{"urn:example:Test:number of User changes its type from integer to string: 1"}},
		"many values":               {strings.Replace(all, `"integer"`, `"integer","multiValued":true`, 1), []string{"urn:example:Test:number of User becomes multi-valued: 1"}},
		"unique":                    {strings.Replace(all, `"integer"`, `"integer","uniqueness":"server"`, 1), []string{"urn:example:Test:number of User becomes unique: 1"}},
		"never returned":            {strings.Replace(all, `"integer"`, `"integer","mutability":"writeOnly"`, 1), []string{"urn:example:Test:number of User is no longer returned: 1"}},
		"no document":               {"", []string{"the extension urn:example:Test of User is removed: 1"}},
		"a required extension":      {strings.Replace(schemaWith(all), `"schema":"urn:example:Test"`, `"schema":"urn:example:Test","required":true`, 1), []string{"the extension urn:example:Test of User becomes required: 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := c.next
			if next != "" && next[:9] != `{"schemas` {
				next = schemaWith(next)
			}
			var got []string
			for _, l := range mustRegistry(t, schemaWith(all)).BreakingDifferences(mustRegistry(t, next)) {
				n := 0
				for _, r := range []Resource{with, without} {
					if l.Affects(r) {
						n++
					}
				}
				got = append(got, fmt.Sprintf("%s %s: %d", l.Subject(), l.Reason, n))
			}
			if diff := cmp.Diff(got, c.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
	t.Run("what strands values comes before what tells them apart", func(t *testing.T) {
		t.Parallel()
		next := strings.Replace(all, `"integer"`, `"integer","uniqueness":"server","caseExact":true,"returned":"never"`, 1)
		l := mustRegistry(t, schemaWith(all)).BreakingDifferences(mustRegistry(t, schemaWith(next)))
		if len(l) != 1 || l[0].Reason != "is no longer returned" || l[0].KeepsValues() {
			t.Errorf("got %+v", l)
		}
		next = strings.Replace(all, `"complex","subAttributes":[{"name":"color"},`, `"complex","caseExact":true,"subAttributes":[`, 1)
		l = mustRegistry(t, schemaWith(all)).BreakingDifferences(mustRegistry(t, schemaWith(next)))
		if len(l) != 2 || !l[0].KeepsValues() || l[1].Subject() != "urn:example:Test:badge.color of User" {
			t.Errorf("got %+v", l)
		}
	})
	t.Run("a resource type", func(t *testing.T) {
		t.Parallel()
		l := mustRegistry(t, badges).BreakingDifferences(mustRegistry(t, ""))
		if len(l) != 2 || l[1].Subject() != "the resource type Device" || !l[1].Affects(Resource{}) {
			t.Errorf("got %+v", l)
		}
	})
}

func TestLossDrop(t *testing.T) {
	t.Parallel()
	const ext = "urn:example:Test"
	const have = `{"userName":"a","` + ext + `":{"number":1,"tags":["x","y"],"badges":[{"color":"red","size":1},{"color":"blue"}],"card":{"color":"red"}},"meta":{}}`
	const all = `{"name":"number","type":"integer"},{"name":"tags","multiValued":true},` +
		`{"name":"badges","type":"complex","multiValued":true,"subAttributes":[{"name":"color"},{"name":"size","type":"integer"}]},` +
		`{"name":"card","type":"complex","subAttributes":[{"name":"color"},{"name":"size"}]}`
	inside := func(text string) string {
		if text == "" {
			return `{"userName":"a","meta":{}}`
		}
		return `{"userName":"a","` + ext + `":{` + text + `},"meta":{}}`
	}
	for name, c := range map[string]struct{ from, to, want string }{
		"an attribute":            {`{"name":"number","type":"integer"},`, ``, inside(`"tags":["x","y"],"badges":[{"color":"red","size":1},{"color":"blue"}],"card":{"color":"red"}`)},
		"another type":            {`"number","type":"integer"`, `"number"`, inside(`"tags":["x","y"],"badges":[{"color":"red","size":1},{"color":"blue"}],"card":{"color":"red"}`)},
		"a list":                  {`"tags","multiValued":true`, `"tags"`, inside(`"number":1,"badges":[{"color":"red","size":1},{"color":"blue"}],"card":{"color":"red"}`)},
		"of each element":         {`[{"name":"color"},{"name":"size","type":"integer"}]`, `[{"name":"size","type":"integer"}]`, inside(`"number":1,"tags":["x","y"],"badges":[{"size":1}],"card":{"color":"red"}`)},
		"the last of a complex":   {`"subAttributes":[{"name":"color"},{"name":"size"}]`, `"subAttributes":[{"name":"size"}]`, inside(`"number":1,"tags":["x","y"],"badges":[{"color":"red","size":1},{"color":"blue"}]`)},
		"what nobody has":         {`,{"name":"size"}]`, `]`, have},
		"the extension":           {all, `{"name":"more"}`, inside("")},
		"what is lacking is kept": {all, all + `,{"name":"more","required":true}`, have},
		"what becomes unique":     {`"number","type":"integer"`, `"number","type":"integer","uniqueness":"server"`, have},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := mustParse(t, []byte(have))
			dropped := false
			for _, l := range mustRegistry(t, schemaWith(all)).BreakingDifferences(mustRegistry(t, schemaWith(strings.Replace(all, c.from, c.to, 1)))) {
				dropped = l.DropValues(r) || dropped
			}
			if diff := cmp.Diff(r, mustParse(t, []byte(c.want))); diff != "" || dropped != (c.want != have) {
				t.Errorf("dropped %t (-got +want):\n%s", dropped, diff)
			}
		})
	}
	t.Run("a removed extension", func(t *testing.T) {
		t.Parallel()
		r := mustParse(t, []byte(have))
		l := mustRegistry(t, schemaWith(all)).BreakingDifferences(mustRegistry(t, ""))
		if len(l) != 1 || !l[0].DropValues(r) || l[0].DropValues(r) || r[ext] != nil || r["userName"] != "a" {
			t.Errorf("got %v by %+v", r, l)
		}
	})
	t.Run("one element", func(t *testing.T) {
		t.Parallel()
		for at, want := range map[AttrPath]string{
			{URN: ext, Name: "number"}:               inside(`"tags":["x","y"],"badges":[{"color":"red","size":1},{"color":"blue"}],"card":{"color":"red"}`),
			{URN: ext, Name: "tags"}:                 inside(`"number":1,"tags":["y"],"badges":[{"color":"red","size":1},{"color":"blue"}],"card":{"color":"red"}`),
			{URN: ext, Name: "badges", Sub: "color"}: inside(`"number":1,"tags":["x","y"],"badges":[{"size":1},{"color":"blue"}],"card":{"color":"red"}`),
			{URN: ext, Name: "card", Sub: "color"}:   inside(`"number":1,"tags":["x","y"],"badges":[{"color":"red","size":1},{"color":"blue"}]`),
			{URN: "urn:other", Name: "number"}:       have,
			{Name: "userName"}:                       strings.Replace(have, `"userName":"a",`, ``, 1),
		} {
			r := mustParse(t, []byte(have))
			if DropElement(r, at, 0); cmp.Diff(r, mustParse(t, []byte(want))) != "" {
				t.Errorf("%s: got %v, want %s", at, r, want)
			}
		}
	})
	t.Run("what would be the same", func(t *testing.T) {
		t.Parallel()
		next := strings.Replace(strings.Replace(all, `{"name":"color"},{"name":"size","type"`, `{"name":"color","uniqueness":"server"},{"name":"size","type"`, 1), `"tags",`, `"tags","caseExact":true,`, 1)
		differences := mustRegistry(t, schemaWith(all)).BreakingDifferences(mustRegistry(t, schemaWith(next)))
		r := mustParse(t, []byte(strings.Replace(have, "blue", "Red", 1)))
		if len(differences) != 2 || differences[0].ElementKeys(r) != nil || cmp.Diff(differences[1].ElementKeys(r), []string{"red", "red"}) != "" {
			t.Errorf("got %+v", differences)
		}
	})
}

func FuzzNewRegistry(f *testing.F) {
	f.Add([]byte(badges), []byte(`{"userName":"a","urn:example:params:scim:schemas:Badge:2.0:User":{"color":{"code":"7"}}}`))
	f.Add([]byte(schemaWith(`{"name":"a","type":"reference","referenceTypes":["User"]}`)), []byte(`{"a":"https://h"}`))
	f.Fuzz(func(t *testing.T, doc, body []byte) {
		g, err := NewRegistry(doc)
		if err != nil {
			var e *RegistryError
			if !errors.As(err, &e) || len(e.Problems) == 0 || e.Error() == "" {
				t.Fatalf("got %v", err)
			}
			return
		}
		if differences := g.BreakingDifferences(g); len(differences) > 0 {
			t.Fatalf("%q loses %v against itself", doc, differences)
		}
		for _, rt := range g.Types() {
			checkDecoded(t, rt, body, Lenient)
			b, err := json.Marshal(rt)
			if err != nil || !json.Valid(b) {
				t.Fatalf("%s: %v", b, err)
			}
			for _, e := range rt.Extensions {
				for _, a := range e.Schema.Attributes {
					path := AttrPath{URN: e.Schema.ID, Name: a.Name}
					p, err := ParsePath(rt, path.String(), Strict)
					if err != nil || p.URN != path.URN || p.Name != path.Name {
						t.Fatalf("%s read as %+v, %v", path, p, err)
					}
				}
			}
		}
	})
}
