package provision_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/expr"
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

// TestAnImportIsCheckedAsASave imports rows that the page refuses. It also goes back to a version
// with rows that an earlier Rollcall accepted.
func TestAnImportIsCheckedAsASave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.report().Job
	for name, tt := range map[string]struct{ target, expression, says string }{
		"a_literal":       {"title", `ToLower([jobTitle], "xx_YY")`, "row 4 (title): Expression: line 1, column 21: \"xx_YY\" is not a culture name"},
		"a_drawn_key":     {"userName", `RandomString(8, 1, 1, 1, 1)`, "(userName): Expression: line 1, column 1: RandomString draws a value"},
		"a_nested_unique": {"title", `ToLower(SelectUniqueValue([mail], [givenName]))`, "(title): Expression: line 1, column 9"},
	} {
		schema := before.Schema.Clone()
		users, err := schema.UserMapping()
		if err != nil {
			t.Fatal(err)
		}
		for i := range users.AttributeMappings {
			if row := &users.AttributeMappings[i]; row.TargetAttributeName == tt.target {
				e, err := expr.Parse(tt.expression)
				if err != nil {
					t.Fatal(err)
				}
				row.Source = e.Source()
			}
		}
		_, err = w.jobs.ImportSchema(t.Context(), w.key, schema, allowed, "cli")
		var input *provision.InputError
		if !errors.As(err, &input) || !strings.Contains(input.Text, tt.says) {
			t.Errorf("%s: got %v, want %q", name, err, tt.says)
		}
		// A job that already has such a row keeps it, and its other rows can be changed.
		job := before
		job.Schema, job.Version = schema, w.report().Job.Version+1
		if err := w.store.UpdateJob(t.Context(), job, eventOf(w.key)); err != nil {
			t.Fatal(err)
		}
		other, err := job.SetRow(userRows, "displayName", provision.RowEdit{Type: provision.DirectMapping, Source: "mail", Target: "displayName", Apply: provision.FlowAlways}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.jobs.ImportSchema(t.Context(), w.key, other.Schema, allowed, "cli"); err != nil {
			t.Errorf("%s: with another row changed: %v", name, err)
		}
		if _, err := w.jobs.ImportSchema(t.Context(), w.key, before.Schema, allowed, "cli"); err != nil {
			t.Errorf("%s: to the rows of before: %v", name, err)
		}
		versions, err := w.jobs.Versions(t.Context(), w.key, 0, 2)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.jobs.GoBack(t.Context(), w.key, versions[1].Number, allowed, "cli"); !errors.As(err, &input) || !strings.Contains(input.Text, tt.says) {
			t.Errorf("%s: going back: got %v, want %q", name, err, tt.says)
		}
	}
}

func TestBothExampleSchemasAreImportedAndExportedAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	guide := guideSchema(t)
	gallery, _ := gallerySchema(t)
	for _, schema := range []*provision.Schema{gallery, guide} {
		if _, err := w.jobs.ImportSchema(t.Context(), w.key, schema, allowed, "cli"); err != nil {
			t.Fatal(err)
		}
		first, err := w.report().Job.Schema.JSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := provision.ParseSchema(first)
		if err != nil {
			t.Fatal(err)
		}
		version := w.report().Job.Version
		job, err := w.jobs.ImportSchema(t.Context(), w.key, again, allowed, "cli")
		if err != nil || job.Version != version {
			t.Errorf("importing the export: version %d, was %d, %v", job.Version, version, err)
		}
	}
}
