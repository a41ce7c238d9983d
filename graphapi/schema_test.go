package graphapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
)

// TestSchemaWithACustomTargetAttribute follows Microsoft's example: read the schema, add an attribute
// to the target and a mapping to it, and save the whole document.
func TestSchemaWithACustomTargetAttribute(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.setUp(version)
			schema := w.s() + "/jobs/" + w.jobID() + "/schema"
			got := w.send("GET", version, schema, "").want(http.StatusOK)
			if !strings.HasSuffix(got.get("@odata.context").(string), "/schema/$entity") {
				t.Errorf("got the context %v", got.get("@odata.context"))
			}
			document := got.JSON
			delete(document, "@odata.context")
			target := slices.IndexFunc(document["directories"].([]any), func(d any) bool { return at(d, "name") == "customappsso" })
			name := "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User:officeCode"
			for _, object := range at(document, "directories", target, "objects").([]any) {
				o := object.(map[string]any)
				if strings.HasSuffix(o["name"].(string), ":User") {
					o["attributes"] = append(o["attributes"].([]any), map[string]any{"name": name, "type": "String"})
				}
			}
			for _, mapping := range at(document, "synchronizationRules", 0, "objectMappings").([]any) {
				m := mapping.(map[string]any)
				if m["sourceObjectName"] == "User" {
					m["attributeMappings"] = append(m["attributeMappings"].([]any), map[string]any{
						"targetAttributeName": name, "source": map[string]any{"name": "extensionAttribute10", "type": "Attribute"},
					})
				}
			}
			document["somethingNew"] = "x"
			text, err := json.Marshal(document)
			w.must(err)
			method := map[string]string{"v1.0": "PUT", "beta": "PATCH"}[version]
			put := w.send(method, version, schema, string(text)).want(http.StatusNoContent)
			if put.Header.Get("Rollcall-Ignored") != "/somethingNew" {
				t.Errorf("got the ignored parts %q", put.Header.Get("Rollcall-Ignored"))
			}
			after := w.send("GET", version, schema, "").want(http.StatusOK)
			if !strings.Contains(after.Text, `"targetAttributeName":"`+name+`","source":{"expression":"[extensionAttribute10]"`) {
				t.Error("the schema has no such mapping, with its expression")
			}
			if after.get("version") == document["version"] || after.get("id") != document["id"] {
				t.Errorf("got version %v and id %v, before %v and %v", after.get("version"), after.get("id"), document["version"], document["id"])
			}
			if changed := w.events(event.ProvisioningSchemaChanged); len(changed) != 1 || changed[0].By.Kind != event.APIKey {
				t.Errorf("got %+v", changed)
			}
			if w.cycle(); w.cycle().Kind != provision.IncrementalCycle {
				t.Error("the second cycle is not incremental")
			}

			broken := strings.Replace(string(text), `"source":{"name":"extensionAttribute10"`, `"source":{"name":"noSuchAttribute"`, 1)
			w.send("PUT", version, schema, broken).wantError(http.StatusBadRequest, "Request_BadRequest", "noSuchAttribute")
			w.send("PUT", version, schema, `{"synchronizationRules": 1}`).wantError(http.StatusBadRequest, "Request_BadRequest")
			w.send("PUT", version, schema, `{`).wantError(http.StatusBadRequest, "Request_BadRequest")
			w.send("PUT", version, schema, ``).wantError(http.StatusBadRequest, "BadRequest", "Empty Payload")
			if again := w.send("GET", version, schema, ""); again.Text != after.Text {
				t.Error("a refused schema changed the job")
			}

			w.send("DELETE", version, schema, "").want(http.StatusNoContent)
			if reset := w.send("GET", version, schema, ""); strings.Contains(reset.Text, "officeCode") {
				t.Error("the template's mappings were not set again")
			}
		})
	}
}

func TestDirectoriesOfASchema(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.setUp(version)
			at := w.s() + "/jobs/" + w.jobID() + "/schema/directories"
			all := w.send("GET", version, at, "").want(http.StatusOK)
			id, _ := all.get("value", 0, "id").(string)
			one := w.send("GET", version, at+"/"+id, "").want(http.StatusOK)
			if id == "" || one.get("name") != all.get("value", 0, "name") || one.get("objects", 0, "attributes") == nil {
				t.Errorf("got %s", one.Text)
			}
			found := w.send("POST", version, at+"/"+id+"/discover", "").want(http.StatusOK)
			if diff := cmp.Diff(found.JSON, one.JSON); diff != "" {
				t.Error(diff)
			}
			w.send("GET", version, at+"/nothing", "").wantError(http.StatusNotFound, "Request_ResourceNotFound", "nothing")
		})
	}
}

