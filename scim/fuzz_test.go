package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"testing"
)

// checkClientError fails unless err is a 4xx *Error, for errors that a client can cause.
func checkClientError(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Status < 400 || e.Status > 499 || e.Detail == "" {
		t.Fatalf("got %v, want a client error with a detail", err)
	}
	if b, err := json.Marshal(e); err != nil || !json.Valid(b) {
		t.Fatalf("the error body is not JSON: %s, %v", b, err)
	}
}

func seedVectors(f *testing.F, add func(filterVector)) {
	var vectors []filterVector
	if err := json.Unmarshal(readTestdata(f, "scim-filters.json"), &vectors); err != nil {
		f.Fatal(err)
	}
	for _, v := range vectors {
		add(v)
	}
}

func FuzzParseFilter(f *testing.F) {
	seedVectors(f, func(v filterVector) {
		if v.Filter != nil {
			f.Add(*v.Filter, true, false)
			f.Add(*v.Filter, false, true)
		}
	})
	babs := mustParse(f, readTestdata(f, "babs.json"))
	f.Fuzz(func(t *testing.T, text string, schema, strict bool) {
		rt, mode := (*ResourceType)(nil), Lenient
		if schema {
			rt = UserType()
		}
		if strict {
			mode = Strict
		}
		filter, _, err := ParseFilter(rt, text, mode)
		if err != nil {
			checkClientError(t, err)
			return
		}
		matched := filter.Match(babs)
		printed := filter.String()
		again, fixes, err := ParseFilter(rt, printed, Strict)
		if err != nil {
			// The printed filter may exceed a limit that the original just met.
			if len(printed) > MaxFilterBytes || checkBounds("("+printed+")") != nil {
				return
			}
			t.Fatalf("%q printed as %q: %v", text, printed, err)
		}
		if len(fixes) > 0 || again.String() != printed || again.Match(babs) != matched {
			t.Fatalf("%q printed as %q, then %q; fixes %v", text, printed, again, fixes)
		}
		if negated, _, err := ParseFilter(rt, "not ("+printed+")", Strict); err == nil && negated.Match(babs) == matched {
			t.Fatalf("%q and its negation agree", text)
		}
		// Lenient mode, and a query over all types, read the same from every filter that strict
		// mode accepts.
		if strict {
			for name, parse := range map[string]func(*ResourceType, string, Mode) (*Filter, []Fix, error){"lenient": ParseFilter, "anywhere": ParseFilterAnywhere} {
				other, fixes, err := parse(rt, text, Lenient)
				if err != nil || len(fixes) > 0 || other.String() != printed {
					t.Fatalf("%q is read %s as %v: %v, fixes %v", text, name, other, err, fixes)
				}
			}
		}
	})
}

func FuzzParsePath(f *testing.F) {
	seedVectors(f, func(v filterVector) {
		if v.Path != nil {
			f.Add(*v.Path, true, false)
			f.Add(*v.Path, false, true)
		}
	})
	f.Add(EnterpriseURN+":manager.value", true, true)
	babs := mustParse(f, readTestdata(f, "babs.json"))
	f.Fuzz(func(t *testing.T, text string, schema, strict bool) {
		rt, mode := (*ResourceType)(nil), Lenient
		if schema {
			rt = UserType()
		}
		if strict {
			mode = Strict
		}
		p, err := ParsePath(rt, text, mode)
		if err != nil {
			checkClientError(t, err)
			return
		}
		printed := p.String()
		again, err := ParsePath(rt, printed, Strict)
		if err != nil && len(printed) <= MaxFilterBytes && checkBounds("("+printed+")") == nil {
			t.Fatalf("%q printed as %q: %v", text, printed, err)
		}
		if err == nil && again.String() != printed {
			t.Fatalf("%q printed as %q, then %q", text, printed, again)
		}
		r := babs.Clone()
		_ = p.Get(r)
		if err := p.Set(r, "x"); err == nil && len(p.Get(r)) == 0 && p.Filter == nil {
			t.Fatalf("%q: set, and nothing is there", text)
		}
		p.Clear(r)
		if got := p.Get(r); len(got) > 0 {
			t.Fatalf("%q: cleared, and %v is there", text, got)
		}
	})
}

