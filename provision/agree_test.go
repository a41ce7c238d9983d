package provision_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/provision"
)

func TestAnImportWhoseTextAndTreeDifferIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.report().Job
	document, err := before.Schema.JSON()
	if err != nil {
		t.Fatal(err)
	}
	const was, is = `"expression": "[jobTitle]",`, `"expression": "[department]",`
	if strings.Count(string(document), was) != 1 {
		t.Fatalf("the document has %d sources %s", strings.Count(string(document), was), was)
	}
	schema, err := provision.ParseSchema([]byte(strings.Replace(string(document), was, is, 1)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.jobs.ImportSchema(t.Context(), w.key, schema, allowed, "cli")
	var input *provision.InputError
	if !errors.As(err, &input) {
		t.Fatalf("got %v, want an InputError", err)
	}
	for _, part := range []string{"/synchronizationRules/0/objectMappings/", "/source says [department] in expression, and [jobTitle] in name", "(title)"} {
		if !strings.Contains(input.Text, part) {
			t.Errorf("the refusal is %q, want %q in it", input.Text, part)
		}
	}
	if after := w.report().Job; after.Version != before.Version {
		t.Error("the refused import changed the job")
	}
	whole, err := provision.ParseSchema(document)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.jobs.ImportSchema(t.Context(), w.key, whole, allowed, "cli"); err != nil {
		t.Errorf("the document as it was exported: %v", err)
	}
}
