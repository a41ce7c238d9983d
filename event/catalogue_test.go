package event_test

import (
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/event"
)

var update = flag.Bool("update", false, "write docs/events.md instead of comparing it")

// TestTheCatalogueDescribesEveryFieldOfItsData compares the descriptions with the structs that are
// written as data.
func TestTheCatalogueDescribesEveryFieldOfItsData(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, d := range event.Catalogue {
		for _, scope := range d.Scopes {
			if seen[d.Name+scope] {
				t.Errorf("%s of a %s has two rows", d.Name, scope)
			}
			seen[d.Name+scope] = true
		}
		if d.Means == "" || d.Example == "" || len(d.Scopes) == 0 {
			t.Errorf("%s is not described", d.Name)
		}
		if d.Data == nil {
			continue
		}
		var written, described []string
		for i := range reflect.TypeOf(d.Data).NumField() {
			name, _, _ := strings.Cut(reflect.TypeOf(d.Data).Field(i).Tag.Get("json"), ",")
			written = append(written, name)
		}
		for _, f := range d.Data.Fields() {
			if described = append(described, f.Name); f.Type == "" || f.Means == "" {
				t.Errorf("%T: the field %s is not described", d.Data, f.Name)
			}
		}
		if diff := cmp.Diff(described, written); diff != "" {
			t.Errorf("%T: described - written +\n%s", d.Data, diff)
		}
	}
}

// TestTheDocumentedEventsAreTheCatalogue compares docs/events.md with event.Catalogue.
func TestTheDocumentedEventsAreTheCatalogue(t *testing.T) {
	t.Parallel()
	type group struct {
		Title string
		Rows  []event.Description
	}
	type data struct {
		Name, Of string
		Fields   []event.Field
	}
	var page struct {
		Groups []group
		Data   []data
		Actors []event.ActorKind
	}
	page.Actors = event.ActorKinds
	for _, k := range event.Kinds {
		g := group{Title: k.Title}
		for _, d := range event.Catalogue {
			if strings.HasPrefix(d.Name, k.Prefix) {
				g.Rows = append(g.Rows, d)
			}
		}
		page.Groups = append(page.Groups, g)
	}
	seen := map[string]bool{}
	for _, d := range event.Catalogue {
		if name := dataName(d.Data); d.Data != nil && !seen[name] {
			seen[name] = true
			page.Data = append(page.Data, data{Name: name, Fields: d.Data.Fields()})
		}
	}
	const path = "../docs/events.md"
	tmpl, err := template.New("events.md.tmpl").Funcs(template.FuncMap{
		"data": dataName, "anchor": strings.ToLower, "join": strings.Join, "cell": func(s string) string { return strings.ReplaceAll(s, "|", `\|`) },
	}).ParseFiles("testdata/events.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	if err := tmpl.Execute(&want, page); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, []byte(want.String()), 0o644); err != nil { //nolint:gosec // documentation is for everyone
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want.String()); diff != "" {
		t.Errorf("%s differs from event.Catalogue; run go test ./event -update (got - want +):\n%s", path, diff)
	}
}

func dataName(d event.Data) string {
	if d == nil {
		return ""
	}
	return reflect.TypeOf(d).Name()
}
