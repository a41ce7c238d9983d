package scim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// matrixSchemas gives users an extension and the site its own type, each with lists of every kind.
const matrixSchemas = `{
  "schemas": [
    {"id": "urn:example:Kit:2.0:User", "name": "Kit", "attributes": [
      {"name": "devices", "type": "string", "multiValued": true},
      {"name": "roles", "type": "string", "multiValued": true},
      {"name": "badges", "type": "complex", "multiValued": true, "subAttributes": [
        {"name": "value", "type": "string"}, {"name": "type", "type": "string"}, {"name": "primary", "type": "boolean"}, {"name": "tags", "type": "string", "multiValued": true}]}
    ]},
    {"id": "urn:example:Team", "name": "Team", "attributes": [
      {"name": "active", "type": "boolean"},
      {"name": "members", "type": "complex", "multiValued": true, "subAttributes": [{"name": "value", "type": "string"}, {"name": "since", "type": "dateTime"}]}
    ]}
  ],
  "resourceTypes": [{"name": "Team", "endpoint": "/Teams", "schema": "urn:example:Team"}],
  "extensions": [{"resourceType": "User", "schema": "urn:example:Kit:2.0:User"}]
}`

// matrixCase is an attribute with a stored value.
type matrixCase struct {
	rt     string
	urn    string
	name   string
	there  string // JSON of the list as it is stored
	value  string // the string that identifies its one value
	grants bool
	simple bool
}

func (c matrixCase) path() string { return AttrPath{URN: c.urn, Name: c.name}.String() }

// matrixShape is a form in which a value is sent. X stands for the value and N for the attribute's
// name.
type matrixShape struct {
	json    string
	empties bool // as the value of replace or of a PUT
	names   bool // it names the value, plainly
	unclear bool // nothing in it can be read
}

var matrixShapes = []matrixShape{
	{json: `null`, empties: true},
	{json: `[]`, empties: true},
	{json: `""`},
	{json: `{}`},
	{json: `[null]`},
	{json: `[""]`},
	{json: `[{}]`},
	{json: `[{"value":null}]`},
	{json: `{"value":null}`},
	{json: `{"value":""}`},
	{json: `[{"id":"X"}]`, unclear: true},
	{json: `{"id":"X"}`, unclear: true},
	{json: `[{"id":"X"},{"address":"X"}]`, unclear: true},
	{json: `{"0":{"value":"X"}}`, unclear: true},
	{json: `[{"N":"X"}]`, unclear: true},
	{json: `{"id":"X","value":null}`, unclear: true},
	{json: `[{"type":"other","value":null}]`},
	{json: `[{"value":"X"},{"id":"Y"}]`},
	{json: `[{"value":"Y"},{"id":"X"}]`},
	{json: `[{"value":"X"},{"value":null}]`},
	{json: `[{"value":"X"},null]`},
	{json: `{"N":[{"value":"X"}]}`, names: true},
	{json: `{"N":{"value":"X"}}`, names: true},
	{json: `[{"value":"X"}]`, names: true},
	{json: `{"value":"X"}`, names: true},
	{json: `"X"`, names: true},
	{json: `["X"]`, names: true},
	{json: `[{"value":"Y"}]`},
}

// TestNothingIsLostByWhatWasNotUnderstood sends every form of a value to every kind of list, by every
// operation and form of a path, together with a deactivation. For every answer:
//   - a success applies the deactivation, and a refusal changes nothing;
//   - a stored value disappears only where the request named it, or by replace with [] or null, or by a
//     remove without a value;
//   - a success that leaves a value that should be removed says so;
//   - lists that decide who may do what refuse values that cannot be read.
func TestNothingIsLostByWhatWasNotUnderstood(t *testing.T) {
	t.Parallel()
	registry, err := NewRegistry([]byte(matrixSchemas))
	if err != nil {
		t.Fatal(err)
	}
	kit := "urn:example:Kit:2.0:User"
	for _, c := range []matrixCase{
		{rt: "User", name: "roles", there: `[{"value":"v-1","display":"One","type":"app"}]`, value: "v-1", grants: true},
		{rt: "User", name: "entitlements", there: `[{"value":"v-1"}]`, value: "v-1", grants: true},
		{rt: "User", name: "emails", there: `[{"value":"v-1@x","type":"work","primary":true}]`, value: "v-1@x"},
		{rt: "User", name: "x509Certificates", there: `[{"value":"aGk="}]`, value: "aGk="},
		{rt: "User", urn: kit, name: "devices", there: `["v-1"]`, value: "v-1", simple: true},
		{rt: "User", urn: kit, name: "roles", there: `["v-1"]`, value: "v-1", simple: true, grants: true},
		{rt: "User", urn: kit, name: "badges", there: `[{"value":"v-1","tags":["a"]}]`, value: "v-1"},
		{rt: "Team", name: "members", there: `[{"value":"v-1","since":"2026-01-31T08:00:00Z"}]`, value: "v-1", grants: true},
	} {
		rt, _ := registry.ByName(TypeName(c.rt))
		for _, mode := range []Mode{Lenient, Strict} {
			t.Run(c.rt+"/"+c.path()+"/"+modeName(mode), func(t *testing.T) {
				t.Parallel()
				for _, s := range matrixShapes {
					text := strings.NewReplacer(`"X"`, quote(c.value), `"Y"`, quote("aGkh"), `"N"`, quote(c.name)).Replace(s.json)
					s.json = text
					for _, op := range []string{"add", "replace", "remove"} {
						for _, form := range []string{"path", "urn", "key", "object"} {
							c.patch(t, rt, mode, s, op, form)
						}
					}
					c.put(t, rt, mode, s)
				}
				c.patch(t, rt, mode, matrixShape{empties: true}, "remove", "path")
			})
		}
	}
}

