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

// TestEveryEventOfTheSourceHasItsName finds in the whole source what looks like the name of an event, and holds it to the list that
// the filters of pages and commands are made of.
func TestEveryEventOfTheSourceHasItsName(t *testing.T) {
	t.Parallel()
	var kinds []string
	for _, k := range event.Kinds {
		kinds = append(kinds, regexp.QuoteMeta(strings.TrimSuffix(k.Prefix, ".")))
	}
	name := regexp.MustCompile(`"((?:` + strings.Join(kinds, "|") + `)\.[a-z_]+)"`)
	files := []string{"directory.db", "token.txt"} // of the benchmarks
	constant := regexp.MustCompile(`event\.([A-Z][A-Za-z]+)`)
	constants := map[string]string{}
	declared, err := os.ReadFile("names.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t([A-Z][A-Za-z]+) += "([a-z_.]+)"$`).FindAllStringSubmatch(string(declared), -1) {
		constants[m[1]] = m[2]
	}
	found := map[string]bool{}
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "event/names.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range constant.FindAllStringSubmatch(string(text), -1) {
			found[constants[m[1]]] = true
		}
		for _, m := range name.FindAllStringSubmatch(string(text), -1) {
			found[m[1]] = true
			if !event.Known(m[1]) && !slices.Contains(files, m[1]) {
				t.Errorf("%s: %s is not in event.Names: add it, and a row to the table of internal/apptest", path, m[1])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 60 {
		t.Errorf("found only %d names", len(found))
	}
	// These are put together from the kind of a resource.
	made := []string{"user.created", "user.updated", "user.deleted", "group.created", "group.updated", "group.deleted", "resource.created", "resource.updated", "resource.deleted"}
	for _, n := range event.Names {
		if !found[n] && !slices.Contains(made, n) {
			t.Errorf("nothing in the source is named %s", n)
		}
		if !slices.ContainsFunc(event.Kinds, func(k event.Kind) bool { return strings.HasPrefix(n, k.Prefix) }) {
			t.Errorf("%s belongs to no kind", n)
		}
	}
}
