package scim

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// characteristic is one attribute of TestResource, with two valid values and one invalid one.
type characteristic struct {
	Attribute
	one, two any    // canonical, in a Resource
	wrong    string // JSON that is not a value of the type
}

// every lists an attribute for each combination of type, mutability, returned and uniqueness,
// single-valued and multi-valued.
func every() []characteristic {
	values := map[string]struct {
		one, two any
		wrong    string
	}{
		String:    {"one", "two", `{"a":1}`},
		Boolean:   {true, false, `"perhaps"`},
		Decimal:   {1.5, -2.25, `"1,5"`},
		Integer:   {int64(1), int64(-2), `1.5`},
		DateTime:  {"2026-01-31T08:00:00Z", "2025-01-31T08:00:00Z", `"yesterday"`},
		Binary:    {"b25l", "dHdv", `"?"`},
		Reference: {"https://example.com/one", "https://example.com/two", `7`},
		Complex:   {map[string]any{"value": "one", "part": int64(1)}, map[string]any{"value": "two", "part": int64(2)}, `[[]]`},
	}
	var list []characteristic
	for _, typ := range []string{String, Boolean, Decimal, Integer, DateTime, Binary, Reference, Complex} {
		for _, mutability := range []string{ReadOnly, ReadWrite, Immutable, WriteOnly} {
			for _, returned := range []string{ReturnedAlways, ReturnedNever, ReturnedDefault, ReturnedRequest} {
				for _, uniqueness := range []string{UniquenessNone, UniquenessServer, UniquenessGlobal} {
					for _, multi := range []bool{false, true} {
						c := characteristic{Attribute: Attribute{
							Name: fmt.Sprintf("%s-%s-%s-%s", typ, mutability, returned, uniqueness), Type: typ, MultiValued: multi,
							Mutability: mutability, Returned: returned, Uniqueness: uniqueness, CaseExact: uniqueness == UniquenessGlobal,
						}, one: values[typ].one, two: values[typ].two, wrong: values[typ].wrong}
						if multi {
							c.Name += "-list"
							c.one, c.two = []any{c.one}, []any{c.two}
						}
						if typ == Complex {
							c.SubAttributes = []*Attribute{
								{Name: "value", Type: String, Mutability: ReadWrite, Returned: ReturnedDefault, Uniqueness: UniquenessNone},
								{Name: "part", Type: Integer, Mutability: ReadWrite, Returned: ReturnedDefault, Uniqueness: UniquenessNone},
							}
						}
						list = append(list, c)
					}
				}
			}
		}
	}
	return list
}

const (
	testURN     = "urn:example:params:scim:schemas:core:2.0:TestResource"
	requiredURN = "urn:example:params:scim:schemas:extension:2.0:Needed"
)

