package scimserver_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// The vectors come from RFC 7643, RFC 7644 and the published payloads of Entra and Okta; each names
// its source. These tests run them over HTTP against sites with the profile full. Vectors that a strict
// site must refuse or read differently run in strict mode, vectors that only a provider sends run in
// lenient mode, and all others run in both.

type filterVector struct {
	Filter  string
	Path    string
	Valid   bool
	Lenient bool // several readings are defensible: every answer except a 5xx is right
	Error   errorTypes
	Match   []struct {
		Resource json.RawMessage
		Result   bool
	}
}

type patchVector struct {
	Name      string
	Mode      string
	Profile   string
	Resource  map[string]any
	Patch     json.RawMessage
	Expect    map[string]any
	Error     errorTypes
	Unchanged bool
}

// errorTypes is one scimType or a list of correct ones.
type errorTypes []string

func (e *errorTypes) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*e = errorTypes{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(e))
}

func readVectors[T any](t *testing.T, file string) (v T) {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return v
}

// bothModes runs a test on a lenient and on a strict site.
func bothModes(t *testing.T, run func(t *testing.T, w *world, strict bool)) {
	t.Helper()
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprintf("strict_%v", strict), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, site.Full)
			w.set(func(s *site.Site) { s.Strict = strict })
			run(t, w, strict)
		})
	}
}

func TestFilterVectors(t *testing.T) {
	t.Parallel()
	bothModes(t, func(t *testing.T, w *world, strict bool) {
		babs := readVectors[map[string]any](t, "babs.json")
		babsID := w.postAt(t, babs)
		for _, v := range readVectors[[]filterVector](t, "scim-filters.json") {
			if v.Filter == "" {
				continue
			}
			t.Run(v.Filter, func(t *testing.T) {
				filter := strings.ReplaceAll(v.Filter, fmt.Sprint(babs["id"]), babsID)
				for _, m := range v.Match {
					id := babsID
					if string(m.Resource) != `"$babs"` {
						var doc map[string]any
						if err := json.Unmarshal(m.Resource, &doc); err != nil {
							t.Fatal(err)
						}
						doc["schemas"], doc["userName"] = []string{scim.UserURN}, w.newID("vector")()
						id = w.post(t, doc)
					}
					if got := slices.Contains(w.find(t, filter), id); got != m.Result && !v.Lenient {
						t.Errorf("got match %v, want %v", got, m.Result)
					}
				}
				got := w.send("GET /Users?count=500&filter=" + url.QueryEscape(filter))
				switch {
				case got.Code >= 500:
					t.Errorf("got %d", got.Code)
				case v.Lenient:
				case !v.Valid:
					wantErrorOf(t, got.Code, body(t, got), v.Error)
				case got.Code != 200 && !namesUnknownAttribute(v.Filter):
					t.Errorf("got %d: %s", got.Code, got.Body)
				}
			})
		}
	})
}

// postAt creates a resource at the times in its meta.
func (w *world) postAt(t *testing.T, doc map[string]any) string {
	t.Helper()
	now := w.clock()
	at := func(name string) {
		meta, _ := doc["meta"].(map[string]any)
		when, err := time.Parse(time.RFC3339, fmt.Sprint(meta[name]))
		if err != nil {
			t.Fatal(err)
		}
		w.setClock(when.Add(-time.Minute)) // each request takes a minute
	}
	at("created")
	first := maps.Clone(doc)
	first["title"] = "something else"
	id := w.post(t, first)
	at("lastModified")
	wantStatus(t, w.send(fmt.Sprintf("PATCH /Users/%s\n\n"+`{"schemas":[%q],"Operations":[{"op":"replace","path":"title","value":%q}]}`, id, scim.PatchOpURN, doc["title"])), 200)
	w.setClock(now)
	return id
}

// namesUnknownAttribute reports whether a filter is grammatical but names an attribute that no
// schema here has.
func namesUnknownAttribute(filter string) bool {
	return strings.Contains(filter, "level") || strings.Contains(filter, "my-attr_2")
}

