package scim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
	"pgregory.net/rapid"
)

// Generators of client input. The values fit their attribute, in the canonical form or in one that
// Lenient accepts.

func genText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"work", "home", "a@x.example", "Ada", "ÉCOLE", `q"uo\te`, "a and b", "x]", "u-1", "u-2"}),
		rapid.StringN(1, 12, -1).Filter(func(s string) bool {
			return !strings.Contains(s, "\x00") && !strings.HasPrefix(strings.TrimSpace(s), "{")
		}),
	)
}

func genSimple(a *Attribute) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		switch a.Type {
		case Boolean:
			return rapid.SampledFrom([]any{true, false, "True", "false"}).Draw(t, "boolean")
		case DateTime:
			return rapid.SampledFrom([]string{"2026-01-31T08:00:00Z", "2026-01-31T08:00:00.5+01:00"}).Draw(t, "time")
		case Binary:
			return rapid.SampledFrom([]string{"aGk=", "_-8"}).Draw(t, "base64")
		}
		text := genText()
		if a.Required {
			text = text.Filter(func(s string) bool { return !isBlankString(s) })
		}
		return text.Draw(t, "text")
	})
}

func genValue(a *Attribute) *rapid.Generator[any] {
	one := genSimple(a)
	if a.Type == Complex {
		one = rapid.Custom(func(t *rapid.T) any {
			m := map[string]any{}
			for _, sub := range a.SubAttributes {
				if sub.Name != "primary" && rapid.Bool().Draw(t, "has "+sub.Name) {
					m[sub.Name] = genSimple(sub).Draw(t, sub.Name)
				}
			}
			if value := a.Sub("value"); value != nil && grantsRights(a, AttrPath{Name: a.Name}) {
				m["value"] = genSimple(value).Filter(func(v any) bool { return v != "" }).Draw(t, "value") // without it is refused
			}
			return m
		})
	}
	if !a.MultiValued {
		return one
	}
	return rapid.Custom(func(t *rapid.T) any {
		list := rapid.SliceOfN(one, 0, 4).Draw(t, a.Name)
		if len(list) > 0 && rapid.Bool().Draw(t, "primary") {
			if m, ok := list[0].(map[string]any); ok && a.Sub("primary") != nil {
				m["primary"] = true
			}
		}
		return list
	})
}

func genBody(rt *ResourceType) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		body := map[string]any{"schemas": []any{rt.Schema.ID}}
		for _, a := range rt.Schema.Attributes {
			if a.Required || rapid.IntRange(0, 3).Draw(t, "has "+a.Name) == 0 {
				body[a.Name] = genValue(a).Draw(t, a.Name)
			}
		}
		for _, e := range rt.Extensions {
			ext := map[string]any{}
			for _, a := range e.Schema.Attributes {
				if rapid.Bool().Draw(t, "has "+a.Name) {
					ext[a.Name] = genValue(a).Draw(t, a.Name)
				}
			}
			body[e.Schema.ID] = ext
		}
		return body
	})
}

func genResource(t *rapid.T, rt *ResourceType) Resource {
	body, err := json.Marshal(genBody(rt).Draw(t, "body"))
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := DecodeNew(rt, body, Lenient)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	r["id"] = "id-1"
	r["meta"] = map[string]any{"resourceType": rt.Name, "version": "1"}
	return r
}

func genType(t *rapid.T) *ResourceType {
	return rapid.SampledFrom([]*ResourceType{UserType(), GroupType()}).Draw(t, "type")
}

func TestPropertyEncodedResourceParsesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rt := genType(t)
		r := genResource(t, rt)
		doc := Encode(rt, r)
		if !json.Valid(doc) {
			t.Fatalf("not JSON: %s", doc)
		}
		back, err := Parse(doc)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(back, r); diff != "" {
			t.Fatalf("(-got +want):\n%s", diff)
		}
		if again := Encode(rt, back); !bytes.Equal(again, doc) {
			t.Fatalf("got %s, want %s", again, doc)
		}
		add := UnstoredParts{Location: genText().Draw(t, "location"), Version: genText().Draw(t, "version"), Groups: []byte(`[{"value":"g"}]`)}
		spliced := Splice(doc, add)
		if !json.Valid(spliced) {
			t.Fatalf("not JSON: %s", spliced)
		}
		served, err := Parse(spliced)
		if err != nil {
			t.Fatal(err)
		}
		meta, _ := served["meta"].(map[string]any)
		if stored, _ := r["meta"].(map[string]any); stored["version"] != nil && add.Version != "" && meta["version"] != add.Version {
			t.Fatalf("got version %q, want %q in %s", meta["version"], add.Version, spliced)
		}
	})
}

func TestPropertyPutOfOwnOutputChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rt := genType(t)
		stored := genResource(t, rt)
		doc := Encode(rt, stored)
		sent, fixes, err := Decode(rt, Splice(doc, UnstoredParts{Location: "https://h/1"}), Strict)
		if err != nil || len(fixes) > 0 {
			t.Fatalf("%s: %v, fixes %v", doc, err, fixes)
		}
		merged, err := MergePut(rt, stored, sent)
		if err != nil {
			t.Fatal(err)
		}
		if again := Encode(rt, merged); !bytes.Equal(again, doc) || !Equal(merged, stored) {
			t.Fatalf("got %s, want %s", again, doc)
		}
	})
}

// genOperation makes an operation on a path of the type, with a suitable value.
func genOperation(t *rapid.T, rt *ResourceType) map[string]any {
	schema, prefix := rt.Schema, ""
	if len(rt.Extensions) > 0 && rapid.IntRange(0, 3).Draw(t, "in extension") == 0 {
		schema = rt.Extensions[0].Schema
		prefix = schema.ID + ":"
	}
	a := rapid.SampledFrom(schema.Attributes).Draw(t, "attribute")
	op := map[string]any{"op": rapid.SampledFrom([]string{"add", "Replace", "remove"}).Draw(t, "op")}
	path, target := prefix+a.Name, a
	if a.Type == Complex && rapid.Bool().Draw(t, "below") {
		target = rapid.SampledFrom(a.SubAttributes).Draw(t, "sub")
		if a.MultiValued {
			by := rapid.SampledFrom(a.SubAttributes).Draw(t, "by")
			value, err := json.Marshal(genSimple(by).Draw(t, "value"))
			if err != nil {
				t.Fatal(err)
			}
			path += fmt.Sprintf(`[%s eq %s]`, by.Name, value)
		}
		path += "." + target.Name
	}
	value := rapid.OneOf(genValue(target), rapid.Just[any](nil)).Draw(t, "value")
	if rapid.IntRange(0, 4).Draw(t, "without path") == 0 && op["op"] != "remove" {
		op["value"] = map[string]any{path: value}
		return op
	}
	op["path"] = path
	if op["op"] != "remove" || rapid.Bool().Draw(t, "with value") {
		op["value"] = value
	}
	return op
}

func TestPropertyPatch(t *testing.T) {
	t.Parallel()
	applied := 0
	rapid.Check(t, func(t *rapid.T) {
		rt := genType(t)
		before := genResource(t, rt)
		untouched := before.Clone()
		// Only one operation, because with several an earlier one may undo a later one.
		body, err := json.Marshal(map[string]any{"Operations": []any{genOperation(t, rt)}})
		if err != nil {
			t.Fatal(err)
		}
		p, _, err := DecodePatch(rt, body, Lenient)
		if err != nil {
			return
		}
		result, err := p.Apply(rt, before)
		if diff := cmp.Diff(before, untouched); diff != "" {
			t.Fatalf("%s changed the resource itself (-got +want):\n%s", body, diff)
		}
		if err != nil {
			return
		}
		applied++
		if result.Changed == Equal(before, result.Resource) {
			t.Fatalf("%s: got Changed %v", body, result.Changed)
		}
		if back, err := Parse(Encode(rt, result.Resource)); err != nil || !Equal(back, result.Resource) {
			t.Fatalf("%s: stored and read (-got +want):\n%s", body, cmp.Diff(back, result.Resource))
		}
		if err := Validate(rt, result.Resource); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		again, err := p.Apply(rt, result.Resource)
		if err != nil || again.Changed {
			t.Fatalf("%s replayed: error %v, (-got +want):\n%s", body, err, cmp.Diff(again.Resource, result.Resource))
		}
	})
	if applied == 0 {
		t.Error("no patch was applied")
	}
}