// testType is TestResource as a site configures it, from a document.
func testType(t testing.TB) (*ResourceType, []characteristic) {
	t.Helper()
	list := every()
	core := &Schema{ID: testURN, Name: "TestResource"}
	core.Attributes = append(core.Attributes, &Attribute{Name: "label", Type: String, Required: true, Mutability: ReadWrite, Returned: ReturnedDefault, Uniqueness: UniquenessNone})
	for i := range list {
		core.Attributes = append(core.Attributes, &list[i].Attribute)
	}
	needed := &Schema{ID: requiredURN, Name: "Needed", Attributes: []*Attribute{
		{Name: "code", Type: String, Required: true, Mutability: ReadWrite, Returned: ReturnedDefault, Uniqueness: UniquenessNone},
		{Name: "secret", Type: String, Required: true, Mutability: WriteOnly, Returned: ReturnedNever, Uniqueness: UniquenessNone},
	}}
	doc, err := json.Marshal(map[string]any{
		"schemas": []any{core, needed},
		"resourceTypes": []any{map[string]any{
			"name": "TestResource", "endpoint": "/TestResources", "schema": testURN,
			"schemaExtensions": []any{map[string]any{"schema": requiredURN, "required": true}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	rt, ok := mustRegistry(t, string(doc)).ByEndpoint("testresources")
	if !ok {
		t.Fatal("no type TestResource")
	}
	return rt, list
}

// with returns a stored TestResource with the value of one attribute.
func with(name string, v any) Resource {
	r := Resource{"schemas": []any{testURN, requiredURN}, "id": "1", "label": "l", requiredURN: map[string]any{"code": "c"}, "meta": map[string]any{"resourceType": "TestResource"}}
	if v != nil {
		r[name] = v
	}
	return r
}

func body(name, value string) []byte {
	return []byte(`{"schemas":["` + testURN + `","` + requiredURN + `"],"label":"l","` + requiredURN + `":{"code":"c","secret":"s"},` + `"` + name + `":` + value + `}`)
}

func jsonOf(v any) string { return string(appendSorted(nil, v)) }

// wantError fails unless err has that status and scimType, or is nil when none is wanted.
func wantError(t *testing.T, what string, err error, status int, scimType string) {
	t.Helper()
	var e *Error
	switch {
	case status == 0 && err != nil:
		t.Errorf("%s: got %v, want success", what, err)
	case status != 0 && (!errors.As(err, &e) || e.Status != status || e.ScimType != scimType):
		t.Errorf("%s: got %v, want %d %s", what, err, status, scimType)
	}
}

// TestConfiguredResource checks that every attribute behaves by its schema, whatever its name.
func TestConfiguredResource(t *testing.T) {
	t.Parallel()
	rt, list := testType(t)
	for _, c := range list {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(rt.Schema.Attribute(c.Name), &c.Attribute); diff != "" {
				t.Fatalf("the document says something else (-got +want):\n%s", diff)
			}
			unseen := c.Returned == ReturnedNever || c.Mutability == WriteOnly
			kept := !unseen && c.Mutability != ReadOnly
			testDecode(t, rt, c, kept)
			testProjection(t, rt, c, unseen)
			testFilter(t, rt, c, unseen)
			if !unseen {
				testPut(t, rt, c)
			}
			testPatch(t, rt, c, unseen)
		})
	}
}

func testDecode(t *testing.T, rt *ResourceType, c characteristic, kept bool) {
	for _, mode := range []Mode{Lenient, Strict} {
		got, _, err := Decode(rt, body(c.Name, jsonOf(c.one)), mode)
		wantError(t, "decode", err, 0, "")
		var want any
		if kept {
			want = c.one
		}
		if diff := cmp.Diff(got[c.Name], want); diff != "" {
			t.Errorf("decode (-got +want):\n%s", diff)
		}
		wantError(t, "validate", Validate(rt, got), 0, "")
	}
	wrong := c.wrong
	if c.MultiValued && wrong[0] != '[' {
		wrong = "[" + wrong + "]"
	}
	_, _, err := Decode(rt, body(c.Name, wrong), Lenient)
	if c.Mutability == ReadOnly {
		wantError(t, "decode of a wrong value that is ignored", err, 0, "")
		return
	}
	wantError(t, "decode of a wrong value", err, 400, "invalidValue")
}

func testProjection(t *testing.T, rt *ResourceType, c characteristic, unseen bool) {
	for _, p := range []struct {
		name               string
		attributes, except []string
		shown              bool
	}{
		{"default", nil, nil, c.Returned != ReturnedRequest},
		{"attributes with it", []string{strings.ToUpper(c.Name)}, nil, true},
		{"attributes with its URN", []string{testURN + ":" + c.Name}, nil, true},
		{"attributes without it", []string{"label"}, nil, c.Returned == ReturnedAlways},
		{"excluded", nil, []string{c.Name}, c.Returned == ReturnedAlways},
		{"another excluded", nil, []string{"label"}, c.Returned != ReturnedRequest},
	} {
		projection, err := ParseProjection(rt, p.attributes, p.except)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := projection.Render(rt, Encode(rt, with(c.Name, c.one)), UnstoredParts{Location: "https://example.com/1"})
		if err != nil {
			t.Fatal(err)
		}
		_, there := mustParse(t, doc)[c.Name]
		if want := p.shown && !unseen; there != want {
			t.Errorf("%s: got it shown %t, want %t: %s", p.name, there, want, doc)
		}
	}
}

func testFilter(t *testing.T, rt *ResourceType, c characteristic, unseen bool) {
	value := func(v any) any {
		if list, ok := v.([]any); ok {
			v = list[0]
		}
		if m, ok := v.(map[string]any); ok {
			v = m["value"]
		}
		return v
	}
	name := c.Name
	if c.Type == Complex {
		name += ".value"
	}
	one, two := jsonOf(value(c.one)), jsonOf(value(c.two))
	stored := with(c.Name, c.one)
	none := with(c.Name, nil)
	for _, f := range []struct {
		text         string
		match, empty bool
	}{
		{name + " eq " + one, true, false},
		{name + " eq " + two, false, false},
		{name + " ne " + two, true, true},
		{name + " ne " + one, false, true},
		{name + " pr", true, false},
		{"not (" + name + " pr)", false, true},
		{strings.ToUpper(name) + " Eq " + one, true, false},
		{testURN + ":" + name + " eq " + one, true, false},
	} {
		filter, _, err := ParseFilter(rt, f.text, Strict)
		if unseen {
			wantError(t, f.text, err, 403, "sensitive")
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", f.text, err)
			continue
		}
		if got := filter.Match(stored); got != f.match {
			t.Errorf("%s: got %t, want %t", f.text, got, f.match)
		}
		if got := filter.Match(none); got != f.empty {
			t.Errorf("%s on nothing: got %t, want %t", f.text, got, f.empty)
		}
	}
	if unseen {
		return
	}
	greater, _, err := ParseFilter(rt, name+" ge "+one, Strict)
	if c.Type == Boolean || c.Type == Binary {
		wantError(t, "ge", err, 400, "invalidFilter") // RFC 7644 §3.4.2.2
	} else if err != nil || !greater.Match(stored) {
		t.Errorf("ge: got %v", err)
	}
	if c.Type == String {
		folded, _, err := ParseFilter(rt, name+` eq "ONE"`, Strict)
		if err != nil || folded.Match(stored) == c.CaseExact {
			t.Errorf("case counts: got %t, want %t (%v)", !folded.Match(stored), c.CaseExact, err)
		}
	}
}

func testPut(t *testing.T, rt *ResourceType, c characteristic) {
	put := func(text string, want any, status int) {
		t.Helper()
		next, _, err := Decode(rt, []byte(text), Lenient)
		if err != nil {
			t.Fatal(err)
		}
		got, err := MergePut(rt, with(c.Name, c.one), next)
		if status != 0 {
			wantError(t, "put", err, status, "mutability")
			return
		}
		if diff := cmp.Diff(got[c.Name], want); err != nil || diff != "" {
			t.Errorf("put %s: %v (-got +want):\n%s", text, err, diff)
		}
	}
	same, other, null := string(body(c.Name, jsonOf(c.one))), string(body(c.Name, jsonOf(c.two))), string(body(c.Name, "null"))
	without := strings.Replace(null, `,"`+c.Name+`":null`, "", 1)
	put(same, c.one, 0)
	switch c.Mutability {
	case ReadOnly:
		put(other, c.one, 0)
		put(without, c.one, 0)
	case Immutable:
		put(other, nil, 400)
		put(without, c.one, 0)
	case ReadWrite:
		put(other, c.two, 0)
		var left any
		if c.Type == Boolean && !c.MultiValued || c.Returned == ReturnedRequest {
			left = c.one
		}
		put(without, left, 0)
		put(null, nil, 0)
	}
}

func testPatch(t *testing.T, rt *ResourceType, c characteristic, unseen bool) {
	try := func(op, value string, stored any) (any, error) {
		text := `{"schemas":["` + PatchOpURN + `"],"Operations":[{"op":"` + op + `","path":"` + c.Name + `"`
		if value != "" {
			text += `,"value":` + value
		}
		p, _, err := DecodePatch(rt, []byte(text+`}]}`), Lenient)
		if err != nil {
			return nil, err
		}
		r := with(c.Name, stored)
		result, err := p.Apply(rt, r)
		if err != nil {
			return nil, err
		}
		if again, err := p.Apply(rt, result.Resource); err != nil || again.Changed {
			t.Errorf("%s again: changed %t, %v", op, again.Changed, err)
		}
		return result.Resource[c.Name], Validate(rt, result.Resource)
	}
	for _, p := range []struct {
		op     string
		value  any // nil: none
		stored any
		want   any
		denied bool // for immutable attributes
	}{
		{"add", c.one, nil, c.one, false},
		{"add", c.one, c.one, c.one, false},
		{"replace", c.one, nil, c.one, false},
		{"replace", c.one, c.one, c.one, false},
		{"replace", c.two, c.one, c.two, true},
		{"remove", nil, c.one, nil, true},
		{"remove", nil, nil, nil, false},
	} {
		value := ""
		if p.value != nil {
			value = jsonOf(p.value)
		}
		what := fmt.Sprintf("patch %s %s on %v", p.op, value, p.stored)
		got, err := try(p.op, value, p.stored)
		switch {
		case c.Mutability == ReadOnly && c.Returned != ReturnedNever && p.value != nil && cmp.Equal(p.value, p.stored):
			if diff := cmp.Diff(got, p.stored); err != nil || diff != "" {
				t.Errorf("%s: %v (-got +want):\n%s", what, err, diff)
			}
		case c.Mutability == ReadOnly:
			wantError(t, what, err, 400, "mutability")
		case unseen:
			if diff := cmp.Diff(got, p.stored); err != nil || diff != "" {
				t.Errorf("%s: %v (-got +want):\n%s", what, err, diff)
			}
		case c.Mutability == Immutable && p.denied:
			wantError(t, what, err, 400, "mutability")
		default:
			if diff := cmp.Diff(got, p.want); err != nil || diff != "" {
				t.Errorf("%s: %v (-got +want):\n%s", what, err, diff)
			}
		}
	}
	if c.MultiValued && !unseen && c.Mutability == ReadWrite && c.Type != Boolean {
		both := append(append([]any{}, c.one.([]any)...), c.two.([]any)...)
		got, err := try("add", jsonOf(c.two), c.one)
		if diff := cmp.Diff(got, any(both)); err != nil || diff != "" {
			t.Errorf("add to a list: %v (-got +want):\n%s", err, diff)
		}
	}
	if c.Mutability != ReadOnly && !unseen {
		_, err := try("replace", c.wrong, nil)
		wantError(t, "patch with a wrong value", err, 400, "invalidValue")
	}
}

func TestRequiredExtension(t *testing.T) {
	t.Parallel()
	rt, _ := testType(t)
	decode := func(text string) (Resource, error) {
		r, _, err := DecodeNew(rt, []byte(text), Lenient)
		if err == nil {
			err = Validate(rt, r)
		}
		return r, err
	}
	for text, want := range map[string]int{
		`{"label":"l"}`:                                                                  400,
		`{"label":"l","` + requiredURN + `":{}}`:                                         400,
		`{"label":"l","` + requiredURN + `":{"code":"c"}}`:                               400, // without the secret
		`{"label":"l","` + requiredURN + `":{"secret":"s"}}`:                             400,
		`{"` + requiredURN + `":{"code":"c","secret":"s"}}`:                              400, // without the label
		`{"label":"l","` + requiredURN + `":{"code":"c","secret":"s"}}`:                  0,
		`{"LABEL":"l","` + strings.ToUpper(requiredURN) + `":{"Code":"c","SECRET":"s"}}`: 0,
	} {
		_, err := decode(text)
		if want == 0 {
			wantError(t, text, err, 0, "")
		} else {
			wantError(t, text, err, want, "invalidValue")
		}
	}
	r, err := decode(`{"label":"l","` + requiredURN + `":{"code":"c","secret":"s"}}`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r["schemas"], any([]any{testURN, requiredURN})); diff != "" {
		t.Error(diff)
	}
	again, _, err := Decode(rt, Encode(rt, r), Strict)
	if err != nil || !Equal(again, r) {
		t.Errorf("a PUT of what a GET shows: got %v, %v", again, err)
	}
	if strings.Contains(string(Encode(rt, r)), `"secret"`) {
		t.Error("the secret is in the stored document")
	}
	for _, op := range []string{
		`{"op":"remove","path":"` + requiredURN + `"}`, `{"op":"remove","path":"` + requiredURN + `:code"}`,
		`{"op":"replace","value":{"` + requiredURN + `:code":""}}`, `{"op":"replace","value":{"` + requiredURN + `":null}}`,
	} {
		p, _, err := DecodePatch(rt, []byte(`{"Operations":[`+op+`]}`), Lenient)
		if err == nil {
			var result PatchResult
			if result, err = p.Apply(rt, r); err == nil {
				err = Validate(rt, result.Resource)
			}
		}
		wantError(t, op, err, 400, "mutability")
	}
}

func TestSubAttributesBehaveByTheirSchema(t *testing.T) {
	t.Parallel()
	rt, _ := mustRegistry(t, `{"schemas":[{"id":"urn:example:Thing","attributes":[{"name":"part","type":"complex","subAttributes":[
		{"name":"once","mutability":"immutable"},{"name":"made","mutability":"readOnly"},{"name":"free"},{"name":"secret","mutability":"writeOnly","required":true},
		{"name":"asked","returned":"request"},{"name":"shown","returned":"always"},{"name":"tags","multiValued":true}]}]}],
		"resourceTypes":[{"name":"Thing","endpoint":"/Things","schema":"urn:example:Thing"}]}`).ByName("Thing")
	part := func(m map[string]any) Resource { return Resource{"schemas": []any{"urn:example:Thing"}, "part": m} }
	stored := part(map[string]any{"once": "1", "made": "m", "free": "f", "asked": "a", "shown": "s", "tags": []any{"x"}})

	r, fixes, err := Decode(rt, []byte(`{"schemas":["urn:example:Thing"],"part":{"once":"1","made":"no","free":"f","secret":"s","tags":["x"]}}`), Strict)
	if err != nil || len(fixes) != 1 || fixes[0].Code != "not-kept" {
		t.Fatalf("got %v, %v", fixes, err)
	}
	if diff := cmp.Diff(r["part"], any(map[string]any{"once": "1", "free": "f", "tags": []any{"x"}})); diff != "" {
		t.Error(diff)
	}
	wantError(t, "validate", Validate(rt, r), 0, "")

	_, err = MergePut(rt, stored, part(map[string]any{"once": "2"}))
	wantError(t, "put of another immutable value", err, 400, "mutability")
	merged, err := MergePut(rt, stored, part(map[string]any{"free": "g"}))
	if diff := cmp.Diff(merged["part"], any(map[string]any{"once": "1", "made": "m", "free": "g", "asked": "a"})); err != nil || diff != "" {
		t.Errorf("put: %v %s", err, diff)
	}

	for op, want := range map[string]string{
		`{"op":"replace","path":"part.once","value":"2"}`:                   "mutability",
		`{"op":"replace","path":"part.made","value":"2"}`:                   "mutability",
		`{"op":"remove","path":"part.once"}`:                                "mutability",
		`{"op":"replace","path":"part","value":{"once":"2"}}`:               "mutability",
		`{"op":"replace","path":"part.once","value":"1"}`:                   "",
		`{"op":"replace","path":"part.secret","value":"t"}`:                 "",
		`{"op":"add","path":"part.tags","value":["y","x"]}`:                 "",
		`{"op":"add","path":"part","value":{"tags":["y"]}}`:                 "",
		`{"op":"replace","path":"urn:example:Thing:part.free","value":"h"}`: "",
	} {
		p, _, err := DecodePatch(rt, []byte(`{"Operations":[`+op+`]}`), Lenient)
		var result PatchResult
		if err == nil {
			result, err = p.Apply(rt, stored)
		}
		if want != "" {
			wantError(t, op, err, 400, want)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", op, err)
			continue
		}
		if strings.Contains(op, "tags") {
			if diff := cmp.Diff(result.Resource["part"].(map[string]any)["tags"], any([]any{"x", "y"})); diff != "" {
				t.Errorf("%s: %s", op, diff)
			}
		}
	}

	for text, want := range map[string]bool{`part.tags eq "x"`: true, `part.tags eq "y"`: false, `part[tags eq "x" and free eq "f"]`: true, `part.tags pr`: true} {
		f, _, err := ParseFilter(rt, text, Strict)
		if err != nil || f.Match(stored) != want {
			t.Errorf("%s: got %v, want %t", text, err, want)
		}
	}
	_, _, err = ParseFilter(rt, `part.secret eq "s"`, Lenient)
	wantError(t, "filter on a secret", err, 403, "sensitive")

	for attributes, want := range map[string]string{
		"":           `{"once":"1","made":"m","free":"f","shown":"s","tags":["x"]}`,
		"part.asked": `{"asked":"a","shown":"s"}`,
		"part.free":  `{"free":"f","shown":"s"}`,
	} {
		p, err := ParseProjection(rt, []string{attributes}, nil)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := p.Render(rt, Encode(rt, stored), UnstoredParts{})
		if err != nil || !strings.Contains(string(doc), `"part":`+want) {
			t.Errorf("attributes=%s: got %s, %v; want %s", attributes, doc, err, want)
		}
	}
}

func TestFilterAnywhere(t *testing.T) {
	t.Parallel()
	group := Resource{"displayName": "g", "members": []any{map[string]any{"value": "1"}}}
	for text, want := range map[string]bool{
		`userName eq "a"`:                                    false,
		`userName ne "a"`:                                    true,
		`userName pr or displayName eq "G"`:                  true,
		`emails[type eq "work" and value co "@"]`:            false,
		`name.familyName sw "x"`:                             false,
		`members[color eq "red"]`:                            false,
		EnterpriseURN + `:department eq "x"`:                 false,
		`not (urn:example:Badge:number eq 7)`:                true,
		`meta.resourceType eq "Group" or displayName eq "g"`: true,
	} {
		for _, mode := range []Mode{Lenient, Strict} {
			f, _, err := ParseFilterAnywhere(GroupType(), text, mode)
			if err != nil || f.Match(group) != want {
				t.Errorf("%s: got %v, want %t", text, err, want)
			}
		}
	}
	for _, text := range []string{`userName`, `userName eq`, `(userName eq "a"`, `a b c`, `displayName eq 7`} {
		_, _, err := ParseFilterAnywhere(GroupType(), text, Strict)
		wantError(t, text, err, 400, "invalidFilter")
	}
	_, _, err := ParseFilterAnywhere(UserType(), `password eq "x"`, Lenient)
	wantError(t, "password", err, 403, "sensitive")
}

func TestListCursors(t *testing.T) {
	t.Parallel()
	got := string(ListResponse{TotalResults: 9, ItemsPerPage: 1, Resources: []json.RawMessage{[]byte("{}")}, NextCursor: `n"`, PreviousCursor: "p"}.Encode())
	want := `{"schemas":["` + ListResponseURN + `"],"totalResults":9,"itemsPerPage":1,"previousCursor":"p","nextCursor":"n\"","Resources":[{}]}`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