func TestPathVectors(t *testing.T) {
	t.Parallel()
	bothModes(t, func(t *testing.T, w *world, strict bool) {
		user := w.post(t, map[string]any{
			"schemas": []string{scim.UserURN}, "userName": "p@example.com",
			"emails": []any{map[string]any{"value": "p@example.com", "type": "work"}},
		})
		group := w.bringGroups(`{"displayName":"Tour Guides","members":[{"value":"` + user + `"}]}`)[0].ID
		for _, v := range readVectors[[]filterVector](t, "scim-filters.json") {
			if v.Path == "" {
				continue
			}
			t.Run(v.Path, func(t *testing.T) {
				path, err := json.Marshal(v.Path)
				if err != nil {
					t.Fatal(err)
				}
				at := "/Users/" + user
				if strings.HasPrefix(v.Path, "members") {
					at = "/Groups/" + group
				}
				got := w.send(fmt.Sprintf("PATCH %s\n\n"+`{"schemas":[%q],"Operations":[{"op":"remove","path":%s}]}`, at, scim.PatchOpURN, path))
				if got.Code == 204 {
					return
				}
				doc := body(t, got)
				noAttribute := strings.Contains(v.Path, "displayName") // this vector is about grammar only: members have no displayName
				switch {
				case got.Code >= 500:
					t.Errorf("got %d", got.Code)
				case v.Lenient:
				case !v.Valid:
					wantErrorOf(t, got.Code, doc, v.Error)
				case got.Code != 200 && doc["scimType"] != "noTarget" && doc["scimType"] != "mutability" && !noAttribute:
					t.Errorf("got %d: %v", got.Code, doc)
				}
			})
		}
	})
}

func TestPatchVectors(t *testing.T) {
	t.Parallel()
	bothModes(t, func(t *testing.T, w *world, strict bool) {
		for _, v := range readVectors[[]patchVector](t, "scim-patch.json") {
			if (strict && v.Profile == "entra") || (!strict && v.Mode == "strict") {
				continue
			}
			if strings.Contains(fmt.Sprint(v.Resource["schemas"]), scim.GroupURN) {
				t.Run(v.Name, func(t *testing.T) { w.playGroupPatch(t, v) })
			} else {
				t.Run(v.Name, func(t *testing.T) { w.playPatch(t, v) })
			}
		}
	})
}

// playGroupPatch maps each id of a vector to an existing user or group.
func (w *world) playGroupPatch(t *testing.T, v patchVector) {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	ids := regexp.MustCompile(`"value":"([^"]*)"|value eq \\"([^"]*)\\"`)
	for _, match := range ids.FindAllStringSubmatch(string(text), -1) {
		id := match[1] + match[2]
		if id == "" || strings.Contains(id, " ") || strings.Contains(id, "updatedDisplayName") || strings.HasPrefix(id, "u-") {
			continue
		}
		user := w.bring(`{"userName":"` + w.newID("vector")() + `"}`)[0].ID
		text = []byte(strings.NewReplacer(`"`+id+`"`, `"`+user+`"`, `\"`+id+`\"`, `\"`+user+`\"`).Replace(string(text)))
	}
	wrong := v.Error
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	v.Error = wrong
	sent, err := json.Marshal(v.Resource)
	if err != nil {
		t.Fatal(err)
	}
	made := w.send("POST /Groups\n\n" + string(sent))
	wantStatus(t, made, 201)
	id := fmt.Sprint(body(t, made)["id"])
	patch := strings.ReplaceAll(string(v.Patch), fmt.Sprint(v.Resource["id"]), id)
	w.check(t, v, "/Groups/"+id, patch)
	wantStatus(t, w.send("DELETE /Groups/"+id), 204)
}

func (w *world) playPatch(t *testing.T, v patchVector) {
	// Each vector has a person of its own.
	own := w.newID("vector")() + "@example.com"
	rename(v.Resource, own)
	rename(v.Expect, own)
	patch := strings.ReplaceAll(string(v.Patch), "bjensen@example.com\"", own+"\"")
	if strings.Contains(patch, own) && v.Expect != nil {
		v.Expect = substituted(t, v.Expect, own)
	}
	id := w.post(t, v.Resource)
	w.check(t, v, "/Users/"+id, patch)
}

