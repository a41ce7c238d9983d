package scim

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustParse(t testing.TB, doc []byte) Resource {
	t.Helper()
	r, err := Parse(doc)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// scimTypes is one keyword or a list of keywords, any of which is right.
type scimTypes []string

func (s *scimTypes) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*s = scimTypes{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(s))
}

type filterVector struct {
	Filter  *string
	Path    *string
	Valid   bool
	Error   scimTypes
	Lenient bool
	Stage   string
	Match   []struct {
		Resource json.RawMessage
		Result   bool
	}
	Source string
}

func modeName(m Mode) string {
	if m == Strict {
		return "strict"
	}
	return "lenient"
}

func TestFilterVectors(t *testing.T) {
	t.Parallel()
	var vectors []filterVector
	if err := json.Unmarshal(readTestdata(t, "scim-filters.json"), &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) != 134 {
		t.Fatalf("got %d vectors, want 134", len(vectors))
	}
	for _, v := range vectors {
		for _, mode := range []Mode{Lenient, Strict} {
			if v.Path != nil {
				t.Run("path/"+modeName(mode)+"/"+*v.Path, func(t *testing.T) {
					t.Parallel()
					_, err := ParsePath(nil, *v.Path, mode)
					checkVector(t, v, err)
				})
				continue
			}
			t.Run("filter/"+modeName(mode)+"/"+*v.Filter, func(t *testing.T) {
				t.Parallel()
				checkFilterVector(t, v, mode)
			})
		}
	}
}

func checkFilterVector(t *testing.T, v filterVector, mode Mode) {
	// Without a resource type, only the grammar is checked; "semantic" errors and matches need the
	// schema.
	_, _, err := ParseFilter(nil, *v.Filter, mode)
	if v.Stage == "semantic" {
		_, _, err = ParseFilter(UserType(), *v.Filter, mode)
	}
	checkVector(t, v, err)
	for _, m := range v.Match {
		f, _, err := ParseFilter(UserType(), *v.Filter, mode)
		if err != nil {
			t.Fatalf("with the User schema: %v", err)
		}
		doc := []byte(m.Resource)
		if string(doc) == `"$babs"` {
			doc = readTestdata(t, "babs.json")
		}
		if got := f.Match(mustParse(t, doc)); got != m.Result && !v.Lenient {
			t.Errorf("got match %v, want %v (%s)", got, m.Result, v.Source)
		}
	}
}

func checkVector(t *testing.T, v filterVector, err error) {
	t.Helper()
	if v.Valid {
		if err != nil {
			t.Errorf("got %v, want it read (%s)", err, v.Source)
		}
		return
	}
	if err == nil {
		if !v.Lenient {
			t.Errorf("got it read, want %v (%s)", v.Error, v.Source)
		}
		return
	}
	checkError(t, err, 400, v.Error)
}

func checkError(t *testing.T, err error, status int, types []string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a *scim.Error", err)
	}
	if e.Status != status || !slices.Contains(types, e.ScimType) {
		t.Errorf("got %d %s (%s), want %d %v", e.Status, e.ScimType, e.Detail, status, types)
	}
}

type patchVector struct {
	Name      string
	Mode      string
	Profile   string
	Resource  json.RawMessage
	Patch     json.RawMessage
	Expect    json.RawMessage
	Error     scimTypes
	Status    int
	Unchanged bool
	Source    string
}

func (v patchVector) modes() []Mode {
	switch {
	case v.Mode == "strict":
		return []Mode{Strict}
	case v.Profile == "entra":
		return []Mode{Lenient}
	}
	return []Mode{Lenient, Strict}
}

func TestPatchVectors(t *testing.T) {
	t.Parallel()
	var vectors []patchVector
	if err := json.Unmarshal(readTestdata(t, "scim-patch.json"), &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) != 56 {
		t.Fatalf("got %d vectors, want 56", len(vectors))
	}
	for _, v := range vectors {
		for _, mode := range v.modes() {
			t.Run(v.Name+"/"+modeName(mode), func(t *testing.T) {
				t.Parallel()
				checkPatchVector(t, v, mode)
			})
		}
	}
}

func typeOf(r Resource) *ResourceType {
	if list, _ := r["schemas"].([]any); len(list) > 0 && list[0] == GroupURN {
		return GroupType()
	}
	return UserType()
}

func patched(rt *ResourceType, r Resource, body []byte, mode Mode) (PatchResult, error) {
	p, _, err := DecodePatch(rt, body, mode)
	if err != nil {
		return PatchResult{}, err
	}
	return p.Apply(rt, r)
}

func checkPatchVector(t *testing.T, v patchVector, mode Mode) {
	before := mustParse(t, v.Resource)
	untouched := before.Clone()
	result, err := patched(typeOf(before), before, v.Patch, mode)
	if diff := cmp.Diff(before, untouched); diff != "" {
		t.Errorf("the resource itself was changed (-got +want):\n%s", diff)
	}
	if v.Error != nil {
		if err == nil {
			t.Fatalf("got success, want %v (%s)", v.Error, v.Source)
		}
		checkError(t, err, v.Status, v.Error)
		return
	}
	if err != nil {
		t.Fatalf("got %v, want success (%s)", err, v.Source)
	}
	got, want := comparable(result.Resource), comparable(mustParse(t, v.Expect))
	if !Equal(got, want) {
		t.Errorf("(-got +want):\n%s\n%s", cmp.Diff(got, want), v.Source)
	}
	if v.Unchanged && result.Changed {
		t.Error("got a change, want none")
	}
}

// comparable removes what the vectors leave open: what a server may add to references, and primary
// when it is false.
func comparable(r Resource) Resource {
	r = r.Clone()
	for _, v := range r {
		list, _ := v.([]any)
		for _, e := range list {
			m, ok := e.(map[string]any)
			if ok && m["primary"] == false {
				delete(m, "primary")
			}
		}
	}
	members, _ := r["members"].([]any)
	for _, e := range members {
		m := e.(map[string]any)
		for _, k := range []string{"$ref", "display", "type"} {
			delete(m, k)
		}
	}
	return r
}
