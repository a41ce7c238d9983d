package rollcall

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// casesFile lists the faults that the engine once had, each with the tests that show the right
// behaviour.
const casesFile = "provision/testdata/cases.md"

// TestEveryCaseHasItsTest checks that no number of a case is missing in casesFile, and that the
// tests that each case names exist.
func TestEveryCaseHasItsTest(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(casesFile)
	if err != nil {
		t.Fatal(err)
	}
	tests := testFiles(t)
	want := map[string][]string{
		"Applications that misbehave": strings.Fields("1 2a 2b 2c 3a 3b 3c 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19a 19b 19c 19d 20"),
		"Servers of other projects":   strings.Fields("1 2 3 4 5 6 7 8 9 10 11 12 13"),
	}
	got, part := map[string][]string{}, ""
	for line := range strings.Lines(string(text)) {
		if heading, is := strings.CutPrefix(line, "## "); is {
			part = strings.TrimSpace(heading)
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 4 || strings.TrimSpace(cells[0]) == "no." {
			continue
		}
		number := strings.TrimSpace(cells[0])
		got[part] = append(got[part], number)
		named := namedTests(cells[3])
		if len(named) == 0 {
			t.Errorf("%s, %s: it names no test", part, number)
		}
		for _, n := range named {
			if !n.exists(t, tests) {
				t.Errorf("%s, %s: %s is not there", part, number, n.text)
			}
		}
	}
	for part, numbers := range want {
		if !slices.Equal(got[part], numbers) {
			t.Errorf("%s: the cases are %q, want %q", part, got[part], numbers)
		}
	}
}

// namedTest is a test that a case names: a function, a part of it, or words in a script.
type namedTest struct{ text, folder, function, part, file, words string }

func namedTests(cell string) (all []namedTest) {
	for _, m := range regexp.MustCompile("`([a-z/]+)\\.(Test\\w+)(?:/(\\w+))?`").FindAllStringSubmatch(cell, -1) {
		all = append(all, namedTest{text: m[0], folder: m[1], function: m[2], part: m[3]})
	}
	for _, m := range regexp.MustCompile("`([a-z_/]+\\.txtar)` \"([^\"]+)\"").FindAllStringSubmatch(cell, -1) {
		all = append(all, namedTest{text: m[0], file: m[1], words: m[2]})
	}
	if len(all) != strings.Count(cell, "`, `")+strings.Count(cell, "\", `")+1 {
		return nil // a name has another form
	}
	return all
}

func (n namedTest) exists(t *testing.T, tests map[string][]string) bool {
	t.Helper()
	if n.file != "" {
		text, err := os.ReadFile(n.file)
		if err != nil {
			t.Error(err)
		}
		return strings.Contains(string(text), n.words)
	}
	return slices.ContainsFunc(tests[n.folder], func(source string) bool {
		_, after, is := strings.Cut(source, "\nfunc "+n.function+"(")
		body, _, _ := strings.Cut(after, "\n}\n")
		return is && (n.part == "" || strings.Contains(body, `"`+n.part+`"`))
	})
}