// check sends the patch and compares what is there afterwards.
func (w *world) check(t *testing.T, v patchVector, at, patch string) {
	t.Helper()
	before := w.getAt(t, at)
	got := w.send("PATCH " + at + "\n\n" + patch)
	after := w.getAt(t, at)
	if v.Error != nil {
		wantErrorOf(t, got.Code, body(t, got), v.Error)
		if diff := cmp.Diff(after, before); diff != "" {
			t.Errorf("a refused PATCH changed the resource: %s", diff)
		}
		return
	}
	if strings.HasPrefix(at, "/Groups") {
		wantStatus(t, got, 204)
	} else {
		wantStatus(t, got, 200)
	}
	want, _ := comparable("", v.Expect).(map[string]any)
	have, _ := comparable("", after).(map[string]any)
	forgive(want, have)
	if diff := cmp.Diff(have, want); diff != "" {
		t.Error(diff)
	}
	if v.Unchanged && fmt.Sprint(before["meta"]) != fmt.Sprint(after["meta"]) {
		t.Errorf("got meta %v after a change of nothing, want %v", after["meta"], before["meta"])
	}
}

func rename(doc map[string]any, userName string) {
	if _, named := doc["userName"]; named && doc["userName"] == "bjensen@example.com" {
		doc["userName"] = userName
	}
}

func substituted(t *testing.T, doc map[string]any, own string) (out map[string]any) {
	t.Helper()
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(text), "\"bjensen@example.com\"", "\""+own+"\"")), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *world) post(t *testing.T, doc map[string]any) string {
	t.Helper()
	sent := map[string]any{}
	for name, value := range doc {
		if name != "id" && name != "meta" {
			sent[name] = value
		}
	}
	text, err := json.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	got := w.send("POST /Users\n\n" + string(text))
	wantStatus(t, got, 201)
	id, _ := body(t, got)["id"].(string)
	return id
}

func (w *world) get(t *testing.T, id string) map[string]any {
	t.Helper()
	return w.getAt(t, "/Users/"+id)
}

func (w *world) getAt(t *testing.T, path string) map[string]any {
	t.Helper()
	got := w.send("GET " + path)
	wantStatus(t, got, 200)
	return body(t, got)
}

func (w *world) find(t *testing.T, filter string) (ids []string) {
	t.Helper()
	got := w.send("GET /Users?count=500&attributes=id&filter=" + url.QueryEscape(filter))
	if got.Code != 200 {
		return nil
	}
	resources, _ := body(t, got)["Resources"].([]any)
	for _, r := range resources {
		ids = append(ids, fmt.Sprint(r.(map[string]any)["id"]))
	}
	return ids
}

func wantErrorOf(t *testing.T, code int, doc map[string]any, want errorTypes) {
	t.Helper()
	scimType, _ := doc["scimType"].(string)
	if code != 400 || !slices.Contains(want, scimType) {
		t.Errorf("got %d %q, want 400 %v: %v", code, scimType, want, doc["detail"])
	}
}

// comparable normalizes a resource: names in lower case, arrays as sets, nothing unassigned, no
// false primary, and nothing that the server adds itself.
func comparable(at string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			name = strings.ToLower(name)
			ofServer := at == "" && (name == "id" || name == "meta" || name == "groups")
			ofManager := at == "manager" && (name == "$ref" || name == "displayname")
			ofMember := at == "members" && (name == "$ref" || name == "display" || name == "type")
			if ofServer || ofManager || ofMember || (name == "primary" && value == false) {
				continue
			}
			if c := comparable(name, value); c != nil {
				out[name] = c
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		var out []any
		for _, e := range v {
			if c := comparable(at, e); c != nil {
				out = append(out, c)
			}
		}
		slices.SortFunc(out, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		if len(out) == 0 {
			return nil
		}
		return out
	default:
		return v
	}
}

// forgive removes what a server may add or keep: a default of active, and the enterprise URN
// without its data.
func forgive(want, got map[string]any) {
	if _, asked := want["active"]; !asked {
		delete(got, "active")
	}
	enterprise := strings.ToLower(scim.EnterpriseURN)
	for _, doc := range []map[string]any{want, got} {
		if list, ok := doc["schemas"].([]any); ok && doc[enterprise] == nil {
			doc["schemas"] = slices.DeleteFunc(slices.Clone(list), func(urn any) bool { return urn == scim.EnterpriseURN })
		}
	}
}
