package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/provision"
)

// An earlier version is compared with today's mappings and set again, after a question about what changes for people.
func TestMappingVersions(t *testing.T) {
	t.Parallel()
	o, key := assignedOffice(t)
	b := o.operatorNamed("kim")
	b.get(acmeRow+"title").press("Save", url.Values{"type": {"Constant"}, "constant": {"Clerk"}}).press("Save the mapping", nil).wantWords("The mapping of title was saved.")
	versions := b.get(acmeProvisioning).click("Versions and file").wantStatus(http.StatusOK).wantWords("current", "kim (operator)", "title")
	first := versions.click("Version 1").wantWords("Version 1", "jobTitle", `"Clerk"`)
	ask := first.press("Set this version again", nil).wantWords("Change values at Acme?", "title changes for 3 users; 1 of them gets no value from the mapping.", "Clerk → Analyst")
	if got := o.storedRow(key, "title"); got.Source != "Clerk" {
		t.Errorf("set before the answer: %+v", got)
	}
	ask.press("Set version 1 again", nil).wantWords("The mappings are those of version 1 again.", "The mappings of version 1 were set again.")
	if got := o.storedRow(key, "title"); got.Source != "jobTitle" {
		t.Errorf("stored %+v", got)
	}
	b.get(first.Path).wantWords("There are none: the mappings of today are those of this version.")
	b.get(acmeProvisioning + "/versions/99").wantStatus(http.StatusNotFound).wantWords("There is no such version")
}

// The file that the page exports is imported again. What changes for people and what is not known here are said before anything is replaced.
func TestMappingFile(t *testing.T) {
	t.Parallel()
	o, key := assignedOffice(t)
	b := o.operator()
	file := b.get(acmeProvisioning + "/schema")
	if got, want := file.Header.Get("Content-Disposition"), `attachment; filename="contoso-mappings.json"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	text := file.Text
	if _, err := provision.ParseSchema([]byte(text)); err != nil {
		t.Fatal(err)
	}
	before := o.job(key).Version
	b.upload(acmeProvisioning+"/schema", "schema.json", text, nil).wantWords("The mappings were like that before. Nothing was changed.")
	if got := o.job(key).Version; got != before {
		t.Errorf("the same file made version %d of %d", got, before)
	}
	changed := strings.Replace(text, `"expression": "[jobTitle]",
                "name": "jobTitle"`, `"expression": "[city]", "weight": 3,
                "name": "city"`, 1)
	if changed == text {
		t.Fatal("the file has no row of jobTitle in the expected form")
	}
	ask := b.upload(acmeProvisioning+"/schema", "schema.json", changed, nil).wantWords("Change values at Acme?", "title changes for 2 users; 2 of them get no value from the mapping.", "Not known here and left out: /synchronizationRules/0/objectMappings/1/attributeMappings/3/source/weight")
	if got := o.storedRow(key, "title"); got.Source != "jobTitle" {
		t.Errorf("imported before the answer: %+v", got)
	}
	ask.press("Import the mappings", nil).wantWords("The mappings were imported.")
	if got := o.storedRow(key, "title"); got.Source != "city" {
		t.Errorf("stored %+v", got)
	}
	page := b.upload(acmeProvisioning+"/schema", "", "", map[string]string{"document": `{"synchronizationRules": []}`}).wantStatus(http.StatusUnprocessableEntity).wantWords("This was not imported", "is it a synchronizationSchema?")
	if got := page.byID("document").text(); got != `{"synchronizationRules": []}` {
		t.Errorf("the pasted document is lost: %q", got)
	}
	b.upload(acmeProvisioning+"/schema", "", "", nil).wantStatus(http.StatusUnprocessableEntity).wantWords("Choose a file, or paste a document")
	b.upload(acmeProvisioning+"/schema", "schema.json", strings.ReplaceAll(text, "[jobTitle]", "[jobTitel]"), nil).wantStatus(http.StatusUnprocessableEntity).wantWords("jobTitel")
}
