package scimserver_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// TestSchemasAreWhatEntraReads checks what Entra's schema discovery is strict about: camel case,
// every characteristic, no null, and canonical types for the attributes that it maps by type.
func TestSchemasAreWhatEntraReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Documented)
	got := w.send("GET /Schemas")
	wantStatus(t, got, 200)
	if strings.Contains(got.Body.String(), "null") {
		t.Error("the schemas hold a null")
	}
	list := body(t, got)
	var ids []string
	for _, s := range list["Resources"].([]any) {
		schema := s.(map[string]any)
		id, _ := schema["id"].(string)
		ids = append(ids, id)
		for _, a := range schema["attributes"].([]any) {
			checkAttribute(t, id, a.(map[string]any))
		}
		one := body(t, w.send("GET /Schemas/"+id))
		if diff := cmp.Diff(one, schema); diff != "" {
			t.Errorf("%s alone differs from the list's: %s", id, diff)
		}
		where := "https://scim.test" + tenantURL + "/Schemas/" + id
		if meta, _ := schema["meta"].(map[string]any); meta["location"] != where || meta["resourceType"] != "Schema" {
			t.Errorf("%s: got meta %v", id, meta)
		}
	}
	if diff := cmp.Diff(ids, []string{scim.UserURN, scim.EnterpriseURN, scim.ConfigURN, scim.ResourceTypeURN, scim.SchemaURN}); diff != "" {
		t.Error(diff)
	}
}

func checkAttribute(t *testing.T, at string, a map[string]any) {
	t.Helper()
	name, _ := a["name"].(string)
	at += ":" + name
	for _, characteristic := range []string{"name", "type", "multiValued", "description", "required", "mutability", "returned"} {
		if _, there := a[characteristic]; !there {
			t.Errorf("%s has no %s", at, characteristic)
		}
	}
	if kind := a["type"]; kind == "string" || kind == "reference" {
		for _, characteristic := range []string{"caseExact", "uniqueness"} {
			if _, there := a[characteristic]; !there {
				t.Errorf("%s has no %s", at, characteristic)
			}
		}
	}
	subs, _ := a["subAttributes"].([]any)
	if a["type"] == "complex" && len(subs) == 0 {
		t.Errorf("%s is complex and has no subAttributes", at)
	}
	for _, s := range subs {
		sub := s.(map[string]any)
		checkAttribute(t, at, sub)
		typed := slices.Contains([]string{"emails", "phoneNumbers", "addresses"}, name) && sub["name"] == "type"
		if values, _ := sub["canonicalValues"].([]any); typed && !slices.Contains(values, any("work")) {
			t.Errorf("%s: got canonical types %v, want work among them", at, values)
		}
	}
}

// TestDiscoveryTellsTheTruth tries each feature that ServiceProviderConfig and ResourceTypes
// announce or deny.
func TestDiscoveryTellsTheTruth(t *testing.T) {
	t.Parallel()
	for _, p := range []site.Profile{site.Documented, site.Full} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, p)
			w.bring(`{"userName":"b"}`, `{"userName":"a"}`)
			config := body(t, w.send("GET /ServiceProviderConfig"))
			says := func(feature string) bool {
				return config[feature].(map[string]any)["supported"].(bool)
			}
			patch := w.send("PATCH /Users/u-1\n\n" + `{"schemas":["` + scim.PatchOpURN + `"],"Operations":[{"op":"replace","path":"title","value":"x"}]}`)
			if got := patch.Code == 200; got != says("patch") {
				t.Errorf("patch: %d", patch.Code)
			}
			if got := patch.Header().Get("ETag") != ""; got != says("etag") {
				t.Errorf("etag: %q", patch.Header().Get("ETag"))
			}
			if got := w.send("POST /Bulk\n\n{}").Code != 501; got != says("bulk") {
				t.Error("bulk is not as announced")
			}
			if got := len(w.find(t, `userName eq "a"`)) == 1; got != says("filter") {
				t.Error("filter is not as announced")
			}
			first := body(t, w.send("GET /Users?sortBy=userName"))["Resources"].([]any)[0].(map[string]any)["userName"]
			if got := first == "a"; got != says("sort") {
				t.Errorf("sort: the first is %v", first)
			}
			description := body(t, w.send("GET /ResourceTypes/User"))["description"].(string)
			create := w.send("POST /Users\n\n" + `{"schemas":["` + scim.UserURN + `"],"userName":"c"}`)
			if got := create.Code == 501; got != strings.Contains(description, "501") {
				t.Errorf("create: %d, described as %q", create.Code, description)
			}
			types := body(t, w.send("GET /ResourceTypes"))
			for _, rt := range types["Resources"].([]any) {
				endpoint := rt.(map[string]any)["endpoint"].(string)
				wantStatus(t, w.send("GET "+endpoint), 200)
				wantStatus(t, w.send("GET /Schemas/"+rt.(map[string]any)["schema"].(string)), 200)
			}
			if got := w.send("POST /Groups\n\n{}").Code != 501; got != (types["totalResults"] == 2.0) {
				t.Error("groups are not as announced")
			}
		})
	}
}