// checkDetached compares the result of a patch with the result in a store that keeps members as
// rows.
func checkDetached(t *testing.T, rt *ResourceType, p *Patch, before Resource, whole PatchResult, wholeErr error) {
	t.Helper()
	rest, edits, ok := p.DetachAttribute("members")
	if !ok || rt.Schema.Attribute("members") == nil {
		return
	}
	bare := before.Clone()
	delete(bare, "members")
	result, err := rest.Apply(rt, bare)
	if wholeErr != nil {
		return // an edit of members never fails
	}
	if err != nil {
		t.Fatalf("without the members: %v", err)
	}
	a := rt.Schema.Attribute("members")
	have := map[string]bool{}
	set := func(list []any, to bool) {
		for _, e := range list {
			if key := identityKey(a, e); key != "" {
				have[key] = to
			}
		}
	}
	list, _ := before["members"].([]any)
	set(list, true)
	for _, e := range edits {
		if e.Op == "replace" {
			clear(have)
		}
		set(e.Values, e.Op != "remove")
	}
	want, _ := whole.Resource["members"].([]any)
	for _, e := range want {
		if key := identityKey(a, e); key != "" && !have[key] {
			t.Fatalf("%v is a member after the patch and is not among the rows", e)
		}
		delete(have, identityKey(a, e))
	}
	for key, there := range have {
		if there {
			t.Fatalf("%q is among the rows and is no member after the patch", key)
		}
	}
	wanted := whole.Resource.Clone()
	delete(wanted, "members")
	if !Equal(wanted, result.Resource) {
		t.Fatalf("beside the members: got %v, want %v", result.Resource, wanted)
	}
}

// thing is a configured type with attributes and sub-attributes of every kind.
func thing(t testing.TB) *ResourceType {
	t.Helper()
	subs := `"subAttributes":[{"name":"value"},{"name":"once","mutability":"immutable"},{"name":"made","mutability":"readOnly"},{"name":"secret","mutability":"writeOnly","required":true},
		{"name":"asked","returned":"request"},{"name":"tags","multiValued":true},{"name":"sizes","type":"decimal","multiValued":true},{"name":"primary","type":"boolean"}]`
	rt, _ := mustRegistry(t, `{"schemas":[{"id":"urn:example:Thing","attributes":[{"name":"part","type":"complex",`+subs+`},{"name":"parts","type":"complex","multiValued":true,`+subs+`},
		{"name":"once","mutability":"immutable"},{"name":"flags","type":"boolean","multiValued":true},{"name":"times","type":"dateTime","multiValued":true},{"name":"key","type":"binary"}]},
		{"id":"urn:example:More","attributes":[{"name":"count","type":"integer"},{"name":"first","mutability":"immutable","type":"complex","subAttributes":[{"name":"a"}]}]}],
		"resourceTypes":[{"name":"Thing","endpoint":"/Things","schema":"urn:example:Thing","schemaExtensions":[{"schema":"urn:example:More"}]}]}`).ByName("Thing")
	return rt
}

const thingBody = `{"schemas":["urn:example:Thing","urn:example:More"],"part":{"value":"v","once":"1","secret":"s","tags":["x"],"sizes":[1.5,2]},
	"parts":[{"value":"p","tags":["x"],"primary":true}],"once":"o","flags":[true],"times":["2026-01-31T08:00:00Z"],"key":"b25l","urn:example:More":{"count":2,"first":{"a":"b"}}}`

func FuzzDecode(f *testing.F) {
	configured := thing(f)
	f.Add([]byte(thingBody), true)
	for _, name := range []string{"rfc7643-8.1-minimal-user.json", "rfc7643-8.2-full-user.json", "rfc7643-8.3-enterprise-user.json", "rfc7643-8.4-group.json", "babs.json"} {
		f.Add(readTestdata(f, name), false)
	}
	f.Add([]byte(ada), true)
	f.Add([]byte(managed), false)
	f.Add([]byte(`{"userName":"a","roles":[{"value":"{\"id\":\"r1\",\"value\":\"Admin\",\"displayName\":\"Admin\"}"}],"manager":["u"]}`), false)
	f.Fuzz(func(t *testing.T, body []byte, strict bool) {
		mode := Lenient
		if strict {
			mode = Strict
		}
		for _, rt := range []*ResourceType{UserType(), GroupType(), configured} {
			checkDecoded(t, rt, body, mode)
		}
	})
}

// checkDecoded reads a body. A client must be able to send back what was stored.
func checkDecoded(t *testing.T, rt *ResourceType, body []byte, mode Mode) {
	t.Helper()
	r, fixes, err := Decode(rt, body, mode)
	if err != nil {
		checkClientError(t, err)
		return
	}
	if !json.Valid(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))) {
		t.Fatalf("%q is not JSON and was read", body)
	}
	if mode == Strict {
		if lenient, _, err := Decode(rt, body, Lenient); err != nil || !Equal(lenient, r) {
			t.Fatalf("%q is %v in strict mode and %v in lenient mode: %v", body, r, lenient, err)
		}
	}
	if len(fixes) > maxFixes {
		t.Fatalf("%q leaves %d notes", body, len(fixes))
	}
	doc := Encode(rt, r)
	stored, err := Parse(doc)
	if err != nil || !Equal(stored, r) {
		t.Fatalf("%q became %s: %v", body, doc, err)
	}
	again, fixes, err := Decode(rt, doc, Strict)
	if err != nil || len(fixes) > 0 || !bytes.Equal(Encode(rt, again), doc) {
		t.Fatalf("%q: own output %s read again: %v, fixes %v", body, doc, err, fixes)
	}
	if err := Validate(rt, r); err != nil {
		checkClientError(t, err)
	}
}