func genFilter(rt *ResourceType, depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		choice := rapid.IntRange(0, 7).Draw(t, "kind")
		if depth == 0 {
			choice = min(choice, 3)
		}
		switch choice {
		case 4:
			return genFilter(rt, depth-1).Draw(t, "left") + " and " + genFilter(rt, depth-1).Draw(t, "right")
		case 5:
			return genFilter(rt, depth-1).Draw(t, "left") + " OR " + genFilter(rt, depth-1).Draw(t, "right")
		case 6:
			return "not (" + genFilter(rt, depth-1).Draw(t, "negated") + ")"
		case 7:
			return "( " + genFilter(rt, depth-1).Draw(t, "grouped") + " )"
		}
		a := rapid.SampledFrom(rt.Schema.Attributes).Filter(func(a *Attribute) bool { return a.Returned != ReturnedNever }).Draw(t, "attribute")
		name, open, end := a.Name, "", ""
		if a.Type == Complex {
			if a.MultiValued && choice == 1 {
				open, end, name = a.Name+"[", "]", ""
			} else {
				name += "."
			}
			a = rapid.SampledFrom(a.SubAttributes).Draw(t, "sub")
			name += a.Name
		}
		op := rapid.SampledFrom([]string{"eq", "ne", "pr", "co", "sw", "ew", "gt", "ge", "lt", "le"}).Draw(t, "op")
		if a.Type == Boolean || a.Type == Binary {
			op = rapid.SampledFrom([]string{"eq", "NE"}).Draw(t, "op")
		}
		if op == "pr" {
			return open + name + " pr" + end
		}
		value, err := json.Marshal(genSimple(a).Draw(t, "value"))
		if err != nil {
			t.Fatal(err)
		}
		return open + name + " " + op + " " + string(value) + end
	})
}

func TestPropertyFilterPrintsAndReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rt := genType(t)
		text := genFilter(rt, 3).Draw(t, "filter")
		f, _, err := ParseFilter(rt, text, Lenient)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		again, fixes, err := ParseFilter(rt, f.String(), Strict)
		if err != nil || len(fixes) > 0 {
			t.Fatalf("%s printed as %s: %v, fixes %v", text, f, err, fixes)
		}
		if diff := cmp.Diff(again.Root, f.Root, treeOptions); diff != "" {
			t.Fatalf("%s (-got +want):\n%s", text, diff)
		}
		r := genResource(t, rt)
		if got, want := again.Match(r), f.Match(r); got != want {
			t.Fatalf("%s: got match %v, want %v", text, got, want)
		}
		negated, _, err := ParseFilter(rt, "not ("+f.String()+")", Strict)
		if err != nil {
			t.Fatal(err)
		}
		if negated.Match(r) == f.Match(r) {
			t.Fatalf("%s: it and its negation agree", text)
		}
	})
}

func TestPropertyPathSetThenGet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rt := UserType()
		var with *ResourceType
		if rapid.Bool().Draw(t, "schema") {
			with = rt
		}
		text := rapid.SampledFrom([]string{
			"userName", "name.givenName", "displayName", `emails[type eq "work"].value`, `phoneNumbers[type eq "mobile"].value`,
			`addresses[type eq "home"].locality`, EnterpriseURN + ":department", EnterpriseURN + ":manager.value",
		}).Draw(t, "path")
		p, err := ParsePath(with, text, Strict)
		if err != nil {
			t.Fatal(err)
		}
		r := genResource(t, rt)
		value := genText().Draw(t, "value")
		if err := p.Set(r, value); err != nil {
			t.Fatal(err)
		}
		got := p.Get(r)
		if len(got) == 0 || got[0] != value {
			t.Fatalf("%s: set %q, got %v", text, value, got)
		}
		p.Clear(r)
		if got := p.Get(r); len(got) != 0 {
			t.Fatalf("%s: cleared, got %v", text, got)
		}
	})
}

func TestPropertyFoldIsTheMeaningOfEqualWithoutCase(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.String().Draw(t, "a")
		b := rapid.OneOf(rapid.String(), rapid.Just(strings.ToUpper(a)), rapid.Just(strings.ToLower(a)), rapid.Just(norm.NFD.String(a))).Draw(t, "b")
		same := strings.EqualFold(a, b) || strings.EqualFold(norm.NFC.String(width.Fold.String(a)), norm.NFC.String(width.Fold.String(b)))
		if same && Fold(a) != Fold(b) {
			t.Fatalf("%q and %q differ in case, composition and width only, and fold to %q and %q", a, b, Fold(a), Fold(b))
		}
		if Fold(a) == Fold(b) && !strings.EqualFold(norm.NFKC.String(a), norm.NFKC.String(b)) && !strings.EqualFold(norm.NFKD.String(a), norm.NFKD.String(b)) {
			t.Fatalf("%q and %q differ, and both fold to %q", a, b, Fold(a))
		}
		if Fold(Fold(a)) != Fold(a) {
			t.Fatalf("%q folds further the second time", a)
		}
	})
}