func (c matrixCase) resource(t *testing.T, rt *ResourceType) Resource {
	t.Helper()
	r := Resource{"id": "r-1", "active": true, "userName": "ada"}
	var list any
	if err := json.Unmarshal([]byte(c.there), &list); err != nil {
		t.Fatal(err)
	}
	if c.urn == "" {
		r[c.name] = list
	} else {
		r[c.urn] = map[string]any{c.name: list}
	}
	if rt.Name != "User" {
		delete(r, "userName")
	}
	r["schemas"] = rt.schemaURNs(r)
	return r
}

// has reports whether the value is there, and whether anything is.
func (c matrixCase) has(r Resource) (value, anything bool) {
	p := Path{URN: c.urn, Name: c.name}
	list := p.Get(r)
	return slices.ContainsFunc(list, func(e any) bool {
		if m, ok := e.(map[string]any); ok {
			e = m["value"]
		}
		return e == c.value
	}), len(list) > 0
}

func (c matrixCase) patch(t *testing.T, rt *ResourceType, mode Mode, s matrixShape, op, form string) {
	t.Helper()
	path := c.path()
	if form == "urn" && c.urn == "" {
		path = rt.Schema.ID + ":" + c.name
	}
	operation := fmt.Sprintf(`{"op":%q,"path":%q,"value":%s}`, op, path, s.json)
	switch {
	case s.json == "":
		operation = fmt.Sprintf(`{"op":%q,"path":%q}`, op, path)
	case op == "remove" && (form == "key" || form == "object"):
		return // a remove needs a path
	case form == "key":
		operation = fmt.Sprintf(`{"op":%q,"value":{%q:%s}}`, op, path, s.json)
	case form == "object" && c.urn == "":
		return
	case form == "object":
		operation = fmt.Sprintf(`{"op":%q,"value":{%q:{%q:%s}}}`, op, c.urn, c.name, s.json)
	}
	body := `{"schemas":["` + PatchOpURN + `"],"Operations":[` + operation + `,{"op":"replace","path":"active","value":false}]}`
	before := c.resource(t, rt)
	p, _, err := DecodePatch(rt, []byte(body), mode)
	var result PatchResult
	if err == nil {
		result, err = p.Apply(rt, before)
	}
	what := fmt.Sprintf("%s: %v", operation, err)
	if err != nil {
		if !strings.HasPrefix(err.Error(), "400 ") {
			t.Errorf("%s: it is no 400", what)
		}
		return
	}
	value, anything := c.has(result.Resource)
	if result.Resource["active"] != false {
		t.Errorf("%s: the deactivation was not done", what)
	}
	named := s.names || strings.HasPrefix(s.json, `[{"value":`+quote(c.value)+`}`)
	may := named && op == "remove" || s.empties && (op == "replace" || s.json == "")
	if !anything && !may {
		t.Errorf("%s: the list was emptied", what)
	}
	if c.grants && s.unclear {
		t.Errorf("%s: what cannot be read was taken", what)
	}
	if op == "remove" && value && len(result.Ignored) == 0 {
		t.Errorf("%s: the value stays and nothing says so", what)
	}
	if op == "remove" && s.names && value {
		t.Errorf("%s: the value that was named stays", what)
	}
	if op == "add" && !value {
		t.Errorf("%s: add took the value away", what)
	}
	if op == "replace" && !value && strings.Contains(s.json, quote(c.value)) {
		t.Errorf("%s: the value that was named is gone", what)
	}
	if s.unclear && len(result.Ignored) == 0 {
		t.Errorf("%s: nothing says that it was not understood", what)
	}
	alone, _, err := DecodePatch(rt, []byte(strings.Replace(body, `,{"op":"replace","path":"active","value":false}`, "", 1)), mode)
	if s.unclear && err == nil {
		t.Errorf("%s: alone it is a success, %v", what, alone.ignored)
	}
}

func (c matrixCase) put(t *testing.T, rt *ResourceType, mode Mode, s matrixShape) {
	t.Helper()
	if s.json == "" {
		return
	}
	attribute := fmt.Sprintf("%q:%s", c.name, s.json)
	urns := quote(rt.Schema.ID)
	if c.urn != "" {
		attribute = fmt.Sprintf("%q:{%s}", c.urn, attribute)
		urns += "," + quote(c.urn)
	}
	name := ""
	if rt.Name == "User" {
		name = `"userName":"ada",`
	}
	body := fmt.Sprintf(`{"schemas":[%s],%s"active":false,%s}`, urns, name, attribute)
	before := c.resource(t, rt)
	doc, fixes, err := Decode(rt, []byte(body), mode)
	var merged Resource
	if err == nil {
		merged, err = MergePut(rt, before, doc)
	}
	if err != nil {
		if !strings.HasPrefix(err.Error(), "400 ") {
			t.Errorf("PUT %s: %v", body, err)
		}
		return
	}
	value, anything := c.has(merged)
	if !anything && !s.empties {
		t.Errorf("PUT %s: the list was emptied", body)
	}
	if !value && strings.Contains(s.json, quote(c.value)) {
		t.Errorf("PUT %s: the value that was named is gone", body)
	}
	if s.unclear {
		t.Errorf("PUT %s: what cannot be read was taken, fixes %v", body, fixes)
	}
	if merged["active"] != false {
		t.Errorf("PUT %s: the deactivation was not done", body)
	}
	if err := Validate(rt, merged); err != nil {
		t.Errorf("PUT %s: %v", body, err)
	}
}
