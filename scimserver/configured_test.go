package scimserver_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

const (
	testURN = "urn:example:params:scim:schemas:TestResource"
	tagURN  = "urn:example:params:scim:schemas:extension:Tag"
)

// kindOfAttribute is one attribute of TestResource: a type with its characteristics.
type kindOfAttribute struct {
	name, kind, mutability, returned string
}

// everyKind lists every type with every mutability and every returned that can go together.
func everyKind() (all []kindOfAttribute) {
	for _, kind := range []string{"string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"} {
		for _, mutability := range []string{"readWrite", "immutable", "readOnly", "writeOnly"} {
			for _, returned := range []string{"always", "default", "request", "never"} {
				if mutability == "writeOnly" && returned != "never" {
					continue // RFC 7643 §7: a writeOnly attribute is not returned
				}
				name := kind + strings.ToUpper(mutability[:1]) + mutability[1:] + strings.ToUpper(returned[:1]) + returned[1:]
				all = append(all, kindOfAttribute{name, kind, mutability, returned})
			}
		}
	}
	return all
}

// values are two different values of each type.
func values(kind string) (one, other any) {
	switch kind {
	case "boolean":
		return true, false
	case "decimal":
		return 1.5, 2.25
	case "integer":
		return 7.0, 8.0
	case "dateTime":
		return "2020-01-02T03:04:05Z", "2021-01-02T03:04:05Z"
	case "binary":
		return "aGVsbG8=", "d29ybGQ="
	case "reference":
		return "https://example.com/one", "https://example.com/other"
	case "complex":
		return map[string]any{"part": "one"}, map[string]any{"part": "other"}
	}
	return "one", "other"
}

func testResourceSchemas(t *testing.T) string {
	t.Helper()
	attribute := func(name, kind, mutability, returned string, more map[string]any) map[string]any {
		a := map[string]any{
			"name": name, "type": kind, "multiValued": false, "description": name, "required": false,
			"mutability": mutability, "returned": returned, "uniqueness": "none",
		}
		if kind == "reference" {
			a["referenceTypes"] = []string{"external"}
		}
		if kind == "complex" {
			a["subAttributes"] = []any{map[string]any{
				"name": "part", "type": "string", "multiValued": false, "description": "part", "required": false,
				"caseExact": false, "mutability": "readWrite", "returned": "default", "uniqueness": "none",
			}}
		}
		for k, v := range more {
			a[k] = v
		}
		return a
	}
	var attributes []any
	for _, k := range everyKind() {
		attributes = append(attributes, attribute(k.name, k.kind, k.mutability, k.returned, nil))
	}
	attributes = append(attributes,
		attribute("badge", "string", "readWrite", "default", map[string]any{"uniqueness": "server", "caseExact": false}),
		attribute("stamp", "string", "readWrite", "default", map[string]any{"uniqueness": "global", "caseExact": true}),
		attribute("number", "integer", "readWrite", "default", map[string]any{"uniqueness": "server"}),
		attribute("name", "string", "readWrite", "default", map[string]any{"required": true}),
		attribute("words", "string", "readWrite", "default", map[string]any{"multiValued": true}),
	)
	doc := map[string]any{
		"schemas": []any{
			map[string]any{"id": testURN, "name": "TestResource", "description": "Everything.", "attributes": attributes},
			map[string]any{"id": tagURN, "name": "Tag", "description": "A tag.", "attributes": []any{
				attribute("label", "string", "readWrite", "default", map[string]any{"required": true}),
			}},
		},
		"resourceTypes": []any{map[string]any{
			"id": "TestResource", "name": "TestResource", "endpoint": "/TestResources", "description": "Test resource", "schema": testURN,
			"schemaExtensions": []any{map[string]any{"schema": tagURN, "required": true}},
		}},
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// testResource is a body in which every attribute has its first value, modified by change.
func testResource(t *testing.T, change func(map[string]any)) string {
	t.Helper()
	doc := map[string]any{"schemas": []string{testURN, tagURN}, "name": "n", tagURN: map[string]any{"label": "l"}}
	for _, k := range everyKind() {
		doc[k.name], _ = values(k.kind)
	}
	if change != nil {
		change(doc)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestConfiguredResourceType(t *testing.T) {
	t.Parallel()
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprintf("strict_%v", strict), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, site.Full)
			w.setSchemas(testResourceSchemas(t))
			w.set(func(s *site.Site) { s.Strict = strict })
			made := w.send("POST /TestResources\n\n" + testResource(t, nil))
			wantStatus(t, made, 201)
			id := fmt.Sprint(body(t, made)["id"])
			at := "/TestResources/" + id
			if got, want := made.Header().Get("Location"), "https://scim.test"+tenantURL+at; got != want {
				t.Errorf("got Location %q, want %q", got, want)
			}
			t.Run("shown", func(t *testing.T) { w.checkShown(t, at) })
			t.Run("mutability", func(t *testing.T) { w.checkMutability(t, at) })
			t.Run("filtered_and_sorted", func(t *testing.T) { w.checkFiltered(t, id) })
			t.Run("uniqueness", func(t *testing.T) { w.checkUniqueness(t, at) })
			t.Run("required", func(t *testing.T) { w.checkRequired(t, at) })
			t.Run("putting_back_what_was_read_changes_nothing", func(t *testing.T) {
				// RFC 7644 §3.5.1: a PUT clears what it leaves out, so read everything first.
				all := []string{"name", "badge", "stamp", "number", "words", tagURN, "meta"}
				for _, k := range everyKind() {
					all = append(all, k.name)
				}
				read := w.send("GET " + at + "?attributes=" + strings.Join(all, ","))
				wantStatus(t, read, 200)
				put := w.send("PUT " + at + "\n\n" + read.Body.String())
				wantStatus(t, put, 200)
				if diff := cmp.Diff(put.Header().Get("ETag"), read.Header().Get("ETag")); diff != "" {
					t.Error(diff)
				}
			})
			t.Run("discovered", func(t *testing.T) {
				wantStatus(t, w.send("GET /ResourceTypes/TestResource"), 200)
				schema := body(t, w.send("GET /Schemas/"+testURN))
				for _, a := range schema["attributes"].([]any) {
					checkAttribute(t, testURN, a.(map[string]any))
				}
			})
			t.Run("in_bulk_and_at_the_base", func(t *testing.T) {
				bulk := w.send(`POST /Bulk` + "\n\n" + `{"schemas":["` + scim.BulkRequestURN + `"],"Operations":[{"method":"POST","bulkId":"t","path":"/TestResources","data":` +
					testResource(t, func(doc map[string]any) { doc["name"] = "bulk" }) + `}]}`)
				wantStatus(t, bulk, 200)
				if !strings.Contains(bulk.Body.String(), `"status":"201"`) {
					t.Errorf("got %s", bulk.Body)
				}
				all := body(t, w.send(`GET /?filter=`+url.QueryEscape(`meta.resourceType eq "TestResource"`)))
				if all["totalResults"] != 2.0 {
					t.Errorf("got %v at the base, want 2", all["totalResults"])
				}
			})
			t.Run("deleted", func(t *testing.T) {
				wantStatus(t, w.send("DELETE "+at), 204)
				wantError(t, w.send("GET "+at), 404, "")
			})
		})
	}
}

