package site_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

var update = flag.Bool("update", false, "write the table of docs/operations.md instead of comparing it")

// example returns a value of the setting other than the one that s has.
func example(t *testing.T, x site.Setting, s site.Settings) any {
	t.Helper()
	if x.Kind == site.Number {
		return x.Bounds.Min + x.Get(s).(int)
	}
	for _, v := range x.Values {
		if v.Stored != x.Get(s) {
			return v.Stored
		}
	}
	t.Fatalf("%s has one value only", x.Name)
	return nil
}

// TestEveryFieldOfSettingsHasOneRow changes each field of Settings: exactly one row must see it.
func TestEveryFieldOfSettingsHasOneRow(t *testing.T) {
	t.Parallel()
	for i := range reflect.TypeFor[site.Settings]().NumField() {
		var s site.Settings
		f := reflect.ValueOf(&s).Elem().Field(i)
		switch f.Kind() {
		case reflect.Bool:
			f.SetBool(true)
		case reflect.String:
			f.SetString("x")
		default:
			f.SetInt(1)
		}
		var rows []string
		for _, x := range site.SettingsTable {
			if x.Get(s) != x.Get(site.Settings{}) {
				rows = append(rows, x.Name)
			}
		}
		if len(rows) != 1 {
			t.Errorf("the field %s has the rows %q, want one", reflect.TypeFor[site.Settings]().Field(i).Name, rows)
		}
	}
}

func TestEveryRowSaysEverything(t *testing.T) {
	t.Parallel()
	seen, places := map[string]string{}, map[int]string{}
	once := func(what, word, name string) {
		if other := seen[what+word]; word == "" || other != "" {
			t.Errorf("%s: the %s %q is missing, or is that of %q too", name, what, word, other)
		}
		seen[what+word] = name
	}
	for _, x := range site.SettingsTable {
		for what, word := range map[string]string{"name": x.Name, "key": x.Key, "flag": x.Flag, "usage": x.Usage, "title": x.Title, "doc": x.Doc} {
			once(what, word, x.Name)
		}
		if x.Field != "" {
			once("field", x.Field, x.Name)
			once("label", x.Label, x.Name)
			if places[x.PageOrder] != "" {
				t.Errorf("%s and %s have one place on the page", x.Name, places[x.PageOrder])
			}
			places[x.PageOrder] = x.Name
		}
		for _, v := range x.Values {
			if x.Sentence == nil && v.Sentence == "" {
				t.Errorf("%s: an event has no sentence for %s", x.Name, v.Word)
			}
			if x.Kind == site.Choice && x.Field != "" && (v.Text == "" || v.Help == "" || v.Brief == "") {
				t.Errorf("%s: the page has no words for %s", x.Name, v.Word)
			}
			if e := max(x.Event, v.Event); e != "" && !slices.Contains(event.Names, e) {
				t.Errorf("%s: there is no event %s", x.Name, e)
			}
		}
		if x.Kind == site.Number && (x.Sentence == nil || x.Bounds.Min == 0 || x.Bounds.Max <= x.Bounds.Min || x.Bounds.Unit == "" || x.Bounds.ZeroMeaning == "") {
			t.Errorf("%s: a number needs bounds and a sentence", x.Name)
		}
		var s site.Settings
		s.Choose(site.Documented)
		value := example(t, x, s)
		before := x.Word(s)
		x.Set(&s, value)
		if back, ok := x.Parse(x.Word(s)); x.Get(s) != value || back != value || !ok || x.Word(s) == before {
			t.Errorf("%s: set to %v, got %v, word %q, which reads as %v", x.Name, value, x.Get(s), x.Word(s), back)
		}
		if v, ok := x.Parse("nonsense"); ok {
			t.Errorf("%s takes nonsense as %v", x.Name, v)
		}
	}
}

// TestEverySettingIsStoredAndTold changes each setting by itself and reads it back from the database,
// with the event of the change.
func TestEverySettingIsStoredAndTold(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		for _, x := range site.SettingsTable {
			old, err := f.sites.Get(t.Context(), f.acme.ID)
			if err != nil {
				t.Fatal(err)
			}
			value := example(t, x, old.Settings)
			changed, err := f.sites.Update(t.Context(), f.acme.ID, "cli", func(s *site.Site) error { x.Set(&s.Settings, value); return nil })
			if err != nil {
				t.Fatalf("%s: %v", x.Name, err)
			}
			got, err := f.sites.ByName(t.Context(), "acme")
			if diff := cmp.Diff(got.Settings, changed.Settings); err != nil || diff != "" || x.Get(got.Settings) != value {
				t.Errorf("%s: stored, got - want +\n%s%v", x.Name, diff, err)
			}
			want, _ := json.Marshal(value)
			if told := toldValue(t, f, x.Name); told != string(want) {
				t.Errorf("%s: changed from %v to %v, the event says %s", x.Name, x.Get(old.Settings), value, told)
			}
		}
		made, err := f.sites.Create(t.Context(), "second", site.Full, "cli")
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.sites.Get(t.Context(), made.ID)
		if diff := cmp.Diff(got.Settings, made.Settings); err != nil || diff != "" {
			t.Errorf("a new site: got - want +\n%s%v", diff, err)
		}
	})
}

// TestTheDocumentedSettingsAreTheTable holds the table in docs/operations.md to site.SettingsTable.
func TestTheDocumentedSettingsAreTheTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("| flag | profile documented | profile full | what it does |\n|---|---|---|---|\n")
	for _, x := range site.SettingsTable {
		cells := []string{"`--" + x.Flag + "`"}
		for _, p := range []site.Profile{site.Documented, site.Full} {
			var s site.Site
			s.Choose(p)
			value := x.Word(s.Settings)
			switch x.Kind {
			case site.Choice:
				value = "`" + value + "`"
			case site.Number:
				value = x.Printed(s)
			}
			cells = append(cells, value)
		}
		fmt.Fprintf(&b, "| %s | %s |\n", strings.Join(cells, " | "), x.Doc)
	}
	const path = "../docs/operations.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), "from site.SettingsTable -->\n")
	table, after, ended := strings.Cut(rest, "<!-- end of settings -->")
	if !found || !ended {
		t.Fatalf("%s has no place for the table", path)
	}
	if *update {
		next := before + "from site.SettingsTable -->\n" + b.String() + "<!-- end of settings -->" + after
		if err := os.WriteFile(path, []byte(next), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(table, b.String()); diff != "" {
		t.Errorf("%s differs from site.SettingsTable; run go test ./site -update (got - want +):\n%s", path, diff)
	}
}

// toldValue is the value that the newest event about a setting gave it, as JSON.
func toldValue(t *testing.T, f fixture, setting string) string {
	t.Helper()
	events, err := store.Events{DB: f.db}.Recent(t.Context(), event.Site(string(f.acme.ID)), "", event.Position{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		for _, c := range event.Changes(e.Data) {
			if c.Name == setting && e.Text != "" {
				return string(c.After)
			}
		}
	}
	return "no event"
}