func TestFunctionsAndOperators(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.setUp(version)
			for _, schema := range []string{w.s() + "/jobs/" + w.jobID() + "/schema", w.s() + "/templates/scim/schema"} {
				for _, brackets := range []string{"", "()"} { // as documented, and as client libraries send it
					functions := w.send("GET", version, schema+"/functions"+brackets, "").want(http.StatusOK)
					var append any
					for _, f := range functions.get("value").([]any) {
						if at(f, "name") == "Append" {
							append = f
						}
					}
					want := map[string]any{"name": "Append", "parameters": []any{
						map[string]any{"name": "source", "required": true, "allowMultipleOccurrences": false, "type": "String"},
						map[string]any{"name": "suffix", "required": true, "allowMultipleOccurrences": false, "type": "String"},
					}}
					if diff := cmp.Diff(append, any(want)); diff != "" {
						t.Error(diff)
					}
					operators := w.send("GET", version, schema+"/filterOperators"+brackets, "").want(http.StatusOK)
					first := map[string]any{"id": "EQUALS", "name": "EQUALS", "arity": "Binary", "multivaluedComparisonType": "All", "supportedAttributeTypes": []any{"String", "Integer", "Boolean"}}
					if diff := cmp.Diff(operators.get("value", 0), any(first)); diff != "" {
						t.Error(diff)
					}
				}
			}
			template := w.send("GET", version, w.s()+"/templates/scim", "").want(http.StatusOK)
			own := w.send("GET", version, w.s()+"/templates/scim/schema", "").want(http.StatusOK)
			if template.get("schema", "synchronizationRules", 0, "id") != own.get("synchronizationRules", 0, "id") || template.get("id") != "scim" {
				t.Errorf("got %s", template.Text)
			}
			w.send("GET", version, w.s()+"/templates/none", "").wantError(http.StatusNotFound, "Request_ResourceNotFound", "none")
		})
	}
}

func TestParseExpression(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setUp("v1.0")
	parse := func(version, body string) answer {
		t.Helper()
		return w.send("POST", version, w.s()+"/jobs/"+w.jobID()+"/schema/parseExpression", body).want(http.StatusOK)
	}
	for _, version := range versions {
		t.Run(version+"/as_documented", func(t *testing.T) {
			got := parse(version, `{
				"expression": "Replace([preferredLanguage], \"-\", , , \"_\", ,  )",
				"targetAttributeDefinition": null,
				"testInputObject": {"definition": null, "properties": [
					{"key": "objectId", "value": "66E4A8CC-1B7B-435E-95F8-F06CEA133828"}, {"key": "IsSoftDeleted", "value": "false"},
					{"key": "accountEnabled", "value": "true"}, {"key": "preferredLanguage", "value": "EN-US"},
					{"key": "proxyAddresses", "value@odata.type": "#Collection(String)", "value": ["a@x.example", "b@x.example"]}]}}`)
			want := map[string]any{"error": nil, "parsingSucceeded": true, "evaluationSucceeded": true, "evaluationResult": []any{"EN_US"}}
			for name, value := range want {
				if diff := cmp.Diff(got.get(name), value); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
			}
			var keys []string
			for _, p := range got.get("parsedExpression", "parameters").([]any) {
				keys = append(keys, fmt.Sprint(at(p, "key"), " ", at(p, "value", "type"), " ", at(p, "value", "name")))
			}
			if diff := cmp.Diff(keys, []string{"source Attribute preferredLanguage", "Find Constant -", "Replacement Constant _"}); diff != "" {
				t.Error(diff)
			}
			if got := got.get("parsedExpression", "expression"); got != `Replace([preferredLanguage], "-", , , "_", , )` {
				t.Errorf("got the expression %v", got)
			}
		})
		t.Run(version+"/several_values", func(t *testing.T) {
			got := parse(version, `{"expression": "[proxyAddresses]", "testInputObject": {"properties": [{"key": "proxyAddresses", "value": ["a", "b"]}]}}`)
			if diff := cmp.Diff(got.get("evaluationResult"), []any{"a", "b"}); diff != "" {
				t.Error(diff)
			}
		})
		t.Run(version+"/without_a_test_object", func(t *testing.T) {
			got := parse(version, `{"expression": "ToUpper([mail], )"}`)
			if got.get("parsingSucceeded") != true || got.get("evaluationSucceeded") != false || cmp.Diff(got.get("evaluationResult"), []any{}) != "" {
				t.Errorf("got %s", got.Text)
			}
		})
		t.Run(version+"/what_is_wrong", func(t *testing.T) {
			got := parse(version, `{"expression": "Join(\"x\""}`)
			if got.get("parsingSucceeded") != false || got.get("error", "code") != "ParsingFailed" || got.get("error", "message") == "" || got.get("parsedExpression") != nil {
				t.Errorf("got %s", got.Text)
			}
			got = parse(version, `{"expression": "FormatDateTime([x], , \"yyyy\", \"MM\")", "testInputObject": {"properties": [{"key": "x", "value": "no year"}]}}`)
			if got.get("parsingSucceeded") != true || got.get("evaluationSucceeded") != false || got.get("error", "code") != "EvaluationFailed" {
				t.Errorf("got %s", got.Text)
			}
			got = parse(version, `{"expression": "[proxyAddresses] & 1", "targetAttributeDefinition": {"name": "active", "type": "Boolean"}}`)
			if got.get("error") == nil && got.get("parsingSucceeded") != true {
				t.Errorf("got %s", got.Text)
			}
		})
	}
	w.send("POST", "v1.0", w.s()+"/templates/scim/schema/parseExpression", `{"expression": "[mail]"}`).want(http.StatusOK)
	w.send("POST", "v1.0", w.s()+"/templates/scim/schema/parseExpression", `{}`).wantError(http.StatusBadRequest, "RequestMissingRequiredParameter", "expression")
	w.send("POST", "v1.0", w.s()+"/templates/scim/schema/parseExpression", `{"expression": "[x]", "testInputObject": {"properties": [{"key": "x", "value": {"a": [[1]]}}]}}`).wantError(http.StatusBadRequest, "Request_BadRequest", "x")
}