// checkShown reads the resource with each attribute requested, excluded, and without a projection.
func (w *world) checkShown(t *testing.T, at string) {
	plain := w.getAt(t, at)
	for _, k := range everyKind() {
		kept := k.mutability != "readOnly" && k.returned != "never"
		asked, excluded := w.getAt(t, at+"?attributes="+k.name), w.getAt(t, at+"?excludedAttributes="+k.name)
		other := w.getAt(t, at+"?attributes=name")
		for _, c := range []struct {
			what string
			doc  map[string]any
			want bool
		}{
			{"with nothing said", plain, kept && k.returned != "request"},
			{"asked for", asked, kept},
			{"excluded", excluded, kept && k.returned == "always"},
			{"with another asked for", other, kept && k.returned == "always"},
		} {
			if got := c.doc[k.name] != nil; got != c.want {
				t.Errorf("%s %s: got shown %v, want %v", k.name, c.what, got, c.want)
			}
		}
		one, _ := values(k.kind)
		if diff := cmp.Diff(asked[k.name], one); kept && diff != "" {
			t.Errorf("%s: %s", k.name, diff)
		}
	}
}

// checkMutability changes each attribute by PATCH and PUT.
func (w *world) checkMutability(t *testing.T, at string) {
	for _, k := range everyKind() {
		_, other := values(k.kind)
		text, err := json.Marshal(other)
		if err != nil {
			t.Fatal(err)
		}
		patch := w.send(fmt.Sprintf("PATCH %s?attributes=%s\n\n"+`{"schemas":[%q],"Operations":[{"op":"replace","path":%q,"value":%s}]}`, at, k.name, scim.PatchOpURN, k.name, text))
		put := w.send("PUT " + at + "?attributes=" + k.name + "\n\n" + testResource(t, func(doc map[string]any) { doc[k.name] = other }))
		immutable := k.mutability == "immutable" && k.returned != "never" // a value that is never returned is not kept, so every value counts as the first
		switch {
		case k.mutability == "readOnly":
			wantError(t, patch, 400, "mutability")
			wantStatus(t, put, 200)
		case immutable:
			wantError(t, patch, 400, "mutability")
			wantError(t, put, 400, "mutability")
		default:
			wantStatus(t, patch, 200)
			wantStatus(t, put, 200)
			if diff := cmp.Diff(body(t, put)[k.name], other); k.returned != "never" && diff != "" {
				t.Errorf("%s: %s", k.name, diff)
			}
		}
		wantStatus(t, w.send("PUT "+at+"\n\n"+testResource(t, nil)), 200)
	}
}

