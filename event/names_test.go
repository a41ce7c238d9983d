package event_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/event"
)

// TestEveryEventOfTheSourceIsAConstant searches the whole source for strings that look like the
// name of an event. Each must be a constant of this package. Each constant must be in the catalogue
// and used.
func TestEveryEventOfTheSourceIsAConstant(t *testing.T) {
	t.Parallel()
	var kinds []string
	for _, k := range event.Kinds {
		kinds = append(kinds, regexp.QuoteMeta(strings.TrimSuffix(k.Prefix, ".")))
	}
	literal := regexp.MustCompile(`"((?:` + strings.Join(kinds, "|") + `)\.[a-z_]+)"`)
	use := regexp.MustCompile(`\bevent\.([A-Z][A-Za-z]+)`)
	files := []string{"directory.db", "token.txt"}               // names in the benchmarks that look like events
	label := regexp.MustCompile(`"(scim|admin|user|operator):"`) // the start of an Actor's Label
	used := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, filepath.Join("..", "event")) {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range use.FindAllStringSubmatch(string(text), -1) {
			used[m[1]] = true
		}
		if m := label.FindString(string(text)); m != "" {
			t.Errorf("%s writes or reads %s: make an event.Actor, and use Label, Words or Kind", path, m)
		}
		for _, m := range literal.FindAllStringSubmatch(string(text), -1) {
			claim := strings.Contains(path, "demosignin") && !slices.Contains(event.Names, m[1]) // the source of a claim, as Entra ID names it
			if !slices.Contains(files, m[1]) && !claim {
				t.Errorf("%s: write the constant of package event for %s; a new one also needs a row in event.Catalogue and in the table of internal/apptest", path, m[1])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	declared, err := os.ReadFile("names.go")
	if err != nil {
		t.Fatal(err)
	}
	constants := regexp.MustCompile(`(?m)^\t([A-Z][A-Za-z]+) += "([a-z_.]+)"(?: +//.*)?$`).FindAllStringSubmatch(string(declared), -1)
	for _, m := range constants {
		if !used[m[1]] {
			t.Errorf("nothing in the source is named event.%s", m[1])
		}
		if !slices.Contains(event.Names, m[2]) {
			t.Errorf("event.Catalogue has no row for event.%s", m[1])
		}
	}
	if len(constants) != len(event.Names) {
		t.Errorf("%d constants for %d names", len(constants), len(event.Names))
	}
	for _, n := range event.Names {
		if !slices.ContainsFunc(event.Kinds, func(k event.Kind) bool { return strings.HasPrefix(n, k.Prefix) }) {
			t.Errorf("%s belongs to no kind", n)
		}
	}
}