// FuzzParseAttributes compares reading a part of a document with reading the whole document.
func FuzzParseAttributes(f *testing.F) {
	for _, name := range []string{"rfc7643-8.2-full-user.json", "rfc7643-8.3-enterprise-user.json", "rfc7643-8.4-group.json"} {
		f.Add(readTestdata(f, name), "emails", EnterpriseURN)
	}
	for _, doc := range []string{
		thingBody, `{"a":"}\"]","b":[{"c":"\\"},[]],"d":-1.5e3,"e":null}`, `{"a":{},"A":2,"b":1}`, `[{"a":1}]`, `{ "a" : true , "b" : [ ] }`, `"a"`,
		`{"a":[1,"\u007D"`, `{"a"`, `{"a":"b`, `{"b":"\`,
	} {
		f.Add([]byte(doc), "b", "A")
	}
	f.Fuzz(func(t *testing.T, doc []byte, first, second string) {
		part, partErr := ParseAttributes(doc, []string{first, second})
		whole, err := Parse(doc)
		if err != nil {
			return // skipped members are not checked
		}
		maps.DeleteFunc(whole, func(name string, _ any) bool { return !equalName(name, first) && !equalName(name, second) })
		if partErr != nil || !reflect.DeepEqual(part, whole) {
			t.Fatalf("%q, %q of %q: got %v, %v; want %v", first, second, doc, part, partErr, whole)
		}
	})
}

func FuzzPatch(f *testing.F) {
	configured := thing(f)
	for _, op := range []string{
		`{"op":"add","path":"part.tags","value":["y"]}`, `{"op":"replace","path":"parts[tags eq \"x\"].asked","value":"a"}`,
		`{"op":"remove","path":"urn:example:More"}`, `{"op":"add","value":{"urn:example:More:count":"3","once":"o","part":{"secret":"s"}}}`,
	} {
		f.Add([]byte(thingBody), patchCase{ops: op}.body(), false)
	}
	var vectors []patchVector
	if err := json.Unmarshal(readTestdata(f, "scim-patch.json"), &vectors); err != nil {
		f.Fatal(err)
	}
	for _, v := range vectors {
		f.Add([]byte(v.Resource), []byte(v.Patch), v.Mode == "strict")
	}
	f.Add([]byte(managed), patchCase{ops: `{"op":"add","value":{"manager":"u-9","emails[type eq \"work\"].value":"a"}}`}.body(), false)
	f.Fuzz(func(t *testing.T, resource, body []byte, strict bool) {
		mode := Lenient
		if strict {
			mode = Strict
		}
		for _, rt := range []*ResourceType{UserType(), GroupType(), configured} {
			before, _, err := Decode(rt, resource, Lenient)
			if err != nil {
				continue
			}
			doc := Encode(rt, before)
			p, _, err := DecodePatch(rt, body, mode)
			if err != nil {
				checkClientError(t, err)
				continue
			}
			result, err := p.Apply(rt, before)
			if !bytes.Equal(Encode(rt, before), doc) {
				t.Fatalf("%q changed the resource itself", body)
			}
			checkDetached(t, rt, p, before, result, err)
			if err != nil {
				checkClientError(t, err)
				continue
			}
			if result.Changed == Equal(before, result.Resource) {
				t.Fatalf("%q on %s: got Changed %v", body, doc, result.Changed)
			}
			// With several changes, a second run may differ: an earlier one may undo a later one.
			if len(p.Operations) == 1 {
				again, err := p.Apply(rt, result.Resource)
				if err != nil || again.Changed {
					t.Fatalf("%q on %s, sent again: changed %v, %v", body, doc, again.Changed, err)
				}
			}
			if err := Validate(rt, before); err == nil {
				if err := Validate(rt, result.Resource); err != nil {
					checkClientError(t, err)
				}
			}
			// A client must be able to send back what is stored.
			after := Encode(rt, result.Resource)
			if _, fixes, err := Decode(rt, after, Strict); err != nil || len(fixes) > 0 {
				t.Fatalf("%q on %s gave %s: %v, fixes %v", body, doc, after, err, fixes)
			}
		}
	})
}