// checkFiltered filters each attribute by its value and sorts by it.
func (w *world) checkFiltered(t *testing.T, id string) {
	for _, k := range everyKind() {
		one, other := values(k.kind)
		path := k.name
		if k.kind == "complex" {
			path += ".part"
			one, other = "one", "other"
		}
		find := func(value any) (status int, found bool) {
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			got := w.send("GET /TestResources?filter=" + url.QueryEscape(path+" eq "+string(text)))
			if got.Code != 200 {
				return got.Code, false
			}
			list := body(t, got)
			return 200, list["totalResults"] == 1.0
		}
		if k.returned == "never" {
			if status, _ := find(one); status != 403 {
				t.Errorf("%s: got %d to a filter on what is never shown, want 403", k.name, status)
			}
			continue
		}
		status, found := find(one)
		if kept := k.mutability != "readOnly"; status != 200 || found != kept {
			t.Errorf("%s: got %d and found %v", k.name, status, found)
		}
		if _, found := find(other); found {
			t.Errorf("%s: found by a value that it has not", k.name)
		}
		sorted := w.send("GET /TestResources?sortBy=" + path)
		wantStatus(t, sorted, 200)
		if !strings.Contains(sorted.Body.String(), id) {
			t.Errorf("%s: sorting loses the resource", k.name)
		}
	}
}

func (w *world) checkUniqueness(t *testing.T, at string) {
	for name, c := range map[string]struct{ first, same, differs any }{
		"badge":  {"B1", "b1", "b2"}, // in any case
		"stamp":  {"S1", "S1", "s1"}, // exactly
		"number": {41.0, 41.0, 42.0},
	} {
		with := func(value any) string {
			return testResource(t, func(doc map[string]any) { doc[name] = value })
		}
		first := w.send("POST /TestResources\n\n" + with(c.first))
		wantStatus(t, first, 201)
		wantError(t, w.send("POST /TestResources\n\n"+with(c.same)), 409, "uniqueness")
		wantError(t, w.send("PUT "+at+"\n\n"+with(c.same)), 409, "uniqueness")
		differs := w.send("POST /TestResources\n\n" + with(c.differs))
		wantStatus(t, differs, 201)
		for _, made := range []map[string]any{body(t, first), body(t, differs)} {
			wantStatus(t, w.send(fmt.Sprintf("DELETE /TestResources/%s", made["id"])), 204)
		}
	}
}

func (w *world) checkRequired(t *testing.T, at string) {
	for what, change := range map[string]func(map[string]any){
		"an attribute": func(doc map[string]any) { delete(doc, "name") },
		"an extension": func(doc map[string]any) {
			delete(doc, tagURN)
			doc["schemas"] = []string{testURN}
		},
		"an attribute of the extension": func(doc map[string]any) { doc[tagURN] = map[string]any{"label": ""} },
	} {
		for _, request := range []string{"POST /TestResources", "PUT " + at} {
			if got := w.send(request + "\n\n" + testResource(t, change)); got.Code != 400 {
				t.Errorf("%s without %s: got %d", request, what, got.Code)
			}
		}
	}
	remove := `{"schemas":["` + scim.PatchOpURN + `"],"Operations":[{"op":"remove","path":"name"}]}`
	if got := w.send("PATCH " + at + "\n\n" + remove); got.Code != 400 {
		t.Errorf("PATCH that removes what is required: got %d", got.Code)
	}
}

// TestTypesOfOneSiteAreUnknownToAnother asks a site without its own schemas for the types of
// another site.
func TestTypesOfOneSiteAreUnknownToAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, site.Full)
	w.setSchemas(deviceSchemas)
	_, token, _ := w.newSite("globex", site.Full)
	wantStatus(t, w.send("POST /Devices\n\n"+`{"schemas":["urn:example:Device"],"serial":"s1"}`), 201)
	auth := "\nAuthorization: Bearer " + token
	wantError(t, w.send("GET =/c/globex/auth/scim/v2/Devices"+auth), 404, "")
	wantError(t, w.send("GET =/c/globex/auth/scim/v2/ResourceTypes/Device"+auth), 404, "")
	if text := w.send("GET =/c/globex/auth/scim/v2/Schemas" + auth).Body.String(); strings.Contains(text, "urn:example") {
		t.Error("another site's schema is listed")
	}
	// Requests may write the type in any case, while locations keep the right one.
	doc := body(t, w.send(`GET /devices?filter=serial+eq+%22s1%22`))
	resources, _ := doc["Resources"].([]any)
	if !slices.ContainsFunc(resources, func(r any) bool {
		meta, _ := r.(map[string]any)["meta"].(map[string]any)
		return strings.Contains(fmt.Sprint(meta["location"]), "/Devices/")
	}) {
		t.Errorf("got %v", doc)
	}
}
