package provision_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store"
)

func allowed(_, _ provision.Job) (int, error) { return 0, nil }

func TestVersionsOfAMapping(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		first := w.report().Job
		set := func(value string) provision.Job {
			t.Helper()
			job, err := w.jobs.EditSchema(t.Context(), w.key, func(now provision.Job) (provision.Job, error) {
				return now.SetRow(userRows, "title", provision.RowEdit{Type: provision.ConstantMapping, Source: value, Target: "title", Apply: provision.FlowAlways}, source.UserAttributes{})
			}, "kim@contoso.com")
			if err != nil {
				t.Fatal(err)
			}
			return job
		}
		set("One")
		two := set("Two")
		if _, err := w.jobs.Pause(t.Context(), w.key, "sam@contoso.com"); err != nil {
			t.Fatal(err)
		}
		list, err := w.jobs.Versions(t.Context(), w.key, 0, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != 2 || list[0].Number != two.Version || list[0].Actor != "kim@contoso.com" || !strings.Contains(list[0].Words, "title") || list[0].Schema != nil {
			t.Fatalf("the newest versions are %+v", list)
		}
		rest, err := w.jobs.Versions(t.Context(), w.key, list[1].Number, 10)
		if err != nil || len(rest) == 0 || rest[len(rest)-1].Actor != "cli" {
			t.Fatalf("the older versions are %+v, %v", rest, err)
		}
		refused := errors.New("refused")
		if _, err := w.jobs.GoBack(t.Context(), w.key, rest[0].Number, func(_, _ provision.Job) (int, error) { return 0, refused }, "kim@contoso.com"); !errors.Is(err, refused) {
			t.Errorf("got %v, want the refusal", err)
		}
		back, err := w.jobs.GoBack(t.Context(), w.key, rest[0].Number, allowed, "kim@contoso.com")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(rowFor(t, first, "title"), rowFor(t, back, "title")); d != "" {
			t.Errorf("after going back (-want +got):\n%s", d)
		}
		again, err := w.jobs.GoBack(t.Context(), w.key, rest[0].Number, allowed, "kim@contoso.com")
		if err != nil || again.Version != back.Version {
			t.Errorf("going back twice made version %d, want %d, %v", again.Version, back.Version, err)
		}
		newest, err := w.jobs.Versions(t.Context(), w.key, 0, 1)
		if err != nil || newest[0].Number != back.Version {
			t.Errorf("the newest version is %+v, %v; going back must be a version of its own", newest, err)
		}
		old, err := w.jobs.Version(t.Context(), w.key, two.Version)
		if err != nil {
			t.Fatal(err)
		}
		if changes := provision.Compare(old.Schema, back.Schema); len(changes) != 1 || !strings.HasSuffix(changes[0].Name, ": title") {
			t.Errorf("the difference is %+v", changes)
		}
		if _, err := w.jobs.Version(t.Context(), w.key, 999); !errors.Is(err, provision.ErrNoVersion) {
			t.Errorf("got %v, want ErrNoVersion", err)
		}
	})
}

func TestOldVersionsAreRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	flows := []provision.FlowTypes{provision.FlowUpdate, provision.FlowUpdate | provision.FlowAdd}
	for i := range provision.KeptVersions + 5 {
		w.setActions(flows[i%2])
	}
	list, err := w.jobs.Versions(t.Context(), w.key, 0, 1000)
	if err != nil || len(list) != provision.KeptVersions {
		t.Errorf("%d versions are kept, want %d, %v", len(list), provision.KeptVersions, err)
	}
}

// Both of Graph's example schemas are imported, exported and imported again without a difference.
func TestExampleSchemasComeThrough(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"testdata/gallery-app-schema.json", "templates/customappsso.json"} {
		document, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		schema, err := provision.ParseSchema(document)
		if err != nil {
			t.Fatal(err)
		}
		lost, err := provision.NotTakenOver(document, schema)
		if err != nil || len(lost) > 0 {
			t.Errorf("%s: not taken over: %v, %v", file, lost, err)
		}
		once, err := schema.JSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := provision.ParseSchema(once)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := again.JSON()
		if err != nil || !slices.Equal(once, twice) {
			t.Errorf("%s: the second export differs, %v", file, err)
		}
	}
}

func TestNotTakenOverNamesEveryPath(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("templates/customappsso.json")
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(document, &tree); err != nil {
		t.Fatal(err)
	}
	rule := tree["synchronizationRules"].([]any)[0].(map[string]any)
	rule["a/new~member"] = map[string]any{"x": 1}
	mapping := rule["objectMappings"].([]any)[0].(map[string]any)
	mapping["flowTypes"] = "update, ADD,Delete"
	mapping["ENABLED"], mapping["nothing"] = mapping["enabled"], nil
	delete(mapping, "enabled")
	row := mapping["attributeMappings"].([]any)[0].(map[string]any)
	row["weight"] = 3
	tree["@odata.context"] = "https://graph.microsoft.com/"
	changed, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := provision.ParseSchema(changed)
	if err != nil {
		t.Fatal(err)
	}
	lost, err := provision.NotTakenOver(changed, schema)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/synchronizationRules/0/a~1new~0member", "/synchronizationRules/0/objectMappings/0/attributeMappings/0/weight"}
	if d := cmp.Diff(want, lost); d != "" {
		t.Errorf("not taken over (-want +got):\n%s", d)
	}
}
