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

func TestAVersionSaysWhatChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	scope := func(groups ...provision.FilterGroup) func(provision.Job) (provision.Job, error) {
		return func(job provision.Job) (provision.Job, error) { return job.WithScope(userRows, groups) }
	}
	paris, oslo := filter("city", "EQUALS", "Paris")[0], filter("city", "EQUALS", "Oslo")[0]
	oslo.Name = "oslo"
	long := `Join("", ` + strings.Repeat(`[givenName], `, 200)
	for _, tt := range []struct {
		change func(provision.Job) (provision.Job, error)
		want   string
	}{
		{setting("nickName", func(r *provision.RowEdit) { r.Type, r.Source = provision.DirectMapping, "city" }), "nickName added: [city]."},
		{setting("nickName", func(r *provision.RowEdit) { r.Default, r.Apply = "none", provision.FlowObjectAddOnly }), `nickName: [city] → [city], default value "none", only during object creation.`},
		{setting("nickName", func(r *provision.RowEdit) { r.Type, r.Source, r.Default = provision.NoMapping, "", "x" }), `→ None, default value "x", only during object creation.`},
		{setting("nickName", func(r *provision.RowEdit) { r.Type, r.Source = provision.ExpressionMapping, long+`"a")` }), `→ Join("", [givenName], [givenName]`},
		{func(job provision.Job) (provision.Job, error) {
			return job.RemoveRow(userRows, "nickName", source.UserAttributes{})
		}, "nickName removed."},
		{scope(paris), `Source Object Scope: filter "city" added: city EQUALS Paris.`},
		{scope(paris, oslo), `Source Object Scope: filter "oslo" added: city EQUALS Oslo.`},
		{scope(oslo), `Source Object Scope: filter "city" removed.`},
		{func(job provision.Job) (provision.Job, error) { return job.WithActions(userRows, provision.FlowUpdate) }, "Target Object Actions: Add,Update,Delete → Update."},
	} {
		w.save(tt.change)
		newest, err := w.jobs.Versions(t.Context(), w.key, 0, 1)
		if err != nil || !strings.Contains(newest[0].Words, "Mapping changed: ") || !strings.Contains(newest[0].Words, tt.want) || len(newest[0].Words) > 600 {
			t.Errorf("got %+v, %v, want %q", newest, err, tt.want)
		}
	}
	back, err := w.jobs.GoBack(t.Context(), w.key, 1, func(provision.Job, provision.Job) (int, error) { return 0, nil }, "cli")
	if err != nil {
		t.Fatal(err)
	}
	newest, err := w.jobs.Versions(t.Context(), w.key, 0, 1)
	if err != nil || newest[0].Number != back.Version || !strings.Contains(newest[0].Words, "The mappings of version 1 were set again. Changed: ") || !strings.Contains(newest[0].Words, "Target Object Actions: Update → Add,Update,Delete") {
		t.Errorf("after going back: %+v, %v", newest, err)
	}
}

// A comparison shows rows in full length. The audit trail cuts off long values.
func TestCompareShowsLongExpressionsWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.report().Job
	long := `Join("", ` + strings.Repeat(`[givenName], `, 200)
	edit := func(end string) provision.Job {
		job, err := setting("displayName", func(r *provision.RowEdit) { r.Type, r.Source = provision.ExpressionMapping, long+end+")" })(before)
		if err != nil {
			t.Fatal(err)
		}
		return job
	}
	parts := provision.Compare(edit("[city]").Schema, edit("[mail]").Schema)
	if len(parts) != 1 || provision.PartWords(parts[0].Before) != long+"[city])" || provision.PartWords(parts[0].After) != long+"[mail])" {
		t.Errorf("got %+v", parts)
	}
}

func TestAnImportCannotSwitchTheUserMappingOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	off := w.report().Job.Schema.Clone()
	m, err := off.UserMapping()
	if err != nil {
		t.Fatal(err)
	}
	m.Enabled = false
	if _, err := w.jobs.SetSchema(t.Context(), w.key, off, "cli"); err == nil || !strings.Contains(err.Error(), "the user mapping cannot be switched off; set Provisioning Status to Off instead") {
		t.Errorf("got %v", err)
	}
	if err := w.jobs.CheckSchema(off); err == nil { // the check of a plan with a file
		t.Error("CheckSchema lets it pass")
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
